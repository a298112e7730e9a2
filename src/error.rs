//! The one error type.

mod display;
mod kind;
mod transport;

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use reqwest::{StatusCode, header::HeaderMap};

pub use self::kind::ErrorKind;
pub(crate) use self::transport::{Malformed, causes, is_not_http};
use self::transport::{chain, gone_away};
use crate::{
    backoff::within_a_year,
    limiter::{Reason, Rejection},
};

type Source = Box<dyn StdError + Send + Sync>;

/// Error of a call, or of building a client.
///
/// It speaks for the whole call, all attempts included. Its `Display` is one line that says what
/// happened and what to do; the causes are in [`source`](StdError::source). Neither `Display` nor
/// `Debug` shows the key, the phone number, a header, a body, or a string that was sent and that
/// the API's document does not mark as harmless.
///
/// ```no_run
/// # async fn run(client: &sigmamind::Client, number: &sigmamind::E164, update: &sigmamind::PhoneNumberUpdate) {
/// match client.update_phone_number(number, update).await {
///     Ok(phone) => println!("{:?}", phone.friendly_name),
///     Err(error) if error.is_not_found() => println!("not one of our numbers"),
///     Err(error) if error.may_have_been_applied() => println!("check the number: {error}"),
///     Err(error) => println!("nothing was changed: {error}"),
/// }
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    cause: Cause,
    response: ResponseContext,
    history: AttemptHistory,
    source: Option<Source>,
}

/// Attempts of a call so far.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct AttemptHistory {
    pub attempts: u32,
    pub may_have_been_applied: bool,
}

/// Parts of the last attempt's response that an error keeps.
#[derive(Default)]
pub(crate) struct ResponseContext {
    pub status: Option<StatusCode>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub message: Option<String>,
    pub retry_after: Option<Duration>,
    /// The host that a redirect points to.
    pub redirect: Option<String>,
    pub request_id: Option<String>,
}

/// Cause of a failure, with the data that its text needs.
#[derive(Debug)]
pub(crate) enum Cause {
    InvalidRequest(Violation),
    Configuration(String),
    /// The HTTP client could not be built, or refuses to send.
    Setup,
    /// No request may leave for as long as [`ResponseContext::retry_after`] says.
    Held(Reason),
    Connect,
    ConnectionLost,
    InvalidHttp,
    /// With the limit that was reached, unless it is the HTTP client's own.
    Timeout(Option<Duration>),
    Status,
    /// The caller's HTTP client followed a redirect.
    Redirected,
    Decode(Undecodable),
}

/// A rule of the document that a request breaks, or an option that is not usable.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub reason: String,
    /// The path of the property that it is about.
    pub property: Option<String>,
}

impl From<String> for Violation {
    fn from(reason: String) -> Self {
        Self {
            reason,
            property: None,
        }
    }
}

impl From<&str> for Violation {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// Why the body of a success cannot be used.
#[derive(Debug)]
pub(crate) enum Undecodable {
    /// With the documented property that has another type.
    NotDocumented(Option<&'static str>),
    NoDocumentedProperty,
    TooLong,
    Malformed,
}

impl Error {
    pub(crate) fn new(cause: Cause) -> Self {
        Self(Box::new(Inner {
            cause,
            response: ResponseContext::default(),
            history: AttemptHistory::default(),
            source: None,
        }))
    }

    pub(crate) fn invalid_request(violation: impl Into<Violation>) -> Self {
        Self::new(Cause::InvalidRequest(violation.into()))
    }

    pub(crate) fn configuration(reason: impl Into<String>) -> Self {
        Self::new(Cause::Configuration(reason.into()))
    }

    pub(crate) fn setup(source: impl Into<Source>) -> Self {
        Self::new(Cause::Setup).with_source(source)
    }

    pub(crate) fn held(rejection: Rejection) -> Self {
        Self::new(Cause::Held(rejection.reason)).with_response(ResponseContext {
            retry_after: Some(within_a_year(rejection.wait)),
            ..ResponseContext::default()
        })
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Sets an error of the HTTP client as the source, without what may hold a secret: the URL,
    /// which has the path's values, and the server's text when it closes a connection.
    pub(crate) fn with_reqwest_source(self, source: reqwest::Error) -> Self {
        match gone_away(&source) {
            Some(gone_away) => self.with_source(gone_away),
            None => self.with_source(source.without_url()),
        }
    }

    pub(crate) fn with_response(mut self, response: ResponseContext) -> Self {
        self.0.response = response;
        self
    }

    pub(crate) fn with_history(mut self, history: AttemptHistory) -> Self {
        self.0.history = history;
        self
    }

    /// Extends the wait that the error reports.
    pub(crate) fn with_retry_after(mut self, wait: Duration) -> Self {
        let known = self.0.response.retry_after.unwrap_or_default();
        self.0.response.retry_after = Some(known.max(wait));
        self
    }

    /// Returns what happened, to match on.
    ///
    /// ```no_run
    /// # async fn run(call: sigmamind::Call<sigmamind::PhoneNumber>) {
    /// use sigmamind::ErrorKind;
    ///
    /// if let Err(error) = call.await {
    ///     match error.kind() {
    ///         ErrorKind::Unauthorized | ErrorKind::Forbidden => println!("check the key"),
    ///         kind => println!("failed: {kind}"), // as in a metric's label
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.0.cause {
            Cause::InvalidRequest(_) => ErrorKind::InvalidRequest,
            Cause::Configuration(_) | Cause::Setup => ErrorKind::Configuration,
            Cause::Held(Reason::Throttled | Reason::Unavailable) => ErrorKind::Paused,
            Cause::Held(Reason::OwnLimit) => ErrorKind::RateLimited,
            Cause::Connect => ErrorKind::Connect,
            Cause::ConnectionLost => ErrorKind::ConnectionLost,
            Cause::InvalidHttp => ErrorKind::InvalidHttp,
            Cause::Timeout(_) => ErrorKind::Timeout,
            Cause::Redirected => ErrorKind::Redirect,
            Cause::Decode(_) => ErrorKind::Decode,
            Cause::Status => ErrorKind::of_status(self.status().unwrap_or_default()),
        }
    }

    /// Returns the documented property that a validation or a decode error is about, as a path
    /// from the body down (`a.b`, with `*` for any item of a list or a map). Returns `None` for
    /// other errors, and where no single property is to blame.
    #[must_use]
    pub fn property(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::InvalidRequest(violation) => violation.property.as_deref(),
            Cause::Decode(Undecodable::NotDocumented(property)) => *property,
            _ => None,
        }
    }

    /// Returns why the request or the configuration is invalid, without the label that `Display`
    /// puts before it; `None` for other errors.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match &self.0.cause {
            Cause::InvalidRequest(violation) => Some(&violation.reason),
            Cause::Configuration(reason) => Some(reason),
            _ => None,
        }
    }

    /// Returns the HTTP status of the last attempt, or `None` if no response arrived.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.response.status
    }

    /// Returns the headers of the last attempt's response; empty if none arrived.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.0.response.headers
    }

    /// Returns the first 64 KiB of the last attempt's body, as it came; empty without one.
    ///
    /// A server may repeat in it what was sent, secrets included.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.0.response.body
    }

    /// Returns the server's explanation: `message`, `msg`, `error`, `errors`, `detail` or `title`
    /// of a JSON body, or a plain text; on one line, at most 500 characters.
    ///
    /// Redacted are the key, the path's values and every string that was sent and that the document
    /// does not mark as harmless, whatever their case and separators, and also percent-encoded or
    /// as JSON has them. Other encodings (Base64) and shortened echoes are not found.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.response.message.as_deref()
    }

    /// Returns the id to give to the server's support, redacted as [`message`](Self::message) is;
    /// see [`Response::request_id`](crate::Response::request_id).
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.response.request_id.as_deref()
    }

    /// Returns the number of attempts; 0 if the call was refused before the first.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.history.attempts
    }

    /// Returns how long to wait before the next call, by the server's `retry-after-ms` or
    /// `Retry-After`, at most a year; `None` if the server does not name a time to come.
    ///
    /// For a call that was not sent because the server asked for a pause, it is what is left of
    /// that pause.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.response.retry_after
    }

    /// Returns whether the request may have taken effect although the call failed.
    ///
    /// `false` when no attempt reached the server, or it refused each one (any 3xx or 4xx but 302,
    /// 303 and 408), and for the methods that change nothing (GET, HEAD, OPTIONS). `true` when one
    /// attempt was sent and its result is unknown: no response, a broken one, 302, 303, 408, 5xx,
    /// or a 2xx that could not be read.
    #[must_use]
    pub fn may_have_been_applied(&self) -> bool {
        self.0.history.may_have_been_applied
    }

    /// Returns whether the request or an option of the call is invalid. Nothing was sent; correct
    /// the request.
    #[must_use]
    pub fn is_invalid_request(&self) -> bool {
        matches!(self.0.cause, Cause::InvalidRequest(_))
    }

    /// Returns whether the client cannot send as it is configured: its key, base URL, TLS, a
    /// setting, a header of its hook, or the Tokio runtime.
    ///
    /// The last attempt was not sent. Earlier ones may have been, when a key provider fails later:
    /// see [`attempts`](Self::attempts) and [`may_have_been_applied`](Self::may_have_been_applied).
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self.0.cause, Cause::Configuration(_) | Cause::Setup)
    }

    /// Returns whether no connection could be made (name lookup, TCP, proxy or TLS).
    ///
    /// The last attempt was not sent. Earlier ones may have been: see
    /// [`may_have_been_applied`](Self::may_have_been_applied).
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.0.cause, Cause::Connect)
    }

    /// Returns whether time ran out: of a connection, an attempt or the whole call.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.cause, Cause::Timeout(_))
            || chain(self.source()).any(|cause| {
                cause
                    .downcast_ref::<reqwest::Error>()
                    .is_some_and(reqwest::Error::is_timeout)
            })
    }

    /// Returns whether the server accepted the request (2xx) with a response that is not the
    /// documented JSON or is too long.
    #[must_use]
    pub fn is_decode(&self) -> bool {
        matches!(self.0.cause, Cause::Decode(_))
    }

    /// Returns whether the status is 401 or 403: the key is wrong or lacks a permission.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unauthorized | ErrorKind::Forbidden)
    }

    /// Returns whether the status is 404: the key's account has nothing there, or the base URL is
    /// wrong.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Returns whether the status is 429, or the call was not sent because of the rate: the server
    /// asked for a pause after a 429, or the client's own limit left no room; see
    /// [`retry_after`](Self::retry_after). A pause after a 503 is no rate limit.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        matches!(self.0.cause, Cause::Held(Reason::Throttled))
            || self.kind() == ErrorKind::RateLimited
    }

    /// Returns whether the status is any 5xx.
    #[must_use]
    pub fn is_server_error(&self) -> bool {
        self.kind() == ErrorKind::ServerError
    }

    /// Returns whether the same call may succeed later: the transport failed, time ran out, the
    /// server asked for a pause, or the status is 408, 429, 500, 502, 503, 504, 520 to 524, 529 or
    /// 530. The client has already retried as often as it is set to.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.cause {
            Cause::Held(_) | Cause::Connect | Cause::ConnectionLost | Cause::Timeout(_) => true,
            Cause::Status => self.status().is_some_and(|status| {
                matches!(
                    status.as_u16(),
                    408 | 429 | 500 | 502..=504 | 520..=524 | 529 | 530
                )
            }),
            Cause::InvalidRequest(_)
            | Cause::Configuration(_)
            | Cause::Setup
            | Cause::InvalidHttp
            | Cause::Redirected
            | Cause::Decode(_) => false,
        }
    }

    /// Returns `error.type` as OpenTelemetry has it: the status, or a word of low cardinality.
    pub(crate) fn error_type(&self) -> Cow<'static, str> {
        match (&self.0.cause, self.status()) {
            (Cause::Status, Some(status)) => status.as_str().to_owned().into(),
            _ => self.kind().as_str().into(),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            cause,
            response,
            history,
            source,
        } = &*self.0;
        f.debug_struct("Error")
            .field("cause", cause)
            .field("status", &response.status)
            .field("message", &response.message)
            .field("attempts", &history.attempts)
            .field("may_have_been_applied", &history.may_have_been_applied)
            .field("source", &source.as_ref().map(ToString::to_string))
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
