//! What a server grants.

use std::time::Instant;

/// A limit of the rate.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    None,
    /// A token bucket, full at first; from the first time to the second (in seconds) its rate is
    /// another.
    Bucket {
        rate: f64,
        burst: f64,
        slow: Option<(f64, f64, f64)>,
    },
    /// So many in each period (in seconds) from the first request on.
    Window {
        most: u32,
        period: f64,
    },
}

impl Limit {
    /// The least time in which so many can be granted, in seconds.
    ///
    /// # Panics
    ///
    /// If there are 2³² calls or more.
    #[must_use]
    pub fn least(self, calls: usize) -> f64 {
        let calls = f64::from(u32::try_from(calls).expect("there are not so many"));
        match self {
            Self::None => 0.0,
            Self::Bucket { rate, burst, slow } => {
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
            Self::Window { most, period } => ((calls - 1.0) / f64::from(most)).floor() * period,
        }
    }
}

/// A limit, and how much of it is used.
pub struct Limiter {
    limit: Limit,
    /// When the first request came; times are since then, in seconds.
    first: Option<Instant>,
    /// Tokens, or what was granted in the period.
    level: f64,
    /// When it was so.
    at: f64,
}

impl Limiter {
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        let level = match limit {
            Limit::Bucket { burst, .. } => burst,
            _ => 0.0,
        };
        Self {
            limit,
            first: None,
            level,
            at: 0.0,
        }
    }

    /// How many seconds ago the first request came.
    #[must_use]
    pub fn age(&self) -> f64 {
        self.first
            .map_or(0.0, |first| first.elapsed().as_secs_f64())
    }

    /// Grants a request, or says how many seconds it is too early.
    pub fn ask(&mut self) -> Option<f64> {
        self.first.get_or_insert_with(Instant::now);
        let now = self.age();
        match self.limit {
            Limit::None => None,
            Limit::Bucket { rate, burst, slow } => {
                let slow = slow.filter(|(_, from, to)| (*from..*to).contains(&now));
                let rate = slow.map_or(rate, |(slow, ..)| slow);
                self.level = (self.level + (now - self.at) * rate).min(burst);
                self.at = now;
                if self.level < 1.0 {
                    return Some((1.0 - self.level) / rate);
                }
                self.level -= 1.0;
                None
            }
            Limit::Window { most, period } => {
                if now >= self.at + period {
                    self.at = (now / period).floor() * period;
                    self.level = 0.0;
                }
                if self.level >= f64::from(most) {
                    return Some(self.at + period - now);
                }
                self.level += 1.0;
                None
            }
        }
    }
}
