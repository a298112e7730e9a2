//! Writes the descriptions of the operations for the wrapper and the fake server.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;

use super::json_schema;
use crate::{
    limits::{self, Limit, Number},
    model::{Direction, Model, is_secret},
    read::Operation,
    schema::properties,
    texts::escape,
};

impl Model<'_> {
    /// Writes a constant for each operation, and one for each object in requests.
    pub(crate) fn operations(&self) -> TokenStream {
        let operations = self
            .document
            .operations
            .iter()
            .map(|operation| self.operation(operation));
        let objects = self
            .in_requests
            .iter()
            .map(|name| (*name, &self.document.types[*name]))
            .filter(|(_, schema)| schema["properties"].is_object());
        let shapes = objects.map(|(name, schema)| {
            let ident = format_ident!("shape_{name}");
            let shape = self.shape(schema, self.direction(name), false);
            let ty = format_ident!("{name}");
            quote! {
                static #ident: Shape = #shape;

                impl super::types::#ty {
                    /// Checks the value against the limits of the document, without a client.
                    ///
                    /// # Errors
                    ///
                    /// [`Error::is_invalid_request`](crate::Error::is_invalid_request) if it breaks
                    /// one; [`Error::property`](crate::Error::property) names the property.
                    pub fn validate(&self) -> ::std::result::Result<(), crate::Error> {
                        crate::validation::validate(&#ident, self)
                    }
                }
            }
        });
        let schemas = self
            .in_requests
            .iter()
            .map(|name| {
                let schema = json_schema::of_type(self, name);
                ((*name).to_owned(), json_schema::without_patterns(schema))
            })
            .collect::<Value>()
            .to_string();
        let skipped = self.document.skipped.iter().map(|skipped| {
            let text = format!(
                "Not generated: {}, because {}",
                skipped.what, skipped.failure
            );
            format!(" - {}", escape(&text))
        });
        let skipped: Vec<_> = skipped.collect();
        let empty_line = (!skipped.is_empty()).then(|| quote!(#[doc = ""]));
        quote! {
            /// What the document says of each operation.
            #empty_line
            #(#[doc = #skipped])*
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
        let shape = |schema| self.shape_of(schema, Direction::Request, false);
        // `/v1/words/{word}/` is `/v1/words/`, a parameter, and `/`.
        let mut between = path.split(['{', '}']).step_by(2);
        let parameters: Vec<_> = (operation.parameters.iter().zip(&mut between))
            .map(|(parameter, before)| {
                let (name, shape) = (parameter.name, shape(&parameter.schema));
                quote!(Parameter { name: #name, before: #before, shape: #shape })
            })
            .collect();
        let after = between.next();
        let headers = operation.headers.iter().map(|parameter| {
            let (name, shape) = (
                parameter.name.to_ascii_lowercase(),
                shape(&parameter.schema),
            );
            quote!((#name, #shape))
        });
        let (query, joined) = (
            option(operation.query.as_ref().map(shape)),
            &operation.joined,
        );
        let body = option(operation.body.as_ref().map(shape));
        let idempotent = operation.idempotent;
        let answer = operation.answer.as_ref();
        let answer = option(answer.map(|answer| self.answer(operation, answer)));
        let mock = self.mock(operation);
        quote! {
            #[doc = #summary]
            pub static #name: Operation = Operation {
                id: #id, method: #method, path: #path, parameters: &[#(#parameters),*], after: #after,
                query: #query, joined: &[#(#joined),*], headers: &[#(#headers),*],
                body: #body, content_type: #content_type, idempotent: #idempotent, answer: #answer,
                #[cfg(feature = "mock")] mock: #mock,
            };
        }
    }

    fn answer(&self, operation: &Operation, answer: &Value) -> TokenStream {
        let target = self.target(answer);
        let is_object = target["type"] == "object";
        let (may_be_empty, shown) = (operation.may_be_empty, self.is_debug(answer));
        let names = properties(target).map(|(name, _)| name);
        let open = target["additionalProperties"].is_object();
        let whole = open
            || self
                .required(target, self.direction(&type_of(answer)))
                .next()
                .is_some();
        let ty = format_ident!("{}", type_of(answer));
        let can_be_blank = is_object && !whole && properties(target).next().is_some();
        let is_blank = option(can_be_blank.then(|| quote!(is_blank::<super::types::#ty>)));
        quote! {
            Answer {
                is_object: #is_object, may_be_empty: #may_be_empty, shown: #shown,
                properties: &[#(#names),*], is_blank: #is_blank,
            }
        }
    }

    /// Writes the part of an operation that the fake server needs.
    fn mock(&self, operation: &Operation) -> TokenStream {
        let body = operation.body.as_ref();
        let request = body.map(|body| {
            json_schema::without_patterns(json_schema::of_use(self, body, Direction::Request))
                .to_string()
        });
        let request = request.unwrap_or_default();
        let sent = body
            .into_iter()
            .flat_map(|body| properties(self.target(body)));
        // The API spells one property `…Uri` where it is sent and `…URI` where it is returned.
        let returned = sent.filter_map(|(name, schema)| {
            let answer = operation.answer.iter();
            let answered = answer.flat_map(|answer| properties(self.target(answer)));
            let alike = answered.filter(|(other, _)| other.eq_ignore_ascii_case(name));
            let (target, _) = alike.min_by_key(|(other, _)| *other != name)?;
            let kept = self.has_flag(schema, "writeOnly") || is_secret(schema);
            (!kept).then(|| quote!((#name, #target)))
        });
        quote!(Mock { request: #request, returned: &[#(#returned),*] })
    }

    /// Writes a reference to the shape of a schema.
    fn shape_of(&self, schema: &Value, direction: Direction, shown: bool) -> TokenStream {
        if self.target(schema)["properties"].is_object() {
            let name = format_ident!("shape_{}", schema["$ref"].as_str().unwrap_or_default());
            return quote!(&#name);
        }
        let shape = self.shape(schema, direction, shown);
        quote!(&#shape)
    }

    /// Writes the shape of a schema; `shown` is true inside a list or a map that may be shown.
    fn shape(&self, schema: &Value, direction: Direction, shown: bool) -> TokenStream {
        let target = self.target(schema);
        let shown = shown || self.is_shown(schema);
        let write_inner = |inner: &Value| {
            let shown = shown && target["properties"].is_null();
            inner
                .is_object()
                .then(|| self.shape_of(inner, direction, shown))
        };
        let properties: Vec<_> = properties(target)
            .map(|(name, schema)| {
                let shape = self.shape_of(schema, direction, false);
                quote!((#name, #shape))
            })
            .collect();
        let properties = (!properties.is_empty()).then(|| quote!(properties: &[#(#properties),*],));
        let additional = write_inner(&target["additionalProperties"])
            .map(|shape| quote!(additional: Some(#shape),));
        let items = write_inner(&target["items"]).map(|shape| quote!(items: Some(#shape),));
        let limits: Vec<_> = limits::of(target, direction)
            .into_iter()
            .map(limit)
            .collect();
        let limits = (!limits.is_empty()).then(|| quote!(limits: &[#(#limits),*],));
        let shown = shown.then(|| quote!(shown: true,));
        let secret = is_secret(schema).then(|| quote!(secret: true,));
        let limited = self
            .is_limited(schema, direction)
            .then(|| quote!(limited: true,));
        quote!(Shape { #shown #secret #limited #limits #properties #additional #items ..Shape::UNKNOWN })
    }
}

/// `Limit::Count("MaxLength", 3)` → `Limit::MaxLength(3)`.
fn limit(limit: Limit) -> TokenStream {
    match limit {
        Limit::Count(name, count) => {
            let name = format_ident!("{name}");
            quote!(Limit::#name(#count))
        }
        Limit::Bound(name, bound) => {
            let (name, bound) = (format_ident!("{name}"), number(&bound));
            quote!(Limit::#name(#bound))
        }
        Limit::Pattern(translated, text) => quote!(Limit::Pattern({
            static PATTERN: Pattern = Pattern::new(#text, #translated);
            &PATTERN
        })),
        Limit::Texts(values) => quote!(Limit::OneOf(&[#(#values),*])),
        Limit::Numbers(numbers) => {
            let numbers = numbers.iter().map(number);
            quote!(Limit::OneOfNumbers(&[#(#numbers),*]))
        }
        Limit::UniqueItems => quote!(Limit::UniqueItems),
    }
}

fn number(number: &Number) -> TokenStream {
    match number {
        Number::Integer(value) => quote!(Number::Integer(#value)),
        Number::Float(value) => quote!(Number::Float(#value)),
    }
}

/// Returns the name of the type that a schema refers to, or `_`, which no type has, without a
/// reference.
fn type_of(schema: &Value) -> String {
    schema["$ref"].as_str().unwrap_or("_").to_owned()
}

fn option(value: Option<TokenStream>) -> TokenStream {
    value.map_or_else(|| quote!(None), |value| quote!(Some(#value)))
}
