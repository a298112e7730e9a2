//! The outcome of a request, without the secrets that were in it.

use serde_json::{Map, Value};
use sigmamind::{Call, E164, Error, ErrorKind, PhoneNumber, Redactor, Response};

use crate::{
    change::{Change, REDACTED},
    export::{counterpart, is_same},
    history::Outcome,
    journal::{Ended, now},
    schema::Columns,
    text::printable,
};

/// The redactor searches as many characters.
const LONGEST: usize = 4 << 10;

/// Returns what is kept of an outcome.
pub fn ended(
    columns: &Columns,
    number: &E164,
    change: &Change,
    secrets: &Secrets,
    outcome: &Result<Response<PhoneNumber>, Error>,
) -> Ended {
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
            let reported = reported(secrets, response);
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

/// Returns whether the server could not be reached, or something in front of it answered in its
/// place.
pub fn is_unreachable(error: &Error) -> bool {
    let status = error.status().map_or(0, |status| status.as_u16());
    match error.kind() {
        ErrorKind::Connect | ErrorKind::ConnectionLost | ErrorKind::Timeout => true,
        ErrorKind::ServerError => matches!(status, 502..=504 | 520..=524 | 529 | 530),
        _ => false,
    }
}

/// The secrets that a request carried: the key, and secret values.
pub struct Secrets(Redactor);

impl Secrets {
    /// To be called after the response, when the key is known.
    pub fn of<T>(call: &Call<T>) -> Self {
        Self(call.redactor())
    }

    /// Returns a text of the server on one line; all of it is replaced if it repeats a secret.
    pub fn redact(&self, text: &str) -> String {
        if self.is_in(text) {
            REDACTED.into()
        } else {
            printable(text).into_owned()
        }
    }

    /// Returns whether a text repeats a secret, or is too long to be searched.
    fn is_in(&self, text: &str) -> bool {
        let found = |text: &str| self.0.redact(text).matches(REDACTED).count();
        text.chars().count() > LONGEST || found(text) > text.matches(REDACTED).count()
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
