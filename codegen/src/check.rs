//! The allow-list of supported keywords, by place. Every other keyword is refused, because ignoring
//! it would break a promise of the document.
//!
//! To support a keyword, add a row to the table of its place, and read it where the others of that
//! place are read. A keyword that only restricts what a server accepts is `Any`: the server checks it.

use serde_json::Value;

use crate::failure::{
    LOST, MISPLACED, MISSING, NEARLY, Result, UNEXPECTED, UNKNOWN, ensure, need, refuse,
};
use crate::schema::{entries, items};

/// The kind of value that a keyword must have.
pub enum Kind {
    /// An annotation, or a value that is checked where it is read.
    Any,
    Text,
    Flag,
    List,
    Map,
    /// A map of things that have these keywords.
    MapOf(Table),
}

pub struct Keyword {
    name: &'static str,
    kind: Kind,
    required: bool,
}

/// The keywords of a place, in groups that places share.
pub type Table = &'static [&'static [Keyword]];

const fn may(name: &'static str, kind: Kind) -> Keyword {
    Keyword {
        name,
        kind,
        required: false,
    }
}

const fn must(name: &'static str, kind: Kind) -> Keyword {
    Keyword {
        required: true,
        ..may(name, kind)
    }
}

use Kind::{Any, Flag, List, Map, MapOf, Text};

/// Annotations for readers.
const TEXTS: &[Keyword] = &[
    may("title", Any),
    may("summary", Any),
    may("description", Any),
    may("deprecated", Any),
    may("example", Any),
    may("examples", Any),
    may("externalDocs", Any),
];
pub const SERVER: Table = &[&[
    must("url", Text),
    may("variables", MapOf(VARIABLE)),
    may("description", Any),
]];
const VARIABLE: Table = &[&[
    must("default", Text),
    may("enum", List),
    may("description", Any),
]];
pub const PATH: Table = &[
    TEXTS,
    &[
        may("get", Any),
        may("put", Any),
        may("post", Any),
        may("delete", Any),
        may("head", Any),
        may("patch", Any),
        may("options", Any),
        may("trace", Any),
        may("parameters", List),
        may("servers", Any),
    ],
];
pub const OPERATION: Table = &[
    TEXTS,
    &[
        must("operationId", Text),
        may("parameters", List),
        may("requestBody", Any),
        must("responses", Map),
        may("security", List),
        may("servers", Any),
        may("tags", Any),
        // Requests that the server makes by itself.
        may("callbacks", Any),
        may("x-idempotent", Flag),
    ],
];
pub const PARAMETER: Table = &[
    TEXTS,
    &[
        must("name", Text),
        must("in", Text),
        must("schema", Any),
        may("required", Flag),
        may("style", Text),
        may("explode", Flag),
        // Both only allow more than the client sends.
        may("allowReserved", Any),
        may("allowEmptyValue", Any),
    ],
];
pub const BODY: Table = &[TEXTS, &[must("content", Map), may("required", Any)]];
pub const RESPONSE: Table = &[
    TEXTS,
    &[may("content", Map), may("headers", Any), may("links", Any)],
];
pub const MEDIA: Table = &[TEXTS, &[must("schema", Any)]];
/// Beside `$ref`, nothing else has a meaning.
const REFERENCE: Table = &[TEXTS, &[must("$ref", Text)]];

/// Keywords that every schema may have.
const SCHEMA: &[Keyword] = &[
    may("nullable", Flag),
    may("readOnly", Flag),
    may("writeOnly", Flag),
    may("x-loggable", Flag),
    may("x-order", Any),
    may("default", Any),
    may("xml", Any),
    // The server checks it.
    may("not", Any),
];
const TYPE: &[Keyword] = &[may("type", Text), may("format", Text), may("enum", List)];
/// Limits are read only in request schemas.
const STRING: &[Keyword] = &[
    may("minLength", Any),
    may("maxLength", Any),
    may("pattern", Any),
];
const NUMBER: &[Keyword] = &[
    may("minimum", Any),
    may("maximum", Any),
    may("exclusiveMinimum", Any),
    may("exclusiveMaximum", Any),
    // The server checks it.
    may("multipleOf", Any),
];
const ARRAY: &[Keyword] = &[
    must("items", Any),
    may("minItems", Any),
    may("maxItems", Any),
    may("uniqueItems", Any),
];
const OBJECT: &[Keyword] = &[
    may("properties", Map),
    may("required", List),
    may("additionalProperties", Any),
    may("minProperties", Any),
    may("maxProperties", Any),
];

const ALL_OF: &[Keyword] = &[must("allOf", List)];
const ONE_OF: &[Keyword] = &[must("oneOf", List)];
const ANY_OF: &[Keyword] = &[must("anyOf", List)];

/// Returns the keywords of a schema of this kind, or an empty table for an unknown kind.
fn of_schema(kind: &str) -> Table {
    match kind {
        "anything" => &[TEXTS, SCHEMA],
        "boolean" => &[TEXTS, SCHEMA, TYPE],
        "string" => &[TEXTS, SCHEMA, TYPE, STRING],
        "integer" | "number" => &[TEXTS, SCHEMA, TYPE, NUMBER],
        "array" => &[TEXTS, SCHEMA, TYPE, ARRAY],
        "object" => &[TEXTS, SCHEMA, TYPE, OBJECT],
        "allOf" => &[TEXTS, SCHEMA, TYPE, OBJECT, ALL_OF],
        "oneOf" => &[TEXTS, SCHEMA, ONE_OF],
        "anyOf" => &[TEXTS, SCHEMA, ANY_OF],
        _ => &[],
    }
}

/// Types that are inferred from these keywords if `type` is absent.
const INFERRED: [(&str, &[&str]); 3] = [
    (
        "object",
        &["properties", "additionalProperties", "required"],
    ),
    ("array", &["items"]),
    ("string", &["enum", "pattern", "minLength", "maxLength"]),
];
/// The extensions of this crate.
const OURS: [&str; 2] = ["x-loggable", "x-idempotent"];

/// Checks the keywords of a schema of this kind.
pub fn check_schema(kind: &str, value: &Value, at: &str) -> Result<()> {
    let table = of_schema(kind);
    ensure(!table.is_empty(), at, UNEXPECTED, "another type")?;
    check(table, value, at)
}

/// Checks the keywords of a place, and the values that are not places of their own.
pub fn check(table: Table, value: &Value, at: &str) -> Result<()> {
    ensure(value.is_object(), at, UNEXPECTED, "a mapping")?;
    let rules = || table.iter().copied().flatten();
    let mut unknown = Vec::new();
    for (keyword, value) in entries(value) {
        let at = format!("{at}/{}", escape(keyword));
        match rules().find(|rule| rule.name == keyword) {
            Some(rule) if !value.is_null() => fits(&rule.kind, value, &at)?,
            Some(_) => {} // says nothing
            None if keyword.starts_with("x-") || keyword.starts_with("X-") => {
                extension(keyword, &at)?;
            }
            None => unknown.push(keyword.as_str()),
        }
    }
    // All unknown keywords are reported in one failure.
    if let [first, ..] = *unknown {
        let alone = unknown.len() == 1;
        let at = if alone {
            format!("{at}/{}", escape(first))
        } else {
            at.to_owned()
        };
        let list: Vec<_> = unknown
            .iter()
            .map(|keyword| format!("`{keyword}`"))
            .collect();
        refuse(Some(&list.join(", ")), &at, UNKNOWN)?;
    }
    let missing = rules().find(|rule| rule.required && value[rule.name].is_null());
    refuse(missing.map(|rule| rule.name), at, MISSING)
}

fn fits(kind: &Kind, value: &Value, at: &str) -> Result<()> {
    let expect = |is_so: bool, expected: &str| ensure(is_so, at, UNEXPECTED, expected);
    match kind {
        Any => Ok(()),
        Text => expect(value.is_string(), "a string"),
        Flag => expect(value.is_boolean(), "true or false"),
        List => expect(value.is_array(), "a list"),
        Map => expect(value.is_object(), "a mapping"),
        MapOf(table) => {
            expect(value.is_object(), "a mapping")?;
            let mut entries = entries(value);
            entries.try_for_each(|(name, value)| {
                check(table, value, &format!("{at}/{}", escape(name)))
            })
        }
    }
}

/// Refuses an extension of this crate where it has no meaning, and a misspelled one.
fn extension(keyword: &str, at: &str) -> Result<()> {
    ensure(!OURS.contains(&keyword), at, MISPLACED, keyword)?;
    let near = OURS
        .into_iter()
        .find(|ours| one_letter_apart(ours, keyword));
    refuse(near, at, NEARLY)
}

/// Returns whether the names differ by case, or by one missing, extra, replaced or swapped letter.
fn one_letter_apart(ours: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let (a, b) = (ours.as_bytes(), name.as_bytes());
    let same = |(a, b): &(&u8, &u8)| a == b;
    let start = a.iter().zip(b).take_while(same).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    match (&a[..a.len() - end], &b[..b.len() - end]) {
        ([a, b], [c, d]) => (a, b) == (d, c),
        (a, b) => a.len() <= 1 && b.len() <= 1,
    }
}

/// Resolves a reference, and returns its target and the target's place.
pub fn follow<'d>(root: &'d Value, value: &Value, at: &str) -> Result<(&'d Value, String)> {
    check(REFERENCE, value, at)?;
    let reference = value["$ref"].as_str().unwrap_or_default();
    let target = reference.strip_prefix('#').and_then(|place| {
        let place = percent_encoding::percent_decode_str(place)
            .decode_utf8()
            .ok()?;
        Some((root.pointer(&place)?, place.into_owned()))
    });
    need(target, at, LOST, reference)
}

/// Returns the kind of a schema: its combinator, its `type`, or the type inferred from its keywords.
pub fn kind(schema: &Value) -> &str {
    let has = |keyword: &&str| !schema[*keyword].is_null();
    let combined = ["allOf", "oneOf", "anyOf"].into_iter().find(has);
    let inferred = INFERRED
        .iter()
        .find(|(_, keywords)| keywords.iter().any(has))
        .map_or("anything", |(kind, _)| kind);
    combined.or(schema["type"].as_str()).unwrap_or(inferred)
}

/// Returns the parts of an `allOf`, `oneOf` or `anyOf` with their indices, without those that have
/// only annotations.
pub fn parts<'s>(schema: &'s Value, kind: &str) -> Vec<(usize, &'s Value)> {
    let is_texts = |part: &Value| {
        let mut keywords = entries(part).map(|(keyword, _)| &**keyword).peekable();
        let is_text = |name: &str| TEXTS.iter().any(|text| text.name == name);
        kind == "allOf" && keywords.peek().is_some() && keywords.all(is_text)
    };
    let parts = items(&schema[kind]).enumerate();
    parts.filter(|(_, part)| !is_texts(part)).collect()
}

/// Returns whether a schema becomes a type of its own; any other is described where it is used.
pub fn is_type(schema: &Value) -> bool {
    let kind = kind(schema);
    let has_properties = entries(&schema["properties"]).next().is_some()
        || items(&schema["required"]).next().is_some();
    // Beside a single part, these would be lost.
    let others = &schema["additionalProperties"];
    let narrowed = !others.is_null() && others != true
        || ["minProperties", "maxProperties"]
            .iter()
            .any(|limit| !schema[*limit].is_null());
    parts(schema, kind).len() > 1
        || has_properties
        || kind == "allOf" && narrowed
        || kind == "string" && schema["enum"].is_array()
}

/// Escapes a name as a step of a JSON pointer.
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
