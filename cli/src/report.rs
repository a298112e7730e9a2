//! What became of each number, and of all of them.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use clap::ArgMatches;
use serde_json::{Value, json};
use sigmamind::E164;

use crate::{
    files,
    input::{Input, Row},
    journal::{History, Outcome, Record},
    schema::{self, number_name},
    ui::{self, count, table},
};

/// What became of the rows of a file, in their order.
pub struct Report<'r> {
    rows: Vec<(&'r Row, Option<&'r Record>)>,
}

/// In the order in which they are reported.
const LABELS: [&str; 5] = ["applied", "failed", "unknown", "under way", "not begun"];

fn label(record: Option<&Record>) -> &'static str {
    match record {
        None => LABELS[4],
        Some(record) if record.under_way => LABELS[3],
        Some(record) => match record.ended.as_ref().map(|ended| ended.outcome) {
            Some(Outcome::Applied) => LABELS[0],
            Some(Outcome::Failed) => LABELS[1],
            Some(Outcome::Unknown) => LABELS[2],
            None => LABELS[4],
        },
    }
}

impl<'r> Report<'r> {
    pub fn new(rows: impl Iterator<Item = &'r Row>, history: &'r History) -> Self {
        Self {
            rows: rows.map(|row| (row, history.get(&row.number))).collect(),
        }
    }

    pub fn is_all_applied(&self) -> bool {
        self.rest().is_empty()
    }

    /// The rows that are not applied, as far as is known.
    fn rest(&self) -> Vec<&'r Row> {
        let rest = self.rows.iter();
        let rest = rest.filter(|(_, record)| !record.is_some_and(Record::is_applied));
        rest.map(|(row, _)| *row).collect()
    }

    /// Writes the results, and what is left to be applied.
    pub fn write(&self, input: &Input, stem: &Path) -> io::Result<()> {
        files::write(&results(stem), |out| self.csv(out))?;
        let path = failed(stem, input);
        let rest = self.rest();
        if rest.is_empty() {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        files::write(&path, |out| input.excerpt(&rest, out))?;
        Ok(())
    }

    /// A row for each number.
    fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let reported = schema::reported();
        let mut out = csv::Writer::from_writer(out);
        let fixed = [
            "outcome",
            "status",
            "attempts",
            "requestId",
            "message",
            "differs",
        ];
        let fixed = [number_name()].into_iter().chain(fixed).map(str::to_owned);
        let header = fixed.chain(reported.iter().map(|name| format!("reported.{name}")));
        out.write_record(header)?;
        for (row, record) in &self.rows {
            let ended = record.and_then(|record| record.ended.as_ref());
            let text = |text: Option<String>| text.unwrap_or_default();
            let mut record = vec![
                row.number.to_string(),
                label(*record).to_owned(),
                text(
                    ended
                        .and_then(|ended| ended.status)
                        .map(|status| status.to_string()),
                ),
                text(ended.map(|ended| ended.attempts.to_string())),
                text(ended.and_then(|ended| ended.request_id.clone())),
                text(ended.and_then(|ended| ended.message.clone())),
                text(ended.map(|ended| ended.differs.join(" "))),
            ];
            let values = ended.and_then(|ended| ended.reported.as_ref());
            for name in &reported {
                let value = values.and_then(|values| values.get(name));
                record.push(value.map(cell).unwrap_or_default());
            }
            out.write_record(record)?;
        }
        out.flush()
    }

    /// Prints the result as it was asked for, and says where the rest is.
    pub fn print(&self, matches: &ArgMatches, input: &Input, stem: &Path) {
        let printed = match matches.get_one::<String>("output").map(String::as_str) {
            Some("json") => ui::print(&format!("{:#}", self.json(stem))),
            Some("csv") => {
                let mut text = Vec::new();
                let written = self.csv(&mut text);
                written.and_then(|()| ui::print(&String::from_utf8_lossy(&text)))
            }
            _ => ui::print(&self.tables()),
        };
        if let Err(error) = printed {
            ui::warn(&format!("the result could not be printed: {error}"));
        }
        let results = results(stem);
        let rest = match self.rest().len() {
            0 => String::new(),
            rest => format!(
                ", and {} to `apply` again in {}",
                count(rest, "row"),
                failed(stem, input).display()
            ),
        };
        ui::info(&format!("Every number is in {}{rest}.", results.display()));
    }

    /// What became of a canary, number by number.
    pub fn canary(&self) -> String {
        let rows = self.rows.iter().map(|(row, record)| {
            let ended = record.and_then(|record| record.ended.as_ref());
            let message = ended.and_then(|ended| ended.message.clone());
            let differs = ended
                .map(|ended| ended.differs.join(", "))
                .filter(|names| !names.is_empty());
            let differs = differs.map(|names| format!("reported otherwise: {names}"));
            [
                row.number.to_string(),
                label(*record).to_owned(),
                message.or(differs).unwrap_or_default(),
            ]
        });
        table(&["number", "outcome", ""], rows)
    }

    fn tables(&self) -> String {
        let counts = self.counts();
        let counts = LABELS
            .iter()
            .filter_map(|word| Some((word, *counts.get(word)?)));
        let mut text = table(
            &["outcome", "numbers"],
            counts.map(|(word, count)| [(*word).to_owned(), count.to_string()]),
        );
        let failures = self.failures();
        if !failures.is_empty() {
            let rows = failures.iter().map(|(why, numbers)| {
                [
                    numbers.len().to_string(),
                    numbers[0].to_string(),
                    why.clone(),
                ]
            });
            text += "\n\n";
            text += &table(&["numbers", "such as", "failure"], rows);
        }
        for (name, numbers) in self.differing() {
            let (numbers, first) = (count(numbers.len(), "number"), numbers[0]);
            let sentence = format!(
                "The server reports `{name}` otherwise than it was sent on {numbers}, such as \
                 {first}."
            );
            text = [text, sentence].join("\n\n");
        }
        text
    }

    fn json(&self, stem: &Path) -> Value {
        let counts = self.counts();
        let failures = self.failures();
        let failures = failures.iter().map(|(why, numbers)| {
            json!({ "failure": why, "numbers": numbers.len(), "such_as": numbers[0] })
        });
        let differing = self.differing();
        let differing = differing.iter().map(|(name, numbers)| {
            json!({ "property": name, "numbers": numbers.len(), "such_as": numbers[0] })
        });
        let mut result = json!({
            "numbers": self.rows.len(),
            "failures": failures.collect::<Vec<_>>(),
            "reported_otherwise": differing.collect::<Vec<_>>(),
            "results": results(stem),
        });
        for word in LABELS {
            result[word.replace(' ', "_")] = counts.get(word).copied().unwrap_or(0).into();
        }
        result
    }

    fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for (_, record) in &self.rows {
            *counts.entry(label(*record)).or_default() += 1;
        }
        counts
    }

    /// The kinds of failures, the most frequent first.
    fn failures(&self) -> Vec<(String, Vec<&'r E164>)> {
        let ended = self
            .rows
            .iter()
            .filter_map(|(_, record)| record.as_ref()?.ended.as_ref());
        let failed = ended.filter(|ended| ended.outcome != Outcome::Applied);
        let kinds = failed.map(|ended| {
            let message = ended.message.as_deref().unwrap_or_default();
            (kind(message), &ended.number)
        });
        most_first(kinds)
    }

    /// The properties that are reported otherwise than they were sent.
    fn differing(&self) -> Vec<(String, Vec<&'r E164>)> {
        let ended = self
            .rows
            .iter()
            .filter_map(|(_, record)| record.as_ref()?.ended.as_ref());
        let differing = ended.flat_map(|ended| {
            let names = ended.differs.iter();
            names.map(|name| (name.clone(), &ended.number))
        });
        most_first(differing)
    }
}

fn most_first<'r>(pairs: impl Iterator<Item = (String, &'r E164)>) -> Vec<(String, Vec<&'r E164>)> {
    let mut groups: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (key, number) in pairs {
        groups.entry(key).or_default().push(number);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, numbers)| std::cmp::Reverse(numbers.len()));
    groups
}

/// A message without how many attempts it took, which is not what went wrong.
fn kind(message: &str) -> String {
    let Some((before, rest)) = message.split_once(" [after ") else {
        return message.to_owned();
    };
    let after = rest.split_once(']').map_or("", |(_, after)| after);
    format!("{before}{after}")
}

/// A reported value as a cell.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn results(stem: &Path) -> PathBuf {
    files::beside(stem, ".results.csv")
}

fn failed(stem: &Path, input: &Input) -> PathBuf {
    files::beside(stem, &format!(".failed.{}", input.ending()))
}
