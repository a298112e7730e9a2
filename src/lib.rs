//! An unofficial client for `SigmaMind`'s phone-number API.
//!
//! ```no_run
//! use sigmamind::{Client, E164, PhoneNumberUpdate};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::from_env()?; // the key in SIGMAMIND_API_KEY
//! let number: E164 = "+14155552671".parse()?;
//! let update = PhoneNumberUpdate::default().inbound_agent_id("awTw7UKhOsLGiDbt");
//! let phone = client.update_phone_number(&number, &update).await?;
//! println!("{:?} is run by {:?}", phone.sip_phone_number, phone.provider);
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client`] has a method for each operation of the API's document, and [`Client::request`] for
//!   any other path. Each returns a [`Call`], which is sent when it is awaited.
//! - [`ClientBuilder`] has the settings, each with its default.
//! - [`Batch`] sends many calls, as fast as the server allows.
//! - [`Error`] tells what happened, what to do, and whether the request may have taken effect.
//! - [`operations`] lists what the document has, and [`DOCUMENT`] says which document it was.
//!
//! The features `rustls` (default), `rustls-no-provider` and `native-tls` choose TLS; `http2`,
//! `blocking`, `schemars` and `mock` add HTTP/2, calls without async, JSON Schemas, and servers for
//! tests.
#![cfg_attr(docsrs, feature(doc_cfg))]

// The generated code names this crate's types by their full path.
extern crate self as sigmamind;

mod attempt;
mod backoff;
mod batch;
#[cfg(feature = "blocking")]
mod blocking;
mod builder;
mod call;
mod client;
mod error;
mod exchange;
mod generated;
mod headers;
mod hooks;
mod inner;
mod key;
mod limiter;
#[cfg(feature = "mock")]
#[cfg_attr(docsrs, doc(cfg(feature = "mock")))]
pub mod mock;
mod operation;
mod places;
mod query;
mod redact;
mod request;
mod response;
mod send;
mod tls;
mod types;
mod validation;

pub use batch::Batch;
pub use builder::ClientBuilder;
pub use call::Call;
pub use client::Client;
pub use error::{Error, ErrorKind};
pub use generated::{
    DOCUMENT,
    models::{self, PhoneNumber, PhoneNumberUpdate, Provider},
    operations,
};
pub use hooks::{Attempt, AttemptEnd};
pub use http;
pub use limiter::RateLimiterStatus;
pub use operation::{Document, Operation};
#[doc(hidden)]
pub use redact::Redactor;
pub use reqwest;
pub use response::Response;
pub use types::{E164, Nullable, ParseE164Error, ReportedNumber, Secret};

/// The code of the pages is tried.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../docs/faq.md")]
    struct Faq;
}
