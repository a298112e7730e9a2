//! Completes the generator's output.

mod json_schema;
mod methods;
mod operations;
mod types;
mod url;

use proc_macro2::TokenStream;
use quote::quote;
use typify::TypeSpace;

use crate::{Failure, Generated, Model, Result};

/// Completes the generator's output with its own type information, and returns the client. `name`
/// and `text` are the document's file name and text.
///
/// # Errors
///
/// Fails if the generator's output is not as expected.
pub fn emit(
    model: &Model,
    tokens: TokenStream,
    space: &TypeSpace,
    name: &str,
    text: &str,
) -> Result<Generated> {
    let document = model.document;
    let mut file = syn::parse2::<syn::File>(tokens).map_err(Failure::unsupported)?;
    url::join(&mut file.items, document.operations.len())?;
    let written = types::complete(&mut file.items, space, model)?;
    let methods = methods::of_client(&file.items, model)?;
    let operations = model.operations();
    let (server, header) = (&document.server, &document.key_header);
    let hash = hmac_sha256::Hash::hash(text.as_bytes())
        .map(|byte| format!("{byte:02x}"))
        .concat();
    let written = quote! {
        #written
        #operations
        #methods
        /// The server of the document.
        pub const BASE_URL: &str = #server;
        /// The header that carries the key.
        pub(crate) const KEY_HEADER: ::http::HeaderName = ::http::HeaderName::from_static(#header);
        /// The document that the client was generated from.
        pub const DOCUMENT: crate::operation::Document =
            crate::operation::Document { file: #name, sha256: #hash };
    };
    let written = syn::parse2::<syn::File>(written).map_err(Failure::unsupported)?;
    file.items.extend(written.items);
    let code = prettyplease::unparse(&file);
    Ok(Generated {
        code,
        skipped: document.skipped.clone(),
    })
}
