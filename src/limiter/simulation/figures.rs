//! Bounds of time, refusals and shares. Each test prints its figures.

use super::{
    server::{HINTS, Slowdown, bucket, window},
    *,
};

const BUCKET: Limit = bucket(20.0, 20.0);
const DROP: Limit = Limit::Bucket {
    rate: 20.0,
    burst: 20.0,
    slow: Some(Slowdown {
        rate: 5.0,
        from: 5.0,
        to: 12.0,
    }),
};

/// Averages over some latencies and seeds.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Over the least time.
    time: f64,
    /// Refused over granted.
    refused: f64,
}

fn figures(limit: Limit, hint: Hint, job: Job) -> Figures {
    const LATENCIES: [f64; 3] = [0.005, 0.02, 0.08];
    const SEEDS: u32 = 5;
    let mut sums = Figures {
        time: 0.0,
        refused: 0.0,
    };
    for latency in LATENCIES {
        for seed in 0..SEEDS {
            let setup = Setup {
                limit,
                hint,
                trouble: Trouble::default(),
                latency,
                seed: seed.into(),
            };
            let outcome = &run(&setup, &[job])[0];
            sums.time += outcome.ended / least_time(limit, job.calls);
            sums.refused += f64::from(outcome.refused) / f64::from(outcome.granted);
        }
    }
    let runs = f64::from(SEEDS) * 3.0;
    Figures {
        time: sums.time / runs,
        refused: sums.refused / runs,
    }
}

/// Fails if 300 calls take longer or are refused more often, 16 or 64 at once, as a `Batch` or not.
fn check(limit: Limit, hint: Hint, time: f64, refused: [f64; 2]) {
    for is_batch in [false, true] {
        for (concurrency, refused) in [16, 64].into_iter().zip(refused) {
            let job = Job {
                calls: 300,
                concurrency,
                is_batch,
                begins: 0.0,
            };
            let figures = figures(limit, hint, job);
            let kept = figures.time <= time && figures.refused <= refused;
            println!(
                "{}: {limit:?}, hint {hint:?}: time {:.3} <= {time}, refused {:.3} <= {refused}",
                job.name(),
                figures.time,
                figures.refused
            );
            assert!(kept);
        }
    }
}

#[test]
fn token_bucket_is_used_up_and_seldom_refuses() {
    // 44 of 64 calls that begin at once are refused: 15 %.
    check(BUCKET, Hint::Seconds, 1.07, [0.075, 0.195]);
    check(BUCKET, Hint::Millis, 1.03, [0.075, 0.195]);
    check(BUCKET, Hint::None, 1.045, [0.09, 0.21]);
}

#[test]
fn batch_is_seldom_refused_whatever_its_concurrency() {
    let batch = Job {
        calls: 300,
        concurrency: 64,
        is_batch: true,
        begins: 0.0,
    };
    for hint in HINTS {
        let figures = figures(BUCKET, hint, batch);
        println!("batch 64 {hint:?} {figures:?}");
        assert!(
            figures.time < 1.07 && figures.refused < 0.09,
            "{hint:?}: {figures:?}"
        );
    }
}

#[test]
fn small_burst_is_not_taken_for_a_low_rate() {
    check(bucket(20.0, 5.0), Hint::Millis, 1.15, [0.075, 0.23]);
    check(bucket(20.0, 5.0), Hint::None, 1.26, [0.08, 0.24]);
}

#[test]
fn limit_that_drops_and_comes_back_is_followed() {
    for hint in HINTS {
        check(DROP, hint, 1.13, [0.12, 0.24]);
    }
}

#[test]
fn windows_are_used() {
    check(window(20, 1.0, 0.3), Hint::Seconds, 1.65, [0.1, 0.22]);
    check(window(20, 1.0, 0.3), Hint::Millis, 1.3, [0.1, 0.22]);
    for hint in [Hint::Seconds, Hint::Millis] {
        check(window(100, 10.0, 3.0), hint, 1.37, [0.12, 0.24]);
    }
    check(window(100, 10.0, 3.0), Hint::None, 1.45, [0.15, 0.29]);
}

#[test]
fn two_processes_with_one_key_get_similar_shares() {
    const SEEDS: u32 = 20;
    let mut unfair = 0;
    for hint in HINTS {
        for (is_batch, begins) in [(false, 0.0), (true, 0.0), (false, 3.0), (true, 3.0)] {
            let jobs = [0.0, begins].map(|begins| Job {
                calls: 300,
                concurrency: 16,
                is_batch,
                begins,
            });
            let mut mean = 0.0;
            for (seed, latency) in (0..SEEDS).zip([0.005, 0.03, 0.08].into_iter().cycle()) {
                let setup = Setup {
                    limit: BUCKET,
                    hint,
                    trouble: Trouble::default(),
                    latency,
                    seed: seed.into(),
                };
                let [one, two] = &run(&setup, &jobs)[..] else {
                    unreachable!("there are two");
                };
                assert_eq!(one.granted + two.granted, 600);
                let least = one.share.min(two.share);
                unfair += u32::from(least < 0.35);
                mean += least / f64::from(SEEDS);
            }
            println!(
                "{}: two, {begins} s apart, hint {hint:?}: {mean:.3} > 0.43",
                jobs[0].name()
            );
            assert!(
                mean > 0.43 || std::env::var("ALL").is_ok(),
                "{hint:?}, {jobs:?}: {mean}"
            );
        }
    }
    // Of 240.
    println!("unfair: {unfair} <= 5 of 240");
    assert!(unfair <= 5, "{unfair}");
}

impl Job {
    fn name(&self) -> String {
        let kind = if self.is_batch { "Batch" } else { "plain" };
        format!("{kind}, {} at once", self.concurrency)
    }
}

/// Returns the time for the calls that can be granted, on a server without a limit that answers
/// after 20 ms.
fn time(job: Job, trouble: Trouble, seed: u64) -> f64 {
    let setup = Setup {
        limit: Limit::None,
        hint: Hint::None,
        trouble,
        latency: 0.02,
        seed,
    };
    run(&setup, &[job])[0].ended
}

fn jobs(calls: u32) -> impl Iterator<Item = Job> {
    [(16, false), (16, true), (64, false), (64, true)]
        .into_iter()
        .map(move |(concurrency, is_batch)| Job {
            calls,
            concurrency,
            is_batch,
            begins: 0.0,
        })
}

#[test]
fn bad_calls_hold_up_nobody() {
    let spread: Vec<_> = (0..10).map(|index| 300 * index).collect();
    for job in jobs(3000) {
        let base = time(job, Trouble::default(), 0);
        for (name, bad) in [
            ("the first", vec![0]),
            ("one", vec![700]),
            ("ten, spread", spread.clone()),
        ] {
            for hint in [None, Some(1.0), Some(30.0)] {
                let bound = 2.0 * base + hint.unwrap_or_default() + 5.0;
                let bad = bad.clone();
                let time = time(
                    job,
                    Trouble {
                        bad,
                        hint,
                        ..Trouble::default()
                    },
                    1,
                );
                println!(
                    "{}: {name}, hint {hint:?}: {time:.1} s <= {bound:.1} s (alone {base:.1} s)",
                    job.name()
                );
                assert!(time <= bound);
            }
        }
    }
}

#[test]
fn first_four_of_a_batch_hold_up_nobody() {
    for job in jobs(60).filter(|job| job.is_batch) {
        for hint in [None, Some(1.0)] {
            for seed in 0..5 {
                let bad = vec![0, 1, 2, 3];
                let time = time(
                    job,
                    Trouble {
                        bad,
                        hint,
                        ..Trouble::default()
                    },
                    seed,
                );
                println!("{}: hint {hint:?}: {time:.1} s <= 20 s", job.name());
                assert!(time <= 20.0);
            }
        }
    }
}

#[test]
fn random_refusals_slow_down_little() {
    for job in jobs(5000) {
        let base = time(job, Trouble::default(), 0);
        let mut times: Vec<_> = (0..5)
            .map(|seed| {
                let trouble = Trouble {
                    random: 0.01,
                    ..Trouble::default()
                };
                time(job, trouble, seed)
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{}: 1 % at random: {times:.1?} s (alone {base:.1} s)",
            job.name()
        );
        // Now and then there is a pause without need, and the rate takes some time to come back.
        assert!(times[2] <= 2.0 * base && times[3] <= 2.0 * base + 5.0);
    }
}

#[test]
fn long_pause_is_waited_for_once() {
    for job in jobs(300) {
        let setup = Setup {
            limit: BUCKET,
            hint: Hint::Seconds,
            trouble: Trouble {
                outage: Some((5.0, 65.0)),
                ..Trouble::default()
            },
            latency: 0.02,
            seed: 0,
        };
        let outcome = &run(&setup, &[job])[0];
        // 300 calls take 14 s by themselves, and the bucket fills in the pause.
        println!("{}: {:.1} s <= 80 s", job.name(), outcome.ended);
        assert!(outcome.ended <= 80.0);
    }
}
