//! What a successful call returns, and the names under which servers send a request id.

use std::ops::Deref;

use reqwest::{StatusCode, header::HeaderMap};

/// The most that is read of a successful answer, in bytes.
pub(crate) const MAX_SUCCESS: usize = 1 << 20;

/// A successful answer: the value (to which it derefs) and how it came.
///
/// Its `Debug` hides the header values.
#[derive(Clone)]
pub struct Response<T> {
    pub(crate) value: T,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) attempts: u32,
}

impl<T> Response<T> {
    /// The HTTP status, one of 2xx.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers of the answer.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The id under which the server, or a proxy before it, knows this call; `None` if it sent none.
    ///
    /// The page documents no such header; the usual ones are looked for: `x-request-id`,
    /// `request-id`, `x-amzn-requestid`, `x-amz-request-id`, `x-correlation-id`, `cf-ray`.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        request_id(&self.headers)
    }

    /// How many requests were sent, the successful one included: 1 without a retry.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The value alone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Response<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Response<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("value", &self.value)
            .field("status", &self.status)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    [
        "x-request-id",
        "request-id",
        "x-amzn-requestid",
        "x-amz-request-id",
        "x-correlation-id",
        "cf-ray",
    ]
    .iter()
    .find_map(|name| headers.get(*name)?.to_str().ok())
}
