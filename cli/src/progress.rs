//! Progress of a job: a bar on a terminal, and otherwise a line from time to time.

use std::{
    env,
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use sigmamind::Client;

use crate::{stops::seconds, ui};

/// Interval between progress lines where no bar is shown.
const LINE: Duration = Duration::from_secs(10);

pub struct Progress {
    bar: Option<ProgressBar>,
    all: usize,
    done: usize,
    failed: usize,
    started: Instant,
    said: Instant,
}

impl Progress {
    pub fn new(all: usize) -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {pos} of {len}{msg}");
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let has_bar = io::stderr().is_terminal() && !is_dumb && !ui::is_quiet() && all > 0;
        let bar = has_bar.then(|| {
            let target = ProgressDrawTarget::stderr();
            let bar = ProgressBar::with_draw_target(Some(all as u64), target);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            all,
            done: 0,
            failed: 0,
            started: Instant::now(),
            said: Instant::now(),
        }
    }

    pub fn done(&self) -> usize {
        self.done
    }

    pub fn ended(&mut self, applied: bool) {
        self.done += 1;
        self.failed += usize::from(!applied);
        if let Some(bar) = &self.bar {
            bar.set_position(self.done as u64);
        }
    }

    /// To be called about once a second.
    pub fn tick(&mut self, client: &Client) {
        let label = self.label(client);
        if let Some(bar) = &self.bar {
            bar.set_message(label);
        } else if self.said.elapsed() >= LINE {
            self.said = Instant::now();
            ui::info(&format!("{} of {}{label}", self.done, self.all));
        }
    }

    /// Says something beside the bar.
    pub fn info(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| ui::info(text)),
            None => ui::info(text),
        }
    }

    fn label(&self, client: &Client) -> String {
        let mut parts = vec![String::new()];
        if self.failed > 0 {
            parts.push(format!("{} failed", self.failed));
        }
        if self.done > 0 {
            let elapsed = self.started.elapsed().as_secs_f64();
            let left = elapsed * ratio(self.all - self.done, self.done);
            let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
            parts.push(format!("{:.1}/s", ratio(self.done, 1) / elapsed));
            parts.push(format!("{} left", HumanDuration(left)));
        }
        parts.extend(why_slow(client));
        parts.join(", ")
    }
}

/// Returns what holds requests back, if anything does.
fn why_slow(client: &Client) -> Option<String> {
    let status = client.rate_limiter();
    if let Some(pause) = status.pause() {
        return Some(format!("paused by the server for {}", seconds(pause)));
    }
    let rate = status.rate()?;
    let digits = usize::from(rate < 9.5);
    Some(format!("limited to about {rate:.digits$}/s"))
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
