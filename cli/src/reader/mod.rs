//! The one reader of files with numbers: CSV, JSON, JSON lines, or one number per line.
//!
//! text → [`Layout`] (what kind of file, and where its rows begin) → [`RawRow`]s → cells.

mod cells;
mod json;
mod table;

use std::{fmt::Write as _, io::Read, ops::Range, path::Path};

use crate::{
    failure::{Failure, Result},
    files,
    problem::{Checked, Problem, Problems, problem},
    schema::{Columns, number_name},
    text::quoted,
};

pub use cells::{Cell, Field, Names};
use json::Objects;
use table::Header;

/// A file that was read.
pub struct Source {
    /// As it was named.
    pub name: String,
    /// The fingerprint of its content.
    pub sha256: String,
    text: String,
    layout: Layout,
}

enum Layout {
    Table(Header),
    Objects(Objects),
    /// One number per line, from this position on.
    Numbers(Position),
}

/// Position in a text: byte and line.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    pub at: usize,
    pub line: usize,
}

/// A row as it was found.
pub struct RawRow<'t> {
    pub span: Range<usize>,
    pub line: usize,
    pub cells: Vec<Cell<'t>>,
}

impl Source {
    /// Reads a file, and as much of it as says what its rows are.
    pub fn read(path: &Path, names: &Names) -> Result<Self> {
        let (bytes, name) = if path == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
            (bytes, "standard input".to_owned())
        } else {
            (files::read(path)?, quoted(path))
        };
        let sha256 = hex(&hmac_sha256::Hash::hash(&bytes));
        let fail = |problems: Problems| {
            let failure = problems.into_failure(&name);
            failure.unwrap_or_else(|| Failure::usage(format!("cannot read {name}")))
        };
        let text = utf8(bytes).map_err(|problem| fail(problem.into()))?;
        let layout = Layout::of(&text, names).map_err(fail)?;
        Ok(Self {
            name,
            sha256,
            text,
            layout,
        })
    }

    /// Gives each row, or what is wrong with it, to `each`.
    pub fn rows(&self, names: &Names, each: &mut dyn FnMut(Checked<RawRow<'_>>)) {
        match &self.layout {
            Layout::Table(header) => header.rows(&self.text, each),
            Layout::Objects(objects) => objects.rows(&self.text, names, each),
            Layout::Numbers(start) => {
                for (line, span) in lines(&self.text, *start) {
                    let text = &self.text[span.clone()];
                    if !text.starts_with('#') {
                        let cells = vec![Cell::number_alone(text)];
                        each(Ok(RawRow { span, line, cells }));
                    }
                }
            }
        }
    }

    /// The indices of the properties that are columns of a table.
    pub fn properties(&self) -> impl Iterator<Item = usize> {
        let fields = match &self.layout {
            Layout::Table(header) => header.fields.as_slice(),
            _ => &[],
        };
        fields.iter().filter_map(Field::property)
    }

    /// Returns whether it can contain nothing but numbers.
    pub fn has_only_numbers(&self) -> bool {
        match &self.layout {
            Layout::Table(_) => self.properties().next().is_none(),
            Layout::Objects(_) => false,
            Layout::Numbers(_) => true,
        }
    }

    /// Writes the text of these rows as a file of the same kind, without secrets.
    pub fn excerpt(
        &self,
        columns: &Columns,
        spans: impl Iterator<Item = Range<usize>>,
        out: &mut dyn std::io::Write,
    ) -> std::io::Result<()> {
        match &self.layout {
            Layout::Table(header) => header.excerpt(&self.text, columns, spans, out),
            Layout::Objects(_) => {
                for span in spans {
                    writeln!(out, "{}", json::on_one_line(columns, &self.text[span]))?;
                }
                Ok(())
            }
            Layout::Numbers(_) => {
                for span in spans {
                    writeln!(out, "{}", &self.text[span])?;
                }
                Ok(())
            }
        }
    }

    /// The ending of a file with an [`excerpt`](Self::excerpt).
    pub fn ending(&self) -> &'static str {
        match self.layout {
            Layout::Objects(_) => "jsonl",
            Layout::Table(_) | Layout::Numbers(_) => "csv",
        }
    }
}

impl Layout {
    /// Tells the kind of a text. Lines before the rows may begin with `#`.
    fn of(text: &str, names: &Names) -> std::result::Result<Self, Problems> {
        let mut start = Position {
            at: text.len() - text.trim_start_matches('\u{feff}').len(),
            line: 1,
        };
        loop {
            let rest = &text[start.at..];
            let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
            let first = rest[..length].trim();
            if rest.is_empty() {
                return Err(mistake(start.line, "the file is empty"));
            }
            if first.starts_with(['{', '[']) {
                return Ok(Self::Objects(Objects::of(text, start, names)?));
            }
            if !first.is_empty() && !first.starts_with('#') {
                return Self::of_rows(text, first, start, names);
            }
            let broken = length + break_length(&rest[length..]);
            start.line += 1;
            start.at += broken;
        }
    }

    fn of_rows(
        text: &str,
        first: &str,
        start: Position,
        names: &Names,
    ) -> std::result::Result<Self, Problems> {
        let first = first.trim_start_matches(crate::text::is_invisible);
        let looks_like_number = first.starts_with(|c: char| c == '+' || c.is_ascii_digit());
        if !looks_like_number {
            return Ok(Self::Table(Header::of(text, start, names)?));
        }
        if first.contains([',', ';', '\t', '|']) {
            let text = format!("there is no header; name the columns: {}, …", number_name());
            return Err(mistake(start.line, text));
        }
        Ok(Self::Numbers(start))
    }
}

fn mistake(line: usize, text: impl Into<String>) -> Problems {
    let text = text.into();
    Problem {
        line,
        column: 1,
        text,
    }
    .into()
}

/// The lines of a text that are not only white space, with their numbers. A line ends with LF,
/// CR LF or CR.
fn lines(text: &str, start: Position) -> impl Iterator<Item = (usize, Range<usize>)> {
    let Position { mut at, mut line } = start;
    std::iter::from_fn(move || {
        while at < text.len() {
            let rest = &text[at..];
            let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
            let (begin, number) = (at, line);
            at += length + break_length(&rest[length..]);
            line += 1;
            let content = rest[..length].trim_end();
            if !content.trim().is_empty() {
                return Some((number, begin..begin + content.len()));
            }
        }
        None
    })
}

/// Returns the length of the line break that a text begins with.
fn break_length(text: &str) -> usize {
    match text.as_bytes() {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}

/// Counts the line breaks of a text.
fn breaks(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = |at: usize| match bytes[at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    (0..bytes.len()).filter(|at| ends(*at)).count()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // into memory
    }
    text
}

fn utf8(bytes: Vec<u8>) -> Checked<String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return problem(1, 1, "this is UTF-16; save the file as \"CSV UTF-8\"");
    }
    String::from_utf8(bytes).or_else(|error| {
        let good = error.utf8_error().valid_up_to();
        let good = String::from_utf8_lossy(&error.as_bytes()[..good]);
        let start = good.rfind(['\n', '\r']).map_or(0, |index| index + 1);
        let column = good[start..].chars().count() + 1;
        let text = "this is not UTF-8; save the file as \"CSV UTF-8\"";
        problem(1 + breaks(&good), column, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_of_all_systems_are_counted() {
        assert_eq!(breaks("a\nb\r\nc\rd"), 3);
        let all: Vec<_> = lines("a\r\rb\r\n\nc", Position { at: 0, line: 1 }).collect();
        assert_eq!(all, [(1, 0..1), (3, 3..4), (5, 7..8)]);
    }
}
