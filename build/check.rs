//! The allow-list: what is understood, by place. Everything else is refused, since a keyword that
//! is ignored is a promise broken.

use std::collections::BTreeSet;

use serde_json::Value;

use super::failure::{
    CODE, DEEP, ENDLESS, Failure, LOST, MISPLACED, MISSING, NEARLY, Result, UNEXPECTED, UNKNOWN,
    UNNAMED, ensure,
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
            "+boolean properties={schema} required=[text] additionalProperties=others \
             minProperties=count maxProperties=count"
        }
        "schema allOf" => "+object allOf=[schema]",
        "schema oneOf" => "+anything oneOf=[schema]",
        "schema anyOf" => "+anything anyOf=[schema]",
        _ => "",
    }
}

/// The extensions of this crate.
const OURS: [&str; 2] = ["x-loggable", "x-repeats"];
/// What stands for a lot of nesting, so that the stack holds.
const DEEPEST: usize = 500;

/// Checks what leads on from a place, each reference once.
pub struct Check<'d> {
    root: &'d Value,
    /// The references that were followed.
    pub seen: BTreeSet<String>,
    /// Those that are being followed, and whether they lead to a type of its own.
    open: Vec<(String, bool)>,
    depth: usize,
}

impl<'d> Check<'d> {
    pub fn new(root: &'d Value) -> Self {
        let (seen, open) = (BTreeSet::new(), Vec::new());
        Self {
            root,
            seen,
            open,
            depth: 0,
        }
    }

    /// Checks a value at a place of this kind, and returns what it refers to in the end.
    pub fn value(&mut self, place: &str, value: &'d Value, at: &str) -> Result<&'d Value> {
        ensure(self.depth < DEEPEST, at, DEEP, "it")?;
        self.depth += 1;
        let checked = match value["$ref"].as_str() {
            Some(reference) => self.reference(place, value, reference, at),
            None => self.plain(place, value, at).map(|()| value),
        };
        self.depth -= 1;
        checked
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

    /// Checks a component.
    pub fn component(&mut self, at: &str) -> Result<()> {
        let reference = format!("#{at}");
        let Some(schema) = self
            .root
            .pointer(at)
            .filter(|_| self.seen.insert(reference.clone()))
        else {
            return Ok(());
        };
        self.open.push((reference, is_type(schema)));
        let checked = self.value("schema", schema, at);
        self.open.pop();
        checked.map(drop)
    }

    fn reference(
        &mut self,
        place: &str,
        value: &'d Value,
        reference: &str,
        at: &str,
    ) -> Result<&'d Value> {
        self.plain("reference", value, at)?;
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        let target = target.ok_or_else(|| Failure::at(at, LOST, reference))?;
        let name = reference.strip_prefix("#/components/schemas/");
        let named = place != "schema" || name.is_some_and(|name| !name.contains('/'));
        ensure(named, at, UNNAMED, reference)?;
        let is_open = self.open.iter().any(|(open, _)| open == reference);
        ensure(!is_open, at, ENDLESS, reference)?;
        if place == "schema" {
            return self.component(&reference[1..]).map(|()| target);
        }
        self.open.push((reference.to_owned(), false));
        let checked = self.value(place, target, &reference[1..]);
        self.open.pop();
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
        let map = value
            .as_object()
            .ok_or_else(|| Failure::at(at, UNEXPECTED, "a mapping"))?;
        for (keyword, value) in map {
            let at = format!("{at}/{}", escape(keyword));
            match rules.iter().find(|(known, _)| known == keyword) {
                None => unknown(keyword, &at)?,
                Some(_) if value.is_null() => {} // says nothing
                Some((_, kind)) => self.kind(kind.trim_end_matches('!'), keyword, value, &at)?,
            }
        }
        let needed = rules.iter().filter(|(_, kind)| kind.ends_with('!'));
        let missing = needed
            .map(|(keyword, _)| keyword)
            .find(|keyword| value[**keyword].is_null());
        ensure(missing.is_none(), at, MISSING, missing.unwrap_or(&""))
    }

    fn kind(&mut self, kind: &str, keyword: &str, value: &'d Value, at: &str) -> Result<()> {
        let is = |is_so: bool, expected: &str| ensure(is_so, at, UNEXPECTED, expected);
        let list = kind
            .strip_prefix('[')
            .and_then(|kind| kind.strip_suffix(']'));
        let table = kind
            .strip_prefix('{')
            .and_then(|kind| kind.strip_suffix('}'));
        match kind {
            "any" => Ok(()),
            "text" => is(value.is_string(), "a text"),
            "flag" => is(value.is_boolean(), "true or false"),
            "count" => is(value.is_u64(), "a whole number"),
            "number" => is(value.is_number(), "a number"),
            "list" => is(value.is_array(), "a list"),
            "others" if value.is_boolean() => Ok(()),
            "others" => self.value("schema", value, at).map(drop),
            _ if list.is_some() => {
                is(value.is_array(), "a list")?;
                let items = value.as_array().into_iter().flatten().enumerate();
                items.into_iter().try_for_each(|(index, value)| {
                    self.kind(
                        list.unwrap_or_default(),
                        keyword,
                        value,
                        &format!("{at}/{index}"),
                    )
                })
            }
            _ if table.is_some() => {
                is(value.is_object(), "a mapping")?;
                // An object has a type, by which its properties may refer to it.
                let open = self.open.clone();
                self.open
                    .retain(|(_, is_type)| !is_type || keyword != "properties");
                for (name, value) in value.as_object().into_iter().flatten() {
                    let at = format!("{at}/{}", escape(name));
                    self.kind(table.unwrap_or_default(), keyword, value, &at)?;
                }
                self.open = open;
                Ok(())
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
