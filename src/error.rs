//! The one error type.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use reqwest::{StatusCode, header::HeaderMap};

use crate::{
    backoff::within_a_year,
    limiter::{Reason, Rejection},
    response::request_id,
};

type Source = Box<dyn StdError + Send + Sync>;

/// Why a call failed, or a client could not be made.
///
/// Its `Display` is one line that says what happened and what to do; the causes are in
/// [`source`](StdError::source). Neither it nor `Debug` shows the key, a string that was sent and
/// is not known to be harmless, the phone number, a header or a body.
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
    kind: Kind,
    response: ResponseContext,
    attempts: u32,
    may_have_been_applied: bool,
    source: Option<Source>,
}

/// What came of the last attempt's answer.
#[derive(Default)]
pub(crate) struct ResponseContext {
    pub status: Option<StatusCode>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub message: Option<String>,
    pub retry_after: Option<Duration>,
    /// The host that a redirect points to.
    pub redirect: Option<String>,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Kind {
    InvalidRequest(String),
    Configuration(String),
    Setup,
    /// No request may leave for as long as [`ResponseContext::retry_after`] says.
    Held(Reason),
    Connect,
    Transport,
    /// What came is no HTTP.
    NotHttp,
    /// With the limit that was reached, unless it is the HTTP client's own.
    Timeout(Option<Duration>),
    Status,
    /// The caller's HTTP client has followed a redirect.
    Redirected,
    /// With what is wrong with the body.
    Decode(&'static str),
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            kind,
            response: ResponseContext::default(),
            attempts: 0,
            may_have_been_applied: false,
            source: None,
        }))
    }

    pub(crate) fn invalid_request(reason: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequest(reason.into()))
    }

    pub(crate) fn configuration(reason: impl Into<String>) -> Self {
        Self::new(Kind::Configuration(reason.into()))
    }

    pub(crate) fn setup(source: impl Into<Source>) -> Self {
        Self::new(Kind::Setup).with_source(source)
    }

    pub(crate) fn held(rejection: Rejection) -> Self {
        Self::new(Kind::Held(rejection.reason)).with_response(ResponseContext {
            retry_after: Some(within_a_year(rejection.wait)),
            ..ResponseContext::default()
        })
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_response(mut self, response: ResponseContext) -> Self {
        self.0.response = response;
        self
    }

    /// A failure of the transport.
    pub(crate) fn transport(source: reqwest::Error) -> Self {
        let kind = if source.is_builder() {
            Kind::Setup
        } else if source.is_connect() {
            Kind::Connect
        } else if is_not_http(&source) {
            Kind::NotHttp
        } else if source.is_timeout() && !causes(&source).any(<dyn StdError>::is::<hyper::Error>) {
            // hyper's own is a connection's that does not answer a ping.
            Kind::Timeout(None)
        } else {
            Kind::Transport
        };
        Self::new(kind).with_reqwest_source(source)
    }

    /// With an error of the HTTP client's as the cause, less what may have a secret in it: the URL,
    /// which has the path's values, and what a server says when it ends a connection.
    pub(crate) fn with_reqwest_source(self, source: reqwest::Error) -> Self {
        #[cfg(feature = "http2")]
        if let Some(reason) = gone_away(&source) {
            return self.with_source(GoneAway(reason));
        }
        self.with_source(source.without_url())
    }

    /// Adds what the call's attempts so far have come to.
    pub(crate) fn with_history(mut self, attempts: u32, may_have_been_applied: bool) -> Self {
        self.0.attempts = attempts;
        self.0.may_have_been_applied = may_have_been_applied;
        self
    }

    /// Tells of a wait that is longer than the server's.
    pub(crate) fn with_retry_after(mut self, wait: Duration) -> Self {
        let known = self.0.response.retry_after.unwrap_or_default();
        self.0.response.retry_after = Some(known.max(wait));
        self
    }

    /// The HTTP status of the last attempt; `None` if no answer came.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.response.status
    }

    /// The headers of the last attempt's answer; empty if none came.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.0.response.headers
    }

    /// The first 64 KiB of the last attempt's body, as it came; empty if there was none.
    ///
    /// A server may repeat in it what was sent, secrets included.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.0.response.body
    }

    /// What the server says is wrong: from `message`, `msg`, `error`, `errors`, `detail` or `title`
    /// of a JSON body, or a plain text; on one line, at most 500 characters.
    ///
    /// Blanked are the key, the path's values and every string that was sent and that the document
    /// does not say may be shown, whatever their case and separators. An echo that is encoded or
    /// shortened is not found.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.response.message.as_deref()
    }

    /// The id to give to the server's support; see [`Response::request_id`](crate::Response::request_id).
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        request_id(&self.0.response.headers)
    }

    /// How many requests were attempted; 0 if the call was refused before the first.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How long to wait before the next call, by the server's `retry-after-ms` or `Retry-After`,
    /// at most a year; `None` if it does not say, or says no time that is to come.
    ///
    /// A call that was not sent because the server has asked for a pause
    /// ([`attempts`](Self::attempts) is 0) has what is left of it.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.response.retry_after
    }

    /// Whether the request may have taken effect although the call failed.
    ///
    /// `false` when no attempt reached the server or it refused each one (any 3xx or 4xx but 302,
    /// 303 and 408). `true` when a request left and its fate is not known: no answer, a broken
    /// one, 302, 303, 408, 5xx, or a 2xx that could not be read or is not about what was asked.
    #[must_use]
    pub fn may_have_been_applied(&self) -> bool {
        self.0.may_have_been_applied
    }

    /// Returns whether the request or an option of the call is invalid. Nothing was sent; correct
    /// the request.
    #[must_use]
    pub fn is_invalid_request(&self) -> bool {
        matches!(self.0.kind, Kind::InvalidRequest(_))
    }

    /// Returns whether the client cannot send as it is configured: its key, base URL, TLS, a
    /// setting, a header of its hook, or the Tokio runtime. This attempt was not sent.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self.0.kind, Kind::Configuration(_) | Kind::Setup)
    }

    /// No connection could be made (name look-up, TCP, proxy or TLS); nothing was sent.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.0.kind, Kind::Connect)
    }

    /// Time ran out: of a connection, an attempt or the whole call.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, Kind::Timeout(_))
            || chain(self.source()).any(|e| {
                e.downcast_ref::<reqwest::Error>()
                    .is_some_and(reqwest::Error::is_timeout)
            })
    }

    /// The server accepted the request (2xx), and its answer is not the documented JSON, is about
    /// something else, or is too long.
    #[must_use]
    pub fn is_decode(&self) -> bool {
        matches!(self.0.kind, Kind::Decode(_))
    }

    /// 401 or 403: the key is wrong or may not do this.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        self.has_status(|code| matches!(code, 401 | 403))
    }

    /// 404: no such number in the key's account, or a wrong base URL.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.has_status(|code| code == 404)
    }

    /// 429, or a call that was not sent because of the rate: the server asked for a pause after a 429,
    /// or the client's own limit left no room; see [`retry_after`](Self::retry_after). After a 503 a
    /// pause is no rate limit.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::Held(Reason::Throttled | Reason::OwnLimit)
        ) || self.has_status(|code| code == 429)
    }

    /// Any 5xx.
    #[must_use]
    pub fn is_server_error(&self) -> bool {
        self.has_status(|code| code >= 500)
    }

    /// The same call may succeed later: the transport failed, time ran out, the server has asked
    /// for a pause, or the status is 408, 429, 500, 502, 503 or 504. The client has already tried
    /// as often as it is set to.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            Kind::Held(_) | Kind::Connect | Kind::Transport | Kind::Timeout(_) => true,
            Kind::Status => self.has_status(|code| matches!(code, 408 | 429 | 500 | 502..=504)),
            Kind::InvalidRequest(_)
            | Kind::Configuration(_)
            | Kind::Setup
            | Kind::NotHttp
            | Kind::Redirected
            | Kind::Decode(_) => false,
        }
    }

    /// Whether an answer says by its status that the request was refused, and not applied.
    pub(crate) fn is_refusal(&self) -> bool {
        self.has_status(|code| (300..500).contains(&code) && !matches!(code, 302 | 303 | 408))
    }

    /// `error.type` as OpenTelemetry has it: the status, or a word of low cardinality.
    pub(crate) fn error_type(&self) -> Cow<'static, str> {
        match &self.0.kind {
            Kind::InvalidRequest(_) => "invalid_request".into(),
            Kind::Configuration(_) | Kind::Setup => "configuration".into(),
            Kind::Held(Reason::Unavailable) => "unavailable".into(),
            Kind::Held(Reason::Throttled | Reason::OwnLimit) => "rate_limited".into(),
            Kind::Connect => "connect".into(),
            Kind::Transport => "transport".into(),
            Kind::NotHttp => "not_http".into(),
            Kind::Timeout(_) => "timeout".into(),
            Kind::Redirected => "redirected".into(),
            Kind::Decode(_) => "decode".into(),
            Kind::Status => self
                .status()
                .map_or("status".into(), |status| status.as_str().to_owned().into()),
        }
    }

    /// Whether the cause is one of the TLS library's that is about certificates. Each has errors
    /// of its own, and only their texts in common.
    fn names_a_certificate(&self) -> bool {
        chain(self.source())
            .map(|cause| cause.to_string().to_lowercase())
            .any(|text| text.contains("certificate"))
    }

    /// Whether a status decided the failure, and this one.
    fn has_status(&self, test: impl Fn(u16) -> bool) -> bool {
        matches!(self.0.kind, Kind::Status)
            && self.status().is_some_and(|status| test(status.as_u16()))
    }

    /// What to do about a status.
    fn advice(&self) -> Cow<'static, str> {
        match self.status().map_or(0, |status| status.as_u16()) {
            300..=399 => match &self.0.response.redirect {
                Some(host) => format!(
                    "the redirect to {host} was not followed, because the key would go along; \
                     correct the base URL"
                )
                .into(),
                None => "redirects are not followed; correct the base URL".into(),
            },
            401 => "check the API key".into(),
            403 => "check what the API key may do".into(),
            404 => "check that the number belongs to the key's account, and the base URL".into(),
            429 => match self.retry_after() {
                Some(wait) => format!("retry after {}", Rounded(wait)).into(),
                None => "reduce concurrency or set `rate_limit`".into(),
            },
            408 | 500.. => "try again later".into(),
            _ => "correct the request".into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, response, .. } = &*self.0;
        if let (Kind::Transport | Kind::Timeout(_) | Kind::Decode(_), Some(status)) =
            (kind, response.status)
        {
            write!(f, "the request was accepted ({status}), but ")?;
        }
        match kind {
            Kind::InvalidRequest(reason) => return write!(f, "invalid request: {reason}"),
            Kind::Configuration(reason) => return write!(f, "invalid configuration: {reason}"),
            Kind::Setup if self.names_a_certificate() => {
                return f.write_str(
                    "the HTTP client cannot be set up, because https needs root certificates and \
                     none can be loaded; install the system's (the package `ca-certificates`), or \
                     name a file of them in SSL_CERT_FILE",
                );
            }
            Kind::Setup => {
                return f.write_str(
                    "the HTTP client cannot be set up; check its TLS backend and proxy settings",
                );
            }
            Kind::Held(reason) => {
                let wait = Rounded(response.retry_after.unwrap_or_default());
                match reason {
                    Reason::Throttled => {
                        write!(
                            f,
                            "not sent: the server asked for a pause; retry after {wait}"
                        )?;
                    }
                    Reason::Unavailable => write!(
                        f,
                        "not sent: the server asked for a pause; retry after {wait} (it answered \
                         503 to another request)"
                    )?,
                    Reason::OwnLimit => write!(
                        f,
                        "not sent: the client's `rate_limit` leaves no room within the time \
                         limit; retry after {wait}"
                    )?,
                }
            }
            Kind::Connect if self.names_a_certificate() => f.write_str(
                "no connection could be made, because of a certificate; check the base URL, the \
                 clock and the system's root certificates (the package `ca-certificates`, or \
                 SSL_CERT_FILE)",
            )?,
            Kind::Connect => f.write_str(
                "no connection could be made; check the network, the proxy and the base URL",
            )?,
            Kind::Transport => f.write_str("the connection broke; try again later")?,
            Kind::NotHttp => f.write_str(
                "what came is not an HTTP answer; check the base URL, and look up elsewhere what \
                 holds now",
            )?,
            Kind::Timeout(limit) => {
                f.write_str("no complete answer came within ")?;
                match limit {
                    Some(limit) => write!(f, "{limit:?}")?,
                    None => f.write_str("the HTTP client's own limit")?,
                }
                f.write_str("; try again later or allow more time")?;
            }
            Kind::Status => {
                let status = response.status.unwrap_or_default();
                write!(f, "SigmaMind answered {status}")?;
                if let Some(message) = &response.message {
                    write!(f, " ({message})")?;
                }
                write!(f, "; {}", self.advice())?;
            }
            Kind::Redirected => f.write_str(
                "the HTTP client followed a redirect to elsewhere; give it \
                 `redirect(Policy::none())` and correct the base URL",
            )?,
            Kind::Decode(problem) => {
                write!(f, "the answer {problem}; look up elsewhere what holds now")?;
            }
        }
        if self.0.attempts > 1 {
            write!(f, " [after {} attempts]", self.0.attempts)?;
        }
        if self.0.may_have_been_applied && !self.is_decode() {
            f.write_str(" [the request may have taken effect]")?;
        }
        Ok(())
    }
}

/// A duration as people say it: "200 ms", "1.5 s", "30 s", "5 min", "2 h", "3 days".
struct Rounded(Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_nanos().div_ceil(1_000_000);
        let seconds = millis.div_ceil(1000);
        match seconds {
            0 | 1 if millis < 1000 => write!(f, "{millis} ms"),
            0..10 => {
                let tenths = millis.div_ceil(100);
                match tenths % 10 {
                    0 => write!(f, "{} s", tenths / 10),
                    tenth => write!(f, "{}.{tenth} s", tenths / 10),
                }
            }
            10..180 => write!(f, "{seconds} s"),
            180..7200 => write!(f, "{} min", seconds.div_ceil(60)),
            7200..172_800 => write!(f, "{} h", seconds.div_ceil(3600)),
            _ => write!(f, "{} days", seconds.div_ceil(86_400)),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            response,
            attempts,
            may_have_been_applied,
            source,
        } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("status", &response.status)
            .field("message", &response.message)
            .field("attempts", attempts)
            .field("may_have_been_applied", may_have_been_applied)
            .field("source", &source.as_ref().map(ToString::to_string))
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// A JSON error without the part that quotes the body.
pub(crate) struct Malformed(pub serde_json::Error);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match text.rsplit_once(", expected ") {
            Some((_, rest)) => write!(f, "expected {rest}"),
            None => f.write_str(&text),
        }
    }
}

impl fmt::Debug for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Malformed {}

/// Whether an answer's head breaks the grammar of HTTP.
pub(crate) fn is_not_http(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let broken = cause.downcast_ref().is_some_and(hyper::Error::is_parse);
        #[cfg(feature = "http2")]
        let broken = broken || cause.downcast_ref().is_some_and(h2::Error::is_library);
        broken
    })
}

/// Why the server has ended the connection, if it has said so.
#[cfg(feature = "http2")]
fn gone_away(error: &reqwest::Error) -> Option<h2::Reason> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<h2::Error>())
        .find(|error| error.is_go_away() && error.is_remote())
        .and_then(h2::Error::reason)
}

#[cfg(feature = "http2")]
#[derive(Debug)]
struct GoneAway(h2::Reason);

#[cfg(feature = "http2")]
impl fmt::Display for GoneAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server has ended the connection: {}", self.0)
    }
}

#[cfg(feature = "http2")]
impl StdError for GoneAway {}

/// The causes of an error, one after the other.
pub(crate) fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    chain(error.source())
}

fn chain<'e>(
    first: Option<&'e (dyn StdError + 'static)>,
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(first, |error: &&'e (dyn StdError + 'static)| {
        (*error).source()
    })
}
