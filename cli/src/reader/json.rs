//! JSON objects: one per line, pretty-printed, in an array, or in the list that the API returns.

use std::{collections::BTreeSet, fmt, ops::Range};

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};

use super::{
    Position, RawRow, breaks,
    cells::{Cell, Field, Names},
    lines, mistake,
};
use crate::{
    change::REDACTED,
    problem::{Checked, Problem, Problems, problem},
    schema::Columns,
    text::is_plain,
};

/// Where the objects of a text are.
pub enum Objects {
    Lines(Position),
    Spans(Vec<Range<usize>>),
}

impl Objects {
    /// Finds the objects from a place on.
    pub fn of(text: &str, start: Position, names: &Names) -> Result<Self, Problems> {
        let first = lines(text, start)
            .next()
            .map_or("", |(_, span)| &text[span]);
        if let Ok(pairs) = pairs(first)
            && list(&pairs, names).is_none()
        {
            return Ok(Self::Lines(start));
        }
        let mut spans = Vec::new();
        let values = serde_json::Deserializer::from_str(&text[start.at..]).into_iter::<&RawValue>();
        for value in values {
            let value = value.map_err(|error| {
                let line = start.line + error.line() - 1;
                let column = error.column().max(1);
                let text = "this is not JSON".to_owned();
                Problems::from(Problem { line, column, text })
            })?;
            let found = match pairs(value.get()) {
                Ok(pairs) => list(&pairs, names).unwrap_or_else(|| vec![value]),
                Err(_) => serde_json::from_str(value.get())
                    .map_err(|_| mistake(start.line, "this is not a JSON object or array"))?,
            };
            let begin = |value: &RawValue| value.get().as_ptr().addr() - text.as_ptr().addr();
            spans.extend(
                found
                    .iter()
                    .map(|value| begin(value)..begin(value) + value.get().len()),
            );
        }
        Ok(Self::Spans(spans))
    }

    /// Gives each row to `each`; at the end, the names that are unknown.
    pub fn rows(&self, text: &str, names: &Names, each: &mut dyn FnMut(Checked<RawRow<'_>>)) {
        let mut unknown = Unknown::default();
        let mut row = |span: Range<usize>, line: usize, line_start: usize| {
            let found = Object {
                text,
                span,
                line,
                line_start,
            };
            found.row(names, &mut unknown)
        };
        let mut give = |row: Checked<Option<RawRow<'_>>>| match row {
            Ok(Some(row)) => each(Ok(row)),
            Ok(None) => {}
            Err(problem) => each(Err(problem)),
        };
        match self {
            Self::Lines(start) => {
                for (line, span) in lines(text, *start) {
                    if !text[span.clone()].starts_with('#') {
                        let line_start = span.start;
                        give(row(span, line, line_start));
                    }
                }
            }
            Self::Spans(spans) => {
                let (mut at, mut line, mut line_start) = (0, 1, 0);
                for span in spans {
                    let before = &text[at..span.start];
                    line += breaks(before);
                    if let Some(last) = before.rfind(['\n', '\r']) {
                        line_start = at + last + 1;
                    }
                    at = span.start;
                    give(row(span.clone(), line, line_start));
                }
            }
        }
        if let Some((line, column)) = unknown.first {
            let words: Vec<_> = unknown.names.iter().map(String::as_str).collect();
            each(problem(line, column, names.unknown("name", &words)));
        }
    }
}

/// The unknown names of all objects, and the place of the first.
#[derive(Default)]
struct Unknown {
    names: BTreeSet<String>,
    first: Option<(usize, usize)>,
}

/// An object, and its place.
struct Object<'t> {
    text: &'t str,
    span: Range<usize>,
    line: usize,
    line_start: usize,
}

impl<'t> Object<'t> {
    /// Returns the row; none if a name is unknown.
    fn row(self, names: &Names, unknown: &mut Unknown) -> Checked<Option<RawRow<'t>>> {
        let json = &self.text[self.span.clone()];
        let pairs = match pairs(json) {
            Ok(pairs) => pairs,
            Err(error) if error.line() <= 1 => {
                let column = self.span.start - self.line_start + error.column().max(1);
                return problem(self.line, column, "this is not a JSON object");
            }
            Err(_) => return problem(self.line, 1, "this is not a JSON object"),
        };
        let has_number = pairs.iter().any(|(name, _)| names.is_own_number(name));
        let mut cells: Vec<Cell> = Vec::new();
        let mut is_known = true;
        for (name, json) in pairs {
            let (line, column) = self.place(json);
            let is_number = if has_number {
                names.is_own_number(&name)
            } else {
                names.is_number(&name)
            };
            let field = if is_number {
                Field::Number
            } else if has_number {
                names.field(&name)
            } else {
                names.field_of_reported(&name)
            };
            if !has_number && names.is_absent(&field, json) {
                continue;
            }
            if field == Field::Unknown {
                unknown.first.get_or_insert((line, column));
                unknown.names.insert(name);
                is_known = false;
                continue;
            }
            if field.is_named() && cells.iter().any(|cell| cell.field == field) {
                let name = if is_plain(&name) { &name } else { "…" };
                return problem(line, column, format!("`{name}` appears twice"));
            }
            cells.push(Cell::json(field, line, column, json));
        }
        Ok(is_known.then_some(RawRow {
            span: self.span,
            line: self.line,
            cells,
        }))
    }

    /// The line and the column of a value.
    fn place(&self, json: &RawValue) -> (usize, usize) {
        let at = json.get().as_ptr().addr() - self.text.as_ptr().addr();
        let before = &self.text[self.span.start..at];
        let start = match before.rfind(['\n', '\r']) {
            Some(last) => self.span.start + last + 1,
            None => self.line_start,
        };
        (self.line + breaks(before), at - start + 1)
    }
}

/// The objects in the one array that an object without a number has: `{"data": […]}`.
fn list<'t>(pairs: &[(String, &'t RawValue)], names: &Names) -> Option<Vec<&'t RawValue>> {
    if pairs.iter().any(|(name, _)| names.is_number(name)) {
        return None;
    }
    let mut lists = pairs.iter().filter_map(|(_, json)| {
        let items: Vec<&RawValue> = serde_json::from_str(json.get()).ok()?;
        items
            .iter()
            .all(|item| item.get().starts_with('{'))
            .then_some(items)
    });
    let first = lists.next()?;
    lists.next().is_none().then_some(first)
}

/// Returns a JSON object on one line, without its secrets.
pub fn on_one_line(columns: &Columns, json: &str) -> String {
    let secret = |name: &str| {
        columns
            .find(name)
            .is_some_and(|index| columns.get(index).secret)
    };
    let pairs = pairs(json).unwrap_or_default();
    let has_secret = pairs.iter().any(|(name, _)| secret(name));
    if !has_secret && !json.contains(['\n', '\r']) {
        return json.to_owned();
    }
    let pairs = pairs.iter().map(|(name, json)| {
        let value = if secret(name) && json.get() != "null" {
            Value::from(REDACTED)
        } else {
            serde_json::from_str(json.get()).unwrap_or_default()
        };
        format!("{}:{value}", Value::from(name.as_str()))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// The names and the values of a JSON object, each as it is in the text.
fn pairs(text: &str) -> serde_json::Result<Vec<(String, &RawValue)>> {
    struct Pairs;

    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
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
