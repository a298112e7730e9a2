//! What the programs of this package share.

pub mod http;
pub mod limit;

pub const KEY: &str = "a-key-of-the-usual-length-0123456789";
pub const NUMBER: &str = "+14155552671";
/// The update that the page documents, as JSON.
pub const UPDATE: &str = include_str!("../../tests/fixtures/request.json");
/// The answer that the page documents, as JSON.
pub const ANSWER: &str = include_str!("../../tests/fixtures/response.json");
