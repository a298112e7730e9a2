//! States of the rate limiter, without a clock, a queue or a server.
//!
//! ```text
//! Off ──refused──▶ Paused ──time──▶ Probing ──granted──▶ Open ──calm──▶ Off
//!                    ▲                 │                  │
//!                    └─────refused─────┴──────────────────┘
//! ```
//!
//! - `Off`: requests leave at once. A refusal that is the call's own (see [`super::refusals`])
//!   changes nothing for others, in any state.
//! - `Paused`: nothing leaves. Only time ends a pause: the time that the server asks for, or
//!   `max_pause` if that is shorter. Without a hint a pause doubles with each refusal in a row. A
//!   random while is added, so that the processes with one key come back one after the other.
//! - `Probing`: one request leaves, and the others wait for its answer.
//! - `Open`: requests are evenly spaced, at a rate that grows until one is refused.
//!
//! Times are durations since the limiter was made. Rates are in requests per second.

use std::time::Duration;

use super::{
    estimate::{Estimate, Successes, spacing},
    refusals::{CallHistory, Cause, Refusals},
};

/// `Open` becomes `Off` after so long without a pause and without a waiter.
const CALM: Duration = Duration::from_secs(30);
/// A probe without an answer lets the next waiter probe after so long.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// A call that was refused comes back so long after the pause, so that others may probe: its
/// refusal may be its own.
const HEAD_START: Duration = Duration::from_millis(50);
/// The first pause if the server gives no hint. A random part of it, up to all, is added.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Such pauses double so many times: the longest are 6.4 to 12.8 s.
const PAUSE_DOUBLINGS: u32 = 5;
/// The longest part of a pause that is added to it, so that processes with one key come back one
/// after the other.
const MAX_SPREAD: Duration = Duration::from_secs(1);
/// A timer of tokio's may be so late. Requests catch up with their schedule by no more.
const TIMER_SLACK: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Controller {
    /// The longest pause, whatever the server asks for.
    max_pause: Duration,
    own_limit: Option<OwnLimit>,
    refusals: Refusals,
    state: State,
    /// The last change of state, until it is logged.
    transition: Option<Transition>,
}

#[derive(Debug)]
enum State {
    Off {
        recent: Successes,
    },
    Paused {
        pause: Pause,
        throttle: Throttle,
    },
    Probing {
        since: Duration,
        /// When the last probe left, if its answer is still to come.
        probe: Option<Duration>,
        /// Of the last pause.
        reason: Reason,
        throttle: Throttle,
    },
    Open {
        since: Duration,
        /// When the last request left.
        last: Duration,
        /// When the next may leave.
        next: Duration,
        /// When somebody had to wait for the last time.
        busy: Duration,
        throttle: Throttle,
    },
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Duration,
    /// The end that the server asks for, which may be later.
    requested: Duration,
    reason: Reason,
    /// Its length, and a random number from 0 to 1 for the while that is added to it.
    wait: Duration,
    random: f64,
}

/// What is handed on from state to state until the limiter is off again.
#[derive(Debug, Clone, Copy)]
struct Throttle {
    estimate: Estimate,
    /// Pauses in a row.
    pauses: u32,
    /// When the first probe could leave since the last success.
    starving_since: Option<Duration>,
}

/// Why requests wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The server answered 429.
    Throttled,
    /// The server answered 503 with `Retry-After`.
    Unavailable,
    /// The rate limit that the caller has set.
    OwnLimit,
}

/// A refusal: 429, or 503 with `Retry-After`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    pub reason: Reason,
    pub retry_after: Option<Duration>,
    /// A random number from 0 to 1.
    pub random: f64,
}

/// A change of state that an operator should know of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Transition {
    Paused {
        first: bool,
        wait: Duration,
        reason: Reason,
    },
    Resumed {
        first: bool,
        rate: f64,
    },
    Cleared,
}

/// The caller's rate limit.
#[derive(Debug)]
struct OwnLimit {
    spacing: Duration,
    next: Duration,
}

impl Controller {
    pub fn new(own_limit: Option<f64>, max_pause: Duration) -> Self {
        Self {
            max_pause,
            own_limit: own_limit.map(|rate| OwnLimit {
                spacing: spacing(rate),
                next: Duration::ZERO,
            }),
            refusals: Refusals::default(),
            state: State::Off {
                recent: Successes::default(),
            },
            transition: None,
        }
    }

    /// Returns whether every request may leave at once.
    pub fn is_off(&self) -> bool {
        self.own_limit.is_none() && matches!(self.state, State::Off { .. })
    }

    /// Returns whether the next request is a probe.
    pub fn is_probe_next(&self) -> bool {
        matches!(self.state, State::Paused { .. } | State::Probing { .. })
    }

    /// Returns when the pause ends, if there is one.
    pub fn paused_until(&self, now: Duration) -> Option<Duration> {
        let until = match &self.state {
            State::Paused { pause, .. } => pause.until,
            State::Probing { since, .. } => *since,
            State::Off { .. } | State::Open { .. } => return None,
        };
        (until > now).then_some(until)
    }

    /// Returns the rate at which requests leave, if it is limited.
    pub fn rate(&self) -> Option<f64> {
        let estimated = self
            .throttle()
            .and_then(|throttle| throttle.estimate.rate());
        let own = self
            .own_limit
            .as_ref()
            .map(|own| 1.0 / own.spacing.as_secs_f64());
        [estimated, own].into_iter().flatten().reduce(f64::min)
    }

    /// Returns since when nothing was granted although probes could leave.
    pub fn starving_since(&self) -> Option<Duration> {
        self.throttle()?.starving_since
    }

    fn throttle(&self) -> Option<&Throttle> {
        match &self.state {
            State::Off { .. } => None,
            State::Paused { throttle, .. }
            | State::Probing { throttle, .. }
            | State::Open { throttle, .. } => Some(throttle),
        }
    }

    /// Returns the earliest time for one more request behind `ahead` others, as far as it is known.
    pub fn earliest(&self, ahead: usize) -> Duration {
        let state = match &self.state {
            State::Off { .. } => Duration::ZERO,
            State::Paused { pause, .. } => pause.until,
            State::Probing { since, .. } => *since,
            State::Open { next, .. } => *next,
        };
        // What the server grants may grow, the caller's limit does not.
        self.own_limit.as_ref().map_or(state, |own| {
            let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
            own.next
                .saturating_add(own.spacing.saturating_mul(ahead))
                .max(state)
        })
    }

    /// Returns why one more request behind `ahead` others has to wait, and how long at the least.
    ///
    /// A pause counts with the length that the server asks for.
    pub fn wait(&self, now: Duration, ahead: usize) -> (Reason, Duration) {
        let earliest = self.earliest(ahead);
        let spacing = self.rate().map_or(Duration::ZERO, spacing);
        let wait = earliest.saturating_sub(now).max(spacing);
        match &self.state {
            State::Paused { pause, .. } => {
                (pause.reason, wait.max(pause.requested.saturating_sub(now)))
            }
            State::Probing { reason, .. } => (*reason, wait),
            State::Open { .. } => (Reason::Throttled, wait),
            State::Off { .. } => (Reason::OwnLimit, wait),
        }
    }

    pub fn take_transition(&mut self) -> Option<Transition> {
        self.transition.take()
    }

    /// Lets a request leave, or returns when to try again.
    pub fn try_acquire(&mut self, now: Duration) -> Result<(), Duration> {
        self.advance(now);
        let at = match &mut self.state {
            State::Off { .. } => Duration::ZERO,
            State::Paused { pause, .. } => pause.until,
            State::Probing { since, probe, .. } => {
                probe.map_or(*since, |sent| sent.saturating_add(PROBE_TIMEOUT))
            }
            State::Open { next, busy, .. } => {
                if *next > now {
                    *busy = now;
                }
                *next
            }
        };
        let own = self.own_limit.as_ref();
        let at = own.map_or(at, |own| own.next.max(at));
        if at > now {
            return Err(at);
        }
        self.on_send(now);
        Ok(())
    }

    /// Makes the changes that only need time: a pause ends, or calm has lasted.
    fn advance(&mut self, now: Duration) {
        match &self.state {
            State::Paused { pause, throttle } if now >= pause.until => {
                let (pause, throttle) = (*pause, *throttle);
                self.end_pause(pause, throttle);
            }
            State::Open { busy, .. } if now.saturating_sub(*busy) >= CALM => {
                self.state = State::Off {
                    recent: Successes::since(now),
                };
                self.transition = Some(Transition::Cleared);
            }
            _ => {}
        }
    }

    fn end_pause(&mut self, pause: Pause, mut throttle: Throttle) {
        let first = throttle.estimate.guess(pause.until);
        // Half the time between two requests, or a part of a long pause.
        let part = (pause.wait / 20).min(MAX_SPREAD);
        let spread = part.max(throttle.estimate.spacing() / 2);
        let spread = spread.min(pause.wait.max(Duration::from_secs(1)) / 2);
        let since = pause.until.saturating_add(spread.mul_f64(pause.random));
        throttle.starving_since.get_or_insert(since);
        self.state = State::Probing {
            since,
            probe: None,
            reason: pause.reason,
            throttle,
        };
        let rate = throttle.estimate.rate().unwrap_or_default();
        self.transition = Some(Transition::Resumed { first, rate });
    }

    fn on_send(&mut self, now: Duration) {
        if let Some(own) = &mut self.own_limit {
            let slot = own.next.max(now.saturating_sub(TIMER_SLACK));
            own.next = slot.saturating_add(own.spacing);
        }
        match &mut self.state {
            State::Probing { probe, .. } => *probe = Some(now),
            State::Open {
                last,
                next,
                throttle,
                ..
            } => {
                throttle.estimate.on_send(now.saturating_sub(*last));
                let spacing = throttle.estimate.spacing();
                let slot = (*next).max(now.saturating_sub(spacing));
                *next = slot.saturating_add(spacing);
                *last = now;
            }
            State::Off { .. } | State::Paused { .. } => {}
        }
    }

    /// Counts requests that were granted while the limiter was off.
    pub fn record_successes(&mut self, now: Duration, granted: u32) {
        self.refusals.record_successes(granted);
        if let State::Off { recent } = &mut self.state {
            recent.count(now, granted);
        }
    }

    /// A request that left at `sent` was granted. Returns whether a waiter may leave earlier now.
    pub fn on_success(&mut self, now: Duration, sent: Duration) -> bool {
        self.refusals.record_successes(1);
        match &mut self.state {
            State::Off { recent } => recent.count(now, 1),
            State::Paused { throttle, .. } => throttle.on_success(now, sent),
            State::Probing {
                since, throttle, ..
            } => {
                throttle.on_success(now, sent);
                if sent >= *since {
                    throttle.estimate.ramp();
                    self.state = State::Open {
                        since: *since,
                        last: sent,
                        next: sent.saturating_add(throttle.estimate.spacing()),
                        busy: now,
                        throttle: *throttle,
                    };
                    return true;
                }
            }
            State::Open {
                since, throttle, ..
            } => {
                throttle.on_success(now, sent);
                if sent >= *since {
                    throttle.estimate.ramp();
                }
            }
        }
        false
    }

    /// Nothing will be known of a request that left at `sent`. Returns whether a waiter may leave
    /// earlier now.
    pub fn on_abandoned(&mut self, sent: Duration) -> bool {
        match &mut self.state {
            State::Probing { probe, .. } if *probe == Some(sent) => {
                *probe = None;
                true
            }
            _ => false,
        }
    }

    /// A request that left at `sent` was refused.
    pub fn on_refused(
        &mut self,
        now: Duration,
        sent: Duration,
        refusal: Refusal,
        history: &mut CallHistory,
    ) {
        let since = match &self.state {
            State::Off { .. } => Duration::ZERO,
            // Nothing leaves in a pause.
            State::Paused { .. } => Duration::MAX,
            State::Probing { since, .. } | State::Open { since, .. } => *since,
        };
        let hint = refusal.retry_after;
        let is_stale = sent < since;
        let is_probe = matches!(self.state, State::Probing { .. }) && !is_stale;
        let cause = self
            .refusals
            .cause(history, hint.is_some(), is_probe, is_stale);
        match (cause, hint) {
            (Cause::Own, _) | (Cause::Known, None) => {}
            (Cause::Known, Some(wait)) => self.extend_pause(now, sent, wait, refusal),
            (Cause::Rate, _) => self.pause(now, sent, since, refusal),
        }
        history.on_refused(now, hint, cause, refusal.random);
        if let Some(until) = self.paused_until(now) {
            history.wait_until(until.saturating_add(HEAD_START));
        }
    }

    /// Pauses for a refusal of a request that left at `sent`; the last pause was over at `since`.
    fn pause(&mut self, now: Duration, sent: Duration, since: Duration, refusal: Refusal) {
        let (first, mut throttle) = match &self.state {
            State::Off { recent } => (true, Throttle::new(*recent, sent)),
            State::Paused { throttle, .. }
            | State::Probing { throttle, .. }
            | State::Open { throttle, .. } => (false, *throttle),
        };
        if refusal.reason == Reason::Throttled {
            throttle.estimate.on_refused(sent, since);
        }
        self.refusals.on_pause();
        let doubled = |pauses: u32| FIRST_PAUSE * (1 << pauses.min(PAUSE_DOUBLINGS));
        let wait = match refusal.retry_after {
            None => doubled(throttle.pauses).mul_f64(1.0 + refusal.random),
            Some(hint) if throttle.pauses == 0 => hint,
            // A server that refuses again after a short pause needs a longer one than it says.
            Some(hint) => hint.max(doubled(throttle.pauses - 1)),
        };
        throttle.pauses += 1;
        self.start_pause(now, wait, refusal, throttle);
        self.transition = Some(Transition::Paused {
            first,
            wait: wait.min(self.max_pause),
            reason: refusal.reason,
        });
    }

    /// Makes the pause longer, or pauses again, if an answer to an earlier request asks for it.
    fn extend_pause(&mut self, now: Duration, sent: Duration, wait: Duration, refusal: Refusal) {
        match &mut self.state {
            State::Paused { pause, .. } => {
                let until = now.saturating_add(wait.min(self.max_pause));
                pause.until = pause.until.max(until);
                pause.requested = pause.requested.max(now.saturating_add(wait));
            }
            State::Probing { throttle, .. } | State::Open { throttle, .. } => {
                let throttle = *throttle;
                self.start_pause(now, wait, refusal, throttle);
            }
            State::Off { recent } => {
                let throttle = Throttle::new(*recent, sent);
                self.start_pause(now, wait, refusal, throttle);
            }
        }
    }

    fn start_pause(&mut self, now: Duration, wait: Duration, refusal: Refusal, throttle: Throttle) {
        let pause = Pause {
            until: now.saturating_add(wait.min(self.max_pause)),
            requested: now.saturating_add(wait),
            reason: refusal.reason,
            wait: wait.min(self.max_pause),
            random: refusal.random,
        };
        self.state = State::Paused { pause, throttle };
    }
}

impl Throttle {
    fn new(recent: Successes, refused: Duration) -> Self {
        Self {
            estimate: Estimate::new(recent, refused),
            pauses: 0,
            starving_since: None,
        }
    }

    fn on_success(&mut self, now: Duration, sent: Duration) {
        self.starving_since = None;
        if self.estimate.on_success(now, sent) {
            self.pauses = 0;
        }
    }
}
