//! Parser of YAML and JSON documents.

use std::{cell::Cell, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::{failure::Failure, names::LONGEST, schema::entries};

/// Maximum number of values, which YAML anchors could multiply.
const MOST: usize = 300_000;
/// Keywords whose maps have the document's own names as keys, not keywords.
const NAMES: [&str; 12] = [
    "paths",
    "schemas",
    "parameters",
    "requestBodies",
    "responses",
    "securitySchemes",
    "examples",
    "headers",
    "links",
    "callbacks",
    "variables",
    "content",
];

/// Parses YAML, or JSON if the first character is `{`; a duplicate key is an error.
///
/// Maps are unordered: `x-order` keeps the order of `properties`.
pub fn parse(text: &str) -> Result<Value, Failure> {
    let failure =
        |reason: &str, remedy: &str| Failure::new("parse the document", reason.to_owned(), remedy);
    let text = text.trim_start_matches('\u{feff}');
    let yaml = || {
        let read = read(yaml_serde::Deserializer::from_str(text));
        read.map_err(|e| failure(&e.to_string(), "Correct the YAML at the place named."))
    };
    let value = if text.trim_start().starts_with('{') {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = read(&mut json).and_then(|value| json.end().map(|()| value));
        // Invalid JSON may be a YAML flow mapping.
        let json =
            read.map_err(|e| failure(&e.to_string(), "Correct the JSON at the place named."));
        json.or_else(|e| yaml().map_err(|_| e))?
    } else {
        yaml()?
    };
    let remedy = "Give an OpenAPI 3.0 document.";
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Err(failure("it is empty", remedy)),
        _ => Err(failure("it is not a mapping", remedy)),
    }
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let (left, scope) = (&Cell::new(MOST), Scope::Keywords);
    Tree { left, scope }.deserialize(deserializer)
}

struct Tree<'l> {
    /// Number of values that may follow.
    left: &'l Cell<usize>,
    scope: Scope<'l>,
}

/// Kind of a map's keys.
enum Scope<'l> {
    Keywords,
    /// The document's own names.
    Names,
    /// Property names, which are kept here in their order.
    Properties(&'l mut Vec<Value>),
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0 {
            let much = format!("there are more than {MOST} values");
            return Err(D::Error::custom(much));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value as JSON has them")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    // The YAML parser reports an empty text this way.
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (left, mut list) = (self.left, Vec::new());
        loop {
            let scope = Scope::Keywords;
            match items.next_element_seed(Tree { left, scope })? {
                Some(item) => list.push(item),
                None => break,
            }
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut read: A) -> Result<Value, A::Error> {
        let Tree { left, scope } = self;
        let (mut map, mut order, mut merged) = (Map::new(), Vec::new(), Vec::new());
        while let Some(key) = read.next_key::<Value>()? {
            let key = key
                .as_str()
                .map_or_else(|| key.to_string(), ToOwned::to_owned);
            if key.len() > LONGEST {
                let long = format!(
                    "a name has {} bytes, and {LONGEST} are read at most",
                    key.len()
                );
                return Err(A::Error::custom(long));
            }
            let mut inner = Vec::new();
            let is_keyword = matches!(scope, Scope::Keywords);
            let value = read.next_value_seed(Tree {
                left,
                scope: match &*key {
                    "properties" if is_keyword => Scope::Properties(&mut inner),
                    _ if is_keyword && NAMES.contains(&&*key) => Scope::Names,
                    _ => Scope::Keywords,
                },
            })?;
            match &*key {
                "x-order" if is_keyword => continue, // reserved for the parser
                _ if map.contains_key(&key) => {
                    let twice = format!("duplicate entry with key {key:?}");
                    return Err(A::Error::custom(twice));
                }
                "<<" => {
                    merged.extend(match value {
                        Value::Array(maps) => maps,
                        map => vec![map],
                    });
                    continue;
                }
                "properties" if is_keyword => {
                    map.insert("x-order".into(), inner.into());
                }
                _ => {}
            }
            order.push(key.as_str().into());
            map.insert(key, value);
        }
        // The map's own keys take precedence over merged ones.
        for (key, value) in merged.iter().flat_map(entries) {
            if !map.contains_key(key) {
                order.push(key.as_str().into());
                map.insert(key.clone(), value.clone());
            }
        }
        if let Scope::Properties(names) = scope {
            *names = order;
        }
        Ok(map.into())
    }
}
