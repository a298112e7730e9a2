//! One binary for all tests, so that the crate is linked once.

mod answers;
mod batch;
mod blocking;

mod bodies;
mod calls;
mod capture;
mod child;
mod documented;
mod errors;
mod faults;
mod features;
mod files;
mod honest;
mod http2;
mod keys;
mod limiter;
mod mock;
mod nested;
mod properties;
mod proxies;
mod random;
mod regenerate;
mod retries;
mod revised;
mod secrets;
mod server;
mod settings;
mod tls;
mod traces;
mod types;
mod undocumented;
mod update_example;
mod wire;
