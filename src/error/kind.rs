//! Kinds of errors, with a stable code for each.

use std::fmt;

use http::StatusCode;

/// What happened, to match on; see [`Error::kind`](crate::Error::kind).
///
/// More kinds may come: for one that you do not know, ask
/// [`is_retryable`](crate::Error::is_retryable) and
/// [`may_have_been_applied`](crate::Error::may_have_been_applied).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request or an option of the call is invalid; nothing was sent.
    InvalidRequest,
    /// The client cannot send as it is configured.
    Configuration,
    /// The call was not sent, because the server asked for a pause, by a 429 or a 503.
    Paused,
    /// No connection could be made.
    Connect,
    /// The connection was lost before the response was complete.
    ConnectionLost,
    /// The response is not HTTP.
    InvalidHttp,
    /// Time ran out before the response was complete.
    Timeout,
    /// 3xx, which is not followed; or the caller's own HTTP client followed one.
    Redirect,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 429; or the client's own `rate_limit` leaves no room within the time limit of the call.
    RateLimited,
    /// Any other 4xx.
    Rejected,
    /// Any 5xx.
    ServerError,
    /// 2xx with a body that is not the documented one.
    Decode,
}

impl ErrorKind {
    /// Returns a code that stays the same in all versions, for metrics, logs and result files.
    ///
    /// ```
    /// assert_eq!(sigmamind::ErrorKind::RateLimited.as_str(), "rate_limited");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Configuration => "configuration",
            Self::Paused => "paused",
            Self::Connect => "connect",
            Self::ConnectionLost => "connection_lost",
            Self::InvalidHttp => "invalid_http",
            Self::Timeout => "timeout",
            Self::Redirect => "redirect",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::Rejected => "rejected",
            Self::ServerError => "server_error",
            Self::Decode => "decode",
        }
    }

    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            429 => Self::RateLimited,
            300..=399 => Self::Redirect,
            500.. => Self::ServerError,
            _ => Self::Rejected,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
