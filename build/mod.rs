//! Generates the client from the text of a document.
//!
//! Data goes one way: [`read`] → [`facts`] → [`prepare`] → progenitor → [`types`].

mod facts;
mod failure;
mod json_schema;
mod names;
mod node;
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
pub use failure::Failure;

/// More than any document needs, since it may be nested so deep only.
const STACK: usize = 256 << 20;
/// Longer documents would take too long.
const LONGEST: usize = 2 << 20;

/// The sources of the wrapper that name what the document must have.
pub struct Sources<'s> {
    pub client: &'s str,
    pub lib: &'s str,
}

pub struct Generated {
    pub code: String,
    /// Operations that could not be generated, and why.
    pub left_out: Vec<(String, Failure)>,
}

/// The client of the document in this file, with its text.
pub fn generate(file: &str, text: &str, sources: &Sources) -> Result<Generated, Failure> {
    if text.len() > LONGEST {
        let reason = format!(
            "it has {} bytes, and at most {LONGEST} are read",
            text.len()
        );
        return Err(Failure::new(
            "parse the document",
            reason,
            "Take out what is not needed.",
        ));
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("generate".into())
            .stack_size(STACK);
        let thread = thread
            .spawn_scoped(scope, || client(file, text, sources))
            .map_err(|e| panicked(e.to_string()))?;
        thread.join().unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
            Err(panicked(text.unwrap_or_else(|| "it panicked".into())))
        })
    })
}

fn panicked(reason: String) -> Failure {
    Failure::new(
        "generate the client",
        reason,
        "Simplify what the reason names; the generator does not support it.",
    )
}

fn client(file: &str, text: &str, sources: &Sources) -> Result<Generated, Failure> {
    let methods = wrapper::methods(sources.client)?;
    let names = wrapper::types(&[sources.client, sources.lib])?;
    let document = read::read(&read::parse(text)?, &methods, &names)?;
    let facts = Facts::new(&document);
    facts.compare(&methods)?;
    facts.check()?;
    let openapi =
        serde_json::from_value(prepare::document(&facts)).map_err(|e| panicked(e.to_string()))?;
    let mut generator = Generator::new(
        GenerationSettings::new()
            .with_interface(InterfaceStyle::Positional)
            .with_hooks(HooksMode::Expected)
            .with_crate("sigmamind", CrateVers::Any, None)
            .with_crate("std", CrateVers::Any, None)
            .with_map_type("::std::collections::BTreeMap")
            .with_derive("PartialEq")
            .with_inner_type(quote!(crate::request::Describe)),
    );
    let tokens = generator
        .generate_tokens(&openapi)
        .map_err(|e| panicked(e.to_string()))?;
    let mut items = syn::parse2::<syn::File>(tokens)
        .map_err(|e| panicked(e.to_string()))?
        .items;
    url::join(&mut items, document.operations.len())?;
    let written = types::complete(&mut items, &generator, &facts)?;
    let operations = facts.operations();
    let (server, header) = (&document.server, &document.key_header);
    let hash = hmac_sha256::Hash::hash(text.as_bytes());
    let hash = hash.map(|byte| format!("{byte:02x}")).concat();
    let file = syn::parse_quote! {
        #(#items)*
        #written
        #operations
        /// The server of the document.
        pub const BASE_URL: &str = #server;
        /// The header that carries the key.
        pub(crate) const KEY_HEADER: ::http::HeaderName = ::http::HeaderName::from_static(#header);
        /// The document.
        pub const DOCUMENT: crate::operation::Document = crate::operation::Document { file: #file, sha256: #hash };
    };
    Ok(Generated {
        code: prettyplease::unparse(&file),
        left_out: document.left_out,
    })
}
