//! What `src/` takes for granted of the document: found there, so that it is written once.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{FnArg, GenericArgument, ImplItem, Item, PathArguments, ReturnType, Type};

use super::failure::Failure;

/// A method of the client that calls an operation.
#[derive(Debug, PartialEq)]
pub struct Method {
    pub name: String,
    /// The generated method that it calls.
    pub operation: String,
    /// The types of what it hands on, where they can be told.
    pub arguments: Vec<Option<String>>,
    /// The type of what comes back, if that can be told.
    pub answer: Option<String>,
}

fn parse(source: &str) -> Result<syn::File, Failure> {
    syn::parse_file(source)
        .map_err(|e| Failure::new("read src/", e.to_string(), "Correct the source."))
}

/// The methods that call the generated client, and how:
/// `fn f(&self, a: &A, b: &B) -> Call<T> { … api.operation(a, b) … }` → `operation(A, B) -> T`.
pub fn methods(client: &str) -> Result<Vec<Method>, Failure> {
    let items = parse(client)?.items;
    let functions = items.into_iter().filter_map(|item| match item {
        Item::Impl(item) if item.trait_.is_none() => Some(item.items),
        _ => None,
    });
    let mut methods = Vec::new();
    for item in functions.flatten() {
        let ImplItem::Fn(function) = item else {
            continue;
        };
        let ReturnType::Type(_, returned) = &function.sig.output else {
            continue;
        };
        let answer = argument_of(returned, "Call");
        let named = function.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(input) => {
                let pattern = &input.pat;
                Some((quote::quote!(#pattern).to_string(), name(&input.ty)))
            }
            FnArg::Receiver(_) => None,
        });
        let named: Vec<_> = named.collect();
        let body = &function.block;
        let Some((operation, handed)) = call(quote::quote!(#body)) else {
            continue;
        };
        let type_of = |argument: &String| {
            let argument = argument.trim_start_matches("& ");
            named
                .iter()
                .find(|(name, _)| name == argument)
                .and_then(|(_, ty)| ty.clone())
        };
        methods.push(Method {
            name: function.sig.ident.to_string(),
            operation,
            arguments: handed.iter().map(type_of).collect(),
            answer,
        });
    }
    Ok(methods)
}

/// The names in `models::{…}`.
pub fn types(sources: &[&str]) -> Result<BTreeSet<String>, Failure> {
    let mut found = BTreeSet::new();
    for source in sources {
        let tokens = source
            .parse()
            .map_err(|_| Failure::new("read src/", "it is no Rust", "Correct the source."))?;
        after_models(tokens, &mut found);
    }
    Ok(found)
}

fn after_models(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            after_models(group.stream(), found);
        }
        let is_models = matches!(token, TokenTree::Ident(ident) if ident == "models");
        match tokens.get(index + 3) {
            Some(TokenTree::Group(group)) if is_models => {
                let names = group.stream().into_iter().map(|token| token.to_string());
                found.extend(
                    names.filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase())),
                );
            }
            Some(TokenTree::Ident(ident)) if is_models => drop(found.insert(ident.to_string())),
            _ => {}
        }
    }
}

/// The first `api.operation(…)`, and its arguments.
fn call(tokens: TokenStream) -> Option<(String, Vec<String>)> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match (token, tokens.get(index + 2), tokens.get(index + 3)) {
            (
                TokenTree::Ident(api),
                Some(TokenTree::Ident(operation)),
                Some(TokenTree::Group(group)),
            ) if api == "api" && group.delimiter() == Delimiter::Parenthesis => {
                let arguments = group.stream().to_string();
                let arguments = arguments
                    .split(',')
                    .map(|argument| argument.trim().to_owned());
                return Some((
                    operation.to_string(),
                    arguments.filter(|a| !a.is_empty()).collect(),
                ));
            }
            (TokenTree::Group(group), ..) => {
                if let Some(found) = call(group.stream()) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

/// `T` of `Outer<T>`, by name.
fn argument_of(ty: &Type, outer: &str) -> Option<String> {
    let Type::Path(path) = ty else { return None };
    let last = path
        .path
        .segments
        .last()
        .filter(|segment| segment.ident == outer)?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(ty) => name(ty),
            _ => None,
        },
        _ => None,
    }
}

fn name(ty: &Type) -> Option<String> {
    match ty {
        Type::Reference(reference) => name(&reference.elem),
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map(|segment| segment.ident.to_string()),
        Type::Tuple(tuple) if tuple.elems.is_empty() => Some("()".to_owned()),
        _ => None,
    }
}
