//! CSV with a header, whatever separates its cells.

use std::{io, ops::Range};

use csv::{Reader, ReaderBuilder, StringRecord};

use super::{
    Position, RawRow, break_length, breaks,
    cells::{Cell, Field, Names},
    mistake,
};
use crate::{
    change::REDACTED,
    problem::{Checked, Problem, Problems, problem},
    schema::{Columns, number_name},
    text::{count, is_plain},
};

/// The header of a table.
pub struct Header {
    /// Separator of the cells.
    delimiter: u8,
    pub fields: Vec<Field>,
    /// Where the rows begin.
    start: Position,
}

impl Header {
    /// Reads the header that begins at a place.
    pub fn of(text: &str, start: Position, names: &Names) -> Result<Self, Problems> {
        let (start, separator) = separator(text, start);
        let rest = &text[start.at..];
        let delimiter = separator.unwrap_or_else(|| guess_delimiter(rest, names));
        let mut reader = reader(rest, delimiter);
        let mut words = StringRecord::new();
        reader
            .read_record(&mut words)
            .map_err(|error| mistake(start.line, error.to_string()))?;
        let fields = fields(&words, start.line, names)?;
        let length = position(&reader).min(rest.len());
        // The reader may leave the LF of a CR LF to the next record.
        let length = length
            + usize::from(rest[..length].ends_with('\r') && rest[length..].starts_with('\n'));
        Ok(Self {
            delimiter,
            fields,
            start: Position {
                at: start.at + length,
                line: start.line + breaks(&rest[..length]),
            },
        })
    }

    /// Gives each row to `each`; none after one that cannot be read. Blank rows at the end are
    /// skipped.
    pub fn rows(&self, text: &str, each: &mut dyn FnMut(Checked<RawRow<'_>>)) {
        let mut reader = reader(&text[self.start.at..], self.delimiter);
        let Position { mut at, mut line } = self.start;
        let mut record = StringRecord::new();
        let mut empty_rows = Vec::new();
        loop {
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return each(problem(line, 1, error.to_string())),
            }
            let end = (self.start.at + position(&reader)).min(text.len());
            // The reader may leave the LF of a CR LF to the next record.
            let end =
                end + usize::from(text[..end].ends_with('\r') && text[end..].starts_with('\n'));
            // The reader counts line breaks and comments before a record as a part of it.
            let before = before_row(&text[at..end]);
            line += breaks(&text[at..at + before]);
            let row = text[at + before..end].trim_end_matches(['\r', '\n']);
            let span = at + before..at + before + row.len();
            let first = line;
            line += breaks(&text[span.start..end]);
            at = end;
            if record.iter().all(|cell| cell.trim().is_empty()) {
                empty_rows.push(first);
                continue;
            }
            for line in empty_rows.drain(..) {
                each(problem(line, 1, "the row is empty; take it out"));
            }
            each(self.row(row, &record, span, first));
        }
    }

    fn row<'r>(
        &self,
        text: &str,
        record: &'r StringRecord,
        span: Range<usize>,
        line: usize,
    ) -> Checked<RawRow<'r>> {
        self.check_quotes(text, record, line)?;
        let wanted = self.fields.len();
        let extra = record
            .iter()
            .skip(wanted)
            .any(|cell| !cell.trim().is_empty());
        if record.len() < wanted || extra {
            let are = if record.len() == 1 { "is" } else { "are" };
            let (cells, columns) = (count(record.len(), "cell"), count(wanted, "column"));
            let text = format!("there {are} {cells}, and {columns}");
            return problem(line, record.len().min(wanted) + 1, text);
        }
        let fields = record.iter().zip(&self.fields).zip(1..);
        let cells = fields.map(|((text, field), column)| Cell::text(field.clone(), column, text));
        Ok(RawRow {
            span,
            line,
            cells: cells.collect(),
        })
    }

    /// Refuses what a lost or stray quotation mark makes of a row.
    fn check_quotes(&self, text: &str, record: &StringRecord, line: usize) -> Checked<()> {
        if !text.contains('"') {
            return Ok(());
        }
        match quotes(text, self.delimiter) {
            Quotes::Even => {}
            Quotes::Open => {
                return problem(
                    line,
                    1,
                    "a quotation mark is opened in this row and never closed",
                );
            }
            Quotes::TextAfter { column, breaks } => {
                let closed = match breaks {
                    0 => String::new(),
                    breaks => format!(" (opened in line {line}, closed in line {})", line + breaks),
                };
                let text = format!(
                    "there is text after a closing quotation mark{closed}; write \"\" for a \
                     quotation mark in a cell"
                );
                return problem(line, column, text);
            }
        }
        let swallowed = record.iter().position(swallows_a_row);
        if let Some(index) = swallowed {
            let text =
                "a line break is followed by a number in this cell; is a quotation mark lost?";
            return problem(line, index + 1, text);
        }
        Ok(())
    }

    /// Writes the beginning of the file up to the rows, and these rows, as they are; secrets are
    /// replaced.
    pub fn excerpt(
        &self,
        text: &str,
        columns: &Columns,
        spans: impl Iterator<Item = Range<usize>>,
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        let head = &text[..self.start.at];
        let end = match head.rfind(['\n', '\r']) {
            Some(_) if head.ends_with("\r\n") => "\r\n",
            Some(_) if head.ends_with('\r') => "\r",
            _ => "\n",
        };
        let is_secret = |field: &Field| {
            field
                .property()
                .is_some_and(|index| columns.get(index).secret)
        };
        let has_secret = self.fields.iter().any(is_secret);
        out.write_all(head.as_bytes())?;
        if !head.ends_with(end) {
            out.write_all(end.as_bytes())?;
        }
        for span in spans {
            let row = &text[span];
            if has_secret {
                let mut record = StringRecord::new();
                reader(row, self.delimiter).read_record(&mut record)?;
                let cells = record.iter().enumerate().map(|(index, cell)| {
                    let hide = self.fields.get(index).is_some_and(is_secret) && !cell.is_empty();
                    if hide { REDACTED } else { cell }
                });
                let mut line = csv::WriterBuilder::new()
                    .delimiter(self.delimiter)
                    .from_writer(Vec::new());
                line.write_record(cells)?;
                let line = line
                    .into_inner()
                    .map_err(|error| io::Error::other(error.to_string()))?;
                out.write_all(line.trim_ascii_end())?;
            } else {
                out.write_all(row.as_bytes())?;
            }
            out.write_all(end.as_bytes())?;
        }
        Ok(())
    }
}

/// Reads a first line `sep=;`, as spreadsheets write it.
fn separator(text: &str, start: Position) -> (Position, Option<u8>) {
    let rest = &text[start.at..];
    let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
    let line = &rest[..length];
    let named = line
        .get(..4)
        .filter(|word| word.eq_ignore_ascii_case("sep="));
    match (named, &line.as_bytes()[4.min(length)..]) {
        (Some(_), [separator]) if separator.is_ascii() => {
            let next = Position {
                at: start.at + length + break_length(&rest[length..]),
                line: start.line + 1,
            };
            (next, Some(*separator))
        }
        _ => (start, None),
    }
}

/// Finds the separator that gives a column of numbers, or else the most columns.
fn guess_delimiter(text: &str, names: &Names) -> u8 {
    let line = text.lines().next().unwrap_or_default();
    let mut candidates = vec![b',', b';', b'\t', b'|'];
    for byte in line.bytes() {
        let is_separator =
            byte == b'\t' || byte.is_ascii_punctuation() && !b"\"'_-.+\\#".contains(&byte);
        if is_separator && !candidates.contains(&byte) {
            candidates.push(byte);
        }
    }
    let rank = |delimiter: &u8| {
        let mut record = StringRecord::new();
        let _ = reader(text, *delimiter).read_record(&mut record);
        let has_number = record.iter().any(|word| names.is_number(word.trim()));
        (has_number, record.len())
    };
    // Of several that are equal, the last is taken.
    let best = candidates.into_iter().rev().max_by_key(rank);
    best.unwrap_or(b',')
}

/// Returns the fields that the words of a header stand for. All unknown words are one mistake.
fn fields(words: &StringRecord, line: usize, names: &Names) -> Result<Vec<Field>, Problems> {
    let has_number = words.iter().any(|word| names.is_own_number(word.trim()));
    let is_number = |word: &str| {
        if has_number {
            names.is_own_number(word)
        } else {
            names.is_number(word)
        }
    };
    if !words.iter().any(|word| is_number(word.trim())) {
        return Err(mistake(
            line,
            format!("there is no column `{}`", number_name()),
        ));
    }
    let mut problems = Problems::default();
    let mut fields: Vec<Field> = Vec::new();
    let mut unknown = Vec::new();
    for (word, column) in words.iter().map(str::trim).zip(1..) {
        let field = match word {
            "" => Field::Unnamed,
            word if is_number(word) => Field::Number,
            word if has_number => names.field(word),
            word => names.field_of_reported(word),
        };
        if field == Field::Unknown {
            unknown.push((column, word));
        } else if field.is_named() && fields.contains(&field) {
            let word = if is_plain(word) { word } else { "…" };
            let text = format!("the column `{word}` appears twice");
            problems.add(Problem { line, column, text });
        }
        fields.push(field);
    }
    if let Some((column, _)) = unknown.first() {
        let words: Vec<_> = unknown.iter().map(|(_, word)| *word).collect();
        let (column, text) = (*column, names.unknown("column", &words));
        problems.add(Problem { line, column, text });
    }
    for word in names.missing(&fields) {
        let text = format!("there is no column `{word}`, which --columns names");
        problems.add(Problem {
            line,
            column: 1,
            text,
        });
    }
    if problems.is_empty() {
        Ok(fields)
    } else {
        Err(problems)
    }
}

/// Returns the length of the empty lines and comments before the row of a text.
fn before_row(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let skipped = if rest.starts_with(['\n', '\r']) {
            break_length(rest)
        } else if rest.starts_with('#') {
            match rest.find(['\n', '\r']) {
                Some(length) => length + break_length(&rest[length..]),
                None => return at,
            }
        } else {
            return at;
        };
        at += skipped;
    }
}

/// State of the quotation marks of a row.
enum Quotes {
    Even,
    Open,
    TextAfter { column: usize, breaks: usize },
}

fn quotes(row: &str, delimiter: u8) -> Quotes {
    let mut column = 1;
    let mut rest = row;
    loop {
        let content = rest.strip_prefix('"');
        if let Some(quoted) = content {
            let Some(length) = closing(quoted) else {
                return Quotes::Open;
            };
            rest = &quoted[length + 1..];
            if !rest.is_empty() && !rest.as_bytes().starts_with(&[delimiter]) {
                let breaks = breaks(&quoted[..length]);
                return Quotes::TextAfter { column, breaks };
            }
        }
        let Some(next) = rest.bytes().position(|byte| byte == delimiter) else {
            return Quotes::Even;
        };
        rest = &rest[next + 1..];
        column += 1;
    }
}

/// Where the quotation mark is that closes a cell; two of them are one of its content.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'"', Some(b'"')) => at += 2,
            (b'"', _) => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// Returns whether a cell has a line, other than its first, that begins with a number.
fn swallows_a_row(cell: &str) -> bool {
    cell.split(['\n', '\r']).skip(1).any(|line| {
        let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '"');
        let digits = line.strip_prefix('+').unwrap_or(line);
        digits.bytes().take_while(u8::is_ascii_digit).count() >= 7
    })
}

fn reader(text: &str, delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .comment(Some(b'#'))
        .buffer_capacity(text.len().clamp(64, 1 << 16))
        .from_reader(text.as_bytes())
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.position().byte()).unwrap_or(usize::MAX)
}
