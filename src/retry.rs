//! One call: its attempts, the waits between them, and the deadline over all.
//!
//! A failure is tried again if it may pass and repeating the request is safe. The requests of
//! this API set properties to values, so that a second time changes nothing more; a POST would
//! create again, and is repeated only while the server cannot have seen it.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use progenitor_client::ResponseValue;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};
use tower::{
    retry::budget::Budget,
    util::rng::{HasherRng, Rng},
};
use tracing::{Instrument, debug, field::Empty, info_span};

use crate::{
    Client, Error, Response,
    client::Timing,
    error::{Failed, read_answer},
    generated,
    hooks::Exchange,
    operation::Operation,
};

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// A server that asks for more is not waited for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Makes `attempt` until it succeeds, fails for good, or time or retries run out.
pub(crate) async fn call<T, F, Fut>(
    client: &Client,
    operation: &'static Operation,
    attempt: F,
) -> Result<Response<T>, Error>
where
    T: DeserializeOwned,
    F: Fn(generated::Client) -> Fut,
    Fut: Future<Output = Result<ResponseValue<T>, progenitor_client::Error>>,
{
    let span = info_span!(
        "sigmamind",
        otel.kind = "client",
        http.request.method = operation.method,
        url.template = operation.path,
        server.address = %client.shared.host(),
        http.response.status_code = Empty,
        http.request.resend_count = Empty,
        error.type = Empty,
    );
    // Pinned where it is, a future this large is not moved.
    let outcome = pin!(attempts(client, operation, attempt))
        .instrument(span.clone())
        .await;
    // Once, at the end: what an earlier attempt met would not describe the call.
    let (attempts, status, error_type) = match &outcome {
        Ok(response) => (response.attempts, Some(response.status), None),
        Err(error) => (error.attempts(), error.status(), Some(error.error_type())),
    };
    span.record("http.request.resend_count", attempts.saturating_sub(1));
    span.record(
        "http.response.status_code",
        status.map(|status| status.as_u16()),
    );
    span.record("error.type", error_type.as_deref());
    outcome
}

async fn attempts<T, F, Fut>(
    client: &Client,
    operation: &'static Operation,
    attempt: F,
) -> Result<Response<T>, Error>
where
    T: DeserializeOwned,
    F: Fn(generated::Client) -> Fut,
    Fut: Future<Output = Result<ResponseValue<T>, progenitor_client::Error>>,
{
    let Timing {
        timeout,
        deadline,
        max_retries,
    } = client.timing;
    let deadline = after(deadline);
    let budget = &client.shared.budget;
    budget.deposit();
    let mut may_have_been_applied = false;
    for attempts in 1.. {
        let until = after(timeout).min(deadline);
        let exchange = Arc::new(Exchange::default());
        let api = client.attempt(operation, exchange.clone());
        let outcome = {
            let attempt = pin!(async { read_answer(attempt(api).await, &exchange).await });
            timeout_at(until, attempt).await
        };
        let failed = match outcome {
            Ok(Ok(response)) => {
                debug!(
                    http.request.resend_count = attempts - 1,
                    http.response.status_code = response.status.as_u16(),
                    "attempt succeeded"
                );
                return Ok(Response {
                    attempts,
                    ..response
                });
            }
            Ok(Err(failed)) => failed,
            Err(_) => Failed::timed_out(if until < deadline {
                timeout
            } else {
                client.timing.deadline
            }),
        };
        let mut error = failed.into_error(client, operation, &exchange);
        may_have_been_applied |= error.may_have_been_applied();
        error.set_history(attempts, may_have_been_applied);
        debug!(
            http.request.resend_count = attempts - 1,
            http.response.status_code = error.status().map(|status| status.as_u16()),
            error.type = &*error.error_type(),
            "attempt failed"
        );

        let repeatable = operation.method != "POST" || !may_have_been_applied;
        if attempts > max_retries || !repeatable || !error.is_retryable() {
            return Err(error);
        }
        let asked = error.retry_after().unwrap_or_default();
        let wait = jitter(attempts).max(asked);
        if asked > LONGEST_RETRY_AFTER || after(wait) >= deadline || !budget.withdraw() {
            return Err(error);
        }
        sleep(wait).await;
    }
    unreachable!("the range of attempts has no end")
}

fn after(duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + duration.min(FAR)
}

/// Full jitter: anything between nothing and an exponentially growing bound.
fn jitter(attempts: u32) -> Duration {
    let bound = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(attempts - 1));
    let random = HasherRng::<std::hash::RandomState>::default().next_f64();
    bound.min(LONGEST_WAIT).mul_f64(random)
}

/// How long the server asks to wait: `retry-after-ms`, else `Retry-After` in seconds or as a date.
///
/// What is negative or makes no sense counts as absent, what is past as no wait, what is too
/// large as the longest wait there is. A date is taken by the server's own clock if it sent one.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if let Some(wait) = text("retry-after-ms").and_then(|value| decimal(value, 0.001)) {
        return Some(wait);
    }
    let value = text(RETRY_AFTER.as_str())?;
    decimal(value, 1.0).or_else(|| {
        let date = |text| httpdate::parse_http_date(text).ok();
        let now = text(DATE.as_str())
            .and_then(date)
            .unwrap_or_else(SystemTime::now);
        Some(date(value)?.duration_since(now).unwrap_or_default())
    })
}

fn decimal(text: &str, unit: f64) -> Option<Duration> {
    let text = text.trim();
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None; // also what f64 would read: signs, exponents, `inf`
    }
    let seconds = text.parse::<f64>().ok()? * unit;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_anything_up_to_a_growing_bound() {
        for (attempts, bound) in [
            (1, 500),
            (2, 1000),
            (3, 2000),
            (4, 4000),
            (5, 8000),
            (6, 8000),
            (u32::MAX, 8000),
        ] {
            let bound = Duration::from_millis(bound);
            let waits: Vec<_> = (0..1000).map(|_| jitter(attempts)).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*least < bound / 10, "after {attempts}: at least {least:?}");
            assert!(
                (bound * 9 / 10..bound).contains(most),
                "after {attempts}: at most {most:?}"
            );
        }
    }
}
