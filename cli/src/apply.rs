//! `apply`: every number of a file.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{
    args::{ApplyArgs, Format, Properties, SecretSource},
    change,
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
    let to = change::of_all(&args.set, properties, columns)?;
    let secrets = change::secrets(properties, columns)?;
    let common = change::together(&to, &secrets)?;
    let journal = args
        .journal
        .clone()
        .unwrap_or_else(|| journal::path_of(&args.file));
    let mut files = files::Plan::new(args.force);
    inputs(&mut files, &connection, properties);
    files.input(&args.file);
    if let Some(before) = &args.before {
        files.input(before);
    }
    if !args.dry_run {
        check_journal(&mut files, &journal, &connection.server)?;
    }

    let before = read_before(args.before.as_deref(), columns)?;
    let selection = &args.selection;
    let names = Names::of_update(columns, selection.ignore_unknown, &selection.columns);
    let reading = Reading {
        columns,
        names: names.map_err(Failure::usage)?,
        common: &common,
        before: before.as_ref(),
    };
    let input = Input::read(&args.file, &reading)?;
    let (results, failed) = journal::outputs(&journal, input.source.ending());
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
    if rows.is_empty() {
        ui::info(&format!(
            "{} are already as {} wants them; there is nothing to send.",
            count(input.unchanged, "number"),
            input.source.name
        ));
        return Ok(Exit::Done);
    }
    ui::info(&plan.text());
    if args.dry_run {
        plan.print(args.output.format)?;
        ui::info("Dry run: nothing was sent.");
        return Ok(Exit::Done);
    }

    let settings = Settings::of(&args.sending);
    let client = connection.client(&settings)?;
    let mut signals = SignalRuntime::start()?;
    let sending = &args.sending;
    agree(sending.yes, sending.canary, rows.len())?;
    let mut job = Job::new(
        FileRef::new(&args.file, &input.source.sha256),
        &connection.server,
        rows.len(),
    );
    job.results = results.display().to_string();
    job.failed = failed.display().to_string();
    job.set = to;
    job.secrets = secrets.keys().cloned().collect();
    job.ignore_unknown = selection.ignore_unknown;
    job.columns.clone_from(&selection.columns);
    let export = args.before.as_ref().zip(before.as_ref());
    job.before = export.map(|(path, export)| FileRef::new(path, &export.sha256));
    let outputs = Outputs {
        results,
        failed,
        resume: resume_command(&journal, &args.connection, properties, columns),
        server: connection.server.clone(),
        started: job.at.clone(),
    };
    let journal = Journal::create(&journal, &job, args.force)?;
    let options = (sending, args.output.format);
    let runner = Runner::new(
        &input,
        before.as_ref(),
        client,
        options,
        journal,
        &History::default(),
    );
    let stop = runner.run(&mut signals, &rows);
    Report::of(&runner, &outputs, &stop).finish()
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

/// Reports a job of which nothing is left to send.
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
