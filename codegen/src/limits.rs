//! Limits: the keywords that the client checks before it sends something.
//!
//! `{ maxLength: 3, minimum: 1 }` → `[Count("MaxLength", 3), Bound("Minimum", Integer(1))]`.

use serde_json::Value;

use crate::{
    failure::{Failure, NO_NUMBER, NO_PATTERN, Problem, UNEXPECTED},
    model::Direction,
    pattern,
    schema::{entries, items, texts},
};

/// Pattern that `format: e164` requires of a string.
pub const E164: &str = r"^\+[1-9][0-9]{6,14}$";

/// A limit, with its name in the client.
#[derive(Debug, PartialEq)]
pub enum Limit {
    Count(&'static str, u64),
    Bound(&'static str, Number),
    /// As translated for the client's regex engine, and as written in the document.
    Pattern(String, String),
    Texts(Vec<String>),
    Numbers(Vec<Number>),
    UniqueItems,
}

#[derive(Debug, PartialEq)]
pub enum Number {
    Integer(i64),
    Float(f64),
}

/// A keyword with an invalid value, and its problem.
type Misfit<'s> = (&'s str, Problem, String);

/// Returns the limits of a schema, without those of the schemas inside it.
///
/// Keywords with invalid values are ignored: response schemas may have them.
pub fn of(schema: &Value, direction: Direction) -> Vec<Limit> {
    // Where a phone number is only sent, its type guards it.
    let guarded = schema["format"] == "e164" && direction == Direction::Both;
    let e164 = guarded.then(|| Limit::Pattern(E164.to_owned(), E164.to_owned()));
    let keywords = entries(schema);
    let limits = keywords.filter_map(|(keyword, value)| limit(schema, keyword, value).ok()?);
    limits.chain(e164).collect()
}

/// Refuses a limit that the client could not check; `at` is the place of its schema.
pub fn check(schema: &Value, at: &str) -> Result<(), Failure> {
    for (keyword, value) in entries(schema) {
        limit(schema, keyword, value).map_err(|(keyword, problem, what)| {
            let what = if matches!(keyword, "pattern" | "enum") {
                what
            } else {
                format!("{what} for `{keyword}`")
            };
            Failure::at(at, problem, &what)
        })?;
    }
    Ok(())
}

fn limit<'s>(schema: &Value, keyword: &'s str, value: &Value) -> Result<Option<Limit>, Misfit<'s>> {
    let count = |name| match value.as_u64() {
        Some(count) => Ok(Some(Limit::Count(name, count))),
        None => Err((keyword, UNEXPECTED, "a whole number".to_owned())),
    };
    let bound = |name| match number(value) {
        Some(number) => Ok(Some(Limit::Bound(name, number))),
        None => Err((keyword, UNEXPECTED, "a number".to_owned())),
    };
    match keyword {
        "minLength" => count("MinLength"),
        "maxLength" => count("MaxLength"),
        "minItems" => count("MinItems"),
        "maxItems" => count("MaxItems"),
        "minProperties" => count("MinProperties"),
        "maxProperties" => count("MaxProperties"),
        "minimum" => bound("Minimum"),
        "maximum" => bound("Maximum"),
        "exclusiveMinimum" => bound("ExclusiveMinimum"),
        "exclusiveMaximum" => bound("ExclusiveMaximum"),
        "uniqueItems" => match value.as_bool() {
            Some(true) => Ok(Some(Limit::UniqueItems)),
            Some(false) => Ok(None),
            None => Err((keyword, UNEXPECTED, "true or false".to_owned())),
        },
        "pattern" => {
            let text =
                value
                    .as_str()
                    .ok_or((keyword, UNEXPECTED, "a string as pattern".to_owned()))?;
            match pattern::translate(text) {
                Ok(translated) => Ok(Some(Limit::Pattern(translated, text.to_owned()))),
                Err(reason) => Err((keyword, NO_PATTERN, reason)),
            }
        }
        "enum" if schema["x-variants"].is_array() => Ok(Some(Limit::Texts(
            texts(value).map(ToOwned::to_owned).collect(),
        ))),
        "enum" => {
            let numbers = items(value)
                .filter(|value| !value.is_null())
                .map(number)
                .collect::<Option<Vec<_>>>()
                .ok_or((keyword, NO_NUMBER, "one of the listed values".to_owned()))?;
            Ok(Some(Limit::Numbers(numbers)))
        }
        _ => Ok(None),
    }
}

fn number(value: &Value) -> Option<Number> {
    let integer = value.as_i64().map(Number::Integer);
    integer.or_else(|| value.as_f64().map(Number::Float))
}
