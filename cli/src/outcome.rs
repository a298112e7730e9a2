//! The outcome of a request, without the secrets that were in it.

use serde_json::{Map, Value};
use sigmamind::{E164, Error, ErrorKind, PhoneNumber, Response};

use crate::{
    change::{Change, REDACTED},
    export::{counterpart, is_same},
    history::Outcome,
    journal::{Ended, now},
    schema::Columns,
    text::printable,
};

/// Returns what is kept of an outcome.
pub fn ended(
    columns: &Columns,
    number: &E164,
    change: &Change,
    outcome: &Result<Response<PhoneNumber>, Error>,
) -> Ended {
    let secrets = Secrets::of(columns, change);
    let mut ended = Ended {
        at: now(),
        number: number.clone(),
        outcome: Outcome::Applied,
        code: None,
        retryable: None,
        status: None,
        attempts: 0,
        request_id: None,
        message: None,
        detail: None,
        later: None,
        differs: Vec::new(),
        reported: None,
    };
    match outcome {
        Ok(response) => {
            let reported = reported(&secrets, response);
            ended.status = Some(response.status().as_u16());
            ended.attempts = response.attempts();
            ended.request_id = response.request_id().map(|id| secrets.redact(id));
            ended.differs = differs(columns, change, &reported);
            ended.reported = Some(reported);
        }
        Err(error) => {
            ended.outcome = if error.may_have_been_applied() {
                Outcome::Unknown
            } else {
                Outcome::Failed
            };
            ended.code = Some(error.kind().as_str().to_owned());
            ended.retryable = Some(error.is_retryable());
            ended.status = error.status().map(|status| status.as_u16());
            ended.attempts = error.attempts();
            ended.request_id = error.request_id().map(|id| secrets.redact(id));
            ended.message = Some(printable(&error.to_string()).into_owned());
            ended.detail = error.message().map(|text| printable(text).into_owned());
        }
    }
    ended
}

/// Whether the server could not be reached, or something in front of it answered in its place.
pub fn is_unreachable(error: &Error) -> bool {
    let status = error.status().map_or(0, |status| status.as_u16());
    match error.kind() {
        ErrorKind::Connect | ErrorKind::ConnectionLost | ErrorKind::Timeout => true,
        ErrorKind::ServerError => matches!(status, 502..=504 | 520..=524 | 529 | 530),
        _ => false,
    }
}

/// The secrets that a request sent.
pub struct Secrets(Vec<String>);

impl Secrets {
    pub fn of(columns: &Columns, change: &Change) -> Self {
        let mut secrets = Vec::new();
        for (name, value) in change {
            let secret = columns
                .find(name)
                .is_none_or(|index| columns.get(index).secret);
            if secret {
                texts(value, &mut secrets);
            }
        }
        Self(secrets)
    }

    /// Returns a text of the server on one line; all of it is replaced if it repeats a secret.
    pub fn redact(&self, text: &str) -> String {
        if self.is_in(text) {
            REDACTED.into()
        } else {
            printable(text).into_owned()
        }
    }

    /// Whether a text repeats a secret; one that is shorter than a word has to be all of it.
    fn is_in(&self, text: &str) -> bool {
        let contains = |secret: &String| secret.len() >= 4 && text.contains(secret.as_str());
        self.0
            .iter()
            .any(|secret| text == secret || contains(secret))
    }
}

/// Returns the documented properties of a response; a value that repeats a secret is replaced.
pub fn reported(secrets: &Secrets, phone: &PhoneNumber) -> Map<String, Value> {
    let Ok(Value::Object(mut reported)) = serde_json::to_value(phone) else {
        return Map::new();
    };
    for value in reported.values_mut() {
        let mut parts = Vec::new();
        texts(value, &mut parts);
        if parts.iter().any(|part| secrets.is_in(part)) {
            *value = REDACTED.into();
        }
    }
    reported
}

/// Collects the texts and numbers of a JSON value.
fn texts(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Number(number) => all.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(properties) => properties.values().for_each(|item| texts(item, all)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Returns which properties are reported otherwise than they were sent.
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
