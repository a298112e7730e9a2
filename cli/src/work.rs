//! The sending of many numbers, each of them recorded, and the report on them.

use std::{
    cell::{Cell, RefCell},
    io,
};

use clap::ArgMatches;
use sigmamind::{Batch, Call, Client, Error, PhoneNumber, Response};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::interval,
};

use crate::{
    change,
    failure::{Exit, Failure, Result},
    input::{Input, Row},
    interrupt::{Engine, Interrupts},
    journal::{self, Journal, Past, SYNC},
    outcome,
    progress::Progress,
    report::Report,
    schema::Columns,
    screen,
    slow::Slow,
};

/// How it is sent.
pub struct Options {
    at_once: usize,
    max_failures: Option<usize>,
    pub canary: Option<usize>,
    yes: bool,
}

impl Options {
    pub fn of(matches: &ArgMatches) -> Self {
        let number = |id: &str| matches.get_one::<u32>(id).map(|number| *number as usize);
        Self {
            at_once: matches
                .get_one::<u16>("at-once")
                .map_or(8, |n| usize::from(*n)),
            max_failures: number("max-failures"),
            canary: number("canary"),
            yes: matches.get_flag("yes"),
        }
    }

    /// Whether the operator wants it.
    pub fn agree(&self, question: &str) -> Result<bool> {
        if self.yes {
            Ok(true)
        } else {
            screen::ask(question)
        }
    }
}

/// Why sending has ended.
pub enum Halt {
    /// There is nothing more to send.
    End,
    /// 401 or 403.
    Key,
    TooManyFailures,
    Declined,
    Interrupted,
    /// The journal cannot be written.
    Journal(io::Error),
}

/// A job, with all that it takes.
pub struct Work<'w> {
    columns: &'w Columns,
    input: &'w Input<'w>,
    client: Client,
    options: Options,
    journal: Journal,
    past: RefCell<Past>,
    failures: Cell<usize>,
    /// What could not be written into the journal.
    unwritten: RefCell<Vec<String>>,
}

impl<'w> Work<'w> {
    pub fn new(
        columns: &'w Columns,
        input: &'w Input<'w>,
        client: Client,
        options: Options,
        journal: Journal,
        past: Past,
    ) -> Self {
        Self {
            columns,
            input,
            client,
            options,
            journal,
            past: RefCell::new(past),
            failures: Cell::default(),
            unwritten: RefCell::default(),
        }
    }

    /// Sends what is left of the rows, and reports on all of them.
    pub fn run(
        &self,
        engine: Engine,
        matches: &ArgMatches,
        rows: &[Row],
        rest: &[&Row],
    ) -> Result<Exit> {
        let Engine {
            runtime,
            mut interrupts,
        } = engine;
        let slow = Slow::listen();
        let (first, others) = rest.split_at(self.options.canary.unwrap_or(0).min(rest.len()));
        let mut halt = runtime.block_on(self.send(first, &mut interrupts, &slow));
        if !first.is_empty() && matches!(halt, Halt::End) && !others.is_empty() {
            halt = self.after_canary(first, others.len());
        }
        if matches!(halt, Halt::End) {
            halt = runtime.block_on(self.send(others, &mut interrupts, &slow));
        }
        self.report(matches, rows, &halt)
    }

    fn after_canary(&self, first: &[&Row], others: usize) -> Halt {
        let past = self.past.borrow();
        let report = Report::new(first.iter().copied(), &past);
        screen::say(&report.canary());
        let agreed = if self.options.yes {
            Ok(report.is_all_applied())
        } else {
            screen::ask(&format!("Send the other {others}?"))
        };
        match agreed {
            Ok(true) => Halt::End,
            Ok(false) => Halt::Declined,
            Err(_) => Halt::Interrupted,
        }
    }

    async fn send(&self, rows: &[&Row], interrupts: &mut Interrupts, slow: &Slow) -> Halt {
        if rows.is_empty() {
            return Halt::End;
        }
        let mut progress = Progress::new(rows.len(), slow.clone());
        let mut ticks = interval(SYNC);
        let mut syncing = None::<JoinHandle<io::Result<()>>>;
        let broken = RefCell::new(None);
        // Each is recorded just before it begins.
        let calls = rows.iter().map_while(|row| {
            let call = self.begin(row);
            call.map_err(|error| broken.replace(Some(error))).ok()
        });
        let mut batch = Batch::new(calls).concurrency(self.options.at_once);
        let mut halt = Halt::End;
        loop {
            tokio::select! {
                biased;
                () = interrupts.next() => {
                    if matches!(halt, Halt::Interrupted) {
                        break;
                    }
                    halt = Halt::Interrupted;
                    batch.stop();
                    progress.say(
                        "Interrupted: what is under way is finished; once more stops at once.",
                    );
                }
                _ = ticks.tick() => {
                    progress.tick();
                    if syncing.as_ref().is_none_or(JoinHandle::is_finished) {
                        let last = syncing.replace(spawn_blocking(self.journal.syncing()));
                        if let Some(last) = last && let Ok(Err(error)) = last.await {
                            broken.replace(Some(error));
                            batch.stop();
                        }
                    }
                }
                next = batch.next() => {
                    let Some((index, outcome)) = next else { break };
                    progress.ended(outcome.is_ok());
                    if let Err(error) = self.end(rows[index], &outcome) {
                        broken.replace(Some(error));
                        batch.stop();
                    }
                    if let (Halt::End, Err(error)) = (&halt, outcome)
                        && let Some(reason) = self.stops_at(&error)
                    {
                        halt = reason;
                        batch.stop();
                    }
                }
            }
        }
        drop(batch);
        drop(progress);
        broken.into_inner().map_or(halt, Halt::Journal)
    }

    /// Why a failure ends it all, if it does.
    fn stops_at(&self, error: &Error) -> Option<Halt> {
        let failures = self.failures.get() + 1;
        self.failures.set(failures);
        if error.is_auth() {
            return Some(Halt::Key);
        }
        let most = self.options.max_failures?;
        (failures >= most).then_some(Halt::TooManyFailures)
    }

    /// Records that a number is begun, and makes its call.
    fn begin(&self, row: &Row) -> io::Result<Call<PhoneNumber>> {
        let change = self.input.change(row);
        let change = change.map_err(|failure| io::Error::other(failure.to_string()))?;
        let update = change::update(&change).map_err(io::Error::other)?;
        self.journal.begun(&row.number, &change)?;
        let mut past = self.past.borrow_mut();
        let fate = past.entry(row.number.clone()).or_default();
        fate.under_way = true;
        fate.sets = change.keys().cloned().collect();
        Ok(self.client.update_phone_number(&row.number, &update))
    }

    /// Records what became of a number.
    fn end(
        &self,
        row: &Row,
        outcome: &std::result::Result<Response<PhoneNumber>, Error>,
    ) -> io::Result<()> {
        let change = self.input.change(row);
        let change = change.unwrap_or_default();
        let ended = outcome::ended(self.columns, &row.number, &change, outcome);
        let written = self.journal.ended(&ended);
        if written.is_err() {
            let line = format!("{} {}", row.number, ended.outcome.words());
            self.unwritten.borrow_mut().push(line);
        }
        let mut past = self.past.borrow_mut();
        let fate = past.entry(row.number.clone()).or_default();
        fate.under_way = false;
        fate.ended = Some(ended);
        written
    }

    /// Writes the results, and says how it has ended.
    pub fn report(&self, matches: &ArgMatches, rows: &[Row], halt: &Halt) -> Result<Exit> {
        let journal = self.journal.path.display();
        let synced = self.journal.sync();
        let past = self.past.borrow();
        let report = Report::new(rows.iter(), &past);
        let stem = journal::stem(&self.journal.path);
        let written = report.write(self.input, &stem);
        report.print(matches, self.input, &stem);
        for line in self.unwritten.borrow().iter() {
            screen::warn(&format!("the journal does not have it: {line}"));
        }
        let mut failed = false;
        if let Err(error) = synced {
            screen::fail(&format!("{journal} may not be on the disk: {error}"));
            failed = true;
        }
        if let Err(error) = written {
            screen::fail(&format!(
                "the results could not be written: {error}; make room, and `sigmamind resume \
                 {journal}` writes them"
            ));
            failed = true;
        }
        let (exit, why) = match halt {
            Halt::End if report.is_all_applied() && !failed => return Ok(Exit::Done),
            Halt::End => return Ok(Exit::SomeFailed),
            Halt::Key => (Exit::Key, "the server refuses the API key".to_owned()),
            Halt::TooManyFailures => (Exit::Stopped, "too many have failed".into()),
            Halt::Declined => (Exit::Stopped, "stopped after the first".into()),
            Halt::Interrupted => (Exit::Interrupted, "interrupted".into()),
            Halt::Journal(error) => (Exit::Stopped, format!("cannot write {journal}: {error}")),
        };
        let goes_on = format!("{why}; `sigmamind resume {journal}` goes on");
        Err(Failure::new(exit, goes_on))
    }
}
