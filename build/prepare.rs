//! Writes the document anew for the generator: only what it gets right.
//!
//! | in the document | for the generator |
//! |---|---|
//! | limits, defaults, titles, examples, errors | nothing: they would become types, be sent, or rename types |
//! | `format: password`, `e164`; an enum; `oneOf` | `x-rust-type`: a type of this crate |
//! | `nullable` in what is sent | `Nullable<T>`: three states instead of two |
//! | an optional list in what is sent | `Option<Vec>`: an empty one would be left out |
//! | `additionalProperties: false` in what is received | nothing: new properties would be refused |
//! | any other text format | a plain text |

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    facts::{Facts, Way},
    read::Operation,
    schema::{Kind, Object, Others, Schema, Text, reach},
};

pub fn document(facts: &Facts) -> Value {
    let document = facts.document;
    let mut paths = json!({});
    for operation in &document.operations {
        paths[&operation.path][operation.method.to_lowercase()] = self::operation(facts, operation);
    }
    let mut schemas = Map::new();
    for (name, schema) in &document.schemas {
        if let Kind::Object(object) = &schema.kind {
            schemas.insert(name.clone(), self::object(facts, name, object));
        }
    }
    json!({
        "openapi": "3.0.3",
        "info": { "title": "the API", "version": "1" },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operation(facts: &Facts, operation: &Operation) -> Value {
    let json = |schema: Value| json!({ "application/json": { "schema": schema } });
    let parameters = operation.parameters.iter().map(|parameter| {
        let schema = value(facts, &parameter.schema, Way::Request);
        json!({ "name": parameter.name, "in": "path", "required": true, "description": parameter.description, "schema": schema })
    });
    let mut written = json!({
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.description,
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": {},
    });
    if let Some(body) = &operation.body {
        let content = json(value(facts, &body.schema, Way::Request));
        written["requestBody"] =
            json!({ "required": true, "description": body.description, "content": content });
    }
    for status in &operation.statuses {
        let mut response = json!({ "description": "" });
        if let Some(answer) = &operation.answer {
            response["content"] = json(value(facts, answer, Way::Response));
        }
        written["responses"][status] = response;
    }
    written
}

fn object(facts: &Facts, name: &str, object: &Object) -> Value {
    let way = facts.way(name);
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (property, schema) in &object.properties {
        properties.insert(property.clone(), self::property(facts, name, schema, way));
        if !facts.is_optional(schema, object.required.contains(property), way) {
            required.push(property);
        } else if way != Way::Response
            && matches!(schema.kind, Kind::List(_) | Kind::Map(_))
            && !facts.is_nullable(schema)
        {
            properties[property]["nullable"] = true.into();
        }
    }
    let mut written = json!({ "type": "object", "properties": properties, "required": required });
    match &object.others {
        Others::Nothing if way == Way::Request => written["additionalProperties"] = false.into(),
        Others::Are(schema) if way != Way::Response => {
            written["additionalProperties"] = item(facts, schema, way);
        }
        _ => {}
    }
    written
}

fn property(facts: &Facts, owner: &str, schema: &Schema, way: Way) -> Value {
    let value = value(facts, schema, way);
    if way == Way::Response || !facts.is_nullable(schema) {
        return value;
    }
    let mut names = BTreeSet::new();
    reach(&facts.document.schemas, schema, &mut names);
    let is_recursive = matches!(schema.kind, Kind::Reference(_)) && names.contains(owner);
    let inner = if is_recursive {
        rust("std::boxed::Box", &[value])
    } else {
        value
    };
    rust("sigmamind::types::Nullable", &[inner])
}

/// A value in a list or a map.
fn item(facts: &Facts, schema: &Schema, way: Way) -> Value {
    let value = value(facts, schema, way);
    if facts.is_nullable(schema) && schema.kind != Kind::Any {
        return rust("std::option::Option", &[value]);
    }
    value
}

/// The type of a value, without null.
fn value(facts: &Facts, schema: &Schema, way: Way) -> Value {
    match &schema.kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer(kind) => {
            json!({ "type": "integer", "format": if *kind == "i32" { "int32" } else { "int64" } })
        }
        Kind::Number(kind) => {
            json!({ "type": "number", "format": if *kind == "f32" { "float" } else { "double" } })
        }
        Kind::Text(Text::Plain) => json!({ "type": "string" }),
        Kind::Text(Text::Password) => rust("sigmamind::types::Secret", &[]),
        Kind::Text(Text::E164) if way == Way::Request => rust("sigmamind::types::E164", &[]),
        Kind::Text(Text::E164) => rust("sigmamind::types::ReportedNumber", &[]),
        Kind::List(items) => json!({ "type": "array", "items": item(facts, items, way) }),
        Kind::Map(values) => {
            json!({ "type": "object", "additionalProperties": item(facts, values, way) })
        }
        Kind::Reference(name) if matches!(facts.target(schema).kind, Kind::Object(_)) => {
            json!({ "$ref": format!("#/components/schemas/{name}") })
        }
        Kind::Reference(name) => rust(&format!("sigmamind::generated::enums::{name}"), &[]),
        // The last three are referred to.
        Kind::Any | Kind::Object(_) | Kind::Enum(_) | Kind::OneOf(_) => json!({}),
    }
}

fn rust(path: &str, parameters: &[Value]) -> Value {
    let krate = path.split(':').next();
    json!({ "x-rust-type": { "crate": krate, "version": "*", "path": path, "parameters": parameters } })
}
