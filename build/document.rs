//! Reads the document and prepares it for the generator.
//!
//! What the generator would get wrong or refuse is taken out of the schemas here
//! (string limits, nullability, formats, error responses) and comes back as a Rust
//! type of this crate (`x-rust-type`) or as a fact about the operation.

use std::collections::BTreeSet;

use heck::ToUpperCamelCase;
use serde_json::{Map, Value, json};

use crate::Failure;

/// Put in front of the description of what may appear in logs; [`crate::finish`] takes it out.
pub const LOGGABLE: &str = "\u{1}loggable\u{1}";

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
const CHECK: &str = "check the document";

/// The document, prepared for the generator, and what else was read from it.
pub struct Document {
    pub openapi: openapiv3::OpenAPI,
    /// As it was written.
    #[cfg(feature = "mock")]
    pub original: Value,
    /// The address that the paths are appended to.
    pub server: String,
    pub operations: Vec<Operation>,
    /// The types of this crate that must appear in the generated code, each with a place that asks for it.
    pub expected: BTreeSet<(&'static str, String)>,
    /// Whether a string is limited to listed values anywhere.
    pub has_enum: bool,
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
    /// Property names from the body down; `*` stands for every item of an array.
    pub at: Vec<String>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub pattern: Option<String>,
    pub one_of: Vec<String>,
}

impl Document {
    pub fn parse(text: &str) -> Result<Self, Failure> {
        const SYNTAX: &str = "parse the document";
        const REMEDY: &str = "Correct the YAML at the place named.";
        let mut root: Value = serde_saphyr::from_str(text)
            .map_err(|e| Failure::new(SYNTAX, e.without_snippet(), REMEDY))?;
        if !root.is_object() {
            return Err(Failure::new(
                SYNTAX,
                "it is not a mapping",
                "Give an OpenAPI 3.0 document.",
            ));
        }
        let version = root["openapi"].as_str().unwrap_or("none").to_owned();
        if !version.starts_with("3.0.") {
            return Err(Failure::new(
                CHECK,
                format!("its `openapi` version is {version}, and the generator reads 3.0 alone"),
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
        let mut preparation = Preparation {
            original: &original,
            hoisted: Map::new(),
            expected: BTreeSet::new(),
            has_enum: false,
        };
        let operations = preparation.operations(&mut root)?;
        preparation.components(&mut root);
        let Preparation {
            expected, has_enum, ..
        } = preparation;
        let openapi = serde_json::from_value(root).map_err(|e| {
            Failure::new(CHECK, e, "Correct it after the OpenAPI 3.0 specification.")
        })?;
        Ok(Self {
            openapi,
            #[cfg(feature = "mock")]
            original,
            server,
            operations,
            expected,
            has_enum,
        })
    }
}

/// Which way a schema travels.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Request,
    Response,
}

struct Preparation<'a> {
    original: &'a Value,
    /// Schemas that had no name of their own and need one.
    hoisted: Map<String, Value>,
    expected: BTreeSet<(&'static str, String)>,
    has_enum: bool,
}

impl Preparation<'_> {
    fn operations(&mut self, root: &mut Value) -> Result<Vec<Operation>, Failure> {
        let mut operations = Vec::new();
        for (path, item) in entries(root.get_mut("paths")) {
            self.parameters(item)?;
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    self.parameters(operation)?;
                    operations.push(self.operation(path, method, operation)?);
                }
            }
        }
        Ok(operations)
    }

    fn parameters(&mut self, owner: &mut Value) -> Result<(), Failure> {
        let Some(parameters) = owner.get_mut("parameters").and_then(Value::as_array_mut) else {
            return Ok(());
        };
        for parameter in parameters {
            *parameter = self.resolve(parameter).clone();
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            let schema = &parameter["schema"];
            if parameter["in"] == "path"
                && name.to_lowercase().contains("phone")
                && self.resolve(schema)["format"] != "e164"
            {
                return Err(Failure::new(
                    CHECK,
                    format!("the path parameter `{name}` would be sent without validation"),
                    "Give its schema `format: e164`.",
                ));
            }
            if let Some(schema) = parameter.get_mut("schema") {
                self.schema(schema, Way::Request, &name);
            }
        }
        Ok(())
    }

    fn operation(
        &mut self,
        path: &str,
        method: &str,
        operation: &mut Value,
    ) -> Result<Operation, Failure> {
        let id = operation["operationId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let mut facts = Operation {
            id: id.clone(),
            method: method.to_uppercase(),
            path: path.to_owned(),
            limits: Vec::new(),
            secrets: Vec::new(),
        };
        if let Some(body) = operation.get_mut("requestBody") {
            *body = self.resolve(body).clone();
            for (_, media) in entries(body.get_mut("content")) {
                self.facts(&media["schema"], &mut Vec::new(), &mut facts)?;
                if let Some(schema) = media.get_mut("schema") {
                    self.schema(schema, Way::Request, &id);
                }
            }
        }
        let mut success: Option<Value> = None;
        if let Some(responses) = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut)
        {
            // Errors are read by the wrapper, which keeps their status, headers and body.
            responses.retain(|status, _| status.starts_with('2'));
            for response in responses.values_mut() {
                *response = self.resolve(response).clone();
                for (_, media) in entries(response.get_mut("content")) {
                    let schema = media["schema"].clone();
                    if success.get_or_insert_with(|| schema.clone()) != &schema {
                        return Err(Failure::new(
                            CHECK,
                            format!("`{id}` has success responses of different schemas"),
                            "Describe one schema for every 2xx response of an operation.",
                        ));
                    }
                    if let Some(schema) = media.get_mut("schema") {
                        self.schema(schema, Way::Response, &id);
                    }
                }
            }
        }
        Ok(facts)
    }

    /// Collects what holds for the request body and what in it is secret.
    fn facts(
        &self,
        schema: &Value,
        at: &mut Vec<String>,
        facts: &mut Operation,
    ) -> Result<(), Failure> {
        if at.len() > 16 {
            return Ok(()); // a schema that contains itself
        }
        let schema = self.resolve(schema);
        if schema["type"] == "string" {
            let limit = Limit {
                at: at.clone(),
                min_length: schema["minLength"].as_u64(),
                max_length: schema["maxLength"].as_u64(),
                pattern: schema["pattern"].as_str().map(ToOwned::to_owned),
                one_of: strings(&schema["enum"]),
            };
            if let Some(pattern) = &limit.pattern {
                regress::Regex::new(pattern).map_err(|e| {
                    Failure::new(
                        CHECK,
                        format!("the pattern of `{}`: {e}", at.join(".")),
                        "Write it as an ECMAScript regular expression.",
                    )
                })?;
            }
            if limit.min_length.is_some()
                || limit.max_length.is_some()
                || limit.pattern.is_some()
                || !limit.one_of.is_empty()
            {
                facts.limits.push(limit);
            }
            if schema["format"] == "password" {
                facts.secrets.push(at.clone());
            } else if schema["x-loggable"] != true
                && at.last().is_some_and(|name| sounds_secret(name))
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
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            at.push(name.clone());
            self.facts(property, at, facts)?;
            at.pop();
        }
        if schema["items"].is_object() {
            at.push("*".into());
            self.facts(&schema["items"], at, facts)?;
            at.pop();
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.facts(part, at, facts)?;
        }
        Ok(())
    }

    fn components(&mut self, root: &mut Value) {
        let mut sent = BTreeSet::new();
        for item in self.original["paths"]
            .as_object()
            .into_iter()
            .flat_map(Map::values)
        {
            for method in METHODS {
                self.reach(&item[method]["requestBody"], &mut sent);
            }
        }
        let mut schemas = root.pointer_mut("/components/schemas");
        for (name, schema) in entries(schemas.as_deref_mut()) {
            let way = if sent.contains(name) {
                Way::Request
            } else {
                Way::Response
            };
            self.schema(schema, way, name);
        }
        if let Some(schemas) = schemas.and_then(Value::as_object_mut) {
            schemas.append(&mut self.hoisted);
        }
    }

    /// The names of the component schemas that `value` leads to.
    fn reach(&self, value: &Value, names: &mut BTreeSet<String>) {
        if let Some(reference) = value["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            if names.insert(name.to_owned()) {
                self.reach(self.resolve(value), names);
            }
        }
        match value {
            Value::Object(map) => map.values().for_each(|v| self.reach(v, names)),
            Value::Array(items) => items.iter().for_each(|v| self.reach(v, names)),
            _ => {}
        }
    }

    /// Rewrites one schema, innermost first. `name` is what it would be called.
    fn schema(&mut self, schema: &mut Value, way: Way, name: &str) {
        // A plain string by reference would become a type of its own, with no conversion from `&str`.
        let target = self.resolve(schema);
        if target["type"] == "string" && target["enum"].is_null() {
            *schema = target.clone();
        }
        if schema["$ref"].is_string() {
            return;
        }
        let loggable = schema["x-loggable"] == true;
        let format = schema["format"].as_str().unwrap_or_default().to_owned();
        if let Some(map) = schema.as_object_mut() {
            map.remove("default"); // would be sent on every call
            if way == Way::Response {
                map.remove("additionalProperties"); // `false` would refuse new properties
            }
        }
        if schema["type"] == "string" {
            self.has_enum |= !schema["enum"].is_null();
            if let Some(map) = schema.as_object_mut() {
                for limit in ["minLength", "maxLength", "pattern", "format"] {
                    map.remove(limit);
                }
            }
            match (&*format, way) {
                ("password", _) => self.replace(schema, "Secret", name),
                ("e164", Way::Request) => self.replace(schema, "E164", name),
                ("e164", Way::Response) => self.replace(schema, "ReportedNumber", name),
                _ => {}
            }
        }
        for (property, inner) in entries(schema.get_mut("properties")) {
            let inner_name = format!("{name}{}", property.to_upper_camel_case());
            self.schema(inner, way, &inner_name);
            if way == Way::Request && inner["nullable"] == true {
                self.nullable(inner, &inner_name);
            }
        }
        if let Some(items) = schema.get_mut("items") {
            self.schema(items, way, &format!("{name}Item"));
        }
        for combination in ["allOf", "oneOf", "anyOf"] {
            for part in schema
                .get_mut(combination)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                self.schema(part, way, name);
            }
        }
        if loggable {
            let description = schema["description"].as_str().unwrap_or_default();
            schema["description"] = format!("{LOGGABLE}{description}").into();
        }
    }

    /// Three states: the generator would make absent and null the same.
    fn nullable(&mut self, schema: &mut Value, name: &str) {
        let mut inner = schema.clone();
        if let Some(map) = inner.as_object_mut() {
            map.remove("nullable");
        }
        let description = schema["description"].clone();
        if inner["type"] == "object" || !inner["enum"].is_null() {
            self.hoisted.insert(name.to_owned(), inner);
            inner = json!({ "$ref": format!("#/components/schemas/{name}") });
        }
        *schema = json!({ "description": description });
        self.replace(schema, "Nullable", name);
        schema["x-rust-type"]["parameters"] = json!([inner]);
    }

    fn replace(&mut self, schema: &mut Value, rust_type: &'static str, name: &str) {
        self.expected.insert((rust_type, name.to_owned()));
        schema["x-rust-type"] = json!({
            "crate": "sigmamind",
            "version": "*",
            "path": format!("sigmamind::types::{rust_type}"),
        });
    }

    fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        resolve(self.original, value)
    }
}

/// What `value` refers to, if it is a reference.
pub fn resolve<'v>(root: &'v Value, value: &'v Value) -> &'v Value {
    value["$ref"]
        .as_str()
        .and_then(|reference| root.pointer(reference.strip_prefix('#')?))
        .unwrap_or(value)
}

fn check_references(value: &Value, root: &Value) -> Result<(), Failure> {
    if let Some(reference) = value["$ref"].as_str() {
        let target = reference.strip_prefix('#').and_then(|at| root.pointer(at));
        if target.is_none() {
            return Err(Failure::new(
                CHECK,
                format!("the reference {reference} leads nowhere"),
                "Define what it names in this document, or correct the reference.",
            ));
        }
    }
    match value {
        Value::Object(map) => map.values().try_for_each(|v| check_references(v, root)),
        Value::Array(items) => items.iter().try_for_each(|v| check_references(v, root)),
        _ => Ok(()),
    }
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["password", "secret", "token", "credential"]
        .iter()
        .any(|word| name.contains(word))
}

fn entries(value: Option<&mut Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    value.and_then(Value::as_object_mut).into_iter().flatten()
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(ToOwned::to_owned))
        .collect()
}
