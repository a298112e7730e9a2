//! Finishes the matchers that the generator wrote for httpmock, and adds what the fake server
//! must know of each operation.

use std::collections::BTreeMap;

use heck::ToShoutySnakeCase;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::{Value, json};
use syn::{
    Expr, FnArg, ImplItem, ImplItemFn, Item, ItemImpl, Stmt, Token, Type, parse::Parser,
    parse_quote, punctuated::Punctuated,
};

use crate::{
    Failure,
    document::{Document, Operation, resolve},
};

const STEP: &str = "finish the mock";
const REMEDY: &str = "The generator has changed: compare build/mock.rs with what it writes.";

pub fn finish(generated: TokenStream, document: &Document) -> Result<String, Failure> {
    let mut file: syn::File = syn::parse2(generated).map_err(|e| Failure::new(STEP, e, REMEDY))?;
    let mut repaired = 0;
    for item in &mut file.items {
        let Item::Mod(module) = item else { continue };
        for item in module.content.iter_mut().flat_map(|(_, items)| items) {
            match item {
                Item::Impl(item) => repaired += finish_impl(item),
                // For the methods that the mock adds.
                Item::Struct(item) => item
                    .fields
                    .iter_mut()
                    .for_each(|field| field.vis = parse_quote!(pub(in crate::mock))),
                _ => {}
            }
        }
    }
    let parameters: usize = document
        .operations
        .iter()
        .map(|o| o.path.matches('{').count())
        .sum();
    if repaired != parameters {
        let reason = format!("{repaired} of {parameters} path matchers were repaired");
        return Err(Failure::new(STEP, reason, REMEDY));
    }
    let facts = document
        .operations
        .iter()
        .filter_map(|operation| facts(operation, &document.original));
    file.items.push(parse_quote! {
        pub mod facts { use crate::mock::Facts; #(#facts)* }
    });
    Ok(prettyplease::unparse(&file))
}

/// Documents the methods and returns how many path matchers were repaired.
fn finish_impl(item: &mut ItemImpl) -> usize {
    let Type::Path(of) = &*item.self_ty else {
        return 0;
    };
    let is_when = of
        .path
        .get_ident()
        .is_some_and(|name| name.to_string().ends_with("When"));
    let mut repaired = 0;
    for item in &mut item.items {
        let ImplItem::Fn(method) = item else { continue };
        repaired += usize::from(escape_path_value(method).is_some());
        let name = method.sig.ident.to_string();
        let takes_value = method
            .sig
            .inputs
            .iter()
            .any(|input| matches!(input, FnArg::Typed(_)));
        let doc = match (&*name, is_when) {
            ("new", _) => {
                method.vis = parse_quote!(pub(in crate::mock));
                continue;
            }
            ("into_inner", true) => " httpmock's own matcher, for any other condition.".to_owned(),
            ("into_inner", false) => " httpmock's own answer, for anything else.".to_owned(),
            (_, true) => format!(" Whose `{name}` is just this."),
            (_, false) if takes_value => " The documented answer, with this value.".to_owned(),
            (_, false) => " The documented answer.".to_owned(),
        };
        method.attrs.push(parse_quote!(#[doc = #doc]));
    }
    repaired
}

/// In `regex::Regex::new(&format!("…", value)).unwrap()` at the start of a path matcher, lets the
/// value stand for itself: the `+` of a phone number is an operator in a regular expression.
fn escape_path_value(method: &mut ImplItemFn) -> Option<()> {
    let Stmt::Local(local) = method.block.stmts.first_mut()? else {
        return None;
    };
    let Expr::MethodCall(unwrap) = &mut *local.init.as_mut()?.expr else {
        return None;
    };
    let Expr::Call(new) = &mut *unwrap.receiver else {
        return None;
    };
    let Expr::Reference(reference) = new.args.first_mut()? else {
        return None;
    };
    let Expr::Macro(format) = &mut *reference.expr else {
        return None;
    };
    let arguments = Punctuated::<Expr, Token![,]>::parse_terminated
        .parse2(format.mac.tokens.clone())
        .ok()?;
    let mut arguments = arguments.iter();
    let (pattern, value) = (arguments.next()?, arguments.next()?);
    // The value stands in the path as the client encodes it.
    format.mac.tokens = quote! {
        #pattern, ::regex::escape(&::progenitor_client::encode_path(&#value))
    };
    Some(())
}

/// What the fake server must know of an operation that takes and returns JSON.
fn facts(operation: &Operation, document: &Value) -> Option<TokenStream> {
    let described = &document["paths"][&operation.path][operation.method.to_lowercase()];
    let json = |content: &Value| {
        let schema = resolve(document, content)["content"]["application/json"]["schema"].clone();
        schema.is_object().then_some(schema)
    };
    let request = json(&described["requestBody"])?;
    let response = described["responses"]
        .as_object()?
        .iter()
        .filter(|(status, _)| status.starts_with('2'))
        .find_map(|(_, response)| json(response))?;
    let (mut sent, mut shown) = (BTreeMap::new(), BTreeMap::new());
    properties(document, &request, &mut sent, 0);
    properties(document, &response, &mut shown, 0);
    // The API spells one property `…Uri` where it is sent and `…URI` where it is returned.
    let returned = sent.iter().filter_map(|(name, schema)| {
        let secret = schema["writeOnly"] == true || schema["format"] == "password";
        let (target, _) = shown
            .get_key_value(name)
            .or_else(|| shown.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)))?;
        (!secret).then(|| quote!((#name, #target)))
    });
    let mut schema = json!({ "allOf": [request], "components": document["components"] });
    spell_null(&mut schema);
    let schema = schema.to_string();
    let name = format_ident!("{}", operation.id.to_shouty_snake_case());
    Some(quote! {
        pub static #name: Facts = Facts { request: #schema, returned: &[#(#returned),*] };
    })
}

fn properties<'v>(
    document: &'v Value,
    schema: &'v Value,
    found: &mut BTreeMap<&'v str, &'v Value>,
    depth: usize,
) {
    if depth > 16 {
        return; // a schema that contains itself
    }
    let schema = resolve(document, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(name, resolve(document, property));
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        properties(document, part, found, depth + 1);
    }
}

/// Turns `nullable`, which JSON Schema does not know, into a type and an enum value.
fn spell_null(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("nullable") == Some(&Value::Bool(true)) {
                if let Some(kind) = map.get_mut("type").filter(|kind| kind.is_string()) {
                    *kind = json!([kind, "null"]);
                }
                if let Some(Value::Array(values)) = map.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            map.values_mut().for_each(spell_null);
        }
        Value::Array(items) => items.iter_mut().for_each(spell_null),
        _ => {}
    }
}
