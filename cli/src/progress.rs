//! How far it is: a bar on a terminal, and else a line now and then.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{screen, slow::Slow};

/// How often there is a line where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

pub struct Progress {
    bar: Option<ProgressBar>,
    slow: Slow,
    all: usize,
    done: usize,
    failed: usize,
    begun: Instant,
    said: Instant,
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
        if let Some(bar) = &self.bar {
            bar.set_message(self.words());
        } else if self.said.elapsed() >= LINE {
            self.said = Instant::now();
            screen::say(&format!("{} of {}{}", self.done, self.all, self.words()));
        }
    }

    /// Says something beside the bar.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| screen::say(text)),
            None => screen::say(text),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "it is shown with one digit")]
    fn words(&self) -> String {
        let mut words = vec![String::new()];
        if self.failed > 0 {
            words.push(format!("{} failed", self.failed));
        }
        let rate = self.done as f64 / self.begun.elapsed().as_secs_f64();
        if self.done > 0 {
            let left = Duration::try_from_secs_f64((self.all - self.done) as f64 / rate);
            words.push(format!("{rate:.1}/s"));
            words.push(format!(
                "{} left",
                HumanDuration(left.unwrap_or(Duration::MAX))
            ));
        }
        words.extend(self.slow.reason());
        words.join(", ")
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
