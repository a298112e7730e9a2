//! One binary for all tests.

mod documents;
mod generator;
#[path = "../../../tests/it/random.rs"]
mod random;
