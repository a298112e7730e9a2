//! Rewrites the schemas for the generator.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToUpperCamelCase;
use serde_json::{Map, Value, json};

use crate::document::{LOGGABLE, entries, resolve};

/// Which way a schema travels.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Request,
    Response,
    Both,
}

/// The rewriting of one document's schemas.
pub struct Schemas<'a> {
    original: &'a Value,
    /// Schemas that had no name of their own and need one.
    hoisted: Map<String, Value>,
    /// The places that must become a type of this crate, by its name.
    pub expected: BTreeMap<&'static str, BTreeSet<String>>,
    /// The places where a string is limited to listed values.
    pub enums: BTreeSet<String>,
}

impl<'a> Schemas<'a> {
    pub fn new(original: &'a Value) -> Self {
        Self {
            original,
            hoisted: Map::new(),
            expected: BTreeMap::new(),
            enums: BTreeSet::new(),
        }
    }

    pub fn components(&mut self, root: &mut Value) {
        let (mut sent, mut received) = (BTreeSet::new(), BTreeSet::new());
        let paths = self.original["paths"].as_object();
        for operation in paths
            .into_iter()
            .flat_map(Map::values)
            .filter_map(Value::as_object)
            .flat_map(Map::values)
        {
            self.reach(&operation["requestBody"], &mut sent);
            self.reach(&operation["responses"], &mut received);
        }
        for (name, schema) in entries(root.pointer_mut("/components/schemas")) {
            let reference = format!("#/components/schemas/{name}");
            let way = match (sent.contains(&reference), received.contains(&reference)) {
                (true, true) => Way::Both,
                (true, false) => Way::Request,
                (false, _) => Way::Response,
            };
            self.schema(schema, way, name);
            if let Some(map) = schema.as_object_mut() {
                map.remove("nullable"); // where it is referred to, `properties` sees to it
            }
        }
        if !self.hoisted.is_empty() {
            let schemas = &mut root["components"]["schemas"];
            if schemas.is_null() {
                *schemas = json!({});
            }
            if let Some(schemas) = schemas.as_object_mut() {
                schemas.append(&mut self.hoisted);
            }
        }
    }

    /// The references that `value` leads to.
    fn reach(&self, value: &Value, names: &mut BTreeSet<String>) {
        if let Some(reference) = value["$ref"].as_str()
            && names.insert(reference.to_owned())
        {
            self.reach(resolve(self.original, value), names);
        }
        match value {
            Value::Object(map) => map.values().for_each(|v| self.reach(v, names)),
            Value::Array(items) => items.iter().for_each(|v| self.reach(v, names)),
            _ => {}
        }
    }

    /// Rewrites one schema, innermost first. `name` is what it would be called.
    pub fn schema(&mut self, schema: &mut Value, way: Way, name: &str) {
        self.merge(schema);
        // A plain string by reference would become a type of its own, with no conversion from `&str`.
        let target = resolve(self.original, schema);
        if target["type"] == "string" && target["enum"].is_null() {
            *schema = target.clone();
        }
        if schema["$ref"].is_string() {
            return;
        }
        let loggable = schema["x-loggable"] == true;
        let format = schema["format"].as_str().unwrap_or_default().to_owned();
        let kind = schema["type"].as_str().unwrap_or_default().to_owned();
        if let Some(map) = schema.as_object_mut() {
            map.remove("default"); // would be sent on every call
            if way != Way::Request && map.get("additionalProperties") == Some(&json!(false)) {
                map.remove("additionalProperties"); // would refuse new properties
            }
            map.retain(|keyword, _| !is_limit(&kind, keyword));
        }
        if kind == "string" {
            if !schema["enum"].is_null() {
                self.enums.insert(name.to_owned());
            }
            match (&*format, way) {
                ("password", _) => self.replace(schema, "Secret", name),
                ("e164", Way::Request) => self.replace(schema, "E164", name),
                ("e164", _) => self.replace(schema, "ReportedNumber", name),
                _ => {}
            }
        }
        self.properties(schema, way, name);
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                self.schema(&mut schema[inner], way, &format!("{name}Item"));
            }
        }
        let enums = self.enums.clone();
        for combination in ["oneOf", "anyOf"] {
            let parts = schema.get_mut(combination).and_then(Value::as_array_mut);
            for (number, part) in parts.into_iter().flatten().enumerate() {
                self.schema(part, way, &format!("{name}Variant{number}"));
            }
        }
        self.enums = enums; // one in an alternative may become the tag that tells it from others
        if loggable {
            let description = schema["description"].as_str().unwrap_or_default();
            schema["description"] = format!("{LOGGABLE}{description}").into();
        }
    }

    fn properties(&mut self, schema: &mut Value, way: Way, name: &str) {
        let mut optional = BTreeSet::new();
        let required: BTreeSet<_> = strings(&schema["required"]).into_iter().collect();
        for (property, inner) in entries(schema.get_mut("properties")) {
            let target = resolve(self.original, inner);
            let one_way = target["readOnly"] == true && way != Way::Response
                || target["writeOnly"] == true && way != Way::Request;
            let nullable = self.is_nullable(inner);
            if one_way || nullable && way == Way::Response || !required.contains(property) {
                optional.insert(property.clone());
            }
            let inner_name = format!("{name}{}", property.to_upper_camel_case());
            self.schema(inner, way, &inner_name);
            if way == Way::Response {
                continue;
            }
            if nullable {
                self.nullable(inner, &inner_name);
            } else if optional.contains(property) && is_collection(inner) {
                inner["nullable"] = true.into(); // the generator would leave an empty one out
            }
        }
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| !name.as_str().is_some_and(|name| optional.contains(name)));
        }
    }

    /// Makes one schema of `allOf`: the generator's own merge loses our types.
    fn merge(&self, schema: &mut Value) {
        let Some(Value::Array(parts)) = schema.as_object_mut().and_then(|map| map.remove("allOf"))
        else {
            return;
        };
        if let [part] = &*parts
            && part["$ref"].is_string()
            && schema["properties"].is_null()
        {
            *schema = part.clone();
            return;
        }
        for part in &parts {
            let mut part = resolve(self.original, part).clone();
            self.merge(&mut part);
            for (keyword, value) in part.as_object().into_iter().flatten() {
                match (schema.get_mut(keyword), value) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                    (Some(Value::Array(known)), Value::Array(more)) => known.extend(more.clone()),
                    (Some(_), _) => {}
                    (None, _) => schema[keyword] = value.clone(),
                }
            }
        }
    }

    fn is_nullable(&self, schema: &Value) -> bool {
        let target = resolve(self.original, schema);
        let parts = target["allOf"].as_array();
        target["nullable"] == true
            || parts.is_some_and(|parts| parts.iter().any(|part| self.is_nullable(part)))
    }

    /// Three states: the generator would make absent and null the same.
    fn nullable(&mut self, schema: &mut Value, name: &str) {
        let mut inner = schema.clone();
        if let Some(map) = inner.as_object_mut() {
            map.remove("nullable");
        }
        if let Some(values) = inner.get_mut("enum").and_then(Value::as_array_mut) {
            values.retain(|value| !value.is_null());
        }
        self.hoist(&mut inner, name);
        *schema = match schema.get("description") {
            Some(description) => json!({ "description": description }),
            None => json!({}),
        };
        self.replace(schema, "Nullable", name);
        schema["x-rust-type"]["parameters"] = json!([inner]);
    }

    /// Gives a name to what cannot stand as a type's parameter without one.
    fn hoist(&mut self, schema: &mut Value, name: &str) {
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                self.hoist(&mut schema[inner], &format!("{name}Item"));
            }
        }
        if ["properties", "enum", "oneOf", "anyOf"]
            .iter()
            .all(|key| schema[key].is_null())
        {
            return;
        }
        let mut name = name.to_owned();
        while !self.original["components"]["schemas"][&name].is_null()
            || self.hoisted.contains_key(&name)
        {
            name.push_str("Value");
        }
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        self.hoisted
            .insert(name, std::mem::replace(schema, reference));
    }

    fn replace(&mut self, schema: &mut Value, rust_type: &'static str, name: &str) {
        self.expected
            .entry(rust_type)
            .or_default()
            .insert(name.to_owned());
        schema["x-rust-type"] = json!({
            "crate": "sigmamind",
            "version": "*",
            "path": format!("sigmamind::types::{rust_type}"),
        });
    }
}

/// Whether a keyword narrows a type in a way that the generator would make a type of its own for.
///
/// The call checks what it says of a string ([`crate::document::Limit`]), the server the rest.
fn is_limit(kind: &str, keyword: &str) -> bool {
    match kind {
        "string" => matches!(keyword, "minLength" | "maxLength" | "pattern" | "format"),
        "integer" | "number" => matches!(
            keyword,
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" | "enum"
        ),
        "boolean" => keyword == "enum",
        "array" => matches!(keyword, "minItems" | "maxItems" | "uniqueItems"),
        "object" => matches!(keyword, "minProperties" | "maxProperties"),
        _ => false,
    }
}

fn is_collection(schema: &Value) -> bool {
    schema["type"] == "array" || schema["type"] == "object" && schema["properties"].is_null()
}

/// The strings in a list.
pub fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(ToOwned::to_owned))
        .collect()
}
