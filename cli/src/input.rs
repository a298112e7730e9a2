//! The rows of a job: read and validated once, and kept.

use std::{collections::HashMap, io, ops::Range, path::Path};

use serde_json::Value;
use sigmamind::E164;

use crate::{
    change::Change,
    export::{Export, is_same},
    failure::{Failure, Result},
    files,
    problem::{Checked, Problem, Problems, problem},
    reader::{Field, Names, RawRow, Source},
    schema::{Columns, number_name},
    validate::Validator,
};

/// Options for reading a file.
pub struct Reading<'c> {
    pub columns: &'c Columns,
    pub names: Names<'c>,
    /// Set on every number.
    pub common: &'c Change,
    /// Current properties of the numbers. Unchanged properties are not sent.
    pub before: Option<&'c Export>,
}

/// The rows of a file, each with its change.
pub struct Input<'c> {
    pub columns: &'c Columns,
    pub source: Source,
    pub rows: Vec<Row>,
    /// Count of the numbers that already are as the file wants them.
    pub unchanged: usize,
    /// The changes, as JSON, one after the other.
    changes: String,
}

/// A row: the number, and where its text and its change are.
#[derive(Debug)]
pub struct Row {
    pub number: E164,
    span: Range<usize>,
    change: Range<usize>,
}

impl<'c> Input<'c> {
    /// Reads a file and validates all of it.
    pub fn read(path: &Path, reading: &Reading<'c>) -> Result<Self> {
        let source = Source::read(path, &reading.names)?;
        let columns = reading.columns;
        if let Some(secret) = source.properties().find(|index| columns.get(*index).secret) {
            files::warn_if_open(path, &format!("`{}`", columns.get(secret).name));
        }
        check_common(&source, reading)?;
        let mut builder = Builder {
            reading,
            validator: Validator::new()?,
            lines: HashMap::new(),
            rows: Vec::new(),
            unchanged: 0,
            changes: String::new(),
        };
        let mut problems = Problems::default();
        source.rows(&reading.names, &mut |row| {
            if let Err(problem) = row.and_then(|row| builder.add(row)) {
                problems.add(problem);
            }
        });
        if let Some(failure) = problems.into_failure(&source.name) {
            return Err(failure);
        }
        let Builder {
            rows,
            unchanged,
            changes,
            ..
        } = builder;
        if rows.is_empty() && unchanged == 0 {
            return Err(Failure::usage(format!(
                "{} contains no numbers",
                source.name
            )));
        }
        Ok(Self {
            columns,
            source,
            rows,
            unchanged,
            changes,
        })
    }

    /// Returns the change of a row.
    pub fn change(&self, row: &Row) -> Change {
        // It was serialized here.
        serde_json::from_str(&self.changes[row.change.clone()]).unwrap_or_default()
    }

    /// Writes the text of these rows as a file for `apply`, without secrets.
    pub fn excerpt<'r>(
        &self,
        rows: impl Iterator<Item = &'r Row>,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        let spans = rows.map(|row| row.span.clone());
        self.source.excerpt(self.columns, spans, out)
    }
}

/// Refuses what is said twice, and a file that says nothing to set.
fn check_common(source: &Source, reading: &Reading) -> Result<()> {
    if source.has_only_numbers() && reading.common.is_empty() {
        return Err(Failure::usage(format!(
            "{} contains only numbers; use --set PROPERTY=VALUE to say what to set",
            source.name
        )));
    }
    let mut names = source
        .properties()
        .map(|index| &reading.columns.get(index).name);
    match names.find(|name| reading.common.contains_key(*name)) {
        Some(name) => Err(Failure::usage(format!(
            "`{name}` is a column of {}, and is also to be set on every number; give it once",
            source.name,
        ))),
        None => Ok(()),
    }
}

struct Builder<'b, 'c> {
    reading: &'b Reading<'c>,
    validator: Validator,
    /// The lines of the numbers so far, by their digits.
    lines: HashMap<u64, usize>,
    rows: Vec<Row>,
    unchanged: usize,
    changes: String,
}

impl Builder<'_, '_> {
    fn add(&mut self, row: RawRow) -> Checked<()> {
        let columns = self.reading.columns;
        let mut number = None;
        let mut change = self.reading.common.clone();
        let mut places = Vec::new();
        for cell in &row.cells {
            let place = (cell.line.unwrap_or(row.line), cell.column);
            let wrong = |text| Problem {
                line: place.0,
                column: place.1,
                text,
            };
            match &cell.field {
                Field::Number => number = Some((cell.number().map_err(wrong)?, place)),
                Field::Unnamed if !cell.is_blank() => {
                    return Err(wrong("there is a value in a column without a name".into()));
                }
                Field::Property(index) => {
                    let column = columns.get(*index);
                    let Some(value) = cell.value(column).map_err(wrong)? else {
                        continue;
                    };
                    if change.insert(column.name.clone(), value).is_some() {
                        let text = format!("`{}` is also to be set on every number", column.name);
                        return Err(wrong(text));
                    }
                    places.push((&column.name, place));
                }
                _ => {}
            }
        }
        let Some((number, place)) = number else {
            return problem(row.line, 1, format!("there is no `{}`", number_name()));
        };
        if let Some(before) = self.lines.insert(digits(&number), row.line) {
            let text = format!("{number} is already in line {before}; use one row per number");
            return problem(place.0, place.1, text);
        }
        if change.is_empty() {
            let text = "the row sets nothing; give a value or remove the row";
            return problem(place.0, place.1, text);
        }
        self.validator.check(&number, &change).map_err(|refused| {
            let named = places.iter().find(|(name, _)| refused.is_about(name));
            let (line, column) = named.map_or(place, |(_, place)| *place);
            let text = refused.text;
            Problem { line, column, text }
        })?;
        self.keep(number, row.span, change);
        Ok(())
    }

    fn keep(&mut self, number: E164, span: Range<usize>, mut change: Change) {
        if let Some(before) = self.reading.before {
            let is_so = |name: &str, value: &Value| {
                before
                    .get(&number, name)
                    .is_some_and(|before| is_same(value, before))
            };
            change.retain(|name, value| !is_so(name, value));
            if change.is_empty() {
                self.unchanged += 1;
                return;
            }
        }
        let json = Value::Object(change).to_string();
        let changes = &mut self.changes;
        let start = match self.rows.last() {
            // Often the same is set on all.
            Some(row) if changes[row.change.clone()] == json => row.change.start,
            _ => {
                changes.push_str(&json);
                changes.len() - json.len()
            }
        };
        self.rows.push(Row {
            number,
            span,
            change: start..start + json.len(),
        });
    }
}

/// The digits of a number, at most 15.
fn digits(number: &E164) -> u64 {
    number.as_str()[1..].parse().unwrap_or_default()
}
