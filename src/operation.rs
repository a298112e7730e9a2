//! Holds what the document says of an operation.
//!
//! build.rs writes an [`Operation`] for each operation of the document, with a [`Shape`] for each
//! schema as far as sending needs it.

use std::{any::Any, borrow::Cow, fmt, slice, sync::OnceLock};

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// The document that the client was generated from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// The name of its file.
    pub file: &'static str,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: &'static str,
}

/// One operation of the document.
#[derive(Debug)]
pub struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: &'static str,
    /// With a name in braces for each parameter, which is a whole segment.
    pub(crate) path: &'static str,
    /// The path's, in the order of their places.
    pub(crate) parameters: &'static [Parameter],
    /// The part of the path after the last of them.
    pub(crate) after: &'static str,
    /// `None` if the operation has no query.
    pub(crate) query: Option<&'static Shape>,
    /// The parameters of the query whose lists are joined by commas.
    pub(crate) joined: &'static [&'static str],
    /// The headers that are required, in lower case.
    pub(crate) headers: &'static [(&'static str, &'static Shape)],
    /// `None` if no body is sent.
    pub(crate) body: Option<&'static Shape>,
    /// Media type of the body; empty if no body is sent.
    pub(crate) content_type: &'static str,
    /// `true` if the request may be sent again after the server may have seen it.
    pub(crate) idempotent: bool,
    /// `None` if no body is documented.
    pub(crate) answer: Option<Answer>,
    #[cfg(feature = "mock")]
    pub(crate) mock: Mock,
}

/// A parameter of the path, which is a whole segment.
#[derive(Debug)]
#[allow(dead_code, reason = "a document may have none")]
pub(crate) struct Parameter {
    pub name: &'static str,
    /// The part of the path between the previous parameter and this one.
    pub before: &'static str,
    pub shape: &'static Shape,
}

/// Description of a successful response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub is_object: bool,
    /// `true` if one of the successful responses has no body.
    pub may_be_empty: bool,
    /// `true` if its `Debug` redacts by itself.
    pub shown: bool,
    /// The names of the documented properties.
    pub properties: &'static [&'static str],
    /// Says that none of them is there. None if one must be, or anything may be in it.
    pub is_blank: Option<fn(&dyn Any) -> bool>,
}

/// Returns whether an answer of this type is empty.
#[allow(dead_code, reason = "a document may have no use for it")]
pub(crate) fn is_blank<T: Default + PartialEq + 'static>(answer: &dyn Any) -> bool {
    let answer = match answer.downcast_ref::<Option<T>>() {
        Some(answer) => answer.as_ref(),
        None => answer.downcast_ref(),
    };
    answer == Some(&T::default())
}

/// Facts that only a mock server of the operation needs.
#[cfg(feature = "mock")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mock {
    /// The JSON Schema of the body, which refers to `generated::SCHEMAS` as `$defs`.
    pub request: &'static str,
    /// Where the properties of the body are in the answer, if they are there.
    pub returned: &'static [(&'static str, &'static str)],
}

/// A schema as far as sending needs it; it may refer to itself.
#[derive(Debug)]
pub(crate) struct Shape {
    /// `true` if the document says that its strings may be shown.
    pub shown: bool,
    pub secret: bool,
    pub limits: &'static [Limit],
    pub properties: &'static [(&'static str, &'static Shape)],
    /// Of the properties that are not declared.
    pub additional: Option<&'static Shape>,
    pub items: Option<&'static Shape>,
    /// `true` if this shape or one below it has a limit.
    pub limited: bool,
}

/// One thing that the document asks of a value.
#[derive(Debug)]
#[allow(dead_code, reason = "a document has few of them")]
pub(crate) enum Limit {
    /// In characters, as JSON Schema counts.
    MinLength(u64),
    MaxLength(u64),
    Pattern(&'static Pattern),
    OneOf(&'static [&'static str]),
    OneOfNumbers(&'static [Number]),
    Minimum(Number),
    ExclusiveMinimum(Number),
    Maximum(Number),
    ExclusiveMaximum(Number),
    MinItems(u64),
    MaxItems(u64),
    UniqueItems,
    MinProperties(u64),
    MaxProperties(u64),
}

/// A regular expression that is compiled once and takes time in proportion to the text.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// As the document has it, in ECMAScript's words.
    pub text: &'static str,
    /// The same in the words of `regex_lite`.
    translated: &'static str,
    compiled: OnceLock<regex_lite::Regex>,
}

#[allow(dead_code, reason = "a document may have none")]
impl Pattern {
    pub const fn new(text: &'static str, translated: &'static str) -> Self {
        Self {
            text,
            translated,
            compiled: OnceLock::new(),
        }
    }

    pub fn is_match(&self, text: &str) -> bool {
        let compile = || regex_lite::Regex::new(self.translated).expect("build.rs has compiled it");
        self.compiled.get_or_init(compile).is_match(text)
    }
}

/// A number in a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(dead_code, reason = "a document may have none")]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
        }
    }
}

/// Operation that the document does not have: accepts anything, and shows nothing.
pub(crate) static UNDOCUMENTED: Operation = Operation {
    id: "request",
    method: "",
    path: "",
    parameters: &[],
    after: "",
    query: None,
    joined: &[],
    headers: &[],
    body: Some(&SECRET),
    content_type: "",
    idempotent: false,
    answer: Some(Answer {
        is_object: false,
        may_be_empty: true,
        shown: false,
        properties: &[],
        is_blank: None,
    }),
    #[cfg(feature = "mock")]
    mock: Mock {
        request: "",
        returned: &[],
    },
};

static SECRET: Shape = Shape {
    secret: true,
    additional: Some(&SECRET),
    items: Some(&SECRET),
    ..Shape::UNKNOWN
};

impl Operation {
    /// The document's `operationId`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The HTTP method.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The path as the document has it, with parameters in braces.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Returns whether the document has it; [`Client::request`](crate::Client::request) calls others.
    pub(crate) fn is_documented(&self) -> bool {
        !self.path.is_empty()
    }

    /// The names of the path's parameters, in their order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.parameters.iter().map(|parameter| parameter.name)
    }

    /// The values of the path's parameters, in their order.
    pub(crate) fn path_values<'p>(&self, path: &'p str) -> impl Iterator<Item = Cow<'p, str>> {
        let values = self.segments(path);
        values.map(|value| percent_decode_str(value).decode_utf8_lossy())
    }

    /// The same, as they stand there, escaped.
    pub(crate) fn segments<'p>(&self, path: &'p str) -> Segments<'p> {
        Segments {
            parameters: self.parameters.iter(),
            rest: path,
        }
    }

    /// Every string of the body that the document does not say may be shown; whether it is secret.
    pub(crate) fn hidden(&self, body: &[u8]) -> Vec<(String, bool)> {
        let mut hidden = Vec::new();
        if let (Some(shape), Ok(body)) = (self.body, serde_json::from_slice(body)) {
            shape.hide(&body, &mut hidden);
        }
        hidden
    }
}

/// The segments of a path that stand where the operation's has a parameter, as far as the two are
/// alike.
pub(crate) struct Segments<'p> {
    /// The remaining parameters and the rest of the path.
    parameters: slice::Iter<'static, Parameter>,
    pub rest: &'p str,
}

impl<'p> Iterator for Segments<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        let parameter = self.parameters.next()?;
        let rest = self.rest.strip_prefix(parameter.before)?;
        // Of a text as short as this, by far the fastest search.
        let end = rest.bytes().position(|byte| byte == b'/');
        let (value, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = rest;
        Some(value)
    }
}

impl Shape {
    /// Of what the document says nothing about.
    pub const UNKNOWN: Self = Self {
        shown: false,
        secret: false,
        limits: &[],
        properties: &[],
        additional: None,
        items: None,
        limited: false,
    };

    pub fn property(&self, name: &str) -> &'static Self {
        let declared = self.properties.iter().find(|(known, _)| *known == name);
        declared
            .map(|(_, shape)| *shape)
            .or(self.additional)
            .unwrap_or(&Self::UNKNOWN)
    }

    pub fn hide(&self, value: &Value, hidden: &mut Vec<(String, bool)>) {
        match value {
            Value::String(text) if !self.shown => hidden.push((text.clone(), self.secret)),
            Value::Array(items) => {
                let shape = self.items.unwrap_or(&Self::UNKNOWN);
                for item in items {
                    shape.hide(item, hidden);
                }
            }
            Value::Object(properties) => {
                for (name, value) in properties {
                    self.property(name).hide(value, hidden);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static BODY: Shape = Shape {
        properties: &[
            ("name", &Shape::UNKNOWN),
            (
                "secret",
                &Shape {
                    secret: true,
                    ..Shape::UNKNOWN
                },
            ),
            (
                "shown",
                &Shape {
                    shown: true,
                    ..Shape::UNKNOWN
                },
            ),
            ("inner", &BODY),
        ],
        ..Shape::UNKNOWN
    };
    static OPERATION: Operation = Operation {
        path: "/v1/words/{word}/{number}/",
        parameters: &[
            Parameter {
                name: "word",
                before: "/v1/words/",
                shape: &Shape::UNKNOWN,
            },
            Parameter {
                name: "number",
                before: "/",
                shape: &Shape::UNKNOWN,
            },
        ],
        after: "/",
        body: Some(&BODY),
        ..UNDOCUMENTED
    };

    #[test]
    fn path_values_are_decoded_in_order() {
        let values: Vec<_> = OPERATION.path_values("/v1/words/%2B1%20a/1/").collect();
        assert_eq!(values, ["+1 a", "1"]);
    }

    #[test]
    fn hidden_returns_strings_that_may_not_be_shown() {
        let body = json!({
            "name": "a", "secret": "b", "shown": "c", "other": "d", "number": 5,
            "items": ["e", ["f"]], "inner": { "secret": "g", "shown": "h" },
        });
        let mut hidden = OPERATION.hidden(body.to_string().as_bytes());
        hidden.sort();
        let expected = [
            ("a", false),
            ("b", true),
            ("d", false),
            ("e", false),
            ("f", false),
            ("g", true),
        ];
        assert_eq!(
            hidden,
            expected.map(|(text, secret)| (text.to_owned(), secret))
        );
        assert_eq!(OPERATION.hidden(b"no JSON"), []);
    }
}
