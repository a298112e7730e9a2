//! What a successful call returns, and how it is read from the answer.

use std::{collections::BTreeMap, fmt, ops::Deref};

use percent_encoding::percent_decode_str;
use reqwest::{StatusCode, header::HeaderMap};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::operation::{Operation, Repeat};

/// A successful answer: the value (to which it derefs) and how it came.
///
/// Its `Debug` hides the header values and the body.
#[derive(Clone)]
pub struct Response<T> {
    pub(crate) value: T,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) attempts: u32,
}

impl<T> Response<T> {
    /// The HTTP status, one of 2xx.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The bytes of the answer as they came, at most 1 MiB: a property that the document does not
    /// name can be read here.
    ///
    /// ```no_run
    /// # async fn run(call: sigmamind::Call<sigmamind::PhoneNumber>) -> Result<(), Box<dyn std::error::Error>> {
    /// let phone = call.await?;
    /// let all: serde_json::Value = serde_json::from_slice(phone.body())?;
    /// println!("{}", all["region"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The id under which the server, or a proxy before it, knows this call; `None` if it sent none.
    ///
    /// The page documents no such header; the usual ones are looked for: `x-request-id`,
    /// `request-id`, `x-amzn-requestid`, `x-amz-request-id`, `x-correlation-id`, `cf-ray`.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        request_id(&self.headers)
    }

    /// How many requests were sent, the successful one included: 1 without a retry.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The value alone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Response<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Response<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("value", &self.value)
            .field("status", &self.status)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    [
        "x-request-id",
        "request-id",
        "x-amzn-requestid",
        "x-amz-request-id",
        "x-correlation-id",
        "cf-ray",
    ]
    .iter()
    .find_map(|name| headers.get(*name)?.to_str().ok())
}

/// What is wrong with the body of a success, and the reader's own words for it.
pub(crate) type Undecoded = (&'static str, Option<serde_json::Error>);

/// Reads the body of a success, which must be about what was asked for: `path` is the path of the
/// request.
pub(crate) fn decode<T: DeserializeOwned + 'static>(
    operation: &Operation,
    path: &str,
    body: &[u8],
) -> Result<T, Undecoded> {
    let undocumented = |error| ("is not the documented JSON", Some(error));
    let Some(answer) = &operation.answer else {
        return serde_json::from_slice(b"null").map_err(undocumented);
    };
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if !answer.is_object {
        let documented = !operation.path.is_empty();
        let body = if body.is_empty() && !documented {
            b"null"
        } else {
            body
        };
        return serde_json::from_slice(body).map_err(undocumented);
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        names(body).map_err(undocumented)?;
    }
    let value: T = serde_json::from_slice(body).map_err(undocumented)?;
    for Repeat { parameter, read } in answer.repeats {
        let asked = operation.segments(path).nth(*parameter);
        if asked.is_some_and(|asked| is_another(asked, &read(&value))) {
            return Err(("is about another number than was asked for", None));
        }
    }
    if answer.is_blank.is_some_and(|is_blank| is_blank(&value)) {
        let names = names(body).map_err(undocumented)?;
        let documented = |name: &String| answer.properties.contains(&name.as_str());
        if !names.is_empty() && !names.keys().any(documented) {
            return Err(("has none of the documented properties", None));
        }
    }
    Ok(value)
}

/// The names in an object; what is none is refused, such as the list that serde takes for a struct.
#[allow(
    clippy::zero_sized_map_values,
    reason = "serde passes over values, whatever they are"
)]
fn names(body: &[u8]) -> serde_json::Result<BTreeMap<String, IgnoredAny>> {
    serde_json::from_slice(body)
}

/// Whether an answer's property is about another number than the request's path.
fn is_another(asked: &str, about: &Value) -> bool {
    match about {
        Value::String(about) => differ(asked, about),
        Value::Number(about) => differ(asked, &about.to_string()),
        _ => false,
    }
}

/// Whether two texts are numbers that cannot be the same: neither ends with the other, leading
/// zeros apart. What is not plainly a number (a SIP address, say) is not compared.
fn differ(asked: &str, about: &str) -> bool {
    if asked == about {
        return false;
    }
    let asked = percent_decode_str(asked).decode_utf8_lossy();
    match (digits(&asked), digits(about)) {
        (Some(asked), Some(about)) => !asked.ends_with(&about) && !about.ends_with(&asked),
        _ => false,
    }
}

/// The digits of a plain number, of which there must be at least 7.
fn digits(text: &str) -> Option<String> {
    let text = text.trim();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let text = text.strip_prefix('+').unwrap_or(text);
    let plain = |c: char| c.is_ascii_digit() || " -.()/\u{a0}".contains(c);
    (digits.len() >= 7 && text.chars().all(plain))
        .then(|| digits.trim_start_matches('0').to_owned())
}
