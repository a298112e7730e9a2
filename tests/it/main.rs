//! One binary for all tests, so that the crate is linked once.

mod answers;
mod batch;
mod blocking;
mod bodies;
mod calls;
mod capture;
mod documented;
mod errors;
mod faults;
mod honest;
mod http2;
mod keys;
mod mock;
mod nested;
mod pace;
mod properties;
mod regenerate;
mod retries;
mod secrets;
mod server;
mod settings;
mod traces;
mod types;
mod undocumented;
mod update_example;
mod wire;
