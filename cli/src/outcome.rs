//! What became of a request, without the secrets that were in it.

use serde_json::{Map, Value};
use sigmamind::{E164, Error, PhoneNumber, Response};

use crate::{
    change::{Change, REDACTED},
    journal::{Ended, Outcome},
    schema::{Columns, printable},
};

/// What is kept of an outcome.
pub fn ended(
    columns: &Columns,
    number: &E164,
    change: &Change,
    outcome: &Result<Response<PhoneNumber>, Error>,
) -> Ended {
    let number = number.clone();
    match outcome {
        Ok(response) => {
            let reported = reported(columns, change, response);
            Ended {
                number,
                outcome: Outcome::Applied,
                status: Some(response.status().as_u16()),
                attempts: response.attempts(),
                request_id: response.request_id().map(printable),
                message: None,
                differs: differs(columns, change, &reported),
                reported: Some(reported),
            }
        }
        Err(error) => Ended {
            number,
            outcome: if error.may_have_been_applied() {
                Outcome::Unknown
            } else {
                Outcome::Failed
            },
            status: error.status().map(|status| status.as_u16()),
            attempts: error.attempts(),
            request_id: error.request_id().map(printable),
            message: Some(printable(&error.to_string())),
            differs: Vec::new(),
            reported: None,
        },
    }
}

/// The documented properties of an answer; a value that repeats a secret is hidden.
pub fn reported(columns: &Columns, change: &Change, phone: &PhoneNumber) -> Map<String, Value> {
    let Ok(Value::Object(mut reported)) = serde_json::to_value(phone) else {
        return Map::new();
    };
    let mut secrets = Vec::new();
    for (name, value) in change {
        let secret = columns
            .find(name)
            .is_none_or(|index| columns.get(index).secret);
        if secret {
            texts(value, &mut secrets);
        }
    }
    for value in reported.values_mut() {
        let mut parts = Vec::new();
        texts(value, &mut parts);
        let repeats = |secret: &&String| {
            let contains = |part: &String| secret.len() >= 4 && part.contains(*secret);
            parts.iter().any(|part| part == *secret || contains(part))
        };
        if secrets.iter().any(|secret| repeats(&secret)) {
            *value = REDACTED.into();
        }
    }
    reported
}

/// The texts and numbers of a JSON.
fn texts(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Number(number) => all.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(properties) => properties.values().for_each(|item| texts(item, all)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The property of an answer that tells of one of a request: it is spelled the same, but for case.
pub fn counterpart<'r>(reported: &'r Map<String, Value>, name: &str) -> Option<&'r Value> {
    reported.get(name).or_else(|| {
        let mut others = reported.iter();
        let (_, value) = others.find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(value)
    })
}

/// Which properties are reported otherwise than they were sent.
pub fn differs(columns: &Columns, change: &Change, reported: &Map<String, Value>) -> Vec<String> {
    let shown = |name: &str| {
        columns
            .find(name)
            .is_some_and(|index| !columns.get(index).secret)
    };
    let differs = change.iter().filter(|(name, sent)| {
        let other = counterpart(reported, name);
        shown(name) && other.is_some_and(|other| !is_same(sent, other))
    });
    differs.map(|(name, _)| name.clone()).collect()
}

/// Whether two values say the same; a phone number may come back as an integer, or without `+`.
fn is_same(sent: &Value, reported: &Value) -> bool {
    let plain = |value: &Value| match value {
        Value::String(text) => text.strip_prefix('+').unwrap_or(text).to_owned(),
        value => value.to_string(),
    };
    sent == reported || (!sent.is_null() && plain(sent) == plain(reported))
}
