//! Cells: what a name stands for, and what a value is.

use serde_json::{Value, value::RawValue};
use sigmamind::E164;

use crate::{
    change::REDACTED,
    schema::{self, Column, Columns, is_number, reported_number_name},
    text::{count, invisible, is_invisible},
};

/// Field that a cell belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    Number,
    /// With its index in the columns.
    Property(usize),
    /// Any name of an export.
    Named(String),
    Ignored,
    /// A column without a name, in which nothing may be.
    Unnamed,
    Unknown,
}

impl Field {
    pub fn property(&self) -> Option<usize> {
        match self {
            Self::Property(index) => Some(*index),
            _ => None,
        }
    }

    /// Returns whether it may appear only once.
    pub fn is_named(&self) -> bool {
        matches!(self, Self::Number | Self::Property(_) | Self::Named(_))
    }
}

/// Lookup of the names in headers and JSON keys.
pub struct Names<'c> {
    columns: &'c Columns,
    /// Names that the server reports.
    reported: Vec<String>,
    purpose: Purpose,
}

enum Purpose {
    /// Properties to set.
    Update {
        ignore_unknown: bool,
        only: Vec<usize>,
    },
    /// Known properties of numbers; any name is accepted.
    Export,
}

impl<'c> Names<'c> {
    /// Names of properties to set. `only` may limit them to a few columns.
    pub fn of_update(
        columns: &'c Columns,
        ignore_unknown: bool,
        only: &[String],
    ) -> Result<Self, String> {
        let find = |word: &String| {
            let unknown = || format!("--columns: there is no property {}", columns.unknown(word));
            columns.find(word).ok_or_else(unknown)
        };
        let named = only.iter().filter(|word| !is_number(word));
        let only = named.map(find).collect::<Result<_, _>>()?;
        Ok(Self {
            columns,
            reported: schema::reported(),
            purpose: Purpose::Update {
                ignore_unknown,
                only,
            },
        })
    }

    pub fn of_export(columns: &'c Columns) -> Self {
        Self {
            columns,
            reported: schema::reported(),
            purpose: Purpose::Export,
        }
    }

    /// Returns whether a name is the number's own.
    #[allow(clippy::unused_self, reason = "it stands beside `is_number`")]
    pub fn is_own_number(&self, word: &str) -> bool {
        is_number(word)
    }

    /// Returns whether a name is the number's own, or the one that the server reports it under.
    pub fn is_number(&self, word: &str) -> bool {
        let word = self.bare(word);
        is_number(word) || word == reported_number_name()
    }

    pub fn field(&self, word: &str) -> Field {
        let Purpose::Update {
            ignore_unknown,
            only,
        } = &self.purpose
        else {
            return Field::Named(self.bare(word).to_owned());
        };
        match self.columns.find(word) {
            Some(index) if only.is_empty() || only.contains(&index) => Field::Property(index),
            None if !ignore_unknown && only.is_empty() => Field::Unknown,
            _ => Field::Ignored,
        }
    }

    /// The same among the properties that the server has reported; some of them cannot be set.
    pub fn field_of_reported(&self, word: &str) -> Field {
        match self.field(word) {
            Field::Unknown if self.reported.iter().any(|name| name == word) => Field::Ignored,
            field => field,
        }
    }

    /// Returns whether null stands for an absent value, because null cannot be set.
    pub fn is_absent(&self, field: &Field, json: &RawValue) -> bool {
        let nullable = |index| self.columns.get(index).nullable;
        json.get() == "null" && field.property().is_some_and(|index| !nullable(index))
    }

    /// A file of results marks what was reported.
    fn bare<'w>(&self, word: &'w str) -> &'w str {
        match self.purpose {
            Purpose::Export => word.strip_prefix("reported.").unwrap_or(word),
            Purpose::Update { .. } => word,
        }
    }

    /// The names that are wanted and not there.
    pub fn missing(&self, fields: &[Field]) -> Vec<&str> {
        let Purpose::Update { only, .. } = &self.purpose else {
            return Vec::new();
        };
        let missing = only
            .iter()
            .filter(|index| !fields.contains(&Field::Property(**index)));
        missing
            .map(|index| self.columns.get(*index).name.as_str())
            .collect()
    }

    /// Describes all unknown names in one sentence.
    pub fn unknown(&self, noun: &str, words: &[&str]) -> String {
        let described: Vec<_> = words
            .iter()
            .map(|word| self.columns.unknown(word))
            .collect();
        let suggested = described.iter().all(|text| text.contains("did you mean"));
        let known = if suggested {
            String::new()
        } else {
            format!("; the properties are {}", self.columns.names())
        };
        format!(
            "{}: {}{known}; use --ignore-unknown or --columns to skip",
            count(words.len(), &format!("unknown {noun}")),
            described.join(", ")
        )
    }
}

/// Value of a field in a row.
pub struct Cell<'r> {
    pub field: Field,
    /// The line, if the cell is not in the row's first.
    pub line: Option<usize>,
    pub column: usize,
    given: Given<'r>,
}

enum Given<'r> {
    Text(&'r str),
    Json(&'r RawValue),
}

impl<'r> Cell<'r> {
    /// A line that is a number.
    pub fn number_alone(text: &'r str) -> Self {
        Self::text(Field::Number, 1, text)
    }

    pub fn text(field: Field, column: usize, text: &'r str) -> Self {
        Self {
            field,
            line: None,
            column,
            given: Given::Text(text),
        }
    }

    pub fn json(field: Field, line: usize, column: usize, json: &'r RawValue) -> Self {
        Self {
            field,
            line: Some(line),
            column,
            given: Given::Json(json),
        }
    }

    /// Returns the number, or why it is not one. Only digits are repeated.
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
            if let Some(name) = invisible(text) {
                format!("the number contains the invisible character {name}; type the number again")
            } else if text.is_empty() {
                "there is no number in this row".into()
            } else if format!("+{text}").parse::<E164>().is_ok() {
                without_plus(text)
            } else if text.contains(['E', 'e']) && text.parse::<f64>().is_ok() {
                format!(
                    "a spreadsheet has made {text} of the number, and digits are lost; copy it \
                     again, into a column that is formatted as text"
                )
            } else if text
                .chars()
                .all(|c| c.is_ascii_digit() || "+ ()-./".contains(c))
            {
                format!("`{text}` is {error}")
            } else {
                format!("this is {error}")
            }
        })
    }

    /// Returns the number of an export, which may lack its plus.
    pub fn exported_number(&self) -> Result<E164, String> {
        self.number().or_else(|reason| {
            let text = self.exported();
            let digits = super::super::export::cell(&text);
            format!("+{}", digits.trim()).parse().map_err(|_| reason)
        })
    }

    /// Returns the value for a property, if the cell has one.
    pub fn value(&self, column: &Column) -> Result<Option<Value>, String> {
        let value = match &self.given {
            Given::Text(text) if text.trim().is_empty() => return Ok(None),
            Given::Text(text) => {
                check_text(column, text)?;
                column.value(text)?
            }
            Given::Json(json) => {
                let json = serde_json::from_str(json.get());
                let value = json.map_err(|_| format!("`{}` is not JSON", column.name))?;
                if let Value::String(text) = &value {
                    check_text(column, text)?;
                }
                column.json(value)?
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

    /// Returns the value of an export as it is; an empty cell is the empty text.
    pub fn exported(&self) -> Value {
        match &self.given {
            Given::Text(r"\N") => Value::Null,
            Given::Text(r"\E") => "".into(),
            Given::Text(text) if text.trim().is_empty() => "".into(),
            Given::Text(text) => (*text).into(),
            Given::Json(json) => serde_json::from_str(json.get()).unwrap_or_default(),
        }
    }

    /// Returns whether it is empty.
    pub fn is_blank(&self) -> bool {
        matches!(self.given, Given::Text(text) if text.trim().is_empty())
    }
}

/// Ten digits may be a number whose country is missing, as well as one that has lost its plus.
fn without_plus(text: &str) -> String {
    if text.len() == 10 {
        return format!(
            "{text} has no country code or has lost its `+`; write + and the country code: \
             +1{text}, if it is in the USA or Canada"
        );
    }
    format!(
        "{text} has lost its `+`, as happens in spreadsheets; write +{text}, in a column that is \
         formatted as text"
    )
}

/// Refuses what cannot be seen in a value.
fn check_text(column: &Column, text: &str) -> Result<(), String> {
    let name = &column.name;
    let is_white = |c: char| c.is_whitespace() || is_invisible(c);
    if text.starts_with(is_white) || text.ends_with(is_white) {
        let hidden = text.trim().starts_with(is_invisible) || text.trim().ends_with(is_invisible);
        return Err(match invisible(text).filter(|_| hidden) {
            Some(character) => format!("`{name}` contains the invisible character {character}"),
            None => format!("`{name}` has white space around its value; remove it"),
        });
    }
    let hidden = text.replace(['\n', '\r', '\t'], "");
    match invisible(&hidden) {
        Some(character) => Err(format!(
            "`{name}` contains the invisible character {character}"
        )),
        None => Ok(()),
    }
}
