//! The described request, and how it is taken from the generated operation.

use std::{
    cell::RefCell,
    fmt, mem,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::Body as _;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use progenitor_client::{ClientHooks, OperationInfo, ResponseValue};
use reqwest::{
    Body, Method, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

use crate::generated;

/// What a path that is written by hand may have, and a URL may not.
const PATH_AND_QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The generator's own header, which the API does not document.
const API_VERSION: HeaderName = HeaderName::from_static("api-version");

/// What an operation is to send; the key is not in it.
pub(crate) struct Request {
    pub method: Method,
    /// What comes after the base URL, query included.
    pub path: String,
    /// All of the URL, for the first attempt.
    url: Option<Url>,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    /// Whether it may be sent again when the server may have seen it.
    pub repeatable: bool,
}

impl Request {
    /// Runs a generated operation as far as its request, for a client with this base URL.
    ///
    /// The generator has no "build only". So its `pre` hook takes the request out and ends the
    /// operation with an error, before anything in it could wait.
    pub fn describe<T>(
        base_url: &Url,
        http: &reqwest::Client,
        operation: impl AsyncFnOnce(
            &generated::Client,
        ) -> Result<ResponseValue<T>, progenitor_client::Error>,
    ) -> Result<Self, String> {
        let describe = RequestCapture {
            url: RefCell::new(base_url.clone()),
            path: RefCell::default(),
            rest: RefCell::default(),
        };
        let api = generated::Client::new_with_client("", http.clone(), describe);
        let polled = {
            let operation = pin!(operation(&api));
            operation.poll(&mut Context::from_waker(Waker::noop()))
        };
        let RequestCapture { url, path, rest } = api.inner;
        let this = match (rest.into_inner(), polled) {
            (Some((method, headers, body)), _) => Self {
                repeatable: method != Method::POST,
                method,
                path: path.into_inner(),
                url: Some(url.into_inner()),
                headers,
                body: body.and_then(into_bytes),
            },
            (None, Poll::Ready(Err(error))) => return Err(reason(&error)),
            (None, _) => return Err("the generated operation does not describe its request".into()),
        };
        this.check(base_url).map(|()| this)
    }

    /// A request to a path under the base URL, which the document does not have.
    pub fn undocumented(
        base_url: &Url,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Self, String> {
        if matches!(method, Method::CONNECT | Method::TRACE) {
            return Err(format!("{method} is not a method of an API"));
        }
        let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        let escaped = path.to_ascii_lowercase();
        if !path.starts_with('/')
            || path.contains("//")
            || path.contains(['#', '\\'])
            || path.contains(char::is_control)
            || ["%2e", "%2f", "%5c"]
                .iter()
                .any(|escape| escaped.contains(escape))
        {
            return Err(
                "the path must begin with one `/` and stay under the base URL; leave out `..`, \
                 `//`, `\\`, `#` and their escapes"
                    .into(),
            );
        }
        let mut headers = HeaderMap::from_iter([(ACCEPT, JSON)]);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        let path = utf8_percent_encode(path, PATH_AND_QUERY);
        let path = format!("{path}{}", utf8_percent_encode(query, PATH_AND_QUERY));
        let this = Self {
            url: Some(join(base_url, &path)),
            repeatable: method.is_idempotent(),
            method,
            path,
            headers,
            body: body.map(|body| body.to_string().into()),
        };
        this.check(base_url).map(|()| this)
    }

    /// Refuses a path in which the URL has taken something for a step.
    fn check(&self, base_url: &Url) -> Result<(), String> {
        let url = self.url.as_ref();
        if url.is_some_and(|url| self.is_at(url, base_url)) {
            return Ok(());
        }
        Err("a part of the path is `.`, `..` or has a `\\`, and would lead elsewhere".into())
    }

    /// The URL of the next attempt.
    pub fn url(&mut self, base_url: &Url) -> Url {
        let first = self.url.take();
        first.unwrap_or_else(|| join(base_url, &self.path))
    }

    /// Whether this is the request's URL, and not that of a redirect.
    pub fn is_at(&self, url: &Url, base_url: &Url) -> bool {
        let room = base_url.fragment().map_or(0, |room| room.len() + 1);
        let base = base_url.as_str();
        let base = &base[..base.len() - room];
        let base = base.strip_suffix('/').unwrap_or(base);
        url.as_str().strip_prefix(base) == Some(&self.path)
    }
}

/// The base URL with a fragment as long as most paths are: room that is copied along with it, so
/// that the copy does not grow when a path is put in.
pub(crate) fn with_room(mut base_url: Url) -> Url {
    base_url.set_fragment(Some(&"_".repeat(64)));
    base_url
}

/// The base URL with this path after its own, and with its query.
fn join(base_url: &Url, path: &str) -> Url {
    let (path, query) = split(path);
    let mut url = base_url.clone();
    url.set_fragment(None);
    match base_path(base_url) {
        "" => url.set_path(path),
        base => url.set_path(&format!("{base}{path}")),
    }
    if query.is_some() {
        url.set_query(query);
    }
    url
}

fn split(path: &str) -> (&str, Option<&str>) {
    match path.bytes().position(|byte| byte == b'?') {
        Some(at) => (&path[..at], Some(&path[at + 1..])),
        None => (path, None),
    }
}

fn base_path(base_url: &Url) -> &str {
    let path = base_url.path();
    path.strip_suffix('/').unwrap_or(path)
}

/// The bytes of a body that is in memory, without a copy.
fn into_bytes(mut body: Body) -> Option<Bytes> {
    match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
        _ => None,
    }
}

/// Why there is no request; the URL, which has the path's values in it, is not repeated.
fn reason(error: &progenitor_client::Error) -> String {
    match error {
        progenitor_client::Error::CommunicationError(error) => {
            let source = std::error::Error::source(error);
            source.map_or_else(|| "it has no URL".into(), ToString::to_string)
        }
        _ => "the generated operation refuses it".into(),
    }
}

/// Stands in the generated client where requests would leave, and keeps what comes of one.
pub(crate) struct RequestCapture {
    /// The base URL at first, then the request's.
    url: RefCell<Url>,
    path: RefCell<String>,
    rest: RefCell<Option<(Method, HeaderMap, Option<Body>)>>,
}

impl RequestCapture {
    /// The base URL with this path after its own.
    pub fn url(&self, path: String) -> Url {
        let url = join(&self.url.borrow(), &path);
        self.path.replace(path);
        url
    }
}

impl ClientHooks<RequestCapture> for generated::Client {
    async fn pre<E>(
        &self,
        request: &mut reqwest::Request,
        _: &OperationInfo,
    ) -> Result<(), progenitor_client::Error<E>> {
        let mut headers = mem::take(request.headers_mut());
        headers.remove(API_VERSION);
        let (method, body) = (request.method().clone(), request.body_mut().take());
        self.inner.rest.replace(Some((method, headers, body)));
        mem::swap(request.url_mut(), &mut self.inner.url.borrow_mut());
        Err(progenitor_client::Error::Custom(String::new()))
    }
}

// The generated client derives both, and nobody calls them.
impl Clone for RequestCapture {
    fn clone(&self) -> Self {
        Self {
            url: self.url.clone(),
            path: RefCell::default(),
            rest: RefCell::default(),
        }
    }
}

impl fmt::Debug for RequestCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestCapture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use progenitor_client::Error;

    #[test]
    fn why_there_is_no_request_is_said_without_its_url() {
        let error = reqwest::Client::new().get("/no-url").build().unwrap_err();
        let reason = super::reason(&Error::CommunicationError(error));
        assert_eq!(reason, "relative URL without a base");
        let reason = super::reason(&Error::Custom(String::new()));
        assert_eq!(reason, "the generated operation refuses it");
    }
}
