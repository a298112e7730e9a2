//! What calls share: the connections and settings of a client, and the key, limiter and budget.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tower::retry::budget::TpsBudget;

use crate::{
    backoff::Backoff,
    generated::KEY_HEADER,
    key::{Key, KeySource},
    limiter::RateLimiter,
    operation::Operation,
};

/// What the calls with one key share.
pub(crate) struct Account {
    pub shared: Arc<Shared>,
    pub key: Key,
    pub limiter: RateLimiter,
    pub budget: TpsBudget,
}

impl Account {
    pub fn new(key: KeySource, shared: Arc<Shared>) -> Result<Self, String> {
        Ok(Self {
            key: Key::new(key)?,
            limiter: RateLimiter::new(shared.rate_limit),
            budget: TpsBudget::new(Duration::from_secs(10), 1, 0.2),
            shared,
        })
    }
}

/// What the calls of one client share, whatever their key.
pub(crate) struct Shared {
    pub http: reqwest::Client,
    pub base_url: Url,
    /// Sent with every request, beside what the operation needs.
    pub headers: HeaderMap,
    pub on_attempt: Option<Hook>,
    pub options: Options,
    pub backoff: Backoff,
    pub max_retry_after: Duration,
    pub rate_limit: Option<f64>,
}

/// What may add headers to each attempt.
pub(crate) type Hook = Arc<dyn Fn(&mut HeaderMap, &Attempt) + Send + Sync>;

/// An attempt that is about to be made, for [`ClientBuilder::on_attempt`](crate::ClientBuilder::on_attempt).
#[derive(Debug)]
pub struct Attempt {
    pub(crate) number: u32,
    pub(crate) operation: &'static Operation,
}

impl Attempt {
    /// 1 for the first attempt of a call, and so on.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What is called.
    #[must_use]
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }
}

impl Shared {
    pub fn host(&self) -> &str {
        self.base_url.host_str().unwrap_or_default()
    }
}

/// What a client sets for its calls, and each call for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub attempt_timeout: Duration,
    pub timeout: Duration,
    pub max_retries: u32,
}

/// A header that a caller may set.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let Ok(name) = HeaderName::try_from(name) else {
        return Err(format!("`{name}` is not the name of a header").replace(char::is_control, " "));
    };
    if is_reserved(&name) {
        return Err(reserved(&name));
    }
    let Ok(mut value) = HeaderValue::try_from(value) else {
        return Err(format!(
            "the value of the header `{name}` has a control character"
        ));
    };
    value.set_sensitive(true);
    Ok((name, value))
}

pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    let reserved = ["host", "transfer-encoding", "connection"];
    *name == KEY_HEADER
        || reserved.contains(&name.as_str())
        || name.as_str().starts_with("content-")
}

pub(crate) fn reserved(name: &HeaderName) -> String {
    format!("the header `{name}` is set by the client itself; leave it out")
}
