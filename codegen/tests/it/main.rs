//! One binary for all tests.

mod documents;
mod generator;
