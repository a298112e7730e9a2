//! `apply` and `resume`: many numbers, each of them recorded.

use std::{
    cell::RefCell,
    io,
    path::{Path, PathBuf},
};

use clap::ArgMatches;
use sigmamind::{Batch, Call, Client, Error, PhoneNumber, Response};
use tokio::{
    runtime,
    task::{JoinHandle, spawn_blocking},
    time::interval,
};

use crate::{
    change::{self, Change},
    failure::{Exit, Failure, Result},
    input::{Input, Row},
    interrupt::Interrupts,
    journal::{self, Fate, Job, Journal, Outcome, Past, SYNC},
    key::Connection,
    outcome,
    plan::Plan,
    progress::Progress,
    report::Report,
    schema::Columns,
    screen::{self, count},
    slow::Slow,
};

/// How it is sent.
struct Options {
    at_once: usize,
    max_failures: Option<usize>,
    canary: Option<usize>,
    yes: bool,
}

impl Options {
    fn of(matches: &ArgMatches) -> Self {
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

    fn agree(&self, question: &str) -> Result<bool> {
        if self.yes {
            Ok(true)
        } else {
            screen::ask(question)
        }
    }
}

/// Why sending has ended.
enum Halt {
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

pub fn apply(matches: &ArgMatches, columns: &Columns) -> Result<Exit> {
    let options = Options::of(matches);
    let connection = Connection::of(matches);
    let file = matches.get_one::<PathBuf>("file").expect("it is required");
    let to = change::of_all(matches, columns)?;
    let secrets = change::secrets(matches, columns)?;
    let common = together(&to, &secrets)?;
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
    screen::say(&plan.words(columns, &input.name, connection.server()));
    if matches.get_flag("dry-run") {
        screen::say("This was a dry run: nothing was sent.");
        return Ok(Exit::Done);
    }

    let client = connection.client()?;
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
    let work = Work {
        columns,
        input: &input,
        client,
        options,
        journal: Journal::create(&path, &job)?,
        past: RefCell::default(),
        unwritten: RefCell::default(),
    };
    work.run(matches, &rows, &rows.iter().collect::<Vec<_>>())
}

pub fn resume(matches: &ArgMatches, columns: &Columns) -> Result<Exit> {
    let options = Options::of(matches);
    let connection = Connection::of(matches);
    let path = matches
        .get_one::<PathBuf>("journal")
        .expect("it is required");
    let (journal, job, past) = Journal::open(path)?;
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
        return Err(Failure::usage(format!(
            "the job sets these secrets on every number: {}; give the same again, as with `apply`",
            if job.secrets.is_empty() {
                "none".into()
            } else {
                job.secrets.join(", ")
            },
        )));
    }
    let common = together(&job.to, &secrets)?;
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
        if !past.get(&row.number).is_some_and(Fate::is_applied) {
            plan.add(columns, row, change);
        }
    })?;
    let rest: Vec<_> = rows
        .iter()
        .filter(|row| !past.get(&row.number).is_some_and(Fate::is_applied))
        .collect();
    say_past(&rows, &past);
    let work = Work {
        columns,
        input: &input,
        options,
        client: if rest.is_empty() {
            connection.checking()
        } else {
            connection.client()
        }?,
        journal,
        past: RefCell::new(past),
        unwritten: RefCell::default(),
    };
    if rest.is_empty() {
        screen::say("There is nothing left to send.");
        return work.report(matches, &rows, &Halt::End);
    }
    screen::say(&plan.words(columns, &input.name, connection.server()));
    if !work
        .options
        .agree(&format!("Send {}?", count(rest.len(), "request")))?
    {
        return Err(Failure::usage("nothing was sent"));
    }
    if let Err(error) = work.journal.resumed() {
        return Err(Failure::usage(format!(
            "cannot write {}: {error}; nothing was sent",
            path.display()
        )));
    }
    work.run(matches, &rows, &rest)
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

fn together(to: &Change, secrets: &Change) -> Result<Change> {
    let mut common = to.clone();
    for (name, value) in secrets {
        if common.insert(name.clone(), value.clone()).is_some() {
            return Err(Failure::usage(format!("`{name}` is given twice")));
        }
    }
    Ok(common)
}

/// Says how far the job had come.
fn say_past(rows: &[Row], past: &Past) {
    let (mut applied, mut failed, mut under_way) = (0, 0, Vec::new());
    for row in rows {
        match past.get(&row.number) {
            Some(fate) if fate.under_way => under_way.push(row.number.as_str()),
            Some(fate) if fate.is_applied() => applied += 1,
            Some(_) => failed += 1,
            None => {}
        }
    }
    let never = rows.len() - applied - failed - under_way.len();
    screen::say(&format!(
        "Of {}, {applied} applied, {failed} failed, {} under way, {never} not begun.",
        count(rows.len(), "number"),
        under_way.len(),
    ));
    if !under_way.is_empty() {
        let more = if under_way.len() > 20 { ", …" } else { "" };
        under_way.truncate(20);
        screen::say(&format!(
            "Under way when it ended, so that they may be applied or not: {}{more}. They are sent \
             again, which is safe: a request sets properties to values, and the second time \
             changes nothing more.",
            under_way.join(", "),
        ));
    }
}

/// A job, with all that it takes.
struct Work<'w> {
    columns: &'w Columns,
    input: &'w Input<'w>,
    client: Client,
    options: Options,
    journal: Journal,
    past: RefCell<Past>,
    /// What could not be written into the journal.
    unwritten: RefCell<Vec<String>>,
}

impl Work<'_> {
    /// Sends what is left of the rows, and reports on all of them.
    fn run(&self, matches: &ArgMatches, rows: &[Row], rest: &[&Row]) -> Result<Exit> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::usage(format!("cannot begin: {error}")))?;
        let entered = runtime.enter();
        let mut interrupts = Interrupts::new()
            .map_err(|error| Failure::usage(format!("cannot listen to Ctrl-C: {error}")))?;
        drop(entered);
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
        let mut halt = Halt::End;
        let mut failures = 0;
        let calls = rows.iter().map_while(|row| {
            let call = self.begin(row);
            call.map_err(|error| broken.replace(Some(error))).ok()
        });
        let mut batch = Batch::new(calls).at_once(self.options.at_once);
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
                        let next = spawn_blocking(self.journal.syncing());
                        let last = syncing.replace(next);
                        if let Some(last) = last && let Ok(Err(error)) = last.await {
                            batch.stop();
                            broken.replace(Some(error));
                        }
                    }
                }
                next = batch.next() => {
                    let Some((index, outcome)) = next else { break };
                    let row = rows[index];
                    let applied = outcome.is_ok();
                    let refused = outcome.as_ref().is_err_and(Error::is_auth);
                    progress.ended(applied);
                    failures += usize::from(!applied);
                    if let Err(error) = self.end(row, &outcome) {
                        batch.stop();
                        broken.replace(Some(error));
                    }
                    if refused && !matches!(halt, Halt::Interrupted) {
                        batch.stop();
                        halt = Halt::Key;
                    }
                    if matches!(halt, Halt::End)
                        && self.options.max_failures.is_some_and(|most| failures >= most)
                    {
                        batch.stop();
                        halt = Halt::TooManyFailures;
                    }
                }
            }
        }
        drop(batch);
        drop(progress);
        match broken.into_inner() {
            Some(error) => Halt::Journal(error),
            None => halt,
        }
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
            let became = match ended.outcome {
                Outcome::Applied => "applied",
                Outcome::Failed => "failed",
                Outcome::Unknown => "failed, and may have taken effect",
            };
            let line = format!("{} {became}", row.number);
            self.unwritten.borrow_mut().push(line);
        }
        let mut past = self.past.borrow_mut();
        let fate = past.entry(row.number.clone()).or_default();
        fate.under_way = false;
        fate.ended = Some(ended);
        written
    }

    /// Writes the results, and says how it has ended.
    fn report(&self, matches: &ArgMatches, rows: &[Row], halt: &Halt) -> Result<Exit> {
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
