//! Generates the client from the text of a document.
//!
//! Data goes one way: [`parse`] → [`read`] → [`facts`] → [`prepare`] → progenitor → [`types`].

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

use progenitor::{CrateVers, GenerationSettings, Generator, HooksMode, InterfaceStyle};
use quote::quote;

use facts::Facts;
pub use failure::{Failure, Result};
pub use wrapper::Sources;

/// More than any document needs, since `schema::DEEPEST` bounds them.
const STACK: usize = 256 << 20;
/// What is longer takes too long.
const LONGEST: usize = 1 << 20;

pub struct Generated {
    pub code: String,
    /// Operations that are not understood, and why; the wrapper has no methods for them.
    pub left_out: Vec<(String, Failure)>,
}

/// The client of the document in this file, with this text.
pub fn generate(file: &str, text: &str, sources: &Sources) -> Result<Generated> {
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
    // The generator panics on what it does not support, and recurses.
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        let client = thread.spawn_scoped(scope, || client(file, text, sources));
        client.map_err(unsupported)?.join().unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(unsupported(text.unwrap_or("it panicked")))
        })
    })
}

#[allow(clippy::needless_pass_by_value, reason = "so `map_err` calls it")]
fn unsupported(reason: impl ToString) -> Failure {
    let remedy = "Simplify what the reason names; the generator does not support it.";
    Failure::new("generate the client", reason.to_string(), remedy)
}

fn client(name: &str, text: &str, sources: &Sources) -> Result<Generated> {
    let methods = wrapper::methods(sources);
    let value = parse::parse(text)?;
    let document = read::read(&value, &methods, &wrapper::types(sources))?;
    let facts = Facts::new(&document);
    facts.compare(&methods)?;
    facts.check()?;
    let prepared = serde_json::from_value(prepare::document(&facts)).map_err(unsupported)?;
    let mut generator = Generator::new(
        GenerationSettings::new()
            .with_interface(InterfaceStyle::Positional)
            .with_hooks(HooksMode::Expected)
            .with_crate("sigmamind", CrateVers::Any, None)
            .with_crate("std", CrateVers::Any, None)
            .with_map_type("::std::collections::BTreeMap")
            .with_inner_type(quote!(crate::request::Describe)),
    );
    let tokens = generator.generate_tokens(&prepared).map_err(unsupported)?;
    let mut file = syn::parse2::<syn::File>(tokens).map_err(unsupported)?;
    url::join(&mut file.items, document.operations.len())?;
    let written = types::complete(&mut file.items, &generator, &facts)?;
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
    let written = syn::parse2::<syn::File>(written).map_err(unsupported)?;
    file.items.extend(written.items);
    let code = prettyplease::unparse(&file);
    Ok(Generated {
        code,
        left_out: document.left_out,
    })
}
