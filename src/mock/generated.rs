//! What build.rs generated for the mock from the document.

#![allow(
    missing_docs,
    dead_code,
    unused_imports,
    clippy::all,
    clippy::pedantic,
    reason = "the generator's style, and what it writes for operations that are not wrapped"
)]

include!(concat!(env!("OUT_DIR"), "/mock.rs"));
