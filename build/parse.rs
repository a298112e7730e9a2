//! YAML and JSON, as far as a document has them.

use std::{cell::Cell, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{
    failure::Failure,
    schema::{entries as entries_of, items},
};

/// The most values that there may be, which anchors of YAML could multiply.
const MOST: usize = 300_000;

/// YAML, or JSON, by its first character; no key may be given twice.
///
/// Maps have no order of their own: `x-order` keeps that of `properties`.
pub fn parse(text: &str) -> Result<Value, Failure> {
    let failure = |reason: String, remedy: &str| Failure::new("parse the document", reason, remedy);
    let left = Cell::new(MOST);
    let tree = || Tree {
        left: &left,
        names: false,
    };
    let text = text.trim_start_matches('\u{feff}');
    let yaml = || {
        left.set(MOST);
        let read = tree().deserialize(yaml_serde::Deserializer::from_str(text));
        read.map_err(|e| failure(e.to_string(), "Correct the YAML at the place named."))
    };
    let read = if text.trim_start().starts_with('{') {
        let mut json = serde_json::Deserializer::from_str(text);
        let read = tree()
            .deserialize(&mut json)
            .and_then(|read| json.end().map(|()| read));
        // What is no JSON may be YAML in braces.
        let json = read.map_err(|e| failure(e.to_string(), "Correct the JSON at the place named."));
        json.or_else(|e| yaml().map_err(|_| e))
    } else {
        yaml()
    };
    let what = match read?.0 {
        map @ Value::Object(_) => return Ok(map),
        Value::Null => "it is empty",
        _ => "it is not a mapping",
    };
    Err(failure(what.into(), "Give an OpenAPI 3.0 document."))
}

/// A value, and the names in it as they came.
struct Tree<'l> {
    /// How many values there may still be.
    left: &'l Cell<usize>,
    /// Whether the keys are names of properties.
    names: bool,
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = (Value, Vec<Value>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = (Value, Vec<Value>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value as JSON has them")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok((Value::Null, Vec::new()))
    }

    // So YAML tells of a text with nothing in it.
    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok((Value::Null, Vec::new()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok((value.into(), Vec::new()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok((value.into(), Vec::new()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok((value.into(), Vec::new()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok((value.into(), Vec::new()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok((value.into(), Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some((item, _)) = items.next_element_seed(Tree {
            names: false,
            ..self
        })? {
            self.count()?;
            list.push(item);
        }
        Ok((list.into(), Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut map, mut order, mut merged) = (Map::new(), Vec::new(), Vec::new());
        while let Some(key) = entries.next_key::<Value>()? {
            let key = key
                .as_str()
                .map_or_else(|| key.to_string(), ToOwned::to_owned);
            let names = key == "properties" && !self.names;
            let (value, inner) = entries.next_value_seed(Tree { names, ..self })?;
            self.count()?;
            match &*key {
                "x-order" if !self.names => continue, // not the document's to say
                _ if map.contains_key(&key) => {
                    return Err(A::Error::custom(format!(
                        "duplicate entry with key {key:?}"
                    )));
                }
                "<<" => {
                    merged.push(value);
                    continue;
                }
                "properties" if names => drop(map.insert("x-order".into(), inner.into())),
                _ => {}
            }
            order.push(key.as_str().into());
            map.insert(key, value);
        }
        // What is written takes precedence over what is merged.
        for value in merged {
            let maps = if value.is_array() {
                value
            } else {
                [value].into_iter().collect()
            };
            for (key, value) in items(&maps).flat_map(entries_of) {
                if !map.contains_key(key) {
                    order.push(key.as_str().into());
                    map.insert(key.clone(), value.clone());
                    self.count()?;
                }
            }
        }
        Ok((map.into(), order))
    }
}

impl Tree<'_> {
    fn count<E: Error>(&self) -> Result<(), E> {
        self.left.set(self.left.get().saturating_sub(1));
        if self.left.get() == 0 {
            return Err(E::custom(format!("there are more than {MOST} values")));
        }
        Ok(())
    }
}
