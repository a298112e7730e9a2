//! The wire: what one attempt has sent, and what has come back so far.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use reqwest::{Body, Request, Response, StatusCode, Url, header::HeaderMap};

use crate::error::{causes, is_not_http};

/// Most bytes read of a successful response.
const MAX_SUCCESS: usize = 1 << 20;
/// Most bytes kept of an error's body.
pub(crate) const MAX_ERROR: usize = 64 << 10;

/// One request and its response, as far as they got.
///
/// When it is dropped or [ended](Self::end), a body that still waits for its connection is not
/// sent any more.
#[derive(Default)]
pub(crate) struct Exchange {
    sent: SendState,
    /// The server says that it did not process the request.
    unprocessed: bool,
    pub status: Option<StatusCode>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The HTTP client followed a redirect: another URL answered, or cannot be reached.
    pub redirected: bool,
}

/// Reason why a response was not read to its end.
pub(crate) enum ReadError {
    Broken(reqwest::Error),
    /// The response is longer than a success may be.
    TooLong,
    /// The body breaks the grammar of HTTP, or of its compression.
    Malformed(reqwest::Error),
}

impl Exchange {
    /// Prepares the request; nothing is sent before [`Self::read`] polls the result.
    pub fn execute(
        &mut self,
        http: &reqwest::Client,
        mut request: Request,
        body: Option<Bytes>,
    ) -> impl Future<Output = reqwest::Result<Response>> + use<> {
        self.sent.bodiless = body.is_none();
        // A request that changes nothing may leave late, so it needs no tracking.
        if !(self.sent.bodiless && request.method().is_safe()) {
            let body = Some(body.unwrap_or_default());
            let sent = self.sent.clone();
            *request.body_mut() = Some(Body::wrap(TrackedBody { body, sent }));
        }
        http.execute(request)
    }

    /// Sends the request, and reads the response within the size limits. A response from another
    /// URL than the requested one is one of a redirect.
    pub async fn read(
        &mut self,
        response: impl Future<Output = reqwest::Result<Response>>,
        is_requested: impl Fn(&Url) -> bool,
    ) -> Result<(), ReadError> {
        let mut response = response.await.map_err(|error| {
            self.unprocessed = is_unprocessed(&error);
            // A request that was sent once fails to begin only when a redirect is followed.
            let again = self.sent.has_begun() && (error.is_builder() || error.is_connect());
            self.redirected = again || error.is_redirect();
            ReadError::Broken(error)
        })?;
        self.redirected = !is_requested(response.url());
        self.status = Some(response.status());
        self.headers = std::mem::take(response.headers_mut());
        let success = response.status().is_success();
        let most = if success { MAX_SUCCESS } else { MAX_ERROR };
        while let Some(chunk) = response.chunk().await.map_err(stopped)? {
            let room = most - self.body.len();
            self.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room && success {
                return Err(ReadError::TooLong);
            }
            if chunk.len() >= room && !success {
                break;
            }
        }
        Ok(())
    }

    /// Ends the attempt. Returns whether the server may have processed the request.
    pub fn end(&self) -> bool {
        self.sent.end() && !self.unprocessed
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.sent.end();
    }
}

fn stopped(error: reqwest::Error) -> ReadError {
    // hyper and the decoders of compressed bodies report malformed bytes so.
    let senseless = |kind| matches!(kind, ErrorKind::InvalidData | ErrorKind::InvalidInput);
    let garbled = causes(&error).any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| senseless(io.kind()))
    });
    if garbled || is_not_http(&error) {
        ReadError::Malformed(error)
    } else {
        ReadError::Broken(error)
    }
}

/// Returns whether the server says that it did not process the request: it refused the stream, or
/// sent GOAWAY before it (RFC 9113, section 8.7).
#[cfg(feature = "http2")]
fn is_unprocessed(error: &reqwest::Error) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<h2::Error>())
        .filter(|error| error.is_remote())
        .any(|error| error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// HTTP/1 has no way to say so.
#[cfg(not(feature = "http2"))]
fn is_unprocessed(_: &reqwest::Error) -> bool {
    false
}

/// Whether a request has begun to leave: it either begins or is ended first, never both.
///
/// HTTP/1 does not poll an empty body. So a request without one counts as begun, and can be ended
/// all the same, before HTTP/2 polls for the end of the stream.
#[derive(Clone, Default)]
struct SendState {
    state: Arc<AtomicU8>,
    bodiless: bool,
}

impl SendState {
    const WAITING: u8 = 0;
    const BEGUN: u8 = 1;
    const ENDED: u8 = 2;

    /// Marks the request as begun. Returns whether it may leave.
    fn begin(&self) -> bool {
        self.settle(Self::BEGUN) != Self::ENDED
    }

    fn has_begun(&self) -> bool {
        self.state.load(Ordering::Relaxed) == Self::BEGUN
    }

    /// Marks the request as ended. Returns whether it had begun to leave.
    fn end(&self) -> bool {
        self.settle(Self::ENDED) == Self::BEGUN || self.bodiless
    }

    fn settle(&self, state: u8) -> u8 {
        let (now, relaxed) = (Self::WAITING, Ordering::Relaxed);
        match self.state.compare_exchange(now, state, relaxed, relaxed) {
            Ok(_) => state,
            Err(first) => first,
        }
    }
}

/// Request body that lives as long as its call, and records when the connection takes it: from
/// then on the server may have seen the request.
struct TrackedBody {
    body: Option<Bytes>,
    sent: SendState,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = Ended;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Ended>>> {
        Poll::Ready(self.body.take().map(|body| {
            if self.sent.begin() {
                Ok(Frame::data(body))
            } else {
                Err(Ended)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, Bytes::len) as u64)
    }
}

#[derive(Debug)]
struct Ended;

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the call has ended")
    }
}

impl std::error::Error for Ended {}
