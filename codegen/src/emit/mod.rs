//! Completes what the generator has written.

mod json_schema;
mod methods;
mod operations;
mod types;
mod url;

use proc_macro2::TokenStream;
use quote::quote;
use typify::TypeSpace;

use crate::{Failure, Generated, Model, Result};

/// Completes what the generator has written, with its own account of the types: the client of the
/// document in this file, with this text.
///
/// # Errors
///
/// If the generator has not written what it was expected to write.
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
