//! Reads the schemas. Objects and enums get names; everything else is described where it is used.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    failure::Failure,
    names,
    node::{CHECK, Node},
    read::description,
};

/// A schema, as far as it matters.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a keyword")]
pub struct Schema {
    /// Where it is in the document.
    pub at: String,
    pub kind: Kind,
    pub nullable: bool,
    pub read_only: bool,
    pub write_only: bool,
    pub loggable: bool,
    pub deprecated: bool,
    pub description: Option<String>,
    /// The parameter of the path that the property repeats.
    pub repeats: Option<String>,
    pub limits: Vec<Limit>,
}

#[derive(Clone, PartialEq)]
pub enum Kind {
    Any,
    Boolean,
    /// With its Rust type.
    Integer(&'static str),
    Number(&'static str),
    Text(Text),
    List(Box<Schema>),
    Map(Box<Schema>),
    /// Variants, and what they are in JSON.
    Enum(Vec<(String, String)>),
    /// Scalars of different JSON types: variants, and their Rust types.
    OneOf(Vec<(&'static str, &'static str)>),
    Object(Object),
    /// An object, an enum or a choice, by the name of its type.
    Reference(String),
}

#[derive(Clone, Copy, PartialEq)]
pub enum Text {
    Plain,
    Password,
    E164,
}

#[derive(Clone, PartialEq)]
pub struct Object {
    /// In the document's order.
    pub properties: Vec<(String, Schema)>,
    pub required: BTreeSet<String>,
    pub others: Others,
}

/// What holds for properties that are not declared.
#[derive(Clone, PartialEq)]
pub enum Others {
    Anything,
    Nothing,
    Are(Box<Schema>),
}

/// A keyword that narrows a schema; `exclusiveMinimum` and its like carry the number.
#[derive(Clone, PartialEq)]
pub struct Limit {
    pub keyword: &'static str,
    pub bound: Bound,
}

#[derive(Clone, PartialEq)]
pub enum Bound {
    Flag,
    Count(u64),
    /// Its digits.
    Number(String),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<String>),
}

/// Where a schema is and how it is described does not matter for what it allows.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        let flags = |s: &Self| (s.nullable, s.read_only, s.write_only, s.loggable);
        self.kind == other.kind && flags(self) == flags(other) && self.limits == other.limits
    }
}

impl Schema {
    /// What is the same everywhere, of this kind.
    fn plain(kind: Kind, at: &str) -> Self {
        Self {
            at: at.to_owned(),
            kind,
            nullable: false,
            read_only: false,
            write_only: false,
            loggable: false,
            deprecated: false,
            description: None,
            repeats: None,
            limits: Vec::new(),
        }
    }

    fn is_named(&self) -> bool {
        matches!(self.kind, Kind::Object(_) | Kind::Enum(_) | Kind::OneOf(_))
    }

    /// The schemas that this one is made of.
    pub fn parts(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::List(inner) | Kind::Map(inner) => vec![inner],
            Kind::Object(object) => {
                let others = match &object.others {
                    Others::Are(schema) => Some(&**schema),
                    Others::Anything | Others::Nothing => None,
                };
                let properties = object.properties.iter().map(|(_, schema)| schema);
                properties.chain(others).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The names of the types that lead on from a schema.
pub fn reach(schemas: &BTreeMap<String, Schema>, schema: &Schema, names: &mut BTreeSet<String>) {
    match &schema.kind {
        Kind::Reference(name) if names.insert(name.clone()) => {
            reach(schemas, &schemas[name], names);
        }
        _ => schema
            .parts()
            .into_iter()
            .for_each(|part| reach(schemas, part, names)),
    }
}

const ANNOTATIONS: &[&str] = &[
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "externalDocs",
    "xml",
    "nullable",
    "readOnly",
    "writeOnly",
    "x-loggable",
    "x-repeats",
];
const TYPE: &[&str] = &["type", "format"];
const TEXT: &[&str] = &["enum", "minLength", "maxLength", "pattern"];
const NUMBER: &[&str] = &[
    "enum",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];
const LIST: &[&str] = &["items", "minItems", "maxItems", "uniqueItems"];
const OBJECT: &[&str] = &[
    "properties",
    "required",
    "additionalProperties",
    "minProperties",
    "maxProperties",
];
/// Deeper than that no document is, and rustc gives up.
const DEEPEST: usize = 40;

/// All schemas of a document, read when they are needed.
pub struct Schemas<'d> {
    root: Node<'d>,
    /// The components, by the names of their types.
    components: BTreeMap<String, Node<'d>>,
    known: BTreeMap<String, State>,
    depth: usize,
}

enum State {
    Open,
    Read(Schema),
    Refused(Failure),
}

impl<'d> Schemas<'d> {
    pub fn new(root: Node<'d>) -> Result<Self, Failure> {
        let mut components = BTreeMap::new();
        let schemas = root
            .get("components")
            .and_then(|components| components.get("schemas"));
        for (name, node) in schemas.map_or(Ok(Vec::new()), |schemas| schemas.entries())? {
            let Some(type_name) = names::schema(&name) else {
                return Err(node.refuse(format!("no type can be called `{name}`"), "Rename it."));
            };
            let failure = node.refuse(
                format!("two schemas become the type `{type_name}`"),
                "Rename one of them.",
            );
            if components.insert(type_name, node).is_some() {
                return Err(failure);
            }
        }
        Ok(Self {
            root,
            components,
            known: BTreeMap::new(),
            depth: 0,
        })
    }

    /// Reads a schema where it is used, by `name` if it needs one.
    pub fn used(&mut self, node: &Node<'d>, name: &str) -> Result<Schema, Failure> {
        let name = names::schema(name)
            .ok_or_else(|| node.refuse(format!("no type can be called `{name}`"), "Rename it."))?;
        let schema = self.child(node, &name)?;
        self.check(&schema, &mut BTreeSet::new())?;
        Ok(schema)
    }

    /// What a reference leads to; anything else is itself.
    pub fn target<'s>(&'s self, schema: &'s Schema) -> &'s Schema {
        match &schema.kind {
            Kind::Reference(name) => match &self.known[name] {
                State::Read(schema) => schema,
                State::Open | State::Refused(_) => schema,
            },
            _ => schema,
        }
    }

    /// All that is understood; these types must be.
    pub fn finish(mut self, types: &BTreeSet<String>) -> Result<BTreeMap<String, Schema>, Failure> {
        for name in types {
            if !self.components.contains_key(name) && !self.known.contains_key(name) {
                let remedy =
                    format!("Describe `{name}` under `components/schemas`; src/ exports it.");
                return Err(self
                    .root
                    .refuse(format!("it has no schema `{name}`"), remedy));
            }
        }
        for name in self.components.keys().cloned().collect::<Vec<_>>() {
            let read = self
                .component(&name)
                .cloned()
                .and_then(|schema| self.check(&schema, &mut BTreeSet::new()));
            match read {
                Err(failure) if types.contains(&name) => return Err(failure),
                Err(failure) => drop(self.known.insert(name, State::Refused(failure))),
                Ok(()) => {}
            }
        }
        let mut schemas = BTreeMap::new();
        for (name, state) in &self.known {
            if let State::Read(schema) = state
                && (schema.is_named() || matches!(schema.kind, Kind::Reference(_)))
                && self.check(schema, &mut BTreeSet::new()).is_ok()
            {
                schemas.insert(name.clone(), schema.clone());
            }
        }
        Ok(schemas)
    }

    /// Every reference from here leads to an object or an enum that is understood.
    fn check(&self, schema: &Schema, seen: &mut BTreeSet<String>) -> Result<(), Failure> {
        match &schema.kind {
            Kind::Reference(name) if seen.insert(name.clone()) => match &self.known[name] {
                State::Read(target) if target.is_named() => self.check(target, seen)?,
                State::Refused(failure) => return Err(failure.clone()),
                State::Read(_) | State::Open => return Err(endless(&self.components[name])),
            },
            Kind::Object(object) => {
                let is_described =
                    |name: &&String| object.properties.iter().any(|(known, _)| known == *name);
                if let Some(name) = object.required.iter().find(|name| !is_described(name)) {
                    let reason = format!("`{name}` is required and not described");
                    let remedy = "Describe it under `properties`.";
                    return Err(Failure::new(CHECK, reason, remedy).at(&schema.at));
                }
            }
            _ => {}
        }
        schema
            .parts()
            .into_iter()
            .try_for_each(|part| self.check(part, seen))
    }

    fn component(&mut self, name: &str) -> Result<&Schema, Failure> {
        if !self.known.contains_key(name) {
            self.known.insert(name.to_owned(), State::Open);
            let node = self.components[name].clone();
            let state = match self.schema(&node, name, false) {
                Ok(schema) => State::Read(schema),
                Err(failure) => State::Refused(failure),
            };
            self.known.insert(name.to_owned(), state);
        }
        match &self.known[name] {
            State::Read(schema) => Ok(schema),
            State::Refused(failure) => Err(failure.clone()),
            State::Open => Err(endless(&self.components[name])),
        }
    }

    /// A schema inside another: what needs a name gets this one, and is referred to.
    fn child(&mut self, node: &Node<'d>, name: &str) -> Result<Schema, Failure> {
        let schema = self.schema(node, name, true)?;
        if !schema.is_named() {
            return Ok(schema);
        }
        if self.components.contains_key(name) || self.known.contains_key(name) {
            return Err(node.refuse(
                format!("two schemas become the type `{name}`"),
                "Rename one of them.",
            ));
        }
        let reference = Schema {
            kind: Kind::Reference(name.to_owned()),
            limits: Vec::new(),
            ..schema.clone()
        };
        self.known.insert(
            name.to_owned(),
            State::Read(Schema {
                nullable: false,
                ..schema
            }),
        );
        Ok(reference)
    }

    /// `inside` another schema, so that it may refer to what contains it.
    fn schema(&mut self, node: &Node<'d>, name: &str, inside: bool) -> Result<Schema, Failure> {
        if self.depth == DEEPEST {
            return Err(node.refuse("schemas are nested too deep", "Make it flatter."));
        }
        self.depth += 1;
        let schema = self.any_schema(node, name, inside);
        self.depth -= 1;
        schema
    }

    fn any_schema(&mut self, node: &Node<'d>, name: &str, inside: bool) -> Result<Schema, Failure> {
        if let Some(reference) = node.get("$ref") {
            return self.reference(node, &reference, inside);
        }
        if node.get("allOf").is_some() {
            return self.all_of(node, name, inside);
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(parts) = node.get(keyword) {
                return self.one_of(node, keyword, &parts, name, inside);
            }
        }
        let has = |keywords: &[&str]| keywords.iter().any(|keyword| node.get(keyword).is_some());
        let kind = match node.get("type") {
            Some(kind) => kind.text()?,
            None if has(OBJECT) => "object",
            None if has(LIST) => "array",
            None if has(&["enum", "pattern", "minLength", "maxLength"]) => "string",
            None => "",
        };
        let format = node.get("format").map(|format| format.text()).transpose()?;
        if kind != "string" && matches!(format, Some("password" | "e164")) {
            return Err(node.refuse(
                format!("`format: {}` is of texts", format.unwrap_or_default()),
                "Make it `type: string`.",
            ));
        }
        let what = format!("a schema of type {kind}");
        let only = |keywords| node.only(&what, &[TYPE, ANNOTATIONS, keywords]);
        let kind = match kind {
            "" => {
                node.only("a schema without `type`", &[ANNOTATIONS])?;
                Kind::Any
            }
            "boolean" => {
                only(&[])?;
                Kind::Boolean
            }
            "integer" => {
                only(NUMBER)?;
                Kind::Integer(if format == Some("int32") {
                    "i32"
                } else {
                    "i64"
                })
            }
            "number" => {
                only(NUMBER)?;
                Kind::Number(if format == Some("float") {
                    "f32"
                } else {
                    "f64"
                })
            }
            "string" => {
                only(TEXT)?;
                text(node, format)?
            }
            "array" => {
                only(LIST)?;
                Kind::List(
                    self.child(&node.need("items")?, &format!("{name}Item"))?
                        .into(),
                )
            }
            "object" => {
                only(OBJECT)?;
                self.object(node, name)?
            }
            _ => {
                return Err(node.refuse(
                    format!("there is no type `{kind}`"),
                    "Write it after the OpenAPI 3.0 specification.",
                ));
            }
        };
        let limits = limits(node, &kind)?;
        annotated(node, kind, limits)
    }

    fn reference(
        &mut self,
        node: &Node<'d>,
        reference: &Node<'d>,
        inside: bool,
    ) -> Result<Schema, Failure> {
        node.only(
            "a reference",
            &[&[
                "$ref",
                "title",
                "description",
                "example",
                "deprecated",
                "externalDocs",
            ]],
        )?;
        let target = reference.target(&self.root)?;
        let Some((name, _)) = self
            .components
            .iter()
            .find(|(_, node)| node.at == target.at)
        else {
            return Err(reference.refuse(
                "the reference leads to no schema of its own",
                "Put what it names under `components/schemas`.",
            ));
        };
        let name = name.clone();
        let to = |name: &str| Schema::plain(Kind::Reference(name.to_owned()), &node.at);
        if inside && matches!(self.known.get(&name), Some(State::Open)) {
            return Ok(to(&name)); // `check` sees whether it may be
        }
        let schema = self.component(&name)?;
        Ok(if schema.is_named() {
            to(&name)
        } else {
            schema.clone()
        })
    }

    fn object(&mut self, node: &Node<'d>, name: &str) -> Result<Kind, Failure> {
        let mut properties = Vec::new();
        for (property, schema) in node
            .get("properties")
            .map_or(Ok(Vec::new()), |p| p.entries())?
        {
            let Some(suffix) =
                names::schema(&format!("x-{property}")).filter(|_| property.is_ascii())
            else {
                return Err(
                    schema.refuse(format!("no field can be called `{property}`"), "Rename it.")
                );
            };
            let schema = self.child(&schema, &format!("{name}{}", &suffix[1..]))?;
            properties.push((property, schema));
        }
        let mut required = BTreeSet::new();
        for item in node
            .get("required")
            .map_or(Ok(Vec::new()), |required| required.items())?
        {
            required.insert(item.text()?.to_owned());
        }
        let others = match node.get("additionalProperties") {
            None => Others::Anything,
            Some(others) => match others.flag() {
                Ok(true) => Others::Anything,
                Ok(false) => Others::Nothing,
                Err(_) => {
                    let schema = self.child(&others, &format!("{name}Value"))?;
                    if schema.kind == Kind::Any {
                        Others::Anything
                    } else {
                        Others::Are(schema.into())
                    }
                }
            },
        };
        if !properties.is_empty() || !required.is_empty() {
            return Ok(Kind::Object(Object {
                properties,
                required,
                others,
            }));
        }
        match others {
            Others::Are(schema) => Ok(Kind::Map(schema)),
            Others::Anything => Ok(Kind::Map(Schema::plain(Kind::Any, &node.at).into())),
            Others::Nothing => {
                Err(node.refuse("it allows no property at all", "Describe its properties."))
            }
        }
    }

    /// One part is another name for it; several are put together, if they are objects.
    fn all_of(&mut self, node: &Node<'d>, name: &str, inside: bool) -> Result<Schema, Failure> {
        let all_of = node.need("allOf")?;
        let parts = all_of.items()?;
        let own = OBJECT.iter().any(|keyword| node.get(keyword).is_some());
        if let ([part], false) = (&*parts, own) {
            node.only("an `allOf`", &[&["allOf", "type"], ANNOTATIONS])?;
            let schema = self.schema(part, name, inside)?;
            return again(node, schema);
        }
        node.only("an `allOf`", &[&["allOf", "type"], ANNOTATIONS, OBJECT])?;
        if node.get("type").is_some_and(|kind| !kind.is("object")) {
            return Err(node.refuse(
                "only objects are put together by `allOf`",
                "Make it `type: object`.",
            ));
        }
        let mut whole = Object {
            properties: Vec::new(),
            required: BTreeSet::new(),
            others: Others::Anything,
        };
        let mut all_limits = Vec::new();
        let mut described = Vec::new();
        for part in &parts {
            let schema = self.schema(part, name, false)?;
            described.push((part.clone(), self.target(&schema).clone()));
        }
        if own {
            let kind = self.object(node, name)?;
            let limits = limits(node, &kind)?;
            described.push((node.clone(), annotated(node, kind, limits)?));
        }
        for (part, schema) in described {
            let object = match schema.kind {
                Kind::Object(object) => object,
                Kind::Map(any) if any.kind == Kind::Any => continue, // says nothing
                _ => {
                    return Err(part.refuse(
                        "only objects are put together by `allOf`",
                        "Describe its properties in one place.",
                    ));
                }
            };
            if object.others != Others::Anything {
                return Err(part.refuse(
                    "`additionalProperties` of a part would hold for the others",
                    "Take it out.",
                ));
            }
            for (property, schema) in object.properties {
                match whole
                    .properties
                    .iter()
                    .find(|(known, _)| *known == property)
                {
                    None => whole.properties.push((property, schema)),
                    Some((_, known)) if *known == schema => {}
                    Some(_) => {
                        return Err(part.refuse(
                            format!("`{property}` is described twice and not alike"),
                            "Describe it once.",
                        ));
                    }
                }
            }
            whole.required.extend(object.required);
            all_limits.extend(schema.limits);
        }
        annotated(node, Kind::Object(whole), all_limits)
    }

    /// One part is another name for it; several must be scalars of different types.
    fn one_of(
        &mut self,
        node: &Node<'d>,
        keyword: &str,
        parts: &Node<'d>,
        name: &str,
        inside: bool,
    ) -> Result<Schema, Failure> {
        node.only(&format!("a `{keyword}`"), &[&[keyword], ANNOTATIONS])?;
        let remedy = "Describe one, or scalars of different types without limits.";
        let items = parts.items()?;
        if let [part] = &*items {
            let schema = self.schema(part, name, inside)?;
            return again(node, schema);
        }
        let mut variants = Vec::new();
        for part in &items {
            let schema = self.schema(part, name, inside)?;
            let variant = match schema.kind {
                Kind::Text(Text::Plain) => ("String", "::std::string::String"),
                Kind::Integer(kind) => ("Integer", kind),
                Kind::Number(kind) => ("Number", kind),
                Kind::Boolean => ("Boolean", "bool"),
                _ => {
                    return Err(part.refuse(
                        format!("`{keyword}` of such values is not understood"),
                        remedy,
                    ));
                }
            };
            if let Some(limit) = schema.limits.first() {
                let keyword = limit.keyword;
                return Err(part.refuse(
                    format!("`{keyword}` holds for one alternative only and would not be checked"),
                    "Take it out, and leave it to the server.",
                ));
            }
            if schema.nullable || variants.iter().any(|(known, _)| *known == variant.0) {
                return Err(part.refuse(
                    format!("the alternatives of `{keyword}` cannot be told apart"),
                    remedy,
                ));
            }
            variants.push(variant);
        }
        variants.sort_by_key(|(name, _)| *name != "Integer"); // 1 is a number too
        annotated(node, Kind::OneOf(variants), Vec::new())
    }
}

fn endless(node: &Node) -> Failure {
    node.refuse(
        "the schema contains itself, and not by a property of an object",
        "Let a property of an object refer to it.",
    )
}

fn flag(node: &Node, keyword: &str) -> Result<bool, Failure> {
    node.get(keyword).map_or(Ok(false), |node| node.flag())
}

fn annotated(node: &Node, kind: Kind, limits: Vec<Limit>) -> Result<Schema, Failure> {
    let title = description(node, "title")?;
    let repeats = node.get("x-repeats").map(|node| node.text()).transpose()?;
    let schema = Schema {
        at: node.at.clone(),
        kind,
        nullable: flag(node, "nullable")?,
        read_only: flag(node, "readOnly")?,
        write_only: flag(node, "writeOnly")?,
        loggable: flag(node, "x-loggable")?,
        deprecated: flag(node, "deprecated")?,
        description: description(node, "description")?.or(title),
        repeats: repeats.map(ToOwned::to_owned),
        limits,
    };
    if schema.loggable && matches!(schema.kind, Kind::Text(Text::Password)) {
        return Err(node.refuse("a password is `x-loggable`", "Take one of the two out."));
    }
    Ok(schema)
}

/// A schema under another name, with what is said of it there.
fn again(node: &Node, schema: Schema) -> Result<Schema, Failure> {
    let own = annotated(node, schema.kind, schema.limits)?;
    Ok(Schema {
        at: schema.at,
        nullable: own.nullable || schema.nullable,
        read_only: own.read_only || schema.read_only,
        write_only: own.write_only || schema.write_only,
        loggable: own.loggable || schema.loggable,
        deprecated: own.deprecated || schema.deprecated,
        description: own.description.or(schema.description),
        repeats: own.repeats.or(schema.repeats),
        ..own
    })
}

/// A text of any kind.
fn text(node: &Node, format: Option<&str>) -> Result<Kind, Failure> {
    let kind = match format {
        Some("password") => Text::Password,
        Some("e164") => Text::E164,
        _ => Text::Plain,
    };
    let Some(list) = node.get("enum") else {
        return Ok(Kind::Text(kind));
    };
    if kind != Text::Plain {
        return Err(list.refuse(
            "a password or a phone number has no list of values",
            "Take one of the two out.",
        ));
    }
    let mut variants: Vec<(String, String)> = Vec::new();
    for value in list.items()? {
        if value.is_null() {
            if !flag(node, "nullable")? {
                return Err(value.refuse(
                    "null is listed and not allowed",
                    "Say `nullable: true`, or take it out.",
                ));
            }
            continue;
        }
        let text = value.text()?;
        let name =
            names::variant(text).filter(|name| variants.iter().all(|(known, _)| known != name));
        let Some(name) = name else {
            return Err(value.refuse(
                format!("no variant of its own can be called `{text}`"),
                "Take the list out, and leave it to the server.",
            ));
        };
        variants.push((name, text.to_owned()));
    }
    if variants.is_empty() {
        return Err(list.refuse("no value is listed", "List some, or take it out."));
    }
    Ok(Kind::Enum(variants))
}

/// What narrows the schema, in a form that neither OpenAPI nor JSON Schema is needed to understand.
fn limits(node: &Node, kind: &Kind) -> Result<Vec<Limit>, Failure> {
    const COUNTS: [&str; 6] = [
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
    ];
    let mut limits = Vec::new();
    let mut push = |keyword, bound| limits.push(Limit { keyword, bound });
    for keyword in COUNTS {
        if let Some(count) = node.get(keyword) {
            push(keyword, Bound::Count(count.count()?));
        }
    }
    for (keyword, exclusive) in [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ] {
        let is_exclusive = flag(node, exclusive)?;
        match node.get(keyword) {
            Some(bound) => push(
                if is_exclusive { exclusive } else { keyword },
                Bound::Number(bound.number()?),
            ),
            None if is_exclusive => {
                return Err(node.refuse(format!("`{exclusive}` has no `{keyword}`"), "Give both."));
            }
            None => {}
        }
    }
    if let Some(divisor) = node.get("multipleOf") {
        let number = divisor.number()?;
        if number.starts_with('-') || number.trim_matches(['0', '.']).is_empty() {
            return Err(divisor.refuse("it is not above 0", "Correct it."));
        }
        push("multipleOf", Bound::Number(number));
    }
    if flag(node, "uniqueItems")? {
        push("uniqueItems", Bound::Flag);
    }
    if let Some(pattern) = node.get("pattern") {
        let text = pattern.text()?;
        if let Err(e) = regress::Regex::new(text) {
            return Err(pattern.refuse(
                format!("the pattern is invalid: {e}"),
                "Write it as an ECMAScript regular expression.",
            ));
        }
        if let Err(e) = regex_lite::Regex::new(text) {
            return Err(pattern.refuse(
                format!("the pattern cannot be checked in linear time: {e}"),
                "Simplify it, or leave it to the server.",
            ));
        }
        push("pattern", Bound::Text(text.to_owned()));
    }
    match (kind, node.get("enum")) {
        (Kind::Enum(variants), _) => {
            let values = variants.iter().map(|(_, value)| value.clone());
            push("enum", Bound::Texts(values.collect()));
        }
        (_, Some(list)) => {
            let mut values = Vec::new();
            for value in list.items()?.into_iter().filter(|value| !value.is_null()) {
                values.push(value.number()?);
            }
            push("enum", Bound::Numbers(values));
        }
        _ => {}
    }
    Ok(limits)
}
