//! What a successful call returns, and how it is read from the answer.

use std::{cell::Cell, fmt, ops::Deref};

use percent_encoding::percent_decode_str;
use reqwest::{StatusCode, header::HeaderMap};
use serde::{
    Deserializer,
    de::{self, DeserializeOwned, DeserializeSeed, MapAccess, Visitor},
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

/// Reads the body of a success, which must be about what was asked for: `path` is the path of the
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
    if !answer.is_object {
        let documented = !operation.path.is_empty();
        let body = if body.is_empty() && !documented {
            b"null"
        } else {
            body
        };
        return serde_json::from_slice(body).map_err(undocumented);
    }
    let look = Look {
        answer,
        asked: &|parameter| operation.segments(path).nth(parameter),
        unknown: Cell::new(false),
        known: Cell::new(answer.properties.is_empty()),
        repeats: Cell::new(None),
        astray: Cell::new(false),
    };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = T::deserialize(Watched(&mut reader, &look))
        .and_then(|value| reader.end().map(|()| value))
        .map_err(undocumented)?;
    if look.astray.get() {
        return Err(("is about another number than was asked for", None));
    }
    if look.unknown.get() && !look.known.get() {
        return Err(("has none of the documented properties", None));
    }
    Ok(value)
}

/// What is noticed of an object while it is read.
struct Look<'a> {
    answer: &'a Answer,
    /// The value of a parameter of the request's path, escaped.
    asked: &'a dyn Fn(usize) -> Option<&'a str>,
    /// Whether it has properties that the document does not name, and such as it does.
    unknown: Cell<bool>,
    known: Cell<bool>,
    /// The parameter that the property at hand repeats.
    repeats: Cell<Option<usize>>,
    astray: Cell<bool>,
}

impl Look<'_> {
    fn name(&self, name: &str) {
        let mut repeats = self.answer.repeats.iter();
        let repeats = repeats.find(|(property, _)| *property == name);
        self.repeats.set(repeats.map(|(_, parameter)| *parameter));
        if !self.known.get() {
            let known = self.answer.properties.contains(&name);
            self.known.set(known);
            self.unknown.set(!known);
        }
    }

    fn value(&self, about: &Value) {
        let asked = self.repeats.get().and_then(self.asked);
        let differs = asked.is_some_and(|asked| match about {
            Value::String(about) => differ(asked, about),
            Value::Number(about) => differ(asked, &about.to_string()),
            _ => false,
        });
        self.astray.set(self.astray.get() || differs);
    }
}

/// A part of serde's machinery that passes everything on, and lets the look see the names of the
/// outermost object and the values that repeat a parameter.
struct Watched<'a, W>(W, &'a Look<'a>);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Watched<'_, D> {
    type Error = D::Error;

    // Also for a struct, which would read a list as well.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Watched(visitor, self.1))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_identifier(Watched(visitor, self.1))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watched<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Watched(map, self.1))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<V::Value, E> {
        self.1.name(name);
        self.0.visit_str(name)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Watched<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error>
    where
        K: DeserializeSeed<'de>,
    {
        self.0.next_key_seed(Watched(seed, self.1))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        if self.1.repeats.get().is_none() {
            return self.0.next_value_seed(seed);
        }
        let value: Value = self.0.next_value()?;
        self.1.value(&value);
        seed.deserialize(value).map_err(de::Error::custom)
    }
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Watched<'_, K> {
    type Value = K::Value;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<K::Value, D::Error> {
        self.0.deserialize(Watched(name, self.1))
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
