//! The plan of a job, for the operator to agree to and for programs to read.

use serde_json::{Map, Value, json};

use crate::{
    args::Format,
    change::{Change, redacted, shown},
    export::Export,
    failure::Result,
    input::{Input, Row},
    schema::number_name,
    text::{count, escape_json},
    ui::{self, table},
};

/// Count of numbers that are shown as an example.
const SAMPLES: usize = 3;

/// Changes that are about to be sent.
pub struct Plan<'p> {
    pub input: &'p Input<'p>,
    /// The rows to send.
    pub rows: &'p [usize],
    pub server: &'p str,
    pub key_source: String,
    pub before: Option<&'p Export>,
}

impl Plan<'_> {
    fn changes(&self) -> impl Iterator<Item = (&Row, Change)> {
        let rows = self.rows.iter().map(|index| &self.input.rows[*index]);
        rows.map(|row| (row, self.input.change(row)))
    }

    /// For each column: on how many numbers it is set, set to the empty text, and set to null.
    fn totals(&self) -> Vec<(&str, [usize; 3])> {
        let columns = self.input.columns;
        let mut totals: Vec<_> = columns
            .iter()
            .map(|column| (column.name.as_str(), [0; 3]))
            .collect();
        for (_, change) in self.changes() {
            for (name, value) in &change {
                let kind = match value {
                    Value::Null => 2,
                    Value::String(text) if text.is_empty() => 1,
                    _ => 0,
                };
                if let Some(index) = columns.find(name) {
                    totals[index].1[kind] += 1;
                }
            }
        }
        totals.retain(|(_, counts)| counts.iter().sum::<usize>() > 0);
        totals
    }

    /// Returns the plan for people.
    pub fn text(&self) -> String {
        let columns = self.input.columns;
        let rows = self.totals().into_iter().map(|(name, counts)| {
            let kinds = ["set on", "empty on", "null on"].into_iter().zip(counts);
            let parts: Vec<_> = kinds
                .filter(|(_, count)| *count > 0)
                .map(|(kind, count)| format!("{kind} {count}"))
                .collect();
            let secret = columns
                .find(name)
                .is_some_and(|index| columns.get(index).secret);
            let secret = if secret { " (secret)" } else { "" };
            [format!("  {name}"), parts.join(", ") + secret]
        });
        let samples = self.changes().take(SAMPLES).map(|(row, change)| {
            let settings = change.iter().map(|(name, value)| {
                let after = format!("{name}={}", shown(columns, name, value));
                match self.before.and_then(|before| before.get(&row.number, name)) {
                    Some(was) => format!("{after} (was {})", shown(columns, name, was)),
                    None => after,
                }
            });
            format!(
                "  {} {}",
                row.number,
                settings.collect::<Vec<_>>().join(" ")
            )
        });
        let unchanged = match self.input.unchanged {
            0 => String::new(),
            unchanged => format!("; {unchanged} unchanged"),
        };
        format!(
            "{}: {} to update at {} with the key from {}{unchanged}\n{}\nFor example:\n{}",
            self.input.source.name,
            count(self.rows.len(), "number"),
            self.server,
            self.key_source,
            table(&[], rows),
            samples.collect::<Vec<_>>().join("\n")
        )
    }

    /// Prints the whole plan for programs: every number with every property, secrets redacted.
    pub fn print(&self, format: Format) -> Result<()> {
        let columns = self.input.columns;
        let settings = |change: &Change| -> Map<String, Value> {
            let settings = change.iter();
            settings
                .map(|(name, value)| (name.clone(), redacted(columns, name, value)))
                .collect()
        };
        let text = match format {
            Format::Table => return Ok(()),
            Format::Jsonl => {
                let lines = self.changes().map(|(row, change)| {
                    json!({ number_name(): row.number, "set": settings(&change) }).to_string()
                        + "\n"
                });
                escape_json(lines.collect())
            }
            Format::Json => {
                let rows = self.changes().map(
                    |(row, change)| json!({ number_name(): row.number, "set": settings(&change) }),
                );
                let totals = self.totals().into_iter().map(|(name, [set, empty, null])| {
                    (
                        name.to_owned(),
                        json!({ "set": set, "empty": empty, "null": (null) }),
                    )
                });
                let plan = json!({
                    "file": self.input.source.name,
                    "server": self.server,
                    "key_source": self.key_source,
                    "numbers": self.rows.len(),
                    "unchanged": self.input.unchanged,
                    "properties": totals.collect::<Map<_, _>>(),
                    "rows": rows.collect::<Vec<_>>(),
                });
                escape_json(format!("{plan:#}"))
            }
            Format::Csv => self.csv(),
        };
        ui::print_or_fail(&text).map(drop)
    }

    /// The plan as a file for `apply`.
    fn csv(&self) -> String {
        let columns = self.input.columns;
        let names: Vec<_> = self.totals().into_iter().map(|(name, _)| name).collect();
        let mut out = csv::Writer::from_writer(Vec::new());
        let mut write = |record: Vec<String>| {
            let _ = out.write_record(record); // into memory
        };
        let header = [number_name()].into_iter().chain(names.iter().copied());
        write(header.map(str::to_owned).collect());
        for (row, change) in self.changes() {
            let cells = names.iter().map(|name| {
                let value = change
                    .get(*name)
                    .map(|value| redacted(columns, name, value));
                value.as_ref().map(setting).unwrap_or_default()
            });
            write([row.number.to_string()].into_iter().chain(cells).collect());
        }
        let bytes = out.into_inner().unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Returns the cell that sets a value.
pub fn setting(value: &Value) -> String {
    match value {
        Value::Null => r"\N".into(),
        Value::String(text) if text.is_empty() => r"\E".into(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
