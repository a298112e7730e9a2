//! `resume`: what a job has left.

use std::path::Path;

use crate::{
    apply::{agree, find_file, finish_complete, inputs, read_before, resume_command},
    args::{Properties, ResumeArgs},
    change::{self, Change},
    connection::{Connection, Settings},
    export::Export,
    failure::{Exit, Failure, Result},
    files,
    history::{History, State},
    input::{Input, Reading},
    interrupt::SignalRuntime,
    journal::{self, Job, Journal},
    plan::Plan,
    reader::Names,
    report::{Outputs, Report},
    runner::Runner,
    schema::Columns,
    text::{count, quoted},
    ui,
};

/// Maximum count of numbers in flight that are named.
const NAMED: usize = 20;

pub fn resume(args: &ResumeArgs, properties: &Properties, columns: &Columns) -> Result<Exit> {
    let connection = Connection::new(&args.connection)?;
    let (journal, job, history) = Journal::open(&args.journal)?;
    check_server(&args.journal, &job, &connection)?;
    let file = find_file(&args.journal, &job.file);
    let common = common(&job, properties, columns)?;
    let before = read_export(&args.journal, &job, columns)?;
    let names = Names::of_update(columns, job.ignore_unknown, &job.columns);
    let reading = Reading {
        columns,
        names: names.map_err(Failure::usage)?,
        common: &common,
        before: before.as_ref(),
    };
    let input = Input::read(&file, &reading)?;
    if input.source.sha256 != job.file.sha256 {
        return Err(Failure::usage(format!(
            "{} has changed since {} was started; restore it, or `sigmamind apply` it as a new job \
             with another --journal",
            input.source.name,
            quoted(&args.journal),
        )));
    }
    let outputs = outputs(args, &job, &input, &file, &connection, properties)?;
    let outputs = Outputs {
        resume: resume_command(&args.journal, &args.connection, properties, columns),
        ..outputs
    };
    let rows = rest(&input, &history);
    print_history(&input, &history);
    let format = args.output.format;
    if rows.is_empty() {
        ui::info("There is nothing left to send.");
        return finish_complete(&input, &args.sending, format, journal, &history, &outputs);
    }
    let plan = Plan {
        input: &input,
        rows: &rows,
        server: &connection.server,
        key_source: connection.key_source(),
        before: before.as_ref(),
    };
    ui::info(&plan.text());
    let client = connection.client(&Settings::of(&args.sending))?;
    let mut signals = SignalRuntime::start()?;
    agree(args.sending.yes, args.sending.canary, rows.len())?;
    journal.resumed().map_err(|error| {
        let name = quoted(&args.journal);
        Failure::usage(format!("cannot write {name}: {error}; nothing was sent"))
    })?;
    let options = (&args.sending, format);
    let runner = Runner::new(&input, before.as_ref(), client, options, journal, &history);
    let stop = runner.run(&mut signals, &rows);
    Report::of(&runner, &outputs, &stop).finish()
}

fn check_server(journal: &Path, job: &Job, connection: &Connection) -> Result<()> {
    if job.server == connection.server {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} is the journal of a job at {server}, and this would go to {}; use --base-url {server}",
        quoted(journal),
        connection.server,
        server = job.server,
    )))
}

/// Returns the properties that the job sets on every number.
fn common(job: &Job, properties: &Properties, columns: &Columns) -> Result<Change> {
    for (name, value) in &job.set {
        let column = change::find(columns, name)?;
        column.json(value.clone()).map_err(Failure::usage)?;
    }
    let secrets = change::secrets(properties, columns)?;
    let given: Vec<_> = secrets.keys().cloned().collect();
    if given != job.secrets {
        let names = match &*job.secrets {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        return Err(Failure::usage(format!(
            "the job sets these secrets on every number: {names}; give the same options as with \
             `apply`"
        )));
    }
    change::together(&job.set, &secrets)
}

fn read_export(journal: &Path, job: &Job, columns: &Columns) -> Result<Option<Export>> {
    let Some(before) = &job.before else {
        return Ok(None);
    };
    let path = find_file(journal, before);
    let export = read_before(Some(&path), columns)?;
    if export
        .as_ref()
        .is_some_and(|export| export.sha256 != before.sha256)
    {
        return Err(Failure::usage(format!(
            "{} has changed since {} was started; restore it",
            quoted(&path),
            quoted(journal)
        )));
    }
    Ok(export)
}

/// The files that the job may write. Those that its journal names are its own.
fn outputs(
    args: &ResumeArgs,
    job: &Job,
    input: &Input,
    file: &Path,
    connection: &Connection,
    properties: &Properties,
) -> Result<Outputs> {
    let (results, failed) = journal::outputs(&args.journal, input.source.ending());
    let mut files = files::Plan::new(false);
    inputs(&mut files, connection, properties);
    files.input(file);
    files.output(&args.journal, true)?;
    let is_own = |path: &Path, named: &str| path.file_name() == Path::new(named).file_name();
    files.output(&results, is_own(&results, &job.results))?;
    files.output(&failed, is_own(&failed, &job.failed))?;
    Ok(Outputs {
        results,
        failed,
        resume: String::new(),
        server: connection.server.clone(),
        started: job.at.clone(),
    })
}

/// The rows that are left: first those that were never begun, and those that failed last.
fn rest(input: &Input, history: &History) -> Vec<usize> {
    let state = |index: &usize| history.get(&input.rows[*index].number).state;
    let mut rest: Vec<_> = (0..input.rows.len())
        .filter(|index| state(index) != State::Applied)
        .collect();
    rest.sort_by_key(|index| match state(index) {
        State::Pending => 0,
        State::InFlight | State::Unknown => 1,
        State::Failed | State::Applied => 2,
    });
    rest
}

/// Says how far the job had come.
fn print_history(input: &Input, history: &History) {
    let mut counts = [0; State::ALL.len()];
    let mut in_flight = Vec::new();
    for row in &input.rows {
        let state = history.get(&row.number).state;
        counts[state as usize] += 1;
        if state == State::InFlight {
            in_flight.push(row.number.as_str());
        }
    }
    let parts: Vec<_> = State::ALL
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {}", state.label()))
        .collect();
    let numbers = count(input.rows.len(), "number");
    ui::info(&format!("{numbers}: {}.", parts.join(", ")));
    if !in_flight.is_empty() {
        let more = if in_flight.len() > NAMED { ", …" } else { "" };
        in_flight.truncate(NAMED);
        ui::info(&format!(
            "In flight when the program ended, so they may be applied or not: {}{more}. They are \
             sent again, which is safe: a request sets properties to values.",
            in_flight.join(", "),
        ));
    }
}
