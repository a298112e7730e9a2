//! One binary for all tests, so that the crate is linked once.

mod documented;
mod honest;
mod mock;
mod properties;
mod types;
mod update_example;
mod wire;
