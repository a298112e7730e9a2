//! How far it is: a bar on a terminal, and else a line now and then.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    slow::{Pace, Slow},
    ui,
};

/// How often there is a line where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// How long what is granted is watched before it tells a rate.
const ENOUGH: Duration = Duration::from_secs(3);

pub struct Progress {
    bar: Option<ProgressBar>,
    slow: Slow,
    all: usize,
    done: usize,
    failed: usize,
    begun: Instant,
    said: Instant,
    /// Since when the server limits the rate, and how many were done then.
    limited: Option<(Instant, usize)>,
}

impl Progress {
    pub fn new(all: usize, slow: Slow) -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {pos} of {len}{msg}");
        let bar = io::stderr().is_terminal().then(|| {
            let target = ProgressDrawTarget::stderr();
            let bar = ProgressBar::with_draw_target(Some(all as u64), target);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            slow,
            all,
            done: 0,
            failed: 0,
            begun: Instant::now(),
            said: Instant::now(),
            limited: None,
        }
    }

    pub fn ended(&mut self, applied: bool) {
        self.done += 1;
        self.failed += usize::from(!applied);
        if let Some(bar) = &self.bar {
            bar.set_position(self.done as u64);
        }
    }

    /// To be called about once a second.
    pub fn tick(&mut self) {
        let now = (Instant::now(), self.done);
        self.limited = match self.slow.pace() {
            Pace::Free => None,
            Pace::Limited(_) => Some(self.limited.unwrap_or(now)),
        };
        if let Some(bar) = &self.bar {
            bar.set_message(self.label());
        } else if self.said.elapsed() >= LINE {
            self.said = Instant::now();
            ui::info(&format!("{} of {}{}", self.done, self.all, self.label()));
        }
    }

    /// Says something beside the bar.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| ui::info(text)),
            None => ui::info(text),
        }
    }

    fn label(&self) -> String {
        let mut words = vec![String::new()];
        if self.failed > 0 {
            words.push(format!("{} failed", self.failed));
        }
        if self.done > 0 {
            let rate = per_second(self.done, self.begun);
            let left = self.begun.elapsed().as_secs_f64() * ratio(self.all - self.done, self.done);
            let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
            words.push(format!("{rate:.1}/s"));
            words.push(format!("{} left", HumanDuration(left)));
        }
        words.extend(self.why_slow());
        words.join(", ")
    }

    /// What is granted tells what the server allows; until there is enough of it, what is tried.
    fn why_slow(&self) -> Option<String> {
        let (since, done) = self.limited?;
        let tried = match self.slow.pace() {
            Pace::Limited(tried) => tried,
            Pace::Free => None,
        };
        let rate = if since.elapsed() >= ENOUGH {
            Some(per_second(self.done - done, since))
        } else {
            tried
        };
        Some(rate.map_or("the server limits the rate".into(), |rate| {
            let digits = usize::from(rate < 9.5);
            format!("the server allows about {rate:.digits$}/s")
        }))
    }
}

fn per_second(done: usize, since: Instant) -> f64 {
    ratio(done, 1) / since.elapsed().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
