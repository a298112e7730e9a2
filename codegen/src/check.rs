//! The allow-list: what is understood, by place. Everything else is refused, since a keyword that
//! is ignored is a promise broken.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::failure::{
    CODE, LOST, MISPLACED, MISSING, NEARLY, Result, UNEXPECTED, UNKNOWN, ensure, need, refuse,
};
use crate::schema::{entries, items};

/// The keywords of a place, and what each must be; `!` if it must be there. `any` is an annotation,
/// or looked at where it is read, `[…]` a list, `{…}` a table, `'…'` the one value that is
/// understood; `+` takes in another kind of schema.
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
            "name=text! in='path'! required='true'! schema=any! style='simple' explode=any \
             description=any deprecated=any example=any examples=any"
        }
        "body" => "content={any}! required=any description=any",
        "response" => "content={any} description=any headers=any links=any",
        "media" => "schema=any! example=any examples=any",
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
        "schema string" => "+boolean enum=[any] minLength=count maxLength=count pattern=text",
        "schema integer" | "schema number" => {
            "+boolean enum=[any] multipleOf=number minimum=number maximum=number \
             exclusiveMinimum=flag exclusiveMaximum=flag"
        }
        "schema array" => "+boolean items=any! minItems=count maxItems=count uniqueItems=flag",
        "schema object" => {
            "+boolean properties={any} required=[text] additionalProperties=any \
             minProperties=count maxProperties=count"
        }
        "schema allOf" => "+object allOf=[any]",
        "schema oneOf" => "+anything oneOf=[any]",
        "schema anyOf" => "+anything anyOf=[any]",
        _ => "",
    }
}

/// The types that are told by these keywords where none is given.
const TOLD: [(&str, &str); 3] = [
    ("object", "properties additionalProperties required"),
    ("array", "items"),
    ("string", "enum pattern minLength maxLength"),
];
/// The extensions of this crate.
const OURS: [&str; 2] = ["x-loggable", "x-repeats"];

fn rules(place: &str) -> BTreeMap<&'static str, &'static str> {
    let mut rules = BTreeMap::new();
    for rule in keywords(place).split_whitespace() {
        match rule.split_once('=') {
            Some(rule) => drop(rules.insert(rule.0, rule.1)),
            None => rules.extend(self::rules(&rule.replace('+', "schema "))),
        }
    }
    rules
}

/// Checks the keywords at a place of this kind, and what is no place of its own.
pub fn check(place: &str, value: &Value, at: &str) -> Result<()> {
    let rules = rules(place);
    ensure(!rules.is_empty(), at, UNEXPECTED, "another type")?;
    ensure(value.is_object(), at, UNEXPECTED, "a mapping")?;
    for (keyword, value) in entries(value) {
        let at = format!("{at}/{}", escape(keyword));
        match rules.get(&**keyword) {
            None => unknown(keyword, &at)?,
            Some(_) if value.is_null() => {} // says nothing
            Some(rule) => fits(rule.trim_end_matches('!'), value, &at)?,
        }
    }
    let mut needed = rules.iter().filter(|(_, rule)| rule.ends_with('!'));
    let missing = needed.find(|(keyword, _)| value[**keyword].is_null());
    refuse(missing.map(|(keyword, _)| *keyword), at, MISSING)
}

fn fits(rule: &str, value: &Value, at: &str) -> Result<()> {
    let is = |is_so: bool, expected: &str| ensure(is_so, at, UNEXPECTED, expected);
    let inner = |start: char, end| rule.strip_prefix(start)?.strip_suffix(end);
    match (rule, inner('[', ']'), inner('{', '}'), inner('\'', '\'')) {
        ("any", ..) => Ok(()),
        ("text", ..) => is(value.is_string(), "a text"),
        ("flag", ..) => is(value.is_boolean(), "true or false"),
        ("count", ..) => is(value.is_u64(), "a whole number"),
        ("number", ..) => is(value.is_number(), "a number"),
        (_, Some(rule), ..) => {
            is(value.is_array(), "a list")?;
            let mut items = items(value).enumerate();
            items.try_for_each(|(index, value)| fits(rule, value, &format!("{at}/{index}")))
        }
        (_, _, Some(rule), _) => {
            is(value.is_object(), "a mapping")?;
            let mut entries = entries(value);
            entries
                .try_for_each(|(name, value)| fits(rule, value, &format!("{at}/{}", escape(name))))
        }
        (.., Some(known)) => {
            let fits = value == known || value.as_bool().is_some_and(|v| v.to_string() == known);
            is(fits, &format!("`{known}`"))
        }
        (place, ..) => check(place, value, at),
    }
}

/// What a reference leads to, and the place of that.
pub fn follow<'d>(root: &'d Value, value: &Value, at: &str) -> Result<(&'d Value, String)> {
    check("reference", value, at)?;
    let reference = value["$ref"].as_str().unwrap_or_default();
    let target = reference
        .strip_prefix('#')
        .and_then(|place| Some((root.pointer(place)?, place.to_owned())));
    need(target, at, LOST, reference)
}

/// The kind of a schema: how it is combined, or its type; what has none is told by its keywords.
pub fn kind(schema: &Value) -> &str {
    let has = |keyword: &&str| !schema[*keyword].is_null();
    let combined = ["allOf", "oneOf", "anyOf"].into_iter().find(has);
    let told = TOLD
        .iter()
        .find(|(_, keywords)| keywords.split(' ').any(|keyword| has(&keyword)));
    let told = told.map_or("anything", |(kind, _)| kind);
    combined.or(schema["type"].as_str()).unwrap_or(told)
}

/// Whether a schema becomes a type of its own; anything else is described where it is used.
pub fn is_type(schema: &Value) -> bool {
    let kind = kind(schema);
    let parts = schema[kind].as_array().map_or(0, Vec::len);
    let has_properties = entries(&schema["properties"]).next().is_some()
        || items(&schema["required"]).next().is_some();
    // Beside a part that is alone, these would be lost.
    let others = &schema["additionalProperties"];
    let narrowed = !others.is_null() && others != true
        || ["minProperties", "maxProperties"]
            .iter()
            .any(|limit| !schema[*limit].is_null());
    parts > 1
        || has_properties
        || kind == "allOf" && narrowed
        || kind == "string" && schema["enum"].is_array()
}

fn unknown(keyword: &str, at: &str) -> Result<()> {
    ensure(!OURS.contains(&keyword), at, MISPLACED, keyword)?;
    let is_code = keyword == "x-rust-type" || keyword.starts_with("x-dropshot-");
    ensure(!is_code, at, CODE, keyword)?;
    let near = OURS
        .into_iter()
        .find(|ours| one_letter_apart(ours, keyword));
    refuse(near, at, NEARLY)?;
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
