//! The generator's hooks: where requests go, and what is done to each request before it leaves, and to each response
//! before it is decoded.

use std::{
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Limited;
use progenitor_client::{ClientHooks, OperationInfo};
use reqwest::{
    Body, Request, Response, StatusCode,
    header::{HeaderMap, USER_AGENT},
};

use crate::{client::Shared, generated, operation::Operation, response::MAX_SUCCESS};

pub(crate) use generated::KEY_HEADER as API_KEY;

/// What one attempt carries through the generated client.
#[derive(Clone)]
pub(crate) struct Attempt {
    pub shared: Arc<Shared>,
    pub operation: &'static Operation,
    pub exchange: Arc<Exchange>,
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").finish_non_exhaustive()
    }
}

/// What the hooks saw of one attempt.
#[derive(Default)]
pub(crate) struct Exchange {
    sent: AtomicBool,
    seen: Mutex<Seen>,
}

/// The parts of a request and its response that the generated client does not hand on.
#[derive(Default)]
pub(crate) struct Seen {
    pub status: Option<StatusCode>,
    pub headers: HeaderMap,
    /// The path that was asked for.
    pub path: String,
    /// What was sent; the generated client sends it in one piece.
    pub request_body: Option<Bytes>,
}

impl Exchange {
    /// Whether the connection has taken anything of the request.
    pub fn sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    pub fn take(&self) -> Seen {
        mem::take(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientHooks<Attempt> for generated::Client {
    async fn pre<E>(
        &self,
        request: &mut Request,
        _: &OperationInfo,
    ) -> Result<(), progenitor_client::Error<E>> {
        let Attempt {
            shared, operation, ..
        } = &self.inner;
        let base = shared.base_url.path().trim_end_matches('/');
        let path = request.url().path().strip_prefix(base).unwrap_or_default();
        let body = request.body().and_then(Body::as_bytes);
        operation
            .check(path, body)
            .map_err(progenitor_client::Error::InvalidRequest)?;
        path.clone_into(&mut self.inner.exchange.lock().path);
        let headers = request.headers_mut();
        headers.remove("api-version");
        headers.insert(API_KEY, shared.key.clone());
        headers.insert(USER_AGENT, shared.user_agent.clone());
        Ok(())
    }

    async fn exec(&self, mut request: Request, _: &OperationInfo) -> reqwest::Result<Response> {
        let exchange = &self.inner.exchange;
        match request.body_mut().take() {
            Some(body) => {
                let exchange = exchange.clone();
                *request.body_mut() = Some(Body::wrap(Watched { body, exchange }));
            }
            // There is nothing to watch: it counts as sent from the start.
            None => exchange.sent.store(true, Ordering::Relaxed),
        }
        let mut response = self.client.execute(request).await?;
        let mut seen = exchange.lock();
        seen.status = Some(response.status());
        seen.headers = mem::take(response.headers_mut());
        if response.status().is_success()
            && response
                .content_length()
                .is_none_or(|length| length > MAX_SUCCESS as u64)
        {
            return Ok(bounded(response));
        }
        Ok(response)
    }
}

/// The response with a body that fails once it is longer than a success may be.
fn bounded(response: Response) -> Response {
    let response = http::Response::from(response);
    response
        .map(|body| Body::wrap(Limited::new(body, MAX_SUCCESS)))
        .into()
}

/// A request body that notes when the connection begins to take it: from then on the server may
/// have seen the request.
struct Watched {
    body: Body,
    exchange: Arc<Exchange>,
}

impl HttpBody for Watched {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.exchange.sent.store(true, Ordering::Relaxed);
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.exchange.lock().request_body = frame.data_ref().cloned();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
