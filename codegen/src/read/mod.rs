//! Reads the document: its supported operations, and the types that they refer to. Unsupported parts
//! are skipped, unless the crate needs them.
//!
//! | in the document | read |
//! |---|---|
//! | an operation | its path with the arguments, its query as an object, its body, its answer |
//! | `security` | the header that carries the key |
//! | `servers` | one address |
//! | anything else | nothing, or an entry in `skipped` |

mod chain;
mod operation;
mod parameters;
mod sent;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use heck::ToLowerCamelCase;
use regex_lite::Regex;
use serde_json::{Value, json};

use crate::{
    Needed, Skipped,
    check::{PATH, SERVER, check, escape, follow},
    failure::{
        ENDLESS, Failure, MISSING, NO_KEY, NO_METHOD, NO_SERVER, Result, UNEXPECTED, UNKNOWN,
        VERSION, ensure, need,
    },
    names::{self, Scope},
    schema::{Schemas, Types, entries, items, text},
};
pub use operation::Operation;
pub use parameters::Parameter;

/// The supported parts of the document.
pub struct Document<'d> {
    /// The address that the paths are appended to.
    pub(crate) server: String,
    /// The header that carries the key, in lower case.
    pub(crate) key_header: String,
    pub(crate) operations: Vec<Operation<'d>>,
    /// Unsupported parts that the crate does not need.
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) types: Types,
    /// The name of the operation with a handwritten method.
    pub(crate) by_hand: String,
}

/// Headers of HTTP itself, which the client sets anyway.
const HEADERS: &str = "accept|connection|content-.*|host|te|transfer-encoding|upgrade|user-agent";
/// Pattern of an address that cannot be misread.
const ADDRESS: &str = r"https://([\w-]+\.)*[A-Za-z][\w-]*(:[1-9]\d{0,4})?(/[\w~-][\w.~-]*)*";
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "head", "patch", "options", "trace",
];
/// Top-level keywords that are read, or are annotations.
const KNOWN: [&str; 8] = [
    "openapi",
    "info",
    "paths",
    "components",
    "servers",
    "security",
    "tags",
    "externalDocs",
];

/// Reads the supported parts of a document.
///
/// # Errors
///
/// Fails if the document, or a part that the crate needs, is not supported.
pub fn read<'d>(root: &'d Value, needed: &Needed) -> Result<Document<'d>> {
    let version = text(&root["openapi"]);
    ensure(version.starts_with("3.0."), "/openapi", VERSION, version)?;
    ensure(root["paths"].is_object(), "", MISSING, "paths")?;
    let mut skipped = Vec::new();
    for keyword in entries(root).map(|(keyword, _)| keyword) {
        if !KNOWN.contains(&&**keyword) && !keyword.starts_with("x-") {
            let failure = Failure::at(&format!("/{keyword}"), UNKNOWN, &format!("`{keyword}`"));
            skipped.push(Skipped::new(format!("`{keyword}`"), failure));
        }
    }
    let mut found = find(root, needed, &mut skipped)?;
    let is_needed = |operation: &Operation| operation.name == needed.method;
    // The first operation decides the server and the key.
    found.sort_by_key(|(operation, _)| !is_needed(operation));
    let key = Key::find(root, &found)?;
    let (schemas, server) = (Schemas::new(root), None);
    let mut reader = Reader {
        root,
        schemas,
        key,
        server,
    };
    let mut operations = Vec::new();
    for (mut operation, item) in found {
        match reader.whole(|reader| reader.operation(&mut operation, item)) {
            Ok(()) => operations.push(operation),
            Err(failure) if is_needed(&operation) => return Err(failure),
            Err(failure) => {
                let what = format!("operation `{}`", operation.id);
                skipped.push(Skipped::new(what, failure));
            }
        }
    }
    reader.components(needed, &mut skipped)?;
    let document = Document {
        server: reader.server.map_or_else(|| server_of(&[("", root)]), Ok)?,
        key_header: reader.key.header,
        operations,
        skipped,
        types: reader.schemas.types,
        by_hand: needed.method.to_owned(),
    };
    needed.check(&document)?;
    Ok(document)
}

/// Returns all operations that have a name, before they are read, with unique names, and their path
/// items.
fn find<'d>(
    root: &'d Value,
    needed: &Needed,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<(Operation<'d>, &'d Value)>> {
    let mut found = Vec::new();
    let paths = entries(&root["paths"]).filter(|(path, _)| !path.starts_with("x-"));
    for (path, item) in paths {
        let at = format!("/paths/{}", escape(path));
        let checked = check(PATH, item, &at);
        let mut any = false;
        for method in METHODS.into_iter().filter(|name| item[name].is_object()) {
            any = true;
            let (at, id) = (format!("{at}/{method}"), text(&item[method]["operationId"]));
            let is_needed = names::method(id, &[]).is_some_and(|name| name == needed.method);
            let taken = if is_needed { &[] } else { needed.taken };
            let (problem, what) = if id.is_empty() {
                (MISSING, "operationId")
            } else {
                (NO_METHOD, id)
            };
            let name = need(names::method(id, taken), &at, problem, what);
            let named = checked.clone().and(name);
            match named {
                Ok(name) => found.push((Operation::new(at, id, name, method, path), item)),
                Err(failure) if is_needed => return Err(failure),
                Err(failure) => {
                    let what = format!("{} {path}", method.to_uppercase());
                    skipped.push(Skipped::new(what, failure));
                }
            }
        }
        if let (Err(failure), false) = (checked, any) {
            skipped.push(Skipped::new(format!("path {path}"), failure));
        }
    }
    // No other operation takes the name of the handwritten method.
    let mut scope = Scope::default();
    found.sort_by_key(|(operation, _): &(Operation, _)| {
        (
            operation.name != needed.method,
            operation.id != needed.method.to_lower_camel_case(),
        )
    });
    for (operation, _) in &mut found {
        operation.name = scope.take(&operation.name, "_");
    }
    Ok(found)
}

/// The API key: its security schemes, and its header.
struct Key {
    schemes: BTreeSet<String>,
    header: String,
}

impl Key {
    /// Finds the first requirement that is a key in a header alone.
    fn find(root: &Value, found: &[(Operation, &Value)]) -> Result<Self> {
        let schemes = entries(&root["components"]["securitySchemes"]);
        let headers: BTreeMap<_, _> = schemes
            .filter_map(|(name, scheme)| {
                Some((name, header(end(root, scheme, String::new()).ok()?.0)?))
            })
            .collect();
        let mut operations = found
            .iter()
            .map(|(operation, item)| &item[operation.method]["security"]);
        let first = operations.next();
        let lists = first
            .into_iter()
            .chain([&root["security"]])
            .chain(operations);
        let alone = lists
            .flat_map(items)
            .filter(|names| entries(names).count() == 1);
        let mut names = alone.flat_map(entries).map(|(name, _)| name);
        let header = names.find_map(|name| headers.get(name));
        let header = need(header, "", NO_KEY, "")?.clone();
        let same = headers.iter().filter(|(_, other)| **other == header);
        let schemes = same.map(|(name, _)| (*name).clone()).collect();
        Ok(Self { schemes, header })
    }
}

/// Returns the header of a key in lower case, if the scheme has a usable one.
fn header(scheme: &Value) -> Option<String> {
    let header = text(&scheme["name"]).to_ascii_lowercase();
    let usable = matches(r"[\w!#$%&'*+.^`|~-]+", &header) && !matches(HEADERS, &header);
    let is_key = scheme["type"] == "apiKey" && scheme["in"] == "header";
    Some(header).filter(|_| is_key && usable)
}

/// Returns the first of the nearest `servers`, with the defaults of its variables.
fn server_of(nodes: &[(&str, &Value)]) -> Result<String> {
    let mut nodes = nodes.iter();
    let nearest = nodes.find(|(_, node)| node["servers"][0].is_object());
    let (at, node) = need(nearest, "", NO_SERVER, "none")?;
    let (at, server) = (format!("{at}/servers/0"), &node["servers"][0]);
    check(SERVER, server, &at)?;
    let mut url = text(&server["url"]).to_owned();
    for (name, variable) in entries(&server["variables"]) {
        let (default, values) = (&variable["default"], &variable["enum"]);
        let listed = values.is_null() || items(values).any(|value| value == default);
        ensure(listed, &at, UNEXPECTED, "a default that is listed")?;
        url = url.replace(&format!("{{{name}}}"), text(default));
    }
    let url = url.trim_end_matches('/');
    let port = url
        .rsplit_once(':')
        .map(|(_, rest)| rest.split('/').next().unwrap_or(rest))
        .filter(|port| port.starts_with(|c: char| c.is_ascii_digit()));
    let plain = matches(ADDRESS, url) && port.is_none_or(|port| port.parse::<u16>().is_ok());
    ensure(plain && !url.contains("xn--"), &at, NO_SERVER, url)?;
    Ok(url.to_owned())
}

/// Follows references to the end, and returns the target and its place.
fn end<'d>(root: &'d Value, mut value: &'d Value, mut at: String) -> Result<(&'d Value, String)> {
    let mut seen = BTreeSet::new();
    while let Some(reference) = value["$ref"].as_str() {
        ensure(seen.insert(reference), &at, ENDLESS, reference)?;
        (value, at) = follow(root, value, &at)?;
    }
    Ok((value, at))
}

/// Returns whether the pattern matches the whole text.
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
    key: Key,
    /// Server of the operations read so far.
    server: Option<String>,
}

impl Reader<'_> {
    /// Reads something, and discards the types found on the way if it fails.
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

    /// Reads the components that no operation refers to; fails if a needed type is unsupported.
    fn components(&mut self, needed: &Needed, skipped: &mut Vec<Skipped>) -> Result<()> {
        for (own, (at, _)) in self.schemas.components.clone() {
            let reference = json!({ "$ref": format!("#{at}") });
            let read = self.whole(|reader| {
                let used = reader.schemas.all(&reference, &own, &at)?;
                if used["$ref"].is_string() && used["$ref"] != *own {
                    reader.schemas.types.insert(own.clone(), used); // another name for it
                }
                Ok(())
            });
            match read {
                Ok(()) => {}
                Err(failure) if needed.types.contains(&&*own) => return Err(failure),
                Err(failure) => skipped.push(Skipped::new(format!("schema `{own}`"), failure)),
            }
        }
        Ok(())
    }
}
