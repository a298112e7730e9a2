//! Report of a job: the result of each number in a file, and a summary.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use sigmamind::E164;

use crate::{
    args::Format,
    failure::{Exit, Failure, Result},
    files,
    history::{Outcome, State},
    input::Row,
    journal::{Ended, now},
    results::Results,
    runner::Runner,
    stops::StopReason,
    text::{count, escape_json, quoted},
    ui::{self, table},
};

/// The files of a job, and how to continue it.
pub struct Outputs {
    pub results: PathBuf,
    pub failed: PathBuf,
    /// The command that resumes the job, with the options that it needs.
    pub resume: String,
    pub server: String,
    pub started: String,
}

/// Numbers that failed for one reason.
struct Group {
    count: usize,
    example: E164,
    message: String,
    code: String,
    retryable: bool,
}

/// Groups by code, status and what the server said.
type Groups = BTreeMap<(Option<String>, Option<u16>, Option<String>), Group>;

/// The outcome of a job.
pub struct Report<'r> {
    runner: &'r Runner<'r>,
    outputs: &'r Outputs,
    stop: &'r StopReason,
    counts: BTreeMap<State, usize>,
    groups: Vec<Group>,
    /// For each property that is reported otherwise: how often, and an example.
    differing: BTreeMap<String, (usize, E164)>,
    written: io::Result<()>,
    failed_rows: io::Result<usize>,
}

impl<'r> Report<'r> {
    /// Writes the files and counts.
    pub fn of(runner: &'r Runner<'r>, outputs: &'r Outputs, stop: &'r StopReason) -> Self {
        let mut report = Self {
            runner,
            outputs,
            stop,
            counts: BTreeMap::new(),
            groups: Vec::new(),
            differing: BTreeMap::new(),
            written: Ok(()),
            failed_rows: Ok(0),
        };
        report.written = report.write_results();
        report.failed_rows = report.write_failed();
        report
    }

    fn write_results(&mut self) -> io::Result<()> {
        let mut groups = Groups::new();
        let path = self.outputs.results.clone();
        let mut counted = false;
        let written = files::write(&path, |out| {
            counted = true;
            self.each_row(&mut groups, out)
        });
        if !counted {
            let _ = self.each_row(&mut groups, &mut io::sink());
        }
        self.groups = groups.into_values().collect();
        self.groups
            .sort_by_key(|group| std::cmp::Reverse(group.count));
        written
    }

    /// Counts each row, even if it cannot be written.
    fn each_row(&mut self, groups: &mut Groups, out: &mut dyn io::Write) -> io::Result<()> {
        let mut results = Results::new(out)?;
        let mut written = Ok(());
        for (index, row) in self.runner.input.rows.iter().enumerate() {
            let state = self.runner.record(index).state;
            let ended = self
                .runner
                .outcome(index)
                .filter(|_| state != State::Pending);
            *self.counts.entry(state).or_default() += 1;
            if let Some(ended) = &ended {
                self.count(ended, groups);
            }
            if written.is_ok() {
                written = results.row(&row.number, state, ended.as_ref());
            }
        }
        written.and_then(|()| results.finish())
    }

    fn count(&mut self, ended: &Ended, groups: &mut Groups) {
        for name in &ended.differs {
            let (count, _) = self
                .differing
                .entry(name.clone())
                .or_insert_with(|| (0, ended.number.clone()));
            *count += 1;
        }
        if ended.outcome == Outcome::Applied {
            return;
        }
        let key = (ended.code.clone(), ended.status, ended.detail.clone());
        let group = groups.entry(key).or_insert_with(|| Group {
            count: 0,
            example: ended.number.clone(),
            message: ended.message.clone().unwrap_or_default(),
            code: ended.code.clone().unwrap_or_default(),
            retryable: ended.retryable.unwrap_or_default(),
        });
        group.count += 1;
    }

    /// Writes the rows that are not applied; returns how many.
    fn write_failed(&self) -> io::Result<usize> {
        let path = &self.outputs.failed;
        let rest: Vec<&Row> = self.rest().collect();
        if rest.is_empty() {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(0),
            };
        }
        let input = self.runner.input;
        files::write(path, |out| input.excerpt(rest.iter().copied(), out))?;
        Ok(rest.len())
    }

    /// The rows that are not applied, as far as is known.
    fn rest(&self) -> impl Iterator<Item = &'r Row> {
        let rows = self.runner.input.rows.iter().enumerate();
        let rest = rows.filter(|(index, _)| self.runner.record(*index).state != State::Applied);
        rest.map(|(_, row)| row)
    }

    fn all_applied(&self) -> bool {
        self.counts.keys().all(|state| *state == State::Applied)
    }

    /// Prints the report; returns the exit code of the job.
    pub fn finish(self) -> Result<Exit> {
        let journal = quoted(&self.runner.journal.path);
        let synced = self.runner.journal.sync();
        let mut complete = self.print();
        self.print_files();
        for line in self.runner.unwritten() {
            ui::warn(&format!("not in the journal: {line}"));
        }
        if let Err(error) = synced {
            ui::error(&format!("{journal} may not be on the disk: {error}"));
            complete = false;
        }
        if let Some(error) = self
            .written
            .as_ref()
            .err()
            .or(self.failed_rows.as_ref().err())
        {
            ui::error(&format!(
                "the results cannot be written: {error}; make room and run `{}`",
                self.outputs.resume
            ));
            complete = false;
        }
        if self.stop.is_end() {
            let applied = self.all_applied();
            return Ok(if applied && complete {
                Exit::Done
            } else {
                Exit::SomeFailed
            });
        }
        let left: Vec<_> = self
            .counts
            .iter()
            .filter(|(state, _)| **state != State::Applied)
            .map(|(state, count)| format!("{count} {}", state.label()))
            .collect();
        let text = format!(
            "{} ({}); run `{}` to continue",
            self.stop,
            left.join(", "),
            self.outputs.resume
        );
        Err(Failure::new(self.stop.exit(), text).reported())
    }

    /// Prints the summary in the requested format; returns whether that succeeded.
    fn print(&self) -> bool {
        let json = |value: Value| escape_json(format!("{value:#}"));
        let printed = match self.runner.format {
            Format::Table => ui::print(&self.tables()),
            Format::Json => ui::print(&json(self.json())),
            Format::Jsonl => ui::print(&escape_json(json!({ "summary": self.json() }).to_string())),
            Format::Csv => {
                fs::read_to_string(&self.outputs.results).and_then(|text| ui::print(&text))
            }
        };
        if let Err(error) = &printed {
            ui::warn(&format!("the result cannot be printed: {error}"));
        }
        printed.is_ok()
    }

    /// Names the files that were written.
    fn print_files(&self) {
        let mut parts = Vec::new();
        if self.written.is_ok() {
            parts.push(format!("Results: {}.", quoted(&self.outputs.results)));
        }
        match &self.failed_rows {
            Ok(0) | Err(_) => {}
            Ok(rows) => parts.push(format!(
                "{} not applied: {}.",
                count(*rows, "row"),
                quoted(&self.outputs.failed)
            )),
        }
        if !parts.is_empty() {
            ui::info(&parts.join(" "));
        }
    }

    fn tables(&self) -> String {
        let counts = State::ALL
            .iter()
            .filter_map(|state| Some((state, self.counts.get(state)?)))
            .map(|(state, count)| [state.label().to_owned(), count.to_string()]);
        let mut text = table(&["outcome", "count"], counts);
        if !self.groups.is_empty() {
            let rows = self.groups.iter().map(|group| {
                [
                    group.count.to_string(),
                    group.example.to_string(),
                    group.message.clone(),
                ]
            });
            text += "\n\n";
            text += &table(&["count", "example", "error"], rows);
        }
        for (name, (numbers, example)) in &self.differing {
            let numbers = count(*numbers, "number");
            let sentence = format!(
                "The server reports a different `{name}` than was sent for {numbers}, e.g. {example}."
            );
            text = [text, sentence].join("\n\n");
        }
        text
    }

    fn json(&self) -> Value {
        let groups = self.groups.iter().map(|group| {
            json!({
                "code": group.code, "retryable": group.retryable, "count": group.count,
                "example": group.example, "message": group.message,
            })
        });
        let differing = self.differing.iter().map(|(name, (count, example))| {
            json!({ "property": name, "count": count, "example": example })
        });
        let failed = self.failed_rows.as_ref().is_ok_and(|rows| *rows > 0);
        let named = |path: &Path, written: bool| written.then(|| path.display().to_string());
        let stopped = (!self.stop.is_end()).then(|| {
            json!({
                "code": self.stop.code(), "message": self.stop.to_string(),
                "resume": self.outputs.resume,
            })
        });
        let mut json = json!({
            "numbers": self.runner.input.rows.len(),
            "unchanged": self.runner.input.unchanged,
            "server": self.outputs.server,
            "journal": self.runner.journal.path.display().to_string(),
            "results": named(&self.outputs.results, self.written.is_ok()),
            "failed_rows": named(&self.outputs.failed, failed),
            "started_at": self.outputs.started,
            "ended_at": now(),
            "stopped": stopped,
            "failures": groups.collect::<Vec<_>>(),
            "reported_otherwise": differing.collect::<Vec<_>>(),
        });
        for state in State::ALL {
            json[state.key()] = self.counts.get(&state).copied().unwrap_or(0).into();
        }
        json
    }
}

/// Shows what became of the first numbers, one by one.
pub fn canary(runner: &Runner, rows: &[usize]) -> String {
    let rows = rows.iter().map(|index| {
        let ended = runner.outcome(*index);
        let message = ended.as_ref().and_then(|ended| ended.message.clone());
        let differs = ended
            .map(|ended| ended.differs.join(", "))
            .filter(|names| !names.is_empty())
            .map(|names| format!("reported otherwise: {names}"));
        [
            runner.input.rows[*index].number.to_string(),
            runner.record(*index).state.label().to_owned(),
            message.or(differs).unwrap_or_default(),
        ]
    });
    table(&["number", "outcome", ""], rows)
}
