//! The rate that the server is believed to grant, and how requests approach it.
//!
//! The first rate is a guess from what was granted lately. It doubles every 0.6 s until a request is
//! refused. Then it is measured: what was granted between two refusals, over the time it took.
//!
//! After a refusal the rate is a quarter below the estimate, and grows with the cube of the time, as
//! TCP CUBIC's window does (RFC 9438). It reaches the estimate after a time that grows with the root
//! of the estimate: of the processes with one key, those that get less grow sooner and those that get
//! more are refused more often, until their shares are equal. Only time that was used counts:
//! whoever sends less than the rate allows learns nothing about the limit.

use std::time::Duration;

/// The lowest first rate, in requests per second. A process that starts while others use up the
/// limit is granted next to nothing at first, and must not take that for its share.
const MIN_FIRST_RATE: f64 = 8.0;
/// The lowest estimate, in requests per second.
const MIN_RATE: f64 = 0.1;
/// The highest rate, in requests per second. A million is no limit.
const MAX_RATE: f64 = 1e6;
/// The growth of a guess, per second: e^1.2 a second doubles every 0.6 s.
const GUESS_GROWTH: f64 = 1.2;
/// The part of the estimate that is left after a refusal: CUBIC's β, which is 0.7 in RFC 9438
/// section 4.6. The simulation prefers 0.75.
const BETA: f64 = 0.75;
/// The rate is back at the estimate after so many seconds, times the root of the estimate. CUBIC's
/// K (RFC 9438 section 4.2) is a cube root; the root makes shares equal sooner in the simulation.
const RECOVERY: f64 = 0.45;
/// And not before so many requests: a few a minute cannot grow by the second.
const RECOVERY_REQUESTS: f64 = 5.0;
/// A measurement of so many successes counts as much as what was known before.
const WEIGHT: f64 = 5.0;
/// Seconds of use after which half of a pause counts as time in which nothing could be granted.
const PAUSE_CREDIT: f64 = 0.3;
/// The shortest time of a measurement, in seconds.
const MIN_SPAN: f64 = 0.02;

#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    /// What the server is believed to grant, in requests per second.
    base: f64,
    kind: Kind,
    /// The rate at which requests leave.
    rate: f64,
    /// Seconds in which the rate was used, since the last measurement.
    used: f64,
    /// When the request left that was refused last. Those that left later and were granted count.
    epoch: Duration,
    granted: u32,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Nothing is known but what was granted lately.
    None(Successes),
    Guess,
    Measurement,
}

impl Estimate {
    /// Makes an estimate that is not known yet. `refused`: when the first refused request left.
    pub fn new(recent: Successes, refused: Duration) -> Self {
        Self {
            base: MIN_FIRST_RATE,
            kind: Kind::None(recent),
            rate: MIN_FIRST_RATE,
            used: 0.0,
            epoch: refused,
            granted: 0,
        }
    }

    /// Returns the rate at which requests leave, if one is known.
    pub fn rate(&self) -> Option<f64> {
        match self.kind {
            Kind::None(_) => None,
            Kind::Guess | Kind::Measurement => Some(self.rate),
        }
    }

    /// Makes a guess when the first pause ends. Returns whether it was the first.
    pub fn guess(&mut self, now: Duration) -> bool {
        let Kind::None(recent) = self.kind else {
            return false;
        };
        self.base = recent.rate(now).max(MIN_FIRST_RATE);
        self.rate = self.base;
        self.kind = Kind::Guess;
        true
    }

    /// Returns the time between two requests.
    pub fn spacing(&self) -> Duration {
        spacing(self.rate)
    }

    /// Counts a success. Returns whether the request left after the last refusal.
    pub fn on_success(&mut self, now: Duration, sent: Duration) -> bool {
        if let Kind::None(recent) = &mut self.kind {
            recent.count(now, 1);
            return false;
        }
        let counts = sent > self.epoch;
        self.granted += u32::from(counts);
        counts
    }

    /// Counts the time in which the rate was used.
    pub fn on_send(&mut self, since_last: Duration) {
        self.used += since_last.min(self.spacing()).as_secs_f64();
    }

    /// Lets the rate grow with the time in which it was used.
    pub fn ramp(&mut self) {
        let rate = match self.kind {
            Kind::None(_) => self.base,
            Kind::Guess => self.base * (GUESS_GROWTH * self.used).exp(),
            Kind::Measurement => {
                let recovery = (RECOVERY * self.base.sqrt()).max(RECOVERY_REQUESTS / self.base);
                self.base * (BETA + (1.0 - BETA) * (self.used / recovery).powi(3))
            }
        };
        self.rate = rate.min(MAX_RATE);
    }

    /// Takes what was granted since the last refusal for what the server grants.
    ///
    /// `sent`: when the refused request left; `since`: when the last pause was over.
    pub fn on_refused(&mut self, sent: Duration, since: Duration) {
        if self.granted == 0 {
            return; // the same refusal again
        }
        let active = sent.saturating_sub(since).as_secs_f64();
        let pause = since.saturating_sub(self.epoch).as_secs_f64();
        // A token bucket fills during a pause and a window does not. The shorter the time after it,
        // the more of what was granted is due to the pause.
        let span = active + pause * PAUSE_CREDIT / (PAUSE_CREDIT + active);
        let granted = f64::from(self.granted);
        let measured = (granted / span.max(MIN_SPAN)).min(self.rate);
        let known = match self.kind {
            Kind::None(_) | Kind::Guess => self.rate,
            Kind::Measurement => self.base,
        };
        self.base = (known + (measured - known) * granted / (granted + WEIGHT)).max(MIN_RATE);
        self.kind = Kind::Measurement;
        self.used = 0.0;
        self.ramp();
        self.epoch = sent;
        self.granted = 0;
    }
}

/// What was granted in the last 10 to 20 seconds, in two parts, each with its beginning.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Successes {
    parts: [(Duration, u32); 2],
}

impl Successes {
    /// The length of a part.
    pub const PART: Duration = Duration::from_secs(10);

    pub fn since(now: Duration) -> Self {
        Self {
            parts: [(now, 0); 2],
        }
    }

    /// Counts so many, the last of them now.
    pub fn count(&mut self, now: Duration, granted: u32) {
        let [older, newer] = &mut self.parts;
        let age = now.saturating_sub(newer.0);
        if age < Self::PART {
            newer.1 += granted;
        } else if age < 2 * Self::PART {
            *older = (newer.0, newer.1 + granted.saturating_sub(1));
            *newer = (now, granted.min(1));
        } else {
            *self = Self::since(now);
            self.parts[1].1 = granted.min(1);
        }
    }

    /// Returns how many were granted per second up to `until`.
    pub fn rate(&self, until: Duration) -> f64 {
        let [(since, older), (_, newer)] = self.parts;
        let span = until.saturating_sub(since).as_secs_f64();
        // Limits are of a second or longer, so that a burst counts for a second at the least.
        f64::from(older + newer) / span.max(1.0)
    }
}

/// Returns the time between two requests at a rate.
pub(super) fn spacing(rate: f64) -> Duration {
    Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX)
}
