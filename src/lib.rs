#![doc = include_str!("../README.md")]
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

/// The code of the questions and answers is tried, as the README's is.
#[cfg(doctest)]
#[doc = include_str!("../docs/faq.md")]
struct Faq;
