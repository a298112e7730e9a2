//! `rollback`: a file that sets back what a job has changed.

mod summary;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use sigmamind::E164;

use summary::{Extent, Missing, Summary, setting};

use crate::{
    apply::find_file,
    args::{Format, RollbackArgs},
    export::{Export, is_same},
    failure::{Exit, Failure, Result},
    files::{self, beside},
    history::{History, Record},
    journal::{self, Job, Seen},
    schema::{Column, Columns, number_name},
    text::{count, escape_json, quoted},
    ui,
};

/// Maximum count of numbers that are compared with the values reported after the job: enough to see
/// whether the old values are from before it, and few enough to be kept in memory.
const COMPARED: usize = 100_000;

/// A job that is to be set back.
struct Rollback<'r> {
    job: Job,
    history: History,
    /// Values that the server reported after the job.
    after: Export,
    columns: &'r Columns,
}

pub fn rollback(args: &RollbackArgs, columns: &Columns) -> Result<Exit> {
    let mut kept = Export::default();
    let mut after = Export::default();
    let is_property = |name: &str| {
        columns
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(name))
    };
    let (job, history) = journal::peek(&args.journal, &mut |seen| match seen {
        Seen::Before(number, values) => insert(&mut kept, number, &values, &is_property),
        Seen::Reported(number, values) if after.len() < COMPARED => {
            insert(&mut after, number, &values, &is_property);
        }
        Seen::Reported(..) => {}
    })?;
    let rollback = Rollback {
        job,
        history,
        after,
        columns,
    };
    let missing = beside(&args.output, ".missing.csv");
    rollback.check_files(args, &missing)?;
    let before = match &args.before {
        Some(path) => rollback.before(args, path, &is_property)?,
        None if rollback.job.before.is_some() => kept,
        None => {
            return Err(Failure::usage(
                "the old values are not known; use --before FILE with an export from before the \
                 job, or an earlier journal",
            ));
        }
    };
    rollback.run(args, &before, &missing)
}

/// Keeps the values that a request can set.
fn insert(
    export: &mut Export,
    number: E164,
    values: &Map<String, Value>,
    is_property: &dyn Fn(&str) -> bool,
) {
    let values = values.iter().filter(|(name, _)| is_property(name));
    export.insert(
        number,
        values.map(|(name, value)| (name.as_str(), value.clone())),
    );
}

impl Rollback<'_> {
    fn check_files(&self, args: &RollbackArgs, missing: &Path) -> Result<()> {
        let mut files = files::Plan::new(args.force);
        let results = journal::outputs(&args.journal, "csv");
        let failed = journal::outputs(&args.journal, "jsonl").1;
        let file = find_file(&args.journal, &self.job.file);
        let own = [&args.journal, &file, &results.0, &results.1, &failed];
        for path in own {
            files.input(path);
        }
        if let Some(before) = &args.before {
            if let Some(own) = own.into_iter().find(|own| files::is_same(own, before)) {
                let what = if *own == args.journal {
                    "the job itself"
                } else {
                    "a file of the job"
                };
                return Err(Failure::usage(format!(
                    "{} is {what}, so it does not have the values from before; use an export from \
                     before the job, or an earlier journal",
                    quoted(before)
                )));
            }
            files.input(before);
        }
        files.output(&args.output, false)?;
        files.output(missing, false)
    }

    /// Reads what the numbers were; refuses what is from after the job.
    fn before(
        &self,
        args: &RollbackArgs,
        path: &Path,
        is_property: &dyn Fn(&str) -> bool,
    ) -> Result<Export> {
        let name = quoted(path);
        if journal::is_journal(path) {
            let mut before = Export::default();
            let (job, _) = journal::peek(path, &mut |seen| {
                if let Seen::Reported(number, values) = seen {
                    insert(&mut before, number, &values, is_property);
                }
            })?;
            if job.id == self.job.id {
                return Err(Failure::usage(format!(
                    "{name} is a copy of the job's own journal"
                )));
            }
            if job.at >= self.job.at {
                return Err(Failure::usage(format!(
                    "{name} is the journal of a later job (started {}, after {})",
                    job.at, self.job.at
                )));
            }
            return Ok(before);
        }
        let before = Export::read(path, self.columns, is_property)?;
        if before.sha256 == self.job.file.sha256 {
            return Err(Failure::usage(format!(
                "{name} is a copy of the job's file, so it has the new values"
            )));
        }
        let (same, all) = self.compare(&before);
        if same == all && all > 0 && !args.force {
            return Err(Failure::usage(format!(
                "{name} has the values that the job has set, on all {}; it seems to be from after \
                 the job; use --force if it is not",
                count(all, "number")
            )));
        }
        self.warn_if_later(path);
        Ok(before)
    }

    /// On how many numbers the old values are those that the server reported after the job; and of
    /// how many numbers both are known.
    fn compare(&self, before: &Export) -> (usize, usize) {
        let (mut same, mut all) = (0, 0);
        for (number, record) in &self.history.records {
            if !record.may_be_applied() {
                continue;
            }
            let sets = self.history.sets.get(record.sets).into_iter().flatten();
            let pairs: Vec<_> = sets
                .filter_map(|name| Some((before.get(number, name)?, self.after.get(number, name)?)))
                .collect();
            all += usize::from(!pairs.is_empty());
            let is_so = pairs.iter().all(|(before, after)| is_same(before, after));
            same += usize::from(!pairs.is_empty() && is_so);
        }
        (same, all)
    }

    fn warn_if_later(&self, path: &Path) {
        let written = fs::metadata(path).and_then(|file| file.modified());
        let started = humantime::parse_rfc3339(&self.job.at);
        if let (Ok(written), Ok(started)) = (written, started)
            && written > started
        {
            ui::warn(&format!(
                "{} was written after the job was started ({}); check that its values are from \
                 before",
                quoted(path),
                self.job.at
            ));
        }
    }

    /// Writes both files, and says what can be set back.
    fn run(&self, args: &RollbackArgs, before: &Export, missing: &Path) -> Result<Exit> {
        let mut sent: Vec<_> = self
            .history
            .records
            .iter()
            .filter(|(_, record)| record.may_be_applied())
            .collect();
        sent.sort_by_key(|(number, _)| *number);
        if sent.is_empty() {
            return Err(Failure::usage(format!(
                "{} has nothing that may be applied, so there is nothing to set back",
                quoted(&args.journal)
            )));
        }
        let used = self.used(&sent);
        let mut out = csv::Writer::from_writer(Vec::new());
        let names = used.iter().map(|column| column.name.as_str());
        let write_error = |error: csv::Error| Failure::usage(error.to_string());
        out.write_record([number_name()].into_iter().chain(names))
            .map_err(write_error)?;
        let mut summary = Summary::default();
        for (number, record) in sent {
            let cells = self.cells(number, record, &used, before, &mut summary);
            if cells.iter().any(|cell| !cell.is_empty()) {
                let row = [number.to_string()].into_iter().chain(cells);
                out.write_record(row).map_err(write_error)?;
                summary.rows += 1;
            }
        }
        let text = out.into_inner().unwrap_or_default();
        Self::finish(args, missing, &text, &summary)
    }

    /// The properties that the job has set, without secrets.
    fn used(&self, sent: &[(&E164, &Record)]) -> Vec<&Column> {
        let mut sets = vec![false; self.history.sets.len()];
        for (_, record) in sent {
            sets[record.sets] = true;
        }
        let sets: Vec<_> = self
            .history
            .sets
            .iter()
            .zip(sets)
            .filter(|(_, used)| *used)
            .collect();
        let is_used = |name: &String| sets.iter().any(|(set, _)| set.contains(name));
        let columns = self.columns.iter();
        columns
            .filter(|column| !column.secret && is_used(&column.name))
            .collect()
    }

    /// The cells that set a number back; an empty one leaves a property as it is.
    fn cells(
        &self,
        number: &E164,
        record: &Record,
        used: &[&Column],
        before: &Export,
        summary: &mut Summary,
    ) -> Vec<String> {
        let sets = self
            .history
            .sets
            .get(record.sets)
            .map_or(&[][..], Vec::as_slice);
        let mut cells = vec![String::new(); used.len()];
        let mut known = 0;
        for name in sets {
            let place = used.iter().position(|column| column.name == *name);
            let restored = match place {
                None => Err("a secret or no property any more; it is in no export"),
                Some(index) => {
                    let missing = if before.contains(number) {
                        "the old values do not have this property"
                    } else {
                        "the old values do not have this number"
                    };
                    let value = before.get(number, name).ok_or(missing);
                    value
                        .and_then(|value| setting(used[index], value))
                        .map(|text| (index, text))
                }
            };
            match restored {
                Ok((index, text)) => {
                    cells[index] = text;
                    known += 1;
                }
                Err(reason) => summary.missing.push(Missing {
                    number: number.clone(),
                    property: name.clone(),
                    reason,
                }),
            }
        }
        let extent = match known {
            0 => Extent::Nothing,
            known if known == sets.len() => Extent::All,
            _ => Extent::Part,
        };
        let (count, _) = summary
            .extents
            .entry(extent)
            .or_insert_with(|| (0, number.clone()));
        *count += 1;
        cells
    }

    fn finish(args: &RollbackArgs, missing: &Path, rows: &[u8], summary: &Summary) -> Result<Exit> {
        let mut written: Vec<PathBuf> = Vec::new();
        let mut write = |path: &Path, text: &[u8]| {
            let result = files::write(path, |out| out.write_all(text));
            written.push(path.to_owned());
            result.map_err(|error| {
                Failure::new(
                    Exit::SomeFailed,
                    format!("cannot write {}: {error}", quoted(path)),
                )
            })
        };
        if summary.rows > 0 {
            write(&args.output, rows)?;
            ui::info(&format!(
                "`sigmamind apply {}` sets {} back.",
                quoted(&args.output),
                count(summary.rows, "number")
            ));
        }
        if !summary.missing.is_empty() {
            write(missing, summary.missing_csv().as_bytes())?;
            ui::info(&format!(
                "What cannot be set back, and why: {}.",
                quoted(missing)
            ));
        }
        let text = match args.format.format {
            Format::Table => summary.tables(),
            Format::Csv => summary.missing_csv(),
            Format::Json => escape_json(format!("{:#}", summary.json(args, missing))),
            Format::Jsonl => escape_json(summary.json(args, missing).to_string()),
        };
        ui::print_or_fail(&text)?;
        Ok(if summary.missing.is_empty() {
            Exit::Done
        } else {
            Exit::SomeFailed
        })
    }
}
