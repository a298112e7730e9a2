//! Generates the client from the text of a document.
//!
//! Data goes one way: [`parse`] → [`read`](read()) → [`Facts`] → [`lower`] → progenitor → [`emit`].

mod check;
mod facts;
mod failure;
mod json_schema;
mod names;
mod parse;
mod prepare;
mod read;
mod schema;
mod types;
mod url;
mod wrapper;

use std::thread;

use openapiv3::OpenAPI;
use proc_macro2::TokenStream;
use quote::quote;
use serde_json::Value;
use typify::TypeSpace;

pub use facts::Facts;
pub use failure::{Failure, Result};
pub use read::Document;
pub use wrapper::Sources;

/// More than any document needs, since `schema::DEEPEST` bounds them.
const STACK: usize = 256 << 20;
/// What is longer takes too long.
const LONGEST: usize = 1 << 20;

/// The client's code, and what is not in it.
pub struct Generated {
    /// The Rust source.
    pub code: String,
    /// Operations that are not understood, and why; the wrapper has no methods for them.
    pub left_out: Vec<(String, Failure)>,
}

/// Does the work on a large stack, and tells of a panic by a failure: the generator panics on what
/// it does not support, and recurses.
///
/// # Errors
///
/// What the work fails for, or the text of its panic.
pub fn guarded<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        let result = thread.spawn_scoped(scope, work);
        result
            .map_err(Failure::unsupported)?
            .join()
            .unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Err(Failure::unsupported(text.unwrap_or("it panicked")))
            })
    })
}

/// Parses the text of a document.
///
/// # Errors
///
/// If it is too long, or neither YAML nor JSON.
pub fn parse(text: &str) -> Result<Value> {
    if text.len() > LONGEST {
        let reason = format!(
            "it has {} bytes, and {LONGEST} are read at most",
            text.len()
        );
        return Err(Failure::new(
            "parse the document",
            reason,
            "Take out what is not needed.",
        ));
    }
    parse::parse(text)
}

/// Reads what is understood of a document.
///
/// # Errors
///
/// If the document, or an operation that the sources call, is not understood.
pub fn read<'d>(root: &'d Value, sources: &Sources) -> Result<Document<'d>> {
    read::read(root, &wrapper::methods(sources), &wrapper::types(sources))
}

/// Writes the document anew for the generator.
///
/// # Errors
///
/// If the operations are not what the sources call, or would lose a guard.
pub fn lower(facts: &Facts, sources: &Sources) -> Result<OpenAPI> {
    facts.compare(&wrapper::methods(sources))?;
    facts.check()?;
    serde_json::from_value(prepare::document(facts)).map_err(Failure::unsupported)
}

/// Completes what the generator has written, with its own account of the types: the client of the
/// document in this file, with this text.
///
/// # Errors
///
/// If the generator has not written what it was expected to write.
pub fn emit(
    facts: &Facts,
    tokens: TokenStream,
    space: &TypeSpace,
    name: &str,
    text: &str,
) -> Result<Generated> {
    let document = facts.document;
    let mut file = syn::parse2::<syn::File>(tokens).map_err(Failure::unsupported)?;
    url::join(&mut file.items, document.operations.len())?;
    let written = types::complete(&mut file.items, space, facts)?;
    let operations = facts.operations();
    let (server, header) = (&document.server, &document.key_header);
    let hash = hmac_sha256::Hash::hash(text.as_bytes())
        .map(|byte| format!("{byte:02x}"))
        .concat();
    let written = quote! {
        #written
        #operations
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
        left_out: document.left_out.clone(),
    })
}
