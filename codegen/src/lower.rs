//! Rewrites the document for the generator, without anything that the generator gets wrong.
//!
//! | in the document | for the generator |
//! |---|---|
//! | limits, defaults, titles, examples, errors | nothing: they become types, are sent, rename types |
//! | `format: password`, `format: e164`, an enum, a choice of scalars | `x-rust-type`: ours |
//! | `nullable` in what is sent | `Nullable<T>`: three states, not two |
//! | an optional list in what is sent | `nullable`: an empty one would be left out |
//! | `nullable` in a list | `Option<T>` |
//! | `additionalProperties` in what is received | nothing: new properties would be refused |
//! | any other text format | a plain string |
//! | names of properties and parameters | numbers: it has names of its own, and rules for them |
//! | query, headers | nothing: the methods add them |

use serde_json::{Value, json};

use crate::{
    model::{Direction, Model},
    read::Operation,
    schema::properties,
};

pub fn document(model: &Model) -> Value {
    let (mut paths, mut schemas) = (json!({}), json!({}));
    for (number, operation) in model.document.operations.iter().enumerate() {
        let parameters = operation.parameters.iter().enumerate();
        let path = parameters.fold(operation.path.to_owned(), |path, (index, parameter)| {
            let name = format!("{{{}}}", parameter.name);
            path.replace(&name, &format!("{{{}}}", argument(number, index)))
        });
        paths[path][operation.method] = of_operation(model, number, operation);
    }
    for (name, schema) in &model.document.types {
        if schema["properties"].is_object() {
            schemas[name] = of_object(model, name, schema);
        }
    }
    let info = json!({ "title": "the API", "version": "1" });
    json!({ "openapi": "3.0.3", "info": info, "paths": paths, "components": { "schemas": schemas } })
}

/// Returns the generator's name for an argument, which nothing else in its code has.
fn argument(operation: usize, index: usize) -> String {
    format!("o{operation}a{index}")
}

/// Returns the generator's name for a field; completing the type replaces it with the real name.
pub fn field(index: usize) -> String {
    format!("p{index}")
}

fn of_operation(model: &Model, number: usize, operation: &Operation) -> Value {
    let content = |schema, direction| {
        let schema = of_value(model, schema, direction);
        json!({ "application/json": { "schema": schema } })
    };
    let parameters = operation
        .parameters
        .iter()
        .enumerate()
        .map(|(index, parameter)| {
            let (name, schema) = (argument(number, index), &parameter.schema);
            let schema = of_value(model, schema, Direction::Request);
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        });
    let mut response = json!({ "description": "" });
    if let Some(answer) = &operation.answer {
        response["content"] = content(answer, Direction::Response);
    }
    let statuses = operation.statuses.iter();
    let responses = statuses.map(|status| ((*status).to_owned(), response.clone()));
    let mut written = json!({
        "operationId": operation.name,
        "parameters": parameters.collect::<Value>(),
        "responses": responses.collect::<Value>(),
    });
    if let Some(schema) = &operation.body {
        written["requestBody"] =
            json!({ "required": true, "content": content(schema, Direction::Request) });
    }
    written
}

fn of_object(model: &Model, name: &str, object: &Value) -> Value {
    let direction = model.direction(name);
    let required: Vec<_> = model.required(object, direction).collect();
    let mut written = json!({ "type": "object", "properties": {}, "required": [] });
    for (index, (property, schema)) in properties(object).enumerate() {
        let mut value = of_property(model, schema, direction);
        let is_collection = schema["type"] == "array" || schema["type"] == "object";
        let is_required = required.contains(&property);
        let is_sent = direction != Direction::Response;
        if is_collection && !is_required && is_sent && !model.has_flag(schema, "nullable") {
            value["nullable"] = true.into();
        }
        let field = field(index);
        if let Some(list) = written["required"].as_array_mut().filter(|_| is_required) {
            list.push(field.clone().into());
        }
        written["properties"][field] = value;
    }
    match &object["additionalProperties"] {
        Value::Bool(false) if direction == Direction::Request => {
            written["additionalProperties"] = false.into();
        }
        others if others.is_object() && direction != Direction::Response => {
            written["additionalProperties"] = of_item(model, others, direction);
        }
        _ => {}
    }
    written
}

fn of_property(model: &Model, schema: &Value, direction: Direction) -> Value {
    let value = of_value(model, schema, direction);
    if direction == Direction::Response || !model.has_flag(schema, "nullable") {
        return value;
    }
    // The generator does not detect that the type would contain itself.
    let endless = |name| model.circular.contains(name);
    let inner = if schema["$ref"].as_str().is_some_and(endless) {
        rust("std::boxed::Box", &[value])
    } else {
        value
    };
    rust("sigmamind::types::Nullable", &[inner])
}

/// Writes a value in a list or a map.
fn of_item(model: &Model, schema: &Value, direction: Direction) -> Value {
    let value = of_value(model, schema, direction);
    if model.has_flag(schema, "nullable") && value != json!({}) {
        return rust("std::option::Option", &[value]);
    }
    value
}

/// Writes a value that is not null.
fn of_value(model: &Model, schema: &Value, direction: Direction) -> Value {
    let of_ours = |name: &str| rust(&format!("sigmamind::{name}"), &[]);
    if let Some(name) = schema["$ref"].as_str() {
        return if model.target(schema)["properties"].is_object() {
            json!({ "$ref": format!("#/components/schemas/{name}") })
        } else {
            of_ours(&format!("generated::enums::{name}"))
        };
    }
    let item = |keyword: &str| of_item(model, &schema[keyword], direction);
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("password")) => of_ours("types::Secret"),
        (Some("string"), Some("e164")) if direction == Direction::Request => of_ours("types::E164"),
        (Some("string"), Some("e164")) => of_ours("types::ReportedNumber"),
        (Some("integer"), Some("int32")) => json!({ "type": "integer", "format": "int32" }),
        (Some("integer"), _) => json!({ "type": "integer", "format": "int64" }),
        (Some("number"), Some("float")) => json!({ "type": "number", "format": "float" }),
        (Some("number"), _) => json!({ "type": "number", "format": "double" }),
        (Some("array"), _) => json!({ "type": "array", "items": item("items") }),
        (Some("object"), _) => {
            json!({ "type": "object", "additionalProperties": item("additionalProperties") })
        }
        (Some(ty), _) => json!({ "type": ty }),
        (None, _) => json!({}),
    }
}

fn rust(path: &str, parameters: &[Value]) -> Value {
    let krate = path.split(':').next();
    json!({ "x-rust-type": { "crate": krate, "version": "*", "path": path, "parameters": parameters } })
}
