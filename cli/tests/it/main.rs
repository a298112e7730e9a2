//! The program from outside, against the library's fake server.

mod apply;
mod checks;
mod document;
mod env;
#[cfg(feature = "fake")]
mod fake;
mod faults;
#[cfg(unix)]
mod kills;
mod machines;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../codegen/tests/it/nested.rs"]
mod nested;
mod preserve;
#[cfg(unix)]
mod prompts;
mod reading;
mod resume;
mod rollback;
mod secrets;
mod set;
mod shell;
mod stops;
mod surprise;
mod transcripts;
mod truth;
