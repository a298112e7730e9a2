//! Known properties of numbers, from another file: an export, results, or an earlier journal.

use std::{collections::HashMap, path::Path};

use serde_json::{Map, Value};
use sigmamind::E164;

use crate::{
    failure::{Failure, Result},
    problem::{Problem, Problems},
    reader::{Field, Names, RawRow, Source},
    schema::Columns,
};

/// Numbers with their values. The names of the values are kept once.
#[derive(Default)]
pub struct Export {
    pub sha256: String,
    names: Vec<String>,
    numbers: HashMap<E164, Box<[(u16, Value)]>>,
}

impl Export {
    /// Reads a file. Of all that it says of a number, what `wanted` names is kept.
    pub fn read(path: &Path, columns: &Columns, wanted: &dyn Fn(&str) -> bool) -> Result<Self> {
        let names = Names::of_export(columns);
        let source = Source::read(path, &names)?;
        let mut export = Self::default();
        let mut problems = Problems::default();
        source.rows(&names, &mut |row| {
            if let Err(problem) = row.and_then(|row| export.add(&row, wanted)) {
                problems.add(problem);
            }
        });
        if let Some(failure) = problems.into_failure(&source.name) {
            return Err(failure);
        }
        if export.numbers.is_empty() {
            return Err(Failure::usage(format!(
                "{} contains no numbers",
                source.name
            )));
        }
        export.sha256 = source.sha256;
        Ok(export)
    }

    fn add(
        &mut self,
        row: &RawRow,
        wanted: &dyn Fn(&str) -> bool,
    ) -> std::result::Result<(), Problem> {
        let place = |column, text: String| Problem {
            line: row.line,
            column,
            text,
        };
        let mut number = None;
        let mut values = Vec::new();
        for cell in &row.cells {
            match &cell.field {
                Field::Number => {
                    let found = cell.exported_number();
                    number = Some(found.map_err(|text| place(cell.column, text))?);
                }
                Field::Named(name) if wanted(name) => values.push((name.as_str(), cell.exported())),
                _ => {}
            }
        }
        let number = number.ok_or_else(|| place(1, "there is no number".into()))?;
        if self.insert(number.clone(), values) {
            Ok(())
        } else {
            Err(place(1, format!("{number} appears twice")))
        }
    }

    /// Adds a number; returns whether it is new.
    pub fn insert<'n>(
        &mut self,
        number: E164,
        values: impl IntoIterator<Item = (&'n str, Value)>,
    ) -> bool {
        let values = values
            .into_iter()
            .map(|(name, value)| (self.index(name), value))
            .collect();
        self.numbers.insert(number, values).is_none()
    }

    fn index(&mut self, name: &str) -> u16 {
        let known = self.names.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    pub fn contains(&self, number: &E164) -> bool {
        self.numbers.contains_key(number)
    }

    /// Returns a property of a number; the names may differ in case.
    pub fn get(&self, number: &E164, name: &str) -> Option<&Value> {
        let values = self.numbers.get(number)?;
        let find = |test: &dyn Fn(&str) -> bool| {
            let mut values = values.iter();
            values.find(|(index, _)| {
                self.names
                    .get(usize::from(*index))
                    .is_some_and(|name| test(name))
            })
        };
        find(&|other| other == name)
            .or_else(|| find(&|other| other.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }

    /// Returns all numbers, each with all its values.
    #[cfg(feature = "fake")]
    pub fn into_numbers(self) -> impl Iterator<Item = (E164, Map<String, Value>)> {
        let names = self.names;
        self.numbers.into_iter().map(move |(number, values)| {
            let values = values
                .into_iter()
                .filter_map(|(index, value)| Some((names.get(usize::from(index))?.clone(), value)));
            (number, values.collect())
        })
    }
}

/// Returns the property of a response that corresponds to one of a request: its name is the same
/// except for case.
pub fn counterpart<'r>(reported: &'r Map<String, Value>, name: &str) -> Option<&'r Value> {
    reported.get(name).or_else(|| {
        let mut others = reported.iter();
        let (_, value) = others.find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(value)
    })
}

/// Returns whether two values mean the same. A phone number may come back as an integer or
/// without its `+`.
pub fn is_same(sent: &Value, reported: &Value) -> bool {
    let plain = |value: &Value| match value {
        Value::String(text) => text.strip_prefix('+').unwrap_or(text).to_owned(),
        Value::Null => String::new(),
        value => value.to_string(),
    };
    sent == reported || plain(sent) == plain(reported)
}

/// Returns a value as the text of a cell.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
