//! The allow-list: what is understood, by place. Everything else is refused, since a keyword that
//! is ignored is a promise broken.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::failure::{
    CODE, DEEP, ENDLESS, LOST, MISPLACED, MISSING, NEARLY, Result, UNEXPECTED, UNKNOWN, UNNAMED,
    ensure, need,
};
use super::schema::{entries, items, text};

/// The keywords of a place, and what each must be; `!` if it must be there. `any` is an annotation
/// and not looked at, `[…]` a list, `{…}` a table, `'…'` the one value that is understood; `+`
/// takes in another kind of schema.
fn keywords(place: &str) -> &'static str {
    match place {
        "document" => {
            "openapi=text! info=info! paths={any}! components=components servers=any \
             security=[any] tags=any externalDocs=any"
        }
        "info" => {
            "title=text! version=text! description=any termsOfService=any contact=any license=any"
        }
        "components" => {
            "schemas={any} parameters={any} requestBodies={any} responses={any} \
             securitySchemes={any} examples=any headers=any links=any callbacks=any"
        }
        "scheme" => "type='apiKey'! in='header'! name=text! description=any",
        "server" => "url=text! variables={variable} description=any",
        "variable" => "default=text! enum=[text] description=any",
        "path" => {
            "get=any put=any post=any delete=any head=any patch=any options=any trace=any \
             parameters=[any] servers=any summary=any description=any"
        }
        "operation" => {
            "operationId=text! parameters=[any] requestBody=any responses={any}! security=[any] \
             servers=any summary=any description=any tags=any deprecated=any externalDocs=any"
        }
        "parameter" => {
            "name=text! in='path'! required='true'! schema=schema! style='simple' explode=any \
             description=any deprecated=any example=any examples=any"
        }
        "body" => "content={any}! required=any description=any",
        "response" => "content={any} description=any headers=any links=any",
        "media" => "schema=schema! example=any examples=any",
        "reference" => {
            "$ref=text! title=any summary=any description=any deprecated=any example=any \
             externalDocs=any"
        }
        "schema anything" => {
            "title=text description=text nullable=flag readOnly=flag writeOnly=flag \
             deprecated=flag x-loggable=flag x-repeats=text x-order=any default=any example=any \
             examples=any externalDocs=any xml=any"
        }
        "schema boolean" => "+anything type=text format=text",
        "schema string" => "+boolean enum=list minLength=count maxLength=count pattern=text",
        "schema integer" | "schema number" => {
            "+boolean enum=list multipleOf=number minimum=number maximum=number \
             exclusiveMinimum=flag exclusiveMaximum=flag"
        }
        "schema array" => "+boolean items=schema! minItems=count maxItems=count uniqueItems=flag",
        "schema object" => {
            "+boolean properties=properties required=[text] additionalProperties=others \
             minProperties=count maxProperties=count"
        }
        "schema allOf" => "+object allOf=parts",
        "schema oneOf" => "+anything oneOf=parts",
        "schema anyOf" => "+anything anyOf=parts",
        _ => "",
    }
}

/// The extensions of this crate.
const OURS: [&str; 2] = ["x-loggable", "x-repeats"];
/// More than any document needs. A type in a type a hundred times over is too much for the compiler,
/// and null at each level is a type as well.
const DEEPEST: usize = 60;

/// What a reference has come to, and the references below it.
type Known = (Result<()>, BTreeSet<String>);

/// Checks what leads on from a place; each component once.
pub struct Check<'d> {
    root: &'d Value,
    /// What came of the components, and the types that they lead to; none while one is checked.
    known: BTreeMap<String, Option<Known>>,
    /// The components that are understood, with all that they lead to.
    whole: BTreeSet<String>,
    /// The types that were referred to, which are checked later, lest the stack grows.
    types: BTreeSet<String>,
    /// The references that are being followed, and whether they lead to a type.
    open: Vec<(String, bool)>,
    /// Whether the next values are parts of an object.
    parts: bool,
    depth: usize,
}

impl<'d> Check<'d> {
    pub fn new(root: &'d Value) -> Self {
        let (known, whole, types, open) = Default::default();
        Self {
            root,
            known,
            whole,
            types,
            open,
            parts: false,
            depth: 0,
        }
    }

    /// Checks a value at a place of this kind, with all that it leads to, and returns what it
    /// refers to in the end.
    pub fn all(&mut self, place: &str, value: &'d Value, at: &str) -> Result<&'d Value> {
        self.types.clear();
        let target = self.value(place, value, at)?;
        let (mut left, mut seen) = (
            Vec::from_iter(std::mem::take(&mut self.types)),
            BTreeSet::new(),
        );
        while let Some(pointer) = left.pop() {
            if !self.whole.contains(&pointer) && seen.insert(pointer.clone()) {
                self.component(&pointer)?;
                left.extend(std::mem::take(&mut self.types));
            }
        }
        self.whole.extend(seen);
        Ok(target)
    }

    /// What a value refers to in the end; anything else is itself.
    pub fn target(&self, mut value: &'d Value) -> &'d Value {
        for _ in 0..16 {
            let pointer = text(&value["$ref"]).strip_prefix('#');
            match pointer.and_then(|pointer| self.root.pointer(pointer)) {
                Some(target) => value = target,
                None => break,
            }
        }
        value
    }

    fn value(&mut self, place: &str, value: &'d Value, at: &str) -> Result<&'d Value> {
        let part = std::mem::take(&mut self.parts);
        ensure(self.depth < DEEPEST, at, DEEP, "it")?;
        self.depth += 1;
        let checked = match value["$ref"].as_str() {
            Some(reference) => self.reference(place, value, reference, part, at),
            None => self.plain(place, value, at).map(|()| value),
        };
        self.depth -= 1;
        checked
    }

    fn reference(
        &mut self,
        place: &str,
        value: &'d Value,
        reference: &str,
        part: bool,
        at: &str,
    ) -> Result<&'d Value> {
        self.plain("reference", value, at)?;
        let pointer = reference.strip_prefix('#');
        let target = pointer.and_then(|pointer| self.root.pointer(pointer));
        let target = need(target, at, LOST, reference)?;
        let pointer = pointer.unwrap_or_default();
        let is_open = self.open.iter().any(|(open, _)| open == pointer);
        ensure(!is_open, at, ENDLESS, reference)?;
        if place != "schema" {
            self.open.push((pointer.to_owned(), false));
            let checked = self.value(place, target, pointer);
            self.open.pop();
            return checked;
        }
        let name = pointer.strip_prefix("/components/schemas/");
        let named = name.is_some_and(|name| !name.contains('/'));
        ensure(named, at, UNNAMED, reference)?;
        if is_type(target) && !part {
            self.types.insert(pointer.to_owned());
        } else {
            self.component(pointer)?;
        }
        Ok(target)
    }

    fn component(&mut self, pointer: &str) -> Result<()> {
        match self.known.get(pointer) {
            Some(None) => return Ok(()), // what comes of it is told where it began
            Some(Some((checked, types))) => {
                self.types.extend(types.iter().cloned());
                return checked.clone();
            }
            None => {}
        }
        let schema = self.root.pointer(pointer).unwrap_or(&Value::Null);
        let others = std::mem::take(&mut self.types);
        self.known.insert(pointer.to_owned(), None);
        self.open.push((pointer.to_owned(), is_type(schema)));
        let checked = self.value("schema", schema, pointer).map(drop);
        self.open.pop();
        let types = std::mem::replace(&mut self.types, others);
        self.types.extend(types.iter().cloned());
        let known = Some((checked.clone(), types));
        self.known.insert(pointer.to_owned(), known);
        checked
    }

    fn plain(&mut self, place: &str, value: &'d Value, at: &str) -> Result<()> {
        let of_kind = format!("schema {}", kind(value));
        let place = if place == "schema" { &of_kind } else { place };
        let mut rules: Vec<_> = keywords(place).split_whitespace().collect();
        while let Some(other) = rules.first().and_then(|rule| rule.strip_prefix('+')) {
            let other = format!("schema {other}");
            rules.splice(..1, keywords(&other).split_whitespace());
        }
        ensure(!rules.is_empty(), at, UNEXPECTED, "another type")?;
        let rules: Vec<_> = rules
            .iter()
            .filter_map(|rule| rule.split_once('='))
            .collect();
        ensure(value.is_object(), at, UNEXPECTED, "a mapping")?;
        let is_whole = is_type(value);
        for (keyword, value) in entries(value) {
            let at = format!("{at}/{}", escape(keyword));
            match rules.iter().find(|(known, _)| known == keyword) {
                None => unknown(keyword, &at)?,
                Some(_) if value.is_null() => {} // says nothing
                Some((_, "parts")) if !is_whole => self.kind("[schema]", value, &at)?,
                Some((_, kind)) => self.kind(kind.trim_end_matches('!'), value, &at)?,
            }
        }
        let needed = rules.iter().filter(|(_, kind)| kind.ends_with('!'));
        let missing = needed
            .map(|(keyword, _)| keyword)
            .find(|keyword| value[**keyword].is_null());
        ensure(missing.is_none(), at, MISSING, missing.unwrap_or(&""))
    }

    fn kind(&mut self, kind: &str, value: &'d Value, at: &str) -> Result<()> {
        let is = |is_so: bool, expected: &str| ensure(is_so, at, UNEXPECTED, expected);
        let inner = |start: char, end| kind.strip_prefix(start)?.strip_suffix(end);
        match (kind, inner('[', ']'), inner('{', '}')) {
            ("any", ..) => Ok(()),
            ("text", ..) => is(value.is_string(), "a text"),
            ("flag", ..) => is(value.is_boolean(), "true or false"),
            ("count", ..) => is(value.is_u64(), "a whole number"),
            ("number", ..) => is(value.is_number(), "a number"),
            ("list", ..) => is(value.is_array(), "a list"),
            ("others", ..) if value.is_boolean() => Ok(()),
            ("others", ..) => self.value("schema", value, at).map(drop),
            ("parts", ..) => {
                self.parts = true;
                let checked = self.kind("[schema]", value, at);
                self.parts = false;
                checked
            }
            ("properties", ..) => {
                // An object is a type, and so its properties may refer to it.
                let open = self.open.clone();
                self.open.retain(|(_, is_type)| !is_type);
                let checked = self.kind("{schema}", value, at);
                self.open = open;
                checked
            }
            (_, Some(kind), _) => {
                is(value.is_array(), "a list")?;
                let parts = self.parts;
                for (index, value) in items(value).enumerate() {
                    self.parts = parts;
                    self.kind(kind, value, &format!("{at}/{index}"))?;
                }
                Ok(())
            }
            (_, _, Some(kind)) => {
                is(value.is_object(), "a mapping")?;
                let mut entries = entries(value);
                entries.try_for_each(|(name, value)| {
                    self.kind(kind, value, &format!("{at}/{}", escape(name)))
                })
            }
            _ if kind.starts_with('\'') => {
                let kind = kind.trim_matches('\'');
                let fits = value == kind || value.as_bool().is_some_and(|v| v.to_string() == kind);
                is(fits, &format!("`{kind}`"))
            }
            _ => self.value(kind, value, at).map(drop),
        }
    }
}

/// The kind of a schema: how it is combined, or its type; what has none is told by its keywords.
pub fn kind(schema: &Value) -> &str {
    let has = |keywords: &[&'static str]| {
        keywords
            .iter()
            .copied()
            .find(|keyword| !schema[*keyword].is_null())
    };
    let combined = has(&["allOf", "oneOf", "anyOf"]);
    combined.or(schema["type"].as_str()).unwrap_or_else(|| {
        if has(&["properties", "additionalProperties", "required"]).is_some() {
            "object"
        } else if has(&["items"]).is_some() {
            "array"
        } else if has(&["enum", "pattern", "minLength", "maxLength"]).is_some() {
            "string"
        } else {
            "anything"
        }
    })
}

/// Whether a schema becomes a type of its own; anything else is described where it is used.
pub fn is_type(schema: &Value) -> bool {
    let kind = kind(schema);
    let parts = schema[kind].as_array().map_or(0, Vec::len);
    let has_properties = entries(&schema["properties"]).next().is_some()
        || items(&schema["required"]).next().is_some();
    parts > 1 || has_properties || kind == "string" && schema["enum"].is_array()
}

fn unknown(keyword: &str, at: &str) -> Result<()> {
    ensure(!OURS.contains(&keyword), at, MISPLACED, keyword)?;
    let is_code = keyword == "x-rust-type" || keyword.starts_with("x-dropshot-");
    ensure(!is_code, at, CODE, keyword)?;
    let near = OURS.iter().find(|ours| one_letter_apart(ours, keyword));
    ensure(near.is_none(), at, NEARLY, near.unwrap_or(&""))?;
    ensure(keyword.starts_with("x-"), at, UNKNOWN, keyword)
}

/// Whether a letter is missing, too many, another, in the other case or changed places.
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

/// A name as a step of a JSON pointer.
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
