//! The one error type, and the mapping to it from the generator's.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use http_body_util::LengthLimitError;
use progenitor_client::ResponseValue;
use reqwest::{
    StatusCode, Url,
    header::{HeaderMap, LOCATION},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Client, Response,
    hooks::{Exchange, Seen},
    operation::Operation,
    response::{MAX_SUCCESS, request_id},
    retry,
};

/// The most that is kept of an error's body, in bytes.
const MAX_ERROR: usize = 64 << 10;
/// The most that [`Error::message`] keeps, in characters.
const MAX_MESSAGE: usize = 500;

type Source = Box<dyn StdError + Send + Sync>;

/// Why a call failed, or a client could not be made.
///
/// Its `Display` is one line that says what happened and what to do; the causes are in
/// [`source`](StdError::source). Neither it nor `Debug` shows the key, a secret that was sent,
/// the phone number, a header or a body.
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
    status: Option<StatusCode>,
    headers: HeaderMap,
    body: Vec<u8>,
    message: Option<String>,
    /// The host that a redirect points to.
    redirect: Option<String>,
    attempts: u32,
    may_have_been_applied: bool,
    source: Option<Source>,
}

#[derive(Debug)]
enum Kind {
    Input(String),
    Setup,
    Connect,
    Transport,
    /// With the limit that was reached, unless it is the HTTP client's own.
    Timeout(Option<Duration>),
    Status,
    /// With what is wrong with the body.
    Decode(&'static str),
}

impl Error {
    pub(crate) fn input(reason: impl Into<String>) -> Self {
        Failed::new(Kind::Input(reason.into())).into_bare_error()
    }

    pub(crate) fn setup(source: impl Into<Source>) -> Self {
        Failed::new(Kind::Setup).because(source).into_bare_error()
    }

    /// The HTTP status of the last attempt; `None` if no answer came.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The headers of the last attempt's answer; empty if none came.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The first 64 KiB of the last attempt's body, as it came; empty if there was none.
    ///
    /// A server may repeat in it what was sent, secrets included.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// What the server says is wrong: from `message`, `error`, `error.message` or `errors[]` of a
    /// JSON body, or a plain text; on one line, at most 500 characters.
    ///
    /// The key, the secrets that were sent and the phone number are blanked out.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// The id to give to the server's support; see [`Response::request_id`].
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        request_id(&self.0.headers)
    }

    /// How many requests were attempted; 0 if the call was refused before the first.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How long the server asks to wait, by `retry-after-ms` or `Retry-After`; `None` if it does not.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        retry::retry_after(&self.0.headers)
    }

    /// Whether the update may be in force although the call failed.
    ///
    /// `false` when no attempt reached the server or it refused each one (any 3xx or 4xx but 408).
    /// `true` when a request left and its fate is not known: no answer, a broken one, 408, 5xx, or
    /// a 2xx that could not be read.
    #[must_use]
    pub fn may_have_been_applied(&self) -> bool {
        self.0.may_have_been_applied
    }

    /// The input, the key or the settings were refused here; nothing was sent.
    #[must_use]
    pub fn is_invalid_input(&self) -> bool {
        matches!(self.0.kind, Kind::Input(_) | Kind::Setup)
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
            || self.source_is(|e| {
                e.downcast_ref::<reqwest::Error>()
                    .is_some_and(reqwest::Error::is_timeout)
            })
    }

    /// The server accepted the request (2xx), and its answer is not the documented JSON or is too long.
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

    /// 429: too many requests; see [`retry_after`](Self::retry_after).
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.has_status(|code| code == 429)
    }

    /// Any 5xx.
    #[must_use]
    pub fn is_server_error(&self) -> bool {
        self.has_status(|code| code >= 500)
    }

    /// The same call may succeed later: the transport failed, time ran out, or the status is 408,
    /// 429, 500, 502, 503 or 504. The client has already tried as often as it is set to.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            Kind::Connect | Kind::Transport | Kind::Timeout(_) => true,
            Kind::Status => self.has_status(|code| matches!(code, 408 | 429 | 500 | 502..=504)),
            Kind::Input(_) | Kind::Setup | Kind::Decode(_) => false,
        }
    }

    pub(crate) fn set_history(&mut self, attempts: u32, may_have_been_applied: bool) {
        self.0.attempts = if self.is_invalid_input() {
            attempts - 1
        } else {
            attempts
        };
        self.0.may_have_been_applied = may_have_been_applied;
    }

    /// `error.type` as OpenTelemetry has it: the status, or a word of low cardinality.
    pub(crate) fn error_type(&self) -> Cow<'static, str> {
        match &self.0.kind {
            Kind::Input(_) | Kind::Setup => "invalid_input".into(),
            Kind::Connect => "connect".into(),
            Kind::Transport => "transport".into(),
            Kind::Timeout(_) => "timeout".into(),
            Kind::Decode(_) => "decode".into(),
            Kind::Status => self
                .0
                .status
                .map_or("status".into(), |status| status.as_str().to_owned().into()),
        }
    }

    /// Whether a status decided the failure, and this one.
    fn has_status(&self, test: impl Fn(u16) -> bool) -> bool {
        matches!(self.0.kind, Kind::Status)
            && self.0.status.is_some_and(|status| test(status.as_u16()))
    }

    fn source_is(&self, test: impl Fn(&(dyn StdError + 'static)) -> bool) -> bool {
        chain(self.source()).any(test)
    }

    /// What to do about a status.
    fn advice(&self) -> Cow<'static, str> {
        let Some(status) = self.0.status else {
            return "".into();
        };
        match status.as_u16() {
            300..=399 => match &self.0.redirect {
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
                Some(wait) => format!("wait {wait:?} before the next call").into(),
                None => "send less at a time".into(),
            },
            408 | 500.. => "try again later".into(),
            _ => "correct the update".into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            status,
            message,
            attempts,
            ..
        } = &*self.0;
        if let (Kind::Transport | Kind::Timeout(_) | Kind::Decode(_), Some(status)) = (kind, status)
        {
            write!(f, "the update was accepted ({status}), but ")?;
        }
        match kind {
            Kind::Input(reason) => return write!(f, "invalid input: {reason}"),
            Kind::Setup => {
                return f.write_str(
                    "the HTTP client cannot be set up; check its TLS backend and proxy settings",
                );
            }
            Kind::Connect => f.write_str(
                "no connection could be made; check the network, the proxy and the base URL",
            )?,
            Kind::Transport => f.write_str("the connection broke; try again later")?,
            Kind::Timeout(limit) => {
                f.write_str("no complete answer came within ")?;
                match limit {
                    Some(limit) => write!(f, "{limit:?}")?,
                    None => f.write_str("the HTTP client's own limit")?,
                }
                f.write_str("; try again later or allow more time")?;
            }
            Kind::Status => {
                write!(f, "SigmaMind answered {}", status.unwrap_or_default())?;
                if let Some(message) = message {
                    write!(f, " ({message})")?;
                }
                write!(f, "; {}", self.advice())?;
            }
            Kind::Decode(problem) => write!(
                f,
                "the answer {problem}; read the number's settings elsewhere"
            )?,
        }
        if *attempts > 1 {
            write!(f, " [after {attempts} attempts]")?;
        }
        if self.0.may_have_been_applied && !self.is_decode() {
            f.write_str(" [the update may be in force]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            status,
            message,
            attempts,
            may_have_been_applied,
            source,
            ..
        } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("status", status)
            .field("message", message)
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

/// A failed attempt, before what the hooks saw of it is added.
pub(crate) struct Failed {
    kind: Kind,
    body: Vec<u8>,
    source: Option<Source>,
}

impl Failed {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            body: Vec::new(),
            source: None,
        }
    }

    fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn timed_out(limit: Duration) -> Self {
        Self::new(Kind::Timeout(Some(limit)))
    }

    fn undecoded(body: &[u8], source: serde_json::Error) -> Self {
        Self {
            body: body[..body.len().min(MAX_ERROR)].to_vec(),
            ..Self::new(Kind::Decode("is not the documented JSON")).because(Malformed(source))
        }
    }

    /// A failure of the transport, with the URL (which has the number in it) taken out.
    fn transport(source: reqwest::Error) -> Self {
        let kind = if source.is_builder() {
            Kind::Setup
        } else if chain(Some(&source)).any(<dyn StdError>::is::<LengthLimitError>) {
            Kind::Decode("is longer than 1 MiB")
        } else if source.is_connect() {
            Kind::Connect
        } else if source.is_timeout() {
            Kind::Timeout(None)
        } else {
            Kind::Transport
        };
        Self::new(kind).because(source.without_url())
    }

    fn into_bare_error(self) -> Error {
        Error(Box::new(Inner {
            kind: self.kind,
            status: None,
            headers: HeaderMap::new(),
            body: self.body,
            message: None,
            redirect: None,
            attempts: 0,
            may_have_been_applied: false,
            source: self.source,
        }))
    }

    pub(crate) fn into_error(
        mut self,
        client: &Client,
        operation: &Operation,
        exchange: &Exchange,
    ) -> Error {
        let seen = exchange.take();
        if seen.status.is_some_and(|status| !status.is_success()) {
            // A body that breaks off or never ends does not hide the status.
            self.kind = Kind::Status;
        }
        let hidden = hidden(&seen, client, operation);
        let mut error = self.into_bare_error();
        let inner = &mut *error.0;
        inner.message = message(&inner.body, &hidden);
        inner.redirect =
            location_host(&seen.headers, &client.shared.base_url).map(|host| blank(host, &hidden));
        inner.status = seen.status;
        inner.headers = seen.headers;
        let refused = error.has_status(|code| matches!(code, 300..500) && code != 408);
        error.0.may_have_been_applied = exchange.sent() && !refused && !error.is_connect();
        error
    }
}

/// Where a redirect points; a relative one stays on the host of the request.
fn location_host(headers: &HeaderMap, base_url: &Url) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let location = base_url.join(location).ok()?;
    location.host_str().map(ToOwned::to_owned)
}

/// Turns what the generated client returns into an answer or a failure; reads what it left unread.
pub(crate) async fn read_answer<T: DeserializeOwned>(
    outcome: Result<ResponseValue<T>, progenitor_client::Error>,
    exchange: &Exchange,
) -> Result<Response<T>, Failed> {
    use progenitor_client::Error as Generated;

    let success = |value, status| Response {
        value,
        status,
        headers: exchange.take().headers,
        attempts: 0,
    };
    Err(match outcome {
        Ok(response) => {
            let status = response.status();
            return Ok(success(response.into_inner(), status));
        }
        Err(Generated::UnexpectedResponse(response)) if response.status().is_success() => {
            let status = response.status();
            let body = read(response, MAX_SUCCESS)
                .await
                .map_err(Failed::transport)?;
            match serde_json::from_slice(&body) {
                Ok(value) => return Ok(success(value, status)),
                Err(source) => Failed::undecoded(&body, source),
            }
        }
        Err(Generated::UnexpectedResponse(response)) => Failed {
            body: read_start(response, MAX_ERROR).await.0,
            ..Failed::new(Kind::Status)
        },
        Err(Generated::ErrorResponse(_)) => Failed::new(Kind::Status),
        Err(Generated::InvalidResponsePayload(body, source)) => Failed::undecoded(&body, source),
        Err(
            Generated::CommunicationError(source)
            | Generated::ResponseBodyError(source)
            | Generated::InvalidUpgrade(source),
        ) => Failed::transport(source),
        Err(Generated::InvalidRequest(reason) | Generated::Custom(reason)) => {
            Failed::new(Kind::Input(reason))
        }
    })
}

async fn read(response: reqwest::Response, most: usize) -> reqwest::Result<Vec<u8>> {
    match read_start(response, most).await {
        (body, None) => Ok(body),
        (_, Some(error)) => Err(error),
    }
}

/// The body up to `most` bytes, and the error that ended it early.
async fn read_start(
    mut response: reqwest::Response,
    most: usize,
) -> (Vec<u8>, Option<reqwest::Error>) {
    let mut body = Vec::new();
    while body.len() < most {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(most - body.len())]),
            Ok(None) => break,
            Err(error) => return (body, Some(error)),
        }
    }
    (body, None)
}

/// A JSON error without the part that quotes the body.
struct Malformed(serde_json::Error);

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

fn chain<'e>(
    first: Option<&'e (dyn StdError + 'static)>,
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(first, |error: &&'e (dyn StdError + 'static)| {
        (*error).source()
    })
}

/// What the server says, if the body has it in one of the usual places.
fn message(body: &[u8], hidden: &[String]) -> Option<String> {
    let text = if let Ok(value) = serde_json::from_slice::<Value>(body) {
        words(&value)?
    } else {
        let text = std::str::from_utf8(body).ok()?;
        // A page of HTML or broken JSON is no message.
        (!text.trim_start().starts_with(['<', '{', '['])).then(|| text.to_owned())?
    };
    // Before anything is cut: half a secret, or one with its spaces changed, would not be found.
    let text = blank(text, hidden);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_MESSAGE)
        .collect();
    (!line.is_empty()).then_some(line)
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.trim().is_empty()).then(|| text.clone()),
        Value::Array(items) => {
            let all: Vec<_> = items.iter().filter_map(words).collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        Value::Object(map) => ["message", "error", "errors", "detail"]
            .iter()
            .find_map(|name| words(map.get(*name)?)),
        _ => None,
    }
}

/// The texts that no message may show: the key, the secrets that were sent, the path's values.
fn hidden(seen: &Seen, client: &Client, operation: &Operation) -> Vec<String> {
    let body = seen.request_body.as_deref().unwrap_or_default();
    let strings = operation.hidden(body);
    let secrets = strings.iter().filter(|(_, secret)| *secret);
    let secrets = secrets.map(|(text, _)| &**text);
    let values: Vec<_> = operation.path_values(&seen.path).collect();
    let values = values.iter().map(|part| part.trim_start_matches('+'));
    let key = client.shared.key.to_str().ok();
    let plain = key.into_iter().chain(secrets).chain(values);
    // A server may quote the request, so that they come as JSON has them.
    let mut hidden: Vec<_> = plain
        .flat_map(|text| [text.to_owned(), escaped(text)])
        .filter(|text| !text.is_empty())
        .collect();
    // The longest first: blanking a part of one would leave its rest.
    hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
    hidden
}

/// The text as it stands between the quotation marks of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn blank(message: String, hidden: &[String]) -> String {
    hidden
        .iter()
        .fold(message, |message, text| message.replace(text, "[hidden]"))
}
