//! Reads the document and prepares it for the generator.
//!
//! What the generator would get wrong or refuse is taken out ([`crate::schema`] does it for
//! the schemas): string limits, nullability, formats, error responses. It comes back as a Rust
//! type of this crate (`x-rust-type`) or as a fact about the operation.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

use heck::ToSnakeCase;
use serde_json::Value;

use crate::{
    failure::Failure,
    schema::{Schemas, Way, strings},
};

/// Put in front of the description of what may appear in logs; [`crate::finish`] takes it out.
pub const LOGGABLE: &str = "\u{1}loggable\u{1}";

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
const CHECK: &str = "check the document";
/// What `format: e164` asks of a string.
const E164: &str = "^\\+[1-9][0-9]{6,14}$";

/// The document, prepared for the generator, and what else was read from it.
pub struct Document {
    pub openapi: openapiv3::OpenAPI,
    /// As it was written.
    #[cfg(feature = "mock")]
    pub original: Value,
    /// The address that the paths are appended to.
    pub server: String,
    pub operations: Vec<Operation>,
    /// The places that must become a type of this crate, by its name.
    pub expected: BTreeMap<&'static str, BTreeSet<String>>,
    /// The places where a string is limited to listed values.
    pub enums: BTreeSet<String>,
}

/// What the wrapper needs to know of an operation.
pub struct Operation {
    pub id: String,
    pub method: String,
    pub path: String,
    pub limits: Vec<Limit>,
    pub secrets: Vec<Vec<String>>,
}

/// What the document asks of one string in the request body.
pub struct Limit {
    /// Property names from the body down; `*` stands for every item of an array or a map.
    pub at: Vec<String>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub pattern: Option<String>,
    pub one_of: Vec<String>,
}

/// Through YAML's own type, which refuses a key that is given twice.
fn yaml(text: &str) -> Result<Value, Box<dyn Error>> {
    let mut document: yaml_serde::Value = yaml_serde::from_str(text)?;
    document.apply_merge()?;
    Ok(serde_json::to_value(document)?)
}

impl Document {
    pub fn parse(text: &str) -> Result<Self, Failure> {
        const SYNTAX: &str = "parse the document";
        let mut root = yaml(text).map_err(|e| {
            Failure::new(
                SYNTAX,
                e.to_string(),
                "Correct the YAML at the place named.",
            )
        })?;
        if !root.is_object() {
            let empty = root.is_null();
            return Err(Failure::new(
                SYNTAX,
                if empty {
                    "it is empty"
                } else {
                    "it is not a mapping"
                },
                "Give an OpenAPI 3.0 document.",
            ));
        }
        let version = match &root["openapi"] {
            Value::Null => "missing".into(),
            Value::String(version) => version.clone(),
            other => other.to_string(),
        };
        if !version.starts_with("3.0.") {
            return Err(Failure::new(
                CHECK,
                format!("its `openapi` version is {version}, and the generator reads 3.0.x alone"),
                "Write the document as OpenAPI 3.0.3.",
            ));
        }
        check_references(&root, &root)?;
        let server = root["servers"][0]["url"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if !server.starts_with("https://") {
            return Err(Failure::new(
                CHECK,
                "its first server is not an https address",
                "Name the server of the API under `servers`.",
            ));
        }
        let original = root.clone();
        let mut schemas = Schemas::new(&original);
        let operations = operations(&original, &mut schemas, &mut root)?;
        schemas.components(&mut root);
        let Schemas {
            expected, enums, ..
        } = schemas;
        let openapi = serde_json::from_value(root).map_err(|e| {
            Failure::new(
                CHECK,
                e.to_string(),
                "Correct it after the OpenAPI 3.0 specification.",
            )
        })?;
        Ok(Self {
            openapi,
            #[cfg(feature = "mock")]
            original,
            server,
            operations,
            expected,
            enums,
        })
    }
}

/// Prepares all operations, and returns what the wrapper needs to know of them.
fn operations(
    original: &Value,
    schemas: &mut Schemas,
    root: &mut Value,
) -> Result<Vec<Operation>, Failure> {
    let mut operations: Vec<Operation> = Vec::new();
    for (path, item) in entries(root.get_mut("paths")) {
        parameters(original, schemas, item, path, path)?;
        for method in METHODS {
            let Some(operation) = item.get_mut(method) else {
                continue;
            };
            let place = format!("{} {path}", method.to_uppercase());
            let Some(id) = operation["operationId"].as_str().map(ToOwned::to_owned) else {
                return Err(Failure::new(
                    CHECK,
                    format!("`{place}` has no `operationId`"),
                    "Give it one; the method that calls it is named after it.",
                ));
            };
            if let Some(other) = operations
                .iter()
                .find(|o| o.id.to_snake_case() == id.to_snake_case())
            {
                let (method, path) = (&other.method, &other.path);
                return Err(Failure::new(
                    CHECK,
                    format!("`{place}` and `{method} {path}` have the same `operationId` {id}"),
                    "Give each its own; the method that calls it is named after it.",
                ));
            }
            parameters(original, schemas, operation, path, &id)?;
            let mut facts = Operation {
                id,
                method: method.to_uppercase(),
                path: path.to_owned(),
                limits: Vec::new(),
                secrets: Vec::new(),
            };
            request(original, schemas, operation, &mut facts)?;
            responses(original, schemas, operation, &facts.id)?;
            operations.push(facts);
        }
    }
    Ok(operations)
}

fn parameters(
    original: &Value,
    schemas: &mut Schemas,
    owner: &mut Value,
    path: &str,
    owner_name: &str,
) -> Result<(), Failure> {
    let Some(parameters) = owner.get_mut("parameters").and_then(Value::as_array_mut) else {
        return Ok(());
    };
    for parameter in parameters {
        *parameter = resolve(original, parameter).clone();
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        if parameter["in"] == "path" && !path.contains(&format!("{{{name}}}")) {
            return Err(Failure::new(
                CHECK,
                format!("the path parameter `{name}` has no place in `{path}`"),
                "Write the parameter in braces where it belongs in the path.",
            ));
        }
        if parameter["in"] == "path"
            && name.to_lowercase().contains("phone")
            && resolve(original, &parameter["schema"])["format"] != "e164"
        {
            return Err(Failure::new(
                CHECK,
                format!("the path parameter `{name}` would be sent without validation"),
                "Give its schema `format: e164`.",
            ));
        }
        if let Some(schema) = parameter.get_mut("schema") {
            schemas.schema(schema, Way::Request, &format!("{owner_name}.{name}"));
        }
    }
    Ok(())
}

fn request(
    original: &Value,
    schemas: &mut Schemas,
    operation: &mut Value,
    facts: &mut Operation,
) -> Result<(), Failure> {
    let Some(body) = operation.get_mut("requestBody") else {
        return Ok(());
    };
    *body = resolve(original, body).clone();
    for (_, media) in entries(body.get_mut("content")) {
        collect(original, &media["schema"], &mut Vec::new(), facts)?;
        if let Some(schema) = media.get_mut("schema") {
            schemas.schema(schema, Way::Request, &facts.id);
        }
    }
    Ok(())
}

fn responses(
    original: &Value,
    schemas: &mut Schemas,
    operation: &mut Value,
    id: &str,
) -> Result<(), Failure> {
    let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    else {
        return Ok(()); // the generator says what is missing
    };
    // Errors are read by the wrapper, which keeps their status, headers and body.
    responses.retain(|status, _| status.starts_with('2'));
    if responses.is_empty() {
        return Err(Failure::new(
            CHECK,
            format!("`{id}` has no success response"),
            "Describe its 2xx response.",
        ));
    }
    let mut success = BTreeSet::new();
    for response in responses.values_mut() {
        *response = resolve(original, response).clone();
        let mut bodies: Vec<_> = entries(response.get_mut("content")).collect();
        if bodies.is_empty() {
            success.insert(String::new());
        }
        for (_, media) in &mut bodies {
            success.insert(media["schema"].to_string());
            if let Some(schema) = media.get_mut("schema") {
                schemas.schema(schema, Way::Response, id);
            }
        }
    }
    if success.len() > 1 {
        return Err(Failure::new(
            CHECK,
            format!("`{id}` has success responses of different schemas"),
            "Describe one schema for every 2xx response of an operation.",
        ));
    }
    Ok(())
}

/// Collects what holds for the request body and what in it is secret.
fn collect(
    original: &Value,
    schema: &Value,
    at: &mut Vec<String>,
    facts: &mut Operation,
) -> Result<(), Failure> {
    if at.len() > 16 {
        return Ok(()); // a schema that contains itself
    }
    let schema = resolve(original, schema);
    let limit = Limit::of(schema, at)?;
    if !limit.is_none() {
        facts.limits.push(limit);
    }
    if schema["format"] == "password" {
        facts.secrets.push(at.clone());
    } else if schema["type"] == "string"
        && schema["x-loggable"] != true
        && let Some(name) = at.iter().rfind(|name| *name != "*")
        && sounds_secret(name)
    {
        return Err(Failure::new(
            CHECK,
            format!(
                "`{}` sounds like a secret and would be a plain string",
                at.join(".")
            ),
            "Give it `format: password`, or `x-loggable: true` if it is harmless.",
        ));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        at.push(name.clone());
        collect(original, property, at, facts)?;
        at.pop();
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            at.push("*".into());
            collect(original, &schema[inner], at, facts)?;
            at.pop();
        }
    }
    for part in parts(schema, "allOf") {
        collect(original, part, at, facts)?;
    }
    for part in parts(schema, "oneOf").chain(parts(schema, "anyOf")) {
        let known = facts.limits.len();
        collect(original, part, at, facts)?;
        // One alternative's limits do not hold for the others; their values do for none.
        if let Some(limit) = facts.limits.drain(known..).find(|limit| !limit.is_enum()) {
            return Err(Failure::new(
                CHECK,
                format!(
                    "the limit of `{}` holds for one alternative only and would not be checked",
                    limit.at.join(".")
                ),
                "Take the limit out of the `oneOf` or `anyOf`, and leave it to the server.",
            ));
        }
    }
    Ok(())
}

impl Limit {
    fn of(schema: &Value, at: &[String]) -> Result<Self, Failure> {
        let mut pattern = schema["pattern"].as_str();
        if schema["format"] == "e164" {
            pattern = pattern.or(Some(E164));
        }
        if let Some(pattern) = pattern {
            regress::Regex::new(pattern).map_err(|e| {
                Failure::new(
                    CHECK,
                    format!("the pattern of `{}` is invalid: {e}", at.join(".")),
                    "Write it as an ECMAScript regular expression.",
                )
            })?;
        }
        Ok(Self {
            at: at.to_vec(),
            min_length: schema["minLength"].as_u64(),
            max_length: schema["maxLength"].as_u64(),
            pattern: pattern.map(ToOwned::to_owned),
            one_of: strings(&schema["enum"]),
        })
    }

    fn is_enum(&self) -> bool {
        self.min_length.is_none() && self.max_length.is_none() && self.pattern.is_none()
    }

    fn is_none(&self) -> bool {
        self.is_enum() && self.one_of.is_empty()
    }
}

fn check_references(value: &Value, root: &Value) -> Result<(), Failure> {
    if let Some(reference) = value["$ref"].as_str() {
        let Some(at) = reference.strip_prefix('#') else {
            return Err(dangling(reference, "leads out of the document"));
        };
        let problem = if root.pointer(at).is_none() {
            "leads nowhere"
        } else if resolve(root, value)["$ref"].is_string() {
            "has no end"
        } else {
            return Ok(());
        };
        return Err(dangling(reference, problem));
    }
    match value {
        Value::Object(map) => map.values().try_for_each(|v| check_references(v, root)),
        Value::Array(items) => items.iter().try_for_each(|v| check_references(v, root)),
        _ => Ok(()),
    }
}

fn dangling(reference: &str, problem: &str) -> Failure {
    Failure::new(
        CHECK,
        format!("the reference {reference} {problem}"),
        "Define what it names in this document, or correct the reference.",
    )
}

/// What a reference leads to in the end; anything else is itself.
pub fn resolve<'v>(root: &'v Value, mut value: &'v Value) -> &'v Value {
    for _ in 0..16 {
        let target = value["$ref"]
            .as_str()
            .and_then(|reference| root.pointer(reference.strip_prefix('#')?));
        match target {
            Some(target) => value = target,
            None => break,
        }
    }
    value
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["password", "secret", "token", "credential"]
        .iter()
        .any(|word| name.contains(word))
}

fn parts<'v>(schema: &'v Value, combination: &str) -> impl Iterator<Item = &'v Value> {
    schema[combination].as_array().into_iter().flatten()
}

pub fn entries(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flatten()
}
