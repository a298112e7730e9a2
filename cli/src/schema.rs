//! The properties that can be sent and those that are reported, by the library's schemas.
//!
//! This is the only place that knows where the names of flags, columns and variables come from.

mod traits;

#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::LazyLock};

use heck::{ToKebabCase, ToShoutySnakeCase};
use schemars::{Schema, schema_for};
use serde_json::Value;
use sigmamind::{PhoneNumber, PhoneNumberUpdate, operations::UPDATE_PHONE_NUMBER};

use crate::text::is_plain;
use traits::{column, properties};

/// Returns the name of the number's column: as in the path of the operation.
pub fn number_name() -> &'static str {
    let mut names = UPDATE_PHONE_NUMBER.parameters();
    names.next().unwrap_or("number")
}

/// A property that can be sent.
#[derive(Debug, Clone)]
pub struct Column {
    /// As it is in JSON.
    pub name: String,
    /// As it is on the command line, and may be in a header: in dashes.
    pub flag: String,
    /// On one line.
    pub description: String,
    pub kind: Kind,
    pub nullable: bool,
    /// It is never an argument, and shown nowhere.
    pub secret: bool,
    /// Limits of the document, in words.
    limits: Vec<String>,
}

/// Type that a text is converted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    /// A list or an object.
    Json,
    /// Anything that JSON can say: what is not JSON is a text.
    Any,
}

impl Kind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Json => "JSON",
            Self::Any => "JSON or text",
        }
    }
}

impl Column {
    /// The option that names a file with the secret in it.
    pub fn file_flag(&self) -> String {
        format!("{}-file", self.flag)
    }

    /// The option that names a variable with the secret in it.
    pub fn variable_flag(&self) -> String {
        format!("{}-env", self.flag)
    }

    /// The environment variable that is proposed for the secret.
    pub fn variable(&self) -> String {
        format!("SIGMAMIND_{}", self.flag.to_shouty_snake_case())
    }

    /// Kind and limits in one line.
    pub fn form(&self) -> String {
        let mut words = vec![self.kind.label().to_owned()];
        words.extend(self.limits.iter().cloned());
        if self.nullable {
            words.push("may be null".into());
        }
        words.join(", ")
    }

    /// Returns the JSON value that a text stands for. An error does not repeat the text.
    pub fn value(&self, text: &str) -> Result<Value, String> {
        let takes_text = matches!(self.kind, Kind::Text | Kind::Any);
        match text {
            r"\N" => return self.null(),
            r"\E" if takes_text => return Ok("".into()),
            "" if takes_text => {
                return Err(format!(
                    "`{}` has no value; write \\E for the empty text",
                    self.name
                ));
            }
            _ => {}
        }
        let not = || format!("`{}` is not {}", self.name, self.kind.label());
        let json = match self.kind {
            Kind::Text => return Ok(text.into()),
            Kind::Any => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            _ => serde_json::from_str(text.trim()).map_err(|_| not())?,
        };
        self.fits(&json).then_some(json).ok_or_else(not)
    }

    /// Returns a JSON value if it has the right type.
    pub fn json(&self, value: Value) -> Result<Value, String> {
        match value {
            Value::Null => self.null(),
            value if self.fits(&value) => Ok(value),
            _ => Err(format!("`{}` is not {}", self.name, self.kind.label())),
        }
    }

    pub fn null(&self) -> Result<Value, String> {
        if self.nullable {
            return Ok(Value::Null);
        }
        let name = &self.name;
        Err(format!("`{name}` must not be null"))
    }

    fn fits(&self, value: &Value) -> bool {
        match self.kind {
            Kind::Text => value.is_string(),
            Kind::Integer => value.is_i64() || value.is_u64(),
            Kind::Number => value.is_number(),
            Kind::Boolean => value.is_boolean(),
            Kind::Json => value.is_array() || value.is_object(),
            Kind::Any => true,
        }
    }
}

/// The properties that can be sent, in the order of their names.
#[derive(Debug)]
pub struct Columns(Vec<Column>);

impl Columns {
    /// The properties of the document; none has a flag name that is taken.
    pub fn of_the_document(taken: HashSet<String>) -> Self {
        Self::of(&schema_for!(PhoneNumberUpdate), taken)
    }

    pub fn none() -> Self {
        Self(Vec::new())
    }

    fn of(schema: &Schema, mut taken: HashSet<String>) -> Self {
        let root = schema.as_value();
        taken.extend([number_name().to_owned(), number_name().to_kebab_case()]);
        let mut columns = Vec::new();
        for (name, property) in properties(root) {
            let mut column = column(root, name, property);
            let own = |column: &Column| {
                let variable = column.variable().replace("SIGMAMIND_", "");
                let words = [
                    column.flag.clone(),
                    column.file_flag(),
                    column.variable_flag(),
                    variable.to_kebab_case(),
                ];
                words.into_iter().collect::<HashSet<_>>()
            };
            while column.flag.is_empty() || !own(&column).is_disjoint(&taken) {
                column.flag.insert_str(0, "set-");
            }
            taken.extend(own(&column));
            columns.push(column);
        }
        Self(columns)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Column> {
        self.0.iter()
    }

    pub fn get(&self, index: usize) -> &Column {
        &self.0[index]
    }

    /// The property of a header, an argument or a JSON name, in either spelling.
    pub fn find(&self, word: &str) -> Option<usize> {
        if is_number(word) {
            return None;
        }
        let by = |test: &dyn Fn(&Column) -> bool| self.0.iter().position(test);
        by(&|column| column.flag == word)
            .or_else(|| by(&|column| column.name == word))
            .or_else(|| by(&|column| column.name.to_kebab_case() == word))
    }

    /// Describes an unknown name, with a suggestion; a name that could be a secret is not repeated.
    pub fn unknown(&self, word: &str) -> String {
        if !is_plain(word) {
            return "a name that is no property".into();
        }
        let words = self.0.iter().map(|column| column.name.as_str());
        let alike = |other: &str| strsim::jaro_winkler(&word.to_lowercase(), &other.to_lowercase());
        let nearest = words
            .chain([number_name()])
            .max_by(|a, b| alike(a).total_cmp(&alike(b)))
            .filter(|nearest| alike(nearest) > 0.8);
        match nearest {
            Some(nearest) => format!("`{word}` (did you mean `{nearest}`?)"),
            None => format!("`{word}`"),
        }
    }

    /// Returns the names of all properties, for a message.
    pub fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|column| column.name.as_str()).collect();
        names.join(", ")
    }
}

/// Returns whether a header or a JSON name is the number's, in either spelling.
pub fn is_number(word: &str) -> bool {
    word == number_name() || word == number_name().to_kebab_case()
}

/// Returns the name under which the server reports the number itself: the shortest of the reported
/// names that end in the number's own.
pub fn reported_number_name() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let own = number_name().to_lowercase();
        let names = reported().into_iter();
        names
            .filter(|name| name.to_lowercase().ends_with(&own))
            .min_by_key(String::len)
            .unwrap_or_else(|| number_name().to_owned())
    });
    &NAME
}

/// The names of what the server reports, in the order of the schema.
pub fn reported() -> Vec<String> {
    let schema = schema_for!(PhoneNumber);
    let names = properties(schema.as_value());
    names.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// The JSON Schema of what can be sent, in print.
pub fn printed() -> String {
    format!("{:#}", schema_for!(PhoneNumberUpdate).as_value())
}
