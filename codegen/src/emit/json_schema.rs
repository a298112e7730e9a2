//! Writes schemas as JSON Schema (2020-12), with references to `#/$defs/TYPE`.

use serde_json::{Value, json};

use crate::{
    limits::E164,
    model::{Direction, Model, is_secret},
    schema::entries,
};

pub fn of_type(model: &Model, name: &str) -> Value {
    of_use(model, &model.document.types[name], model.direction(name))
}

pub fn of_use(model: &Model, schema: &Value, direction: Direction) -> Value {
    let mut written = json!({});
    for (keyword, value) in entries(schema) {
        written[keyword] = match &**keyword {
            "items" | "additionalProperties" if value.is_object() => {
                of_use(model, value, direction)
            }
            "properties" => entries(value)
                .map(|(name, value)| (name.clone(), of_use(model, value, direction)))
                .collect(),
            "required" if model.required(schema, direction).next().is_none() => continue,
            "required" => model.required(schema, direction).collect(),
            "$ref" => format!("#/$defs/{}", value.as_str().unwrap_or_default()).into(),
            "nullable" | "x-loggable" | "x-order" | "x-variants" => continue,
            _ => value.clone(),
        };
    }
    if schema["format"] == "e164" && direction == Direction::Response {
        written["type"] = json!(["string", "integer"]);
    } else if schema["format"] == "e164" && written["pattern"].is_null() {
        written["pattern"] = E164.into();
    }
    if is_secret(schema) {
        written["writeOnly"] = true.into();
    }
    if model.has_flag(schema, "nullable") {
        if let Some(Value::Array(values)) = written.get_mut("enum") {
            values.push(Value::Null);
        }
        if written.get("$ref").is_some() {
            written = json!({ "anyOf": [written, { "type": "null" }] });
        }
        match written.get_mut("type") {
            Some(Value::Array(types)) => types.push("null".into()),
            Some(ty) => *ty = json!([ty, "null"]),
            None => {} // anything, null included
        }
    }
    written
}

/// Removes `pattern`, which the client and the fake server check with their own engine.
pub fn without_patterns(mut schema: Value) -> Value {
    if let Some(keywords) = schema.as_object_mut() {
        keywords.remove("pattern");
        for keyword in ["items", "additionalProperties"] {
            if let Some(inner) = keywords.get_mut(keyword) {
                *inner = without_patterns(inner.take());
            }
        }
        let properties = keywords
            .get_mut("properties")
            .and_then(Value::as_object_mut);
        for property in properties.into_iter().flat_map(serde_json::Map::values_mut) {
            *property = without_patterns(property.take());
        }
    }
    schema
}
