//! One binary for all tests.

mod documents;
mod features;
mod generator;
mod grown;
mod nested;
#[path = "../../../tests/it/random.rs"]
mod random;
mod regenerate;
mod revised;
