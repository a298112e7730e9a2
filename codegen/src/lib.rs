//! Generates the client from the text of a document.
//!
//! Data goes one way: [`parse`](parse()) → [`read`](read()) → [`Model`] → [`lower`](lower()) → progenitor → [`emit`](emit()).

mod check;
mod emit;
mod failure;
mod lower;
mod model;
mod names;
mod parse;
mod read;
mod schema;
mod wrapper;

use std::thread;

use openapiv3::OpenAPI;
use serde_json::Value;

pub use emit::emit;
pub use failure::{Failure, Result};
pub use model::Model;
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
    pub skipped: Vec<(String, Failure)>,
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
pub fn lower(model: &Model, sources: &Sources) -> Result<OpenAPI> {
    model.compare(&wrapper::methods(sources))?;
    model.check()?;
    serde_json::from_value(lower::document(model)).map_err(Failure::unsupported)
}
