//! The response of a successful call, and how it is decoded.

use std::{collections::BTreeMap, fmt, ops::Deref};

use reqwest::{StatusCode, header::HeaderMap};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{
    error::Undecodable,
    headers::request_id,
    operation::{Answer, Operation},
};

/// Response of a successful call: the value, to which it derefs, and the HTTP response around it.
///
/// Its `Debug` hides the header values, the body, and a value whose type does not hide by itself what
/// may not be shown: any JSON, a string, a list of strings.
///
/// ```no_run
/// # async fn run(call: sigmamind::Call<sigmamind::PhoneNumber>) -> Result<(), sigmamind::Error> {
/// let phone = call.await?;
/// println!("{:?} after {} attempts", phone.friendly_name, phone.attempts());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Response<T> {
    pub(crate) value: T,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) attempts: u32,
    /// Whether the `Debug` of the value hides by itself what may not be shown.
    pub(crate) shown: bool,
}

impl<T> Response<T> {
    /// Returns the HTTP status, one of 2xx.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the body as it came, at most 1 MiB: a property that the document lacks can be read
    /// here.
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

    /// Returns the id under which the server, or a proxy before it, knows this call; `None` if it
    /// sent none.
    ///
    /// It is as received, and may repeat what was sent.
    ///
    /// SigmaMind's API reference documents no such header; the usual ones are tried: `x-request-id`,
    /// `request-id`, `x-amzn-requestid`, `x-amz-request-id`, `x-correlation-id`, `cf-ray`.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        request_id(&self.headers)
    }

    /// Returns the number of attempts, the successful one included: 1 without a retry.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the value alone.
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
        let mut response = f.debug_struct("Response");
        if self.shown {
            response.field("value", &self.value);
        }
        response
            .field("status", &self.status)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// Why the body of a success cannot be used, and serde's error if there is one.
pub(crate) type DecodeFailure = (Undecodable, Option<serde_json::Error>);

/// Decodes the body of a success.
pub(crate) fn decode<T: DeserializeOwned + 'static>(
    operation: &Operation,
    body: &[u8],
) -> Result<T, DecodeFailure> {
    let not_documented = |error| (Undecodable::NotDocumented(None), Some(error));
    let Some(answer) = &operation.answer else {
        return serde_json::from_slice(b"null").map_err(not_documented);
    };
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if answer.may_be_empty && body.trim_ascii().is_empty() {
        // Of a type without null, it is a value in which nothing is set.
        let null = serde_json::from_slice(b"null");
        let value = null.or_else(|_| serde_json::from_slice(b"{}"));
        return value.map_err(not_documented);
    }
    if answer.is_object && !body.trim_ascii_start().starts_with(b"{") {
        // serde takes a list for a struct.
        names(body).map_err(not_documented)?;
    }
    let value: T = serde_json::from_slice(body).map_err(|error| {
        let property = error
            .is_data()
            .then(|| property::<T>(answer, body))
            .flatten();
        (Undecodable::NotDocumented(property), Some(error))
    })?;
    if answer.is_blank.is_some_and(|is_blank| is_blank(&value)) {
        let names = names(body).map_err(not_documented)?;
        let documented = |name: &String| answer.properties.contains(&name.as_str());
        if !names.is_empty() && !names.keys().any(documented) {
            return Err((Undecodable::NoDocumentedProperty, None));
        }
    }
    Ok(value)
}

/// Reads the body again to find the documented property that has another type.
fn property<T: DeserializeOwned>(answer: &Answer, body: &[u8]) -> Option<&'static str> {
    let reader = &mut serde_json::Deserializer::from_slice(body);
    let path = serde_path_to_error::deserialize::<_, T>(reader)
        .err()?
        .path()
        .iter()
        .next()?
        .to_string();
    answer.properties.iter().copied().find(|name| *name == path)
}

/// Reads the names in an object; anything else is an error.
#[allow(
    clippy::zero_sized_map_values,
    reason = "serde passes over values, whatever they are"
)]
fn names(body: &[u8]) -> serde_json::Result<BTreeMap<String, IgnoredAny>> {
    serde_json::from_slice(body)
}
