//! Reads a journal, line by line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use serde_json::{Map, Value};
use sigmamind::E164;

use super::{
    VERSION,
    lines::{Ended, Entry, Job},
};
use crate::{
    failure::{Failure, Result},
    files,
    history::History,
    text::quoted,
    ui::warn,
};

/// Properties that a reader of a journal sees besides the states.
pub enum Seen {
    /// Properties of a number before the job, as `apply --before` found them.
    Before(E164, Map<String, Value>),
    /// Properties of a number that the server reported.
    Reported(E164, Map<String, Value>),
}

/// Reads a journal, whoever may be writing it.
pub fn peek(path: &Path, seen: &mut dyn FnMut(Seen)) -> Result<(Job, History)> {
    files::check_input(path)?;
    read(path, seen).map(|(job, history, _)| (job, history))
}

/// Returns whether a file begins as a journal does.
pub fn is_journal(path: &Path) -> bool {
    let mut text = [0; 8];
    files::check_input(path).is_ok()
        && File::open(path).is_ok_and(|mut file| io::Read::read_exact(&mut file, &mut text).is_ok())
        && text == *br#"{"job":{"#
}

/// Returns the job, what is known of its numbers, and how many bytes of the file are good.
pub(super) fn read(path: &Path, seen: &mut dyn FnMut(Seen)) -> Result<(Job, History, u64)> {
    let name = quoted(path);
    let file = File::open(path).map_err(|error| read_error(path, &error))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut job, mut history) = (None::<Job>, History::default());
    let (mut text, mut good) = (Vec::new(), 0);
    for number in 1.. {
        text.clear();
        let length = reader
            .read_until(b'\n', &mut text)
            .map_err(|error| read_error(path, &error))?;
        if length == 0 {
            break;
        }
        if text.last() != Some(&b'\n') {
            if number > 1 {
                warn(&format!(
                    "the last line of {name} is cut off and counts as not written"
                ));
            }
            break;
        }
        let refuse = |why: &str| {
            Failure::usage(format!(
                "{name}:{number}:1: {why}; restore the file, or `sigmamind apply` FILE as a new \
                 job with another --journal"
            ))
        };
        let line = match serde_json::from_slice(&text) {
            Ok(line) => line,
            Err(_) if number == 1 => return Err(not_a_journal(&name, &text)),
            Err(_) => return Err(refuse("this is not a line of a journal")),
        };
        match (&job, line) {
            (None, Entry::Job(first)) => job = Some(*first),
            (None, _) => return Err(not_a_journal(&name, &text)),
            (Some(job), line) => {
                if !take(&job.id, line, good, &mut history, seen) {
                    return Err(refuse("this line belongs to another job"));
                }
            }
        }
        good += length as u64;
    }
    match job {
        Some(job) => Ok((job, history, good)),
        None => Err(Failure::usage(format!(
            "{name} has no complete first line, so nothing was sent; delete it, and `apply` again"
        ))),
    }
}

/// Applies an entry to the history; returns whether it belongs to this job.
fn take(
    job: &str,
    line: Entry,
    at: u64,
    history: &mut History,
    seen: &mut dyn FnMut(Seen),
) -> bool {
    match line {
        Entry::Job(other) => return other.id == job,
        Entry::Resumed(event) => return event.job == job,
        Entry::Begun(begun) => {
            if begun.job != job {
                return false;
            }
            let sets = history.sets_index(begun.sets);
            if let Some(before) = begun.before {
                seen(Seen::Before(begun.number.clone(), before));
            }
            let record = history.records.entry(begun.number).or_default();
            record.sets = sets;
            record.begin();
        }
        Entry::Unsent(unsent) => {
            if unsent.job != job {
                return false;
            }
            history.records.entry(unsent.number).or_default().unsent();
        }
        Entry::Ended(stamped) => {
            if stamped.job != job {
                return false;
            }
            let Ended {
                number,
                outcome,
                reported,
                ..
            } = stamped.ended;
            history
                .records
                .entry(number.clone())
                .or_default()
                .end(outcome, Some(at));
            if let Some(reported) = reported {
                seen(Seen::Reported(number, reported));
            }
        }
    }
    true
}

fn not_a_journal(name: &str, first: &[u8]) -> Failure {
    let value: Value = serde_json::from_slice(first).unwrap_or_default();
    match value["job"]["version"].as_u64() {
        Some(version) if version != u64::from(VERSION) => Failure::usage(format!(
            "{name} has version {version}, and this program knows version {VERSION}; use the \
             program that wrote it"
        )),
        _ => Failure::usage(format!("{name} is not a journal")),
    }
}

pub(super) fn read_error(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", quoted(path)))
}
