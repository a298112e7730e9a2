//! Reads the document: what is understood comes out, and everything else is refused with its place.

use std::collections::{BTreeMap, BTreeSet};

use yaml_serde::Value;

use super::{
    failure::Failure,
    names,
    node::{CHECK, Node},
    schema::{Kind, Schema, Schemas, Text},
    wrapper::Method,
};

/// The document, as far as it matters.
pub struct Document {
    /// The address that the paths are appended to.
    pub server: String,
    /// The header that carries the key, in lower case.
    pub key_header: String,
    pub operations: Vec<Operation>,
    /// Why an operation that the wrapper has no method for is not there.
    pub left_out: Vec<(String, Failure)>,
    /// Objects and enums, by the names of their types.
    pub schemas: BTreeMap<String, Schema>,
}

pub struct Operation {
    pub at: String,
    pub id: String,
    /// What the generated method is called.
    pub name: String,
    pub method: String,
    pub path: String,
    pub summary: Option<String>,
    pub description: Option<String>,
    /// The path's, in the order of their places.
    pub parameters: Vec<Parameter>,
    pub body: Option<Body>,
    /// None if no body comes with a success.
    pub answer: Option<Schema>,
    pub statuses: Vec<String>,
    server: String,
}

pub struct Parameter {
    pub name: String,
    pub description: Option<String>,
    pub schema: Schema,
}

pub struct Body {
    pub content_type: String,
    pub description: Option<String>,
    pub schema: Schema,
}

/// YAML, or JSON, by its first character; no key may be given twice.
pub fn parse(text: &str) -> Result<Value, Failure> {
    const STEP: &str = "parse the document";
    let text = text.trim_start_matches('\u{feff}');
    let yaml = || -> Result<Value, yaml_serde::Error> {
        let mut value: Value = yaml_serde::from_str(text)?;
        value.apply_merge()?;
        Ok(value)
    };
    let parsed = if text.trim_start().starts_with('{') {
        // What is no JSON may be YAML in braces.
        serde_json::from_str(text).or_else(|e| yaml().map_err(|_| ("JSON", e.to_string())))
    } else {
        yaml().map_err(|e| ("YAML", e.to_string()))
    };
    match parsed {
        Ok(value @ Value::Mapping(_)) => Ok(value),
        Ok(value) => {
            let reason = if value.is_null() {
                "it is empty"
            } else {
                "it is not a mapping"
            };
            Err(Failure::new(STEP, reason, "Give an OpenAPI 3.0 document."))
        }
        Err((what, e)) => {
            let remedy = format!("Correct the {what} at the place named.");
            Err(Failure::new(STEP, e, remedy))
        }
    }
}

const ROOT: &[&str] = &[
    "openapi",
    "info",
    "servers",
    "paths",
    "components",
    "security",
    "tags",
    "externalDocs",
];
const COMPONENTS: &[&str] = &[
    "schemas",
    "responses",
    "parameters",
    "examples",
    "requestBodies",
    "headers",
    "securitySchemes",
    "links",
    "callbacks",
];
const PATH_ITEM: &[&str] = &["summary", "description", "servers", "parameters"];
/// Those that reqwest has a method for, and two that are known to be refused.
const METHODS: &[&str] = &[
    "get", "put", "post", "delete", "head", "patch", "options", "trace",
];
const OPERATION: &[&str] = &[
    "tags",
    "summary",
    "description",
    "externalDocs",
    "operationId",
    "parameters",
    "requestBody",
    "responses",
    "deprecated",
    "security",
    "servers",
];
const PARAMETER: &[&str] = &[
    "name",
    "in",
    "description",
    "required",
    "deprecated",
    "schema",
    "style",
    "explode",
    "example",
    "examples",
];
const BODY: &[&str] = &["description", "content", "required"];
const RESPONSE: &[&str] = &["description", "headers", "content", "links"];
const MEDIA_TYPE: &[&str] = &["schema", "example", "examples"];
const SERVER: &[&str] = &["url", "description", "variables"];

/// Headers that are sent anyway.
const TAKEN: [&str; 9] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

struct Reader<'d> {
    root: Node<'d>,
    schemas: Schemas<'d>,
    /// The security scheme that the key is sent by.
    scheme: String,
    key_header: String,
}

/// Reads the operations; those that the wrapper has methods for must be understood.
pub fn read(
    value: &Value,
    methods: &[Method],
    types: &BTreeSet<String>,
) -> Result<Document, Failure> {
    let root = Node::root(value);
    root.only("the document", &[ROOT])?;
    let version = root.need("openapi")?;
    if !version.text()?.starts_with("3.0.") {
        let reason = format!("its version is {}, and only 3.0.x is read", version.text()?);
        return Err(version.refuse(reason, "Write the document as OpenAPI 3.0.3."));
    }
    let info = root.need("info")?;
    info.need("title")?.text()?;
    info.need("version")?.text()?;
    if let Some(components) = root.get("components") {
        components.only("the components", &[COMPONENTS])?;
    }
    let (scheme, key_header) = security(&root)?;
    let mut reader = Reader {
        schemas: Schemas::new(root.clone())?,
        root,
        scheme,
        key_header,
    };
    let (mut operations, mut left_out) = (Vec::new(), Vec::new());
    for (path, method, item, node) in reader.identified()? {
        let id = node.need("operationId")?.text()?;
        let needed = methods.iter().any(|m| m.operation == names::method(id));
        match reader.operation(&path, &method, &item, &node) {
            Ok(operation) => operations.push(operation),
            Err(failure) if needed => return Err(failure),
            Err(failure) => left_out.push((id.to_owned(), failure)),
        }
    }
    let wanted = |operation: &&Operation| methods.iter().any(|m| m.operation == operation.name);
    let server = match operations.iter().find(wanted).or(operations.first()) {
        Some(operation) => operation.server.clone(),
        None => server(&[&reader.root])?,
    };
    for operation in operations.extract_if(.., |o| o.server != server) {
        let needed = methods.iter().any(|m| m.operation == operation.name);
        let reason = format!(
            "`{}` is at {} and others at {server}",
            operation.id, operation.server
        );
        let failure =
            Failure::new(CHECK, reason, "Give all operations the same server.").at("/servers");
        if needed {
            return Err(failure);
        }
        left_out.push((operation.id, failure));
    }
    let schemas = reader.schemas.finish(types)?;
    Ok(Document {
        server,
        key_header: reader.key_header,
        operations,
        left_out,
        schemas,
    })
}

/// The scheme that the operations are secured by, and its header.
fn security(root: &Node) -> Result<(String, String), Failure> {
    let remedy = "Describe the key as `type: apiKey`, `in: header`, and name it under `security`.";
    let schemes = root
        .get("components")
        .and_then(|components| components.get("securitySchemes"));
    let schemes = schemes.ok_or_else(|| root.refuse("it has no `securitySchemes`", remedy))?;
    let alone = |node: Node| -> Result<Option<String>, Failure> {
        let names = node.entries()?;
        Ok(match &*names {
            [(name, _)] => Some(name.clone()),
            _ => None,
        })
    };
    let mut named = Vec::new();
    match root.get("security") {
        Some(security) => {
            for alternative in security.items()? {
                named.extend(alone(alternative)?);
            }
        }
        None => named.extend(alone(schemes.clone())?),
    }
    let mut usable = Vec::new();
    for name in named {
        let scheme = schemes.need(&name)?.resolve(root)?;
        if scheme.need("type")?.is("apiKey") && scheme.need("in")?.is("header") {
            scheme.only(
                "a security scheme",
                &[&["type", "in", "name", "description"]],
            )?;
            usable.push((name, scheme.need("name")?));
        }
    }
    let Some((name, header)) = usable.into_iter().next() else {
        return Err(schemes.refuse(
            "none of them is a key in a header that `security` asks for alone",
            remedy,
        ));
    };
    let text = header.text()?.to_ascii_lowercase();
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(is_token) || TAKEN.contains(&&*text) {
        return Err(header.refuse(
            format!("the key cannot be sent as `{text}`"),
            "Name the header that the API reads it from.",
        ));
    }
    Ok((name, text))
}

/// The address of the nearest `servers`; the first of them, with the defaults of its variables.
fn server(nodes: &[&Node]) -> Result<String, Failure> {
    let remedy = "Name the server of the API, `https://` and a host, under `servers`.";
    let root = nodes[nodes.len() - 1];
    let Some(servers) = nodes.iter().find_map(|node| node.get("servers")) else {
        return Err(root.refuse("it has no `servers`", remedy));
    };
    let items = servers.items()?;
    let Some(server) = items.first() else {
        return Err(servers.refuse("there is no server", remedy));
    };
    server.only("a server", &[SERVER])?;
    let node = server.need("url")?;
    let mut url = node.text()?.to_owned();
    for (name, variable) in server
        .get("variables")
        .map_or(Ok(Vec::new()), |v| v.entries())?
    {
        variable.only("a variable", &[&["enum", "default", "description"]])?;
        let default = variable.need("default")?;
        let listed = variable
            .get("enum")
            .map_or(Ok(Vec::new()), |values| values.items())?;
        let text = default.text()?;
        if !listed.is_empty() && !listed.iter().any(|value| value.is(text)) {
            return Err(default.refuse("the default is not in the list", "Give one that is."));
        }
        url = url.replace(&format!("{{{name}}}"), text);
    }
    let url = url.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let is_https = url.strip_prefix("https://").is_some_and(|rest| {
        let (host, path) = rest
            .split_once('/')
            .map_or((rest, None), |(h, p)| (h, Some(p)));
        let (host, port) = host.split_once(':').unwrap_or((host, "443"));
        let labels = host.split('.');
        let is_label =
            |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        labels.into_iter().all(is_label)
            && host.starts_with(|c: char| c.is_ascii_alphabetic())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
            && path.is_none_or(|path| {
                path.split('/')
                    .all(|s| !s.is_empty() && !s.starts_with('.') && s.bytes().all(plain))
            })
    });
    if !is_https {
        return Err(node.refuse(format!("{url} is no plain https address"), remedy));
    }
    Ok(url.to_owned())
}

impl<'d> Reader<'d> {
    /// All operations, with names that differ.
    fn identified(&self) -> Result<Vec<(String, String, Node<'d>, Node<'d>)>, Failure> {
        let remedy = "Give each operation its own; the method that calls it is named after it.";
        let mut found: Vec<(String, String, Node, Node)> = Vec::new();
        let mut known = BTreeMap::new();
        for (path, item) in self.root.need("paths")?.entries()? {
            if path.starts_with("x-") {
                continue;
            }
            item.only("a path", &[PATH_ITEM, METHODS])?;
            for method in METHODS {
                let Some(node) = item.get(method) else {
                    continue;
                };
                let place = format!("{} {path}", method.to_uppercase());
                let Some(id) = node.get("operationId") else {
                    return Err(node.refuse(format!("{place} has no `operationId`"), remedy));
                };
                let text = id.text()?;
                if !names::is_usable_method(text) {
                    return Err(id.refuse(format!("no method can be called `{text}`"), remedy));
                }
                if let Some(other) = known.insert(names::method(text), place.clone()) {
                    return Err(id.refuse(
                        format!("{other} and {place} are both called `{text}`"),
                        remedy,
                    ));
                }
                found.push((path.clone(), (*method).to_owned(), item.clone(), node));
            }
        }
        Ok(found)
    }

    fn operation(
        &mut self,
        path: &str,
        method: &str,
        item: &Node<'d>,
        node: &Node<'d>,
    ) -> Result<Operation, Failure> {
        node.only("an operation", &[OPERATION])?;
        let id = node.need("operationId")?.text()?;
        if ["options", "trace"].contains(&method) {
            return Err(node.refuse(
                format!("{method} is not sent"),
                "Describe it by another method.",
            ));
        }
        self.secured(node)?;
        let parameters = self.parameters(path, id, item, node)?;
        let body = match node.get("requestBody") {
            Some(body) => Some(self.body(id, &body.resolve(&self.root)?)?),
            None => None,
        };
        let (statuses, answer) = self.responses(id, &node.need("responses")?)?;
        Ok(Operation {
            at: node.at.clone(),
            id: id.to_owned(),
            name: names::method(id),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: description(node, "summary")?,
            description: description(node, "description")?,
            parameters,
            body,
            answer,
            statuses,
            server: server(&[node, item, &self.root])?,
        })
    }

    fn secured(&self, node: &Node) -> Result<(), Failure> {
        let Some(security) = node.get("security") else {
            return Ok(());
        };
        let alternatives = security.items()?;
        for alternative in &alternatives {
            let names = alternative.entries()?;
            if names.iter().all(|(name, _)| *name == self.scheme) {
                return Ok(());
            }
        }
        if alternatives.is_empty() {
            return Ok(()); // the key does no harm
        }
        Err(security.refuse(
            format!("it asks for something else than `{}`", self.scheme),
            "Secure all operations by the same key.",
        ))
    }

    /// The parameters of the path, in the order of their places.
    fn parameters(
        &mut self,
        path: &str,
        id: &str,
        item: &Node<'d>,
        node: &Node<'d>,
    ) -> Result<Vec<Parameter>, Failure> {
        let mut declared = BTreeMap::new();
        for owner in [item, node] {
            for parameter in owner
                .get("parameters")
                .map_or(Ok(Vec::new()), |p| p.items())?
            {
                let parameter = parameter.resolve(&self.root)?;
                let name = parameter.need("name")?.text()?;
                let kind = parameter.need("in")?;
                // The key's and HTTP's own headers are no parameters.
                let ignored = [&*self.key_header, "accept", "content-type", "authorization"];
                if kind.is("header") && ignored.contains(&&*name.to_ascii_lowercase()) {
                    continue;
                }
                if !kind.is("path") {
                    let reason = format!("the {} parameter `{name}` cannot be sent", kind.text()?);
                    return Err(parameter.refuse(
                        reason,
                        "Take it out: parameters of the path alone are understood.",
                    ));
                }
                declared.insert(name, parameter);
            }
        }
        let places = template(path).ok_or_else(|| {
            node.refuse(
                format!("the path {path} has something else than names and, as whole segments, parameters in braces"),
                "Describe it by a path of such segments.",
            )
        })?;
        let mut parameters = Vec::new();
        let mut fields = BTreeSet::from(["body".to_owned(), "self".to_owned()]);
        for name in places {
            let Some(parameter) = declared.remove(name) else {
                let remedy = "Describe it under `parameters`, once.";
                return Err(node.refuse(
                    format!("the parameter `{name}` of {path} is not described"),
                    remedy,
                ));
            };
            if !fields.insert(names::method(name)) || names::method(name).is_empty() {
                return Err(
                    parameter.refuse(format!("no argument can be called `{name}`"), "Rename it.")
                );
            }
            parameters.push(self.parameter(id, name, &parameter)?);
        }
        if let Some((name, parameter)) = declared.into_iter().next() {
            let remedy = "Write it in braces where it belongs in the path.";
            return Err(parameter.refuse(
                format!("the parameter `{name}` has no place in {path}"),
                remedy,
            ));
        }
        Ok(parameters)
    }

    fn parameter(&mut self, id: &str, name: &str, node: &Node<'d>) -> Result<Parameter, Failure> {
        node.only("a parameter", &[PARAMETER])?;
        if !node.need("required")?.flag()? {
            return Err(node.refuse(
                format!("the parameter `{name}` is not required"),
                "Every parameter of a path is.",
            ));
        }
        if node.get("style").is_some_and(|style| !style.is("simple")) {
            return Err(node.refuse(
                format!("the style of `{name}` is not `simple`"),
                "Take it out.",
            ));
        }
        let at = node.need("schema")?;
        let schema = self.schemas.used(&at, &format!("{id}-{name}"))?;
        let target = self.schemas.target(&schema);
        let fits = matches!(
            target.kind,
            Kind::Text(Text::Plain | Text::E164) | Kind::Integer(_) | Kind::Boolean | Kind::Enum(_)
        );
        if !fits || schema.nullable || target.nullable {
            return Err(at.refuse(
                format!("`{name}` is no text, number or enum that could stand in a path"),
                "Describe it as one.",
            ));
        }
        if name.to_lowercase().contains("phone") && !matches!(target.kind, Kind::Text(Text::E164)) {
            return Err(at.refuse(
                format!("the parameter `{name}` would be sent without validation"),
                "Give its schema `format: e164`.",
            ));
        }
        Ok(Parameter {
            name: name.to_owned(),
            description: description(node, "description")?,
            schema,
        })
    }

    fn body(&mut self, id: &str, node: &Node<'d>) -> Result<Body, Failure> {
        node.only("a request body", &[BODY])?;
        let Some((content_type, media)) = json(&node.need("content")?)? else {
            return Err(node.refuse("the body is not JSON", "Describe it as `application/json`."));
        };
        let schema = self.media(&media, &format!("{id}-body"))?;
        Ok(Body {
            content_type,
            description: description(node, "description")?,
            schema,
        })
    }

    fn media(&mut self, media: &Node<'d>, name: &str) -> Result<Schema, Failure> {
        media.only("a media type", &[MEDIA_TYPE])?;
        let at = media.need("schema")?;
        let schema = self.schemas.used(&at, name)?;
        if schema.nullable || self.schemas.target(&schema).nullable {
            return Err(at.refuse(
                "the whole body may be null",
                "Take `nullable` out, or wrap it in an object.",
            ));
        }
        Ok(schema)
    }

    /// Errors are read by the wrapper, whatever is documented of them.
    fn responses(
        &mut self,
        id: &str,
        node: &Node<'d>,
    ) -> Result<(Vec<String>, Option<Schema>), Failure> {
        let mut successes = node.entries()?;
        successes.retain(|(status, _)| status.starts_with('2'));
        let (mut statuses, mut answers) = (Vec::new(), Vec::new());
        for (status, response) in successes {
            let digits = status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit());
            if !digits && status != "2XX" {
                return Err(response.refuse(
                    format!("`{status}` is no status"),
                    "Write it as `200` or `2XX`.",
                ));
            }
            let response = response.resolve(&self.root)?;
            response.only("a response", &[RESPONSE])?;
            let content = response
                .get("content")
                .filter(|c| c.entries().is_ok_and(|e| !e.is_empty()));
            answers.push(match content {
                None => None,
                Some(content) => {
                    let Some((_, media)) = json(&content)? else {
                        return Err(content.refuse(
                            "the answer is not JSON",
                            "Describe it as `application/json`.",
                        ));
                    };
                    Some(self.media(&media, &format!("{id}-response"))?)
                }
            });
            statuses.push(status);
        }
        let Some(answer) = answers.pop() else {
            return Err(node.refuse(
                format!("`{id}` has no success response"),
                "Describe its 2xx response.",
            ));
        };
        if answers.iter().any(|other| *other != answer) {
            return Err(node.refuse(
                format!("`{id}` has success responses of different schemas"),
                "Describe one schema for every 2xx response of an operation.",
            ));
        }
        Ok((statuses, answer))
    }
}

/// The names of the parameters of a path, each of which is a whole segment.
fn template(path: &str) -> Option<Vec<&str>> {
    let path = path.strip_prefix('/')?;
    let mut names = Vec::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if let Some(name) = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(plain) {
                return None;
            }
            names.push(name);
            continue;
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(c);
        if segment.is_empty() && !last
            || segment == "."
            || segment == ".."
            || !segment.chars().all(plain)
        {
            return None;
        }
    }
    Some(names)
}

/// The first JSON among the media types, and what it is sent as.
fn json<'d>(content: &Node<'d>) -> Result<Option<(String, Node<'d>)>, Failure> {
    for (name, media) in content.entries()? {
        let essence = name
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/.+-".contains(c);
        let is_json = essence == "application/json"
            || essence.starts_with("application/") && essence.ends_with("+json");
        if is_json && essence.chars().all(plain) {
            return Ok(Some((essence, media)));
        }
        if essence == "*/*" || essence == "application/*" {
            return Ok(Some(("application/json".to_owned(), media)));
        }
    }
    Ok(None)
}

pub fn description(node: &Node, keyword: &str) -> Result<Option<String>, Failure> {
    let text = node.get(keyword).map(|node| node.text()).transpose()?;
    Ok(text.map(tidy).filter(|text| !text.is_empty()))
}

/// A text as documentation: no code block, which would be run as a test, and no characters that
/// cannot be seen.
fn tidy(text: &str) -> String {
    let hidden = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let line: String = words.join(" ").chars().filter(|c| !hidden(c)).collect();
        line.replace("```", "'''").replace("~~~", "'''")
    };
    text.lines()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned()
}
