//! The rate limiter with its clock, as calls meet it.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);
const LIMITS: WaitLimits = WaitLimits {
    deadline: None,
    max_starvation: Duration::from_secs(90),
};

fn limiter() -> RateLimiter {
    RateLimiter::new(None, MAX_PAUSE)
}

/// A limiter after one refusal with this hint.
fn paused(retry_after: Duration) -> RateLimiter {
    let limiter = limiter();
    refuse(ready(acquire(&limiter)).unwrap(), Some(retry_after));
    limiter
}

/// The permit of a call that was not refused before.
async fn acquire(limiter: &RateLimiter) -> Result<Permit<'_>, Rejection> {
    acquire_within(limiter, LIMITS).await
}

async fn acquire_within(
    limiter: &RateLimiter,
    limits: WaitLimits,
) -> Result<Permit<'_>, Rejection> {
    limiter.acquire(&mut CallHistory::default(), limits).await
}

fn refuse(permit: Permit<'_>, retry_after: Option<Duration>) {
    permit.on_throttled(retry_after, &mut CallHistory::default());
}

fn within(time: Duration) -> WaitLimits {
    WaitLimits {
        deadline: Some(Instant::now() + time),
        max_starvation: time,
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Returns what a future gives without waiting for anything.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match poll(pin!(future)) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

/// Returns how long an operation takes.
async fn took<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    (future.await, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn permits_are_immediate_before_first_refusal() {
    let limiter = limiter();
    for _ in 0..1000 {
        ready(acquire(&limiter)).unwrap().on_success();
    }
    assert_eq!(
        limiter.status(),
        RateLimiterStatus {
            rate: None,
            pause: None
        }
    );
}

#[tokio::test(start_paused = true)]
async fn waiters_leave_in_order_after_the_pause() {
    let limiter = Arc::new(limiter());
    let mut permits: Vec<_> = (0..20).map(|_| ready(acquire(&limiter)).unwrap()).collect();
    let refused = permits.pop().unwrap();
    permits.into_iter().for_each(Permit::on_success);
    refuse(refused, Some(SECOND));

    let start = Instant::now();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiters = tokio::task::JoinSet::new();
    for number in 0..10 {
        let (limiter, order) = (limiter.clone(), order.clone());
        waiters.spawn(async move {
            let permit = acquire(&limiter).await.unwrap();
            order.lock().unwrap().push(number);
            assert!(start.elapsed() >= SECOND);
            tokio::time::sleep(SECOND / 20).await;
            permit.on_success();
        });
    }
    waiters.join_all().await;
    assert!(order.lock().unwrap().iter().copied().eq(0..10));
    // 19 were granted in no time, so that they leave at 19 a second or faster.
    assert!(start.elapsed() < 2 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn newcomer_does_not_overtake_waiter() {
    let limiter = RateLimiter::new(Some(1.0), MAX_PAUSE);
    ready(acquire(&limiter)).unwrap().on_success();
    let mut first = pin!(acquire(&limiter));
    assert!(poll(first.as_mut()).is_pending());
    tokio::time::advance(SECOND).await;
    let mut newcomer = pin!(acquire(&limiter));
    assert!(poll(newcomer.as_mut()).is_pending());
    assert!(poll(first.as_mut()).is_ready());
}

#[tokio::test(start_paused = true)]
async fn successes_before_first_refusal_give_the_first_rate() {
    let limiter = limiter();
    for _ in 0..400 {
        ready(acquire(&limiter)).unwrap().on_success();
        tokio::time::advance(SECOND / 10).await;
    }
    // Among so many, one or two refusals are those calls' own.
    for _ in 0..20 {
        let permit = ready(acquire(&limiter)).unwrap();
        refuse(permit, Some(SECOND));
        if limiter.status().pause().is_some() {
            break;
        }
    }
    acquire(&limiter).await.unwrap().on_success();
    let rate = limiter.status().rate().unwrap();
    assert!((5.0..20.0).contains(&rate), "{rate}"); // 10 a second were granted
}

#[tokio::test(start_paused = true)]
async fn cancelled_waiter_does_not_block_queue() {
    let limiter = paused(SECOND);
    let mut first = Box::pin(acquire(&limiter));
    let mut second = Box::pin(acquire(&limiter));
    let mut third = pin!(acquire(&limiter));
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    assert!(poll(third.as_mut()).is_pending());
    drop(second);
    tokio::time::sleep(2 * SECOND).await;
    drop(first);
    let (permit, time) = took(third).await;
    assert!(permit.is_ok() && time < SECOND, "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn dropped_probe_lets_next_waiter_probe_immediately() {
    let limiter = paused(SECOND);
    let probe = acquire(&limiter).await.unwrap();
    let mut next = pin!(acquire(&limiter));
    assert!(poll(next.as_mut()).is_pending());
    drop(probe);
    let (permit, time) = took(next).await;
    assert!(permit.is_ok() && time < SECOND / 10, "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn unanswered_probe_lets_next_waiter_probe_after_5_s() {
    let limiter = paused(SECOND);
    let unanswered = acquire(&limiter).await.unwrap();
    let (next, time) = took(acquire(&limiter)).await;
    assert_eq!(time, 5 * SECOND);
    let (_, time) = took(acquire(&limiter)).await;
    assert_eq!(time, 5 * SECOND);
    // A late answer of the first is as good.
    unanswered.on_success();
    let (_, time) = took(acquire(&limiter)).await;
    assert!(time < SECOND, "{time:?}");
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn refused_probe_starts_next_pause() {
    let limiter = paused(SECOND);
    let probe = acquire(&limiter).await.unwrap();
    let mut waiter = pin!(acquire(&limiter));
    assert!(poll(waiter.as_mut()).is_pending());
    refuse(probe, Some(2 * SECOND));
    let (permit, time) = took(waiter).await;
    assert!(permit.is_ok());
    assert!((2 * SECOND..5 * SECOND / 2).contains(&time), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn probe_is_first_waiter_that_was_not_refused() {
    let limiter = limiter();
    let mut history = CallHistory::default();
    let permit = limiter.acquire(&mut history, LIMITS).await.unwrap();
    permit.on_throttled(Some(10 * SECOND), &mut history);
    let mut refused = pin!(limiter.acquire(&mut history, LIMITS));
    assert!(poll(refused.as_mut()).is_pending());
    let mut fresh = pin!(acquire(&limiter));
    assert!(poll(fresh.as_mut()).is_pending());
    tokio::time::advance(11 * SECOND).await;
    assert!(poll(refused.as_mut()).is_pending());
    let Poll::Ready(Ok(probe)) = poll(fresh.as_mut()) else {
        panic!("it waits");
    };
    probe.on_success();
    refused.await.unwrap().on_success();
}

#[tokio::test(start_paused = true)]
async fn pause_beyond_time_limit_fails_immediately() {
    let limiter = paused(10 * SECOND);
    let rejection = Rejection {
        reason: Reason::Throttled,
        wait: 10 * SECOND,
    };
    let short = ready(acquire_within(&limiter, within(9 * SECOND)));
    assert_eq!(short.err(), Some(rejection));
    let long = acquire_within(&limiter, within(11 * SECOND)).await;
    long.unwrap().on_success();
}

#[tokio::test(start_paused = true)]
async fn pause_is_at_most_max_pause_whatever_the_server_asks() {
    let year = 365 * 24 * 3600 * SECOND;
    let limiter = limiter();
    let permit = ready(acquire(&limiter)).unwrap();
    permit.on_unavailable(year, &mut CallHistory::default());
    assert_eq!(limiter.status().pause(), Some(MAX_PAUSE));
    let rejection = Rejection {
        reason: Reason::Unavailable,
        wait: year,
    };
    let short = ready(acquire_within(&limiter, within(59 * SECOND)));
    assert_eq!(short.err(), Some(rejection));
    let (permit, time) = took(acquire(&limiter)).await;
    assert!((MAX_PAUSE..MAX_PAUSE * 11 / 10).contains(&time), "{time:?}");
    permit.unwrap().on_success();
    let (_, time) = took(acquire(&limiter)).await;
    assert!(time < SECOND, "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn waiter_fails_immediately_when_pause_grows_beyond_time_limit() {
    let limiter = limiter();
    let [first, second] = [0, 1].map(|_| ready(acquire(&limiter)).unwrap());
    refuse(first, Some(SECOND));
    let waiters = async {
        let short = acquire_within(&limiter, within(20 * SECOND));
        let long = acquire_within(&limiter, within(4000 * SECOND));
        let (short, time) = took(short).await;
        (short.err(), time, took(long).await)
    };
    let ((short, time, (long, long_time)), ()) = tokio::join!(waiters, async {
        tokio::task::yield_now().await;
        refuse(second, Some(3600 * SECOND));
    });
    assert_eq!(short.unwrap().wait, 3600 * SECOND);
    assert_eq!(time, Duration::ZERO);
    assert!(long.is_ok());
    assert!(long_time >= MAX_PAUSE, "{long_time:?}");
}

#[tokio::test(start_paused = true)]
async fn only_time_ends_a_pause() {
    // Nobody asks for longer than the limiter needs to become calm.
    let limiter = RateLimiter::new(None, 7200 * SECOND);
    refuse(ready(acquire(&limiter)).unwrap(), Some(3600 * SECOND));
    let start = Instant::now();
    let mut early = Box::pin(acquire(&limiter));
    assert!(poll(early.as_mut()).is_pending());
    drop(early);
    tokio::time::sleep(31 * SECOND).await;
    acquire(&limiter).await.unwrap().on_success();
    assert!(start.elapsed() >= 3600 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn starving_waiters_fail_after_their_limit_and_one_still_probes() {
    let limiter = paused(SECOND);
    let limits = WaitLimits {
        deadline: None,
        max_starvation: 30 * SECOND,
    };
    let start = Instant::now();
    // Each in turn probes and is refused.
    let rejection = loop {
        match acquire_within(&limiter, limits).await {
            Ok(permit) => refuse(permit, Some(SECOND)),
            Err(rejection) => break rejection,
        }
        assert!(start.elapsed() < 60 * SECOND, "it never ends");
    };
    assert!(rejection.wait <= 10 * SECOND, "{rejection:?}");
    assert!(start.elapsed() >= 29 * SECOND, "{:?}", start.elapsed());
    tokio::time::sleep(rejection.wait + SECOND).await;
    let permit = acquire_within(&limiter, limits).await;
    permit.expect("nobody is before it").on_success();
    let permit = acquire_within(&limiter, limits).await;
    permit.expect("something was granted").on_success();
}

#[tokio::test(start_paused = true)]
async fn own_rate_limit_spaces_requests_from_the_first_on() {
    let limiter = RateLimiter::new(Some(4.0), MAX_PAUSE);
    let start = Instant::now();
    for number in 0..9 {
        acquire(&limiter).await.unwrap().on_success();
        assert_eq!(start.elapsed(), number * SECOND / 4);
    }
}

#[tokio::test(start_paused = true)]
async fn queue_position_beyond_deadline_fails_immediately() {
    let limiter = RateLimiter::new(Some(1.0), MAX_PAUSE);
    let mut queue: Vec<_> = (0..10)
        .map(|_| Box::pin(acquire_within(&limiter, within(5 * SECOND))))
        .collect();
    let mut waits = Vec::new();
    for permit in &mut queue {
        waits.push(match poll(permit.as_mut()) {
            Poll::Pending => None,
            Poll::Ready(permit) => Some(permit.err().map(|rejection| rejection.wait)),
        });
    }
    assert_eq!(waits[0], Some(None));
    assert_eq!(waits[1..6], [None; 5]);
    assert_eq!(waits[6..], [Some(Some(6 * SECOND)); 4]);
}

#[tokio::test(start_paused = true)]
async fn bad_call_does_not_slow_down_others() {
    let limiter = limiter();
    let mut bad = CallHistory::default();
    for _ in 0..10 {
        for _ in 0..10 {
            let (permit, time) = took(acquire(&limiter)).await;
            assert_eq!(time, Duration::ZERO);
            permit.unwrap().on_success();
        }
        let permit = limiter.acquire(&mut bad, LIMITS).await.unwrap();
        permit.on_throttled(None, &mut bad);
    }
}
