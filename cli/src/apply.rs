//! `apply`: every number of a file.

use std::path::PathBuf;

use clap::ArgMatches;

use crate::{
    change,
    failure::{Exit, Failure, Result},
    input::Input,
    interrupt::SignalRuntime,
    journal::{self, History, Job, Journal},
    key::Connection,
    plan::Plan,
    runner::{Options, Runner},
    schema::Columns,
    ui,
};

pub fn apply(matches: &ArgMatches, columns: &Columns) -> Result<Exit> {
    let options = Options::of(matches);
    let connection = Connection::of(matches);
    let file = matches.get_one::<PathBuf>("file").expect("it is required");
    let to = change::of_all(matches, columns)?;
    let secrets = change::secrets(matches, columns)?;
    let common = change::together(&to, &secrets)?;
    let path = matches.get_one::<PathBuf>("journal").cloned();
    let path = path.unwrap_or_else(|| journal::path_of(file));
    if !matches.get_flag("dry-run") {
        journal::is_free(&path)?;
    }
    let input = Input::read(file, columns, &common)?;
    let mut plan = Plan::default();
    let rows = input.check(&connection.checking()?, |row, change| {
        plan.add(columns, row, change);
    })?;
    ui::info(&plan.label(columns, &input.name, connection.server()));
    if matches.get_flag("dry-run") {
        ui::info("This was a dry run: nothing was sent.");
        return Ok(Exit::Done);
    }

    let client = connection.client()?;
    let signals = SignalRuntime::start()?;
    let question = match options.canary {
        Some(canary) => format!("Send the first {}?", canary.min(rows.len())),
        None => format!("Send all {}?", rows.len()),
    };
    if !options.agree(&question)? {
        return Err(Failure::usage("nothing was sent"));
    }
    let mut job = Job::new(file, &input.sha256, connection.server(), rows.len());
    job.to = to;
    job.secrets = secrets.keys().cloned().collect();
    let journal = Journal::create(&path, &job)?;
    let runner = Runner::new(columns, &input, client, options, journal, History::new());
    runner.run(signals, matches, &rows, &rows.iter().collect::<Vec<_>>())
}
