//! Writes a schema as JSON Schema (2020-12), with references to `#/$defs/TYPE`.

use serde_json::{Value, json};

use super::{
    facts::{E164, Facts, Way, is_secret},
    schema::{Bound, Kind, Others, Schema, Text},
};

/// The schema of a type.
pub fn defined(facts: &Facts, name: &str) -> Value {
    used(facts, &facts.document.schemas[name], facts.way(name))
}

/// A schema where it is used.
pub fn used(facts: &Facts, schema: &Schema, way: Way) -> Value {
    let mut written = match &schema.kind {
        Kind::Any => json!({}),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer(kind) => {
            json!({ "type": "integer", "format": if *kind == "i32" { "int32" } else { "int64" } })
        }
        Kind::Number(_) => json!({ "type": "number" }),
        Kind::Text(Text::Plain) | Kind::Enum(_) => json!({ "type": "string" }),
        Kind::Text(Text::Password) => json!({ "type": "string", "format": "password" }),
        Kind::Text(Text::E164) if way == Way::Response => {
            json!({ "type": ["string", "integer"], "format": "e164" })
        }
        Kind::Text(Text::E164) => json!({ "type": "string", "format": "e164", "pattern": E164 }),
        Kind::List(items) => json!({ "type": "array", "items": used(facts, items, way) }),
        Kind::Map(values) => {
            json!({ "type": "object", "additionalProperties": used(facts, values, way) })
        }
        Kind::OneOf(variants) => {
            let kinds: Vec<_> = variants
                .iter()
                .map(|(name, _)| name.to_lowercase())
                .collect();
            json!({ "type": kinds })
        }
        Kind::Object(object) => {
            let properties = object
                .properties
                .iter()
                .map(|(name, schema)| (name.clone(), used(facts, schema, way)));
            let properties: serde_json::Map<_, _> = properties.collect();
            let mut written = json!({ "type": "object", "properties": properties });
            let is_required = |(name, schema): &&(String, Schema)| {
                !facts.is_optional(schema, object.required.contains(name), way)
            };
            let required: Vec<_> = object
                .properties
                .iter()
                .filter(is_required)
                .map(|(name, _)| name)
                .collect();
            if !required.is_empty() {
                written["required"] = json!(required);
            }
            match &object.others {
                Others::Anything => {}
                Others::Nothing => written["additionalProperties"] = json!(false),
                Others::Are(schema) => written["additionalProperties"] = used(facts, schema, way),
            }
            written
        }
        Kind::Reference(name) => json!({ "$ref": format!("#/$defs/{name}") }),
    };
    for limit in &schema.limits {
        written[limit.keyword] = match &limit.bound {
            Bound::Flag => json!(true),
            Bound::Count(count) => json!(count),
            Bound::Number(digits) => number(digits),
            Bound::Text(text) => json!(text),
            Bound::Texts(values) => json!(values),
            Bound::Numbers(values) => values.iter().map(|digits| number(digits)).collect(),
        };
    }
    if facts.is_nullable(schema) {
        or_null(&mut written);
    }
    if let Some(description) = &schema.description {
        if written["$ref"].is_string() {
            written = json!({ "allOf": [written] });
        }
        written["description"] = json!(description);
    }
    let write_only = schema.write_only || is_secret(schema);
    for (keyword, is_set) in [
        ("deprecated", schema.deprecated),
        ("readOnly", schema.read_only),
        ("writeOnly", write_only),
    ] {
        if is_set {
            written[keyword] = json!(true);
        }
    }
    written
}

fn or_null(written: &mut Value) {
    if let Some(Value::Array(values)) = written.get_mut("enum") {
        values.push(Value::Null);
    }
    if written.get("$ref").is_some() {
        *written = json!({ "anyOf": [written, { "type": "null" }] });
    }
    match written.get_mut("type") {
        Some(Value::Array(kinds)) => kinds.push(json!("null")),
        Some(kind) => *kind = json!([kind, "null"]),
        None => {} // anything, null included
    }
}

fn number(digits: &str) -> Value {
    serde_json::from_str(digits).unwrap_or_default()
}
