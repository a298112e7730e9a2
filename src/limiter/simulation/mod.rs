//! The test bed of the rate limiter: its queue and states against simulated servers and a simulated
//! clock. It measures how fast calls are done, how often they are refused, and how fair it is.
//!
//! It runs in seconds: `cargo test --lib limiter`, and with all figures
//! `cargo test --lib limiter -- --nocapture`. Whoever changes a constant compares these before
//! and after.

mod figures;
mod properties;
mod server;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::sync::Notify;

use self::server::{Answer, Hint, Limit, Server, Trouble, least_time, seconds};
use super::{
    controller::{Controller, Reason, Refusal},
    queue::{Queue, Step, Ticket, Waiter},
    refusals::CallHistory,
};

/// The default of `max_retry_after`.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Work of one process with the key.
#[derive(Debug, Clone, Copy)]
struct Job {
    calls: u32,
    concurrency: u32,
    /// `true` for a `Batch`, which begins with a few calls.
    is_batch: bool,
    /// In seconds.
    begins: f64,
}

/// All that a simulation depends on.
#[derive(Debug, Clone)]
struct Setup {
    limit: Limit,
    hint: Hint,
    trouble: Trouble,
    /// From a request to its answer, in seconds, give or take a fifth.
    latency: f64,
    seed: u64,
}

#[derive(Debug, Default)]
struct Outcome {
    granted: u32,
    refused: u32,
    /// When the last call was granted, in seconds.
    ended: f64,
    /// Calls granted before all processes had begun.
    granted_early: u32,
    /// The part of what was granted from then on until the first process was done.
    share: f64,
    /// The calls in the order of their first requests.
    order: Vec<u32>,
    /// When the requests of each call that was refused left, from the first refusal on.
    sent_after_refusal: HashMap<u32, Vec<Duration>>,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    /// A process begins, or a timer of its ends.
    Wake,
    Arrives(u32, Duration),
    Answer(u32, Duration, Answer),
}

struct Process {
    job: Job,
    /// Count of its calls that can be granted.
    good_calls: u32,
    queue: Queue,
    waiting: BTreeMap<Ticket, u32>,
    histories: HashMap<u32, CallHistory>,
    begun: u32,
    in_flight: u32,
    /// Of those, how many were refused.
    refused_in_flight: u32,
    places: f64,
    outcome: Outcome,
}

impl Process {
    fn new(job: Job, trouble: &Trouble) -> Self {
        let bad = trouble.bad.iter().filter(|call| **call < job.calls).count();
        Self {
            job,
            good_calls: job.calls - u32::try_from(bad).unwrap(),
            queue: Queue::new(Controller::new(None, MAX_PAUSE)),
            waiting: BTreeMap::new(),
            histories: HashMap::new(),
            begun: 0,
            in_flight: 0,
            refused_in_flight: 0,
            places: if job.is_batch {
                4.0
            } else {
                f64::from(job.concurrency)
            },
            outcome: Outcome::default(),
        }
    }

    fn is_done(&self) -> bool {
        self.outcome.granted == self.good_calls
    }

    fn on_answer(&mut self, now: Duration, call: u32, sent: Duration, answer: Answer, random: f64) {
        let history = self.histories.entry(call).or_default();
        match answer {
            Ok(()) => {
                self.queue.controller.on_success(now, sent);
                self.in_flight -= 1;
                self.refused_in_flight -= u32::from(history.was_refused());
                self.outcome.granted += 1;
                self.outcome.ended = now.as_secs_f64();
                self.places += 0.5;
            }
            Err(retry_after) => {
                self.refused_in_flight += u32::from(!history.was_refused());
                let refusal = Refusal {
                    reason: Reason::Throttled,
                    retry_after,
                    random,
                };
                let controller = &mut self.queue.controller;
                controller.on_refused(now, sent, refusal, history);
                self.outcome.refused += 1;
                self.outcome.sent_after_refusal.entry(call).or_default();
                self.join(now, call);
            }
        }
    }

    /// Begins calls as `Batch` and `buffer_unordered` do.
    fn begin_calls(&mut self, now: Duration) {
        let is_paused = self.queue.controller.paused_until(now).is_some();
        while self.begun < self.job.calls && !(is_paused && self.job.is_batch) {
            let untried = self.in_flight - self.refused_in_flight;
            let has_place = if self.job.is_batch {
                f64::from(untried + 1) <= self.places
                    && (self.in_flight < self.job.concurrency || untried == 0)
            } else {
                self.in_flight < self.job.concurrency
            };
            if !has_place {
                break;
            }
            self.join(now, self.begun);
            self.begun += 1;
            self.in_flight += 1;
        }
    }

    fn join(&mut self, now: Duration, call: u32) {
        let history = self.histories.entry(call).or_default();
        let waiter = Waiter {
            from: history.earliest(),
            deadline: Duration::MAX,
            max_starvation: Duration::MAX,
            was_refused: history.was_refused(),
            wake: Arc::new(Notify::new()),
        };
        let ticket = self
            .queue
            .join(now, waiter)
            .expect("it waits without a limit");
        self.waiting.insert(ticket, call);
    }

    /// Sends what may leave now. Returns those calls, and when to wake up.
    fn send(&mut self, now: Duration) -> (Vec<u32>, Option<Duration>) {
        self.begin_calls(now);
        let mut sent = Vec::new();
        let mut wake = Duration::MAX;
        if self.job.is_batch
            && let Some(until) = self.queue.controller.paused_until(now)
        {
            wake = wake.min(until);
        }
        while let Some(ticket) = self.queue.first() {
            match self.queue.step(now, ticket) {
                Step::Send => {
                    self.queue.leave(ticket);
                    let call = self.waiting.remove(&ticket).expect("it waits");
                    self.on_send(now, call);
                    sent.push(call);
                }
                Step::Wait(until) => {
                    assert!(until > now, "the wait until {until:?} is over at {now:?}");
                    wake = wake.min(until);
                    break;
                }
                Step::Reject(rejection) => panic!("{rejection:?} of a call without a limit"),
            }
        }
        (sent, (wake < Duration::MAX).then_some(wake))
    }

    fn on_send(&mut self, now: Duration, call: u32) {
        let history = self.histories.entry(call).or_default();
        if !history.was_refused() {
            self.outcome.order.push(call);
        }
        history.on_send(now);
        if let Some(sent) = self.outcome.sent_after_refusal.get_mut(&call) {
            sent.push(now);
        }
    }
}

/// Runs jobs, each in a process of its own, until every call that can be granted is.
fn run(setup: &Setup, jobs: &[Job]) -> Vec<Outcome> {
    let mut world = World::new(setup, jobs);
    while let Some(((now, _), (process, event))) = world.events.pop_first() {
        assert!(
            now < world.longest,
            "it never ends: {setup:?}, {jobs:?}: {:?}",
            world
                .processes
                .iter()
                .map(|process| process.outcome.granted)
                .collect::<Vec<_>>()
        );
        world.handle(now, process, event);
        if world.processes.iter().all(Process::is_done) {
            break;
        }
    }
    world
        .processes
        .into_iter()
        .map(|process| process.outcome)
        .collect()
}

struct World {
    server: Server,
    processes: Vec<Process>,
    events: BTreeMap<(Duration, u64), (usize, Event)>,
    /// Makes events of the same time different.
    count: u64,
    /// The next timer of each process.
    timers: Vec<Option<(Duration, u64)>>,
    /// When all processes have begun.
    together: Duration,
    /// No run takes longer.
    longest: Duration,
    latency: f64,
    random: Random,
}

impl World {
    fn new(setup: &Setup, jobs: &[Job]) -> Self {
        let begins = jobs.iter().map(|job| job.begins).fold(0.0, f64::max);
        let calls = jobs.iter().map(|job| job.calls).sum();
        let least = least_time(setup.limit, calls);
        let mut world = Self {
            server: Server::new(setup.limit, setup.hint, setup.trouble.clone()),
            processes: jobs
                .iter()
                .map(|job| Process::new(*job, &setup.trouble))
                .collect(),
            events: BTreeMap::new(),
            count: 0,
            timers: vec![None; jobs.len()],
            together: seconds(begins),
            longest: seconds(10_000.0 + begins + 3.0 * least.max(0.0)),
            latency: setup.latency,
            random: Random(setup.seed),
        };
        for (process, job) in jobs.iter().enumerate() {
            world.schedule(seconds(job.begins), process, Event::Wake);
        }
        world
    }

    fn schedule(&mut self, at: Duration, process: usize, event: Event) -> (Duration, u64) {
        let key = (at, self.count);
        self.count += 1;
        self.events.insert(key, (process, event));
        key
    }

    /// Returns the time of half the way to the server and back.
    fn way(&mut self) -> Duration {
        seconds(self.latency * (0.4 + 0.2 * self.random.next()))
    }

    fn handle(&mut self, now: Duration, index: usize, event: Event) {
        match event {
            Event::Wake => {}
            Event::Arrives(call, sent) => {
                let random = self.random.next();
                let answer = self.server.answer(now.as_secs_f64(), call, random);
                let at = now + self.way();
                self.schedule(at, index, Event::Answer(call, sent, answer));
                return;
            }
            Event::Answer(call, sent, answer) => {
                let random = self.random.next();
                let process = &mut self.processes[index];
                process.on_answer(now, call, sent, answer, random);
                if now < self.together {
                    process.outcome.granted_early = process.outcome.granted;
                }
                if process.is_done() {
                    self.share();
                }
            }
        }
        let (calls, wake) = self.processes[index].send(now);
        for call in calls {
            let at = now + self.way();
            self.schedule(at, index, Event::Arrives(call, now));
        }
        if let Some(timer) = self.timers[index].take() {
            self.events.remove(&timer);
        }
        self.timers[index] = wake.map(|wake| {
            // tokio's timers are of whole milliseconds.
            let millis = u64::try_from(wake.as_nanos().div_ceil(1_000_000)).unwrap();
            self.schedule(Duration::from_millis(millis), index, Event::Wake)
        });
    }

    /// Notes the shares when a process is done, unless another was done before.
    fn share(&mut self) {
        let late = |outcome: &Outcome| f64::from(outcome.granted - outcome.granted_early);
        let outcomes = || self.processes.iter().map(|process| &process.outcome);
        if outcomes().any(|outcome| outcome.share > 0.0) {
            return;
        }
        let all: f64 = outcomes().map(late).sum();
        for process in &mut self.processes {
            process.outcome.share = late(&process.outcome) / all;
        }
    }
}

/// `SplitMix64`, a random number generator that is the same everywhere.
struct Random(u64);

impl Random {
    /// Returns a number from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        f64::from(u32::try_from(bits >> 32).unwrap()) / f64::from(u32::MAX)
    }
}
