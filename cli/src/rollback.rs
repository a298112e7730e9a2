//! `rollback`: a file that sets back what a job has applied.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use clap::ArgMatches;
use serde_json::{Map, Value, json};
use sigmamind::E164;

use crate::{
    export,
    failure::{Exit, Failure, Result},
    files, journal,
    outcome::counterpart,
    schema::{Column, Columns, Kind, number_name},
    ui::{self, table},
};

/// What was there before, by number; the names are the properties' or the answers'.
type Before = HashMap<E164, Map<String, Value>>;

/// How much is known of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    All,
    Part,
    Nothing,
}

impl Known {
    fn label(self) -> &'static str {
        match self {
            Self::All => "set back",
            Self::Part => "set back in part",
            Self::Nothing => "nothing known",
        }
    }
}

pub fn rollback(matches: &ArgMatches, columns: &Columns) -> Result<Exit> {
    let path = |id: &str| matches.get_one::<PathBuf>(id).expect("it is required");
    let (_, history) = journal::peek(path("journal"))?;
    let before = before(path("before"))?;
    let mut sent: Vec<_> = history
        .iter()
        .filter(|(_, record)| record.may_be_applied())
        .collect();
    sent.sort_by_key(|(number, _)| *number);
    if sent.is_empty() {
        return Err(Failure::usage(format!(
            "{} has nothing as applied, so there is nothing to set back",
            path("journal").display()
        )));
    }

    let mut used: Vec<&Column> = columns
        .iter()
        .filter(|column| {
            sent.iter()
                .any(|(_, record)| record.sets.contains(&column.name))
        })
        .collect();
    used.retain(|column| !column.secret);
    let mut rows = Vec::new();
    let mut unknown: BTreeMap<&str, usize> = BTreeMap::new();
    let mut counts: BTreeMap<Known, Vec<&E164>> = BTreeMap::new();
    for (number, record) in sent {
        let was = before.get(number);
        let cells = used.iter().map(|column| {
            let was = was.filter(|_| record.sets.contains(&column.name))?;
            text(column, counterpart(was, &column.name)?)
        });
        let cells: Vec<Option<String>> = cells.collect();
        let known = cells.iter().flatten().count();
        counts
            .entry(match known {
                0 => Known::Nothing,
                known if known == record.sets.len() => Known::All,
                _ => Known::Part,
            })
            .or_default()
            .push(number);
        for name in &record.sets {
            let place = used.iter().position(|column| column.name == *name);
            if place.is_none_or(|index| cells[index].is_none()) {
                *unknown.entry(name).or_default() += 1;
            }
        }
        if known > 0 {
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            rows.push(
                [number.to_string()]
                    .into_iter()
                    .chain(cells)
                    .collect::<Vec<_>>(),
            );
        }
    }

    if !rows.is_empty() {
        let back = path("back");
        write(back, &used, &rows)?;
        ui::info(&format!(
            "`sigmamind apply {0}` sets them back.",
            back.display()
        ));
    }
    print(matches, &counts, &unknown);
    let all = counts.keys().all(|known| *known == Known::All);
    Ok(if all { Exit::Done } else { Exit::SomeFailed })
}

fn write(back: &Path, used: &[&Column], rows: &[Vec<String>]) -> Result<()> {
    let written = files::write(back, |out| {
        let mut out = csv::Writer::from_writer(out);
        let names = used.iter().map(|column| column.name.as_str());
        out.write_record([number_name()].into_iter().chain(names))?;
        for row in rows {
            out.write_record(row)?;
        }
        out.flush()
    });
    written.map_err(|error| Failure::usage(format!("cannot write {}: {error}", back.display())))
}

fn print(
    matches: &ArgMatches,
    counts: &BTreeMap<Known, Vec<&E164>>,
    unknown: &BTreeMap<&str, usize>,
) {
    let kinds = counts.iter();
    let kinds = kinds.map(|(known, numbers)| (known.label(), numbers.len(), numbers[0]));
    let text = match matches.get_one::<String>("output").map(String::as_str) {
        Some("json") => {
            let kinds = kinds.map(|(known, numbers, first)| {
                json!({ "known": known, "numbers": numbers, "such_as": first })
            });
            let result = json!({ "numbers": kinds.collect::<Vec<_>>(), "unknown": unknown });
            format!("{result:#}")
        }
        Some("csv") => {
            let lines = kinds.map(|(known, numbers, first)| format!("{known},{numbers},{first}\n"));
            format!("known,numbers,such as\n{}", lines.collect::<String>())
        }
        _ => {
            let rows = kinds.map(|(known, numbers, first)| {
                [known.to_owned(), numbers.to_string(), first.to_string()]
            });
            let mut text = table(&["what", "numbers", "such as"], rows);
            if !unknown.is_empty() {
                let rows = unknown.iter();
                let rows = rows.map(|(name, numbers)| [(*name).to_owned(), numbers.to_string()]);
                text += "\n\n";
                text += &table(&["what it was is not known", "numbers"], rows);
            }
            text
        }
    };
    if let Err(error) = ui::print(&text) {
        ui::warn(&format!("the result could not be printed: {error}"));
    }
}

/// What the numbers were, by an export or by what an earlier job was told.
fn before(path: &Path) -> Result<Before> {
    let bytes = fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    if !journal::is_journal(&bytes) {
        return export::numbers(path, &bytes);
    }
    let (_, history) = journal::peek(path)?;
    let reported = history.into_iter().filter_map(|(number, record)| {
        let reported = record.ended?.reported?;
        Some((number, reported))
    });
    Ok(reported.collect())
}

/// The cell that sets a property to what it was; none if it cannot be set to that.
fn text(column: &Column, was: &Value) -> Option<String> {
    match was {
        Value::Null => column.nullable.then(|| r"\N".to_owned()),
        Value::String(text) if text.is_empty() => None,
        Value::String(text) if text == crate::change::REDACTED => None,
        Value::String(text) => Some(text.clone()),
        // A number that was reported as an integer has lost its `+`.
        Value::Number(number) if column.kind == Kind::Text => Some(format!("+{number}")),
        value => Some(value.to_string()),
    }
}
