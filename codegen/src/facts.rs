//! What the wrapper and the fake must know of the operations. The one place that says what is
//! secret, what may be shown, and which way a schema travels.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use serde_json::Value;

use crate::{
    failure::{ANOTHER, MISPLACED, NO_OPERATION, REPEATS, Result, SECRET, ensure, need, refuse},
    json_schema, names,
    read::{Document, Operation},
    schema::{digits, entries, properties, target, texts},
    wrapper::Method,
};

/// What `format: e164` asks of a text.
pub const E164: &str = r"^\+[1-9][0-9]{6,14}$";

#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Request,
    Response,
    Both,
}

/// What matters of a document.
pub struct Facts<'d> {
    pub(crate) document: &'d Document<'d>,
    sent: BTreeSet<&'d str>,
    received: BTreeSet<&'d str>,
    /// The types in which, or below which, something has a limit.
    limited: BTreeSet<&'d str>,
    /// The types that lead to themselves, or to one that does.
    pub(crate) circular: BTreeSet<&'d str>,
}

/// What leads on from each type.
type Graph<'d> = BTreeMap<&'d str, BTreeSet<&'d str>>;

pub fn is_secret(schema: &Value) -> bool {
    schema["format"] == "password"
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["password", "secret", "token", "credential"];
    words.iter().any(|word| name.contains(word))
}

/// What is in a list or a map.
fn inner(schema: &Value) -> impl Iterator<Item = &Value> {
    let inner = [&schema["items"], &schema["additionalProperties"]];
    inner.into_iter().filter(|inner| inner.is_object())
}

/// The schemas that a schema is made of.
fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let properties = properties(schema).map(|(_, schema)| schema);
    properties.chain(inner(schema))
}

/// Refuses a mark that is for properties.
fn repeats_nothing(schema: &Value, at: &str) -> Result<()> {
    let mark = Some("x-repeats").filter(|mark| schema[mark].is_string());
    refuse(mark, at, MISPLACED)?;
    inner(schema).try_for_each(|inner| repeats_nothing(inner, at))
}

impl<'d> Facts<'d> {
    /// Finds out which way each schema travels.
    #[must_use]
    pub fn new(document: &'d Document<'d>) -> Self {
        let (mut below, mut above) = (Graph::new(), Graph::new());
        for (name, schema) in &document.types {
            let names = referred(schema);
            for below in &names {
                above.entry(*below).or_default().insert(name);
            }
            below.insert(name, names);
        }
        let operations = || document.operations.iter();
        let sent = operations().flat_map(Operation::sent).flat_map(referred);
        let received = operations().flat_map(|operation| &operation.answer);
        let mut facts = Self {
            document,
            sent: reach(&below, sent),
            received: reach(&below, received.flat_map(referred)),
            limited: BTreeSet::new(),
            circular: BTreeSet::new(),
        };
        let is_limited = |name: &&&str| facts.is_limited(&document.types[**name], facts.way(name));
        facts.limited = reach(&above, facts.sent.iter().filter(is_limited).copied());
        let mut known = BTreeMap::new();
        for name in below.keys() {
            is_circular(&below, name, &mut known);
        }
        let circular = known.into_iter().filter(|(_, is_so)| *is_so);
        facts.circular = circular.map(|(name, _)| name).collect();
        facts
    }

    pub(crate) fn way(&self, name: &str) -> Way {
        match (self.sent.contains(name), self.received.contains(name)) {
            (true, true) => Way::Both,
            (true, false) => Way::Request,
            (false, _) => Way::Response,
        }
    }

    /// What a reference leads to; anything else is itself.
    pub(crate) fn target<'s>(&'s self, schema: &'s Value) -> &'s Value {
        target(&self.document.types, schema)
    }

    /// Whether something is said of a schema, or of what it refers to.
    pub(crate) fn says(&self, schema: &Value, keyword: &str) -> bool {
        schema[keyword] == true || self.target(schema)[keyword] == true
    }

    /// Whether the document says that it may appear in logs.
    pub(crate) fn is_shown(&self, schema: &Value) -> bool {
        let items = &schema["items"];
        self.says(schema, "x-loggable") || items.is_object() && self.is_shown(items)
    }

    /// The properties that are always there in what travels this way.
    pub(crate) fn required<'s>(
        &'s self,
        object: &'s Value,
        way: Way,
    ) -> impl Iterator<Item = &'s str> {
        texts(&object["required"]).filter(move |name| {
            let schema = &object["properties"][name];
            let never_sent = way != Way::Response && self.says(schema, "readOnly");
            let never_received = way != Way::Request && self.says(schema, "writeOnly");
            let may_be_null = way == Way::Response && self.says(schema, "nullable");
            !never_sent && !never_received && !may_be_null
        })
    }

    /// Refuses what would lose a guard, and a mark that means nothing.
    pub(crate) fn check(&self) -> Result<()> {
        for (name, object) in &self.document.types {
            for (property, schema) in properties(object) {
                let at = format!("{name}.{property}");
                let plain = self.sent.contains(&**name) && self.is_plain(schema);
                ensure(!plain || !sounds_secret(property), &at, SECRET, property)?;
                let repeats = |parameter: &&str| !self.is_answered(name, parameter);
                let unknown = schema["x-repeats"].as_str().filter(repeats);
                refuse(unknown, &at, REPEATS)?;
                inner(schema).try_for_each(|inner| repeats_nothing(inner, &at))?;
            }
        }
        let operations = self.document.operations.iter();
        let mut uses = operations.flat_map(|operation| {
            let uses = operation.sent().chain(&operation.answer);
            uses.map(|schema| (schema, &operation.at))
        });
        uses.try_for_each(|(schema, at)| repeats_nothing(schema, at))
    }

    /// Whether it is a text without a guard, or texts in lists and maps.
    fn is_plain(&self, schema: &Value) -> bool {
        let mut value = schema;
        while let Some(inner) = inner(value).find(|_| value["properties"].is_null()) {
            value = inner;
        }
        let guarded = value["format"] == "password" || value["format"] == "e164";
        value["type"] == "string" && !guarded && !self.is_shown(schema)
    }

    /// Whether an operation with this parameter answers with this type.
    fn is_answered(&self, name: &str, parameter: &str) -> bool {
        self.document.operations.iter().any(|operation| {
            let answers = |answer: &Value| answer["$ref"] == name;
            let mut parameters = operation.parameters.iter();
            operation.answer.as_ref().is_some_and(answers)
                && parameters.any(|(name, _)| *name == parameter)
        })
    }

    /// Refuses operations that are not what the wrapper's methods call.
    pub(crate) fn compare(&self, methods: &[Method]) -> Result<()> {
        for method in methods {
            let mut operations = self.document.operations.iter();
            let described = operations.find(|known| known.name == method.operation);
            let described = need(described, "/paths", NO_OPERATION, &method.operation)?;
            let sent: Vec<_> = described.sent().map(rust_name).collect();
            let received = described.answer.as_ref().map_or("()", rust_name);
            let is = |(is, known): (&&str, &String)| {
                let alias = self.document.types.get(known);
                known.is_empty() || known == is || alias.is_some_and(|alias| alias["$ref"] == **is)
            };
            let fits = sent.len() == method.arguments.len()
                && sent.iter().zip(&method.arguments).all(is)
                && is((&received, &method.answer));
            let reason = format!(
                "`{}` is ({}) -> {received}, and `Client::{}` calls it as ({}) -> {}",
                described.id,
                sent.join(", "),
                method.name,
                method.arguments.join(", "),
                method.answer
            );
            ensure(fits, &described.at, ANOTHER, &reason)?;
        }
        Ok(())
    }

    /// A constant for each operation, and one for each object that is sent.
    pub(crate) fn operations(&self) -> TokenStream {
        let operations = self.document.operations.iter();
        let operations = operations.map(|operation| self.operation(operation));
        let types = self.sent.iter();
        let types = types.map(|name| (*name, &self.document.types[*name]));
        let objects = types.filter(|(_, schema)| schema["properties"].is_object());
        let shapes = objects.map(|(name, schema)| {
            let ident = format_ident!("shape_{name}");
            let shape = self.shape(schema, self.way(name), false);
            quote!(static #ident: Shape = #shape;)
        });
        let schemas = self.sent.iter();
        let schemas = schemas.map(|name| ((*name).to_owned(), json_schema::of_type(self, name)));
        let schemas = schemas.collect::<Value>().to_string();
        quote! {
            /// What the document says of each operation.
            #[allow(non_upper_case_globals)]
            pub mod operations {
                use crate::operation::*;
                #(#operations)*
                #(#shapes)*
            }
            /// The JSON Schemas of what is sent, by the names of the types.
            #[cfg(feature = "mock")]
            pub const SCHEMAS: &str = #schemas;
        }
    }

    fn operation(&self, operation: &Operation) -> TokenStream {
        let (id, path, content_type) = (operation.id, operation.path, &operation.content_type);
        let name = format_ident!("{}", operation.name.to_uppercase());
        let method = operation.method.to_uppercase();
        let summary = format!(" `{method} {path}`");
        let shape = |schema| self.shape_of(schema, Way::Request, false);
        // `/v1/words/{word}/` is `/v1/words/`, a parameter, and `/`.
        let mut between = path.split(['{', '}']).step_by(2);
        let parameters: Vec<_> = (operation.parameters.iter().zip(&mut between))
            .map(|((name, schema), before)| {
                let shape = shape(schema);
                quote!(Parameter { name: #name, before: #before, shape: #shape })
            })
            .collect();
        let after = between.next();
        let body = option(operation.body.as_ref().map(shape));
        let answer = operation.answer.as_ref();
        let answer = option(answer.map(|answer| self.answer(operation, answer)));
        let mock = self.mock(operation);
        quote! {
            #[doc = #summary]
            pub static #name: Operation = Operation {
                id: #id, method: #method, path: #path, parameters: &[#(#parameters),*], after: #after,
                body: #body, content_type: #content_type, answer: #answer,
                #[cfg(feature = "mock")] mock: #mock,
            };
        }
    }

    fn answer(&self, operation: &Operation, answer: &Value) -> TokenStream {
        let target = self.target(answer);
        let is_object = target["type"] == "object";
        let name = answer["$ref"].as_str().unwrap_or_default();
        let ty = (!name.is_empty()).then(|| format_ident!("{name}"));
        let repeats = properties(target).filter_map(|(name, schema)| {
            let is_it = |(name, _): &(&str, Value)| schema["x-repeats"] == **name;
            let index = operation.parameters.iter().position(is_it)?;
            let field = format_ident!("{}", names::value(name)?);
            let read = quote!(|answer| property(answer, |it: &super::types::#ty| &it.#field));
            Some(quote!(Repeat { parameter: #index, read: #read }))
        });
        let names = properties(target).map(|(name, _)| name);
        let open = target["additionalProperties"].is_object();
        let whole = open || self.required(target, self.way(name)).next().is_some();
        let ty = ty
            .as_ref()
            .filter(|_| !whole && properties(target).next().is_some());
        let is_blank = option(ty.map(|ty| quote!(is_blank::<super::types::#ty>)));
        quote! {
            Answer {
                is_object: #is_object, properties: &[#(#names),*],
                is_blank: #is_blank, repeats: &[#(#repeats),*],
            }
        }
    }

    /// What the fake server needs.
    fn mock(&self, operation: &Operation) -> TokenStream {
        let body = operation.body.as_ref();
        let request = body.map(|body| json_schema::of_use(self, body, Way::Request).to_string());
        let request = request.unwrap_or_default();
        let sent = body.into_iter();
        let sent = sent.flat_map(|body| properties(self.target(body)));
        // The API spells one property `…Uri` where it is sent and `…URI` where it is returned.
        let returned = sent.filter_map(|(name, schema)| {
            let answer = operation.answer.iter();
            let answered = answer.flat_map(|answer| properties(self.target(answer)));
            let alike = answered.filter(|(other, _)| other.eq_ignore_ascii_case(name));
            let (target, _) = alike.min_by_key(|(other, _)| *other != name)?;
            let kept = self.says(schema, "writeOnly") || is_secret(schema);
            (!kept).then(|| quote!((#name, #target)))
        });
        quote!(Mock { request: #request, returned: &[#(#returned),*] })
    }

    /// A reference to the shape of a schema.
    fn shape_of(&self, schema: &Value, way: Way, shown: bool) -> TokenStream {
        if self.target(schema)["properties"].is_object() {
            let name = format_ident!("shape_{}", schema["$ref"].as_str().unwrap_or_default());
            return quote!(&#name);
        }
        let shape = self.shape(schema, way, shown);
        quote!(&#shape)
    }

    /// `shown` if it is in a list or a map that may be.
    fn shape(&self, schema: &Value, way: Way, shown: bool) -> TokenStream {
        let target = self.target(schema);
        let shown = shown || self.is_shown(schema);
        let of = |inner: &Value| {
            let shown = shown && target["properties"].is_null();
            inner.is_object().then(|| self.shape_of(inner, way, shown))
        };
        let properties: Vec<_> = properties(target)
            .map(|(name, schema)| {
                let shape = self.shape_of(schema, way, false);
                quote!((#name, #shape))
            })
            .collect();
        let properties = (!properties.is_empty()).then(|| quote!(properties: &[#(#properties),*],));
        let additional =
            of(&target["additionalProperties"]).map(|shape| quote!(additional: Some(#shape),));
        let items = of(&target["items"]).map(|shape| quote!(items: Some(#shape),));
        let limits = limits(target, way);
        let limits = (!limits.is_empty()).then(|| quote!(limits: &[#(#limits),*],));
        let shown = shown.then(|| quote!(shown: true,));
        let secret = is_secret(schema).then(|| quote!(secret: true,));
        let limited = self.is_limited(schema, way);
        let limited = limited.then(|| quote!(limited: true,));
        quote!(Shape { #shown #secret #limited #limits #properties #additional #items ..Shape::UNKNOWN })
    }

    /// Whether anything here or below has a limit.
    fn is_limited(&self, schema: &Value, way: Way) -> bool {
        let limited = |name: &str| self.limited.contains(name);
        schema["$ref"].as_str().is_some_and(limited)
            || !limits(self.target(schema), way).is_empty()
            || parts(schema).any(|part| self.is_limited(part, way))
    }
}

/// The names of the types that a schema refers to itself.
pub fn referred(schema: &Value) -> BTreeSet<&str> {
    let own = schema["$ref"].as_str().into_iter();
    own.chain(parts(schema).flat_map(referred)).collect()
}

/// All types that lead on from these, and these.
fn reach<'d>(graph: &Graph<'d>, from: impl Iterator<Item = &'d str>) -> BTreeSet<&'d str> {
    let (mut left, mut reached) = (from.collect::<Vec<_>>(), BTreeSet::new());
    while let Some(name) = left.pop() {
        if reached.insert(name) {
            left.extend(graph.get(name).into_iter().flatten());
        }
    }
    reached
}

/// Whether a type leads to itself, or to one that does; so it does while that is being found out.
fn is_circular<'d>(graph: &Graph<'d>, name: &'d str, known: &mut BTreeMap<&'d str, bool>) -> bool {
    if let Some(known) = known.get(name) {
        return *known;
    }
    known.insert(name, true);
    let mut below = graph[name].iter();
    let is_so = below.any(|below| is_circular(graph, below, known));
    known.insert(name, is_so);
    is_so
}

/// The last part of the name of the type, without a reference.
fn rust_name(schema: &Value) -> &str {
    let text = |keyword: &str| schema[keyword].as_str();
    text("$ref").unwrap_or_else(|| match (text("type"), text("format")) {
        (Some("string"), Some("e164")) => "E164",
        (Some("string"), Some("password")) => "Secret",
        (Some("string"), _) => "str",
        (Some("integer"), Some("int32")) => "i32",
        (Some("integer"), _) => "i64",
        (Some("number"), Some("float")) => "f32",
        (Some("number"), _) => "f64",
        (Some("boolean"), _) => "bool",
        (Some("array"), _) => "Vec",
        (Some("object"), _) => "BTreeMap",
        _ => "Value",
    })
}

fn limits(schema: &Value, way: Way) -> Vec<TokenStream> {
    // Where a phone number is only sent, its type guards it.
    let guarded = schema["format"] == "e164" && way == Way::Both;
    let e164 = guarded.then(|| limit("pattern", &E164.into())).flatten();
    let limits = entries(schema).filter_map(|(keyword, value)| limit(keyword, value));
    limits.chain(e164).collect()
}

/// `"maxLength": 3` → `Limit::MaxLength(3)`.
fn limit(keyword: &str, value: &Value) -> Option<TokenStream> {
    let bound = match keyword {
        "uniqueItems" => return Some(quote!(Limit::UniqueItems)),
        "enum" if value[0].is_string() => {
            let values = texts(value);
            return Some(quote!(Limit::OneOf(&[#(#values),*])));
        }
        "enum" => {
            let values = value.as_array()?.iter().map(decimal);
            return Some(quote!(Limit::OneOfNumbers(&[#(#values),*])));
        }
        "pattern" => {
            let pattern = value.as_str();
            quote!({
                static PATTERN: Pattern = Pattern::new(|| {
                    ::regex_lite::Regex::new(#pattern).expect("build.rs has read it")
                });
                &PATTERN
            })
        }
        "multipleOf" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
            decimal(value)
        }
        // Of the others, those that are counts alone have a whole number.
        _ => value.as_u64()?.to_token_stream(),
    };
    let name = format_ident!("{}{}", keyword[..1].to_uppercase(), &keyword[1..]);
    Some(quote!(Limit::#name(#bound)))
}

/// `0.25` → `Decimal(025, 2)`.
fn decimal(number: &Value) -> TokenStream {
    let digits = digits(number).unwrap_or_default();
    let scale = digits
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let scale = u32::try_from(scale).unwrap_or_default();
    let digits: TokenStream = digits.replace('.', "").parse().unwrap_or_default();
    quote!(Decimal(#digits, #scale))
}

fn option(value: Option<TokenStream>) -> TokenStream {
    value.map_or_else(|| quote!(None), |value| quote!(Some(#value)))
}
