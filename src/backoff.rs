//! The wait before the next attempt: `Retry-After`, and jitter.

use std::{
    hash::RandomState,
    time::{Duration, SystemTime},
};

use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::time::Instant;
use tower::util::rng::{HasherRng, Rng};

/// Longest wait. A longer one could not be added to every clock.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Bounds of the growing waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// Returns a random wait between zero and a bound that doubles with each retry ("full jitter").
    pub fn jitter(self, retries: u32) -> Duration {
        let bound = self.first.saturating_mul(2_u32.saturating_pow(retries));
        let random = HasherRng::<RandomState>::default().next_f64();
        bound.min(self.longest).mul_f64(random)
    }
}

/// Returns the time at which a duration that begins now ends.
pub(crate) fn deadline_after(duration: Duration) -> Instant {
    Instant::now() + within_a_year(duration)
}

/// Returns a duration that can be added to any clock.
pub(crate) fn within_a_year(duration: Duration) -> Duration {
    duration.min(YEAR)
}

/// Returns the wait that the server asks for: `retry-after-ms`, else `Retry-After` in seconds or as
/// a date.
///
/// A value that is zero, negative, past or unreadable counts as absent. More than a year counts as
/// a year. A date is compared with the server's own clock if it sent `Date`.
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
        let wait = date(value)?.duration_since(now).ok()?;
        (!wait.is_zero()).then(|| within_a_year(wait))
    })
}

fn decimal(text: &str, unit: f64) -> Option<Duration> {
    let text = text.trim();
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None; // f64 would also read signs, exponents and `inf`
    }
    let seconds = text.parse::<f64>().ok()? * unit;
    let wait = Duration::try_from_secs_f64(seconds).map_or(YEAR, within_a_year);
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_anything_up_to_a_growing_bound() {
        let backoff = Backoff {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(8),
        };
        for (retries, bound) in [
            (0, 500),
            (1, 1000),
            (2, 2000),
            (3, 4000),
            (4, 8000),
            (5, 8000),
            (u32::MAX, 8000),
        ] {
            let bound = Duration::from_millis(bound);
            let waits: Vec<_> = (0..1000).map(|_| backoff.jitter(retries)).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*least < bound / 10, "after {retries}: at least {least:?}");
            assert!(
                (bound * 9 / 10..bound).contains(most),
                "after {retries}: at most {most:?}"
            );
        }
    }
}
