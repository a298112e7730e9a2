//! Writes the schemas in one form: what becomes a type has a name, and is referred to by it;
//! anything else is described where it is used.
//!
//! The form is that of JSON Schema, with `nullable` and its like beside it, `x-order` for the
//! properties and `x-variants` for the values of an enum.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    check::{check, escape, follow, is_type, kind},
    failure::{
        DEEP, ENDLESS, Failure, GUARD, MISPLACED, MISSING, NO_FIELD, NO_LIMIT, NO_NUMBER,
        NO_OBJECT, NO_PATTERN, NO_PROPERTY, NO_SCALARS, NO_TYPE, NO_VARIANT, NOT_ALIKE, NULL,
        Result, TOO_MUCH, TWO_FIELDS, TWO_TYPES, UNNAMED, ensure, need, refuse,
    },
    names,
};

/// The most properties and values of one type, and of all of them; a type itself counts for three,
/// and so does an operation, a list or a map for one. More would take too much time and memory.
const MOST: usize = 1_000;
const MOST_OF_ALL: usize = 9_000;
/// What stays as it is.
const KEPT: &str = "format nullable readOnly writeOnly deprecated x-loggable x-repeats minLength maxLength \
     minItems maxItems uniqueItems minProperties maxProperties";
/// More than any document needs. A type in a type a hundred times over is too much for the compiler,
/// and null at each level is a type as well.
const DEEPEST: usize = 60;
/// Where the schemas are that may be referred to.
const COMPONENTS: &str = "/components/schemas/";

/// Objects, enums and choices, by the names of their types; also other names for them.
pub type Types = BTreeMap<String, Value>;

pub struct Schemas<'d> {
    root: &'d Value,
    /// By the names of their types: where they are.
    pub components: BTreeMap<String, (String, &'d Value)>,
    pub types: Types,
    /// Their names as they were found.
    pub found: Vec<String>,
    /// The components that were referred to, and are read later, lest the stack grows.
    left: BTreeSet<String>,
    /// The components that are being read.
    open: BTreeSet<String>,
    /// Those that are not understood.
    failed: BTreeMap<String, Failure>,
    depth: usize,
    size: usize,
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

pub fn texts(list: &Value) -> impl Iterator<Item = &str> {
    items(list).filter_map(Value::as_str)
}

pub fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().into_iter().flatten()
}

/// What a reference to a type leads to; anything else is itself.
pub fn target<'s>(types: &'s Types, schema: &'s Value) -> &'s Value {
    let name = schema["$ref"].as_str();
    name.map_or(schema, |name| &types[name])
}

/// The properties in the order of the document.
pub fn properties(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    texts(&object["x-order"]).map(|name| (name, &object["properties"][name]))
}

impl<'d> Schemas<'d> {
    pub fn new(root: &'d Value) -> Result<Self> {
        let mut components = BTreeMap::new();
        for (name, schema) in entries(&root["components"]["schemas"]) {
            let at = format!("{COMPONENTS}{}", escape(name));
            let ty = need(names::type_name(name), &at, NO_TYPE, name)?;
            ensure(!components.contains_key(&ty), &at, TWO_TYPES, &ty)?;
            components.insert(ty, (at, schema));
        }
        let (types, found, left, open, failed, depth, size) = Default::default();
        Ok(Self {
            root,
            components,
            types,
            found,
            left,
            open,
            failed,
            depth,
            size,
        })
    }

    /// A schema where it is used, with the types that it leads to; if it is to be a type itself,
    /// it has this name.
    pub fn all(&mut self, schema: &Value, name: &str, at: &str) -> Result<Value> {
        self.left.clear();
        let used = self.used(schema, name, at)?;
        while let Some(own) = self.left.pop_first() {
            if !self.types.contains_key(&own) {
                self.component(&own, at)?;
            }
        }
        Ok(used)
    }

    fn used(&mut self, schema: &Value, name: &str, at: &str) -> Result<Value> {
        ensure(self.depth < DEEPEST, at, DEEP, "it")?;
        self.depth += 1;
        let used = match schema["$ref"].as_str() {
            Some(reference) => self.referred(schema, reference, at),
            None => self.described(schema, name, at),
        };
        self.depth -= 1;
        used
    }

    fn referred(&mut self, schema: &Value, reference: &str, at: &str) -> Result<Value> {
        let (target, place) = follow(self.root, schema, at)?;
        let name = place.strip_prefix(COMPONENTS);
        let name = name.filter(|name| !name.contains('/')).unwrap_or_default();
        let own = names::type_name(&name.replace("~1", "/").replace("~0", "~"));
        let own = need(own, at, UNNAMED, reference)?;
        if !is_type(target) {
            return self.component(&own, at);
        }
        let reference = json!({ "$ref": own });
        self.left.insert(own);
        Ok(reference)
    }

    /// A component that is referred to here, where it is used.
    fn component(&mut self, own: &str, at: &str) -> Result<Value> {
        if let Some(failure) = self.failed.get(own) {
            return Err(failure.clone());
        }
        let (place, schema) = self.components[own].clone();
        let marked = is_type(schema) && !schema["x-repeats"].is_null();
        ensure(!marked, &place, MISPLACED, "x-repeats")?;
        // A property may refer to what it is in, but not be a part of it.
        let is_new = self.open.insert(own.to_owned());
        ensure(is_new, at, ENDLESS, &format!("#{place}"))?;
        let used = self.used(schema, own, &place);
        self.open.remove(own);
        used.inspect_err(|failure| drop(self.failed.insert(own.to_owned(), failure.clone())))
    }

    fn described(&mut self, schema: &Value, name: &str, at: &str) -> Result<Value> {
        let written = self.written(schema, name, at)?;
        if !is_type(schema) {
            return Ok(written);
        }
        let other = self.components.get(name);
        let is_own = other.is_none_or(|(place, other)| place == at || !is_type(other));
        ensure(is_own, at, TWO_TYPES, name)?;
        let mut reference = json!({ "$ref": name });
        for keyword in "description nullable readOnly writeOnly x-repeats".split(' ') {
            if let Some(value) = written.get(keyword) {
                reference[keyword] = value.clone();
            }
        }
        self.define(name, written, at)?;
        Ok(reference)
    }

    fn define(&mut self, name: &str, written: Value, at: &str) -> Result<()> {
        let size = properties(&written).count() + items(&written["enum"]).count();
        ensure(size <= MOST, at, TOO_MUCH, "its")?;
        self.grow(size + 3, at)?;
        let mut fields = BTreeSet::new();
        if written["additionalProperties"].is_object() {
            fields.insert("extra".to_owned());
        }
        for (property, _) in properties(&written) {
            let field = names::value(property).unwrap_or_default();
            ensure(fields.insert(field.clone()), at, TWO_FIELDS, &field)?;
        }
        let known = &written["properties"];
        let missing = texts(&written["required"]).find(|name| known[*name].is_null());
        refuse(missing, at, NO_PROPERTY)?;
        if let Some(known) = self.types.get(name) {
            return ensure(*known == written, at, TWO_TYPES, name);
        }
        self.found.push(name.to_owned());
        self.types.insert(name.to_owned(), written);
        Ok(())
    }

    /// Makes room for so much more.
    pub fn grow(&mut self, by: usize, at: &str) -> Result<()> {
        self.size += by;
        ensure(self.size <= MOST_OF_ALL, at, TOO_MUCH, "the")
    }

    /// A schema in the form that is written here, without a name.
    fn written(&mut self, schema: &Value, name: &str, at: &str) -> Result<Value> {
        let kind = kind(schema);
        check(&format!("schema {kind}"), schema, at)?;
        let mut written = match kind {
            "allOf" | "oneOf" | "anyOf" => self.combined(schema, kind, name, at)?,
            "object" => self.object(schema, name, at)?,
            "anything" => json!({}),
            _ => json!({ "type": kind }),
        };
        if kind == "array" {
            self.grow(1, at)?;
            let at = format!("{at}/items");
            written["items"] = self.used(&schema["items"], &format!("{name}Item"), &at)?;
        }
        for (keyword, value) in entries(schema) {
            let at = format!("{at}/{}", escape(keyword));
            match &**keyword {
                _ if value.is_null() || *value == false => {}
                "description" | "title" => {
                    let text = schema["description"].as_str().or(value.as_str());
                    written["description"] = tidy(text.unwrap_or_default()).into();
                }
                "minimum" | "maximum" | "multipleOf" => {
                    let above = keyword != "multipleOf" || value.as_f64() > Some(0.0);
                    let known = above && digits(value).is_some();
                    ensure(known, &at, NO_NUMBER, &value.to_string())?;
                    let exclusive = format!("exclusiveM{}", &keyword[1..]);
                    let is_exclusive = schema[&exclusive] == true;
                    written[if is_exclusive { &exclusive } else { keyword }] = value.clone();
                }
                "exclusiveMinimum" | "exclusiveMaximum" => {
                    let bound = format!("m{}", &keyword["exclusiveM".len()..]);
                    ensure(!schema[&bound].is_null(), &at, MISSING, &bound)?;
                }
                "pattern" => {
                    check_pattern(text(value), &at)?;
                    written["pattern"] = value.clone();
                }
                "enum" if kind == "string" => {
                    let variants = variants(schema, &at)?.into_iter();
                    let (names, values): (Vec<_>, Vec<_>) = variants.unzip();
                    written["enum"] = values.into();
                    written["x-variants"] = names.into();
                }
                "enum" => {
                    let reckoned = items(value).all(|number| digits(number).is_some());
                    ensure(reckoned, &at, NO_NUMBER, "one of them")?;
                    written["enum"] = value.clone();
                }
                "format" if ["password", "e164"].contains(&text(value)) => {
                    let loggable = value == "password" && schema["x-loggable"] == true;
                    let plain = kind == "string" && schema["enum"].is_null() && !loggable;
                    ensure(plain, &at, GUARD, &format!("format: {}", text(value)))?;
                    written["format"] = value.clone();
                }
                _ if KEPT.split(' ').any(|kept| kept == keyword) => {
                    put(&mut written[keyword], value, &at, keyword)?;
                }
                _ => {}
            }
        }
        Ok(written)
    }

    fn object(&mut self, schema: &Value, name: &str, at: &str) -> Result<Value> {
        let mut written =
            json!({ "type": "object", "properties": {}, "x-order": schema["x-order"] });
        for (property, schema) in properties(schema) {
            let at = format!("{at}/properties/{}", escape(property));
            ensure(names::value(property).is_some(), &at, NO_FIELD, property)?;
            let name = names::type_name(&format!("{name}-{property}")).unwrap_or_default();
            written["properties"][property] = self.used(schema, &name, &at)?;
        }
        let required: BTreeSet<_> = texts(&schema["required"]).collect();
        written["required"] = json!(required);
        let of_others = match &schema["additionalProperties"] {
            Value::Bool(false) => json!(false),
            Value::Null | Value::Bool(true) => json!({}),
            others => {
                let at = format!("{at}/additionalProperties");
                self.used(others, &format!("{name}Value"), &at)?
            }
        };
        if !is_type(schema) {
            self.grow(1, at)?;
            ensure(of_others != false, at, NO_OBJECT, "object")?;
            return Ok(json!({ "type": "object", "additionalProperties": of_others }));
        }
        if of_others != json!({}) {
            written["additionalProperties"] = of_others;
        }
        Ok(written)
    }

    /// A part on its own is another name for it. Several are put together if they are objects, and
    /// a choice if they are scalars.
    fn combined(&mut self, schema: &Value, kind: &str, name: &str, at: &str) -> Result<Value> {
        let places = (0..).map(|index| format!("{at}/{kind}/{index}"));
        let mut parts: Vec<_> = items(&schema[kind]).zip(places).collect();
        if !is_type(schema) {
            let (part, at) = need(parts.pop(), at, MISSING, "a part")?;
            return self.used(part, name, &at);
        }
        if kind != "allOf" {
            return self.choice(&parts, kind, name);
        }
        let mut whole =
            json!({ "type": "object", "properties": {}, "x-order": [], "required": [] });
        let own = self.object(schema, name, at)?;
        for (part, at) in parts {
            put_in(&mut whole, &self.part(part, name, &at)?, &at)?;
        }
        put_in(&mut whole, &own, at)?;
        ensure(whole["x-order"] != json!([]), at, NO_OBJECT, kind)?;
        Ok(whole)
    }

    /// A part of an `allOf`, as the object that it is.
    fn part(&mut self, schema: &Value, name: &str, at: &str) -> Result<Value> {
        if schema["$ref"].is_null() {
            return self.written(schema, name, at);
        }
        let used = self.used(schema, name, at)?;
        let Some(own) = used["$ref"].as_str() else {
            return Ok(used);
        };
        if !self.types.contains_key(own) {
            self.component(own, at)?;
        }
        Ok(self.types[own].clone())
    }

    fn choice(&mut self, parts: &[(&Value, String)], kind: &str, name: &str) -> Result<Value> {
        let mut types = Vec::new();
        for (part, at) in parts {
            let written = self.used(part, name, at)?;
            let ty = text(&written["type"]);
            let is_scalar = ["string", "integer", "number", "boolean"].contains(&ty);
            let is_new = types.iter().all(|known| known != ty);
            ensure(is_scalar && is_new, at, NO_SCALARS, kind)?;
            let mut keywords = entries(&written).map(|(keyword, _)| &**keyword);
            let limit = keywords.find(|keyword| !["type", "description"].contains(keyword));
            refuse(limit, at, NO_LIMIT)?;
            types.push(json!(ty));
        }
        types.sort_by_key(|ty| ty != "integer"); // 1 is a number too
        Ok(json!({ "type": types }))
    }
}

/// Adds a part of an `allOf` to what the parts before it make.
fn put_in(whole: &mut Value, part: &Value, at: &str) -> Result<()> {
    let others = &part["additionalProperties"];
    let open = others.is_null() || *others == json!({});
    ensure(part["type"] == "object" && open, at, NO_OBJECT, "allOf")?;
    for keyword in ["minProperties", "maxProperties"] {
        if let Some(limit) = part.get(keyword) {
            put(&mut whole[keyword], limit, at, keyword)?;
        }
    }
    for (property, schema) in properties(part) {
        if put(&mut whole["properties"][property], schema, at, property)? {
            push(&mut whole["x-order"], property);
        }
    }
    texts(&part["required"]).for_each(|name| push(&mut whole["required"], name));
    Ok(())
}

/// Describes what is not described yet, and tells whether it was so; twice must be alike.
fn put(known: &mut Value, schema: &Value, at: &str, name: &str) -> Result<bool> {
    let is_new = known.is_null();
    ensure(is_new || bare(known) == bare(schema), at, NOT_ALIKE, name)?;
    if is_new {
        *known = schema.clone();
    }
    Ok(is_new)
}

fn push(list: &mut Value, name: &str) {
    if let Some(list) = list
        .as_array_mut()
        .filter(|list| list.iter().all(|item| item != name))
    {
        list.push(name.into());
    }
}

/// A schema without what is only for people.
fn bare(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(keywords) = schema.as_object_mut() {
        keywords.remove("description");
    }
    schema
}

/// The digits of a number, without an exponent, if they are not too many to reckon with.
pub fn digits(number: &Value) -> Option<String> {
    let text = match number.as_number()? {
        number if number.is_f64() => number.as_f64()?.to_string(),
        number => number.to_string(),
    };
    Some(text).filter(|text| text.len() <= 30)
}

/// The values of an enum with the names of their variants; null is said by `nullable`.
fn variants(schema: &Value, at: &str) -> Result<Vec<(String, Value)>> {
    let (mut variants, mut names) = (Vec::new(), BTreeSet::new());
    for value in items(&schema["enum"]) {
        if value.is_null() {
            ensure(schema["nullable"] == true, at, NULL, "")?;
            continue;
        }
        let name = names::variant(text(value)).filter(|_| value.is_string());
        let name = name.filter(|name| names.insert(name.clone()));
        variants.push((
            need(name, at, NO_VARIANT, &value.to_string())?,
            value.clone(),
        ));
    }
    ensure(!variants.is_empty(), at, NO_VARIANT, "")?;
    Ok(variants)
}

/// An ECMAScript regular expression, and one that can be matched in linear time.
fn check_pattern(pattern: &str, at: &str) -> Result<()> {
    let invalid = regress::Regex::new(pattern).err().map(|e| e.to_string());
    let slow = regex_lite::Regex::new(pattern).err().map(|e| e.to_string());
    refuse(invalid.or(slow).as_deref(), at, NO_PATTERN)
}

/// A text as documentation: no code block, which would be run as a test, and no characters that
/// cannot be seen.
fn tidy(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let line = |line: &str| {
        let mut line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        line.retain(|c| !c.is_control() && !turns(c));
        line.replace("```", "'''").replace("~~~", "'''")
    };
    let lines: Vec<_> = text.lines().map(line).collect();
    lines.join("\n").trim().to_owned()
}
