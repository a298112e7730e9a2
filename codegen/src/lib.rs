//! Generates the client from the text of a document.
//!
//! Data goes one way: [`parse`](parse()) → [`read`](read()) → [`Model`] → [`lower`](lower()) → progenitor → [`emit`](emit()).

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

/// More than any document needs, since `schema::DEEPEST` bounds them.
const STACK: usize = 256 << 20;
/// The most bytes of a document; what is longer takes too long.
const LONGEST: usize = 1 << 20;

/// The client's code, and what is not in it.
pub struct Generated {
    /// The Rust source.
    pub code: String,
    /// What is not understood, and not needed.
    pub skipped: Vec<Skipped>,
}

/// A part of the document that is not generated.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// What it is: ``operation `listCalls` ``, say.
    pub what: String,
    /// Why.
    pub failure: Failure,
}

impl Skipped {
    fn new(what: String, failure: Failure) -> Self {
        Self { what, failure }
    }
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

/// Reads the text of a document, as far as it may be long.
///
/// # Errors
///
/// If there is no such file, or it is too long, or not UTF-8.
pub fn load(file: &Path) -> Result<String> {
    let failure = |error: std::io::Error| {
        let remedy = "Check the path; a relative one starts at this crate's folder, so give \
            SIGMAMIND_OPENAPI an absolute one, or set it in .cargo/config.toml with `relative = true`.";
        Failure::new("read the document", error.to_string(), remedy)
    };
    let mut text = String::new();
    let file = File::open(file).map_err(failure)?;
    let bytes = file.take(LONGEST as u64 + 1).read_to_string(&mut text);
    // A file that is cut may end within a character.
    match bytes {
        Err(error) if text.len() <= LONGEST => Err(failure(error)),
        _ => Ok(text),
    }
}

/// Parses the text of a document.
///
/// # Errors
///
/// If it is too long, or neither YAML nor JSON.
pub fn parse(text: &str) -> Result<Value> {
    if text.len() > LONGEST {
        let reason = format!("it has more than {LONGEST} bytes");
        let remedy = "Remove what is not needed.";
        return Err(Failure::new("parse the document", reason, remedy));
    }
    parse::parse(text)
}

/// Writes the document anew for the generator.
///
/// # Errors
///
/// If the generator cannot read it.
pub fn lower(model: &Model) -> Result<OpenAPI> {
    serde_json::from_value(lower::document(model)).map_err(Failure::unsupported)
}
