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
    interrupt::{Interrupts, SignalRuntime},
    journal::{self, History, Journal, SYNC},
    outcome,
    progress::Progress,
    report::Report,
    schema::Columns,
    slow::Slow,
    ui,
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
            ui::ask(question)
        }
    }
}

/// Why sending has ended.
pub enum StopReason {
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
pub struct Runner<'w> {
    columns: &'w Columns,
    input: &'w Input<'w>,
    client: Client,
    options: Options,
    journal: Journal,
    history: RefCell<History>,
    failures: Cell<usize>,
    /// What could not be written into the journal.
    unwritten: RefCell<Vec<String>>,
}

impl<'w> Runner<'w> {
    pub fn new(
        columns: &'w Columns,
        input: &'w Input<'w>,
        client: Client,
        options: Options,
        journal: Journal,
        history: History,
    ) -> Self {
        Self {
            columns,
            input,
            client,
            options,
            journal,
            history: RefCell::new(history),
            failures: Cell::default(),
            unwritten: RefCell::default(),
        }
    }

    /// Sends what is left of the rows, and reports on all of them.
    pub fn run(
        &self,
        signals: SignalRuntime,
        matches: &ArgMatches,
        rows: &[Row],
        rest: &[&Row],
    ) -> Result<Exit> {
        let SignalRuntime {
            runtime,
            mut interrupts,
        } = signals;
        let slow = Slow::listen();
        let (first, others) = rest.split_at(self.options.canary.unwrap_or(0).min(rest.len()));
        let mut stop = runtime.block_on(self.send(first, &mut interrupts, &slow));
        if !first.is_empty() && matches!(stop, StopReason::End) && !others.is_empty() {
            stop = self.after_canary(first, others.len());
        }
        if matches!(stop, StopReason::End) {
            stop = runtime.block_on(self.send(others, &mut interrupts, &slow));
        }
        self.report(matches, rows, &stop)
    }

    fn after_canary(&self, first: &[&Row], others: usize) -> StopReason {
        let history = self.history.borrow();
        let report = Report::new(first.iter().copied(), &history);
        ui::info(&report.canary());
        let agreed = if self.options.yes {
            Ok(report.is_all_applied())
        } else {
            ui::ask(&format!("Send the other {others}?"))
        };
        match agreed {
            Ok(true) => StopReason::End,
            Ok(false) => StopReason::Declined,
            Err(_) => StopReason::Interrupted,
        }
    }

    async fn send(&self, rows: &[&Row], interrupts: &mut Interrupts, slow: &Slow) -> StopReason {
        if rows.is_empty() {
            return StopReason::End;
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
        let mut stop = StopReason::End;
        loop {
            tokio::select! {
                biased;
                () = interrupts.next() => {
                    if matches!(stop, StopReason::Interrupted) {
                        break;
                    }
                    stop = StopReason::Interrupted;
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
                    if let (StopReason::End, Err(error)) = (&stop, outcome)
                        && let Some(reason) = self.stops_at(&error)
                    {
                        stop = reason;
                        batch.stop();
                    }
                }
            }
        }
        drop(batch);
        drop(progress);
        broken.into_inner().map_or(stop, StopReason::Journal)
    }

    /// Why a failure ends it all, if it does.
    fn stops_at(&self, error: &Error) -> Option<StopReason> {
        let failures = self.failures.get() + 1;
        self.failures.set(failures);
        if error.is_auth() {
            return Some(StopReason::Key);
        }
        let most = self.options.max_failures?;
        (failures >= most).then_some(StopReason::TooManyFailures)
    }

    /// Records that a number is begun, and makes its call.
    fn begin(&self, row: &Row) -> io::Result<Call<PhoneNumber>> {
        let change = self.input.change(row);
        let change = change.map_err(|failure| io::Error::other(failure.to_string()))?;
        let update = change::update(&change).map_err(io::Error::other)?;
        self.journal.begun(&row.number, &change)?;
        let mut history = self.history.borrow_mut();
        let record = history.entry(row.number.clone()).or_default();
        record.under_way = true;
        record.sets = change.keys().cloned().collect();
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
            let line = format!("{} {}", row.number, ended.outcome.label());
            self.unwritten.borrow_mut().push(line);
        }
        let mut history = self.history.borrow_mut();
        let record = history.entry(row.number.clone()).or_default();
        record.under_way = false;
        record.ended = Some(ended);
        written
    }

    /// Writes the results, and says how it has ended.
    pub fn report(&self, matches: &ArgMatches, rows: &[Row], stop: &StopReason) -> Result<Exit> {
        let journal = self.journal.path.display();
        let synced = self.journal.sync();
        let history = self.history.borrow();
        let report = Report::new(rows.iter(), &history);
        let stem = journal::stem(&self.journal.path);
        let written = report.write(self.input, &stem);
        report.print(matches, self.input, &stem);
        for line in self.unwritten.borrow().iter() {
            ui::warn(&format!("the journal does not have it: {line}"));
        }
        let mut failed = false;
        if let Err(error) = synced {
            ui::error(&format!("{journal} may not be on the disk: {error}"));
            failed = true;
        }
        if let Err(error) = written {
            ui::error(&format!(
                "the results could not be written: {error}; make room, and `sigmamind resume \
                 {journal}` writes them"
            ));
            failed = true;
        }
        let (exit, why) = match stop {
            StopReason::End if report.is_all_applied() && !failed => return Ok(Exit::Done),
            StopReason::End => return Ok(Exit::SomeFailed),
            StopReason::Key => (Exit::Key, "the server refuses the API key".to_owned()),
            StopReason::TooManyFailures => (Exit::Stopped, "too many have failed".into()),
            StopReason::Declined => (Exit::Stopped, "stopped after the first".into()),
            StopReason::Interrupted => (Exit::Interrupted, "interrupted".into()),
            StopReason::Journal(error) => {
                (Exit::Stopped, format!("cannot write {journal}: {error}"))
            }
        };
        let goes_on = format!("{why}; `sigmamind resume {journal}` goes on");
        Err(Failure::new(exit, goes_on))
    }
}
