//! Writes the schemas in one form: a schema that becomes a type has a name and is referred to by it;
//! any other schema is described where it is used.
//!
//! The form is that of JSON Schema, with `nullable` and its like beside it, `x-order` for the
//! properties and `x-variants` for the values of an enum.
//!
//! | in the document | written |
//! |---|---|
//! | `$ref` to an object, an enum, a choice | `{ "$ref": "TypeName" }` |
//! | `$ref` to anything else | the target of the reference |
//! | an object, an enum, a choice on the spot | `{ "$ref": "OwnerProperty" }`, and a type of that name |
//! | `allOf` with one part | that part |
//! | `minimum: 1, exclusiveMinimum: true` | `exclusiveMinimum: 1` |

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    check::{check_schema, escape, follow, is_type, kind, parts},
    failure::{
        DEEP, ENDLESS, Failure, GUARD, MISSING, NO_LIMIT, NO_OBJECT, NO_PROPERTY, NO_SCALARS,
        NO_TEXT, NO_VALUE, NOT_ALIKE, NULL, Result, TOO_MUCH, UNNAMED, ensure, need, refuse,
    },
    names::{self, Scope},
    texts::tidy,
};

/// Maximum number of properties and values of one type, and of all types. A type and an operation
/// count for three each, a list or a map for one. More would take too much time and memory.
const MOST: usize = 1_000;
const MOST_OF_ALL: usize = 9_000;
/// Maximum depth of a schema: more than any document needs. Each level takes stack in the generator.
const DEEPEST: usize = 60;
/// Place of the schemas that references may lead to.
const COMPONENTS: &str = "/components/schemas/";
/// Keywords that are copied. Limits of request schemas are checked later.
const KEPT: [&str; 17] = [
    "format",
    "nullable",
    "readOnly",
    "writeOnly",
    "deprecated",
    "x-loggable",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "enum",
];

/// Objects, enums and choices by type name, and aliases of them.
pub type Types = BTreeMap<String, Value>;

pub struct Schemas<'d> {
    root: &'d Value,
    /// Components and their places, by type name.
    pub components: BTreeMap<String, (String, &'d Value)>,
    /// Type names of the components, by place.
    names: BTreeMap<String, String>,
    pub types: Types,
    /// Names of the types in the order of discovery.
    pub found: Vec<String>,
    /// Referenced components that are read later, so that the stack does not grow.
    left: BTreeSet<String>,
    /// Components that are being read.
    open: BTreeSet<String>,
    /// Unsupported components.
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

/// Returns the target of a reference to a type, and any other schema itself.
pub fn target<'s>(types: &'s Types, schema: &'s Value) -> &'s Value {
    let name = schema["$ref"].as_str();
    name.map_or(schema, |name| &types[name])
}

/// Returns the properties in the order of the document.
pub fn properties(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    texts(&object["x-order"]).map(|name| (name, &object["properties"][name]))
}

impl<'d> Schemas<'d> {
    pub fn new(root: &'d Value) -> Self {
        let mut schemas: Vec<_> = entries(&root["components"]["schemas"]).collect();
        // Components whose names need no change keep them.
        schemas.sort_by_key(|(name, _)| names::type_name(name) != **name);
        let (mut scope, mut components, mut names) =
            (Scope::default(), BTreeMap::new(), BTreeMap::new());
        for (name, schema) in schemas {
            let at = format!("{COMPONENTS}{}", escape(name));
            let own = scope.take(&names::type_name(name), "");
            names.insert(at.clone(), own.clone());
            components.insert(own, (at, schema));
        }
        let (types, found, left, open, failed, depth, size) = Default::default();
        Self {
            root,
            components,
            names,
            types,
            found,
            left,
            open,
            failed,
            depth,
            size,
        }
    }

    /// Writes a schema where it is used, and the types that it refers to; if it becomes a type
    /// itself, it has this name.
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
        let own = need(self.names.get(&place).cloned(), at, UNNAMED, reference)?;
        if !is_type(target) {
            return self.component(&own, at);
        }
        let reference = json!({ "$ref": own });
        self.left.insert(own);
        Ok(reference)
    }

    /// Writes a referenced component where it is used.
    fn component(&mut self, own: &str, at: &str) -> Result<Value> {
        if let Some(failure) = self.failed.get(own) {
            return Err(failure.clone());
        }
        let (place, schema) = self.components[own].clone();
        // A property may refer to the type that contains it, but a schema cannot be its own part.
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
        let mut reference = json!({});
        for keyword in ["description", "nullable", "readOnly", "writeOnly"] {
            if let Some(value) = written.get(keyword) {
                reference[keyword] = value.clone();
            }
        }
        reference["$ref"] = self.define(name, written, at)?.into();
        Ok(reference)
    }

    /// Defines a type, and returns its name: this one if it is free.
    pub fn define(&mut self, name: &str, written: Value, at: &str) -> Result<String> {
        let size = properties(&written).count() + items(&written["enum"]).count();
        ensure(size <= MOST, at, TOO_MUCH, name)?;
        self.grow(size + 3, at)?;
        let known = &written["properties"];
        let missing = texts(&written["required"]).find(|name| known[*name].is_null());
        refuse(missing, at, NO_PROPERTY)?;
        let fits = |name: &String| match (self.components.get(name), self.types.get(name)) {
            (Some((place, other)), _) if place != at && is_type(other) => false,
            (_, Some(known)) => *known == written,
            (_, None) => true,
        };
        let name = names::numbered(name, "").find(fits).unwrap_or_default();
        if !self.types.contains_key(&name) {
            self.found.push(name.clone());
            self.types.insert(name.clone(), written);
        }
        Ok(name)
    }

    /// Adds to the total size, and fails beyond the maximum.
    pub fn grow(&mut self, by: usize, at: &str) -> Result<()> {
        self.size += by;
        ensure(self.size <= MOST_OF_ALL, at, TOO_MUCH, "the document")
    }

    /// Writes a schema in the form of this module, without a name.
    fn written(&mut self, schema: &Value, name: &str, at: &str) -> Result<Value> {
        let kind = kind(schema);
        check_schema(kind, schema, at)?;
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
                "minimum" if schema["exclusiveMinimum"] == true => {
                    written["exclusiveMinimum"] = value.clone();
                }
                "maximum" if schema["exclusiveMaximum"] == true => {
                    written["exclusiveMaximum"] = value.clone();
                }
                "exclusiveMinimum" | "exclusiveMaximum" if *value == true => {}
                "exclusiveMinimum" | "exclusiveMaximum" => written[keyword] = value.clone(),
                "enum" if kind == "string" => {
                    let (names, values): (Vec<_>, Vec<_>) =
                        variants(schema, &at)?.into_iter().unzip();
                    written["enum"] = values.into();
                    written["x-variants"] = names.into();
                }
                // The server checks other enums than strings and numbers.
                "enum" if kind != "integer" && kind != "number" => {}
                "format" if ["password", "e164"].contains(&text(value)) => {
                    let loggable = value == "password" && schema["x-loggable"] == true;
                    let plain = kind == "string" && schema["enum"].is_null() && !loggable;
                    ensure(plain, &at, GUARD, &format!("format: {}", text(value)))?;
                    written["format"] = value.clone();
                }
                _ if KEPT.contains(&&**keyword) => {
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
            let name = names::type_name(&format!("{name}-{property}"));
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

    /// Writes a combined schema: a single part is an alias, several objects are merged, and several
    /// scalars are a choice.
    fn combined(&mut self, schema: &Value, kind: &str, name: &str, at: &str) -> Result<Value> {
        let described = items(&schema[kind]).find_map(|part| part["description"].as_str());
        let mut parts: Vec<_> = parts(schema, kind)
            .into_iter()
            .map(|(index, part)| (part, format!("{at}/{kind}/{index}")))
            .collect();
        if !is_type(schema) {
            let (part, at) = need(parts.pop(), at, MISSING, "a part")?;
            let mut used = self.used(part, name, &at)?;
            if let Some(text) = described.filter(|_| used["description"].is_null()) {
                used["description"] = tidy(text).into();
            }
            return Ok(used);
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

    /// Writes a part of an `allOf` as an object.
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

/// Merges a part of an `allOf` into the parts before it.
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

/// Adds a schema if it is new, and returns whether it was; a second description must be equal.
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

/// Returns a schema without its description.
fn bare(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(keywords) = schema.as_object_mut() {
        keywords.remove("description");
    }
    schema
}

/// Returns the values of an enum with the names of their variants; `nullable` stands for null.
fn variants(schema: &Value, at: &str) -> Result<Vec<(String, Value)>> {
    let (mut variants, mut scope) = (Vec::<(String, Value)>::new(), Scope::default());
    for value in items(&schema["enum"]) {
        if value.is_null() {
            ensure(schema["nullable"] == true, at, NULL, "")?;
            continue;
        }
        let text = need(value.as_str(), at, NO_TEXT, &value.to_string())?;
        if variants.iter().all(|(_, known)| known != value) {
            let name = scope.take(&names::variant(text), "");
            variants.push((name, value.clone()));
        }
    }
    ensure(!variants.is_empty(), at, NO_VALUE, "")?;
    Ok(variants)
}
