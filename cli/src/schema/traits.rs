//! Reads what a JSON Schema says of each property.

use heck::ToKebabCase;
use serde_json::Value;

use super::{Column, Kind};

pub fn properties(root: &Value) -> Vec<(&str, &Value)> {
    root["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.as_str(), schema))
        .collect()
}

pub fn column(root: &Value, name: &str, property: &Value) -> Column {
    let mut traits = Traits::default();
    traits.add(root, property, 0);
    Column {
        name: name.to_owned(),
        flag: name.to_kebab_case(),
        description: traits.description,
        kind: match &*traits.types {
            [one] if one == "string" => Kind::Text,
            [one] if one == "integer" => Kind::Integer,
            [one] if one == "number" => Kind::Number,
            [one] if one == "boolean" => Kind::Boolean,
            many if many.is_empty() || many.iter().any(|one| one == "string") => Kind::Any,
            _ => Kind::Json,
        },
        nullable: traits.nullable,
        secret: traits.secret,
        limits: traits.limits,
    }
}

/// Traits of a property, collected from its schema, references and alternatives.
#[derive(Default)]
struct Traits {
    description: String,
    types: Vec<String>,
    nullable: bool,
    secret: bool,
    limits: Vec<String>,
}

impl Traits {
    fn add(&mut self, root: &Value, schema: &Value, depth: usize) {
        if depth > 8 {
            return; // it refers to itself
        }
        let text = |key: &str| schema[key].as_str();
        if let (true, Some(description)) = (self.description.is_empty(), text("description")) {
            let words: Vec<_> = description.split_whitespace().collect();
            self.description = words.join(" ");
        }
        self.secret |= has_secret(root, schema, depth);
        self.nullable |= schema["nullable"] == true;
        let types = match &schema["type"] {
            Value::Array(types) => types.as_slice(),
            one => std::slice::from_ref(one),
        };
        for one in types.iter().filter_map(Value::as_str) {
            if one == "null" {
                self.nullable = true;
            } else if !self.types.iter().any(|known| known == one) {
                self.types.push(one.to_owned());
            }
        }
        self.values(schema);
        self.limits(schema);
        if let Some(reference) = text("$ref")
            && let Some(target) = root.pointer(reference.trim_start_matches('#'))
        {
            self.add(root, target, depth + 1);
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            for part in schema[key].as_array().into_iter().flatten() {
                self.add(root, part, depth + 1);
            }
        }
    }

    fn values(&mut self, schema: &Value) {
        let listed = schema["enum"].as_array();
        let constant = schema.get("const");
        let values: Vec<_> = listed.into_iter().flatten().chain(constant).collect();
        self.nullable |= values.iter().any(|value| value.is_null());
        let words: Vec<_> = values.iter().filter_map(|value| value.as_str()).collect();
        if !words.is_empty() {
            self.limits.push(format!("one of {}", words.join(", ")));
        }
    }

    fn limits(&mut self, schema: &Value) {
        for (key, words) in [
            ("minLength", "at least # characters"),
            ("maxLength", "at most # characters"),
            ("minimum", "at least #"),
            ("exclusiveMinimum", "more than #"),
            ("maximum", "at most #"),
            ("exclusiveMaximum", "less than #"),
            ("multipleOf", "a multiple of #"),
            ("minItems", "at least # items"),
            ("maxItems", "at most # items"),
        ] {
            if let Some(limit) = schema[key].as_number() {
                self.limits.push(words.replace('#', &limit.to_string()));
            }
        }
        if let Some(pattern) = schema["pattern"].as_str() {
            self.limits.push(format!("matching {pattern}"));
        }
    }
}

/// Returns whether a schema, or a part of it, is a secret.
fn has_secret(root: &Value, schema: &Value, depth: usize) -> bool {
    if depth > 8 {
        return false;
    }
    let reference = schema["$ref"].as_str().unwrap_or_default();
    let target = reference
        .strip_prefix('#')
        .and_then(|place| root.pointer(place));
    let listed = ["anyOf", "oneOf", "allOf"].map(|key| schema[key].as_array());
    let parts = [
        schema.get("items"),
        schema.get("additionalProperties"),
        target,
    ];
    let properties = schema["properties"].as_object();
    schema["format"] == "password"
        || listed
            .into_iter()
            .flatten()
            .flatten()
            .chain(parts.into_iter().flatten())
            .chain(properties.into_iter().flat_map(|all| all.values()))
            .any(|part| has_secret(root, part, depth + 1))
}
