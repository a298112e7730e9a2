//! FILE.results.csv: a row for each number.
//!
//! A spreadsheet may open it. So text that a server reported and that a spreadsheet would take for
//! a formula has an apostrophe before it, and control characters are removed.

use std::io;

use serde_json::Value;
use sigmamind::E164;

use crate::{
    export::cell,
    history::State,
    journal::Ended,
    schema::{self, number_name},
    text::printable,
};

const FIXED: [&str; 10] = [
    "outcome",
    "code",
    "retryable",
    "status",
    "attempts",
    "requestId",
    "message",
    "later",
    "differs",
    "at",
];

/// Writes results row by row.
pub struct Results<W: io::Write> {
    out: csv::Writer<W>,
    reported: Vec<String>,
}

impl<W: io::Write> Results<W> {
    pub fn new(out: W) -> io::Result<Self> {
        let reported = schema::reported();
        let mut out = csv::Writer::from_writer(out);
        let fixed = [number_name()].into_iter().chain(FIXED).map(str::to_owned);
        out.write_record(fixed.chain(reported.iter().map(|name| format!("reported.{name}"))))?;
        Ok(Self { out, reported })
    }

    pub fn row(&mut self, number: &E164, state: State, ended: Option<&Ended>) -> io::Result<()> {
        let text = |text: Option<&String>| text.map(|text| harmless(text)).unwrap_or_default();
        let mut row = vec![number.to_string(), state.label().to_owned()];
        row.extend(match ended {
            None => vec![String::new(); FIXED.len() - 1],
            Some(ended) => vec![
                ended.code.clone().unwrap_or_default(),
                ended
                    .retryable
                    .map(|retryable| retryable.to_string())
                    .unwrap_or_default(),
                ended
                    .status
                    .map(|status| status.to_string())
                    .unwrap_or_default(),
                ended.attempts.to_string(),
                text(ended.request_id.as_ref()),
                text(ended.message.as_ref()),
                text(ended.later.as_ref()),
                ended.differs.join(" "),
                ended.at.clone(),
            ],
        });
        let values = ended.and_then(|ended| ended.reported.as_ref());
        for name in &self.reported {
            let value = values.and_then(|values| values.get(name));
            row.push(value.map(reported).unwrap_or_default());
        }
        self.out.write_record(row)?;
        Ok(())
    }

    pub fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A reported value as a cell. A phone number is not text that could be a formula.
pub fn reported(value: &Value) -> String {
    let text = cell(value);
    match (value, text.parse::<E164>()) {
        (Value::String(_), Err(_)) => harmless(&text),
        _ => text,
    }
}

/// Returns a text that a spreadsheet shows and does not run.
fn harmless(text: &str) -> String {
    let text = printable(text);
    if text.trim_start().starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formula_is_quoted_and_number_is_not() {
        assert_eq!(reported(&"=1+1".into()), "'=1+1");
        assert_eq!(reported(&"\t@x".into()), "' @x");
        assert_eq!(reported(&"+14155552671".into()), "+14155552671");
        assert_eq!(reported(&(-5).into()), "-5");
    }
}
