//! The rate limiter that all calls with one key share.
//!
//! Whoever sends a request takes a [`Permit`] and reports what became of it. Until the server
//! refuses a request, a permit costs next to nothing and nobody waits.
//!
//! - [`controller`]: the states, and how they follow each other.
//! - [`estimate`]: the rate that the server is believed to grant.
//! - [`refusals`]: whether a refusal is about the rate or about one call.
//! - [`queue`]: the order of the waiters.
//! - `simulation`: all of it against simulated servers; `cargo test --lib limiter` takes seconds.

mod controller;
mod estimate;
mod queue;
mod refusals;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::{
    hash::RandomState,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tower::util::rng::{HasherRng, Rng};
use tracing::{debug, info};

pub(crate) use self::{controller::Reason, queue::Rejection, refusals::CallHistory};
use self::{
    controller::{Controller, Refusal, Transition},
    estimate::Successes,
    queue::{Queue, Step, Ticket, Waiter},
};
use crate::backoff::within_a_year;

/// Decides when requests may leave.
pub(crate) struct RateLimiter {
    /// Times of the controller are counted from here.
    start: Instant,
    /// Whether every request may leave at once.
    off: AtomicBool,
    /// Successes that the controller does not know of yet, because the limiter was off.
    granted: AtomicU32,
    /// When to tell them to the controller, in milliseconds.
    sync_at: AtomicU64,
    queue: Mutex<Queue>,
}

/// How long a request waits for its permit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitLimits {
    /// Not beyond this time, if there is one.
    pub deadline: Option<Instant>,
    /// Not when for so long nothing was granted to anybody.
    pub max_starvation: Duration,
}

/// What the rate limiter of a client does now.
///
/// ```
/// # fn show(client: &sigmamind::Client) {
/// let status = client.rate_limiter();
/// if let Some(pause) = status.pause() {
///     println!("paused by the server for {} s", pause.as_secs());
/// } else if let Some(rate) = status.rate() {
///     println!("limited to {rate:.1} requests per second");
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimiterStatus {
    rate: Option<f64>,
    pause: Option<Duration>,
}

impl RateLimiterStatus {
    /// Returns how many requests per second leave at the most, or `None` if the rate is not limited.
    ///
    /// It is an estimate of what the server grants, and changes with each answer; or the client's
    /// own [`rate_limit`](crate::ClientBuilder::rate_limit) if that is lower.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Returns how long nothing will be sent, or `None` if there is no pause.
    ///
    /// It is what is left of the time that the server asked for, at most
    /// [`max_retry_after`](crate::ClientBuilder::max_retry_after).
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        self.pause
    }
}

impl RateLimiter {
    /// Makes a limiter that is off, unless the caller limits the rate to so many requests per second.
    pub fn new(own_limit: Option<f64>, max_pause: Duration) -> Self {
        let controller = Controller::new(own_limit, within_a_year(max_pause));
        Self {
            start: Instant::now(),
            off: AtomicBool::new(controller.is_off()),
            granted: AtomicU32::new(0),
            sync_at: AtomicU64::new(0),
            queue: Mutex::new(Queue::new(controller)),
        }
    }

    /// Waits until a request of a call may leave.
    ///
    /// # Errors
    ///
    /// Returns why and how long it would have to wait, if that is beyond its limits, as soon as this
    /// is known.
    pub async fn acquire(
        &self,
        history: &mut CallHistory,
        limits: WaitLimits,
    ) -> Result<Permit<'_>, Rejection> {
        if !history.was_refused() && self.try_acquire() {
            return Ok(self.permit(self.now()));
        }
        let came = self.now();
        let entry = self.join(history, limits)?;
        loop {
            let now = self.now();
            match self.step(now, entry.ticket) {
                Step::Send => {
                    history.on_send(now);
                    let waited_ms = now.saturating_sub(came).as_millis();
                    if waited_ms > 0 {
                        // Of the call, and not of the limiter's state.
                        debug!(target: "sigmamind::permit", waited_ms, "waited for a permit");
                    }
                    return Ok(self.permit(now));
                }
                Step::Reject(rejection) => return Err(rejection),
                Step::Wait(until) => {
                    let until = self.start + within_a_year(until);
                    // A waiter is woken when something has changed.
                    drop(timeout_at(until, entry.wake.notified()).await);
                }
            }
        }
    }

    /// Returns what an operator wants to know.
    pub fn status(&self) -> RateLimiterStatus {
        let now = self.now();
        let queue = self.queue();
        let until = queue.controller.paused_until(now);
        RateLimiterStatus {
            rate: queue.controller.rate(),
            pause: until.map(|until| until.saturating_sub(now)),
        }
    }

    /// Returns when the pause ends, if there is one and it is worth waiting: not if nothing was
    /// granted for so long that a waiter would end at once.
    pub fn paused_until(&self, max_starvation: Duration) -> Option<Instant> {
        if self.off.load(Relaxed) {
            return None;
        }
        let now = self.now();
        let queue = self.queue();
        let starving_since = queue.controller.starving_since().unwrap_or(now);
        let until = queue.controller.paused_until(now)?;
        (now < starving_since.saturating_add(max_starvation))
            .then(|| self.start + within_a_year(until))
    }

    fn permit(&self, sent: Duration) -> Permit<'_> {
        Permit {
            limiter: self,
            sent,
            is_reported: false,
        }
    }

    /// Lets a request leave if nobody waits and it may leave now.
    fn try_acquire(&self) -> bool {
        if self.off.load(Relaxed) {
            return true;
        }
        let mut queue = self.queue();
        let may_send = queue.is_empty() && queue.controller.try_acquire(self.now()).is_ok();
        self.publish(queue);
        may_send
    }

    fn join(&self, history: &CallHistory, limits: WaitLimits) -> Result<Entry<'_>, Rejection> {
        let deadline = limits.deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(self.start)
        });
        let wake = Arc::new(Notify::new());
        let waiter = Waiter {
            from: history.earliest(),
            deadline,
            max_starvation: limits.max_starvation,
            was_refused: history.was_refused(),
            wake: wake.clone(),
        };
        let ticket = self.queue().join(self.now(), waiter)?;
        Ok(Entry {
            limiter: self,
            ticket,
            wake,
        })
    }

    fn step(&self, now: Duration, ticket: Ticket) -> Step {
        let mut queue = self.queue();
        let step = queue.step(now, ticket);
        self.publish(queue);
        step
    }

    fn on_success(&self, sent: Duration) {
        let now = self.now();
        if self.off.load(Relaxed) {
            self.granted.fetch_add(1, Relaxed);
            if now.as_millis() >= u128::from(self.sync_at.load(Relaxed)) {
                self.sync_successes(&mut self.queue(), now);
            }
            return;
        }
        let mut queue = self.queue();
        if queue.controller.on_success(now, sent) {
            queue.wake_first();
        }
    }

    fn on_refused(&self, sent: Duration, refusal: Refusal, history: &mut CallHistory) {
        let now = self.now();
        let mut queue = self.queue();
        self.sync_successes(&mut queue, now);
        queue.controller.on_refused(now, sent, refusal, history);
        queue.wake_first();
        queue.wake_rejected(now);
        self.publish(queue);
    }

    fn on_abandoned(&self, sent: Duration) {
        if self.off.load(Relaxed) {
            return;
        }
        let mut queue = self.queue();
        if queue.controller.on_abandoned(sent) {
            queue.wake_first();
        }
    }

    fn sync_successes(&self, queue: &mut Queue, now: Duration) {
        let granted = self.granted.swap(0, Relaxed);
        queue.controller.record_successes(now, granted);
        let next = u64::try_from((now + Successes::PART).as_millis());
        self.sync_at.store(next.unwrap_or(u64::MAX), Relaxed);
    }

    /// Makes a change of state known, and lets go of the queue.
    fn publish(&self, mut queue: MutexGuard<'_, Queue>) {
        self.off.store(queue.controller.is_off(), Relaxed);
        let transition = queue.controller.take_transition();
        drop(queue);
        if let Some(transition) = transition {
            log(transition);
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The permission to send one request now.
///
/// If it is dropped without a report, nothing is known of the request, and nobody waits for it.
#[must_use = "report what became of the request"]
pub(crate) struct Permit<'l> {
    limiter: &'l RateLimiter,
    sent: Duration,
    is_reported: bool,
}

impl Permit<'_> {
    /// The request was answered with anything but a refusal.
    pub fn on_success(mut self) {
        self.is_reported = true;
        self.limiter.on_success(self.sent);
    }

    /// The request was refused with 429.
    pub fn on_throttled(self, retry_after: Option<Duration>, history: &mut CallHistory) {
        self.on_refused(Reason::Throttled, retry_after, history);
    }

    /// The request was answered with 503 and `Retry-After`.
    pub fn on_unavailable(self, retry_after: Duration, history: &mut CallHistory) {
        self.on_refused(Reason::Unavailable, Some(retry_after), history);
    }

    fn on_refused(
        mut self,
        reason: Reason,
        retry_after: Option<Duration>,
        history: &mut CallHistory,
    ) {
        self.is_reported = true;
        let refusal = Refusal {
            reason,
            retry_after,
            random: HasherRng::<RandomState>::default().next_f64(),
        };
        self.limiter.on_refused(self.sent, refusal, history);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.is_reported {
            self.limiter.on_abandoned(self.sent);
        }
    }
}

/// A place in the queue, until it is dropped.
struct Entry<'l> {
    limiter: &'l RateLimiter,
    ticket: Ticket,
    wake: Arc<Notify>,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.limiter.queue().leave(self.ticket);
    }
}

/// Lets an operator see why it is slow.
fn log(transition: Transition) {
    match transition {
        Transition::Paused {
            first: true,
            wait,
            reason: Reason::Unavailable,
        } => info!(?wait, "the server is unavailable: requests wait"),
        Transition::Paused {
            first: true, wait, ..
        } => info!(?wait, "the server limits the rate: requests wait"),
        Transition::Paused { wait, .. } => debug!(?wait, "the server refused again: requests wait"),
        Transition::Resumed { first: true, rate } => info!(rate, "requests leave one by one"),
        Transition::Resumed { rate, .. } => {
            debug!(rate, "requests leave one by one, at another rate");
        }
        Transition::Cleared => info!("the rate is not limited any more"),
    }
}
