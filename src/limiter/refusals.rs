//! Whether a refusal is about the rate of all requests or about one call alone.
//!
//! A server may refuse one number whatever the rate, or a few requests at random. If everything
//! slowed down for that, one bad number of 3,000 would hold up all others. So a refusal is the
//! call's own if
//!
//! - refusals are rare: the first without a hint since the last pause, or a small share of the
//!   answers since then; or
//! - the call was refused before, and others were granted meanwhile and hardly any refused.
//!
//! Everything else, and every refusal of a probe, is about the rate. A call that was refused on its
//! own waits by itself, longer each time.

use std::{collections::VecDeque, time::Duration};

/// The share of refusals among the answers since the last pause up to which they are rare.
const RARE_SHARE: f64 = 0.03;
/// The same with a hint. Servers that limit the rate mostly give one.
const RARE_SHARE_HINTED: f64 = 0.01;
/// Without a hint, so many refusals since the last pause are rare whatever their share.
const RARE_COUNT: f64 = 1.0;
/// When more answers than this are counted, the counts are halved, so that old ones fade.
const MAX_COUNT: f64 = 512.0;
/// A call refused again is refused on its own if so many others were granted meanwhile.
const MIN_OTHERS_GRANTED: u64 = 3;
/// And if at most this share of the others was refused.
const MAX_OTHERS_REFUSED: f64 = 0.2;
/// Of those so many do not count: as many as a `Batch` begins with may be bad at once.
const TOLERATED: u64 = 4;

/// The wait of a refused call by itself: from half of this to all of it.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// It doubles so many times, to 4 to 8 s.
const WAIT_DOUBLINGS: u32 = 4;

/// After its first refusal a call sends at most so many requests in each such time. The times are a
/// little longer than a second and half a minute, because requests travel at different speeds.
const SEND_BOUNDS: [(usize, Duration); 2] = [
    (2, Duration::from_millis(1200)),
    (12, Duration::from_secs(31)),
];

/// Answers to all calls.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Since the last pause, halved now and then.
    granted_since_pause: f64,
    refused_since_pause: f64,
    /// In all: what was granted, and calls that were refused for the first time.
    granted: u64,
    refused_calls: u64,
}

/// Whose a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The call's own.
    Own,
    /// The rate's, but the request left before the last pause. That is no news.
    Known,
    /// The rate's.
    Rate,
}

/// What the refusals of one call mean for its next request.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallHistory {
    refusals: u32,
    /// The counts of [`Refusals`] at the last refusal.
    granted: u64,
    refused_calls: u64,
    /// The end of the wait of this call alone.
    wait_until: Duration,
    /// When its last requests left, since the first refusal.
    sent: VecDeque<Duration>,
}

impl Refusals {
    pub fn record_successes(&mut self, granted: u32) {
        self.granted += u64::from(granted);
        self.granted_since_pause += f64::from(granted);
        self.limit_counts();
    }

    /// Counts a refusal, and returns whose it is.
    pub fn cause(
        &mut self,
        history: &mut CallHistory,
        hinted: bool,
        is_probe: bool,
        is_stale: bool,
    ) -> Cause {
        let is_again = history.refusals > 0 && self.hardly_any_since(history);
        if history.refusals == 0 {
            self.refused_calls += 1;
        }
        if history.refusals <= 1 && !is_again {
            self.refused_since_pause += 1.0;
            self.limit_counts();
        }
        history.granted = self.granted;
        history.refused_calls = self.refused_calls;
        if is_probe {
            Cause::Rate
        } else if is_again || !is_stale && self.are_rare(hinted) {
            Cause::Own
        } else if is_stale {
            Cause::Known
        } else {
            Cause::Rate
        }
    }

    pub fn on_pause(&mut self) {
        self.granted_since_pause = 0.0;
        self.refused_since_pause = 0.0;
    }

    fn are_rare(&self, hinted: bool) -> bool {
        let answers = self.granted_since_pause + self.refused_since_pause;
        let rare = if hinted {
            RARE_SHARE_HINTED * answers
        } else {
            RARE_COUNT.max(RARE_SHARE * answers)
        };
        self.refused_since_pause <= rare
    }

    /// Returns whether others were granted since the last refusal of this call, and hardly any refused.
    fn hardly_any_since(&self, history: &CallHistory) -> bool {
        let granted = self.granted - history.granted;
        let refused = self.refused_calls - history.refused_calls;
        let refused = refused.saturating_sub(TOLERATED);
        #[expect(clippy::cast_precision_loss, reason = "they are not so many")]
        let share = refused as f64 / (granted + refused).max(1) as f64;
        granted >= MIN_OTHERS_GRANTED && share <= MAX_OTHERS_REFUSED
    }

    fn limit_counts(&mut self) {
        if self.granted_since_pause + self.refused_since_pause > MAX_COUNT {
            self.granted_since_pause /= 2.0;
            self.refused_since_pause /= 2.0;
        }
    }
}

impl CallHistory {
    pub fn was_refused(&self) -> bool {
        self.refusals > 0
    }

    /// Returns when the next request of this call may leave as far as the call itself is concerned.
    pub fn earliest(&self) -> Duration {
        let bounds = SEND_BOUNDS.iter().filter_map(|(count, period)| {
            let first = self.sent.len().checked_sub(*count)?;
            Some(self.sent[first].saturating_add(*period))
        });
        bounds.fold(self.wait_until, Duration::max)
    }

    /// Remembers that a request leaves.
    pub fn on_send(&mut self, now: Duration) {
        if self.was_refused() {
            let [.., (most, _)] = SEND_BOUNDS;
            self.sent.truncate(most);
            if self.sent.len() == most {
                self.sent.pop_front();
            }
            self.sent.push_back(now);
        }
    }

    pub(super) fn on_refused(
        &mut self,
        now: Duration,
        hint: Option<Duration>,
        cause: Cause,
        random: f64,
    ) {
        let longest = FIRST_WAIT * (1 << self.refusals.min(WAIT_DOUBLINGS));
        let wait = longest.mul_f64(0.5 + random / 2.0);
        let wait = match cause {
            Cause::Own => wait.max(hint.unwrap_or_default()),
            // At first the pause is enough.
            _ if self.refusals == 0 => Duration::ZERO,
            _ => wait,
        };
        self.wait_until(now.saturating_add(wait));
        self.refusals += 1;
    }

    /// Lets the next request of this call wait until this time at least.
    pub(super) fn wait_until(&mut self, until: Duration) {
        self.wait_until = self.wait_until.max(until);
    }
}
