//! `resume`: what a job has left.

use std::path::{Path, PathBuf};

use clap::ArgMatches;

use crate::{
    change,
    failure::{Exit, Failure, Result},
    input::{Input, Row},
    interrupt::SignalRuntime,
    journal::{History, Job, Journal, Record},
    key::Connection,
    plan::Plan,
    runner::{Options, Runner, StopReason},
    schema::Columns,
    ui::{self, count},
};

pub fn resume(matches: &ArgMatches, columns: &Columns) -> Result<Exit> {
    let options = Options::of(matches);
    let connection = Connection::of(matches);
    let path = matches
        .get_one::<PathBuf>("journal")
        .expect("it is required");
    let (journal, job, history) = Journal::open(path)?;
    if job.server != connection.server() {
        return Err(Failure::usage(format!(
            "{} is of a job at {}, and this would go to {}; set --base-url to what it was",
            path.display(),
            job.server,
            connection.server(),
        )));
    }
    for (name, value) in &job.to {
        let column = change::find(columns, name)?;
        column.json(value.clone()).map_err(Failure::usage)?;
    }
    let file = file_of(path, &job);
    let secrets = change::secrets(matches, columns)?;
    let given: Vec<_> = secrets.keys().cloned().collect();
    if given != job.secrets {
        let names = match &*job.secrets {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        return Err(Failure::usage(format!(
            "the job sets these secrets on every number: {names}; give the same again, as with \
             `apply`"
        )));
    }
    let common = change::together(&job.to, &secrets)?;
    let input = Input::read(&file, columns, &common)?;
    if input.sha256 != job.sha256 {
        return Err(Failure::usage(format!(
            "{} is not what it was when {} was begun; restore it, or `apply` it as a new job with \
             another --journal",
            input.name,
            path.display(),
        )));
    }
    let mut plan = Plan::default();
    let rows = input.check(&connection.checking()?, |row, change| {
        if !is_applied(&history, row) {
            plan.add(columns, row, change);
        }
    })?;
    let rest: Vec<_> = rows
        .iter()
        .filter(|row| !is_applied(&history, row))
        .collect();
    say_past(&rows, &history);
    if rest.is_empty() {
        ui::info("There is nothing left to send.");
        let client = connection.checking()?;
        let runner = Runner::new(columns, &input, client, options, journal, history);
        return runner.report(matches, &rows, &StopReason::End);
    }
    ui::info(&plan.label(columns, &input.name, connection.server()));
    let client = connection.client()?;
    let signals = SignalRuntime::start()?;
    if !options.agree(&format!("Send {}?", count(rest.len(), "request")))? {
        return Err(Failure::usage("nothing was sent"));
    }
    journal.resumed().map_err(|error| {
        let name = path.display();
        Failure::usage(format!("cannot write {name}: {error}; nothing was sent"))
    })?;
    let runner = Runner::new(columns, &input, client, options, journal, history);
    runner.run(signals, matches, &rows, &rest)
}

/// The file of a job: beside the journal, or where it was.
fn file_of(journal: &Path, job: &Job) -> PathBuf {
    let file = Path::new(&job.file);
    let name = file.file_name().unwrap_or_default();
    let beside = journal.with_file_name(name);
    if job.file != "-" && beside.exists() {
        return beside;
    }
    file.to_owned()
}

fn is_applied(history: &History, row: &Row) -> bool {
    history.get(&row.number).is_some_and(Record::is_applied)
}

/// Says how far the job had come.
fn say_past(rows: &[Row], history: &History) {
    let (mut applied, mut failed, mut under_way) = (0, 0, Vec::new());
    for row in rows {
        match history.get(&row.number) {
            Some(record) if record.under_way => under_way.push(row.number.as_str()),
            Some(record) if record.is_applied() => applied += 1,
            Some(_) => failed += 1,
            None => {}
        }
    }
    let never = rows.len() - applied - failed - under_way.len();
    ui::info(&format!(
        "Of {}, {applied} applied, {failed} failed, {} under way, {never} not begun.",
        count(rows.len(), "number"),
        under_way.len(),
    ));
    if !under_way.is_empty() {
        let more = if under_way.len() > 20 { ", …" } else { "" };
        under_way.truncate(20);
        ui::info(&format!(
            "Under way when it ended, so that they may be applied or not: {}{more}. They are sent \
             again, which is safe: a request sets properties to values, and the second time \
             changes nothing more.",
            under_way.join(", "),
        ));
    }
}
