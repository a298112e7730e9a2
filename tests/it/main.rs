//! One binary for all tests, so that the crate is linked once.

mod documented;
mod types;
mod wire;
