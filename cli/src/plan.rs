//! What is going to be done, for the operator to agree to.

use crate::{
    change::{Change, shown},
    input::Row,
    schema::Columns,
    ui::{count, table},
};

/// How many numbers are shown as an example.
const SAMPLES: usize = 3;

/// What the rows of a file come to.
#[derive(Default)]
pub struct Plan {
    numbers: usize,
    /// For each column: how many numbers it is set on, and set to null.
    columns: Vec<(usize, usize)>,
    samples: Vec<String>,
}

impl Plan {
    pub fn add(&mut self, columns: &Columns, row: &Row, change: &Change) {
        self.numbers += 1;
        self.columns.resize(columns.iter().len(), (0, 0));
        for (name, value) in change {
            if let Some(index) = columns.find(name) {
                let (set, null) = &mut self.columns[index];
                *if value.is_null() { null } else { set } += 1;
            }
        }
        if self.samples.len() < SAMPLES {
            let settings = change
                .iter()
                .map(|(name, value)| format!("{name}={}", shown(columns, name, value)));
            let settings: Vec<_> = settings.collect();
            let sample = format!("  {} {}", row.number, settings.join(" "));
            self.samples.push(sample);
        }
    }

    /// The plan in words.
    pub fn label(&self, columns: &Columns, file: &str, server: &str) -> String {
        let numbers = count(self.numbers, "number");
        let rows = columns.iter().zip(&self.columns);
        let rows = rows.filter(|(_, (set, null))| set + null > 0);
        let rows = rows.map(|(column, (set, null))| {
            let parts = [("set on", set), ("null on", null)];
            let parts = parts.iter().filter(|(_, numbers)| **numbers > 0);
            let parts = parts.map(|(words, numbers)| format!("{words} {numbers}"));
            let parts: Vec<_> = parts.collect();
            [format!("  {}", column.name), parts.join(", ")]
        });
        let table = table(&[], rows);
        let samples = self.samples.join("\n");
        format!("{file}: {numbers} to change at {server}\n{table}\nFor example:\n{samples}")
    }
}
