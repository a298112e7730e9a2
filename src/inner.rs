//! State that clones of a client share.

use std::time::Duration;

use reqwest::{Url, header::HeaderMap};
use tower::retry::budget::TpsBudget;

use crate::{
    backoff::Backoff,
    hooks::{EndHook, Hook},
    key::{Key, KeySource},
    limiter::RateLimiter,
};

/// Connections and settings of a client, whatever the key.
pub(crate) struct ClientInner {
    pub http: reqwest::Client,
    pub base_url: Url,
    /// Headers of every request, beside those that the operation needs.
    pub headers: HeaderMap,
    pub on_attempt: Option<Hook>,
    pub on_attempt_end: Option<EndHook>,
    pub options: Options,
    pub backoff: Backoff,
    pub max_retry_after: Duration,
    pub rate_limit: Option<f64>,
}

impl ClientInner {
    pub fn host(&self) -> &str {
        self.base_url.host_str().unwrap_or_default()
    }
}

/// An API key, and what a server counts by key: its rate limit and our retries.
pub(crate) struct Credentials {
    pub key: Key,
    pub limiter: RateLimiter,
    pub budget: TpsBudget,
}

impl Credentials {
    pub fn new(
        key: KeySource,
        rate_limit: Option<f64>,
        max_pause: Duration,
    ) -> Result<Self, String> {
        Ok(Self {
            key: Key::new(key)?,
            limiter: RateLimiter::new(rate_limit, max_pause),
            budget: TpsBudget::new(Duration::from_secs(10), 1, 0.2),
        })
    }
}

/// Options that a client sets for all its calls, and a call for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub attempt_timeout: Duration,
    pub timeout: Duration,
    pub max_retries: u32,
}
