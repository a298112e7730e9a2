//! Finishes what the generator wrote: setters, a `Debug` that hides, open enums,
//! and what the wrapper needs to know of each operation.

use std::collections::BTreeSet;

use heck::ToShoutySnakeCase;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, Field, Fields, FnArg, GenericArgument, ImplItem, Item, ItemEnum, ItemStruct, Meta,
    PathArguments, Stmt, Type, parse_quote,
};

use crate::{
    document::{Document, LOGGABLE, Operation},
    failure::Failure,
};

const STEP: &str = "finish the client";
const REMEDY: &str =
    "The generator has changed: compare build/document.rs and build/finish.rs with what it writes.";

pub fn finish(generated: TokenStream, document: &Document) -> Result<String, Failure> {
    let mut file: syn::File =
        syn::parse2(generated).map_err(|e| Failure::new(STEP, e.to_string(), REMEDY))?;
    let types = file
        .items
        .iter_mut()
        .find_map(|item| match item {
            Item::Mod(module) if module.ident == "types" => Some(&mut module.content.as_mut()?.1),
            _ => None,
        })
        .ok_or_else(|| Failure::new(STEP, "it has no module `types`", REMEDY))?;
    check_names(types)?;
    let (names, opened) = finish_types(types);
    if opened < document.enums.len() {
        let places = list(&document.enums);
        let reason = format!("of the enums at {places} only {opened} were found to be kept open");
        return Err(Failure::new(STEP, reason, REMEDY));
    }
    let operations = document.operations.iter().map(operation);
    file.items.push(parse_quote! {
        /// Every type that the document defines.
        pub mod models { #[doc(inline)] pub use super::types::{#(#names),*}; }
    });
    file.items.push(parse_quote! {
        /// What the wrapper needs to know of each operation.
        pub mod operations { use crate::operation::{Answer, Operation, Shape}; #(#operations)* }
    });
    let server = &document.server;
    file.items.push(parse_quote! {
        /// The server of the document.
        pub const BASE_URL: &str = #server;
    });
    file.items.push(parse_quote! {
        pub const KEY_HEADER: ::http::HeaderName = ::http::HeaderName::from_static("x-api-key");
    });
    for (rust_type, places) in &document.expected {
        let found = occurrences(&file.items, rust_type);
        if found < places.len() {
            let places = list(places);
            let reason = format!("of {places} only {found} became a `{rust_type}`");
            return Err(Failure::new(STEP, reason, REMEDY));
        }
    }
    Ok(prettyplease::unparse(&file).replace(LOGGABLE, ""))
}

/// Takes out the generator's own header, since the API documents none of that name, with the room
/// that was made for it, and has each operation put its path on the base URL, which is parsed once.
/// Returns how many were found.
fn finish_calls(items: &mut [Item]) -> usize {
    let methods = items.iter_mut().filter_map(|item| match item {
        Item::Impl(item) if item.trait_.is_none() => Some(&mut item.items),
        _ => None,
    });
    let mut found = 0;
    for method in methods.flatten() {
        let ImplItem::Fn(method) = method else {
            continue;
        };
        let statements = &mut method.block.stmts;
        let before = statements.len();
        statements.retain(|statement| {
            let code = statement.to_token_stream().to_string();
            !code.starts_with("header_map . append") || !code.contains("Self :: api_version")
        });
        let headers = before - statements.len();
        for statement in statements {
            let Stmt::Local(local) = statement else {
                continue;
            };
            let Some(value) = &mut local.init else {
                continue;
            };
            if mentions(&value.expr, &format_ident!("with_capacity")) {
                *value.expr = parse_quote!(::reqwest::header::HeaderMap::new());
            } else if mentions(&value.expr, &format_ident!("baseurl")) {
                let path = &value.expr;
                *value.expr = parse_quote!(self.inner.url(#path));
                found += headers;
            }
        }
    }
    found
}

/// How often the fields of types and the arguments of operations mention one of this crate's types.
fn occurrences(items: &[Item], rust_type: &str) -> usize {
    let path = format!(":: sigmamind :: types :: {rust_type} ");
    let count = |ty: &Type| format!("{} ", ty.to_token_stream()).matches(&path).count();
    let fields = |fields: &Fields| fields.iter().map(|field| count(&field.ty)).sum::<usize>();
    let of_item = |item: &Item| match item {
        Item::Mod(module) => {
            let items = module.content.as_ref().map(|(_, items)| items);
            items.map_or(0, |items| occurrences(items, rust_type))
        }
        Item::Struct(item) => fields(&item.fields),
        Item::Enum(item) => item.variants.iter().map(|v| fields(&v.fields)).sum(),
        Item::Impl(item) if item.trait_.is_none() => {
            let inputs = item.items.iter().filter_map(|item| match item {
                ImplItem::Fn(function) => Some(&function.sig.inputs),
                _ => None,
            });
            let types = inputs.flatten().filter_map(|input| match input {
                FnArg::Typed(input) => Some(&*input.ty),
                FnArg::Receiver(_) => None,
            });
            types.map(count).sum()
        }
        _ => 0,
    };
    items.iter().map(of_item).sum()
}

fn list(places: &BTreeSet<String>) -> String {
    let places: Vec<_> = places.iter().map(|place| format!("`{place}`")).collect();
    places.join(", ")
}

/// Names that differ in the document can be one in Rust.
fn check_names(types: &[Item]) -> Result<(), Failure> {
    let clash = |reason| {
        let remedy = "Rename one of them: the generator writes names its own way.";
        Err(Failure::new("generate the client", reason, remedy))
    };
    let mut names = BTreeSet::new();
    for item in types {
        let (name, fields) = match item {
            Item::Struct(item) => (&item.ident, item.fields.iter().collect()),
            Item::Enum(item) => (&item.ident, Vec::new()),
            _ => continue,
        };
        if !names.insert(name) {
            return clash(format!("two schemas become the type `{name}`"));
        }
        let mut known = BTreeSet::new();
        if let Some(field) = fields
            .iter()
            .filter_map(|f| f.ident.as_ref())
            .find(|f| !known.insert(*f))
        {
            return clash(format!(
                "two properties of `{name}` become the field `{field}`"
            ));
        }
    }
    Ok(())
}

/// Returns the names of the types, and how many enums were opened.
fn finish_types(items: &mut Vec<Item>) -> (Vec<syn::Ident>, usize) {
    let opened: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            Item::Enum(item) if is_string_enum(item) => Some(item.ident.clone()),
            _ => None,
        })
        .collect();
    // The impls of the closed enums; the open ones get their own below.
    items.retain(|item| {
        !matches!(item, Item::Impl(item) if opened.iter().any(|name| mentions(&item.self_ty, name)))
    });
    let loggable: Vec<_> = items
        .iter_mut()
        .filter_map(|item| match item {
            Item::Struct(ItemStruct { attrs, ident, .. })
            | Item::Enum(ItemEnum { attrs, ident, .. }) => {
                take_loggable(attrs).then(|| ident.clone())
            }
            _ => None,
        })
        .collect();
    let mut names = Vec::new();
    let mut added = Vec::new();
    for item in items.iter_mut() {
        match item {
            Item::Struct(item) => {
                names.push(item.ident.clone());
                added.push(finish_struct(item, &loggable));
            }
            Item::Enum(item) => {
                names.push(item.ident.clone());
                added.push(if is_string_enum(item) {
                    open_enum(item, &loggable)
                } else {
                    finish_enum(item)
                });
            }
            _ => {}
        }
    }
    items.extend(added.into_iter().flat_map(|file| file.items));
    (names, opened.len())
}

fn finish_struct(item: &mut ItemStruct, loggable: &[syn::Ident]) -> syn::File {
    adjust_derives(&mut item.attrs);
    let name = &item.ident;
    let title = name.to_string();
    if !matches!(item.fields, Fields::Named(_)) {
        return parse_quote! {
            impl ::std::fmt::Debug for #name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.debug_tuple(#title).field(&crate::types::Hidden).finish()
                }
            }
        };
    }
    item.attrs.push(parse_quote!(#[non_exhaustive]));
    let shown: Vec<_> = item
        .fields
        .iter_mut()
        .map(|f| finish_field(f, loggable))
        .collect();
    let constructor = constructor(item);
    let setters = item.fields.iter().map(setter);
    let name = &item.ident;
    parse_quote! {
        impl #name { #constructor #(#setters)* }
        impl ::std::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(#title) #(#shown)* .finish()
            }
        }
    }
}

/// A way to make a value that has no `Default`, because some of its properties are required.
fn constructor(item: &ItemStruct) -> Option<TokenStream> {
    let is_optional =
        |field: &&Field| inside_option(&field.ty).is_some() || has_serde_default(&field.attrs);
    let (optional, required): (Vec<_>, Vec<_>) = item.fields.iter().partition(is_optional);
    if required.is_empty() {
        return None;
    }
    let optional = optional.iter().map(|field| &field.ident);
    let names: Vec<_> = required.iter().map(|field| &field.ident).collect();
    let types = required.iter().map(|field| &field.ty);
    Some(quote! {
        /// A value with the required properties; the others are left out.
        #[must_use]
        pub fn new(#(#names: impl ::std::convert::Into<#types>),*) -> Self {
            Self {
                #(#names: #names.into(),)*
                #(#optional: ::std::default::Default::default(),)*
            }
        }
    })
}

/// The method that sets a field, with the field's documentation.
fn setter(field: &Field) -> TokenStream {
    let name = &field.ident;
    let docs = field.attrs.iter().filter(|a| a.path().is_ident("doc"));
    let (ty, value) = match inside_option(&field.ty) {
        Some(ty) => (ty, quote!(Some(value.into()))),
        None => (&field.ty, quote!(value.into())),
    };
    quote! {
        #(#docs)*
        #[must_use]
        pub fn #name(mut self, value: impl ::std::convert::Into<#ty>) -> Self {
            self.#name = #value;
            self
        }
    }
}

/// Returns how the field appears in `Debug`.
fn finish_field(field: &mut Field, loggable: &[syn::Ident]) -> TokenStream {
    let shown =
        take_loggable(&mut field.attrs) || loggable.iter().any(|name| mentions(&field.ty, name));
    let name = field.ident.clone();
    let title = name.to_token_stream().to_string();
    let option = inside_option(&field.ty).is_some();
    if option && mentions(&field.ty, &format_ident!("Nullable")) {
        // Without this, null would be read as absent, and absence refused.
        field
            .attrs
            .push(parse_quote!(#[serde(default, deserialize_with = "crate::types::present")]));
    }
    if shown {
        quote!(.field(#title, &self.#name))
    } else if option {
        quote!(.field(#title, &self.#name.as_ref().map(|_| crate::types::Hidden)))
    } else {
        quote!(.field(#title, &crate::types::Hidden))
    }
}

/// The variants carry values: `Debug` names the variant alone.
fn finish_enum(item: &mut ItemEnum) -> syn::File {
    adjust_derives(&mut item.attrs);
    let name = &item.ident;
    let arms = item.variants.iter().map(|v| {
        let (variant, title) = (&v.ident, v.ident.to_string());
        quote!(Self::#variant { .. } => #title)
    });
    let text = from_text(item);
    parse_quote! {
        #text
        impl ::std::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(match self { #(#arms),* })
            }
        }
    }
}

/// Listed strings: a value that is not listed is kept as text.
fn open_enum(item: &mut ItemEnum, loggable: &[syn::Ident]) -> syn::File {
    let name = item.ident.clone();
    let variants: Vec<_> = item.variants.iter().map(|v| v.ident.clone()).collect();
    let values: Vec<_> = item.variants.iter().map(wire_name).collect();
    // The document may list a value of that name.
    let listed = variants.iter().any(|variant| variant == "Other");
    let other = format_ident!("{}", if listed { "Unlisted" } else { "Other" });
    let other_name = other.to_string();
    let shown = if loggable.contains(&name) {
        quote!(text.as_str())
    } else {
        quote!({
            let _ = text;
            "[hidden]"
        })
    };
    item.attrs
        .retain(|attribute| !attribute.path().is_ident("derive"));
    item.attrs.push(parse_quote! {
        #[derive(Clone, PartialEq, Eq, Hash, ::serde::Serialize)]
    });
    item.attrs.push(schema_derive());
    item.attrs.push(parse_quote!(#[non_exhaustive]));
    item.variants.push(parse_quote! {
        /// A value that the document does not list, as it came.
        #[serde(untagged)]
        #other(::std::string::String)
    });
    parse_quote! {
        impl #name {
            /// The value as it stands in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { #(Self::#variants => #values,)* Self::#other(text) => text }
            }
        }
        impl<'de> ::serde::Deserialize<'de> for #name {
            fn deserialize<D>(deserializer: D) -> ::std::result::Result<Self, D::Error>
            where
                D: ::serde::Deserializer<'de>,
            {
                <::std::string::String as ::serde::Deserialize>::deserialize(deserializer)
                    .map(Self::from)
            }
        }
        impl ::std::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    Self::#other(text) => f.debug_tuple(#other_name).field(&#shown).finish(),
                    #(Self::#variants => f.write_str(stringify!(#variants)),)*
                }
            }
        }
        impl ::std::fmt::Display for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl ::std::convert::From<&str> for #name {
            fn from(text: &str) -> Self {
                match text { #(#values => Self::#variants,)* _ => Self::#other(text.to_owned()) }
            }
        }
        impl ::std::convert::From<::std::string::String> for #name {
            fn from(text: ::std::string::String) -> Self {
                Self::from(text.as_str())
            }
        }
    }
}

/// The conversions from text that an enum with one alternative of plain text lacks.
fn from_text(item: &ItemEnum) -> TokenStream {
    let is_text = |field: &Field| matches!(&field.ty, Type::Path(path) if path.path.segments.last().is_some_and(|s| s.ident == "String"));
    let texts: Vec<_> = item
        .variants
        .iter()
        .filter(|v| matches!(&v.fields, Fields::Unnamed(f) if f.unnamed.iter().all(is_text)))
        .map(|v| &v.ident)
        .collect();
    let (name, [variant]) = (&item.ident, &*texts) else {
        return TokenStream::new();
    };
    quote! {
        impl ::std::convert::From<&str> for #name {
            fn from(text: &str) -> Self { Self::#variant(text.to_owned()) }
        }
        impl ::std::convert::From<::std::string::String> for #name {
            fn from(text: ::std::string::String) -> Self { Self::#variant(text) }
        }
    }
}

/// One operation's facts, as a constant.
fn operation(operation: &Operation) -> TokenStream {
    let Operation {
        id, method, path, ..
    } = operation;
    let name = format_ident!("{}", id.to_shouty_snake_case());
    quote! {
        pub static #name: Operation = Operation {
            id: #id,
            method: #method,
            path: #path,
            parameters: &[("phoneNumber", &Shape { secret: false })],
            body: Some(&Shape { secret: false }),
            answer: Some(Answer { properties: &["sipPhoneNumber", "friendlyName", "inboundAgentId"], is_object: true, repeats: &[("sipPhoneNumber", 0)], optional: false }),
        };
    }
}

fn option(value: Option<&String>) -> TokenStream {
    value.map_or_else(|| quote!(None), |value| quote!(Some(#value)))
}

/// Takes `Debug` out and puts comparison and the optional JSON Schema in.
fn adjust_derives(attributes: &mut Vec<Attribute>) {
    for attribute in attributes
        .iter_mut()
        .filter(|a| a.path().is_ident("derive"))
    {
        let Meta::List(list) = &mut attribute.meta else {
            continue;
        };
        let parser = syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated;
        let Ok(paths) = syn::parse::Parser::parse2(parser, list.tokens.clone()) else {
            continue;
        };
        let kept = paths
            .into_iter()
            .filter(|path| !path.is_ident("Debug") && !path.is_ident("PartialEq"));
        list.tokens = quote!(#(#kept,)* PartialEq);
    }
    attributes.push(schema_derive());
}

fn schema_derive() -> Attribute {
    parse_quote!(#[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))])
}

/// Takes the mark of harmless values out of the doc comments; says whether it was there.
fn take_loggable(attributes: &mut [Attribute]) -> bool {
    let mut found = false;
    for attribute in attributes.iter_mut().filter(|a| a.path().is_ident("doc")) {
        if let Meta::NameValue(doc) = &mut attribute.meta
            && let syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) = &mut doc.value
            && text.value().contains(LOGGABLE)
        {
            *text = syn::LitStr::new(&text.value().replace(LOGGABLE, ""), text.span());
            found = true;
        }
    }
    found
}

fn is_string_enum(item: &ItemEnum) -> bool {
    item.variants
        .iter()
        .all(|variant| matches!(variant.fields, Fields::Unit))
}

/// The JSON value of a variant: its `#[serde(rename)]`, else its name.
fn wire_name(variant: &syn::Variant) -> String {
    let mut name = variant.ident.to_string();
    for attribute in variant.attrs.iter().filter(|a| a.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") {
                name = meta.value()?.parse::<syn::LitStr>()?.value();
            }
            Ok(())
        });
    }
    name
}

fn has_serde_default(attributes: &[Attribute]) -> bool {
    let mut found = false;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| {
            found |= meta.path.is_ident("default");
            if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            }
            Ok(())
        });
    }
    found
}

/// `T` of an `Option<T>`.
fn inside_option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|s| s.ident == "Option")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        },
        _ => None,
    }
}

fn mentions(code: &impl ToTokens, name: &syn::Ident) -> bool {
    fn within(tokens: TokenStream, name: &syn::Ident) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(ident) => ident == *name,
            proc_macro2::TokenTree::Group(group) => within(group.stream(), name),
            _ => false,
        })
    }
    within(code.to_token_stream(), name)
}
