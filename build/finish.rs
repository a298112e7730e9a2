//! Finishes what the generator wrote: setters, a `Debug` that hides, open enums,
//! and what the wrapper needs to know of each operation.

use heck::ToShoutySnakeCase;
use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{
    Attribute, Field, Fields, ImplItem, Item, ItemEnum, ItemStruct, Meta, Stmt, Type, parse_quote,
};

use crate::{
    Failure,
    document::{Document, LOGGABLE, Operation},
};

const STEP: &str = "finish the client";
const REMEDY: &str =
    "The generator has changed: compare build/document.rs and build/finish.rs with what it writes.";

pub fn finish(generated: TokenStream, document: &Document) -> Result<String, Failure> {
    let mut file: syn::File = syn::parse2(generated).map_err(|e| Failure::new(STEP, e, REMEDY))?;
    let types = file
        .items
        .iter_mut()
        .find_map(|item| match item {
            Item::Mod(module) if module.ident == "types" => Some(&mut module.content.as_mut()?.1),
            _ => None,
        })
        .ok_or_else(|| Failure::new(STEP, "it has no module `types`", REMEDY))?;
    let (names, opened) = finish_types(types);
    if document.has_enum && !opened {
        return Err(Failure::new(
            STEP,
            "no enum was found to be kept open",
            REMEDY,
        ));
    }
    if finish_calls(&mut file.items) != document.operations.len() {
        return Err(Failure::new(
            STEP,
            "its operations do not build their requests as expected",
            REMEDY,
        ));
    }
    let operations = document.operations.iter().map(operation);
    file.items.push(parse_quote! {
        /// Every type that the document defines.
        pub mod models { #[doc(inline)] pub use super::types::{#(#names),*}; }
    });
    file.items.push(parse_quote! {
        /// What the wrapper needs to know of each operation.
        pub mod operations { use crate::operation::{Limit, Operation}; #(#operations)* }
    });
    let server = &document.server;
    file.items.push(parse_quote! {
        /// The server of the document.
        pub const BASE_URL: &str = #server;
    });
    let client = prettyplease::unparse(&file);
    for (rust_type, place) in &document.expected {
        if !client.contains(&format!("::sigmamind::types::{rust_type}")) {
            let reason = format!("`{place}` did not become a `{rust_type}`");
            return Err(Failure::new(STEP, reason, REMEDY));
        }
    }
    Ok(client)
}

/// Takes out the generator's own header, since the API documents none of that name, and has each
/// operation put its path on the base URL, which is parsed once. Returns how many were found.
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
            !matches!(statement, Stmt::Expr(..))
                || !statement
                    .to_token_stream()
                    .to_string()
                    .contains("\"api-version\"")
        });
        let headers = before - statements.len();
        let urls = statements
            .iter_mut()
            .filter_map(|statement| match statement {
                Stmt::Local(local) if mentions(&local.pat, &format_ident!("url")) => {
                    local.init.as_mut()
                }
                _ => None,
            });
        for url in urls {
            let path = &url.expr;
            *url.expr = parse_quote!(self.inner.url(&#path));
            found += headers;
        }
    }
    found
}

/// Returns the names of the types, and whether an enum was opened.
fn finish_types(items: &mut Vec<Item>) -> (Vec<syn::Ident>, bool) {
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
                added.extend(finish_enum(item, &loggable));
            }
            _ => {}
        }
    }
    items.extend(added.into_iter().flat_map(|file| file.items));
    (names, !opened.is_empty())
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
    item.attrs
        .push(parse_quote!(#[derive(::derive_setters::Setters)]));
    item.attrs
        .push(parse_quote!(#[setters(into, strip_option)]));
    item.attrs.push(parse_quote!(#[non_exhaustive]));
    let shown: Vec<_> = item
        .fields
        .iter_mut()
        .map(|f| finish_field(f, loggable))
        .collect();
    parse_quote! {
        impl ::std::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(#title) #(#shown)* .finish()
            }
        }
    }
}

/// Returns how the field appears in `Debug`.
fn finish_field(field: &mut Field, loggable: &[syn::Ident]) -> TokenStream {
    let shown =
        take_loggable(&mut field.attrs) || loggable.iter().any(|name| mentions(&field.ty, name));
    let name = field.ident.clone();
    let title = name.to_token_stream().to_string();
    let option = is_option(&field.ty);
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

fn finish_enum(item: &mut ItemEnum, loggable: &[syn::Ident]) -> Option<syn::File> {
    if !is_string_enum(item) {
        // Its variants carry values: `Debug` names the variant alone.
        adjust_derives(&mut item.attrs);
        let name = &item.ident;
        let arms = item.variants.iter().map(|v| {
            let (variant, title) = (&v.ident, v.ident.to_string());
            quote!(Self::#variant { .. } => #title)
        });
        return Some(parse_quote! {
            impl ::std::fmt::Debug for #name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.write_str(match self { #(#arms),* })
                }
            }
        });
    }
    let name = item.ident.clone();
    let variants: Vec<_> = item.variants.iter().map(|v| v.ident.clone()).collect();
    let values: Vec<_> = item.variants.iter().map(wire_name).collect();
    let other = if loggable.contains(&name) {
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
        Other(::std::string::String)
    });
    Some(parse_quote! {
        impl #name {
            /// The value as it stands in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { #(Self::#variants => #values,)* Self::Other(text) => text }
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
                    Self::Other(text) => f.debug_tuple("Other").field(&#other).finish(),
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
                match text { #(#values => Self::#variants,)* _ => Self::Other(text.to_owned()) }
            }
        }
        impl ::std::convert::From<::std::string::String> for #name {
            fn from(text: ::std::string::String) -> Self {
                Self::from(text.as_str())
            }
        }
    })
}

/// One operation's facts, as a constant.
fn operation(operation: &Operation) -> TokenStream {
    let Operation {
        id, method, path, ..
    } = operation;
    let name = format_ident!("{}", id.to_shouty_snake_case());
    let summary = format!(" `{method} {path}`");
    let limits = operation.limits.iter().map(|limit| {
        let (at, one_of) = (&limit.at, &limit.one_of);
        let min_length = limit.min_length.unwrap_or(0);
        let max_length = limit.max_length.unwrap_or(u64::MAX);
        let pattern = option(limit.pattern.as_ref());
        quote!(Limit {
            at: &[#(#at),*],
            min_length: #min_length,
            max_length: #max_length,
            pattern: #pattern,
            one_of: &[#(#one_of),*],
        })
    });
    let secrets = operation.secrets.iter().map(|at| quote!(&[#(#at),*]));
    quote! {
        #[doc = #summary]
        pub static #name: Operation = Operation {
            method: #method,
            path: #path,
            limits: &[#(#limits),*],
            secrets: &[#(#secrets),*],
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

fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|s| s.ident == "Option"))
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
