//! The file of an `apply`: CSV, JSON lines, or one number a line.
//!
//! Its text is kept as it is, and a row is where it stands in the text: what is to be set is read
//! out of it when it is checked, and again when it is sent.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    io::{self, Read},
    ops::Range,
    path::Path,
};

use sigmamind::{Client, E164};

use crate::{
    cells::{self, Field},
    change::{self, Change, REDACTED},
    failure::{Failure, Result},
    files,
    form::{self, Form, Found, Place, Record},
    key::reason,
    problem::{Checked, Problem, SHOWN, list, problem},
    schema::{Columns, number_name},
};

/// A file, and what is set on all of its numbers beside what it says.
pub struct Input<'c> {
    columns: &'c Columns,
    common: &'c Change,
    /// As it was named.
    pub name: String,
    /// The fingerprint of its content.
    pub sha256: String,
    text: String,
    form: Form,
    start: Place,
}

/// A row: the number, and where it stands.
#[derive(Debug)]
pub struct Row {
    pub number: E164,
    span: Range<usize>,
    line: usize,
}

/// A row, understood.
struct Understood {
    number: E164,
    /// The column of the number.
    column: usize,
    change: Change,
    /// The indices of the properties that the row sets, with the columns where it does.
    places: Vec<(usize, usize)>,
}

impl<'c> Input<'c> {
    /// Reads the file, and as much of it as says what its rows are.
    pub fn read(path: &Path, columns: &'c Columns, common: &'c Change) -> Result<Self> {
        let (bytes, name) = if path == Path::new("-") {
            let mut bytes = Vec::new();
            let read = io::stdin().read_to_end(&mut bytes);
            (read.map(|_| bytes), "standard input".to_owned())
        } else {
            (fs::read(path), path.display().to_string())
        };
        let bytes =
            bytes.map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
        let sha256 = hex(&hmac_sha256::Hash::hash(&bytes));
        let fail = |problem| Failure::usage(list(&name, &[problem], 1));
        let text = utf8(bytes).map_err(fail)?;
        let (form, start) = Form::of(&text, columns).map_err(fail)?;
        let input = Self {
            columns,
            common,
            name,
            sha256,
            text,
            form,
            start,
        };
        if let Some(secret) = input.properties().find(|index| columns.get(*index).secret) {
            files::warn_if_open(path, &format!("`{}`", columns.get(secret).name));
        }
        Ok(input)
    }

    /// All rows, each of them checked as far as can be without sending it. `each` sees what every
    /// row is to set.
    pub fn check(&self, client: &Client, mut each: impl FnMut(&Row, &Change)) -> Result<Vec<Row>> {
        self.fits_what_is_common()?;
        let (mut rows, mut problems, mut all) = (Vec::new(), Vec::new(), 0);
        let mut lines = HashMap::new();
        for found in self.found() {
            match found.and_then(|found| self.checked(client, &found, &mut lines)) {
                Ok((row, change)) => {
                    each(&row, &change);
                    rows.push(row);
                }
                Err(problem) => {
                    all += 1;
                    if all <= SHOWN {
                        problems.push(problem);
                    }
                }
            }
        }
        if all > 0 {
            return Err(Failure::usage(list(&self.name, &problems, all)));
        }
        if rows.is_empty() {
            let text = format!("{} has no numbers in it", self.name);
            return Err(Failure::usage(text));
        }
        Ok(rows)
    }

    /// What a row that has been checked is to set.
    pub fn change(&self, row: &Row) -> Result<Change> {
        let understood = self.again(row).and_then(|found| self.understood(&found));
        let fail = |problem| Failure::usage(list(&self.name, &[problem], 1));
        Ok(understood.map_err(fail)?.change)
    }

    /// The rows' own text, in the columns of the file, without secrets.
    pub fn excerpt(&self, rows: &[&Row], out: &mut dyn io::Write) -> io::Result<()> {
        let Form::Csv(header) = &self.form else {
            let lines = rows.iter().map(|row| &self.text[row.span.clone()]);
            return lines.into_iter().try_for_each(|line| match self.form {
                Form::JsonLines => writeln!(out, "{}", cells::without_secrets(self.columns, line)),
                _ => writeln!(out, "{line}"),
            });
        };
        let mut out = csv::WriterBuilder::new()
            .delimiter(header.delimiter)
            .from_writer(out);
        out.write_record(&header.words)?;
        let secret = |field: &Field| match field {
            Field::Property(index) => self.columns.get(*index).secret,
            Field::Number => false,
        };
        for row in rows {
            let record = header.record(&self.text[row.span.clone()])?;
            let cells = record.iter().zip(&header.fields);
            out.write_record(cells.map(|(cell, field)| {
                let hide = secret(field) && !cell.is_empty();
                if hide { REDACTED } else { cell }
            }))?;
        }
        out.flush()
    }

    /// What the name of a file ends with that has an [`excerpt`](Self::excerpt) in it.
    pub fn ending(&self) -> &'static str {
        match self.form {
            Form::JsonLines => "jsonl",
            Form::Csv(_) | Form::Numbers => "csv",
        }
    }

    /// The indices of the properties that are columns of the file.
    fn properties(&self) -> impl Iterator<Item = usize> {
        let fields = match &self.form {
            Form::Csv(header) => header.fields.as_slice(),
            Form::JsonLines | Form::Numbers => &[],
        };
        fields.iter().filter_map(|field| match field {
            Field::Property(index) => Some(*index),
            Field::Number => None,
        })
    }

    fn fits_what_is_common(&self) -> Result<()> {
        let bare = !matches!(self.form, Form::JsonLines) && self.properties().next().is_none();
        if bare && self.common.is_empty() {
            return Err(Failure::usage(format!(
                "{} has numbers alone; say with --to PROPERTY=VALUE what is to be set",
                self.name
            )));
        }
        let mut names = self.properties().map(|index| &self.columns.get(index).name);
        match names.find(|name| self.common.contains_key(*name)) {
            Some(name) => Err(Failure::usage(format!(
                "`{name}` is a column of {}, and is also to be set on every number; say it once",
                self.name,
            ))),
            None => Ok(()),
        }
    }

    fn found(&self) -> Box<dyn Iterator<Item = Checked<Found<'_>>> + '_> {
        match &self.form {
            Form::Csv(header) => Box::new(header.records(&self.text, self.start)),
            Form::JsonLines | Form::Numbers => {
                Box::new(form::lines(&self.text, self.start).map(Ok))
            }
        }
    }

    /// A row that was found before.
    fn again(&self, row: &Row) -> Checked<Found<'_>> {
        let text = &self.text[row.span.clone()];
        let record = match &self.form {
            Form::Csv(header) => {
                let record = header.record(text);
                Record::Csv(record.or_else(|error| problem(row.line, 1, error.to_string()))?)
            }
            Form::JsonLines | Form::Numbers => Record::Line(text),
        };
        Ok(Found {
            span: row.span.clone(),
            line: row.line,
            record,
        })
    }

    fn understood(&self, found: &Found) -> Checked<Understood> {
        let line = found.line;
        let cells = match (&found.record, &self.form) {
            (Record::Csv(record), Form::Csv(header)) => {
                cells::of_record(record, &header.fields, line)?
            }
            (Record::Line(text), Form::JsonLines) => cells::of_json(text, self.columns, line)?,
            (Record::Line(text), _) => cells::of_number(text),
            (Record::Csv(_), _) => Vec::new(),
        };
        let mut number = None;
        let mut change = self.common.clone();
        let mut places = Vec::new();
        for cell in cells {
            let wrong = |text| Problem {
                line,
                column: cell.column,
                text,
            };
            let Field::Property(index) = cell.field else {
                number = Some((cell.number().map_err(wrong)?, cell.column));
                continue;
            };
            let column = self.columns.get(index);
            let Some(value) = cell.value(column).map_err(wrong)? else {
                continue;
            };
            if change.insert(column.name.clone(), value).is_some() {
                let text = format!("`{}` is also to be set on every number", column.name);
                return Err(wrong(text));
            }
            places.push((index, cell.column));
        }
        let Some((number, column)) = number else {
            return problem(line, 1, format!("there is no `{}`", number_name()));
        };
        Ok(Understood {
            number,
            column,
            change,
            places,
        })
    }

    /// A row that can be sent; `lines` has the numbers before it.
    fn checked(
        &self,
        client: &Client,
        found: &Found,
        lines: &mut HashMap<E164, usize>,
    ) -> Checked<(Row, Change)> {
        let line = found.line;
        let Understood {
            number,
            column,
            change,
            places,
        } = self.understood(found)?;
        if let Some(before) = lines.insert(number.clone(), line) {
            let text = format!(
                "{number} is in line {before} already; say all that is to be set on a number in \
                 one row"
            );
            return problem(line, column, text);
        }
        let wrong = |text: String| {
            // It speaks of the property that it names first.
            let named = text.split('`').nth(1).unwrap_or_default();
            let named = named.split('.').next().unwrap_or_default();
            let place = places
                .iter()
                .find(|(index, _)| self.columns.get(*index).name == named);
            let column = place.map_or(column, |(_, column)| *column);
            Problem { line, column, text }
        };
        if change.is_empty() {
            let text = "the row sets nothing; give a value or take it out";
            return Err(wrong(text.into()));
        }
        let update = change::update(&change).map_err(wrong)?;
        let checked = client.update_phone_number(&number, &update).validate();
        checked.map_err(|error| wrong(reason(&error)))?;
        let span = found.span.clone();
        Ok((Row { number, span, line }, change))
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // into memory
    }
    text
}

fn utf8(bytes: Vec<u8>) -> Checked<String> {
    String::from_utf8(bytes).or_else(|error| {
        let good = error.utf8_error().valid_up_to();
        let good = String::from_utf8_lossy(&error.as_bytes()[..good]);
        let start = good.rfind('\n').map_or(0, |index| index + 1);
        problem(
            1 + good.matches('\n').count(),
            good.len() - start + 1,
            "this is not UTF-8; save the file as \"CSV UTF-8\"",
        )
    })
}
