//! One binary for all tests, so that the crate is linked once.

mod bodies;
mod capture;
mod errors;
mod faults;
mod retries;
mod secrets;
mod server;
mod settings;
mod traces;
