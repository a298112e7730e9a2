//! The described request, and how it is taken from the generated operation.

use std::{
    cell::RefCell,
    fmt, mem,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::Body as _;
use progenitor_client::{ClientHooks, OperationInfo, ResponseValue};
use reqwest::{
    Body, Method, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::Value;

use crate::generated;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What an operation is to send; the key is not in it.
pub(crate) struct Request {
    pub method: Method,
    pub url: Url,
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
        base_url: &str,
        http: &reqwest::Client,
        operation: impl AsyncFnOnce(
            &generated::Client,
        ) -> Result<ResponseValue<T>, progenitor_client::Error>,
    ) -> Result<Self, String> {
        let api = generated::Client::new_with_client(base_url, http.clone(), Describe::default());
        let polled = pin!(operation(&api)).poll(&mut Context::from_waker(Waker::noop()));
        match (api.inner.0.take(), polled) {
            (Some(request), _) => Ok(request),
            (None, Poll::Ready(Err(error))) => Err(reason(&error)),
            (None, _) => Err("the generated operation does not describe its request".into()),
        }
    }
}

impl Request {
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
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let astray = |segment: &str| {
            let segment = segment.to_ascii_lowercase().replace("%2e", ".");
            matches!(&*segment, "." | "..") || segment.contains("%2f") || segment.contains("%5c")
        };
        if !path.starts_with('/') || path.contains(['\\', '#']) || path[1..].split('/').any(astray)
        {
            return Err(
                "the path must begin with `/` and stay under the base URL; leave out `..`, `\\` \
                 and `#`"
                    .into(),
            );
        }
        if path.contains("//") || path.contains(char::is_control) {
            return Err("the path has an empty segment or a control character".into());
        }
        let mut url = base_url.clone();
        url.set_path(&format!("{}{path}", base_url.path().trim_end_matches('/')));
        url.set_query(query);
        let mut headers = HeaderMap::from_iter([(ACCEPT, JSON)]);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, JSON);
        }
        let repeatable = method.is_idempotent();
        Ok(Self {
            method,
            url,
            headers,
            body: body.map(|body| body.to_string().into()),
            repeatable,
        })
    }
}

impl From<&mut reqwest::Request> for Request {
    fn from(request: &mut reqwest::Request) -> Self {
        let mut headers = mem::take(request.headers_mut());
        headers.remove("api-version"); // the generator's own, which the API does not document
        Self {
            method: request.method().clone(),
            url: request.url().clone(),
            headers,
            body: request.body_mut().take().and_then(whole),
            repeatable: *request.method() != Method::POST,
        }
    }
}

/// The bytes of a body that is in memory, without a copy.
fn whole(mut body: Body) -> Option<Bytes> {
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

/// Stands in the generated client where requests would leave, and keeps the one that comes.
#[derive(Default)]
pub(crate) struct Describe(RefCell<Option<Request>>);

// The generated client derives both, and nobody calls them.
impl Clone for Describe {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Describe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Describe")
    }
}

impl ClientHooks<Describe> for generated::Client {
    async fn pre<E>(
        &self,
        request: &mut reqwest::Request,
        _: &OperationInfo,
    ) -> Result<(), progenitor_client::Error<E>> {
        self.inner.0.replace(Some(request.into()));
        Err(progenitor_client::Error::Custom(String::new()))
    }
}
