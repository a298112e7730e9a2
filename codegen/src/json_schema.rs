//! Writes schemas as JSON Schema (2020-12), with references to `#/$defs/TYPE`.

use serde_json::{Value, json};

use crate::{
    facts::{E164, Facts, Way, is_secret},
    schema::entries,
};

pub fn of_type(facts: &Facts, name: &str) -> Value {
    of_use(facts, &facts.document.types[name], facts.way(name))
}

pub fn of_use(facts: &Facts, schema: &Value, way: Way) -> Value {
    let mut written = json!({});
    for (keyword, value) in entries(schema) {
        written[keyword] = match &**keyword {
            "items" | "additionalProperties" if value.is_object() => of_use(facts, value, way),
            "properties" => entries(value)
                .map(|(name, value)| (name.clone(), of_use(facts, value, way)))
                .collect(),
            "required" if facts.required(schema, way).next().is_none() => continue,
            "required" => facts.required(schema, way).collect(),
            "$ref" => format!("#/$defs/{}", value.as_str().unwrap_or_default()).into(),
            "nullable" | "x-loggable" | "x-repeats" | "x-order" | "x-variants" => continue,
            _ => value.clone(),
        };
    }
    if schema["format"] == "e164" && way == Way::Response {
        written["type"] = json!(["string", "integer"]);
    } else if schema["format"] == "e164" && written["pattern"].is_null() {
        written["pattern"] = E164.into();
    }
    if is_secret(schema) {
        written["writeOnly"] = true.into();
    }
    if facts.says(schema, "nullable") {
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
