//! The rate limiter that all calls with one key share.

mod controller;
#[cfg(test)]
mod simulation;

use std::{
    collections::BTreeMap,
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

pub(crate) use self::controller::Permit;
use self::controller::{Controller, RECENT, Transition};
use crate::backoff::within_a_year;

/// When requests may leave: whoever sends one takes a permit, and tells what became of it.
///
/// A permit of which nothing is told holds up nobody.
pub(crate) struct RateLimiter {
    /// Times of the controller are counted from here.
    start: Instant,
    off: AtomicBool,
    /// What was granted while the limiter was off, unknown to the controller, and when to tell it,
    /// in milliseconds.
    granted: AtomicU32,
    tell: AtomicU64,
    queue: Mutex<Queue>,
}

/// Who waits, in the order of arrival. Only the first asks for a permit.
struct Queue {
    controller: Controller,
    waiters: BTreeMap<u64, Waiter>,
    arrived: u64,
}

struct Waiter {
    limits: WaitLimits,
    wake: Arc<Notify>,
}

/// How long a request waits for its permit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitLimits {
    /// Not beyond this time, if there is one.
    pub deadline: Option<Instant>,
    /// Not while the server wants nothing to be sent for longer than this.
    pub max_pause: Duration,
    /// Not when for so long nothing has been granted to anybody.
    pub max_starvation: Duration,
}

impl RateLimiter {
    pub fn new(limit: Option<f64>) -> Self {
        let controller = Controller::new(limit);
        Self {
            start: Instant::now(),
            off: AtomicBool::new(controller.is_off()),
            granted: AtomicU32::new(0),
            tell: AtomicU64::new(0),
            queue: Mutex::new(Queue {
                controller,
                waiters: BTreeMap::new(),
                arrived: 0,
            }),
        }
    }

    /// Waits for the permit of one request.
    ///
    /// # Errors
    ///
    /// How long it would have to wait at the least, if that is more than its limits. This is
    /// found out as soon as it can be known.
    pub async fn acquire(&self, limits: WaitLimits) -> Result<Permit, Duration> {
        if self.off.load(Relaxed) {
            return Ok(Permit::at(self.now()));
        }
        if let Some(permit) = self.try_acquire() {
            return Ok(permit);
        }
        let came = self.now();
        let entry = self.join(limits)?;
        loop {
            match entry.step(limits) {
                Step::Go(permit) => {
                    let waited_ms = self.now().saturating_sub(came).as_millis();
                    if waited_ms > 0 {
                        // The call tells it, and not what the limiter is.
                        debug!(target: "sigmamind::permit", waited_ms, "waited for a permit");
                    }
                    return Ok(permit);
                }
                Step::GiveUp(wait) => return Err(wait),
                // Woken when something has changed.
                Step::Wait(until) => drop(timeout_at(until, entry.wake.notified()).await),
            }
        }
    }

    /// The request was answered with anything but a refusal.
    pub fn on_success(&self, permit: Permit) {
        let now = self.now();
        if self.off.load(Relaxed) {
            self.granted.fetch_add(1, Relaxed);
            if now.as_millis() < u128::from(self.tell.load(Relaxed)) {
                return;
            }
            let mut queue = self.queue();
            self.sync_successes(&mut queue, now);
            return;
        }
        let mut queue = self.queue();
        if queue.controller.on_success(now, permit) {
            queue.wake_first();
        }
    }

    /// The request was refused for the rate: 429. `retry_after` is the server's `Retry-After`.
    pub fn on_throttled(&self, permit: Permit, retry_after: Option<Duration>) {
        self.stop(|controller, now, random| {
            controller.on_throttled(now, permit, retry_after, random)
        });
    }

    /// The server is out of order and asks for a pause: 503 with `Retry-After`.
    pub fn on_unavailable(&self, permit: Permit, retry_after: Duration) {
        self.stop(|controller, now, random| {
            controller.on_unavailable(now, permit, retry_after, random)
        });
    }

    fn stop(&self, stop: impl FnOnce(&mut Controller, Duration, f64) -> Option<Transition>) {
        let now = self.now();
        let random = HasherRng::<RandomState>::default().next_f64();
        let mut queue = self.queue();
        self.sync_successes(&mut queue, now);
        let before = queue.controller.pause(now);
        let transition = stop(&mut queue.controller, now, random);
        self.off.store(queue.controller.is_off(), Relaxed);
        if queue.controller.pause(now) > before {
            for waiter in queue.waiters.values() {
                if self
                    .check(&queue.controller, waiter.limits, 0, now)
                    .is_err()
                {
                    waiter.wake.notify_one();
                }
            }
        }
        drop(queue);
        log(transition);
    }

    fn sync_successes(&self, queue: &mut Queue, now: Duration) {
        queue
            .controller
            .record_successes(now, self.granted.swap(0, Relaxed));
        let next = u64::try_from((now + RECENT).as_millis());
        self.tell.store(next.unwrap_or(u64::MAX), Relaxed);
    }

    /// When the limits end if nothing changes; or, if it has ended, how long the wait still is.
    fn check(
        &self,
        controller: &Controller,
        limits: WaitLimits,
        behind: usize,
        now: Duration,
    ) -> Result<Duration, Duration> {
        let until = limits.deadline.map_or(Duration::MAX, |until| {
            until.saturating_duration_since(self.start)
        });
        let starving = controller.starving().unwrap_or(now);
        let ends = until.min(starving.saturating_add(limits.max_starvation));
        let earliest = controller.earliest(behind);
        if earliest > until || now >= ends || controller.pause(now) > limits.max_pause {
            let wait = earliest.saturating_sub(now);
            return Err(within_a_year(wait.max(controller.spacing())));
        }
        Ok(ends)
    }

    /// A permit, if nobody waits for one and it may be taken now.
    fn try_acquire(&self) -> Option<Permit> {
        let mut queue = self.queue();
        if !queue.waiters.is_empty() {
            return None;
        }
        let (permit, transition) = queue.controller.try_acquire(self.now());
        self.off.store(queue.controller.is_off(), Relaxed);
        drop(queue);
        log(transition);
        permit.ok()
    }

    fn join(&self, limits: WaitLimits) -> Result<QueueEntry<'_>, Duration> {
        let mut queue = self.queue();
        let behind = queue.waiters.len();
        if behind > 0 {
            self.check(&queue.controller, limits, behind, self.now())?;
        }
        let number = queue.arrived;
        queue.arrived += 1;
        let wake = Arc::new(Notify::new());
        let waiter = Waiter {
            limits,
            wake: wake.clone(),
        };
        queue.waiters.insert(number, waiter);
        Ok(QueueEntry {
            limiter: self,
            number,
            wake,
        })
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn wake_first(&self) {
        if let Some((_, first)) = self.waiters.first_key_value() {
            first.wake.notify_one();
        }
    }
}

/// An entry of the queue, until it is dropped.
struct QueueEntry<'p> {
    limiter: &'p RateLimiter,
    number: u64,
    wake: Arc<Notify>,
}

enum Step {
    Go(Permit),
    Wait(Instant),
    GiveUp(Duration),
}

impl QueueEntry<'_> {
    fn step(&self, limits: WaitLimits) -> Step {
        let limiter = self.limiter;
        let now = limiter.now();
        let mut queue = limiter.queue();
        let mut at = Duration::MAX;
        let mut transition = None;
        if queue.waiters.first_key_value().map(|(first, _)| *first) == Some(self.number) {
            let (permit, told) = queue.controller.try_acquire(now);
            transition = told;
            limiter.off.store(queue.controller.is_off(), Relaxed);
            match permit {
                Ok(permit) => {
                    drop(queue);
                    log(transition);
                    return Step::Go(permit);
                }
                Err(next) => at = next,
            }
        }
        let ends = limiter.check(&queue.controller, limits, 0, now);
        drop(queue);
        log(transition);
        match ends {
            Ok(ends) => Step::Wait(limiter.start + within_a_year(at.min(ends))),
            Err(wait) => Step::GiveUp(wait),
        }
    }
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        let mut queue = self.limiter.queue();
        queue.waiters.remove(&self.number);
        queue.wake_first();
    }
}

/// Lets an operator see why it is slow.
fn log(transition: Option<Transition>) {
    match transition {
        Some(Transition::Paused { first: true, wait }) => {
            info!(?wait, "the rate is limited: requests wait");
        }
        Some(Transition::Paused { first: false, wait }) => {
            debug!(?wait, "the rate is limited further: requests wait");
        }
        Some(Transition::Resumed { first: true, rate }) => {
            info!(rate, "requests leave one by one");
        }
        Some(Transition::Resumed { first: false, rate }) => {
            debug!(rate, "requests leave one by one, at another rate");
        }
        Some(Transition::Cleared) => info!("the rate is not limited any more"),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMITS: WaitLimits = WaitLimits {
        deadline: None,
        max_pause: Duration::from_secs(60),
        max_starvation: Duration::from_secs(90),
    };

    fn within(deadline: Duration) -> WaitLimits {
        WaitLimits {
            deadline: Some(Instant::now() + deadline),
            max_starvation: deadline,
            ..LIMITS
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// What it gives without waiters for anything.
    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match poll(pin!(future)) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    /// A limiter that was told of a refusal.
    fn refused(retry_after: Duration) -> RateLimiter {
        let limiter = RateLimiter::new(None);
        let permit = at_once(limiter.acquire(LIMITS)).unwrap();
        limiter.on_throttled(permit, Some(retry_after));
        limiter
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_before_the_first_refusal() {
        let limiter = RateLimiter::new(None);
        for _ in 0..1000 {
            let permit = at_once(limiter.acquire(LIMITS)).unwrap();
            limiter.on_success(permit);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_wait_for_what_the_server_asks_and_go_in_their_order() {
        let limiter = Arc::new(RateLimiter::new(None));
        let permits = [0; 20].map(|_| at_once(limiter.acquire(LIMITS)).unwrap());
        for permit in &permits[1..] {
            limiter.on_success(*permit);
        }
        limiter.on_throttled(permits[0], Some(SECOND));

        let retry_after = Instant::now();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiters = tokio::task::JoinSet::new();
        for number in 0..10 {
            let (limiter, order) = (limiter.clone(), order.clone());
            waiters.spawn(async move {
                let permit = limiter.acquire(LIMITS).await.unwrap();
                order.lock().unwrap().push(number);
                assert!(retry_after.elapsed() >= SECOND);
                tokio::time::sleep(SECOND / 20).await;
                limiter.on_success(permit);
            });
        }
        waiters.join_all().await;
        assert!(order.lock().unwrap().iter().copied().eq(0..10));
        // 19 were granted in no time, so that they go by 19 a second or by more.
        assert!(
            retry_after.elapsed() < 2 * SECOND,
            "{:?}",
            retry_after.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_does_not_go_before_who_waits() {
        let limiter = RateLimiter::new(Some(1.0));
        at_once(limiter.acquire(LIMITS)).unwrap();
        let mut first = pin!(limiter.acquire(LIMITS));
        assert!(poll(first.as_mut()).is_pending());
        tokio::time::advance(SECOND).await;
        let mut newcomer = pin!(limiter.acquire(LIMITS));
        assert!(poll(newcomer.as_mut()).is_pending());
        assert!(poll(first.as_mut()).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_granted_before_the_first_refusal_is_told_to_the_rule() {
        let limiter = RateLimiter::new(None);
        for _ in 0..400 {
            let permit = at_once(limiter.acquire(LIMITS)).unwrap();
            limiter.on_success(permit);
            tokio::time::advance(SECOND / 10).await;
        }
        let permit = at_once(limiter.acquire(LIMITS)).unwrap();
        limiter.on_throttled(permit, Some(SECOND));
        limiter.acquire(LIMITS).await.unwrap();
        let spacing = limiter.queue().controller.spacing();
        let expected = SECOND / 20..SECOND / 5; // 10 a second were granted
        assert!(expected.contains(&spacing), "{spacing:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_holds_up_nobody() {
        let limiter = refused(SECOND);
        let mut first = Box::pin(limiter.acquire(LIMITS));
        let mut second = Box::pin(limiter.acquire(LIMITS));
        let third = async { limiter.acquire(LIMITS).await.unwrap() };
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        let mut third = pin!(third);
        assert!(poll(third.as_mut()).is_pending());
        drop(second);
        tokio::time::sleep(2 * SECOND).await;
        drop(first);
        third.await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_of_which_nothing_is_told_holds_up_nobody() {
        let limiter = refused(SECOND);
        for _ in 0..5 {
            let next = tokio::time::timeout(3 * SECOND, limiter.acquire(LIMITS));
            next.await.expect("it comes").expect("it waits");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_that_does_not_fit_ends_the_wait_at_once() {
        let hold = 10 * SECOND;
        let limiter = refused(hold);
        assert_eq!(
            at_once(limiter.acquire(within(9 * SECOND))).err(),
            Some(hold)
        );
        let max_pause = 9 * SECOND;
        let limits = WaitLimits {
            max_pause,
            ..LIMITS
        };
        assert_eq!(at_once(limiter.acquire(limits)).err(), Some(hold));
        let max_pause = hold;
        let limits = WaitLimits {
            max_pause,
            ..LIMITS
        };
        limiter.acquire(limits).await.expect("it fits");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_when_the_hold_grows() {
        let limiter = RateLimiter::new(None);
        let permits = [0, 1].map(|_| at_once(limiter.acquire(LIMITS)).unwrap());
        limiter.on_throttled(permits[0], Some(SECOND));
        let start = Instant::now();
        let waiters = [20, 4000].map(|deadline| limiter.acquire(within(deadline * SECOND)));
        let ([first, second], ()) = tokio::join!(
            async {
                let [first, second] = waiters;
                let (first, second) = tokio::join!(first, second);
                [first, second]
            },
            async {
                tokio::task::yield_now().await;
                limiter.on_throttled(permits[1], Some(3600 * SECOND));
            }
        );
        assert_eq!(first.err(), Some(3600 * SECOND));
        assert_eq!(second.err(), Some(3600 * SECOND));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_ends_when_nothing_is_granted_for_a_whole_deadline() {
        let limiter = refused(SECOND);
        let start = Instant::now();
        let limits = WaitLimits {
            max_starvation: 30 * SECOND,
            ..LIMITS
        };
        // Each in permit asks again and is refused.
        let refused = loop {
            match limiter.acquire(limits).await {
                Ok(permit) => limiter.on_throttled(permit, Some(SECOND)),
                Err(wait) => break wait,
            }
            assert!(start.elapsed() < 60 * SECOND, "it never ends");
        };
        assert!(refused <= 2 * SECOND, "{refused:?}");
        assert!(start.elapsed() >= 29 * SECOND, "{:?}", start.elapsed());
        // One still finds out when it is over.
        tokio::time::sleep(3 * SECOND).await;
        let permit = limiter.acquire(limits).await.expect("nobody is before it");
        limiter.on_success(permit);
        limiter
            .acquire(limits)
            .await
            .expect("something was granted");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_the_callers_spaces_from_the_first_on() {
        let limiter = RateLimiter::new(Some(4.0));
        let start = Instant::now();
        for number in 0..9 {
            limiter.acquire(LIMITS).await.unwrap();
            assert_eq!(start.elapsed(), number * SECOND / 4);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_far_back_in_the_line_ends_at_once() {
        let limiter = RateLimiter::new(Some(1.0));
        let mut queue: Vec<_> = (0..10)
            .map(|_| Box::pin(limiter.acquire(within(5 * SECOND))))
            .collect();
        let mut ended = Vec::new();
        for permit in &mut queue {
            ended.push(match poll(permit.as_mut()) {
                Poll::Pending => None,
                Poll::Ready(permit) => Some(permit.err()),
            });
        }
        assert_eq!(ended[0], Some(None));
        assert_eq!(ended[1..6], [None; 5]);
        assert_eq!(ended[6..], [Some(Some(6 * SECOND)); 4]);
    }
}
