//! The described request, and how it is captured from the generated operation.

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

use crate::{error::Violation, generated, operation::Operation, query::Query};

/// Characters that a path may be written with, and a URL may not have.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// The same for a query, where a URL has no apostrophe either.
const QUERY: &AsciiSet = &PATH.add(b'\'');

/// The longest URL that reqwest sends, in bytes: what fits into the `http` crate's `Uri`.
const MAX_URL: usize = u16::MAX as usize - 1;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A header of progenitor's, which the API does not document.
const API_VERSION: HeaderName = HeaderName::from_static("api-version");

/// The request of an operation, without the key.
pub(crate) struct Request {
    pub method: Method,
    /// The path and the query, after the base URL.
    pub path: String,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    /// Strings of the query and of headers that may not be shown, and whether each is secret.
    pub hidden: Vec<(String, bool)>,
    /// Set if it may be sent again when the server may have processed it.
    pub idempotent: bool,
}

impl Request {
    /// Describes the request of a generated operation, and checks it against the document.
    ///
    /// progenitor cannot only build a request. So its `pre` hook takes the request out and ends the
    /// operation with an error, before anything in it could wait.
    pub fn describe<T>(
        base_url: &Url,
        http: &reqwest::Client,
        operation: &'static Operation,
        run: impl AsyncFnOnce(&generated::Client) -> Result<ResponseValue<T>, progenitor_client::Error>,
    ) -> Result<Self, Violation> {
        let capture = RequestCapture {
            url: RefCell::new(base_url.clone()),
            path: RefCell::default(),
            rest: RefCell::default(),
        };
        let api = generated::Client::new_with_client("", http.clone(), capture);
        let polled = {
            let running = pin!(run(&api));
            running.poll(&mut Context::from_waker(Waker::noop()))
        };
        let RequestCapture { url, path, rest } = api.inner;
        let (method, mut headers, body) = match (rest.into_inner(), polled) {
            (Some(captured), _) => captured,
            (None, Poll::Ready(Err(error))) => return Err(reason(&error).into()),
            (None, _) => return Err("the generated operation does not describe its request".into()),
        };
        let body = body.and_then(into_bytes);
        if body.is_some() && operation.content_type != "application/json" {
            let declared = HeaderValue::from_static(operation.content_type);
            headers.insert(CONTENT_TYPE, declared);
        }
        let request = Self {
            idempotent: operation.idempotent,
            method,
            path: path.into_inner(),
            url: url.into_inner(),
            headers,
            body,
            hidden: Vec::new(),
        };
        request.check_url(base_url)?;
        operation.check(&request.path, request.body.as_deref())?;
        Ok(request)
    }

    /// Makes a request that the document lacks, to a path under the base URL.
    pub fn undocumented(
        base_url: &Url,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Self, Violation> {
        if matches!(method, Method::CONNECT | Method::TRACE) {
            return Err(format!("{method} is not a method of an API").into());
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
        let path = utf8_percent_encode(path, PATH);
        let path = format!("{path}{}", utf8_percent_encode(query, QUERY));
        let request = Self {
            url: join(base_url, &path),
            idempotent: method.is_idempotent(),
            method,
            path,
            headers,
            body: body.map(|body| body.to_string().into()),
            hidden: Vec::new(),
        };
        request.check_url(base_url)?;
        Ok(request)
    }

    /// Puts a query behind the path.
    pub fn add_query(&mut self, query: Query, base_url: &Url) -> Result<(), Violation> {
        self.hidden.extend(query.hidden);
        if query.text.is_empty() {
            return Ok(());
        }
        self.path = format!("{}?{}", self.path, query.text);
        self.url.set_query(Some(&query.text));
        self.check_url(base_url)
    }

    /// Refuses a path that the URL does not have as it is, and one that no server takes.
    fn check_url(&self, base_url: &Url) -> Result<(), Violation> {
        let url = self.url.as_str();
        if url.len() > MAX_URL {
            return Err(format!("the URL is longer than {MAX_URL} bytes").into());
        }
        let base = base_url.as_str();
        let base = base.strip_suffix('/').unwrap_or(base);
        if url.strip_prefix(base) == Some(&self.path) {
            return Ok(());
        }
        Err("a part of the path is `.`, `..` or has a `\\`, and would lead elsewhere".into())
    }
}

/// Returns the base URL with this path and query after its own path.
fn join(base_url: &Url, path: &str) -> Url {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut url = base_url.clone();
    match base_url.path().trim_end_matches('/') {
        "" => url.set_path(path),
        base => url.set_path(&format!("{base}{path}")),
    }
    if query.is_some() {
        url.set_query(query);
    }
    url
}

/// Returns the bytes of a body that is in memory, without a copy.
fn into_bytes(mut body: Body) -> Option<Bytes> {
    match Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
        _ => None,
    }
}

/// Returns why there is no request, without the URL, which has the path's values.
fn reason(error: &progenitor_client::Error) -> String {
    match error {
        progenitor_client::Error::CommunicationError(error) => {
            let source = std::error::Error::source(error);
            source.map_or_else(|| "it has no URL".into(), ToString::to_string)
        }
        _ => "the generated operation refuses it".into(),
    }
}

/// Stands in the generated client where requests would leave, and captures one.
pub(crate) struct RequestCapture {
    /// The base URL at first, then the request's.
    url: RefCell<Url>,
    path: RefCell<String>,
    rest: RefCell<Option<(Method, HeaderMap, Option<Body>)>>,
}

impl RequestCapture {
    /// Returns the base URL with this path after its own; generated code calls it.
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
