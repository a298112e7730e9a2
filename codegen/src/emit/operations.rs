//! Writes what the wrapper and the fake must know of the operations.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use serde_json::Value;

use super::json_schema;
use crate::{
    model::{Direction, E164, Model, is_secret},
    names,
    read::Operation,
    schema::{digits, entries, properties, texts},
};

impl Model<'_> {
    /// A constant for each operation, and one for each object that is sent.
    pub(crate) fn operations(&self) -> TokenStream {
        let operations = self.document.operations.iter();
        let operations = operations.map(|operation| self.operation(operation));
        let types = self.in_requests.iter();
        let types = types.map(|name| (*name, &self.document.types[*name]));
        let objects = types.filter(|(_, schema)| schema["properties"].is_object());
        let shapes = objects.map(|(name, schema)| {
            let ident = format_ident!("shape_{name}");
            let shape = self.shape(schema, self.direction(name), false);
            quote!(static #ident: Shape = #shape;)
        });
        let schemas = self.in_requests.iter();
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
        let shape = |schema| self.shape_of(schema, Direction::Request, false);
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
        let whole = open || self.required(target, self.direction(name)).next().is_some();
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
        let request =
            body.map(|body| json_schema::of_use(self, body, Direction::Request).to_string());
        let request = request.unwrap_or_default();
        let sent = body.into_iter();
        let sent = sent.flat_map(|body| properties(self.target(body)));
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

    /// A reference to the shape of a schema.
    fn shape_of(&self, schema: &Value, direction: Direction, shown: bool) -> TokenStream {
        if self.target(schema)["properties"].is_object() {
            let name = format_ident!("shape_{}", schema["$ref"].as_str().unwrap_or_default());
            return quote!(&#name);
        }
        let shape = self.shape(schema, direction, shown);
        quote!(&#shape)
    }

    /// `shown` if it is in a list or a map that may be.
    fn shape(&self, schema: &Value, direction: Direction, shown: bool) -> TokenStream {
        let target = self.target(schema);
        let shown = shown || self.is_shown(schema);
        let of = |inner: &Value| {
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
        let additional =
            of(&target["additionalProperties"]).map(|shape| quote!(additional: Some(#shape),));
        let items = of(&target["items"]).map(|shape| quote!(items: Some(#shape),));
        let limits = limits(target, direction);
        let limits = (!limits.is_empty()).then(|| quote!(limits: &[#(#limits),*],));
        let shown = shown.then(|| quote!(shown: true,));
        let secret = is_secret(schema).then(|| quote!(secret: true,));
        let limited = self.is_limited(schema, direction);
        let limited = limited.then(|| quote!(limited: true,));
        quote!(Shape { #shown #secret #limited #limits #properties #additional #items ..Shape::UNKNOWN })
    }
}

pub fn limits(schema: &Value, direction: Direction) -> Vec<TokenStream> {
    // Where a phone number is only sent, its type guards it.
    let guarded = schema["format"] == "e164" && direction == Direction::Both;
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
