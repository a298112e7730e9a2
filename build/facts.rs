//! What the wrapper and the fake must know of the operations. The one place that says what is
//! secret, what may be shown, and which way a schema travels.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use serde_json::{Value, json};

use super::{
    failure::{ANOTHER, Failure, NO_OPERATION, REPEATS, Result, SECRET, ensure},
    json_schema, names,
    read::{Document, Operation},
    schema::{digits, entries, properties, texts},
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

pub struct Facts<'d> {
    pub document: &'d Document<'d>,
    sent: BTreeSet<String>,
    received: BTreeSet<String>,
    /// The types in which, or below which, something has a limit.
    limited: BTreeSet<String>,
    /// The types that lead to themselves, or to one that does.
    pub circular: BTreeSet<String>,
}

pub fn is_secret(schema: &Value) -> bool {
    schema["format"] == "password"
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["password", "secret", "token", "credential"];
    words.iter().any(|word| name.contains(word))
}

/// The schemas that a schema is made of.
pub fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let inner = [&schema["items"], &schema["additionalProperties"]];
    let inner = inner.into_iter().filter(|inner| inner.is_object());
    properties(schema).map(|(_, schema)| schema).chain(inner)
}

impl<'d> Facts<'d> {
    pub fn new(document: &'d Document<'d>) -> Self {
        let mut facts = Self {
            document,
            sent: BTreeSet::new(),
            received: BTreeSet::new(),
            limited: BTreeSet::new(),
            circular: BTreeSet::new(),
        };
        for operation in &document.operations {
            operation
                .sent()
                .for_each(|schema| reach(document, schema, &mut facts.sent));
            operation
                .answer
                .iter()
                .for_each(|schema| reach(document, schema, &mut facts.received));
        }
        facts.follow();
        facts
    }

    /// Tells of each type whether anything below has a limit, and whether it leads to itself.
    fn follow(&mut self) {
        let (mut users, mut left) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::new());
        for (name, schema) in &self.document.types {
            let mut names = BTreeSet::new();
            direct(schema, &mut names);
            left.insert(name, names.len());
            for used in names {
                users.entry(used).or_default().push(name);
            }
        }
        let limited = self
            .sent
            .iter()
            .filter(|name| self.is_limited(&self.document.types[*name], self.way(name)));
        let mut found: Vec<_> = limited.cloned().collect();
        while let Some(name) = found.pop() {
            let users = users.get(&*name).into_iter().flatten();
            found.extend(
                users
                    .map(ToString::to_string)
                    .filter(|user| !self.limited.contains(user)),
            );
            self.limited.insert(name);
        }
        // What leads to no other type is no circle, and so on from there.
        let mut ends: Vec<_> = left
            .iter()
            .filter(|(_, left)| **left == 0)
            .map(|(name, _)| *name)
            .collect();
        while let Some(name) = ends.pop() {
            left.remove(name);
            for user in users.get(&**name).into_iter().flatten() {
                let left = left.entry(user).and_modify(|left| *left -= 1).or_insert(1);
                if *left == 0 {
                    ends.push(user);
                }
            }
        }
        self.circular = left.into_keys().cloned().collect();
    }

    pub fn way(&self, name: &str) -> Way {
        match (self.sent.contains(name), self.received.contains(name)) {
            (true, true) => Way::Both,
            (true, false) => Way::Request,
            (false, _) => Way::Response,
        }
    }

    /// What a reference leads to; anything else is itself.
    pub fn target<'s>(&'s self, schema: &'s Value) -> &'s Value {
        schema["$ref"]
            .as_str()
            .map_or(schema, |name| &self.document.types[name])
    }

    /// Whether something is said of a schema, or of what it refers to.
    pub fn says(&self, schema: &Value, keyword: &str) -> bool {
        schema[keyword] == true || self.target(schema)[keyword] == true
    }

    /// Whether the document says that it may appear in logs.
    pub fn is_shown(&self, schema: &Value) -> bool {
        let items = &schema["items"];
        self.says(schema, "x-loggable") || items.is_object() && self.is_shown(items)
    }

    /// The properties that are always there in what travels this way.
    pub fn required<'s>(&'s self, object: &'s Value, way: Way) -> impl Iterator<Item = &'s str> {
        texts(&object["required"]).filter(move |name| {
            let schema = &object["properties"][name];
            let never_sent = way != Way::Response && self.says(schema, "readOnly");
            let never_received = way != Way::Request && self.says(schema, "writeOnly");
            let may_be_null = way == Way::Response && self.says(schema, "nullable");
            !never_sent && !never_received && !may_be_null
        })
    }

    /// Refuses what would lose a guard, and a mark that means nothing.
    pub fn check(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        for operation in &self.document.operations {
            for schema in operation.sent() {
                self.check_secrets(schema, operation.id, &mut seen)?;
            }
        }
        for (name, object) in &self.document.types {
            let answers = |operation: &&Operation| {
                operation
                    .answer
                    .as_ref()
                    .is_some_and(|answer| answer["$ref"] == **name)
            };
            for (property, schema) in properties(object) {
                let Some(parameter) = schema["x-repeats"].as_str() else {
                    continue;
                };
                let mut operations = self.document.operations.iter().filter(answers);
                let known =
                    operations.any(|o| o.parameters.iter().any(|(name, _)| *name == parameter));
                ensure(known, &format!("{name}.{property}"), REPEATS, parameter)?;
            }
        }
        Ok(())
    }

    fn check_secrets(&self, schema: &Value, at: &str, seen: &mut BTreeSet<String>) -> Result<()> {
        let name = schema["$ref"].as_str().unwrap_or_default();
        if !name.is_empty() && !seen.insert(name.to_owned()) {
            return Ok(());
        }
        for (name, schema) in properties(self.target(schema)) {
            let at = format!("{at}.{name}");
            let mut value = schema;
            while let Some(inner) = parts(value)
                .next()
                .filter(|_| value["properties"].is_null())
            {
                value = inner;
            }
            let guarded = value["format"] == "password" || value["format"] == "e164";
            let plain = value["type"] == "string" && !guarded && !self.is_shown(schema);
            ensure(!plain || !sounds_secret(name), &at, SECRET, name)?;
            self.check_secrets(value, &at, seen)?;
        }
        Ok(())
    }

    /// Refuses operations that are not what the wrapper's methods call.
    pub fn compare(&self, methods: &[Method]) -> Result<()> {
        for Method {
            name,
            operation,
            arguments,
            answer,
        } in methods
        {
            let described = self
                .document
                .operations
                .iter()
                .find(|known| known.name == *operation);
            let described =
                described.ok_or_else(|| Failure::at("/paths", NO_OPERATION, operation))?;
            let sent: Vec<_> = described.sent().map(rust_name).collect();
            let received = described.answer.as_ref().map_or("()", rust_name);
            let is = |is: &str, known: &str| {
                let alias = self.document.types.get(known);
                known.is_empty() || known == is || alias.is_some_and(|alias| alias["$ref"] == is)
            };
            let fits = sent.len() == arguments.len()
                && sent
                    .iter()
                    .zip(arguments)
                    .all(|(is_now, known)| is(is_now, known))
                && is(received, answer);
            let (sent, arguments) = (sent.join(", "), arguments.join(", "));
            let reason = format!(
                "`{}` is ({sent}) -> {received}, and `Client::{name}` calls it as ({arguments}) -> {answer}",
                described.id
            );
            ensure(fits, &described.at, ANOTHER, &reason)?;
        }
        Ok(())
    }

    /// A constant for each operation, and one for each object that is sent.
    pub fn operations(&self) -> TokenStream {
        let operations = self
            .document
            .operations
            .iter()
            .map(|operation| self.operation(operation));
        let objects = self
            .sent
            .iter()
            .filter(|name| self.document.types[*name]["properties"].is_object());
        let shapes = objects.map(|name| {
            let ident = format_ident!("shape_{name}");
            let shape = self.shape(&self.document.types[name], self.way(name), false);
            quote!(static #ident: Shape = #shape;)
        });
        let schemas = self.sent.iter();
        let schemas = schemas.map(|name| (name.clone(), json_schema::of_type(self, name)));
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
        let Operation {
            id,
            method,
            path,
            body,
            ..
        } = operation;
        let name = format_ident!("{}", operation.name.to_uppercase());
        let method = method.to_uppercase();
        let summary = format!(" `{method} {path}`");
        let shape = |schema| self.shape_of(schema, Way::Request, false);
        let parameters = operation.parameters.iter().map(|(name, schema)| {
            let shape = shape(schema);
            quote!((#name, #shape))
        });
        let content_type = body.as_ref().map_or("", |(content_type, _)| content_type);
        let body = option(body.as_ref().map(|(_, schema)| shape(schema)));
        let answer = option(
            operation
                .answer
                .as_ref()
                .map(|answer| self.answer(operation, answer)),
        );
        let mock = self.mock(operation);
        quote! {
            #[doc = #summary]
            pub static #name: Operation = Operation {
                id: #id, method: #method, path: #path, parameters: &[#(#parameters),*], body: #body,
                content_type: #content_type, answer: #answer, #[cfg(feature = "mock")] mock: #mock,
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
            Some(quote!((#index, #read)))
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
        let Some((_, body)) = &operation.body else {
            return quote!(Mock {
                request: "",
                returned: &[]
            });
        };
        let schema = json_schema::of_use(self, body, Way::Request).to_string();
        let answered: Vec<_> = operation
            .answer
            .iter()
            .flat_map(|a| properties(self.target(a)))
            .collect();
        // The API spells one property `…Uri` where it is sent and `…URI` where it is returned.
        let returned = properties(self.target(body)).filter_map(|(name, schema)| {
            let same = answered.iter().find(|(other, _)| *other == name);
            let alike = || {
                answered
                    .iter()
                    .find(|(other, _)| other.eq_ignore_ascii_case(name))
            };
            let (target, _) = same.or_else(alike)?;
            let kept = self.says(schema, "writeOnly") || is_secret(schema);
            (!kept).then(|| quote!((#name, #target)))
        });
        quote!(Mock { request: #schema, returned: &[#(#returned),*] })
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
        let others = of(&target["additionalProperties"]).map(|shape| quote!(others: Some(#shape),));
        let items = of(&target["items"]).map(|shape| quote!(items: Some(#shape),));
        let limits = limits(target, way);
        let limits = (!limits.is_empty()).then(|| quote!(limits: &[#(#limits),*],));
        let limited = self.is_limited(schema, way);
        let flags = [
            ("shown", shown),
            ("secret", is_secret(schema)),
            ("limited", limited),
        ];
        let flags = flags
            .into_iter()
            .filter(|(_, is_set)| *is_set)
            .map(|(name, _)| {
                let name = format_ident!("{name}");
                quote!(#name: true,)
            });
        quote!(Shape { #(#flags)* #limits #properties #others #items ..Shape::UNKNOWN })
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
pub fn direct<'s>(schema: &'s Value, names: &mut BTreeSet<&'s str>) {
    names.extend(schema["$ref"].as_str());
    parts(schema).for_each(|part| direct(part, names));
}

/// The names of all types that lead on from a schema.
fn reach(document: &Document, schema: &Value, names: &mut BTreeSet<String>) {
    let mut left = vec![schema];
    while let Some(schema) = left.pop() {
        left.extend(parts(schema));
        if let Some(name) = schema["$ref"].as_str()
            && names.insert(name.to_owned())
        {
            left.push(&document.types[name]);
        }
    }
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
    let e164 = json!({ "pattern": E164 });
    let e164 = entries(&e164).filter(|_| guarded);
    entries(schema)
        .chain(e164)
        .filter_map(|(keyword, value)| limit(keyword, value))
        .collect()
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
