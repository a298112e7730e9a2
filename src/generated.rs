//! The client that build.rs generated from the document.

#![allow(
    missing_docs,
    dead_code,
    unused_imports,
    unused_mut,
    clippy::all,
    clippy::pedantic,
    reason = "the generator's style, and parts of its client that the wrapper does not use"
)]

include!(concat!(env!("OUT_DIR"), "/client.rs"));
