//! Many updates against a server that limits the rate: what is lost, how long it takes, and how
//! often the server has to refuse.
//!
//! `cargo run --release -p sigmamind-benches --bin fleet -- [--svg] [ROW…]` (default: all rows, in
//! about 35 minutes). Each row is run by each contender in turn: this client by
//! `buffer_unordered`, this client by `Batch`, and reqwest with reqwest-retry, with 10 retries.
//! `--svg` draws `docs/limiter.svg` from the row `64, Retry-After: 1`. The server answers after 20 to
//! 40 ms.

mod contenders;
mod picture;
mod server;
mod trouble;

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use contenders::{CONTENDERS, Contender, Failure};
use futures_util::{StreamExt, stream};
use server::{Hint, Seen, Server};
use sigmamind::{Call, Client, E164, PhoneNumberUpdate};
use sigmamind_benches::{KEY, NUMBER, UPDATE, limit::Limit};
use tokio::process::Command;

const CALLS: usize = 300;
const BUCKET: Limit = bucket(None);
const DROP: Limit = bucket(Some((5.0, 5.0, 12.0)));
const SECOND: Limit = Limit::Window {
    most: 20,
    period: 1.0,
};
const TEN: Limit = Limit::Window {
    most: 100,
    period: 10.0,
};
/// How many calls, and how many at once, without a limit.
const UNLIMITED: (usize, usize) = (40_000, 256);

const fn bucket(slow: Option<(f64, f64, f64)>) -> Limit {
    Limit::Bucket {
        rate: 20.0,
        burst: 20.0,
        slow,
    }
}

struct Row {
    name: &'static str,
    limit: Limit,
    hint: Hint,
    at_once: usize,
    processes: usize,
}

const fn row(
    name: &'static str,
    limit: Limit,
    hint: Hint,
    at_once: usize,
    processes: usize,
) -> Row {
    Row {
        name,
        limit,
        hint,
        at_once,
        processes,
    }
}

const PICTURED: usize = 3;
const ROWS: [Row; 10] = [
    row("16, Retry-After: 1", BUCKET, Hint::Seconds, 16, 1),
    row("16, retry-after-ms", BUCKET, Hint::Millis, 16, 1),
    row("16, no hint", BUCKET, Hint::None, 16, 1),
    row("64, Retry-After: 1", BUCKET, Hint::Seconds, 64, 1),
    row("64, retry-after-ms", BUCKET, Hint::Millis, 64, 1),
    row("64, no hint", BUCKET, Hint::None, 64, 1),
    row("16, 20 > 5 > 20 a second", DROP, Hint::Seconds, 16, 1),
    row("16, 20 in each second", SECOND, Hint::Seconds, 16, 1),
    row("16, 100 in each 10 s", TEN, Hint::Seconds, 16, 1),
    row("16, two processes", BUCKET, Hint::Seconds, 16, 2),
];

/// What one contender made of a row.
struct Outcome {
    lost: usize,
    /// From the first request to the last outcome, over the least time possible.
    time: f64,
    /// Refused over granted.
    refused: f64,
    /// The least part that one of several processes got until the first was done.
    share: Option<f64>,
    seen: Vec<Seen>,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    if let [first, rest @ ..] = &arguments[..]
        && first == "worker"
    {
        return contenders::worker(rest).await;
    }
    let svg = arguments.iter().any(|argument| argument == "--svg");
    let wanted: Vec<_> = arguments.iter().filter(|name| *name != "--svg").collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(&***part));

    print!("{:26}", format!("{CALLS} calls, at once"));
    for contender in CONTENDERS {
        print!("| {:27}", contender.name());
    }
    print!("\n{:26}", "");
    for _ in CONTENDERS {
        print!(
            "| {:>4} {:>6} {:>8} {:>6}",
            "lost", "time", "refused", "share"
        );
    }
    println!();
    let mut kept = true;
    for (number, row) in ROWS.iter().enumerate() {
        if !wants(row.name) {
            continue;
        }
        print!("{:26}", row.name);
        let mut outcomes = Vec::new();
        for contender in CONTENDERS {
            let outcome = row.run(contender).await?;
            let share = outcome.share.map(|share| format!("{:.0} %", 100.0 * share));
            let refused = format!("{:.1} %", 100.0 * outcome.refused);
            let Outcome { lost, time, .. } = outcome;
            print!(
                "| {lost:>4} {time:>6.2} {refused:>8} {:>6}",
                share.unwrap_or_default()
            );
            io::stdout().flush()?;
            kept &= contender == Contender::Retry || row.holds(contender, &outcome);
            outcomes.push(outcome);
        }
        println!();
        if svg && number == PICTURED {
            let [plain, _, retry] = &outcomes[..] else {
                unreachable!("there are three contenders");
            };
            picture::draw(&plain.seen, &retry.seen)?;
        }
    }
    if wants("unlimited") {
        kept &= unlimited().await?;
    }
    kept &= trouble::run(wants).await?;
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        println!("a bound is not kept");
        ExitCode::FAILURE
    })
}

impl Row {
    async fn run(&self, contender: Contender) -> Result<Outcome, Failure> {
        let server = Server::start(self.limit, self.hint).await?;
        let lost = if self.processes == 1 {
            contender.run(&server.url, 0, CALLS, self.at_once).await?
        } else {
            self.in_processes(contender, &server.url).await?
        };
        let time = server.age();
        let seen = server.seen();
        let granted = seen.iter().filter(|seen| seen.granted).count();
        let refused = seen.len() - granted;
        Ok(Outcome {
            lost,
            time: time / self.limit.least(CALLS * self.processes),
            refused: ratio(refused, granted),
            share: (self.processes > 1).then(|| self.share(&seen)),
            seen,
        })
    }

    async fn in_processes(&self, contender: Contender, url: &str) -> Result<usize, Failure> {
        let program = env::current_exe()?;
        let mut workers = Vec::new();
        for process in 0..self.processes {
            let numbers = [process * CALLS, CALLS, self.at_once].map(|number| number.to_string());
            let mut worker = Command::new(&program);
            worker.args(["worker", contender.name(), url]).args(numbers);
            workers.push(worker.spawn()?);
        }
        let mut lost = 0;
        for mut worker in workers {
            let code = worker.wait().await?.code().ok_or("a worker was killed")?;
            lost += usize::try_from(code)?;
        }
        Ok(lost)
    }

    /// The least part that a process got of what was granted until the first had all it wanted.
    fn share(&self, seen: &[Seen]) -> f64 {
        let mut granted = vec![0; self.processes];
        for seen in seen.iter().filter(|seen| seen.granted) {
            granted[seen.index / CALLS] += 1;
            if granted.contains(&CALLS) {
                break;
            }
        }
        let least = granted.iter().min().copied().unwrap_or_default();
        ratio(least, granted.iter().sum())
    }

    /// Whether the outcome of this client is as it is promised.
    fn holds(&self, contender: Contender, outcome: &Outcome) -> bool {
        let steady = matches!(self.limit, Limit::Bucket { slow: None, .. }) && self.processes == 1;
        let millis = matches!(self.hint, Hint::Millis);
        let refused = match (contender, self.at_once) {
            (Contender::Batch, _) if millis => 0.11,
            (Contender::Batch, _) | (_, 16) => 0.09,
            _ => 0.21,
        };
        outcome.lost == 0
            && (!steady || outcome.time <= 1.10 && outcome.refused <= refused)
            && outcome.share.is_none_or(|share| share >= 0.35)
    }
}

/// Calls a second without a limit, with the limiter off, on and not there at all.
///
/// Returns whether asking costs at most 5 %.
async fn unlimited() -> Result<bool, Failure> {
    let (calls, at_once) = UNLIMITED;
    let server = Server::start(Limit::None, Hint::None).await?;
    let client = || Client::builder().api_key(KEY).base_url(&*server.url);
    let off = client().build()?;
    // It is asked for each turn, and always grants it.
    let on = client().rate_limit(1e9).build()?;
    let bare = reqwest::Client::builder().no_proxy().build()?;
    let number: E164 = NUMBER.parse()?;
    let update: PhoneNumberUpdate = serde_json::from_str(UPDATE)?;
    let url = format!("{}/v1/phone-number/{NUMBER}", server.url);

    let mut best = [0.0_f64; 3];
    for _ in 0..5 {
        for (best, client) in best.iter_mut().zip([Some(&off), Some(&on), None]) {
            let start = Instant::now();
            let done = if let Some(client) = client {
                let calls = (0..calls).map(|_| client.update_phone_number(&number, &update));
                let outcomes = stream::iter(calls.map(Call::send)).buffer_unordered(at_once);
                outcomes
                    .filter(|outcome| std::future::ready(outcome.is_ok()))
                    .count()
                    .await
            } else {
                let sent = (0..calls).map(|_| {
                    let request = bare.patch(&url).header("x-api-key", KEY);
                    let request = request
                        .header("content-type", "application/json")
                        .body(UPDATE);
                    async { request.send().await?.bytes().await }
                });
                let outcomes = stream::iter(sent).buffer_unordered(at_once);
                outcomes
                    .filter(|outcome| std::future::ready(outcome.is_ok()))
                    .count()
                    .await
            };
            *best = best.max(rate(done, start.elapsed()));
        }
    }
    let [off, on, bare] = best;
    println!(
        "{at_once} at once, unlimited: {off:.0} calls a second with the limiter off, {on:.0} with each \
         asking it ({:.1} %); reqwest alone {bare:.0}",
        100.0 * on / off
    );
    Ok(on.min(off) >= 0.95 * on.max(off))
}

fn ratio(part: usize, whole: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "they are small")]
    let ratio = part as f64 / whole.max(1) as f64;
    ratio
}

fn rate(calls: usize, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "they are not so many")]
    let rate = calls as f64 / time.as_secs_f64();
    rate
}
