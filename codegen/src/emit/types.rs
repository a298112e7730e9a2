//! Completes the types: attributes change what the generator has no setting for, and this module
//! writes what it does not generate, from its own type information.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;
use syn::{
    Attribute, Field, Fields, Ident, Item, ItemStruct, Meta, Token, parse_quote,
    punctuated::Punctuated,
};
use typify::{Type, TypeDetails, TypeSpace};

use super::json_schema;
use crate::{
    failure::{Failure, Result},
    lower::field,
    model::{Direction, Model, referred},
    names::{self, EXTRA, Scope},
    schema::{properties, texts},
    texts::rustdoc,
};

/// A field of a generated type.
struct Member<'d> {
    /// Name in the document; `None` for the map of undeclared properties.
    property: Option<&'d str>,
    name: Ident,
    /// Name that the generator gives it.
    made: String,
    ty: TokenStream,
    /// Type inside the `Option`, if it is one.
    inside: Option<TokenStream>,
    required: bool,
    /// Null for the map of undeclared properties.
    schema: &'d Value,
}

/// Changes the structs, and returns the code to write beside them.
pub fn complete(items: &mut [Item], space: &TypeSpace, model: &Model) -> Result<TokenStream> {
    let modules = items.iter_mut().filter_map(|item| match item {
        Item::Mod(module) if module.ident == "types" => module.content.as_mut(),
        _ => None,
    });
    let mut structs: BTreeMap<_, _> = modules
        .flat_map(|(_, items)| items)
        .filter_map(|item| match item {
            Item::Struct(item) => Some((item.ident.to_string(), item)),
            _ => None,
        })
        .collect();
    let account: BTreeMap<_, _> = space.iter_types().map(|ty| (ty.name(), ty)).collect();
    let [mut written, mut enums, mut models] = [(); 3].map(|()| TokenStream::new());
    for (name, schema) in &model.document.types {
        let (ident, ty) = (format_ident!("{name}"), path(name, model));
        if let Some(target) = schema["$ref"].as_str() {
            let target = path(target, model);
            models.extend(quote!(pub type #ident = super::#target;));
            continue;
        }
        if schema["properties"].is_object() {
            let of_struct = structs.remove(name).zip(account.get(name));
            let known = of_struct.and_then(|(item, account)| {
                let members = members(item.fields.len(), schema, account, space)?;
                Some((item, members))
            });
            let other = || Failure::changed(format!("`{name}` is not as described"));
            let (item, members) = known.ok_or_else(other)?;
            attributes(item, schema, &members, model);
            written.extend([
                methods(&ty, &members, model),
                debug(&ty, name, &members, model),
            ]);
        } else {
            enums.extend(choice(&ident, schema, model));
        }
        models.extend(quote!(#[doc(inline)] pub use super::#ty;));
        written.extend(of_schema(name, &ty, model));
    }
    if let Some(name) = structs.into_keys().next() {
        return Err(Failure::changed(format!("`{name}` has no schema")));
    }
    Ok(quote! {
        /// Listed values, and choices of scalars.
        pub mod enums { #enums }
        /// Every type that the document defines.
        pub mod models { #models }
        #written
    })
}

fn path(name: &str, model: &Model) -> TokenStream {
    let ident = format_ident!("{name}");
    let is_struct = model.document.types[name]["properties"].is_object();
    if is_struct {
        quote!(types::#ident)
    } else {
        quote!(enums::#ident)
    }
}

/// Returns the fields from the generator's type information, in the order of the document, or
/// `None` if there are not `count` of them.
fn members<'d>(
    count: usize,
    object: &'d Value,
    account: &Type,
    space: &TypeSpace,
) -> Option<Vec<Member<'d>>> {
    let TypeDetails::Struct(account) = account.details() else {
        return None;
    };
    let described = properties(object)
        .zip(names::fields(object))
        .enumerate()
        .map(|(index, ((property, schema), name))| (Some(property), name, field(index), schema));
    let extra = (None, EXTRA.to_owned(), EXTRA.to_owned(), &Value::Null);
    let mut members: Vec<Member> = Vec::new();
    for (property, name, made, schema) in described.chain([extra]) {
        let Some(info) = account.properties_info().find(|info| info.name == made) else {
            continue;
        };
        let ty = space.get_type(&info.type_id).ok()?;
        let inside = match ty.details() {
            TypeDetails::Option(inside) => Some(space.get_type(&inside).ok()?.ident()),
            _ => None,
        };
        members.push(Member {
            property,
            name: format_ident!("{name}"),
            made,
            ty: ty.ident(),
            inside,
            required: info.required && property.is_some(),
            schema,
        });
    }
    Some(members).filter(|members| members.len() == count)
}

/// Removes `derive(Debug)`, adds `non_exhaustive`, documentation and the handling of null, and sorts
/// the fields in the order of the document.
fn attributes(item: &mut ItemStruct, object: &Value, members: &[Member], model: &Model) {
    let direction = model.direction(&item.ident.to_string());
    let default = members
        .iter()
        .all(|member| !member.required)
        .then(|| quote!(Default,));
    let serde = |attribute: &Attribute| attribute.path().is_ident("serde");
    let serde: Vec<_> = item.attrs.drain(..).filter(serde).collect();
    item.attrs.extend(docs(object, model));
    item.attrs.push(parse_quote!(
        #[derive(Clone, #default PartialEq, ::serde::Deserialize, ::serde::Serialize)]
    ));
    item.attrs.extend(serde);
    item.attrs.push(parse_quote!(#[non_exhaustive]));
    let Fields::Named(fields) = &mut item.fields else {
        return;
    };
    let place = |field: &Field| {
        let name = field.ident.as_ref();
        members
            .iter()
            .position(|member| name.is_some_and(|name| *name == member.made))
    };
    let mut sorted: Vec<_> = std::mem::take(&mut fields.named).into_iter().collect();
    sorted.sort_by_key(place);
    let is_sent = direction != Direction::Response;
    for (field, member) in sorted.iter_mut().zip(members) {
        field_attributes(field, member, model);
        // The map of undeclared properties has no schema of its own.
        let described = if member.schema.is_null() {
            &object["additionalProperties"]
        } else {
            member.schema
        };
        if is_sent && member.inside.is_some() && model.has_flag(described, "nullable") {
            // Without this, null would be read as absent, and absence refused.
            let present = "crate::types::present";
            field
                .attrs
                .push(parse_quote!(#[serde(default, deserialize_with = #present)]));
        }
        if is_sent && has_number(described) {
            // Without this, NaN would be sent as null.
            let finite = "crate::types::finite";
            field
                .attrs
                .push(parse_quote!(#[serde(serialize_with = #finite)]));
        }
    }
    fields.named = sorted.into_iter().collect();
}

/// Gives a field its name, in Rust and on the wire, and its documentation.
fn field_attributes(field: &mut Field, member: &Member, model: &Model) {
    let name = &member.name;
    let serde: Vec<_> = field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
        .filter_map(renamed)
        .collect();
    let rename = member
        .property
        .filter(|property| name != property)
        .map(|property| parse_quote!(#[serde(rename = #property)]));
    field.attrs = serde;
    field.attrs.extend(rename);
    field.attrs.extend(docs(member.schema, model));
    field.ident = Some(name.clone());
}

/// Returns a serde attribute without the generator's `rename`, or `None` if nothing else is in it.
fn renamed(attribute: &Attribute) -> Option<Attribute> {
    let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
    let metas: Vec<_> = attribute
        .parse_args_with(parse)
        .ok()?
        .into_iter()
        .filter(|meta| !meta.path().is_ident("rename"))
        .collect();
    (!metas.is_empty()).then(|| parse_quote!(#[serde(#(#metas),*)]))
}

/// Returns whether a value contains a floating-point number, without those of named types, which
/// check their own.
fn has_number(schema: &Value) -> bool {
    let inner = [&schema["items"], &schema["additionalProperties"]];
    schema.is_object() && (schema["type"] == "number" || inner.into_iter().any(has_number))
}

fn docs(schema: &Value, model: &Model) -> Option<Attribute> {
    let own = schema["description"].as_str();
    let text = rustdoc(own.or_else(|| model.target(schema)["description"].as_str())?);
    Some(parse_quote!(#[doc = #text]))
}

/// Writes `new` if a property is required, and a setter for each field.
fn methods(ty: &TokenStream, members: &[Member], model: &Model) -> TokenStream {
    let setters = members.iter().map(|member| {
        let (name, docs) = (&member.name, docs(member.schema, model));
        let setter = format_ident!("{}", names::setter(&name.to_string()));
        let (ty, value) = match &member.inside {
            Some(inside) => (inside, quote!(::std::option::Option::Some(value.into()))),
            None => (&member.ty, quote!(value.into())),
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
    let optional = optional.iter().map(|member| &member.name);
    let new = quote! {
        /// A value with the required properties; the others are left out.
        #[must_use]
        pub fn new(#(#names: impl ::std::convert::Into<#types>),*) -> Self {
            Self {
                #(#names: #names.into(),)*
                #(#optional: ::std::default::Default::default(),)*
            }
        }
    };
    let new = Some(new).filter(|_| !required.is_empty());
    quote!(impl #ty { #new #(#setters)* })
}

/// Writes a `Debug` that redacts every property that is not loggable.
fn debug(ty: &TokenStream, title: &str, members: &[Member], model: &Model) -> TokenStream {
    let fields = members.iter().map(|member| {
        let (name, title) = (&member.name, member.name.to_string());
        let value = match (model.is_debug(member.schema), &member.inside) {
            (true, _) => quote!(&self.#name),
            (false, Some(_)) => quote!(&self.#name.as_ref().map(|_| crate::types::Hidden)),
            (false, None) => quote!(&crate::types::Hidden),
        };
        quote!(.field(#title, #value))
    });
    quote! {
        impl ::std::fmt::Debug for #ty {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(#title) #(#fields)* .finish()
            }
        }
    }
}

/// Writes an open enum, or a choice of scalars.
fn choice(name: &Ident, schema: &Value, model: &Model) -> TokenStream {
    let (docs, shown) = (docs(schema, model), model.is_shown(schema));
    if schema["enum"].is_array() {
        let known: Vec<_> = texts(&schema["x-variants"]).collect();
        let mut scope = Scope::with(known.iter().map(|name| (*name).to_owned()));
        let other = format_ident!("{}", scope.take("Other", ""));
        let names = known.iter().map(|name| format_ident!("{name}"));
        let values = texts(&schema["enum"]);
        return quote! {
            crate::types::open_enum! { #docs #name, #other, #shown, { #(#names = #values),* } }
        };
    }
    let variants = texts(&schema["type"]).map(|ty| match ty {
        "integer" => quote!(Integer(i64)),
        "number" => quote!(Number(f64)),
        "boolean" => quote!(Boolean(bool)),
        _ => quote!(String(::std::string::String)),
    });
    quote!(crate::types::one_of! { #docs #name, #shown, { #(#variants),* } })
}

/// Implements `JsonSchema` with the document's own schema.
fn of_schema(name: &str, ty: &TokenStream, model: &Model) -> TokenStream {
    let used = referred(&model.document.types[name]).into_iter();
    let types = used.map(|name| {
        let ty = path(name, model);
        quote!((#name, _generator.subschema_for::<#ty>()))
    });
    let schema = json_schema::of_type(model, name).to_string();
    quote! {
        #[cfg(feature = "schemars")]
        impl ::schemars::JsonSchema for #ty {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                #name.into()
            }

            fn json_schema(_generator: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                crate::types::json_schema(#schema, &[#(#types),*])
            }
        }
    }
}
