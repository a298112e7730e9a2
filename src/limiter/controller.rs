//! The controller of the limiter: a state machine without a clock, a queue or a server.
//!
//! Times are since the limiter was made. Until the server refuses a request, all go at once. Then:
//!
//! - Nothing goes until the wait that the server asks for is over, or one that doubles with each
//!   refusal in a row; and a random while more, so that the processes with one key come back one
//!   after the other. The first request after it goes alone, the next when its answer is there.
//! - The requests after it are evenly spaced. The first rate is a guess: what was granted lately,
//!   over the time that it took, wait included. It doubles every 0.6 s up to the next refusal. From
//!   then on there is a measure: what was granted between two refusals.
//! - After a refusal the rate is a quarter below the measure, and then grows with the cube of the
//!   time, as TCP's does. It is back at the measure after a time that grows with the root of the
//!   measure. So, of the processes with one key, those that get less grow sooner and those that get
//!   more are refused more often, until their shares are equal. Only time that was used counts:
//!   whoever sends less than the rate allows learns nothing about the limit.
//! - A refusal of a request that left before the last refusal was known is no news.
//! - When for half a minute nobody was refused or had to wait, all go at once again.

use std::time::Duration;

/// The limiter is off again after so long without a refusal or a wait.
const CALM: Duration = Duration::from_secs(30);
/// A timer of tokio's may be so late; the schedule does not slip by it.
const LATE: Duration = Duration::from_millis(1);
/// The first request after a hold is waited for so long, should its answer not come.
const ALONE: Duration = Duration::from_secs(1);
/// The first guess is by what was granted in so long a time, and in as long before.
pub(super) const RECENT: Duration = Duration::from_secs(10);
/// The least rates, in requests a second: of the first guess, and of all. Whoever comes when others
/// use up the limit is granted next to nothing at first, and must not take that for its share.
const LEAST_GUESS: f64 = 8.0;
const LEAST: f64 = 0.1;

/// What one request was let go by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permit(Duration);

impl Permit {
    /// Of a request that goes while the limiter is off.
    pub(super) fn at(now: Duration) -> Self {
        Self(now)
    }
}

/// What an operator should know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Transition {
    /// Nothing goes for so long.
    Paused { first: bool, wait: Duration },
    /// So many go in a second from now on.
    Resumed { first: bool, rate: f64 },
    /// All go at once again.
    Cleared,
}

#[derive(Debug)]
pub(super) struct Controller {
    /// Of a rate limit that the caller has set.
    spacing: Option<Duration>,
    next: Duration,
    recent: Recent,
    throttle: Option<Throttle>,
}

impl Controller {
    pub fn new(limit: Option<f64>) -> Self {
        Self {
            spacing: limit.map(spacing),
            next: Duration::ZERO,
            recent: Recent::default(),
            throttle: None,
        }
    }

    /// Whether everything may go at once.
    pub fn is_off(&self) -> bool {
        self.spacing.is_none() && self.throttle.is_none()
    }

    /// How long the server wants nothing to be sent.
    pub fn pause(&self, now: Duration) -> Duration {
        let throttle = self.throttle.as_ref();
        let hold = throttle.map(|throttle| throttle.until.saturating_sub(now));
        hold.unwrap_or_default()
    }

    /// Since when everything has been refused.
    pub fn starving(&self) -> Option<Duration> {
        self.throttle.as_ref()?.starving
    }

    /// The earliest time for one more request behind so many, as far as it can be known: what the
    /// server grants may grow.
    pub fn earliest(&self, behind: usize) -> Duration {
        let throttle = self.throttle.as_ref();
        let paced = throttle.map(Throttle::next).unwrap_or_default();
        let Some(spacing) = self.spacing else {
            return paced;
        };
        let before = spacing.saturating_mul(u32::try_from(behind).unwrap_or(u32::MAX));
        paced.max(self.next).saturating_add(before)
    }

    /// The time between two requests now.
    pub fn spacing(&self) -> Duration {
        let paced = self
            .throttle
            .as_ref()
            .map(|throttle| spacing(throttle.rate));
        paced.max(self.spacing).unwrap_or_default()
    }

    /// A permit, if it may be taken now; else when to ask again. Whoever asks must take it.
    pub fn try_acquire(&mut self, now: Duration) -> (Result<Permit, Duration>, Option<Transition>) {
        let mut transition = None;
        let mut at = now;
        if let Some(throttle) = &mut self.throttle {
            if now.saturating_sub(throttle.busy) >= CALM {
                self.throttle = None;
                self.recent = Recent::since(now);
                transition = Some(Transition::Cleared);
            } else {
                transition = throttle.open(now, &self.recent);
                at = throttle.next().max(throttle.alone);
                if at > now {
                    throttle.busy = now;
                }
            }
        }
        if self.spacing.is_some() {
            at = at.max(self.next);
        }
        if at > now {
            return (Err(at), transition);
        }
        if let Some(throttle) = &mut self.throttle {
            throttle.on_send(now);
        }
        if let Some(spacing) = self.spacing {
            let slot = self.next.max(now.saturating_sub(LATE));
            self.next = slot.saturating_add(spacing);
        }
        (Ok(Permit(now)), transition)
    }

    /// So many requests were granted of late, while all went at once.
    pub fn record_successes(&mut self, now: Duration, granted: u32) {
        self.recent.count(now, granted);
    }

    /// A request was answered, and not with a refusal. Whether somebody may go earlier for it.
    pub fn on_success(&mut self, now: Duration, permit: Permit) -> bool {
        let Some(throttle) = &mut self.throttle else {
            self.recent.count(now, 1);
            return false;
        };
        throttle.starving = None;
        if throttle.opened.is_none() {
            self.recent.count(now, 1); // part of the guess
            return false;
        }
        throttle.on_success(permit)
    }

    /// A request was refused. `random` is between 0 and 1.
    pub fn on_throttled(
        &mut self,
        now: Duration,
        permit: Permit,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Option<Transition> {
        let first = self.throttle.is_none();
        let throttle = self
            .throttle
            .get_or_insert_with(|| Throttle::new(permit, now));
        if !first {
            if permit.0 < throttle.cut {
                if let Some(retry_after) = retry_after.filter(|_| throttle.holding) {
                    throttle.until = throttle.until.max(now.saturating_add(retry_after));
                }
                return None;
            }
            throttle.update_estimate(permit);
        }
        throttle.refusals += 1;
        let wait = retry_after.unwrap_or_else(|| {
            let doubled = 1 << (throttle.refusals - 1).min(5);
            Duration::from_millis(200 * doubled).mul_f64(1.0 + random)
        });
        throttle.pause(now, wait, random);
        Some(Transition::Paused { first, wait })
    }

    /// The server is out of order, and says for how long: nobody goes, and nothing was measured.
    pub fn on_unavailable(
        &mut self,
        now: Duration,
        permit: Permit,
        retry_after: Duration,
        random: f64,
    ) -> Option<Transition> {
        let first = self.throttle.is_none();
        let throttle = self
            .throttle
            .get_or_insert_with(|| Throttle::new(permit, now));
        if !first && throttle.until >= now.saturating_add(retry_after) {
            return None;
        }
        throttle.pause(now, retry_after, random);
        Some(Transition::Paused {
            first,
            wait: retry_after,
        })
    }
}

/// What is known since the server has refused something. Rates are in requests a second.
#[derive(Debug)]
struct Throttle {
    rate: f64,
    /// What the server is believed to grant.
    base: f64,
    /// Whether that is more than a guess.
    measured: bool,
    /// For how many seconds the rate has been made use of since it was last cut.
    used: f64,

    /// Whether the last hold has not been seen to be over.
    holding: bool,
    until: Duration,
    /// Of the time after the hold.
    random: f64,
    /// How long the hold is.
    wait: Duration,
    /// When the last hold was over; none in the first.
    opened: Option<Duration>,
    /// The earliest time for the next request.
    next: Duration,
    /// When the last request left.
    last: Duration,
    /// Until when the first request after a hold has it for itself.
    alone: Duration,

    /// When the last refusal became known.
    cut: Duration,
    /// When the request left that it refused; what is granted later is counted.
    epoch: Duration,
    granted: u32,
    /// Refusals in a row.
    refusals: u32,
    starving: Option<Duration>,
    /// When somebody was last refused or made to wait.
    busy: Duration,
}

impl Throttle {
    fn new(permit: Permit, now: Duration) -> Self {
        Self {
            rate: LEAST_GUESS,
            base: LEAST_GUESS,
            measured: false,
            used: 0.0,
            holding: true,
            until: now,
            random: 0.0,
            wait: Duration::ZERO,
            opened: None,
            next: now,
            last: now,
            alone: Duration::ZERO,
            cut: now,
            epoch: permit.0,
            granted: 0,
            refusals: 0,
            starving: None,
            busy: now,
        }
    }

    fn pause(&mut self, now: Duration, wait: Duration, random: f64) {
        self.holding = true;
        self.until = self.until.max(now.saturating_add(wait));
        self.wait = wait;
        self.random = random;
        self.alone = Duration::ZERO;
        self.cut = now;
        self.busy = self.until;
        self.starving.get_or_insert(now);
    }

    /// Ends a hold that is over.
    fn open(&mut self, now: Duration, recent: &Recent) -> Option<Transition> {
        if !self.holding || now < self.until {
            return None;
        }
        let first = self.opened.is_none();
        if first {
            self.guess(recent);
        }
        let spread = (self.wait / 20).max(spacing(self.rate) / 2);
        let spread = spread.min(self.wait.max(Duration::from_secs(1)) / 2);
        let opened = self.until.saturating_add(spread.mul_f64(self.random));
        self.holding = false;
        self.opened = Some(opened);
        self.next = opened;
        let rate = self.rate;
        Some(Transition::Resumed { first, rate })
    }

    /// The earliest time for the next request.
    fn next(&self) -> Duration {
        if self.holding { self.until } else { self.next }
    }

    /// The rate before anything was measured.
    fn guess(&mut self, recent: &Recent) {
        // Limits are of a second or longer, so that a burst counts for a second at the least.
        let [(since, older), (_, newer)] = recent.parts;
        let span = self.until.saturating_sub(since).as_secs_f64();
        let rate = f64::from(older + newer) / span.max(1.0);
        self.base = rate.max(LEAST_GUESS);
        self.rate = self.base;
    }

    fn on_send(&mut self, now: Duration) {
        let opened = self.opened.unwrap_or_default();
        if self.last < opened {
            self.alone = now.saturating_add(ALONE);
        }
        let spacing = spacing(self.rate);
        let since = now.saturating_sub(self.last.max(opened));
        self.used += since.min(spacing).as_secs_f64();
        let slot = self.next.max(now.saturating_sub(spacing));
        self.next = slot.saturating_add(spacing);
        self.last = now;
    }

    fn on_success(&mut self, permit: Permit) -> bool {
        if permit.0 > self.epoch {
            self.granted += 1;
            self.refusals = 0;
        }
        if self.holding || Some(permit.0) < self.opened {
            return false;
        }
        self.rate = self.ramped_rate();
        std::mem::take(&mut self.alone) > Duration::ZERO
    }

    fn ramped_rate(&self) -> f64 {
        let rate = if self.measured {
            // A rate of a few a minute does not grow by the second, but by the request.
            let back = (0.45 * self.base.sqrt()).max(5.0 / self.base);
            self.base * (0.75 + 0.25 * (self.used / back).powi(3))
        } else {
            self.base * (1.2 * self.used).exp()
        };
        rate.min(1e6)
    }

    /// Takes what was granted since the last refusal for what the server grants.
    fn update_estimate(&mut self, permit: Permit) {
        let Some(opened) = self.opened.filter(|_| self.granted > 0) else {
            return; // the same refusal again
        };
        let active = permit.0.saturating_sub(opened).as_secs_f64();
        let hold = opened.saturating_sub(self.epoch).as_secs_f64();
        // During a hold a bucket fills and a window does not; the shorter the time after it, the
        // more of what was granted is due to it.
        let span = (active + hold * 0.3 / (0.3 + active)).max(0.02);
        let granted = f64::from(self.granted);
        let measure = (granted / span).min(self.rate);
        let weight = granted / (granted + 5.0);
        // Of few granted little is learned.
        let known = if self.measured { self.base } else { self.rate };
        self.base = (known + (measure - known) * weight).max(LEAST);
        self.measured = true;
        self.used = 0.0;
        self.rate = self.ramped_rate();
        self.epoch = permit.0;
        self.granted = 0;
    }
}

/// What was granted in the last 10 to 20 seconds, in two parts, each with its beginning.
#[derive(Debug, Default)]
struct Recent {
    parts: [(Duration, u32); 2],
}

impl Recent {
    fn since(now: Duration) -> Self {
        Self {
            parts: [(now, 0); 2],
        }
    }

    /// Counts so many, the last of them now.
    fn count(&mut self, now: Duration, granted: u32) {
        let [older, newer] = &mut self.parts;
        let age = now.saturating_sub(newer.0);
        if age < RECENT {
            newer.1 += granted;
        } else if age < 2 * RECENT {
            *older = (newer.0, newer.1 + granted.saturating_sub(1));
            *newer = (now, granted.min(1));
        } else {
            *self = Self::since(now);
            self.parts[1].1 = granted.min(1);
        }
    }
}

/// The time between two requests at this rate.
fn spacing(rate: f64) -> Duration {
    Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX)
}
