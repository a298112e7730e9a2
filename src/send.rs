//! The loop of a call: a permit of the rate limiter, an attempt, and whether to retry.

use std::{sync::Arc, time::Duration};

use reqwest::{StatusCode, header::HeaderValue};
use serde::de::DeserializeOwned;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};
use tower::retry::budget::Budget as _;
use tracing::{Span, field::Empty, info_span};

use crate::{
    attempt::{AttemptRequest, TimeLimits},
    backoff::deadline_after,
    error::{AttemptHistory, Error, ErrorKind},
    hooks::AttemptEnd,
    inner::{ClientInner, Credentials, Options},
    limiter::{CallHistory, Permit, Rejection, WaitLimits},
    operation::Operation,
    places::BatchPlaces,
    redact::Redactor,
    request::Request,
    response::Response,
};

/// A validated request on its way, and all that sending it needs.
pub(crate) struct Sender {
    pub inner: Arc<ClientInner>,
    pub credentials: Arc<Credentials>,
    pub operation: &'static Operation,
    pub request: Request,
    pub options: Options,
}

/// Retries of a call so far, each kind of which has a limit.
#[derive(Default)]
struct Retries {
    /// After failures; rate limits and new keys do not count.
    after_failure: u32,
    with_new_key: bool,
}

impl Sender {
    /// Returns the span of the call; [`record`] completes it.
    pub fn span(&self) -> Span {
        info_span!(
            "sigmamind",
            otel.kind = "client",
            http.request.method = self.request.method.as_str(),
            url.template = Some(self.operation.path).filter(|path| !path.is_empty()),
            server.address = %self.inner.host(),
            http.response.status_code = Empty,
            http.request.resend_count = Empty,
            error.type = Empty,
        )
    }

    /// Sends the request until an attempt succeeds or fails for good, or until time or retries
    /// run out.
    pub async fn send<T: DeserializeOwned + 'static>(
        &self,
        batch: Option<Arc<BatchPlaces>>,
    ) -> Result<Response<T>, Error> {
        if Handle::try_current().is_err() {
            return Err(Error::configuration(
                "no Tokio runtime; await the call inside one",
            ));
        }
        let credentials = &*self.credentials;
        let mut call_deadline = deadline_after(self.options.timeout);
        let mut history = AttemptHistory::default();
        let mut retries = Retries::default();
        let mut refusals = CallHistory::default();
        let mut place = None;
        let mut last_error = None;
        loop {
            // A call of a batch first waits for others, at no cost of its own time.
            let waits_for_others = batch.is_some() && history.attempts == 0;
            let limits = WaitLimits {
                deadline: (!waits_for_others).then_some(call_deadline),
                max_starvation: self.options.timeout,
            };
            let permit = credentials
                .limiter
                .acquire(&mut refusals, limits)
                .await
                .map_err(|rejection| not_sent(last_error.take(), rejection))?;
            if waits_for_others {
                call_deadline = deadline_after(self.options.timeout);
            }
            if history.attempts == 0 {
                credentials.budget.deposit();
            }
            let key = credentials
                .key
                .now()
                .map_err(|reason| self.key_error(&reason).with_history(history))?;
            let started = Instant::now();
            let error = match self.attempt(&key, call_deadline, &mut history).await {
                Ok(response) => {
                    permit.on_success();
                    return Ok(response);
                }
                Err(error) => error,
            };
            report(permit, &error, &mut refusals);
            if place.is_none() && refusals.was_refused() {
                place = batch.as_ref().map(BatchPlaces::give_back);
            }
            let wait = self.wait_before_retry(&error, &key, call_deadline, history, &mut retries);
            self.call_hook(Err(&error), started, history, wait.is_some());
            let Some(wait) = wait else {
                return Err(error);
            };
            last_error = Some(error);
            if !wait.is_zero() {
                sleep(wait).await;
            }
        }
    }

    /// Makes the error of a key that cannot be had, by a reason that a callback may have given.
    fn key_error(&self, reason: &str) -> Error {
        let keys = self.credentials.key.recent();
        let redactor = Redactor::for_request(&keys, self.operation, &self.request);
        Error::configuration(redactor.redact(reason))
    }

    /// Makes one attempt, and reports to the key whether the server accepted it.
    async fn attempt<T: DeserializeOwned + 'static>(
        &self,
        key: &HeaderValue,
        deadline: Instant,
        history: &mut AttemptHistory,
    ) -> Result<Response<T>, Error> {
        let started = Instant::now();
        let attempt = AttemptRequest {
            inner: &self.inner,
            credentials: &self.credentials,
            operation: self.operation,
            request: &self.request,
            key,
            limits: TimeLimits {
                attempt_timeout: self.options.attempt_timeout,
                timeout: self.options.timeout,
                deadline,
            },
        };
        let result = attempt.run(history).await;
        let status = match &result {
            Ok(response) => Some(response.status),
            Err(error) => error.status(),
        };
        if status.is_some_and(|status| status != StatusCode::UNAUTHORIZED) {
            self.credentials.key.accepted(key);
        }
        if let Ok(response) = &result {
            self.call_hook(Ok(response.status), started, *history, false);
        }
        result
    }

    /// Returns how long to wait before the next attempt, or `None` if this error is final.
    fn wait_before_retry(
        &self,
        error: &Error,
        key: &HeaderValue,
        deadline: Instant,
        history: AttemptHistory,
        retries: &mut Retries,
    ) -> Option<Duration> {
        if history.may_have_been_applied && !self.request.idempotent {
            return None;
        }
        if error.kind() == ErrorKind::Unauthorized
            && !retries.with_new_key
            && self.credentials.key.refused(key)
        {
            retries.with_new_key = true;
            return Some(Duration::ZERO);
        }
        let retry_after = error.retry_after().unwrap_or_default();
        if !error.is_retryable() || retry_after > self.inner.max_retry_after {
            return None;
        }
        if error.is_rate_limited() {
            // The wait is up to the limiter.
            return (self.options.max_retries > 0).then_some(Duration::ZERO);
        }
        let wait = retry_after + self.inner.backoff.jitter(retries.after_failure);
        if retries.after_failure == self.options.max_retries
            || deadline_after(wait) >= deadline
            || !self.credentials.budget.withdraw()
        {
            return None;
        }
        retries.after_failure += 1;
        Some(wait)
    }

    /// Calls the hook that runs after each attempt, unless nothing was sent.
    fn call_hook(
        &self,
        result: Result<StatusCode, &Error>,
        started: Instant,
        history: AttemptHistory,
        will_retry: bool,
    ) {
        let Some(hook) = &self.inner.on_attempt_end else {
            return;
        };
        let (status, error) = match result {
            Ok(status) => (Some(status), None),
            Err(error) if error.is_configuration() => return,
            Err(error) => (error.status(), Some(error.kind())),
        };
        hook(&AttemptEnd {
            number: history.attempts,
            operation: self.operation,
            status,
            error,
            duration: started.elapsed(),
            will_retry,
        });
    }
}

/// Reports a failed attempt to the rate limiter.
fn report(permit: Permit<'_>, error: &Error, refusals: &mut CallHistory) {
    let status = error.status().map(|status| status.as_u16());
    match (status, error.retry_after()) {
        (None, _) => drop(permit),
        (Some(429), retry_after) => permit.on_throttled(retry_after, refusals),
        (Some(503), Some(retry_after)) => permit.on_unavailable(retry_after, refusals),
        (Some(_), _) => permit.on_success(),
    }
}

/// Makes the error of a call that the rate limiter does not let go (again) in time.
fn not_sent(last_error: Option<Error>, rejection: Rejection) -> Error {
    match last_error {
        Some(error) => error.with_retry_after(rejection.wait),
        None => Error::held(rejection),
    }
}

/// Records in the span what the call came to; an earlier attempt's result would mislead.
pub(crate) fn record<T>(span: &Span, outcome: &Result<Response<T>, Error>) {
    let (attempts, status, error_type) = match outcome {
        Ok(response) => (response.attempts, Some(response.status), None),
        Err(error) => (error.attempts(), error.status(), Some(error.error_type())),
    };
    span.record("http.request.resend_count", attempts.saturating_sub(1));
    span.record(
        "http.response.status_code",
        status.map(|status| status.as_u16()),
    );
    span.record("error.type", error_type.as_deref());
}
