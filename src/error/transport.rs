//! Errors of the HTTP client: what they mean, and what of them may be shown.

use std::{error::Error as StdError, fmt};

use super::{Cause, Error};

impl Error {
    /// Makes the error of a request that failed before its response was complete.
    pub(crate) fn transport(source: reqwest::Error) -> Self {
        let cause = if source.is_builder() {
            Cause::Setup
        } else if source.is_connect() {
            Cause::Connect
        } else if is_not_http(&source) {
            Cause::InvalidHttp
        } else if source.is_timeout() && !causes(&source).any(<dyn StdError>::is::<hyper::Error>) {
            // hyper has a timeout of its own, for a connection that does not answer a ping.
            Cause::Timeout(None)
        } else {
            Cause::ConnectionLost
        };
        Self::new(cause).with_reqwest_source(source)
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

/// Returns whether the head of a response breaks the grammar of HTTP.
pub(crate) fn is_not_http(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let broken = cause.downcast_ref().is_some_and(hyper::Error::is_parse);
        #[cfg(feature = "http2")]
        let broken = broken || cause.downcast_ref().is_some_and(h2::Error::is_library);
        broken
    })
}

/// Returns why the server closed the connection, if it said so.
#[cfg(feature = "http2")]
pub(super) fn gone_away(error: &reqwest::Error) -> Option<GoneAway> {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<h2::Error>())
        .find(|error| error.is_go_away() && error.is_remote())
        .and_then(h2::Error::reason)
        .map(GoneAway)
}

/// HTTP/1 has no way to say so.
#[cfg(not(feature = "http2"))]
pub(super) fn gone_away(_: &reqwest::Error) -> Option<std::convert::Infallible> {
    None
}

/// The reason of a GOAWAY, without the server's own text.
#[cfg(feature = "http2")]
#[derive(Debug)]
pub(super) struct GoneAway(h2::Reason);

#[cfg(feature = "http2")]
impl fmt::Display for GoneAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server has ended the connection: {}", self.0)
    }
}

#[cfg(feature = "http2")]
impl StdError for GoneAway {}

/// Returns the causes of an error, outermost first.
pub(crate) fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    chain(error.source())
}

pub(super) fn chain<'e>(
    first: Option<&'e (dyn StdError + 'static)>,
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(first, |error: &&'e (dyn StdError + 'static)| {
        (*error).source()
    })
}
