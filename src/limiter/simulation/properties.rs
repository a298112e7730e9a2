//! Properties that hold whatever the server does and whenever calls are made. A failure prints the
//! input and the seed that repeats it.

use std::{
    hash::{BuildHasher, RandomState},
    thread,
};

use proptest::{
    prelude::*,
    test_runner::{RngSeed, TestCaseResult, TestRunner},
};

use super::{
    server::{HINTS, Slowdown, bucket, window},
    *,
};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test on random values.
fn check<S: Strategy>(values: S, test: impl Fn(S::Value) -> TestCaseResult) {
    let config = ProptestConfig::default(); // with the seed that the environment gives
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(()),
    };
    let config = ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..config
    };
    if let Err(failure) = TestRunner::new(config).run(&values, test) {
        let thread = thread::current();
        let name = thread.name().unwrap_or_default();
        panic!("{failure}\nrepeat it with PROPTEST_RNG_SEED={seed} cargo test --lib {name}");
    }
}

fn limits() -> impl Strategy<Value = Limit> {
    let plain = (0.2..200.0, 1.0..100.0_f64).prop_map(|(rate, burst)| bucket(rate, burst));
    let slow = (1.0..200.0, 1.0..50.0_f64, 0.1..0.9, 0.0..20.0, 0.0..20.0).prop_map(
        |(rate, burst, part, from, long)| Limit::Bucket {
            rate,
            burst,
            slow: Some(Slowdown {
                rate: rate * part,
                from,
                to: from + long,
            }),
        },
    );
    let windows = (1..200_u32, 0.2..30.0, 0.0..1.0)
        .prop_map(|(max, period, elapsed)| window(max, period, elapsed * period));
    prop_oneof![plain, slow, windows]
}

fn is_within_send_bounds(sent: &[Duration]) -> bool {
    let has = |count: usize, period: Duration| {
        sent.windows(count + 1)
            .all(|sent| sent[count] > sent[0] + period)
    };
    has(2, SECOND) && has(12, 30 * SECOND)
}

#[test]
fn every_call_is_granted_in_order_and_within_send_bounds() {
    let values = (
        limits(),
        prop::sample::select(&HINTS[..]),
        1..150_u32,
        1..100_u32,
        any::<bool>(),
        1..4_usize,
        0.001..1.5,
        any::<u64>(),
    );
    check(
        values,
        |(limit, hint, calls, concurrency, is_batch, processes, latency, seed)| {
            let job = Job {
                calls,
                concurrency,
                is_batch,
                begins: 0.0,
            };
            let trouble = Trouble::default();
            let setup = Setup {
                limit,
                hint,
                trouble,
                latency,
                seed,
            };
            for outcome in run(&setup, &vec![job; processes]) {
                prop_assert_eq!(outcome.granted, calls);
                prop_assert!(outcome.order.iter().copied().eq(0..calls));
                for sent in outcome.sent_after_refusal.values() {
                    prop_assert!(is_within_send_bounds(sent), "{:?}", sent);
                }
            }
            Ok(())
        },
    );
}

/// Outcome of a request.
#[derive(Debug, Clone, Copy)]
enum RequestOutcome {
    Granted,
    Throttled(Option<Duration>),
    Unavailable(Duration),
    /// The call was dropped, or the connection failed.
    Abandoned,
    /// Not answered yet.
    Hangs,
}

fn request_outcomes() -> impl Strategy<Value = RequestOutcome> {
    let hint = || {
        prop_oneof![1..100_u64, 100..10_000_u64, 10_000..20_000_000_u64]
            .prop_map(Duration::from_millis)
    };
    prop_oneof![
        2 => Just(RequestOutcome::Granted),
        1 => Just(RequestOutcome::Throttled(None)),
        2 => hint().prop_map(|hint| RequestOutcome::Throttled(Some(hint))),
        1 => hint().prop_map(RequestOutcome::Unavailable),
        1 => Just(RequestOutcome::Abandoned),
        1 => Just(RequestOutcome::Hangs),
    ]
}

/// Steps of the clock, from milliseconds to minutes.
fn delays() -> impl Strategy<Value = Duration> {
    prop_oneof![0..300_u64, 0..5_000_u64, 0..600_000_u64].prop_map(Duration::from_millis)
}

fn max_pauses() -> impl Strategy<Value = Duration> {
    (0..20_000_u64).prop_map(Duration::from_secs)
}

/// A queue, the clock, and the requests that were not answered yet.
struct Bench {
    queue: Queue,
    now: Duration,
    hanging: Vec<Duration>,
}

impl Bench {
    fn new(max_pause: Duration) -> Self {
        Self {
            queue: Queue::new(Controller::new(None, max_pause)),
            now: SECOND,
            hanging: Vec::new(),
        }
    }

    fn join(&mut self, history: &CallHistory) -> Ticket {
        let waiter = Waiter {
            from: history.earliest(),
            deadline: Duration::MAX,
            max_starvation: Duration::MAX,
            was_refused: history.was_refused(),
            wake: Arc::new(Notify::new()),
        };
        self.queue.join(self.now, waiter).expect("it has no limit")
    }

    /// Applies the outcome of a request that was sent at `sent`.
    fn apply(
        &mut self,
        sent: Duration,
        outcome: RequestOutcome,
        random: f64,
        history: &mut CallHistory,
    ) {
        let (reason, retry_after) = match outcome {
            RequestOutcome::Granted => {
                self.queue.controller.on_success(self.now, sent);
                return;
            }
            RequestOutcome::Abandoned => {
                self.queue.controller.on_abandoned(sent);
                return;
            }
            RequestOutcome::Hangs => return self.hanging.push(sent),
            RequestOutcome::Throttled(retry_after) => (Reason::Throttled, retry_after),
            RequestOutcome::Unavailable(retry_after) => (Reason::Unavailable, Some(retry_after)),
        };
        let refusal = Refusal {
            reason,
            retry_after,
            random,
        };
        let controller = &mut self.queue.controller;
        controller.on_refused(self.now, sent, refusal, history);
    }
}

#[test]
fn only_time_ends_a_pause() {
    let values = (
        max_pauses(),
        prop::collection::vec((delays(), request_outcomes(), 0.0..1.0, 0..4_u8), 1..200),
    );
    check(values, |(max_pause, steps)| {
        let mut bench = Bench::new(max_pause);
        let mut paused_until = Duration::ZERO;
        for (delay, outcome, random, late) in steps {
            bench.now += delay;
            let sent = match bench.queue.controller.try_acquire(bench.now) {
                Ok(()) => {
                    prop_assert!(bench.now >= paused_until);
                    bench.now
                }
                Err(at) => {
                    prop_assert!(at > bench.now && at >= paused_until);
                    // A late answer to an earlier request.
                    match bench.hanging.pop() {
                        Some(sent) if late == 0 => sent,
                        _ => continue,
                    }
                }
            };
            bench.apply(sent, outcome, random, &mut CallHistory::default());
            let until = bench.queue.controller.paused_until(bench.now);
            if paused_until > bench.now {
                prop_assert!(
                    until >= Some(paused_until),
                    "{:?} ended {:?}",
                    outcome,
                    paused_until
                );
            }
            if let Some(until) = until {
                let longest = max_pause.max(max_pause.mul_f64(0.05) + SECOND);
                prop_assert!(until <= bench.now + longest || until == paused_until);
                paused_until = until;
            }
        }
        Ok(())
    });
}

#[test]
fn probe_follows_every_pause() {
    let values = (
        max_pauses(),
        prop::collection::vec((delays(), request_outcomes(), 0.0..1.0), 1..200),
    );
    check(values, |(max_pause, steps)| {
        let mut bench = Bench::new(max_pause);
        for (delay, outcome, random) in steps {
            bench.now += delay;
            let ticket = bench.join(&CallHistory::default());
            let mut waits = 0;
            while let Step::Wait(until) = bench.queue.step(bench.now, ticket) {
                // A pause and the while after it, a probe without an answer, the slowest rate.
                let longest = max_pause.mul_f64(1.05) + 11 * SECOND;
                prop_assert!(until > bench.now && until <= bench.now + longest);
                waits += 1;
                prop_assert!(waits < 5, "{:?}", bench.queue);
                bench.now = until;
            }
            bench.queue.leave(ticket);
            bench.apply(bench.now, outcome, random, &mut CallHistory::default());
        }
        Ok(())
    });
}

#[test]
fn refused_call_sends_within_bounds_whatever_the_answers() {
    let values = prop::collection::vec((request_outcomes(), 0..20_u32, 0.0..1.0), 1..100);
    check(values, |steps| {
        let mut bench = Bench::new(60 * SECOND);
        let mut history = CallHistory::default();
        let mut sent = Vec::new();
        for (outcome, others, random) in steps {
            let ticket = bench.join(&history);
            while let Step::Wait(until) = bench.queue.step(bench.now, ticket) {
                bench.now = until;
            }
            bench.queue.leave(ticket);
            if history.was_refused() {
                sent.push(bench.now);
            }
            history.on_send(bench.now);
            bench.apply(bench.now, outcome, random, &mut history);
            for _ in 0..others {
                bench.queue.controller.on_success(bench.now, bench.now);
            }
        }
        prop_assert!(is_within_send_bounds(&sent), "{:?}", sent);
        Ok(())
    });
}

#[test]
fn own_rate_limit_is_kept() {
    let values = (
        0.01..500.0,
        prop::collection::vec((delays(), request_outcomes()), 1..200),
    );
    check(values, |(limit, steps)| {
        let mut bench = Bench::new(60 * SECOND);
        bench.queue = Queue::new(Controller::new(Some(limit), 60 * SECOND));
        let mut sent = Vec::new();
        for (delay, outcome) in steps {
            bench.now += delay;
            if bench.queue.controller.try_acquire(bench.now).is_ok() {
                sent.push(bench.now);
                bench.apply(bench.now, outcome, 0.5, &mut CallHistory::default());
            }
        }
        let spacing = seconds(1.0 / limit);
        for (index, first) in sent.iter().enumerate() {
            for (behind, next) in sent[index..].iter().enumerate() {
                let least = spacing * u32::try_from(behind).unwrap();
                // The millisecond by which a timer may have been late.
                prop_assert!(*next + Duration::from_millis(1) >= *first + least);
            }
        }
        Ok(())
    });
}

#[test]
fn slow_window_shared_by_three_processes_starves_nobody() {
    let job = Job {
        calls: 119,
        concurrency: 1,
        is_batch: false,
        begins: 0.0,
    };
    for (period, seed) in [(28.0, 0), (30.0, 1), (30.0, 2)] {
        for concurrency in [1, 20] {
            let setup = Setup {
                limit: window(1, period, 0.0),
                hint: Hint::Seconds,
                trouble: Trouble::default(),
                latency: 0.1,
                seed,
            };
            let outcomes = run(&setup, &[Job { concurrency, ..job }; 3]);
            let least = least_time(setup.limit, 3 * 119);
            let ended = outcomes
                .iter()
                .map(|outcome| outcome.ended)
                .fold(0.0, f64::max);
            println!(
                "{concurrency} at once: {:.2} of the least time",
                ended / least
            );
            for outcome in outcomes {
                assert_eq!(outcome.granted, 119);
                assert!(outcome.share > 0.2, "{outcome:?}");
            }
        }
    }
}
