//! Refusals that are not about the rate: numbers that are always refused, refusals at random, and
//! one long pause.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use sigmamind::{Batch, Call, Client, E164, PhoneNumberUpdate};
use sigmamind_benches::{KEY, UPDATE, limit::Limit};

use crate::{
    BUCKET,
    contenders::{Contender, Failure, number},
    server::{Hint, Server},
};

/// What the server refuses whatever the rate.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// Indices of numbers that are always refused.
    pub bad: HashSet<usize>,
    /// The share of requests that is refused at random.
    pub random: f64,
    /// Everything is refused from one time to another, in seconds since the first request; with a
    /// `Retry-After` of what is left.
    pub pause: Option<(f64, f64)>,
    /// The `Retry-After` of the others, in seconds.
    pub hint: Option<u32>,
}

/// Calls by one contender, so many at once.
#[derive(Clone, Copy)]
struct Job {
    contender: Contender,
    at_once: usize,
    calls: usize,
}

impl Job {
    fn name(self) -> String {
        format!("{}, {} at once", self.contender.name(), self.at_once)
    }

    /// Returns how long the calls took that are not refused always, in seconds, and how many of
    /// them were lost.
    async fn run(self, limit: Limit, trouble: Trouble) -> Result<(f64, usize), Failure> {
        let bad = trouble.bad.clone();
        let server = Server::start_with(limit, Hint::Seconds, trouble).await?;
        let client = Client::builder()
            .api_key(KEY)
            .base_url(&*server.url)
            .max_retry_after(Duration::from_mins(2))
            .build()?;
        let numbers: Vec<E164> = (0..self.calls)
            .map(|index| number(index).parse())
            .collect::<Result<_, _>>()?;
        let update: PhoneNumberUpdate = serde_json::from_str(UPDATE)?;
        let calls = numbers
            .iter()
            .map(|number| client.update_phone_number(number, &update));

        let start = Instant::now();
        let mut others = self.calls - bad.len();
        let mut lost = 0;
        let mut count = |index: usize, succeeded: bool| {
            if !bad.contains(&index) {
                others -= 1;
                lost += usize::from(!succeeded);
            }
            others == 0
        };
        if self.contender == Contender::Batch {
            let mut batch = Batch::new(calls).concurrency(self.at_once);
            while let Some((index, outcome)) = batch.next().await {
                if count(index, outcome.is_ok()) {
                    break;
                }
            }
        } else {
            let sent = calls.map(Call::send).enumerate();
            let sent = sent.map(|(index, call)| async move { (index, call.await.is_ok()) });
            let mut outcomes = stream::iter(sent).buffer_unordered(self.at_once);
            while let Some((index, succeeded)) = outcomes.next().await {
                if count(index, succeeded) {
                    break;
                }
            }
        }
        Ok((start.elapsed().as_secs_f64(), lost))
    }
}

/// Prints a row. Returns whether its bound is kept.
fn report(name: &str, job: Job, bound: f64, (time, lost): (f64, usize)) -> bool {
    let kept = time <= bound && lost == 0;
    println!(
        "{name:38} | {:24} | lost {lost} | {time:6.1} s | at most {bound:6.1} s{}",
        job.name(),
        if kept { "" } else { " | NOT KEPT" }
    );
    kept
}

/// Runs the rows that are wanted. Returns whether every bound is kept.
pub async fn run(wants: impl Fn(&str) -> bool) -> Result<bool, Failure> {
    let mut kept = true;
    for contender in [Contender::Plain, Contender::Batch] {
        for at_once in [16, 64] {
            let job = |calls| Job {
                contender,
                at_once,
                calls,
            };
            if wants("bad") {
                kept &= bad_numbers(job(3000)).await?;
            }
            if wants("random") {
                // Half a minute without refusals, at 20 ms a call.
                kept &= random(job(1200 * at_once)).await?;
            }
            if wants("pause") && at_once == 16 {
                kept &= long_pause(job(300)).await?;
            }
            if wants("first four") && contender == Contender::Batch {
                kept &= first_four(job(60)).await?;
            }
        }
    }
    Ok(kept)
}

/// One of 3,000 numbers, and ten spread over them, are always refused.
async fn bad_numbers(job: Job) -> Result<bool, Failure> {
    let (alone, _) = job.run(Limit::None, Trouble::default()).await?;
    let mut kept = true;
    let ten = (0..10).map(|index| index * job.calls / 10);
    for (name, bad) in [
        ("one bad number", HashSet::from([job.calls / 4])),
        ("ten bad numbers", ten.collect()),
    ] {
        for hint in [None, Some(0), Some(1), Some(30)] {
            let trouble = Trouble {
                bad: bad.clone(),
                hint,
                ..Trouble::default()
            };
            let bound = 2.0 * alone + f64::from(hint.unwrap_or_default()) + 5.0;
            let name = match hint {
                Some(seconds) => format!("{name}, Retry-After: {seconds}"),
                None => format!("{name}, no hint"),
            };
            let outcome = job.run(Limit::None, trouble).await?;
            kept &= report(&name, job, bound, outcome);
        }
    }
    Ok(kept)
}

/// The first four numbers of a batch are always refused.
async fn first_four(job: Job) -> Result<bool, Failure> {
    let mut kept = true;
    for hint in [None, Some(0), Some(1)] {
        let trouble = Trouble {
            bad: (0..4).collect(),
            hint,
            ..Trouble::default()
        };
        let name = format!("the first four bad, hint {hint:?}");
        kept &= report(&name, job, 20.0, job.run(Limit::None, trouble).await?);
    }
    Ok(kept)
}

/// 1 % of the requests are refused at random, without a hint.
async fn random(job: Job) -> Result<bool, Failure> {
    let (alone, _) = job.run(Limit::None, Trouble::default()).await?;
    let trouble = Trouble {
        random: 0.01,
        ..Trouble::default()
    };
    let outcome = job.run(Limit::None, trouble).await?;
    let name = format!("1 % at random (alone {alone:.1} s)");
    Ok(report(&name, job, 2.0 * alone, outcome))
}

/// A pause of 65 s in the middle of 300 numbers at 20 a second.
async fn long_pause(job: Job) -> Result<bool, Failure> {
    const PAUSE: f64 = 65.0;
    let trouble = Trouble {
        pause: Some((5.0, 5.0 + PAUSE)),
        ..Trouble::default()
    };
    let bound = 1.05 * PAUSE + 1.10 * BUCKET.least(job.calls);
    let outcome = job.run(BUCKET, trouble).await?;
    Ok(report("a pause of 65 s", job, bound, outcome))
}
