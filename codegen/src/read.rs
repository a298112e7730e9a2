//! Reads the document: its operations, as far as they matter.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use regex_lite::Regex;
use serde_json::{Value, json};

use crate::{
    check::{check, escape, follow},
    failure::{
        ALL_NULL, ENDLESS, Failure, NO_ARGUMENT, NO_HEADER, NO_JSON, NO_KEY, NO_METHOD, NO_SCHEMA,
        NO_SERVER, NO_SUCCESS, NO_TEMPLATE, NO_TYPE, NOT_IN_PATH, NOT_PATH, OTHER_KEY, Result,
        SERVERS, TWO_ANSWERS, UNCHECKED, UNEXPECTED, UNKNOWN, VERSION, ensure, need, refuse,
    },
    names,
    schema::{Schemas, Types, entries, items, target, text},
    wrapper::Method,
};

/// The document, as far as it matters.
pub struct Document<'d> {
    /// The address that the paths are appended to.
    pub(crate) server: String,
    /// The header that carries the key, in lower case.
    pub(crate) key_header: String,
    pub(crate) operations: Vec<Operation<'d>>,
    /// Those that are not understood, and that the wrapper has no methods for.
    pub(crate) skipped: Vec<(String, Failure)>,
    pub(crate) types: Types,
}

#[derive(Default)]
pub struct Operation<'d> {
    pub at: String,
    pub id: &'d str,
    /// What the generated method is called.
    pub name: String,
    pub method: &'static str,
    pub path: &'d str,
    /// In the order of their places in the path.
    pub parameters: Vec<(&'d str, Value)>,
    pub body: Option<Value>,
    /// What the body is declared as.
    pub content_type: String,
    pub statuses: Vec<&'d str>,
    /// None if no body comes with a success.
    pub answer: Option<Value>,
}

impl Operation<'_> {
    pub fn sent(&self) -> impl Iterator<Item = &Value> {
        let parameters = self.parameters.iter().map(|(_, schema)| schema);
        parameters.chain(&self.body)
    }
}

/// The headers of HTTP itself, which are set anyway.
const HEADERS: &str = "accept|connection|content-.*|host|te|transfer-encoding|upgrade|user-agent";
/// An address without anything that could be misread.
const ADDRESS: &str =
    r"https://([\w-]+\.)*[A-Za-z][\w-]*(:([1-9]\d{0,3}|[1-5]\d{4}))?(/[\w~-][\w.~-]*)*";
/// A path whose segments are names or parameters in braces.
const PATH: &str = r"(/(\{[A-Za-z][\w.-]*\}|[\w~!$&'()+,;=@-][\w.~!$&'()*+,;=:@-]*))+/?";
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "head", "patch", "options", "trace",
];

/// Reads the operations; those that the wrapper has methods for must be understood, and these
/// types be there.
pub fn read<'d>(
    root: &'d Value,
    methods: &[Method],
    types: &BTreeSet<String>,
) -> Result<Document<'d>> {
    let version = text(&root["openapi"]);
    ensure(version.starts_with("3.0."), "/openapi", VERSION, version)?;
    check("document", root, "")?;
    let (scheme, key_header) = security(root)?;
    let mut reader = Reader {
        root,
        schemas: Schemas::new(root)?,
        scheme,
        key_header,
        server: None,
    };
    let is_wanted = |name: &String| methods.iter().any(|method| method.operation == *name);
    let (mut operations, mut skipped) = (Vec::new(), Vec::new());
    let mut found = find(root)?;
    // The first says which server it is.
    found.sort_by_key(|(operation, _)| !is_wanted(&operation.name));
    for (mut operation, item) in found {
        match reader.whole(|reader| reader.operation(&mut operation, item)) {
            Ok(()) => operations.push(operation),
            Err(failure) if is_wanted(&operation.name) => return Err(failure),
            Err(failure) => skipped.push((operation.id.to_owned(), failure)),
        }
    }
    reader.components(types)?;
    let known = reader.server;
    Ok(Document {
        server: known.map_or_else(|| server(&[("", root)]), Ok)?,
        key_header: reader.key_header,
        operations,
        skipped,
        types: reader.schemas.types,
    })
}

/// The name of the scheme that brings the key in a header, and the header.
fn security(root: &Value) -> Result<(String, String)> {
    let alone = items(&root["security"]).filter(|names| entries(names).count() == 1);
    let alone: BTreeSet<_> = alone.flat_map(entries).map(|(name, _)| name).collect();
    let mut schemes = entries(&root["components"]["securitySchemes"]);
    let scheme = schemes.find(|(name, _)| alone.contains(name));
    let (name, scheme) = need(scheme, "", NO_KEY, "")?;
    let at = format!("/components/securitySchemes/{}", escape(name));
    let (scheme, at) = end(root, scheme, at)?;
    check("scheme", scheme, &at)?;
    let header = text(&scheme["name"]).to_ascii_lowercase();
    let usable = matches(r"[\w!#$%&'*+.^`|~-]+", &header) && !matches(HEADERS, &header);
    ensure(usable, &format!("{at}/name"), NO_HEADER, &header)?;
    Ok((name.clone(), header))
}

/// All operations, with names that differ, as far as they have not been read, and their paths.
fn find(root: &Value) -> Result<Vec<(Operation<'_>, &Value)>> {
    let (mut found, mut names) = (Vec::new(), BTreeSet::new());
    let paths = entries(&root["paths"]).filter(|(path, _)| !path.starts_with("x-"));
    for (path, item) in paths {
        let at = format!("/paths/{}", escape(path));
        check("path", item, &at)?;
        for method in METHODS.into_iter().filter(|name| item[name].is_object()) {
            let (at, id) = (format!("{at}/{method}"), text(&item[method]["operationId"]));
            let name = names::method(id).filter(|name| names.insert(name.clone()));
            let operation = Operation {
                name: need(name, &at, NO_METHOD, id)?,
                at,
                id,
                method,
                path,
                ..Operation::default()
            };
            found.push((operation, item));
        }
    }
    Ok(found)
}

/// The first of the nearest `servers`, with the defaults of its variables.
fn server(nodes: &[(&str, &Value)]) -> Result<String> {
    let mut nodes = nodes.iter();
    let nearest = nodes.find(|(_, node)| node["servers"][0].is_object());
    let (at, node) = need(nearest, "", NO_SERVER, "none")?;
    let (at, server) = (format!("{at}/servers/0"), &node["servers"][0]);
    check("server", server, &at)?;
    let mut url = text(&server["url"]).to_owned();
    for (name, variable) in entries(&server["variables"]) {
        let (default, values) = (&variable["default"], &variable["enum"]);
        let listed = values.is_null() || items(values).any(|value| value == default);
        ensure(listed, &at, UNEXPECTED, "a default that is listed")?;
        url = url.replace(&format!("{{{name}}}"), text(default));
    }
    let url = url.trim_end_matches('/');
    let plain = matches(ADDRESS, url);
    ensure(plain && !url.contains("xn--"), &at, NO_SERVER, url)?;
    Ok(url.to_owned())
}

/// What a value refers to in the end, and its place; anything else is itself.
fn end<'d>(root: &'d Value, mut value: &'d Value, mut at: String) -> Result<(&'d Value, String)> {
    let mut seen = BTreeSet::new();
    while let Some(reference) = value["$ref"].as_str() {
        ensure(seen.insert(reference), &at, ENDLESS, reference)?;
        (value, at) = follow(root, value, &at)?;
    }
    Ok((value, at))
}

/// Whether the whole text is so.
fn matches(pattern: &'static str, text: &str) -> bool {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<&'static str, Regex>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        let compile = || Regex::new(&format!("^(?:{pattern})$")).expect("it is one");
        known.entry(pattern).or_insert_with(compile).is_match(text)
    })
}

struct Reader<'d> {
    root: &'d Value,
    schemas: Schemas<'d>,
    /// The security scheme that brings the key.
    scheme: String,
    key_header: String,
    /// Of the operations that were read.
    server: Option<String>,
}

impl<'d> Reader<'d> {
    /// Reads something, and forgets what was found on the way if it is not understood.
    fn whole<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = self.schemas.found.len();
        let result = read(self);
        if result.is_err() {
            for name in self.schemas.found.drain(before..) {
                self.schemas.types.remove(&name);
            }
        }
        result
    }

    fn operation(&mut self, operation: &mut Operation<'d>, item: &'d Value) -> Result<()> {
        let (at, id, method) = (operation.at.clone(), operation.id, operation.method);
        let node = &item[method];
        check("operation", node, &at)?;
        ensure(!matches!(method, "options" | "trace"), &at, UNKNOWN, method)?;
        // The key does no harm where none is asked for.
        let by_key = |names: &Value| entries(names).all(|(name, _)| *name == self.scheme);
        let mut alternatives = items(&node["security"]).peekable();
        let secured = alternatives.peek().is_none() || alternatives.any(by_key);
        ensure(secured, &format!("{at}/security"), OTHER_KEY, &self.scheme)?;
        let item_at = at.strip_suffix(&format!("/{method}")).unwrap_or_default();
        let owners = [(&*at, node), (item_at, item), ("", self.root)];
        operation.parameters = self.parameters(operation, [owners[1], owners[0]])?;
        if !node["requestBody"].is_null() {
            let at = format!("{at}/requestBody");
            let (body, at) = end(self.root, &node["requestBody"], at)?;
            check("body", body, &at)?;
            let (declared, schema) = self.json(body, &format!("{id}-body"), &at)?;
            (operation.content_type, operation.body) = (declared, Some(schema));
        }
        // Errors are read by the wrapper, whatever is said of them.
        let successes = entries(&node["responses"]).filter(|(status, _)| status.starts_with('2'));
        let mut answers = Vec::new();
        for (status, response) in successes {
            let at = format!("{at}/responses/{status}");
            ensure(matches(r"2\d\d|2XX", status), &at, UNKNOWN, status)?;
            let (response, at) = end(self.root, response, at)?;
            check("response", response, &at)?;
            let has_body = entries(&response["content"]).next().is_some();
            let body = has_body.then(|| self.json(response, &format!("{id}-response"), &at));
            answers.push(body.transpose()?.map(|(_, schema)| schema));
            operation.statuses.push(status);
        }
        let same = answers.iter().all(|answer| *answer == answers[0]);
        ensure(same, &at, TWO_ANSWERS, "")?;
        operation.answer = need(answers.pop(), &at, NO_SUCCESS, "")?;
        let server = server(&owners)?;
        self.schemas.grow(3, &at)?;
        let known = self.server.get_or_insert(server.clone());
        ensure(*known == server, &at, SERVERS, known)
    }

    /// The parameters of these, of which the later take precedence.
    fn parameters(
        &mut self,
        operation: &Operation<'d>,
        owners: [(&str, &'d Value); 2],
    ) -> Result<Vec<(&'d str, Value)>> {
        let Operation { at, id, path, .. } = operation;
        let mut described = BTreeMap::new();
        for (at, owner) in owners {
            for (index, parameter) in items(&owner["parameters"]).enumerate() {
                let at = format!("{at}/parameters/{index}");
                let (parameter, at) = end(self.root, parameter, at)?;
                let name = text(&parameter["name"]);
                // Headers of HTTP itself are none, and the key is not the caller's.
                let lower = name.to_ascii_lowercase();
                let ours = lower == self.key_header || lower == "authorization";
                let known = ours || matches(HEADERS, &lower);
                if parameter["in"] != "header" || !known {
                    ensure(parameter["in"] == "path", &at, NOT_PATH, name)?;
                    check("parameter", parameter, &at)?;
                    described.insert(name, (at, &parameter["schema"]));
                }
            }
        }
        ensure(matches(PATH, path), at, NO_TEMPLATE, path)?;
        let (mut parameters, mut arguments) = (Vec::new(), BTreeSet::from(["body".to_owned()]));
        for segment in path.split('/').filter(|segment| segment.starts_with('{')) {
            let name = segment.trim_matches(['{', '}']);
            let (at, schema) = need(described.remove(name), at, NO_ARGUMENT, name)?;
            let own = names::value(name).is_some_and(|name| arguments.insert(name));
            ensure(own, &at, NO_ARGUMENT, name)?;
            let schema = self.used(schema, &format!("{id}-{name}"), &format!("{at}/schema"))?;
            let target = target(&self.schemas.types, &schema);
            let is_text = target["type"] == "string" && target["format"] != "password";
            let fits = is_text || target["type"] == "integer";
            ensure(fits, &at, UNEXPECTED, "a text, an integer or an enum")?;
            let guarded = target["format"] == "e164" || target["enum"].is_array();
            let guarded = guarded || !name.to_lowercase().contains("phone");
            ensure(guarded, &at, UNCHECKED, name)?;
            parameters.push((name, schema));
        }
        match described.into_iter().next() {
            Some((name, (at, _))) => Err(Failure::at(&at, NOT_IN_PATH, name)),
            None => Ok(parameters),
        }
    }

    /// What `content` has as JSON, and what that is declared as.
    fn json(&mut self, owner: &'d Value, name: &str, at: &str) -> Result<(String, Value)> {
        for (declared, media) in entries(&owner["content"]) {
            let essence = declared.split(';').next().unwrap_or_default().trim();
            let essence = match &*essence.to_ascii_lowercase() {
                "*/*" | "application/*" => "application/json".to_owned(),
                other => other.to_owned(),
            };
            if matches(r"application/([\w.+-]+\+)?json", &essence) {
                let at = format!("{at}/content/{}", escape(declared));
                check("media", media, &at)?;
                let schema = self.used(&media["schema"], name, &format!("{at}/schema"))?;
                return Ok((essence, schema));
            }
        }
        Err(Failure::at(at, NO_JSON, ""))
    }

    /// A schema that is all of something, and so not null.
    fn used(&mut self, schema: &Value, name: &str, at: &str) -> Result<Value> {
        let name = need(names::type_name(name), at, NO_TYPE, name)?;
        let schema = self.schemas.all(schema, &name, at)?;
        let target = target(&self.schemas.types, &schema);
        let nullable = schema["nullable"] == true || target["nullable"] == true;
        ensure(!nullable, at, ALL_NULL, "")?;
        Ok(schema)
    }

    /// Reads the components that no operation has led to; these types must be there.
    fn components(&mut self, wanted: &BTreeSet<String>) -> Result<()> {
        for (own, (at, _)) in self.schemas.components.clone() {
            let reference = json!({ "$ref": format!("#{at}") });
            let read = self.whole(|reader| {
                let used = reader.schemas.all(&reference, &own, &at)?;
                if used["$ref"].is_string() && used["$ref"] != *own {
                    reader.schemas.types.insert(own.clone(), used); // another name for it
                }
                Ok(())
            });
            if wanted.contains(&own) {
                read?;
            }
        }
        let mut wanted = wanted.iter();
        let missing = wanted.find(|name| !self.schemas.types.contains_key(*name));
        refuse(missing.map(|name| &**name), "", NO_SCHEMA)
    }
}
