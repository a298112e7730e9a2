//! What kind of file it is, and where its rows are.

use std::ops::Range;

use csv::{Reader, ReaderBuilder, StringRecord};

use crate::{
    cells::Field,
    problem::{Checked, problem},
    schema::{Columns, number_name, printable},
};

pub enum Form {
    Csv(Header),
    JsonLines,
    /// One number a line.
    Numbers,
}

/// The header of a CSV.
pub struct Header {
    /// What separates the cells.
    pub delimiter: u8,
    pub fields: Vec<Field>,
    /// As it stands in the file.
    pub words: StringRecord,
}

/// Where something begins: its byte, and its line.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub at: usize,
    pub line: usize,
}

/// A row as it is found, before it is understood.
pub struct Found<'t> {
    pub span: Range<usize>,
    pub line: usize,
    pub record: Record<'t>,
}

pub enum Record<'t> {
    Csv(StringRecord),
    Line(&'t str),
}

impl Form {
    /// The form of a text, and where its rows begin. Lines before them may begin with `#`.
    pub fn of(text: &str, columns: &Columns) -> Checked<(Self, Place)> {
        let mut at = text.len() - text.trim_start_matches('\u{feff}').len();
        let mut line = 1;
        loop {
            let rest = &text[at..];
            let first = rest.split_inclusive('\n').next().unwrap_or_default();
            let trimmed = first.trim();
            if first.is_empty() {
                return problem(line, 1, "there is nothing in it");
            }
            if trimmed.starts_with('{') {
                return Ok((Self::JsonLines, Place { at, line }));
            }
            if trimmed.starts_with(|c: char| c == '+' || c.is_ascii_digit()) {
                if trimmed.contains([',', ';', '\t']) {
                    let number = number_name();
                    let text = format!("there is no header; name the columns: {number}, …");
                    return problem(line, 1, text);
                }
                return Ok((Self::Numbers, Place { at, line }));
            }
            if !trimmed.is_empty() && !trimmed.starts_with('#') {
                let (header, length) = Header::of(rest, columns, line)?;
                let line = line + breaks(&rest[..length]);
                at += length;
                return Ok((Self::Csv(header), Place { at, line }));
            }
            at += first.len();
            line += 1;
        }
    }
}

impl Header {
    /// The header at the beginning of a text, and its length.
    fn of(text: &str, columns: &Columns, line: usize) -> Checked<(Self, usize)> {
        let first = text.lines().next().unwrap_or_default();
        let separators = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
        // Of several that are equal, the last is taken.
        let delimiter = [b'\t', b';', b','].into_iter().max_by_key(separators);
        let delimiter = delimiter.unwrap_or(b',');
        let mut reader = reader(text, delimiter);
        let mut words = StringRecord::new();
        if let Err(error) = reader.read_record(&mut words) {
            return problem(line, 1, error.to_string());
        }
        let mut fields = Vec::new();
        for (word, column) in words.iter().map(str::trim).zip(1..) {
            if word.is_empty() {
                return problem(line, column, "the column has no name");
            }
            let field = Field::of(columns, word).or_else(|text| problem(line, column, text))?;
            if fields.contains(&field) {
                let text = format!("the column `{}` is there twice", printable(word));
                return problem(line, column, text);
            }
            fields.push(field);
        }
        if !fields.contains(&Field::Number) {
            return problem(line, 1, format!("there is no column `{}`", number_name()));
        }
        let length = position(&reader).min(text.len());
        let header = Self {
            delimiter,
            fields,
            words,
        };
        Ok((header, length))
    }

    /// The record that a text is.
    pub fn record(&self, text: &str) -> csv::Result<StringRecord> {
        let mut record = StringRecord::new();
        reader(text, self.delimiter).read_record(&mut record)?;
        Ok(record)
    }

    /// The records of a text from some place on; none after one that cannot be read.
    pub fn records<'t>(
        &self,
        text: &'t str,
        start: Place,
    ) -> impl Iterator<Item = Checked<Found<'t>>> + use<'t> {
        let mut reader = reader(&text[start.at..], self.delimiter);
        let Place { mut at, mut line } = start;
        let mut ended = false;
        std::iter::from_fn(move || {
            let mut record = StringRecord::new();
            match reader.read_record(&mut record) {
                _ if ended => return None,
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    ended = true;
                    return Some(problem(line, 1, error.to_string()));
                }
            }
            // The reader counts the line breaks before a record as a part of it.
            let end = (start.at + position(&reader)).min(text.len());
            let whole = &text[at..end];
            let row = whole.trim_start_matches(['\r', '\n']);
            line += breaks(&whole[..whole.len() - row.len()]);
            let first = line;
            line += breaks(row);
            let begin = end - row.len();
            let row = row.trim_end_matches(['\r', '\n']);
            at = end;
            let quotes = row.bytes().filter(|byte| *byte == b'"').count();
            if end == text.len() && quotes % 2 == 1 && row.contains('\n') {
                ended = true;
                let text = "a quotation mark is opened in this row and never closed";
                return Some(problem(first, 1, text));
            }
            Some(Ok(Found {
                span: begin..begin + row.len(),
                line: first,
                record: Record::Csv(record),
            }))
        })
    }
}

/// The lines of a text from some place on, but for blank ones.
pub fn lines(text: &str, start: Place) -> impl Iterator<Item = Found<'_>> {
    let mut at = start.at;
    let lines = text[at..].split_inclusive('\n').zip(start.line..);
    lines.filter_map(move |(whole, line)| {
        let begin = at;
        at += whole.len();
        let text = whole.trim_end();
        let record = Record::Line(text);
        let span = begin..begin + text.len();
        (!text.trim().is_empty()).then_some(Found { span, line, record })
    })
}

fn reader(text: &str, delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(text.len().clamp(64, 1 << 16))
        .from_reader(text.as_bytes())
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.position().byte()).unwrap_or(usize::MAX)
}

fn breaks(text: &str) -> usize {
    text.matches('\n').count()
}
