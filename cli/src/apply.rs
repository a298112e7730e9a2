//! `apply`: every number of a file.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    args::{ApplyArgs, Format, Properties, SecretSource},
    change::{self, Change},
    connection::{Connection, Settings},
    export::Export,
    failure::{Exit, Failure, Result},
    files,
    history::History,
    input::{Input, Reading},
    interrupt::SignalRuntime,
    journal::{self, FileRef, Job, Journal},
    plan::Plan,
    reader::Names,
    report::{Outputs, Report},
    runner::Runner,
    schema::Columns,
    stops::StopReason,
    text::{count, quoted},
    ui,
    validate::Validator,
};

pub fn apply(args: &ApplyArgs, properties: &Properties, columns: &Columns) -> Result<Exit> {
    check_stdin(&args.file, properties)?;
    let connection = Connection::new(&args.connection)?;
    let set = change::of_all(&args.set, properties, columns)?;
    let secrets = change::secrets(properties, columns)?;
    let common = change::together(&set, &secrets)?;
    let path = args
        .journal
        .clone()
        .unwrap_or_else(|| journal::path_of(&args.file));
    let mut files = check_files(args, properties, &connection, &path)?;
    let before = read_before(args.before.as_deref(), columns)?;
    let input = read(args, columns, &common, before.as_ref())?;
    let (results, failed) = journal::outputs(&path, input.source.ending());
    if !args.dry_run {
        files.output(&results, false)?;
        files.output(&failed, false)?;
    }
    let rows: Vec<_> = (0..input.rows.len()).collect();
    let plan = Plan {
        input: &input,
        rows: &rows,
        server: &connection.server,
        key_source: connection.key_source(),
        before: before.as_ref(),
    };
    if show(&plan, args)? {
        return Ok(Exit::Done);
    }

    let sending = &args.sending;
    let client = connection.client(&Settings::of(sending))?;
    let mut signals = SignalRuntime::start()?;
    agree(sending.yes, sending.canary, rows.len())?;
    let mut job = job(args, &input, before.as_ref(), &connection);
    job.results = results.display().to_string();
    job.failed = failed.display().to_string();
    job.set = set;
    job.secrets = secrets.keys().cloned().collect();
    let outputs = Outputs {
        results,
        failed,
        resume: resume_command(&path, &args.connection, properties, columns),
        server: connection.server.clone(),
        started: job.at.clone(),
    };
    let journal = Journal::create(&path, &job, args.force)?;
    let options = (sending, args.output.format);
    let history = History::default();
    let runner = Runner::new(&input, before.as_ref(), client, options, journal, &history);
    let stop = runner.run(&mut signals, &rows);
    Report::of(&runner, &outputs, &stop).finish()
}

/// Refuses inputs and a journal that cannot be right.
fn check_files(
    args: &ApplyArgs,
    properties: &Properties,
    connection: &Connection,
    journal: &Path,
) -> Result<files::Plan> {
    let mut files = files::Plan::new(args.force);
    inputs(&mut files, connection, properties);
    files.input(&args.file);
    if let Some(before) = &args.before {
        files.input(before);
    }
    if !args.dry_run {
        check_journal(&mut files, journal, &connection.server)?;
    }
    Ok(files)
}

fn read<'c>(
    args: &ApplyArgs,
    columns: &'c Columns,
    common: &'c Change,
    before: Option<&'c Export>,
) -> Result<Input<'c>> {
    let selection = &args.selection;
    let names = Names::of_update(columns, selection.ignore_unknown, &selection.columns);
    let reading = Reading {
        columns,
        names: names.map_err(Failure::usage)?,
        common,
        before,
    };
    Input::read(&args.file, &reading)
}

/// Shows the plan; returns whether the command ends here.
fn show(plan: &Plan, args: &ApplyArgs) -> Result<bool> {
    if plan.rows.is_empty() {
        ui::info(&format!(
            "{} are already as {} wants them; there is nothing to send.",
            count(plan.input.unchanged, "number"),
            plan.input.source.name
        ));
        plan.print(args.output.format)?;
        return Ok(true);
    }
    ui::info(&plan.text());
    if args.dry_run {
        plan.print(args.output.format)?;
        ui::info("Dry run: nothing was sent.");
    }
    Ok(args.dry_run)
}

fn job(args: &ApplyArgs, input: &Input, before: Option<&Export>, connection: &Connection) -> Job {
    let file = FileRef::new(&args.file, &input.source.sha256);
    let mut job = Job::new(file, &connection.server, input.rows.len());
    job.ignore_unknown = args.selection.ignore_unknown;
    job.columns.clone_from(&args.selection.columns);
    let export = args.before.as_ref().zip(before);
    job.before = export.map(|(path, export)| FileRef::new(path, &export.sha256));
    job
}

/// Asks whether to send.
pub fn agree(yes: bool, canary: Option<u32>, rows: usize) -> Result<()> {
    let question = match canary.map(|canary| canary as usize) {
        Some(canary) if canary < rows => format!("Send the first {canary} of {rows}?"),
        _ => format!("Send all {rows}?"),
    };
    if yes || ui::ask(&question)? {
        return Ok(());
    }
    Err(Failure::usage("declined; nothing was sent"))
}

/// Standard input can be read once.
fn check_stdin(file: &Path, properties: &Properties) -> Result<()> {
    let secrets = properties.secrets.iter().map(|(_, source)| source);
    let files = secrets.filter_map(|source| match source {
        SecretSource::File(file) => Some(file.as_path()),
        SecretSource::Variable(_) => None,
    });
    let readers = files
        .chain([file])
        .filter(|file| *file == Path::new("-"))
        .count();
    if readers > 1 {
        return Err(Failure::usage("standard input (-) can be read only once"));
    }
    Ok(())
}

/// Adds the files that every sending command reads.
pub fn inputs(files: &mut files::Plan, connection: &Connection, properties: &Properties) {
    if let Some(file) = connection.key_file() {
        files.input(file);
    }
    for (_, source) in &properties.secrets {
        if let SecretSource::File(file) = source {
            files.input(file);
        }
    }
}

fn check_journal(files: &mut files::Plan, journal: &Path, server: &str) -> Result<()> {
    files.output(journal, true)?;
    if journal.exists() && !files.force {
        return Err(Failure::usage(journal::already_exists(journal, server)));
    }
    Ok(())
}

/// Reads the export that `apply --before` compares with: the properties that can be set.
pub fn read_before(path: Option<&Path>, columns: &Columns) -> Result<Option<Export>> {
    let is_property = |name: &str| {
        columns
            .iter()
            .any(|column| !column.secret && column.name.eq_ignore_ascii_case(name))
            || columns
                .find(name)
                .is_some_and(|index| !columns.get(index).secret)
    };
    path.map(|path| Export::read(path, columns, &is_property))
        .transpose()
}

/// The command that continues a job, with the options that it needs.
pub fn resume_command(
    journal: &Path,
    connection: &crate::args::Connection,
    properties: &Properties,
    columns: &Columns,
) -> String {
    format!(
        "sigmamind resume {}{}{}",
        quoted(journal),
        connection.hint(),
        properties.hint(columns)
    )
}

/// Reports a job that has nothing left to send.
pub fn finish_complete(
    input: &Input,
    sending: &crate::args::Sending,
    format: Format,
    journal: Journal,
    history: &History,
    outputs: &Outputs,
) -> Result<Exit> {
    let client = (
        Validator::new()?.into_client(),
        crate::connection::Gate::default(),
    );
    let runner = Runner::new(input, None, client, (sending, format), journal, history);
    Report::of(&runner, outputs, &StopReason::End).finish()
}

/// The file of a job, or of its export.
pub fn find_file(journal: &Path, file: &FileRef) -> PathBuf {
    let path = file.path();
    if path == Path::new("-") || path.exists() {
        let here = env::current_dir().ok();
        let relative = here.and_then(|here| Some(path.strip_prefix(here).ok()?.to_owned()));
        return relative.unwrap_or(path);
    }
    // The folder may have been moved.
    let beside = journal.with_file_name(path.file_name().unwrap_or_default());
    if beside.exists() { beside } else { path }
}
