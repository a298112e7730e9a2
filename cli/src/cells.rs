//! What a row says, cell by cell.

use std::fmt;

use csv::StringRecord;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};
use sigmamind::E164;

use crate::{
    change::REDACTED,
    problem::{Checked, problem},
    schema::{Column, Columns, is_number, printable},
    ui::count,
};

/// What a cell is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Number,
    /// With its index in the columns.
    Property(usize),
}

/// What a row says of a field, and in which column it says so.
pub struct Cell<'a> {
    pub field: Field,
    pub column: usize,
    given: Given<'a>,
}

enum Given<'a> {
    Text(&'a str),
    Json(&'a RawValue),
}

impl Field {
    /// What a header or a JSON name is about.
    pub fn of(columns: &Columns, word: &str) -> Result<Self, String> {
        if is_number(word) {
            return Ok(Self::Number);
        }
        let property = columns.find(word).map(Self::Property);
        property.ok_or_else(|| columns.unknown(word))
    }
}

/// A line that is a number.
pub fn of_number(text: &str) -> Vec<Cell<'_>> {
    vec![Cell {
        field: Field::Number,
        column: 1,
        given: Given::Text(text),
    }]
}

pub fn of_record<'r>(
    record: &'r StringRecord,
    fields: &[Field],
    line: usize,
) -> Checked<Vec<Cell<'r>>> {
    if record.iter().all(|cell| cell.trim().is_empty()) {
        return problem(line, 1, "the row is empty; take it out");
    }
    let (cells, columns) = (record.len(), fields.len());
    if cells != columns {
        let are = if cells == 1 { "is" } else { "are" };
        let (there, wanted) = (count(cells, "cell"), count(columns, "column"));
        let text = format!("there {are} {there}, and {wanted}");
        return problem(line, cells.min(columns) + 1, text);
    }
    let cells = record.iter().zip(fields).zip(1..);
    let cells = cells.map(|((text, field), column)| Cell {
        field: *field,
        column,
        given: Given::Text(text),
    });
    Ok(cells.collect())
}

pub fn of_json<'t>(text: &'t str, columns: &Columns, line: usize) -> Checked<Vec<Cell<'t>>> {
    let pairs = match pairs(text) {
        Ok(pairs) => pairs,
        Err(error) => return problem(line, error.column().max(1), "this is not a JSON object"),
    };
    let mut cells: Vec<Cell> = Vec::new();
    for (name, json) in pairs {
        // The value is a part of the text.
        let column = 1 + json.get().as_ptr().addr() - text.as_ptr().addr();
        let field = Field::of(columns, &name).or_else(|text| problem(line, column, text))?;
        if cells.iter().any(|cell| cell.field == field) {
            let name = printable(&name);
            return problem(line, column, format!("`{name}` is there twice"));
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

impl Cell<'_> {
    /// The number that it says, or why it is none.
    pub fn number(&self) -> Result<E164, String> {
        let text = match &self.given {
            Given::Text(text) => (*text).to_owned(),
            Given::Json(json) => match serde_json::from_str(json.get()) {
                Ok(Value::String(text)) => text,
                Ok(Value::Number(number)) => number.to_string(),
                _ => return Err("the number is not a text".into()),
            },
        };
        let text = text.trim();
        text.parse::<E164>().map_err(|error| {
            let text = printable(text);
            if format!("+{text}").parse::<E164>().is_ok() {
                format!(
                    "{text} has lost its `+`, as happens in spreadsheets; write +{text}, in a \
                     column that is formatted as text"
                )
            } else if text.contains(['E', 'e']) && text.parse::<f64>().is_ok() {
                format!(
                    "a spreadsheet has made {text} of the number, and digits are lost; copy it \
                     again, into a column that is formatted as text"
                )
            } else if text.is_empty() {
                "there is no number in this row".into()
            } else {
                format!("`{text}` is {error}")
            }
        })
    }

    /// The value that it gives a property, if it gives one.
    pub fn value(&self, column: &Column) -> Result<Option<Value>, String> {
        let value = match &self.given {
            Given::Text("") => return Ok(None),
            Given::Text(text) => column.value(text)?,
            Given::Json(json) => {
                let json = serde_json::from_str(json.get());
                column.json(json.map_err(|_| format!("`{}` is not JSON", column.name))?)?
            }
        };
        if column.secret && value == REDACTED {
            return Err(format!(
                "`{}` was left out of this file, because it is a secret; fill it in, or use \
                 `sigmamind resume`, which takes it from the first file",
                column.name
            ));
        }
        Ok(Some(value))
    }
}

/// A JSON object without its secrets.
pub fn without_secrets(columns: &Columns, line: &str) -> String {
    let pairs = pairs(line).unwrap_or_default();
    let secret = |name: &str| columns.find(name).is_some_and(|it| columns.get(it).secret);
    if !pairs.iter().any(|(name, _)| secret(name)) {
        return line.to_owned();
    }
    let pairs = pairs.iter().map(|(name, json)| {
        let hide = secret(name) && json.get() != "null";
        let hidden = format!("\"{REDACTED}\"");
        let json = if hide { &hidden } else { json.get() };
        format!("{}:{json}", Value::from(name.as_str()))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// The names and the values of a JSON object, each as it stands in the text.
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
