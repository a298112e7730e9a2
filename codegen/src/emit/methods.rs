//! Writes the methods of the crate's client, one for each operation except the handwritten one.
//!
//! ```text
//! pub fn list_calls(&self, number: &E164, idempotency_key: &str, query: &types::ListCalls) -> Call<CallPage> {
//!     self.call(&operations::LIST_CALLS, async |api| api.list_calls(number).await)
//!         .header_parameter("idempotency-key", &idempotency_key)
//!         .query(query)
//! }
//! ```

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;
use syn::{FnArg, GenericArgument, ImplItem, Item, PathArguments, ReturnType, Signature, Type};

use crate::{
    failure::{Failure, Result},
    model::Model,
    read::Operation,
    texts::rustdoc,
};

/// Writes the methods with the signatures of the generated functions.
pub fn of_client(items: &[Item], model: &Model) -> Result<TokenStream> {
    let functions = items.iter().filter_map(|item| match item {
        Item::Impl(item) if item.trait_.is_none() => Some(&item.items),
        _ => None,
    });
    let functions: Vec<_> = functions.flatten().collect();
    let operations = model.document.operations.iter();
    let generated = operations.filter(|operation| operation.name != model.document.by_hand);
    let methods = generated.map(|operation| {
        let signature = functions.iter().find_map(|item| match item {
            ImplItem::Fn(function) if function.sig.ident == operation.name => Some(&function.sig),
            _ => None,
        });
        let method = signature.and_then(|signature| method(signature, operation, model));
        method.ok_or_else(|| Failure::changed(format!("`{}` is not as described", operation.name)))
    });
    let methods = methods.collect::<Result<Vec<_>>>()?;
    Ok(quote!(impl crate::Client { #(#methods)* }))
}

fn method(signature: &Signature, operation: &Operation, model: &Model) -> Option<TokenStream> {
    let (name, constant) = (
        &signature.ident,
        format_ident!("{}", operation.name.to_uppercase()),
    );
    let parameters = operation
        .parameters
        .iter()
        .map(|parameter| &*parameter.argument);
    let body = operation.body.as_ref().map(|_| "body");
    let names: Vec<_> = parameters
        .chain(body)
        .map(|name| format_ident!("{name}"))
        .collect();
    let types = signature.inputs.iter().skip(1).map(|input| match input {
        FnArg::Typed(input) => elided(&input.ty),
        FnArg::Receiver(_) => None,
    });
    let types = types.collect::<Option<Vec<_>>>()?;
    let headers = operation.headers.iter().map(|header| {
        let (argument, ty) = (
            format_ident!("{}", header.argument),
            header_type(&header.schema, model),
        );
        let name = header.name.to_ascii_lowercase();
        (
            quote!(#argument: #ty),
            quote!(.header_parameter(#name, &#argument)),
        )
    });
    let (header_inputs, header_calls): (Vec<_>, Vec<_>) = headers.unzip();
    let query = operation
        .query
        .as_ref()
        .and_then(|query| query["$ref"].as_str())
        .map(|ty| format_ident!("{ty}"));
    let query_input = query.as_ref().map(|ty| quote!(query: &types::#ty));
    let query_call = query.map(|_| quote!(.query(query)));
    let mut answer = answer(signature)?;
    if operation.may_be_empty {
        answer = quote!(::std::option::Option<#answer>);
    }
    let docs = docs(operation);
    (names.len() == types.len()).then(|| {
        quote! {
            #[doc = #docs]
            pub fn #name(
                &self, #(#names: #types,)* #(#header_inputs,)* #query_input
            ) -> crate::Call<#answer> {
                self.call(&operations::#constant, async |api| api.#name(#(#names),*).await)
                    #(#header_calls)* #query_call
            }
        }
    })
}

/// Returns the type of an argument without its lifetime.
fn elided(ty: &Type) -> Option<TokenStream> {
    match ty {
        Type::Reference(reference) if reference.mutability.is_none() => {
            let inside = &reference.elem;
            Some(quote!(&#inside))
        }
        Type::Path(path) => Some(quote!(#path)),
        _ => None,
    }
}

/// Returns the `T` of `Result<ResponseValue<T>, …>`.
fn answer(signature: &Signature) -> Option<TokenStream> {
    let ReturnType::Type(_, ty) = &signature.output else {
        return None;
    };
    let answer = inside(inside(ty)?)?;
    Some(quote!(#answer))
}

/// Returns the `T` of `Name<T, …>`.
fn inside(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn header_type(schema: &Value, model: &Model) -> TokenStream {
    if let Some(name) = schema["$ref"].as_str() {
        let name = format_ident!("{name}");
        return quote!(&enums::#name);
    }
    let ty = model.target(schema);
    match (ty["type"].as_str(), ty["format"].as_str()) {
        (Some("integer"), Some("int32")) => quote!(i32),
        (Some("integer"), _) => quote!(i64),
        (Some("number"), Some("float")) => quote!(f32),
        (Some("number"), _) => quote!(f64),
        (Some("boolean"), _) => quote!(bool),
        (_, Some("e164")) => quote!(&crate::E164),
        _ => quote!(&str),
    }
}

/// Writes the documentation: the document's texts, and whether the call is repeated.
fn docs(operation: &Operation) -> String {
    let texts = if operation.docs.is_empty() {
        format!(
            "Sends `{} {}`.",
            operation.method.to_uppercase(),
            operation.path
        )
    } else {
        operation.docs.clone()
    };
    let repeated = if operation.idempotent {
        "The call is repeated after failures that may pass; see \
         [`ClientBuilder::max_retries`](crate::ClientBuilder::max_retries)."
    } else {
        "The call is not repeated once the server may have seen it, because a second time may have \
         a second effect; see [`Call::idempotent`](crate::Call::idempotent)."
    };
    format!("{}\n\n {repeated}", rustdoc(&texts))
}
