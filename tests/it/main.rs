//! One binary for all tests, so that the crate is linked once.

mod documented;
mod nested;
mod regenerate;
mod types;
mod wire;
