//! The controller against simulated servers and a simulated clock: how fast, how often refused, how fair.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use proptest::prelude::*;

use super::controller::{Controller, Permit, Transition};

const SECOND: Duration = Duration::from_secs(1);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What a server grants.
#[derive(Debug, Clone)]
enum Limit {
    /// A token bucket, full at first; from the first time to the second it fills more slowly.
    Bucket {
        rate: f64,
        burst: f64,
        slow: Option<(f64, f64, f64)>,
    },
    /// So many in each period, the first of which has begun earlier.
    Window { most: u32, period: f64, begun: f64 },
}

const BUCKET: Limit = bucket(20.0, 20.0);
const DROP: Limit = Limit::Bucket {
    rate: 20.0,
    burst: 20.0,
    slow: Some((5.0, 5.0, 12.0)),
};

const fn bucket(rate: f64, burst: f64) -> Limit {
    let slow = None;
    Limit::Bucket { rate, burst, slow }
}

const fn window(most: u32, period: f64, begun: f64) -> Limit {
    Limit::Window {
        most,
        period,
        begun,
    }
}

/// How a server tells what it refuses.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Hint {
    Seconds,
    Millis,
    None,
}

const HINTS: [Hint; 3] = [Hint::Seconds, Hint::Millis, Hint::None];

struct Server {
    limit: Limit,
    hint: Hint,
    /// Tokens, or what was granted in the period.
    level: f64,
    at: f64,
}

impl Server {
    fn new(limit: &Limit, hint: Hint) -> Self {
        let level = match limit {
            Limit::Bucket { burst, .. } => *burst,
            Limit::Window { .. } => 0.0,
        };
        Self {
            limit: limit.clone(),
            hint,
            level,
            at: 0.0,
        }
    }

    /// Grants a request, or says when to come back.
    fn ask(&mut self, now: f64) -> Result<(), Option<Duration>> {
        let wait = match self.limit {
            Limit::Bucket { rate, burst, slow } => {
                let slow = slow.filter(|(_, from, to)| (*from..*to).contains(&now));
                let rate = slow.map_or(rate, |(slow, ..)| slow);
                self.level = (self.level + (now - self.at) * rate).min(burst);
                self.at = now;
                if self.level >= 1.0 {
                    self.level -= 1.0;
                    return Ok(());
                }
                (1.0 - self.level) / rate
            }
            Limit::Window {
                most,
                period,
                begun,
            } => {
                let now = now + begun;
                if now >= self.at + period {
                    self.at = (now / period).floor() * period;
                    self.level = 0.0;
                }
                if self.level < f64::from(most) {
                    self.level += 1.0;
                    return Ok(());
                }
                self.at + period - now
            }
        };
        Err(match self.hint {
            Hint::Seconds => Some(seconds(wait.ceil().max(1.0))),
            Hint::Millis => Some(seconds((wait * 1000.0).ceil() / 1000.0)),
            Hint::None => None,
        })
    }

    /// The least time in which so many can be granted.
    fn least(limit: &Limit, calls: u32) -> f64 {
        let calls = f64::from(calls);
        match *limit {
            Limit::Bucket { rate, burst, slow } => {
                let (slow, from, to) = slow.unwrap_or((rate, 0.0, 0.0));
                let before = burst + rate * from;
                let during = slow * (to - from);
                if calls <= before {
                    (calls - burst) / rate
                } else if calls <= before + during {
                    from + (calls - before) / slow
                } else {
                    to + (calls - before - during) / rate
                }
            }
            Limit::Window {
                most,
                period,
                begun,
            } => ((calls - 1.0) / f64::from(most)).floor() * period - begun,
        }
    }
}

/// What each of some processes with one key does.
#[derive(Debug, Clone, Copy)]
struct Job {
    calls: u32,
    at_once: u32,
    /// Whether it begins with a few at once, as a batch does.
    grows: bool,
    /// In seconds.
    begins: f64,
}

#[derive(Debug, Default)]
struct Outcome {
    granted: u32,
    refused: u32,
    /// When the last was granted, in seconds.
    ended: f64,
    /// What was granted to it before all had begun.
    early: u32,
    /// Its part of what was granted after that and until it or another had all it wanted.
    share: f64,
    /// The order in which its calls came to their first permit.
    order: Vec<u32>,
}

enum Event {
    Begin,
    Timer,
    Arrives(u32, Permit),
    Answer(u32, Permit, Result<(), Option<Duration>>),
}

struct Process {
    job: Job,
    begins: Duration,
    controller: Controller,
    begun: u32,
    under_way: u32,
    at_once: f64,
    /// Calls that wait for a permit, and whether it is their first.
    queue: VecDeque<(u32, bool)>,
    outcome: Outcome,
}

impl Process {
    fn new(job: Job) -> Self {
        Self {
            job,
            begins: seconds(job.begins),
            controller: Controller::new(None),
            begun: 0,
            under_way: 0,
            at_once: if job.grows {
                4.0
            } else {
                f64::from(job.at_once)
            },
            queue: VecDeque::new(),
            outcome: Outcome::default(),
        }
    }

    fn answered(
        &mut self,
        now: Duration,
        call: u32,
        permit: Permit,
        answer: Result<(), Option<Duration>>,
        random: f64,
    ) {
        let age = now.saturating_sub(self.begins);
        match answer {
            Ok(()) => {
                self.controller.on_success(age, permit);
                self.under_way -= 1;
                self.outcome.granted += 1;
                self.outcome.ended = now.as_secs_f64();
                self.at_once = (self.at_once + 0.5).min(f64::from(self.job.at_once));
            }
            Err(retry_after) => {
                self.controller
                    .on_throttled(age, permit, retry_after, random);
                self.outcome.refused += 1;
                self.queue.push_back((call, false));
            }
        }
    }

    /// Sends what may leave now; the permits, and when to ask again.
    fn send(&mut self, now: Duration) -> (Vec<(u32, Permit)>, Option<Duration>) {
        while self.begun < self.job.calls && f64::from(self.under_way + 1) <= self.at_once {
            self.queue.push_back((self.begun, true));
            self.begun += 1;
            self.under_way += 1;
        }
        let mut sent = Vec::new();
        while let Some((call, first)) = self.queue.front().copied() {
            match self
                .controller
                .try_acquire(now.saturating_sub(self.begins))
                .0
            {
                Err(at) => {
                    let at = at + self.begins;
                    assert!(at > now, "the wait until {at:?} is none at {now:?}");
                    return (sent, Some(at));
                }
                Ok(permit) => {
                    self.queue.pop_front();
                    if first {
                        self.outcome.order.push(call);
                    }
                    sent.push((call, permit));
                }
            }
        }
        (sent, None)
    }
}

/// A random number generator that is the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let [high, _] = [bits >> 32, bits].map(|bits| u32::try_from(bits & 0xFFFF_FFFF).unwrap());
        f64::from(high) / f64::from(u32::MAX)
    }
}

/// Runs the jobs, each in a process of its own, until all is granted. `latency` is in seconds.
fn run(limit: &Limit, hint: Hint, jobs: &[Job], latency: f64, seed: u64) -> Vec<Outcome> {
    let mut random = Random(seed);
    let mut server = Server::new(limit, hint);
    let mut processes: Vec<_> = jobs.iter().copied().map(Process::new).collect();
    let mut timers = vec![None; jobs.len()];
    let mut events = BTreeMap::new();
    for (index, process) in processes.iter().enumerate() {
        events.insert((process.begins, index), (index, Event::Begin));
    }
    let begins = processes.iter().map(|process| process.begins);
    let together = begins.max().unwrap_or_default();
    let mut number = jobs.len();
    while let Some(((now, _), (index, event))) = events.pop_first() {
        assert!(now < 10_000 * SECOND, "it never ends");
        let process = &mut processes[index];
        match event {
            Event::Begin | Event::Timer => {}
            Event::Arrives(call, permit) => {
                let answer = server.ask(now.as_secs_f64());
                let event = Event::Answer(call, permit, answer);
                let way = seconds(latency * (0.4 + 0.2 * random.next()));
                events.insert((now + way, number), (index, event));
                number += 1;
                continue;
            }
            Event::Answer(call, permit, answer) => {
                process.answered(now, call, permit, answer, random.next());
                if now < together {
                    process.outcome.early = process.outcome.granted;
                }
                if process.outcome.granted == process.job.calls {
                    let late = |outcome: &Outcome| f64::from(outcome.granted - outcome.early);
                    let all: f64 = processes.iter().map(|process| late(&process.outcome)).sum();
                    for outcome in processes.iter_mut().map(|process| &mut process.outcome) {
                        if outcome.share == 0.0 {
                            outcome.share = late(outcome) / all;
                        }
                    }
                    continue;
                }
            }
        }
        let (sent, again) = process.send(now);
        for (call, permit) in sent {
            let way = seconds(latency * (0.4 + 0.2 * random.next()));
            events.insert((now + way, number), (index, Event::Arrives(call, permit)));
            number += 1;
        }
        if let Some(timer) = timers[index].take() {
            events.remove(&timer);
        }
        if let Some(at) = again {
            // Tokio's timers are of whole milliseconds.
            let at =
                Duration::from_millis(u64::try_from(at.as_nanos().div_ceil(1_000_000)).unwrap());
            timers[index] = Some((at, number));
            events.insert((at, number), (index, Event::Timer));
            number += 1;
        }
    }
    processes
        .into_iter()
        .map(|process| process.outcome)
        .collect()
}

/// Over some seeds and latencies, on the average: time over the least time, and refused over
/// granted.
fn ratios(limit: &Limit, hint: Hint, job: Job) -> [f64; 2] {
    let mut sums = [0.0; 2];
    let mut runs = 0.0;
    for latency in [0.005, 0.02, 0.08] {
        for seed in 0..5 {
            let outcome = &run(limit, hint, &[job], latency, seed)[0];
            sums[0] += outcome.ended / Server::least(limit, job.calls);
            sums[1] += f64::from(outcome.refused) / f64::from(outcome.granted);
            runs += 1.0;
        }
    }
    sums.map(|sum| sum / runs)
}

/// Fails if 300 calls take longer or are refused more often, 16 at once or 64, plain or growing.
fn bounds(limit: &Limit, hint: Hint, time: f64, refused: [f64; 2]) {
    for grows in [false, true] {
        for (at_once, refused) in [16, 64].into_iter().zip(refused) {
            let job = Job {
                calls: 300,
                at_once,
                grows,
                begins: 0.0,
            };
            let ratios = ratios(limit, hint, job);
            assert!(
                ratios[0] <= time && ratios[1] <= refused,
                "{limit:?}, {hint:?}, {job:?}: time and refused {ratios:.3?}"
            );
        }
    }
}

#[test]
fn a_token_bucket_is_used_up_and_seldom_asked_too_much() {
    // 44 of 64 calls that begin at once are refused: 15 %.
    bounds(&BUCKET, Hint::Seconds, 1.07, [0.075, 0.195]);
    bounds(&BUCKET, Hint::Millis, 1.03, [0.075, 0.195]);
    bounds(&BUCKET, Hint::None, 1.03, [0.075, 0.195]);
}

#[test]
fn a_batch_is_seldom_refused_however_much_it_may_do_at_once() {
    let batch = Job {
        calls: 300,
        at_once: 64,
        grows: true,
        begins: 0.0,
    };
    for hint in HINTS {
        let [time, refused] = ratios(&BUCKET, hint, batch);
        assert!(time < 1.07 && refused < 0.075, "{hint:?}: {time} {refused}");
    }
}

#[test]
fn a_small_burst_is_not_taken_for_a_low_rate() {
    bounds(&bucket(20.0, 5.0), Hint::Millis, 1.15, [0.075, 0.23]);
    bounds(&bucket(20.0, 5.0), Hint::None, 1.25, [0.075, 0.23]);
}

#[test]
fn a_limit_that_drops_and_comes_back_is_followed() {
    for hint in HINTS {
        bounds(&DROP, hint, 1.13, [0.12, 0.24]);
    }
}

#[test]
fn windows_are_made_use_of() {
    bounds(&window(20, 1.0, 0.3), Hint::Seconds, 1.65, [0.1, 0.22]);
    bounds(&window(20, 1.0, 0.3), Hint::Millis, 1.3, [0.1, 0.22]);
    for hint in HINTS {
        bounds(&window(100, 10.0, 3.0), hint, 1.37, [0.12, 0.24]);
    }
}

#[test]
fn two_processes_with_one_key_get_their_shares() {
    const SEEDS: u32 = 20;
    let mut unfair = 0;
    for hint in HINTS {
        for (grows, begins) in [(false, 0.0), (true, 0.0), (false, 3.0), (true, 3.0)] {
            let jobs = [0.0, begins].map(|begins| Job {
                calls: 300,
                at_once: 16,
                grows,
                begins,
            });
            let mut mean = 0.0;
            for (seed, latency) in (0..SEEDS).zip([0.005, 0.03, 0.08].into_iter().cycle()) {
                let [one, two] = &run(&BUCKET, hint, &jobs, latency, seed.into())[..] else {
                    unreachable!("there are two");
                };
                assert_eq!(one.granted + two.granted, 600);
                let least = one.share.min(two.share);
                unfair += u32::from(least < 0.35);
                mean += least / f64::from(SEEDS);
            }
            assert!(mean > 0.43, "{hint:?}, {jobs:?}: {mean}");
        }
    }
    // Of 240.
    assert!(unfair <= 5, "{unfair}");
}

fn limits() -> impl Strategy<Value = Limit> {
    let bucket = (0.2..200.0, 1.0..100.0_f64).prop_map(|(rate, burst)| bucket(rate, burst));
    let slow = (0.1..0.9, 0.0..20.0, 0.0..20.0);
    let slow = (1.0..200.0, 1.0..50.0_f64, slow).prop_map(|(rate, burst, (part, from, long))| {
        Limit::Bucket {
            rate,
            burst,
            slow: Some((rate * part, from, from + long)),
        }
    });
    let window = (1..200_u32, 0.2..30.0, 0.0..1.0)
        .prop_map(|(most, period, begun)| window(most, period, begun * period));
    prop_oneof![bucket, slow, window]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the server, every call is granted in the end, and they come to their permits in the
    /// order in which they retry_after for it.
    #[test]
    fn all_are_granted_in_their_order(
        limit in limits(),
        hint in prop::sample::select(&HINTS[..]),
        calls in 1..150_u32,
        at_once in 1..100_u32,
        grows: bool,
        processes in 1..4_usize,
        latency in 0.001..1.5,
        seed: u64,
    ) {
        let job = Job { calls, at_once, grows, begins: 0.0 };
        for outcome in run(&limit, hint, &vec![job; processes], latency, seed) {
            prop_assert_eq!(outcome.granted, calls);
            prop_assert!(outcome.order.iter().copied().eq(0..calls));
        }
    }

    /// A limit of the caller's is kept, whatever the server does and whenever requests are made.
    #[test]
    fn requests_are_as_far_apart_as_the_caller_wants(
        limit in 0.01..500.0,
        steps in prop::collection::vec((0..300_u64, 0..4_u8), 1..200),
    ) {
        let mut controller = Controller::new(Some(limit));
        let mut now = Duration::ZERO;
        let mut sent = Vec::new();
        for (pause, answer) in steps {
            now += Duration::from_millis(pause);
            let Ok(permit) = controller.try_acquire(now).0 else { continue };
            sent.push(now);
            match answer {
                0 => drop(controller.on_throttled(now, permit, None, 0.5)),
                1 => drop(controller.on_throttled(now, permit, Some(seconds(0.1)), 0.5)),
                2 => drop(controller.on_success(now, permit)),
                _ => {}
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
    }

    /// Between two requests that leave there is the time that the rate asks for, and after a refusal
    /// nothing leaves before the server wants it.
    #[test]
    fn nothing_leaves_in_a_hold(
        steps in prop::collection::vec((0..300_u64, 0..5_u8, 0..5000_u64, 0.0..1.0), 1..300),
    ) {
        let mut controller = Controller::new(None);
        let mut now = Duration::ZERO;
        let mut held = Duration::ZERO;
        for (pause, answer, retry_after, random) in steps {
            now += Duration::from_millis(pause);
            match controller.try_acquire(now).0 {
                Err(at) => prop_assert!(at > now && at >= held),
                Ok(permit) => {
                    prop_assert!(now >= held);
                    let retry_after = Duration::from_millis(retry_after);
                    match answer {
                        0 => drop(controller.on_throttled(now, permit, Some(retry_after), random)),
                        1 => drop(controller.on_unavailable(now, permit, retry_after, random)),
                        2 => drop(controller.on_success(now, permit)),
                        _ => {}
                    }
                    if answer < 2 {
                        held = held.max(now + retry_after);
                    }
                }
            }
        }
    }
}

#[test]
fn a_refusal_of_what_left_before_the_last_is_no_news() {
    let mut controller = Controller::new(None);
    let permits = [0, 1].map(|_| controller.try_acquire(SECOND).0.unwrap());
    let retry_after = Some(SECOND);
    let transition = controller.on_throttled(2 * SECOND, permits[0], retry_after, 0.0);
    let wait = SECOND;
    assert_eq!(transition, Some(Transition::Paused { first: true, wait }));

    // It may still make the hold longer.
    assert_eq!(
        controller.on_throttled(2 * SECOND, permits[1], Some(3 * SECOND), 0.0),
        None
    );
    assert_eq!(controller.pause(2 * SECOND), 3 * SECOND);
}

#[test]
fn without_a_hint_each_refusal_in_a_row_doubles_the_wait() {
    let mut controller = Controller::new(None);
    let mut now = SECOND;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let permit = controller.try_acquire(now).0.unwrap();
        controller.on_throttled(now, permit, None, 0.0);
        waits.push(controller.pause(now).as_millis());
        now += controller.pause(now);
    }
    assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 6400, 6400]);

    let mut controller = Controller::new(None);
    let permit = controller.try_acquire(SECOND).0.unwrap();
    controller.on_throttled(SECOND, permit, None, 0.5);
    assert_eq!(controller.pause(SECOND).as_millis(), 300);
}

#[test]
fn a_server_out_of_order_is_left_alone_for_the_longest_that_it_has_asked_for() {
    let mut controller = Controller::new(None);
    let permit = controller.try_acquire(SECOND).0.unwrap();
    let mut held = |retry_after| controller.on_unavailable(2 * SECOND, permit, retry_after, 0.0);
    let transition = |first, wait| Some(Transition::Paused { first, wait });
    assert_eq!(held(2 * SECOND), transition(true, 2 * SECOND));
    assert_eq!(held(SECOND), None);
    assert_eq!(held(2 * SECOND), None);
    assert_eq!(held(3 * SECOND), transition(false, 3 * SECOND));
    assert_eq!(controller.pause(2 * SECOND), 3 * SECOND);
}

#[test]
fn the_first_after_a_hold_goes_alone() {
    let mut controller = Controller::new(None);
    for _ in 0..20 {
        controller.record_successes(SECOND, 1);
    }
    let [before, permit] = [0, 1].map(|_| controller.try_acquire(SECOND).0.unwrap());
    controller.on_throttled(SECOND, permit, Some(SECOND), 0.0);
    let first = controller.try_acquire(2 * SECOND).0.unwrap();
    assert_eq!(
        controller.try_acquire(2 * SECOND).0.unwrap_err(),
        3 * SECOND
    );
    // What left before tells nothing about it.
    assert!(!controller.on_success(2 * SECOND, before));
    assert_eq!(
        controller.try_acquire(2 * SECOND).0.unwrap_err(),
        3 * SECOND
    );
    // Ten a second were granted.
    assert!(controller.on_success(2 * SECOND, first));
    let next = Duration::from_millis(2100);
    assert_eq!(controller.try_acquire(2 * SECOND).0.unwrap_err(), next);
}

#[test]
fn after_half_a_minute_of_calm_all_go_at_once() {
    let mut controller = Controller::new(None);
    let permit = controller.try_acquire(SECOND).0.unwrap();
    controller.on_throttled(SECOND, permit, Some(SECOND), 0.0);
    let (permit, transition) = controller.try_acquire(2 * SECOND);
    let (first, rate) = (true, 8.0);
    assert_eq!(transition, Some(Transition::Resumed { first, rate }));
    controller.on_success(2 * SECOND, permit.unwrap());

    let calm = 32 * SECOND;
    assert!(
        controller
            .try_acquire(Duration::from_millis(31_999))
            .0
            .is_ok()
    );
    assert!(!controller.is_off());
    let (_, transition) = controller.try_acquire(calm);
    assert_eq!(transition, Some(Transition::Cleared));
    assert!(controller.is_off());
    assert!(controller.try_acquire(calm).0.is_ok());
}

#[test]
fn the_first_guess_is_by_what_was_granted_of_late() {
    let mut controller = Controller::new(None);
    // An hour of one a minute, then 30 at once.
    let mut now = SECOND;
    for _ in 0..60 {
        controller.record_successes(now, 1);
        now += 60 * SECOND;
    }
    controller.record_successes(now, 1);
    controller.record_successes(now, 29);
    let permit = controller.try_acquire(now).0.unwrap();
    controller.on_throttled(now, permit, Some(2 * SECOND), 0.0);
    let (_, transition) = controller.try_acquire(now + 2 * SECOND);
    let (first, rate) = (true, 15.0);
    assert_eq!(transition, Some(Transition::Resumed { first, rate }));

    // What was told late was granted in the ten seconds before.
    let mut controller = Controller::new(None);
    controller.record_successes(SECOND, 200);
    controller.record_successes(12 * SECOND, 101);
    let permit = controller.try_acquire(12 * SECOND).0.unwrap();
    controller.on_throttled(12 * SECOND, permit, Some(2 * SECOND), 0.0);
    let (_, transition) = controller.try_acquire(14 * SECOND);
    let rate = 301.0 / 14.0;
    assert_eq!(transition, Some(Transition::Resumed { first, rate }));
}

#[test]
fn processes_that_are_refused_at_the_same_time_come_back_one_after_the_other() {
    let mut back: Vec<_> = (0..64)
        .map(|process| {
            let mut controller = Controller::new(None);
            let permit = controller.try_acquire(SECOND).0.unwrap();
            controller.on_throttled(SECOND, permit, Some(SECOND), f64::from(process) / 64.0);
            match controller.try_acquire(2 * SECOND).0 {
                Ok(_) => 2 * SECOND,
                Err(at) => at,
            }
        })
        .collect();
    back.dedup();
    // Within half the time between two requests, from what the server asks for on.
    assert_eq!(back.len(), 64);
    assert_eq!(back[0], 2 * SECOND);
    let last = back[63].saturating_sub(2 * SECOND);
    assert!(last > SECOND / 17 && last < SECOND / 16, "{last:?}");
}
