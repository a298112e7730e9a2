//! Generates the client from the text of a document.
//!
//! The passes, in order: [`parse`](parse()) → [`read`](read()) → [`Model`] → [`lower`](lower()) → progenitor → [`emit`](emit()).

mod check;
mod emit;
mod failure;
mod limits;
mod lower;
mod model;
mod names;
mod needed;
mod parse;
mod pattern;
mod read;
mod schema;
mod texts;

use std::{fs::File, io::Read, path::Path, thread};

use openapiv3::OpenAPI;
use serde_json::Value;

pub use emit::emit;
pub use failure::{Failure, Result};
pub use model::Model;
pub use needed::Needed;
pub use read::{Document, read};

/// Stack size in bytes: more than any document needs, because `schema::DEEPEST` bounds the depth.
const STACK: usize = 256 << 20;
/// Maximum length of a document in bytes; a longer one takes too long.
const LONGEST: usize = 1 << 20;

/// The client's code, and the parts of the document that it leaves out.
pub struct Generated {
    /// The Rust source.
    pub code: String,
    /// Unsupported parts of the document that the crate does not need.
    pub skipped: Vec<Skipped>,
}

/// A part of the document that is not generated.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// Name of the part, for example ``operation `listCalls` ``.
    pub what: String,
    /// Reason why it is skipped.
    pub failure: Failure,
}

impl Skipped {
    fn new(what: String, failure: Failure) -> Self {
        Self { what, failure }
    }
}

/// Runs the work on a large stack, and turns a panic into a failure: the generator recurses, and
/// panics on unsupported documents.
///
/// # Errors
///
/// Returns the failure of the work, or the text of its panic.
pub fn guarded<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK);
        let result = thread.spawn_scoped(scope, work);
        result
            .map_err(Failure::unsupported)?
            .join()
            .unwrap_or_else(|panic| {
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                Err(Failure::unsupported(text.unwrap_or("it panicked")))
            })
    })
}

/// Reads the text of a document, up to its maximum length.
///
/// # Errors
///
/// Fails if the file cannot be read or is not UTF-8.
pub fn load(file: &Path) -> Result<String> {
    let failure = |error: std::io::Error| {
        let remedy = "Check the path; a relative one starts at this crate's folder, so give \
            SIGMAMIND_OPENAPI an absolute one, or set it in .cargo/config.toml with `relative = true`.";
        Failure::new("read the document", error.to_string(), remedy)
    };
    let mut text = String::new();
    let file = File::open(file).map_err(failure)?;
    let bytes = file.take(LONGEST as u64 + 1).read_to_string(&mut text);
    // A file that is cut at the limit may end within a character.
    match bytes {
        Err(error) if text.len() <= LONGEST => Err(failure(error)),
        _ => Ok(text),
    }
}

/// Parses the text of a document.
///
/// # Errors
///
/// Fails if it is too long, or neither YAML nor JSON.
pub fn parse(text: &str) -> Result<Value> {
    if text.len() > LONGEST {
        let reason = format!("it has more than {LONGEST} bytes");
        let remedy = "Remove what is not needed.";
        return Err(Failure::new("parse the document", reason, remedy));
    }
    parse::parse(text)
}

/// Rewrites the document for the generator.
///
/// # Errors
///
/// Fails if the generator cannot read it.
pub fn lower(model: &Model) -> Result<OpenAPI> {
    serde_json::from_value(lower::document(model)).map_err(Failure::unsupported)
}
