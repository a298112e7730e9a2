//! What both sides saw of the calls, and the memory that it took.

use std::{
    alloc::System,
    collections::BTreeMap,
    fs, io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use fastrand::Rng;
use sigmamind::{PhoneNumber, Response};
use sigmamind_benches::limit::{Limit, Limiter};
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};

use crate::{AT_A_TIME, fault::Fault};

/// What the server grants in a second, and at once.
const RATE: f64 = 250.0;
const BURST: f64 = 25.0;
/// So many requests at once meet [`Fault::Held`] first, with time to read it all. Chance does not
/// bring as many long bodies together later, so that a higher peak is a growth.
const WORST_FIRST: usize = AT_A_TIME / 2;
/// So much more may be allocated at the end, in bytes.
const GROWTH: usize = 64 << 10;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Names the call; the server finds it in the update and repeats it in its answer.
pub fn label(call: usize) -> String {
    format!("call-{call}.")
}

pub fn call(body: &[u8]) -> Option<usize> {
    let (_, label) = str::from_utf8(body).ok()?.split_once("call-")?;
    label.split_once('.')?.0.parse().ok()
}

/// What is known of a call.
#[derive(Default)]
pub struct Call(AtomicU8);

impl Call {
    pub const APPLIED: u8 = 1;
    const REPORTED: u8 = 2;
    const FLAGGED: u8 = 4;
    const MIXED_UP: u8 = 8;

    fn is(&self, mark: u8) -> bool {
        self.0.load(SeqCst) & mark != 0
    }

    pub fn mark(&self, mark: u8) {
        self.0.fetch_or(mark, SeqCst);
    }
}

/// What both sides saw. Its size does not depend on how the calls go.
pub struct Log {
    pub calls: Vec<Call>,
    pub next: AtomicUsize,
    attempts: AtomicUsize,
    pub requests: AtomicUsize,
    pub faults: Mutex<BTreeMap<&'static str, usize>>,
    errors: Mutex<BTreeMap<String, usize>>,
    limiter: Mutex<Limiter>,
}

impl Log {
    pub fn new(calls: usize) -> Self {
        Self {
            calls: (0..calls).map(|_| Call::default()).collect(),
            next: AtomicUsize::default(),
            attempts: AtomicUsize::default(),
            requests: AtomicUsize::default(),
            faults: Mutex::default(),
            errors: Mutex::default(),
            limiter: Mutex::new(Limiter::new(Limit::Bucket {
                rate: RATE,
                burst: BURST,
                slow: None,
            })),
        }
    }

    /// What is to go wrong with the next request.
    pub fn fault(&self, faults: &[Fault], rng: &mut Rng) -> Option<Fault> {
        if self.requests.load(SeqCst) < WORST_FIRST {
            Some(Fault::Held)
        } else {
            Fault::of(faults, rng)
        }
    }

    /// For how many milliseconds a request that has come is refused, if it is.
    pub fn refused(&self) -> Option<f64> {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = limiter.ask()?;
        count(&self.faults, "over the rate");
        Some((wait * 1000.0).ceil())
    }

    pub fn take(
        &self,
        call: usize,
        label: &str,
        outcome: Result<Response<PhoneNumber>, sigmamind::Error>,
    ) {
        let call = &self.calls[call];
        match outcome {
            Ok(answer) => {
                self.attempts.fetch_add(answer.attempts() as usize, SeqCst);
                call.mark(Call::REPORTED);
                if answer.friendly_name.as_deref() != Some(label) {
                    call.mark(Call::MIXED_UP);
                }
            }
            Err(error) => {
                self.attempts.fetch_add(error.attempts() as usize, SeqCst);
                if error.may_have_been_applied() {
                    call.mark(Call::FLAGGED);
                }
                count(&self.errors, kind(&error));
            }
        }
    }

    /// Says whether every promise was kept.
    pub fn print(&self, time: Duration, memory: &[Memory]) -> bool {
        let number = |test: &dyn Fn(&Call) -> bool| self.calls.iter().filter(|c| test(c)).count();
        let reported = number(&|c| c.is(Call::REPORTED));
        let failed = self.calls.len() - reported;
        let lost = number(&|c| c.is(Call::REPORTED) && !c.is(Call::APPLIED));
        let mixed_up = number(&|c| c.is(Call::MIXED_UP));
        let unsaid = |c: &Call| !c.is(Call::REPORTED) && c.is(Call::APPLIED);
        let flagged = number(&|c| unsaid(c) && c.is(Call::FLAGGED));
        let unflagged = number(&|c| unsaid(c) && !c.is(Call::FLAGGED));
        let needless = number(&|c| c.is(Call::FLAGGED) && !c.is(Call::APPLIED));
        let retries = self.attempts.load(SeqCst).saturating_sub(self.calls.len());
        let requests = self.requests.load(SeqCst);

        println!("\ntime                                        {time:.1?}");
        println!(
            "calls                                       {}",
            self.calls.len()
        );
        println!("retries                                     {retries}");
        println!("requests that the server read               {requests}");
        println!("reported as done                            {reported}");
        println!("  of these not applied (must be 0)          {lost}");
        println!("  of these with another's answer (must be 0) {mixed_up}");
        println!("reported as failed                          {failed}");
        println!("  of these applied and flagged              {flagged}");
        println!("  of these applied, unflagged (must be 0)   {unflagged}");
        println!("  of these flagged, not applied             {needless}");
        print_counts("errors", &self.errors);
        print_counts("faults", &self.faults);
        println!("\nmemory, KiB        allocated   resident       peak");
        for (
            part,
            Memory {
                allocated,
                now,
                peak,
            },
        ) in ["10 %", "100 %"].iter().zip(memory)
        {
            let allocated = allocated >> 10;
            println!("after {part:>5} {allocated:16} {now:10} {peak:10}");
        }
        let left = memory[1].allocated > memory[0].allocated + GROWTH;
        if left {
            println!("the calls have left something allocated");
        }
        let grown = memory[1].peak > memory[0].peak;
        if grown {
            println!("the peak has grown");
        }
        lost + mixed_up + unflagged == 0 && !left && !grown
    }
}

pub fn count<K: Ord>(counts: &Mutex<BTreeMap<K, usize>>, key: K) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(key).or_default() += 1;
}

fn print_counts<K: std::fmt::Display>(title: &str, counts: &Mutex<BTreeMap<K, usize>>) {
    println!("\n{title}:");
    for (key, count) in &*counts.lock().unwrap_or_else(PoisonError::into_inner) {
        println!("{count:8}  {key}");
    }
}

fn kind(error: &sigmamind::Error) -> String {
    let kind = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connect"
    } else if error.is_decode() {
        "decode"
    } else {
        match error.status() {
            Some(status) if !status.is_success() => return status.as_str().to_owned(),
            None if error.is_rate_limited() => "rate limit, not sent",
            _ => "transport",
        }
    };
    kind.to_owned()
}

/// This process's memory, server included.
pub struct Memory {
    /// In bytes.
    allocated: usize,
    /// Resident, in KiB.
    now: u32,
    /// The most that was ever resident, in KiB.
    peak: u32,
}

impl Memory {
    pub fn now() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let read = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let Stats {
            bytes_allocated,
            bytes_deallocated,
            ..
        } = ALLOCATOR.stats();
        Ok(Self {
            allocated: bytes_allocated.saturating_sub(bytes_deallocated),
            now: read("VmRSS:").unwrap_or_default(),
            peak: read("VmHWM:").unwrap_or_default(),
        })
    }
}
