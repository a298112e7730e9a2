//! What a successful call returns, and how it is read from the answer.

use std::{fmt, ops::Deref};

use reqwest::{StatusCode, header::HeaderMap};
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use crate::operation::{Answer, Operation};

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

/// Reads the body of a success, which must be about what was asked: `path` is the path of the
/// request.
pub(crate) fn decode<T: DeserializeOwned>(
    operation: &Operation,
    path: &str,
    body: &[u8],
) -> Result<T, Undecoded> {
    let undocumented = |error| ("is not the documented JSON", Some(error));
    let Some(answer) = &operation.answer else {
        return serde_json::from_slice(b"null").map_err(undocumented);
    };
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let value = serde_json::from_slice(body).map_err(undocumented)?;
    if answer.is_object {
        let look = Look {
            operation,
            answer,
            path,
        };
        let mut reader = serde_json::Deserializer::from_slice(body);
        if let Some(problem) = reader.deserialize_map(look).map_err(undocumented)? {
            return Err((problem, None));
        }
    }
    Ok(value)
}

/// Looks over the properties of an object, and says what is wrong with them.
#[derive(Clone, Copy)]
struct Look<'a> {
    operation: &'a Operation,
    answer: &'a Answer,
    path: &'a str,
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut any, mut known, mut problem) = (false, self.answer.properties.is_empty(), None);
        while let Some(name) = map.next_key_seed(Name(self.answer))? {
            any = true;
            known |= name.known;
            let asked = name.repeats.and_then(|parameter| {
                let mut values = self.operation.path_values(self.path);
                values.nth(parameter)
            });
            match asked {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(asked) => match map.next_value()? {
                    Value::String(about) if !differ(&asked, &about) => {}
                    Value::Number(about) if !differ(&asked, &about.to_string()) => {}
                    Value::String(_) | Value::Number(_) => {
                        problem = Some("is about another number than was asked for");
                    }
                    _ => {}
                },
            }
        }
        if any && !known {
            problem = Some("has none of the documented properties");
        }
        Ok(problem)
    }
}

/// Reads what the name of a property means, without a copy of it.
struct Name<'a>(&'a Answer);

struct Meaning {
    known: bool,
    /// The parameter of the path that the property repeats.
    repeats: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Meaning;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Meaning, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Meaning;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Meaning, E> {
        let repeats = self.0.repeats.iter().find(|(of, _)| *of == name);
        Ok(Meaning {
            known: self.0.properties.contains(&name),
            repeats: repeats.map(|(_, parameter)| *parameter),
        })
    }
}

/// Whether two texts are numbers that cannot be the same: neither ends with the other, leading
/// zeros apart. What is not plainly a number (a SIP address, say) is not compared.
fn differ(asked: &str, about: &str) -> bool {
    if asked == about {
        return false;
    }
    match (digits(asked), digits(about)) {
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
