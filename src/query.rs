//! Encodes the query of a call, as OpenAPI's style `form` has it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

use crate::{error::Violation, operation::Operation};

/// All but the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An encoded query, and the strings in it that may not be shown; whether they are secret.
pub(crate) struct Query {
    /// Without the question mark; empty if nothing is set.
    pub text: String,
    pub hidden: Vec<(String, bool)>,
}

impl Operation {
    /// Checks and encodes a query, which is an object of scalars and of lists of them.
    pub(crate) fn encode_query(&self, query: &impl Serialize) -> Result<Query, Violation> {
        let unreadable = |error: serde_json::Error| Violation::from(error.to_string());
        let json = serde_json::to_string(query).map_err(unreadable)?;
        let mut hidden = Vec::new();
        if let Some(shape) = self.query {
            shape.check_object(json.as_bytes())?;
            shape.hide(
                &serde_json::from_str(&json).map_err(unreadable)?,
                &mut hidden,
            );
        }
        // In the order of the document, which the struct has.
        let values: Ordered = serde_json::from_str(&json).map_err(unreadable)?;
        let mut pairs = Vec::new();
        for (name, value) in values.0 {
            let items = match value {
                Value::Array(items) => items,
                value => vec![value],
            };
            let scalars = items.iter().map(|item| scalar(&name, item));
            let texts = scalars.collect::<Result<Vec<_>, _>>()?;
            let joined = self.joined.contains(&&*name);
            let name = escape(&name);
            if joined && !texts.is_empty() {
                pairs.push(format!("{name}={}", texts.join(",")));
            } else {
                pairs.extend(texts.iter().map(|text| format!("{name}={text}")));
            }
        }
        Ok(Query {
            text: pairs.join("&"),
            hidden,
        })
    }
}

fn scalar(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(escape(text)),
        Value::Number(_) | Value::Bool(_) => Ok(escape(&value.to_string())),
        _ => Err(format!("`{name}` is null, which a query cannot have")),
    }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The properties of an object in their order.
struct Ordered(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Ordered;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Ordered, A::Error> {
                let mut properties = Vec::new();
                while let Some(property) = map.next_entry()? {
                    properties.push(property);
                }
                Ok(Ordered(properties))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operation::{Limit, Shape, UNDOCUMENTED};

    static OPERATION: Operation = Operation {
        query: Some(&Shape {
            properties: &[(
                "size",
                &Shape {
                    limits: &[Limit::MaxLength(3)],
                    limited: true,
                    ..Shape::UNKNOWN
                },
            )],
            limited: true,
            ..Shape::UNKNOWN
        }),
        joined: &["ids"],
        ..UNDOCUMENTED
    };

    #[test]
    fn query_is_checked_and_encoded() {
        for (query, encoded) in [
            (json!({}), Ok("")),
            (
                json!({ "a b": "x&y=z#/?+ 'é~-._" }),
                Ok("a%20b=x%26y%3Dz%23%2F%3F%2B%20%27%C3%A9~-._"),
            ),
            (json!({ "n": 1.5, "ok": true }), Ok("n=1.5&ok=true")),
            (
                json!({ "list": ["a", "b,c"], "none": [] }),
                Ok("list=a&list=b%2Cc"),
            ),
            (json!({ "ids": ["a", "b,c"] }), Ok("ids=a,b%2Cc")),
            (json!({ "ids": [] }), Ok("")),
            (
                json!({ "size": "abcd" }),
                Err("`size` is too long: 4 characters, maximum 3"),
            ),
            (
                json!({ "x": null }),
                Err("`x` is null, which a query cannot have"),
            ),
        ] {
            let found = OPERATION
                .encode_query(&query)
                .map(|query| query.text)
                .map_err(|violation| violation.reason);
            assert_eq!(
                found,
                encoded.map(ToOwned::to_owned).map_err(ToOwned::to_owned),
                "{query}"
            );
        }
    }
}
