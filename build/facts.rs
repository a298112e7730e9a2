//! What the wrapper and the fake must know of the operations. The one place that says what is
//! secret and what may be shown.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::json;

use super::{
    failure::Failure,
    json_schema,
    node::CHECK,
    read::{Document, Operation},
    schema::{Bound, Kind, Limit, Schema, Text, reach},
    wrapper::Method,
};

/// What `format: e164` asks of a text.
pub const E164: &str = "^\\+[1-9][0-9]{6,14}$";

/// Which way a schema travels.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Request,
    Response,
    Both,
}

pub struct Facts<'d> {
    pub document: &'d Document,
    sent: BTreeSet<String>,
    received: BTreeSet<String>,
}

pub fn is_secret(schema: &Schema) -> bool {
    matches!(schema.kind, Kind::Text(Text::Password))
}

impl<'d> Facts<'d> {
    pub fn new(document: &'d Document) -> Self {
        let (mut sent, mut received) = (BTreeSet::new(), BTreeSet::new());
        for operation in &document.operations {
            for parameter in &operation.parameters {
                reach(&document.schemas, &parameter.schema, &mut sent);
            }
            if let Some(body) = &operation.body {
                reach(&document.schemas, &body.schema, &mut sent);
            }
            if let Some(answer) = &operation.answer {
                reach(&document.schemas, answer, &mut received);
            }
        }
        Self {
            document,
            sent,
            received,
        }
    }

    pub fn way(&self, name: &str) -> Way {
        match (self.sent.contains(name), self.received.contains(name)) {
            (true, true) => Way::Both,
            (true, false) => Way::Request,
            (false, _) => Way::Response,
        }
    }

    /// What a reference leads to; anything else is itself.
    pub fn target<'s>(&'s self, schema: &'s Schema) -> &'s Schema {
        match &schema.kind {
            Kind::Reference(name) => &self.document.schemas[name],
            _ => schema,
        }
    }

    pub fn is_nullable(&self, schema: &Schema) -> bool {
        schema.nullable || self.target(schema).nullable
    }

    /// Whether the document says that it may appear in logs.
    pub fn is_shown(&self, schema: &Schema) -> bool {
        let listed = match &schema.kind {
            Kind::List(items) => self.is_shown(items),
            _ => false,
        };
        schema.loggable || self.target(schema).loggable || listed
    }

    /// Whether a property may be left out of what travels this way.
    pub fn is_optional(&self, schema: &Schema, required: bool, way: Way) -> bool {
        let target = self.target(schema);
        let other_way = (schema.read_only || target.read_only) && way != Way::Response
            || (schema.write_only || target.write_only) && way != Way::Request;
        !required || other_way || way == Way::Response && self.is_nullable(schema)
    }

    /// Refuses what would be guarded if it were described another way.
    pub fn check(&self) -> Result<(), Failure> {
        let objects =
            self.document
                .schemas
                .iter()
                .filter_map(|(name, schema)| match &schema.kind {
                    Kind::Object(object) => Some((name, object)),
                    _ => None,
                });
        for (name, object) in objects {
            for (property, schema) in &object.properties {
                let mut inner = schema;
                while let Kind::List(items) | Kind::Map(items) = &inner.kind {
                    inner = items;
                }
                let plain = matches!(inner.kind, Kind::Text(Text::Plain)) && !self.is_shown(schema);
                if self.sent.contains(name) && plain && sounds_secret(property) {
                    let reason =
                        format!("`{property}` sounds like a secret and would be a plain text");
                    let remedy =
                        "Give it `format: password`, or `x-loggable: true` if it is harmless.";
                    return Err(Failure::new(CHECK, reason, remedy).at(&schema.at));
                }
                if let Some(parameter) = &schema.repeats
                    && !self.document.operations.iter().any(|operation| {
                        let answers = operation
                            .answer
                            .as_ref()
                            .is_some_and(|a| a.kind == Kind::Reference(name.clone()));
                        answers && operation.parameters.iter().any(|p| p.name == *parameter)
                    })
                {
                    let reason =
                        format!("no operation with a parameter `{parameter}` answers with it");
                    return Err(
                        Failure::new(CHECK, reason, "Name a parameter of the path.").at(&schema.at)
                    );
                }
            }
        }
        Ok(())
    }

    /// Refuses a document whose operations are not what the wrapper's methods call.
    pub fn compare(&self, methods: &[Method]) -> Result<(), Failure> {
        for method in methods {
            let Method {
                name,
                operation,
                arguments,
                answer,
            } = method;
            let Some(described) = self
                .document
                .operations
                .iter()
                .find(|o| o.name == *operation)
            else {
                return Err(Failure::new(
                    CHECK,
                    format!("it has no operation `{operation}`, which `Client::{name}` calls"),
                    "Give the operation this `operationId`, in camel case or any other, or take the method out of src/client.rs.",
                ));
            };
            let body = described.body.as_ref().map(|body| &body.schema);
            let parameters = described
                .parameters
                .iter()
                .map(|parameter| &parameter.schema);
            let has: Vec<_> = parameters
                .chain(body)
                .map(|schema| self.rust_names(schema))
                .collect();
            let fits = |(has, wants): (&Vec<String>, &Option<String>)| {
                wants.as_ref().is_none_or(|wants| has.contains(wants))
            };
            let differs = |what: &str| {
                Failure::new(
                    CHECK,
                    format!(
                        "`{}` has {what}, as `Client::{name}` does not expect",
                        described.id
                    ),
                    "Describe it as before, or change the method in src/client.rs.",
                )
                .at(&described.at)
            };
            if has.len() != arguments.len() || !has.iter().zip(arguments).all(fits) {
                let has: Vec<_> = has.iter().map(|names| format!("`{}`", names[0])).collect();
                return Err(differs(&format!("the arguments {}", has.join(", "))));
            }
            let has = described
                .answer
                .as_ref()
                .map_or_else(|| vec!["()".into()], |a| self.rust_names(a));
            if !fits((&has, answer)) {
                return Err(differs(&format!("the answer `{}`", has[0])));
            }
        }
        Ok(())
    }

    /// What the type of a schema may be called in a signature.
    fn rust_names(&self, schema: &Schema) -> Vec<String> {
        let names: &[&str] = match &schema.kind {
            Kind::Reference(name) => {
                let aliases = self
                    .document
                    .schemas
                    .iter()
                    .filter(|(_, alias)| alias.kind == schema.kind);
                return [name.clone()]
                    .into_iter()
                    .chain(aliases.map(|(alias, _)| alias.clone()))
                    .collect();
            }
            Kind::Text(Text::Plain) => &["str", "String"],
            Kind::Text(Text::E164) => &["E164", "ReportedNumber"],
            Kind::Text(Text::Password) => &["Secret"],
            Kind::Integer(name) | Kind::Number(name) => &[name],
            Kind::Boolean => &["bool"],
            Kind::Any => &["Value"],
            Kind::List(_) => &["Vec"],
            _ => &["BTreeMap", "Map"],
        };
        names.iter().map(ToString::to_string).collect()
    }

    /// A constant for each operation, and one for each shape.
    pub fn operations(&self) -> TokenStream {
        let operations = self
            .document
            .operations
            .iter()
            .map(|operation| self.operation(operation));
        let shapes = self.document.schemas.iter().filter_map(|(name, schema)| {
            let is_sent = self.sent.contains(name) && matches!(schema.kind, Kind::Object(_));
            let (name, shape) = (
                format_ident!("{name}"),
                self.shape(schema, self.way(name), false),
            );
            is_sent.then(|| quote!(pub static #name: Shape = #shape;))
        });
        quote! {
            /// What the document says of each operation.
            pub mod operations {
                use crate::operation::*;
                #(#operations)*
                /// Of the objects that are sent.
                #[allow(non_upper_case_globals)]
                mod shapes { use crate::operation::*; use super::shapes; #(#shapes)* }
            }
        }
    }

    fn operation(&self, operation: &Operation) -> TokenStream {
        let Operation {
            id, method, path, ..
        } = operation;
        let name = format_ident!("{}", operation.name.to_uppercase());
        let summary = format!(" `{method} {path}`");
        let parameters = operation.parameters.iter().map(|parameter| {
            let (name, shape) = (
                &parameter.name,
                self.shape_of(&parameter.schema, Way::Request, false),
            );
            quote!((#name, #shape))
        });
        let body = option(
            operation
                .body
                .as_ref()
                .map(|body| self.shape_of(&body.schema, Way::Request, false)),
        );
        let content_type = operation
            .body
            .as_ref()
            .map_or("", |body| &body.content_type);
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
                id: #id,
                method: #method,
                path: #path,
                parameters: &[#(#parameters),*],
                body: #body,
                content_type: #content_type,
                answer: #answer,
                #[cfg(feature = "mock")]
                mock: #mock,
            };
        }
    }

    fn answer(&self, operation: &Operation, answer: &Schema) -> TokenStream {
        let target = self.target(answer);
        let is_object = matches!(target.kind, Kind::Object(_) | Kind::Map(_));
        let Kind::Object(object) = &target.kind else {
            return quote!(Answer { is_object: #is_object, properties: &[], repeats: &[] });
        };
        let closed = !matches!(object.others, super::schema::Others::Are(_));
        let names = object
            .properties
            .iter()
            .filter(|_| closed)
            .map(|(name, _)| name);
        let repeats = object.properties.iter().filter_map(|(name, schema)| {
            let parameter = schema.repeats.as_ref()?;
            let index = operation
                .parameters
                .iter()
                .position(|p| p.name == *parameter)?;
            Some(quote!((#name, #index)))
        });
        quote!(Answer { is_object: true, properties: &[#(#names),*], repeats: &[#(#repeats),*] })
    }

    /// What the fake server needs.
    fn mock(&self, operation: &Operation) -> TokenStream {
        let Some(body) = &operation.body else {
            return quote!(Mock {
                request: "",
                returned: &[]
            });
        };
        let mut names = BTreeSet::new();
        reach(&self.document.schemas, &body.schema, &mut names);
        let mut schema = json_schema::used(self, &body.schema, Way::Request);
        let defined = names.into_iter().map(|name| {
            let schema = json_schema::defined(self, &name);
            (name, schema)
        });
        let defined: serde_json::Map<_, _> = defined.collect();
        schema["$defs"] = json!(defined);
        let schema = schema.to_string();
        let properties = |schema: &Schema| match &self.target(schema).kind {
            Kind::Object(object) => object.properties.clone(),
            _ => Vec::new(),
        };
        let answered = operation
            .answer
            .as_ref()
            .map(properties)
            .unwrap_or_default();
        // The API spells one property `…Uri` where it is sent and `…URI` where it is returned.
        let returned = properties(&body.schema)
            .into_iter()
            .filter_map(|(name, schema)| {
                let same = answered.iter().find(|(n, _)| *n == name);
                let (target, _) =
                    same.or_else(|| answered.iter().find(|(n, _)| n.eq_ignore_ascii_case(&name)))?;
                let kept = schema.write_only || is_secret(&schema);
                (!kept).then(|| quote!((#name, #target)))
            });
        quote!(Mock { request: #schema, returned: &[#(#returned),*] })
    }

    /// A reference to the shape of a schema.
    fn shape_of(&self, schema: &Schema, way: Way, shown: bool) -> TokenStream {
        if let Kind::Reference(name) = &schema.kind
            && matches!(self.target(schema).kind, Kind::Object(_))
        {
            let name = format_ident!("{name}");
            return quote!(&shapes::#name);
        }
        let shape = self.shape(schema, way, shown);
        quote!(&#shape)
    }

    /// `shown` where a list or a map is, whose values are then too.
    fn shape(&self, schema: &Schema, way: Way, shown: bool) -> TokenStream {
        let target = self.target(schema);
        let shown = shown || self.is_shown(schema);
        let secret = is_secret(schema);
        let mut limits: Vec<_> = schema.limits.iter().map(limit).collect();
        if !std::ptr::eq(schema, target) {
            limits.extend(target.limits.iter().map(limit));
        }
        // A phone number that is only sent has a type that guards it.
        if matches!(schema.kind, Kind::Text(Text::E164)) && way == Way::Both {
            limits.push(limit(&Limit {
                keyword: "pattern",
                bound: Bound::Text(E164.to_owned()),
            }));
        }
        let (mut properties, mut others, mut items) = (Vec::new(), None, None);
        match &target.kind {
            Kind::List(inner) => items = Some(self.shape_of(inner, way, shown)),
            Kind::Map(inner) => others = Some(self.shape_of(inner, way, shown)),
            Kind::Object(object) => {
                for (name, schema) in &object.properties {
                    let shape = self.shape_of(schema, way, false);
                    properties.push(quote!((#name, #shape)));
                }
                if let super::schema::Others::Are(schema) = &object.others {
                    others = Some(self.shape_of(schema, way, false));
                }
            }
            _ => {}
        }
        let limited = self.is_limited(schema, way, &mut BTreeSet::new());
        let flags = [("shown", shown), ("secret", secret), ("limited", limited)];
        let flags = flags
            .into_iter()
            .filter(|(_, is_set)| *is_set)
            .map(|(name, _)| {
                let name = format_ident!("{name}");
                quote!(#name: true,)
            });
        let limits = (!limits.is_empty()).then(|| quote!(limits: &[#(#limits),*],));
        let properties = (!properties.is_empty()).then(|| quote!(properties: &[#(#properties),*],));
        let others = others.map(|shape| quote!(others: Some(#shape),));
        let items = items.map(|shape| quote!(items: Some(#shape),));
        quote!(Shape { #(#flags)* #limits #properties #others #items ..Shape::UNKNOWN })
    }

    /// Whether anything here or below has a limit.
    fn is_limited(&self, schema: &Schema, way: Way, seen: &mut BTreeSet<String>) -> bool {
        let guarded = matches!(schema.kind, Kind::Text(Text::E164)) && way == Way::Both;
        let below = match &schema.kind {
            Kind::Reference(name) => {
                seen.insert(name.clone())
                    && self.is_limited(self.target(schema), self.way(name), seen)
            }
            _ => schema
                .parts()
                .into_iter()
                .any(|part| self.is_limited(part, way, seen)),
        };
        guarded || below || !schema.limits.is_empty()
    }
}

fn limit(limit: &Limit) -> TokenStream {
    let keyword = match limit.keyword {
        "enum" => "oneOf",
        keyword => keyword,
    };
    let name = format_ident!("{}{}", keyword[..1].to_uppercase(), &keyword[1..]);
    match &limit.bound {
        Bound::Flag => quote!(Limit::#name),
        Bound::Count(count) => quote!(Limit::#name(#count)),
        Bound::Number(digits) => {
            let number = decimal(digits);
            quote!(Limit::#name(#number))
        }
        Bound::Text(pattern) => quote!(Limit::#name({
            static PATTERN: Pattern = Pattern::new(|| ::regex_lite::Regex::new(#pattern).expect("build.rs has read it"));
            &PATTERN
        })),
        Bound::Texts(values) => quote!(Limit::#name(&[#(#values),*])),
        Bound::Numbers(values) => {
            let values = values.iter().map(|digits| decimal(digits));
            quote!(Limit::OneOfNumbers(&[#(#values),*]))
        }
    }
}

/// `0.25` → `Decimal(025, 2)`.
fn decimal(digits: &str) -> TokenStream {
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

fn sounds_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let words = ["password", "secret", "token", "credential"];
    words.iter().any(|word| name.contains(word))
}
