//! The file of an `apply`: CSV, JSON lines, or one number a line.
//!
//! Its text is kept as it is, and a row is where it stands in the text: what is to be set is read
//! out of it when it is checked, and again when it is sent.

use std::{
    collections::HashMap,
    fmt, fs,
    io::{self, Read},
    ops::Range,
    path::Path,
};

use csv::{Reader, ReaderBuilder, StringRecord};
use ring::digest;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};
use sigmamind::{Client, E164};

use crate::{
    change::{self, Change, HIDDEN},
    failure::{Failure, Result},
    files,
    schema::{Columns, is_number, number_name, printable},
    screen::count,
};

/// A file, before its rows are looked at.
pub struct Input {
    /// As it was named.
    pub name: String,
    pub sha256: String,
    text: String,
    form: Form,
    /// Where the rows begin, and in which line.
    start: usize,
    first: usize,
}

enum Form {
    /// With what separates the cells, what the columns are, and the header's own words for them.
    Csv(u8, Vec<Field>, StringRecord),
    JsonLines,
    Numbers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Number,
    /// With its index in the columns.
    Property(usize),
}

/// A row: the number, and where it stands.
#[derive(Debug)]
pub struct Row {
    pub number: E164,
    span: Range<usize>,
    line: usize,
}

/// What a row says of a field, and in which column it says so.
struct Cell<'a> {
    field: Field,
    column: usize,
    given: Given<'a>,
}

enum Given<'a> {
    Text(&'a str),
    Json(&'a RawValue),
}

/// Something that is wrong, with its place.
#[derive(Debug)]
pub struct Problem {
    line: usize,
    column: usize,
    text: String,
}

type Checked<T> = std::result::Result<T, Problem>;

fn problem<T>(line: usize, column: usize, text: impl Into<String>) -> Checked<T> {
    let text = text.into();
    Err(Problem { line, column, text })
}

impl Input {
    /// Reads the file, and as much of it as says what its rows are.
    pub fn read(path: &Path, columns: &Columns) -> Result<Self> {
        let bytes = if path == Path::new("-") {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            fs::read(path)
        };
        let cannot = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
        let bytes = bytes.map_err(cannot)?;
        let name = match path.to_str() {
            Some("-") => "standard input".to_owned(),
            _ => path.display().to_string(),
        };
        let sha256 = digest::digest(&digest::SHA256, &bytes);
        let sha256 = sha256
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let fail = |problem: Problem| Failure::usage(list(&name, &[problem], 1));
        let text = utf8(bytes).map_err(fail)?;
        let (form, start, first) = form(&text, columns).map_err(fail)?;
        let input = Self {
            sha256,
            text,
            form,
            start,
            first,
            name,
        };
        if let Form::Csv(_, fields, _) = &input.form {
            let secret = |field: &&Field| matches!(field, Field::Property(index) if columns.get(*index).secret);
            if let Some(Field::Property(index)) = fields.iter().find(secret)
                && path != Path::new("-")
            {
                files::warn_if_open(path, &format!("`{}`", columns.get(*index).name));
            }
        }
        Ok(input)
    }

    /// All rows, each of them checked as far as can be without sending it; `common` is set on
    /// every number. `each` sees the change of each row.
    pub fn check(
        &self,
        columns: &Columns,
        common: &Change,
        client: &Client,
        mut each: impl FnMut(&Row, &Change),
    ) -> Result<Vec<Row>> {
        if let Form::Csv(_, fields, _) = &self.form {
            for field in fields {
                if let Field::Property(index) = field
                    && common.contains_key(&columns.get(*index).name)
                {
                    return Err(Failure::usage(format!(
                        "`{}` is a column of {}, and is also to be set on every number; say it once",
                        columns.get(*index).name,
                        self.name,
                    )));
                }
            }
        }
        if common.is_empty() && self.has_numbers_alone() {
            return Err(Failure::usage(format!(
                "{} has numbers alone; say with --to PROPERTY=VALUE what is to be set",
                self.name
            )));
        }
        let (mut rows, mut problems, mut wrong) = (Vec::new(), Vec::new(), 0);
        let mut seen = HashMap::new();
        let mut found = |problem: Problem| {
            wrong += 1;
            if problems.len() < SHOWN {
                problems.push(problem);
            }
        };
        for record in self.records() {
            match record.and_then(|(span, line, record)| {
                self.row(columns, common, client, &record, span, line)
            }) {
                Ok((row, change)) => {
                    if let Some(line) = seen.insert(row.number.clone(), row.line) {
                        found(Problem {
                            line: row.line,
                            column: self.column_of_number(),
                            text: format!(
                                "{} is in line {line} already; say all that is to be set on a \
                                 number in one row",
                                row.number
                            ),
                        });
                    }
                    each(&row, &change);
                    rows.push(row);
                }
                Err(problem) => found(problem),
            }
        }
        if wrong > 0 {
            return Err(Failure::usage(list(&self.name, &problems, wrong)));
        }
        if rows.is_empty() {
            return Err(Failure::usage(format!(
                "{} has no numbers in it",
                self.name
            )));
        }
        Ok(rows)
    }

    /// What a row that has been checked is to set.
    pub fn change(&self, columns: &Columns, common: &Change, row: &Row) -> Result<Change> {
        let read = || {
            let record = self.record(&row.span, row.line)?;
            self.read_row(columns, common, &record, &row.span, row.line)
        };
        let read = read().map(|(_, change, _)| change);
        read.map_err(|problem| Failure::usage(list(&self.name, &[problem], 1)))
    }

    /// The rows' own text, in the columns of the file, without secrets.
    pub fn excerpt(
        &self,
        columns: &Columns,
        rows: &[&Row],
        out: &mut dyn io::Write,
    ) -> io::Result<()> {
        let Form::Csv(delimiter, fields, header) = &self.form else {
            for row in rows {
                let line = &self.text[row.span.clone()];
                match self.form {
                    Form::JsonLines => writeln!(out, "{}", without_secrets(columns, line))?,
                    _ => writeln!(out, "{line}")?,
                }
            }
            return Ok(());
        };
        let mut out = csv::WriterBuilder::new()
            .delimiter(*delimiter)
            .from_writer(out);
        out.write_record(header)?;
        for row in rows {
            let Ok(Record::Csv(record)) = self.record(&row.span, row.line) else {
                continue;
            };
            let cells = record.iter().zip(fields).map(|(cell, field)| match field {
                Field::Property(index) if columns.get(*index).secret && !cell.is_empty() => HIDDEN,
                _ => cell,
            });
            out.write_record(cells)?;
        }
        out.flush()
    }

    /// How a file is called that has an [`excerpt`](Self::excerpt) in it.
    pub fn ending(&self) -> &'static str {
        match self.form {
            Form::JsonLines => "jsonl",
            Form::Csv(..) | Form::Numbers => "csv",
        }
    }

    fn has_numbers_alone(&self) -> bool {
        match &self.form {
            Form::Csv(_, fields, _) => fields.len() == 1,
            Form::JsonLines => false,
            Form::Numbers => true,
        }
    }

    fn column_of_number(&self) -> usize {
        match &self.form {
            Form::Csv(_, fields, _) => {
                let number = fields.iter().position(|field| *field == Field::Number);
                number.map_or(1, |index| index + 1)
            }
            Form::JsonLines | Form::Numbers => 1,
        }
    }
}

/// The most problems that are shown of a file.
const SHOWN: usize = 20;

fn list(file: &str, problems: &[Problem], all: usize) -> String {
    let lines = problems.iter().map(|problem| format!("{file}:{problem}"));
    let mut lines: Vec<_> = lines.collect();
    if all > 1 {
        lines.insert(
            0,
            format!("{file} has {all} mistakes, and nothing was sent:"),
        );
    }
    if all > problems.len() {
        lines.push(format!("and {} more like these", all - problems.len()));
    }
    lines.join("\n")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, text } = self;
        write!(f, "{line}:{column}: {text}")
    }
}

fn utf8(bytes: Vec<u8>) -> Checked<String> {
    String::from_utf8(bytes).or_else(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        let start = good.iter().rposition(|byte| *byte == b'\n');
        let column = good.len() - start.map_or(0, |index| index + 1) + 1;
        problem(
            line,
            column,
            "this is not UTF-8; save the file as \"CSV UTF-8\"",
        )
    })
}

/// What kind of file it is, and where its rows begin. Lines before them may begin with `#`.
fn form(text: &str, columns: &Columns) -> Checked<(Form, usize, usize)> {
    let mut at = text.len() - text.trim_start_matches('\u{feff}').len();
    let mut line = 1;
    loop {
        let rest = &text[at..];
        let first = rest.split_inclusive('\n').next().unwrap_or_default();
        if first.is_empty() {
            return problem(line, 1, "there is nothing in it");
        }
        let trimmed = first.trim();
        if trimmed.starts_with('{') {
            return Ok((Form::JsonLines, at, line));
        }
        if trimmed.starts_with(|c: char| c == '+' || c.is_ascii_digit()) {
            return if trimmed.contains([',', ';', '\t']) {
                problem(
                    line,
                    1,
                    format!("there is no header; name the columns: {}, …", number_name()),
                )
            } else {
                Ok((Form::Numbers, at, line))
            };
        }
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            let (header, length) = header(rest, columns, line)?;
            return Ok((header, at + length, line + breaks(&rest[..length])));
        }
        at += first.len();
        line += 1;
    }
}

/// The header of a CSV, and its length.
fn header(text: &str, columns: &Columns, line: usize) -> Checked<(Form, usize)> {
    let first = text.lines().next().unwrap_or_default();
    let separators = |separator: &u8| first.bytes().filter(|byte| byte == separator).count();
    // The last of several maxima is taken.
    let delimiter = [b'\t', b';', b','].into_iter().max_by_key(separators);
    let delimiter = delimiter.unwrap_or(b',');
    let mut reader = reader(text, delimiter);
    let mut header = StringRecord::new();
    if let Err(error) = reader.read_record(&mut header) {
        return problem(line, 1, error.to_string());
    }
    let mut fields = Vec::new();
    for (index, word) in header.iter().enumerate() {
        let word = word.trim();
        let field = match columns.find(word) {
            _ if is_number(word) => Field::Number,
            Some(property) => Field::Property(property),
            None if word.is_empty() => {
                return problem(line, index + 1, "the column has no name");
            }
            None => return problem(line, index + 1, columns.unknown(word)),
        };
        if fields.contains(&field) {
            let word = printable(word);
            return problem(
                line,
                index + 1,
                format!("the column `{word}` is there twice"),
            );
        }
        fields.push(field);
    }
    if !fields.contains(&Field::Number) {
        return problem(line, 1, format!("there is no column `{}`", number_name()));
    }
    let length = usize::try_from(reader.position().byte()).unwrap_or(text.len());
    Ok((Form::Csv(delimiter, fields, header), length))
}

fn reader(text: &str, delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(text.len().clamp(64, 1 << 16))
        .from_reader(text.as_bytes())
}

fn breaks(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// A row as it is read, before it is understood.
enum Record<'a> {
    Csv(StringRecord),
    Json(&'a str),
    Number(&'a str),
}

type Place = (Range<usize>, usize);

impl Input {
    fn records(&self) -> Box<dyn Iterator<Item = Checked<(Range<usize>, usize, Record<'_>)>> + '_> {
        match &self.form {
            Form::Csv(delimiter, ..) => Box::new(self.csv_records(*delimiter)),
            Form::JsonLines | Form::Numbers => Box::new(self.lines().map(|(span, line)| {
                let record = self.record(&span, line)?;
                Ok((span, line, record))
            })),
        }
    }

    fn csv_records(
        &self,
        delimiter: u8,
    ) -> impl Iterator<Item = Checked<(Range<usize>, usize, Record<'_>)>> {
        let mut reader = reader(&self.text[self.start..], delimiter);
        let mut line = self.first;
        let mut at = self.start;
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
            let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
            let end = (self.start + end).min(self.text.len());
            let whole = &self.text[at..end];
            let blank = whole.len() - whole.trim_start_matches(['\r', '\n']).len();
            let start = at + blank;
            line += breaks(&whole[..blank]);
            let here = line;
            let span = start..start + self.text[start..end].trim_end_matches(['\r', '\n']).len();
            line += breaks(&self.text[start..end]);
            at = end;
            let row = &self.text[span.clone()];
            let quotes = row.bytes().filter(|byte| *byte == b'"').count();
            if end == self.text.len() && quotes % 2 == 1 && row.contains('\n') {
                ended = true;
                let text = "a quotation mark is opened in this row and never closed";
                return Some(problem(here, 1, text));
            }
            Some(Ok((span, here, Record::Csv(record))))
        })
    }

    /// Lines that are not blank.
    fn lines(&self) -> impl Iterator<Item = Place> {
        let mut at = self.start;
        let lines = self.text[self.start..].split_inclusive('\n');
        lines.zip(self.first..).filter_map(move |(text, line)| {
            let start = at;
            at += text.len();
            let blank = text.trim().is_empty();
            (!blank).then(|| (start..start + text.trim_end().len(), line))
        })
    }

    fn record(&self, span: &Range<usize>, line: usize) -> Checked<Record<'_>> {
        let text = &self.text[span.clone()];
        match &self.form {
            Form::Csv(delimiter, ..) => {
                let mut record = StringRecord::new();
                match reader(text, *delimiter).read_record(&mut record) {
                    Ok(_) => Ok(Record::Csv(record)),
                    Err(error) => problem(line, 1, error.to_string()),
                }
            }
            Form::JsonLines => Ok(Record::Json(text)),
            Form::Numbers => Ok(Record::Number(text)),
        }
    }

    /// A row, understood and checked, and what it is to set.
    fn row(
        &self,
        columns: &Columns,
        common: &Change,
        client: &Client,
        record: &Record,
        span: Range<usize>,
        line: usize,
    ) -> Checked<(Row, Change)> {
        let (number, change, places) = self.read_row(columns, common, record, &span, line)?;
        let (column, number) = number;
        let at = |text: String| {
            // What is wrong is said of the property that is named first.
            let named = text.split('`').nth(1).unwrap_or_default();
            let named = named.split('.').next().unwrap_or_default();
            let place = places
                .iter()
                .find(|(index, _)| columns.get(*index).name == named);
            let column = place.map_or(column, |(_, column)| *column);
            Problem { line, column, text }
        };
        if change.is_empty() {
            return Err(at(
                "the row sets nothing; give a value or take it out".into()
            ));
        }
        let update = change::update(&change).map_err(at)?;
        let checked = client.update_phone_number(&number, &update).check();
        checked.map_err(|error| at(crate::key::reason(&error)))?;
        Ok((Row { number, span, line }, change))
    }

    #[expect(
        clippy::type_complexity,
        reason = "it is taken apart where it is called"
    )]
    fn read_row(
        &self,
        columns: &Columns,
        common: &Change,
        record: &Record,
        span: &Range<usize>,
        line: usize,
    ) -> Checked<((usize, E164), Change, Vec<(usize, usize)>)> {
        let cells = match (record, &self.form) {
            (Record::Csv(record), Form::Csv(_, fields, _)) => csv_cells(record, fields, line)?,
            (Record::Json(text), _) => json_cells(text, columns, line)?,
            (Record::Number(text), _) => vec![Cell {
                field: Field::Number,
                column: 1,
                given: Given::Text(text),
            }],
            (Record::Csv(_), _) => Vec::new(),
        };
        debug_assert!(span.end <= self.text.len());
        let mut number = None;
        let mut change = common.clone();
        let mut places = Vec::new();
        for cell in cells {
            let at = |text: String| Problem {
                line,
                column: cell.column,
                text,
            };
            match cell.field {
                Field::Number => number = Some((cell.column, number_of(&cell.given).map_err(at)?)),
                Field::Property(index) => {
                    let column = columns.get(index);
                    let Some(value) = value(column, &cell.given).map_err(at)? else {
                        continue;
                    };
                    if change.insert(column.name.clone(), value).is_some() {
                        let name = &column.name;
                        return Err(at(format!("`{name}` is also to be set on every number")));
                    }
                    places.push((index, cell.column));
                }
            }
        }
        match number {
            Some(number) => Ok((number, change, places)),
            None => problem(line, 1, format!("there is no `{}`", number_name())),
        }
    }
}

fn csv_cells<'r>(
    record: &'r StringRecord,
    fields: &[Field],
    line: usize,
) -> Checked<Vec<Cell<'r>>> {
    if record.iter().all(|cell| cell.trim().is_empty()) {
        return problem(line, 1, "the row is empty; take it out");
    }
    if record.len() != fields.len() {
        return problem(
            line,
            record.len().min(fields.len()) + 1,
            format!(
                "there {} {}, and {}",
                if record.len() == 1 { "is" } else { "are" },
                count(record.len(), "cell"),
                count(fields.len(), "column"),
            ),
        );
    }
    let cells = record.iter().zip(fields).enumerate();
    let cells = cells.map(|(index, (text, field))| Cell {
        field: *field,
        column: index + 1,
        given: Given::Text(text),
    });
    Ok(cells.collect())
}

fn json_cells<'t>(text: &'t str, columns: &Columns, line: usize) -> Checked<Vec<Cell<'t>>> {
    let pairs = match pairs(text) {
        Ok(pairs) => pairs,
        Err(error) => return problem(line, error.column().max(1), "this is not a JSON object"),
    };
    let mut cells: Vec<Cell> = Vec::new();
    for (name, json) in pairs {
        let column = 1 + json.get().as_ptr().addr() - text.as_ptr().addr();
        let field = match columns.find(&name) {
            _ if is_number(&name) => Field::Number,
            Some(index) => Field::Property(index),
            None => return problem(line, column, columns.unknown(&name)),
        };
        if cells.iter().any(|cell| cell.field == field) {
            return problem(
                line,
                column,
                format!("`{}` is there twice", printable(&name)),
            );
        }
        let given = Given::Json(json);
        cells.push(Cell {
            field,
            column,
            given,
        });
    }
    Ok(cells)
}

/// The names and the values of a JSON object, each as it stands in the text.
fn pairs(text: &str) -> serde_json::Result<Vec<(String, &RawValue)>> {
    struct Pairs;

    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(
            self,
            mut map: A,
        ) -> std::result::Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }

    let mut reader = serde_json::Deserializer::from_str(text);
    let pairs = reader.deserialize_map(Pairs)?;
    reader.end()?;
    Ok(pairs)
}

fn without_secrets(columns: &Columns, line: &str) -> String {
    let pairs = pairs(line).unwrap_or_default();
    let secret = |name: &str| {
        columns
            .find(name)
            .is_some_and(|index| columns.get(index).secret)
    };
    if !pairs.iter().any(|(name, _)| secret(name)) {
        return line.to_owned();
    }
    let pairs = pairs.iter().map(|(name, json)| {
        let json = match secret(name) && json.get() != "null" {
            true => format!("\"{HIDDEN}\""),
            false => json.get().to_owned(),
        };
        format!("{}:{json}", Value::from(name.as_str()))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

fn value(
    column: &crate::schema::Column,
    given: &Given,
) -> std::result::Result<Option<Value>, String> {
    let value = match given {
        Given::Text("") => return Ok(None),
        Given::Text(text) => column.value(text)?,
        Given::Json(json) => {
            let json = serde_json::from_str(json.get());
            column.json(json.map_err(|_| format!("`{}` is not JSON", column.name))?)?
        }
    };
    if column.secret && value == HIDDEN {
        return Err(format!(
            "`{}` was left out of this file, because it is a secret; fill it in, or use `sigmamind \
             resume`, which takes it from the first file",
            column.name
        ));
    }
    Ok(Some(value))
}

fn number_of(given: &Given) -> std::result::Result<E164, String> {
    let parsed: String;
    let text = match given {
        Given::Text(text) => *text,
        Given::Json(json) => {
            parsed = match serde_json::from_str(json.get()) {
                Ok(Value::String(text)) => text,
                Ok(Value::Number(number)) => number.to_string(),
                _ => return Err("the number is not a text".into()),
            };
            &parsed
        }
    };
    let text = text.trim();
    text.parse::<E164>().map_err(|error| {
        let text = printable(text);
        if format!("+{text}").parse::<E164>().is_ok() {
            format!(
                "{text} has lost its `+`, as happens in spreadsheets; write +{text}, in a column \
                 that is formatted as text"
            )
        } else if text.contains(['E', 'e']) && text.parse::<f64>().is_ok() {
            format!(
                "a spreadsheet has made {text} of the number, and digits are lost; copy it again, \
                 into a column that is formatted as text"
            )
        } else if text.is_empty() {
            "there is no number in this row".into()
        } else {
            format!("`{text}` is {error}")
        }
    })
}
