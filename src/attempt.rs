//! One attempt of a call: sent once, classified once, counted once.

use std::{cell::LazyCell, mem, time::Duration};

use reqwest::{
    StatusCode, Url,
    header::{HeaderMap, HeaderValue, LOCATION},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::{
    backoff::{deadline_after, retry_after},
    error::{AttemptHistory, Cause, Error, Malformed, ResponseContext, Undecodable},
    exchange::{Exchange, MAX_ERROR, ReadError},
    generated::KEY_HEADER,
    headers::{is_reserved, merge, request_id, reserved},
    hooks::Attempt,
    inner::{ClientInner, Credentials},
    operation::Operation,
    redact::Redactor,
    request::Request,
    response::{Response, decode},
};

/// An attempt to be made, with everything that it needs.
pub(crate) struct AttemptRequest<'a> {
    pub inner: &'a ClientInner,
    pub credentials: &'a Credentials,
    pub operation: &'static Operation,
    pub request: &'a Request,
    pub key: &'a HeaderValue,
    pub limits: TimeLimits,
}

/// The time limits of an attempt, whichever comes first.
#[derive(Clone, Copy)]
pub(crate) struct TimeLimits {
    pub attempt_timeout: Duration,
    pub timeout: Duration,
    /// When the timeout of the call ends.
    pub deadline: Instant,
}

/// End of an exchange, before its meaning is known.
type Ended = Result<(), ReadFailure>;

enum ReadFailure {
    Read(ReadError),
    /// With the limit that was reached.
    TimedOut(Duration),
}

impl AttemptRequest<'_> {
    /// Sends the request and reads the response.
    ///
    /// # Errors
    ///
    /// The complete error of the call, should it end here. An attempt that could not be sent
    /// because of the configuration is not counted.
    pub async fn run<T: DeserializeOwned + 'static>(
        &self,
        history: &mut AttemptHistory,
    ) -> Result<Response<T>, Error> {
        let mut exchange = Exchange::default();
        let request = self
            .prepare(history.attempts + 1)
            .map_err(|reason| Error::configuration(reason).with_history(*history))?;
        let TimeLimits {
            attempt_timeout,
            timeout,
            deadline,
        } = self.limits;
        let attempt_deadline = deadline_after(attempt_timeout);
        let is_requested = |url: &Url| *url == self.request.url;
        let response = exchange.execute(&self.inner.http, request, self.request.body.clone());
        let read = exchange.read(response, is_requested);
        let ended = match timeout_at(attempt_deadline.min(deadline), read).await {
            Ok(read) => read.map_err(ReadFailure::Read),
            Err(_) if attempt_deadline < deadline => Err(ReadFailure::TimedOut(attempt_timeout)),
            Err(_) => Err(ReadFailure::TimedOut(timeout)),
        };
        let may_have_arrived = exchange.end();
        let complete = ended.is_ok();
        let result = self.classify(ended, &exchange);
        self.count(&result, &exchange, may_have_arrived, history);
        let result = match result {
            Ok(value) => Ok(Response {
                value,
                status: exchange.status.unwrap_or_default(),
                headers: mem::take(&mut exchange.headers),
                body: mem::take(&mut exchange.body),
                attempts: history.attempts,
                shown: self.operation.answer.is_none_or(|answer| answer.shown),
            }),
            Err(error) => Err(error
                .with_response(self.response_context(&mut exchange, complete))
                .with_history(*history)),
        };
        log(history.attempts, exchange.status, result.as_ref().err());
        result
    }

    /// Makes the request of this attempt, with the headers of the hook and the key.
    fn prepare(&self, number: u32) -> Result<reqwest::Request, String> {
        let mut headers =
            HeaderMap::with_capacity(self.inner.headers.len() + self.request.headers.len() + 2);
        merge(&mut headers, &self.inner.headers);
        merge(&mut headers, &self.request.headers);
        if let Some(hook) = &self.inner.on_attempt {
            let mut added = HeaderMap::new();
            hook(
                &mut added,
                &Attempt {
                    number,
                    operation: self.operation,
                },
            );
            if let Some(name) = added.keys().find(|name| is_reserved(name)) {
                return Err(reserved(name));
            }
            merge(&mut headers, &added);
        }
        headers.insert(KEY_HEADER, self.key.clone());
        let Request { method, url, .. } = self.request;
        let mut request = reqwest::Request::new(method.clone(), url.clone());
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Returns the value of the response, or the error without its context.
    fn classify<T: DeserializeOwned + 'static>(
        &self,
        ended: Ended,
        exchange: &Exchange,
    ) -> Result<T, Error> {
        if exchange.redirected {
            let error = Error::new(Cause::Redirected);
            return Err(match ended {
                Err(ReadFailure::Read(ReadError::Broken(source))) => {
                    error.with_reqwest_source(source)
                }
                _ => error,
            });
        }
        // A body that breaks off or never ends does not hide the status.
        if exchange.status.is_some_and(|status| !status.is_success()) {
            return Err(Error::new(Cause::Status));
        }
        match ended {
            Ok(()) => decode(self.operation, &exchange.body).map_err(|(problem, source)| {
                let error = Error::new(Cause::Decode(problem));
                match source {
                    Some(source) => error.with_source(Malformed(source)),
                    None => error,
                }
            }),
            Err(ReadFailure::TimedOut(limit)) => Err(Error::new(Cause::Timeout(Some(limit)))),
            Err(ReadFailure::Read(ReadError::TooLong)) => {
                Err(Error::new(Cause::Decode(Undecodable::TooLong)))
            }
            Err(ReadFailure::Read(ReadError::Malformed(source))) => {
                let error = Error::new(Cause::Decode(Undecodable::Malformed));
                Err(error.with_reqwest_source(source))
            }
            Err(ReadFailure::Read(ReadError::Broken(source))) => Err(Error::transport(source)),
        }
    }

    /// Counts the attempt, unless the HTTP client refused to send it.
    fn count<T>(
        &self,
        result: &Result<T, Error>,
        exchange: &Exchange,
        may_have_arrived: bool,
        history: &mut AttemptHistory,
    ) {
        let error = result.as_ref().err();
        if error.is_some_and(Error::is_configuration) {
            return;
        }
        history.attempts += 1;
        // By these the server says that it did nothing; after 302 and 303 it may have.
        let is_refused = exchange.status.is_some_and(|status| {
            let code = status.as_u16();
            (300..500).contains(&code) && !matches!(code, 302 | 303 | 408)
        });
        let is_unseen = !may_have_arrived
            || self.request.method.is_safe()
            || error.is_some_and(Error::is_connect)
            || is_refused && !exchange.redirected;
        history.may_have_been_applied |= !is_unseen;
    }

    /// Takes the parts of the response that an error keeps, redacted where they are shown.
    fn response_context(&self, exchange: &mut Exchange, complete: bool) -> ResponseContext {
        let redactor = LazyCell::new(|| {
            let mut keys = self.credentials.key.recent();
            keys.push(self.key.clone());
            Redactor::for_request(&keys, self.operation, self.request)
        });
        let complete = complete && exchange.body.len() < MAX_ERROR;
        let mut body = mem::take(&mut exchange.body);
        body.truncate(MAX_ERROR);
        let headers = mem::take(&mut exchange.headers);
        let failed = exchange.status.is_some_and(|status| !status.is_success());
        ResponseContext {
            status: exchange.status,
            message: failed.then(|| redactor.message(&body, complete)).flatten(),
            retry_after: retry_after(&headers),
            redirect: redirect_host(&headers, &self.inner.base_url)
                .map(|host| redactor.redact(&host)),
            request_id: request_id(&headers).map(|id| redactor.redact(id)),
            headers,
            body,
        }
    }
}

fn log(attempts: u32, status: Option<StatusCode>, error: Option<&Error>) {
    let resend_count = attempts.saturating_sub(1);
    let status = status.map(|status| status.as_u16());
    match error {
        None => debug!(
            http.request.resend_count = resend_count,
            http.response.status_code = status,
            "attempt succeeded"
        ),
        Some(error) => debug!(
            http.request.resend_count = resend_count,
            http.response.status_code = status,
            error.type = &*error.error_type(),
            "attempt failed"
        ),
    }
}

/// Returns where a redirect points; a relative one stays on the host of the request.
fn redirect_host(headers: &HeaderMap, base_url: &Url) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let location = base_url.join(location).ok()?;
    location.host_str().map(ToOwned::to_owned)
}
