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
/// A timer of tokio's may be so late. Requests catch up with their schedule by no more.
const TIMER_SLACK: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Controller {
    /// The longest pause, whatever the server asks for.
    max_pause: Duration,
    own_limit: Option<OwnLimit>,
    state: State,
    refusals: Refusals,
    /// What was granted lately. It is not counted between two pauses.
    recent: Successes,
    estimate: Option<Estimate>,
    /// Pauses in a row.
    pauses: u32,
    /// When the first probe could leave since the last success.
    starving_since: Option<Duration>,
    transition: Option<Transition>,
}

#[derive(Debug)]
enum State {
    Off,
    Paused(Pause),
    Probing {
        since: Duration,
        /// When the last probe left.
        probe: Option<Duration>,
        /// Of the last pause.
        reason: Reason,
    },
    Open {
        since: Duration,
        /// When the last request left.
        last: Duration,
        /// When the next may leave.
        next: Duration,
        /// When somebody had to wait for the last time.
        busy: Duration,
    },
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Duration,
    /// The end that the server asks for, which may be later.
    requested: Duration,
    reason: Reason,
    /// When the refused request had left.
    refused: Duration,
    /// Its length, and a random number from 0 to 1 for the while that is added to it.
    wait: Duration,
    random: f64,
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
            state: State::Off,
            refusals: Refusals::default(),
            recent: Successes::default(),
            estimate: None,
            pauses: 0,
            starving_since: None,
            transition: None,
        }
    }

    /// Returns whether every request may leave at once.
    pub fn is_off(&self) -> bool {
        self.own_limit.is_none() && matches!(self.state, State::Off)
    }

    /// Returns whether the next request is a probe.
    pub fn is_probe_next(&self) -> bool {
        matches!(self.state, State::Paused(_) | State::Probing { .. })
    }

    /// Returns when the pause ends, if there is one.
    pub fn paused_until(&self, now: Duration) -> Option<Duration> {
        let until = match &self.state {
            State::Paused(pause) => pause.until,
            State::Probing { since, .. } => *since,
            State::Off | State::Open { .. } => return None,
        };
        (until > now).then_some(until)
    }

    /// Returns the rate at which requests leave, if it is limited.
    pub fn rate(&self) -> Option<f64> {
        let estimated = match self.state {
            State::Off => None,
            _ => self.estimate.as_ref().map(|estimate| estimate.rate),
        };
        let own = self
            .own_limit
            .as_ref()
            .map(|own| 1.0 / own.spacing.as_secs_f64());
        [estimated, own].into_iter().flatten().reduce(f64::min)
    }

    /// Returns since when nothing was granted although probes could leave.
    pub fn starving_since(&self) -> Option<Duration> {
        self.starving_since
    }

    /// Returns the earliest time for one more request behind `ahead` others, as far as it is known.
    pub fn earliest(&self, ahead: usize) -> Duration {
        let state = match &self.state {
            State::Off => Duration::ZERO,
            State::Paused(pause) => pause.until,
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
            State::Paused(pause) => (pause.reason, wait.max(pause.requested.saturating_sub(now))),
            State::Probing { reason, .. } => (*reason, wait),
            State::Open { .. } => (Reason::Throttled, wait),
            State::Off => (Reason::OwnLimit, wait),
        }
    }

    pub fn take_transition(&mut self) -> Option<Transition> {
        self.transition.take()
    }

    /// Lets a request leave, or returns when to try again.
    pub fn try_acquire(&mut self, now: Duration) -> Result<(), Duration> {
        self.advance(now);
        let at = match &mut self.state {
            State::Off => Duration::ZERO,
            State::Paused(pause) => pause.until,
            State::Probing {
                since, probe: None, ..
            } => *since,
            State::Probing {
                probe: Some(sent), ..
            } => sent.saturating_add(PROBE_TIMEOUT),
            State::Open { next, busy, .. } => {
                if *next > now {
                    *busy = now;
                }
                *next
            }
        };
        let own = self
            .own_limit
            .as_ref()
            .map_or(Duration::ZERO, |own| own.next);
        let at = at.max(own);
        if at > now {
            return Err(at);
        }
        self.on_send(now);
        Ok(())
    }

    /// Makes the changes that only need time: a pause ends, or calm has lasted.
    fn advance(&mut self, now: Duration) {
        match &self.state {
            State::Paused(pause) if now >= pause.until => {
                let pause = *pause;
                self.end_pause(pause);
            }
            State::Open { busy, .. } if now.saturating_sub(*busy) >= CALM => {
                self.state = State::Off;
                self.estimate = None;
                self.pauses = 0;
                self.recent = Successes::since(now);
                self.transition = Some(Transition::Cleared);
            }
            _ => {}
        }
    }

    fn end_pause(&mut self, pause: Pause) {
        let first = self.estimate.is_none();
        let recent = &self.recent;
        let estimate = self
            .estimate
            .get_or_insert_with(|| Estimate::guess(recent.rate(pause.until), pause.refused));
        let rate = estimate.rate;
        // Half the time between two requests, or a part of a long pause.
        let spread = (pause.wait / 20).max(spacing(rate) / 2);
        let spread = spread.min(pause.wait.max(Duration::from_secs(1)) / 2);
        let since = pause.until.saturating_add(spread.mul_f64(pause.random));
        self.starving_since.get_or_insert(since);
        self.state = State::Probing {
            since,
            probe: None,
            reason: pause.reason,
        };
        self.transition = Some(Transition::Resumed { first, rate });
    }

    fn on_send(&mut self, now: Duration) {
        if let Some(own) = &mut self.own_limit {
            let slot = own.next.max(now.saturating_sub(TIMER_SLACK));
            own.next = slot.saturating_add(own.spacing);
        }
        match &mut self.state {
            State::Probing { probe, .. } => *probe = Some(now),
            State::Open { last, next, .. } => {
                let Some(estimate) = &mut self.estimate else {
                    return;
                };
                let spacing = spacing(estimate.rate);
                estimate.used += now.saturating_sub(*last).min(spacing).as_secs_f64();
                let slot = (*next).max(now.saturating_sub(spacing));
                *next = slot.saturating_add(spacing);
                *last = now;
            }
            State::Off | State::Paused(_) => {}
        }
    }

    /// Counts requests that were granted while the limiter was off.
    pub fn record_successes(&mut self, now: Duration, granted: u32) {
        self.recent.count(now, granted);
        self.refusals.record_successes(granted);
    }

    /// A request that left at `sent` was granted. Returns whether a waiter may leave earlier now.
    pub fn on_success(&mut self, now: Duration, sent: Duration) -> bool {
        self.refusals.record_successes(1);
        let Some(estimate) = &mut self.estimate else {
            self.recent.count(now, 1);
            return false;
        };
        self.starving_since = None;
        if estimate.on_success(sent) {
            self.pauses = 0;
        }
        match self.state {
            State::Probing { since, .. } if sent >= since => {
                estimate.ramp();
                let next = sent.saturating_add(spacing(estimate.rate));
                self.state = State::Open {
                    since,
                    last: sent,
                    next,
                    busy: now,
                };
                true
            }
            State::Open { since, .. } if sent >= since => {
                estimate.ramp();
                false
            }
            _ => false,
        }
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
            State::Off => Duration::ZERO,
            State::Paused(_) => Duration::MAX,
            State::Probing { since, .. } | State::Open { since, .. } => *since,
        };
        let is_probe = matches!(self.state, State::Probing { .. }) && sent >= since;
        let hint = refusal.retry_after;
        let cause = self
            .refusals
            .cause(history, hint.is_some(), is_probe, sent < since);
        match cause {
            Cause::Own => {}
            Cause::Known => {
                if let Some(wait) = hint {
                    self.extend_pause(now, sent, wait, refusal);
                }
            }
            Cause::Rate => {
                if refusal.reason == Reason::Throttled
                    && let Some(estimate) = &mut self.estimate
                {
                    estimate.on_refused(sent, since);
                }
                self.refusals.on_pause();
                self.pauses += 1;
                self.pause(now, sent, refusal);
            }
        }
        history.on_refused(now, hint, cause, refusal.random);
        if let Some(until) = self.paused_until(now) {
            history.wait_until(until.saturating_add(HEAD_START));
        }
    }

    fn pause(&mut self, now: Duration, sent: Duration, refusal: Refusal) {
        let doubled = |pauses: u32| FIRST_PAUSE * (1 << pauses.min(PAUSE_DOUBLINGS));
        let wait = match refusal.retry_after {
            // A server that refuses again after a short pause needs a longer one than it says.
            Some(hint) if self.pauses > 1 => hint.max(doubled(self.pauses - 2)),
            Some(hint) => hint,
            None => doubled(self.pauses - 1).mul_f64(1.0 + refusal.random),
        };
        let first = matches!(self.state, State::Off);
        self.start_pause(now, sent, wait, refusal);
        let wait = wait.min(self.max_pause);
        self.transition = Some(Transition::Paused {
            first,
            wait,
            reason: refusal.reason,
        });
    }

    /// Makes the pause longer, or pauses again, if an answer to an earlier request asks for it.
    fn extend_pause(&mut self, now: Duration, sent: Duration, wait: Duration, refusal: Refusal) {
        if let State::Paused(pause) = &mut self.state {
            let until = now.saturating_add(wait.min(self.max_pause));
            pause.until = pause.until.max(until);
            pause.requested = pause.requested.max(now.saturating_add(wait));
        } else {
            self.start_pause(now, sent, wait, refusal);
        }
    }

    fn start_pause(&mut self, now: Duration, sent: Duration, wait: Duration, refusal: Refusal) {
        self.state = State::Paused(Pause {
            refused: sent,
            until: now.saturating_add(wait.min(self.max_pause)),
            requested: now.saturating_add(wait),
            reason: refusal.reason,
            wait: wait.min(self.max_pause),
            random: refusal.random,
        });
    }
}
