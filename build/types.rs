//! Completes the types: what the generator has no setting for is changed by attributes, and what
//! it does not write at all is written here, from its own account of them.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use progenitor::Generator;
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, Field, Fields, Item, ItemStruct, Meta, parse_quote, punctuated::Punctuated};
use typify::TypeDetails;

use super::{
    facts::{Facts, Way},
    failure::Failure,
    json_schema, names,
    schema::{Kind, Object, Schema},
};

const STEP: &str = "complete the client";
const REMEDY: &str = "The generator has changed: compare build/types.rs with what it writes.";

/// A field of a generated type.
struct Member {
    name: syn::Ident,
    ty: TokenStream,
    /// What is in the `Option`, if it is one.
    inside: Option<TokenStream>,
    required: bool,
    shown: bool,
    docs: Option<String>,
}

/// Changes the structs among the items, and returns what is to be written beside them.
pub fn complete(
    items: &mut [Item],
    generator: &Generator,
    facts: &Facts,
) -> Result<TokenStream, Failure> {
    let schemas = &facts.document.schemas;
    let mut structs = BTreeMap::new();
    for item in items.iter_mut() {
        if let Item::Mod(syn::ItemMod {
            ident,
            content: Some((_, items)),
            ..
        }) = item
            && ident == "types"
        {
            structs.extend(items.iter_mut().filter_map(|item| match item {
                Item::Struct(item) => Some((item.ident.to_string(), item)),
                _ => None,
            }));
        }
    }
    let (mut written, mut enums, mut models) =
        (TokenStream::new(), TokenStream::new(), TokenStream::new());
    for (name, schema) in schemas {
        let (ident, ty) = (format_ident!("{name}"), path(name, facts));
        match &schema.kind {
            Kind::Reference(target) => {
                let target = format_ident!("{target}");
                models.extend(quote!(pub type #ident = self::#target;));
                continue;
            }
            Kind::Object(object) => {
                let Some(item) = structs.remove(name) else {
                    return Err(Failure::new(
                        STEP,
                        format!("the schema `{name}` has no type"),
                        REMEDY,
                    ));
                };
                attributes(item, schema, object, facts, facts.way(name))?;
                let members = members(item, object, generator, facts)?;
                written.extend(methods(&ty, &members));
                written.extend(debug(&ty, name, &members));
            }
            _ => enums.extend(choice(&ident, schema, facts)),
        }
        models.extend(quote!(#[doc(inline)] pub use super::#ty;));
        written.extend(schema_of(name, &ty, facts));
    }
    if let Some(name) = structs.into_keys().next() {
        return Err(Failure::new(
            STEP,
            format!("the type `{name}` has no schema"),
            REMEDY,
        ));
    }
    Ok(quote! {
        /// Listed values, and choices of scalars.
        pub mod enums { #enums }
        /// Every type that the document defines.
        pub mod models { #models }
        #written
    })
}

/// `derive(Debug)` out; `non_exhaustive`, documentation and the reading of null in; the fields in
/// the document's order.
fn attributes(
    item: &mut ItemStruct,
    schema: &Schema,
    object: &Object,
    facts: &Facts,
    way: Way,
) -> Result<(), Failure> {
    item.attrs
        .retain(|attribute| !attribute.path().is_ident("doc"));
    item.attrs.splice(0..0, docs(schema.description.as_ref()));
    for attribute in item
        .attrs
        .iter_mut()
        .filter(|a| a.path().is_ident("derive"))
    {
        let Meta::List(list) = &mut attribute.meta else {
            continue;
        };
        let parser = Punctuated::<syn::Path, syn::Token![,]>::parse_terminated;
        let paths = syn::parse::Parser::parse2(parser, list.tokens.clone());
        let paths = paths.map_err(|e| Failure::new(STEP, e.to_string(), REMEDY))?;
        let kept = paths.into_iter().filter(|path| !path.is_ident("Debug"));
        list.tokens = quote!(#(#kept),*);
    }
    item.attrs.push(parse_quote!(#[non_exhaustive]));
    let Fields::Named(fields) = &mut item.fields else {
        return Ok(());
    };
    for field in &mut fields.named {
        field
            .attrs
            .retain(|attribute| !attribute.path().is_ident("doc"));
        let Some((_, property)) = property(field, object) else {
            continue;
        };
        field
            .attrs
            .splice(0..0, docs(documentation(property, facts)));
        let optional = field
            .ty
            .to_token_stream()
            .to_string()
            .starts_with(":: std :: option :: Option");
        if optional && way != Way::Response && facts.is_nullable(property) {
            // Without this, null would be read as absent, and absence refused.
            field
                .attrs
                .push(parse_quote!(#[serde(default, deserialize_with = "crate::types::present")]));
        }
    }
    let mut sorted: Vec<Field> = std::mem::take(&mut fields.named).into_iter().collect();
    sorted.sort_by_key(|field| property(field, object).map_or(usize::MAX, |(index, _)| index));
    fields.named = sorted.into_iter().collect();
    Ok(())
}

fn documentation<'d>(property: &'d Schema, facts: &'d Facts) -> Option<&'d String> {
    property
        .description
        .as_ref()
        .or(facts.target(property).description.as_ref())
}

fn docs(text: Option<&String>) -> Option<Attribute> {
    text.map(|text| {
        let text = format!(" {}", text.replace('\n', "\n "));
        parse_quote!(#[doc = #text])
    })
}

/// The property that a field is of, by its name in JSON, and its place in the document.
fn property<'o>(field: &Field, object: &'o Object) -> Option<(usize, &'o Schema)> {
    let mut name = field.ident.as_ref()?.to_string();
    let mut flat = false;
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| {
            flat |= meta.path.is_ident("flatten");
            if meta.input.peek(syn::Token![=]) {
                let value: syn::Expr = meta.value()?.parse()?;
                if let (
                    true,
                    syn::Expr::Lit(syn::ExprLit {
                        lit: syn::Lit::Str(text),
                        ..
                    }),
                ) = (meta.path.is_ident("rename"), value)
                {
                    name = text.value();
                }
            }
            Ok(())
        });
    }
    let found = object
        .properties
        .iter()
        .position(|(known, _)| *known == name);
    found
        .filter(|_| !flat)
        .map(|index| (index, &object.properties[index].1))
}

/// The generator's own account of the fields, in the order that they stand in now.
fn members(
    item: &ItemStruct,
    object: &Object,
    generator: &Generator,
    facts: &Facts,
) -> Result<Vec<Member>, Failure> {
    let space = generator.get_type_space();
    let account = space.iter_types().find(|ty| item.ident == ty.name());
    let Some(TypeDetails::Struct(account)) = account.as_ref().map(typify::Type::details) else {
        return Err(Failure::new(
            STEP,
            format!("the type `{}` is no struct", item.ident),
            REMEDY,
        ));
    };
    let account: BTreeMap<_, _> = account
        .properties_info()
        .map(|info| (info.name.to_owned(), info))
        .collect();
    let mut members = Vec::new();
    for field in &item.fields {
        let name = field.ident.clone();
        let known = name
            .as_ref()
            .and_then(|name| account.get(&name.to_string()));
        let (Some(name), Some(info)) = (name, known) else {
            return Err(Failure::new(
                STEP,
                format!("a field of `{}` has no name", item.ident),
                REMEDY,
            ));
        };
        let property = property(field, object).map(|(_, schema)| schema);
        if members.iter().any(|known: &Member| known.name == name) {
            let reason = format!(
                "two properties of `{}` become the field `{name}`",
                item.ident
            );
            let failure = Failure::new(
                STEP,
                reason,
                "Rename one of them: fields are in snake case.",
            );
            return Err(failure.at(property.map_or("", |property| &*property.at)));
        }
        let of = |id| {
            space
                .get_type(id)
                .map_err(|e| Failure::new(STEP, e.to_string(), REMEDY))
        };
        let ty = of(&info.type_id)?;
        let inside = match ty.details() {
            TypeDetails::Option(inner) => Some(of(&inner)?.ident()),
            _ => None,
        };
        members.push(Member {
            required: info.required && property.is_some(),
            shown: property.is_some_and(|property| facts.is_shown(property)),
            docs: property
                .and_then(|property| documentation(property, facts))
                .cloned(),
            ty: ty.ident(),
            inside,
            name,
        });
    }
    Ok(members)
}

/// `new` where something is required, and a setter for each field.
fn methods(ty: &TokenStream, members: &[Member]) -> TokenStream {
    let setters = members.iter().map(|member| {
        let Member { name, ty, .. } = member;
        let docs = docs(member.docs.as_ref());
        let setter = format_ident!("{}", names::setter(&name.to_string()));
        let (ty, value) = match &member.inside {
            Some(inside) => (inside, quote!(::std::option::Option::Some(value.into()))),
            None => (ty, quote!(value.into())),
        };
        quote! {
            #docs
            #[must_use]
            pub fn #setter(mut self, value: impl ::std::convert::Into<#ty>) -> Self {
                self.#name = #value;
                self
            }
        }
    });
    let (required, optional): (Vec<_>, Vec<_>) = members.iter().partition(|member| member.required);
    let names: Vec<_> = required.iter().map(|member| &member.name).collect();
    let types = required.iter().map(|member| &member.ty);
    let optional: Vec<_> = optional.iter().map(|member| &member.name).collect();
    let constructor = (!required.is_empty()).then(|| {
        quote! {
            /// A value with the required properties; the others are left out.
            #[must_use]
            pub fn new(#(#names: impl ::std::convert::Into<#types>),*) -> Self {
                Self {
                    #(#names: #names.into(),)*
                    #(#optional: ::std::default::Default::default(),)*
                }
            }
        }
    });
    // The generator takes the properties that are not declared for a required one.
    let extra = members
        .iter()
        .any(|member| member.docs.is_none() && member.name == "extra");
    let default = (required.is_empty() && extra).then(|| {
        quote! {
            impl ::std::default::Default for #ty {
                fn default() -> Self {
                    Self { #(#optional: ::std::default::Default::default(),)* }
                }
            }
        }
    });
    quote! {
        impl #ty { #constructor #(#setters)* }
        #default
    }
}

/// A `Debug` that shows what the document says may be shown.
fn debug(ty: &TokenStream, title: &str, members: &[Member]) -> TokenStream {
    let fields = members.iter().map(
        |Member {
             name,
             inside,
             shown,
             ..
         }| {
            let title = name.to_string();
            let value = match (shown, inside) {
                (true, _) => quote!(&self.#name),
                (false, Some(_)) => quote!(&self.#name.as_ref().map(|_| crate::types::Hidden)),
                (false, None) => quote!(&crate::types::Hidden),
            };
            quote!(.field(#title, #value))
        },
    );
    quote! {
        impl ::std::fmt::Debug for #ty {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(#title) #(#fields)* .finish()
            }
        }
    }
}

/// An enum that is open, or one of several scalars.
fn choice(name: &syn::Ident, schema: &Schema, facts: &Facts) -> TokenStream {
    let docs = docs(schema.description.as_ref());
    let shown = facts.is_shown(schema);
    match &schema.kind {
        Kind::Enum(variants) => {
            let taken = |name: &str| variants.iter().any(|(variant, _)| variant == name);
            let other = ["Other", "Unlisted", "NotListed"]
                .into_iter()
                .find(|name| !taken(name));
            let other = format_ident!("{}", other.unwrap_or("Unknown"));
            let names = variants
                .iter()
                .map(|(variant, _)| format_ident!("{variant}"));
            let values = variants.iter().map(|(_, value)| value);
            quote!(
                crate::types::open_enum! { #docs #name, #other, #shown, { #(#names = #values),* } }
            )
        }
        Kind::OneOf(variants) => {
            let names = variants
                .iter()
                .map(|(variant, _)| format_ident!("{variant}"));
            let types = variants
                .iter()
                .map(|(_, ty)| ty.parse::<TokenStream>().unwrap_or_default());
            quote!(crate::types::one_of! { #docs #name, #shown, { #(#names(#types)),* } })
        }
        _ => TokenStream::new(),
    }
}

/// `JsonSchema`, from the document's own schema.
fn schema_of(name: &str, ty: &TokenStream, facts: &Facts) -> TokenStream {
    let schema = json_schema::defined(facts, name).to_string();
    let mut used = BTreeSet::new();
    for part in facts.document.schemas[name].parts() {
        named(part, &mut used);
    }
    let types = used.iter().map(|name| {
        let ty = path(name, facts);
        quote!((#name, _generator.subschema_for::<#ty>()))
    });
    quote! {
        #[cfg(feature = "schemars")]
        impl ::schemars::JsonSchema for #ty {
            fn schema_name() -> ::std::borrow::Cow<'static, str> { #name.into() }
            fn json_schema(_generator: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                crate::types::json_schema(#schema, &[#(#types),*])
            }
        }
    }
}

/// The types that a schema names itself.
fn named(schema: &Schema, names: &mut BTreeSet<String>) {
    if let Kind::Reference(name) = &schema.kind {
        names.insert(name.clone());
    }
    schema
        .parts()
        .into_iter()
        .for_each(|part| named(part, names));
}

fn path(name: &str, facts: &Facts) -> TokenStream {
    let ident = format_ident!("{name}");
    let is_struct = matches!(facts.document.schemas[name].kind, Kind::Object(_));
    if is_struct {
        quote!(types::#ident)
    } else {
        quote!(enums::#ident)
    }
}
