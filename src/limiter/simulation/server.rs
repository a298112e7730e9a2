//! Simulated servers: their limits and refusals.

use std::time::Duration;

/// Limit that all clients of a server share.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    None,
    /// A token bucket, full at first. From one time to another it fills at another rate.
    Bucket {
        rate: f64,
        burst: f64,
        slow: Option<Slowdown>,
    },
    /// At most `max` in each period; the first one began `elapsed` seconds earlier.
    Window {
        max: u32,
        period: f64,
        elapsed: f64,
    },
}

/// A part of the time, in seconds, in which a bucket fills more slowly.
#[derive(Debug, Clone, Copy)]
pub struct Slowdown {
    pub rate: f64,
    pub from: f64,
    pub to: f64,
}

/// Form in which a server says when to retry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hint {
    Seconds,
    Millis,
    None,
}

pub const HINTS: [Hint; 3] = [Hint::Seconds, Hint::Millis, Hint::None];

/// Refusals that have nothing to do with the rate.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// Calls that are always refused.
    pub bad: Vec<u32>,
    /// The share of requests that is refused at random.
    pub random: f64,
    /// Everything is refused from one time to another, in seconds. The hint is what is left.
    pub outage: Option<(f64, f64)>,
    /// The hint with refusals of bad calls and at random, in seconds.
    pub hint: Option<f64>,
}

pub const fn bucket(rate: f64, burst: f64) -> Limit {
    let slow = None;
    Limit::Bucket { rate, burst, slow }
}

pub const fn window(max: u32, period: f64, elapsed: f64) -> Limit {
    Limit::Window {
        max,
        period,
        elapsed,
    }
}

/// An answer, or a refusal with its hint.
pub type Answer = Result<(), Option<Duration>>;

pub struct Server {
    limit: Limit,
    hint: Hint,
    trouble: Trouble,
    /// Tokens of a bucket, or what was granted in a window.
    level: f64,
    updated: f64,
}

impl Server {
    pub fn new(limit: Limit, hint: Hint, trouble: Trouble) -> Self {
        let level = match limit {
            Limit::Bucket { burst, .. } => burst,
            Limit::Window { .. } | Limit::None => 0.0,
        };
        Self {
            limit,
            hint,
            trouble,
            level,
            updated: 0.0,
        }
    }

    /// Answers a request of a call. `random` is a number from 0 to 1.
    pub fn answer(&mut self, now: f64, call: u32, random: f64) -> Answer {
        if let Some((from, to)) = self.trouble.outage
            && (from..to).contains(&now)
        {
            return Err(Some(seconds((to - now).ceil())));
        }
        if self.trouble.bad.contains(&call) || random < self.trouble.random {
            return Err(self.trouble.hint.map(seconds));
        }
        let wait = match self.limit {
            Limit::None => None,
            Limit::Bucket { rate, burst, slow } => self.take_token(now, rate, burst, slow),
            Limit::Window {
                max,
                period,
                elapsed,
            } => self.take_place(now + elapsed, max, period),
        };
        wait.map_or(Ok(()), |wait| {
            Err(match self.hint {
                Hint::Seconds => Some(seconds(wait.ceil().max(1.0))),
                Hint::Millis => Some(seconds((wait * 1000.0).ceil() / 1000.0)),
                Hint::None => None,
            })
        })
    }

    fn take_token(
        &mut self,
        now: f64,
        rate: f64,
        burst: f64,
        slow: Option<Slowdown>,
    ) -> Option<f64> {
        let slow = slow.filter(|slow| (slow.from..slow.to).contains(&now));
        let rate = slow.map_or(rate, |slow| slow.rate);
        self.level = (self.level + (now - self.updated) * rate).min(burst);
        self.updated = now;
        if self.level < 1.0 {
            return Some((1.0 - self.level) / rate);
        }
        self.level -= 1.0;
        None
    }

    fn take_place(&mut self, now: f64, max: u32, period: f64) -> Option<f64> {
        if now >= self.updated + period {
            self.updated = (now / period).floor() * period;
            self.level = 0.0;
        }
        if self.level >= f64::from(max) {
            return Some(self.updated + period - now);
        }
        self.level += 1.0;
        None
    }
}

/// Returns the least time in which so many calls can be granted, in seconds.
pub fn least_time(limit: Limit, calls: u32) -> f64 {
    let calls = f64::from(calls);
    match limit {
        Limit::None => 0.0,
        Limit::Bucket { rate, burst, slow } => {
            let Slowdown {
                rate: slow,
                from,
                to,
            } = slow.unwrap_or(Slowdown {
                rate,
                from: 0.0,
                to: 0.0,
            });
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
            max,
            period,
            elapsed,
        } => ((calls - 1.0) / f64::from(max)).floor() * period - elapsed,
    }
}

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
