//! The measurements.

use std::{
    alloc::System,
    env,
    error::Error,
    process::Command,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use sigmamind::{Client, PhoneNumberUpdate};
use sigmamind_benches::{KEY, NUMBER, UPDATE};
use stats_alloc::{Region, StatsAlloc};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What calls cost this process.
#[derive(Clone)]
pub struct Cost {
    /// Calls per second.
    pub rate: f64,
    /// Microseconds of CPU per call, in the program and in the kernel.
    pub cpu: f64,
    /// Allocations and reallocations per call.
    pub allocations: f64,
}

#[allow(clippy::cast_precision_loss, reason = "the numbers are small")]
impl Cost {
    pub fn of(
        allocator: &StatsAlloc<System>,
        calls: usize,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<Self> {
        let calls = calls as f64;
        let allocated = Region::new(allocator);
        let cpu = cpu()?;
        let start = Instant::now();
        work()?;
        let time = start.elapsed();
        let cpu = self::cpu()? - cpu;
        let allocated = allocated.change();
        Ok(Self {
            rate: calls / time.as_secs_f64(),
            cpu: cpu as f64 / calls,
            allocations: (allocated.allocations + allocated.reallocations) as f64 / calls,
        })
    }
}

/// What this process has used, in microseconds.
fn cpu() -> Result<i64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds())
}

pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Instructions per call, by valgrind; `None` if that is not there.
///
/// Two runs of different length: the difference has nothing of what is done once.
pub fn instructions(contender: usize, origin: &str) -> Option<f64> {
    let count = |calls: u32| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe().ok()?)
            .args(["client", &contender.to_string(), origin, &calls.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8(output.stderr).ok()?;
        let (_, count) = report.split_once("Collected : ")?;
        count.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some((count(1200)? - count(200)?) / 1000.0)
}

/// Calls per second of so many callers of one client.
#[allow(clippy::cast_precision_loss, reason = "the numbers are small")]
pub fn many(origin: &str, callers: usize) -> Result<f64> {
    const TIME: Duration = Duration::from_secs(1);
    let update: PhoneNumberUpdate = serde_json::from_str(UPDATE)?;
    let client = Client::builder().api_key(KEY).base_url(origin).build()?;
    let number: sigmamind::E164 = NUMBER.parse()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let start = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (client, number, update) = (client.clone(), number.clone(), update.clone());
                tokio::spawn(async move {
                    let mut calls = 0_u32;
                    while start.elapsed() < TIME {
                        client.update_phone_number(&number, &update).await?;
                        calls += 1;
                    }
                    Result::Ok(calls)
                })
            })
            .collect();
        let mut calls = 0;
        for task in tasks {
            calls += task.await??;
        }
        Ok(f64::from(calls) / start.elapsed().as_secs_f64())
    })
}
