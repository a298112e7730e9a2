//! When it is pointless to continue a job.

use std::{
    collections::HashSet,
    fmt, io,
    time::{Duration, Instant},
};

use sigmamind::{Error, ErrorKind};

use crate::{args::Sending, failure::Exit, outcome::is_unreachable, text::count};

/// Why sending has ended.
#[derive(Debug)]
pub enum StopReason {
    /// There is nothing more to send.
    End,
    /// 401.
    KeyRefused,
    /// 403 so many times in a row.
    Forbidden(usize),
    /// Nothing has succeeded for so long, and so many numbers did not reach the server.
    Outage(Duration, usize),
    /// The server asks for such a pause.
    Pause(Duration),
    TooManyFailures(usize),
    Declined,
    Interrupted,
    /// The journal cannot be written.
    Journal(io::Error),
}

impl StopReason {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::End => "end",
            Self::KeyRefused => "key_refused",
            Self::Forbidden(_) => "forbidden",
            Self::Outage(..) => "outage",
            Self::Pause(_) => "pause",
            Self::TooManyFailures(_) => "too_many_failures",
            Self::Declined => "declined",
            Self::Interrupted => "interrupted",
            Self::Journal(_) => "journal",
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::End => Exit::Done,
            Self::Interrupted => Exit::Interrupted,
            _ => Exit::Stopped,
        }
    }

    pub fn is_end(&self) -> bool {
        matches!(self, Self::End)
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("done"),
            Self::KeyRefused => f.write_str("the server refuses the API key (401); check the key"),
            Self::Forbidden(times) => write!(
                f,
                "the server answered 403 {times} times in a row; check what the API key may do"
            ),
            Self::Outage(duration, numbers) => write!(
                f,
                "nothing has succeeded for {} and {} could not reach the server; check the network \
                 and the base URL",
                seconds(*duration),
                count(*numbers, "number"),
            ),
            Self::Pause(wait) => write!(
                f,
                "the server asks for a pause of {}, which is longer than --max-wait",
                seconds(*wait)
            ),
            Self::TooManyFailures(failures) => write!(f, "{} failed", count(*failures, "number")),
            Self::Declined => f.write_str("stopped after the first numbers"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Journal(error) => write!(f, "the journal cannot be written: {error}"),
        }
    }
}

/// Returns a duration for people, in whole seconds.
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    humantime::format_duration(Duration::from_secs(whole)).to_string()
}

/// Watches the outcomes of a job.
pub struct Watch {
    max_wait: Duration,
    max_failures: Option<usize>,
    max_forbidden: usize,
    max_outage: Duration,
    min_unreachable: usize,
    failures: usize,
    forbidden: usize,
    last_success: Instant,
    /// The rows that did not reach the server since it was last seen to work.
    unreachable: HashSet<usize>,
}

impl Watch {
    pub fn new(options: &Sending) -> Self {
        Self {
            max_wait: options.max_wait,
            max_failures: options.max_failures.map(|failures| failures as usize),
            max_forbidden: options.max_forbidden as usize,
            max_outage: options.max_outage,
            min_unreachable: options.min_unreachable as usize,
            failures: 0,
            forbidden: 0,
            last_success: Instant::now(),
            unreachable: HashSet::new(),
        }
    }

    /// Starts the clock of an outage again, after a wait that does not count as one.
    pub fn restart(&mut self) {
        self.last_success = Instant::now();
        self.unreachable.clear();
    }

    pub fn succeeded(&mut self) {
        self.forbidden = 0;
        self.restart();
    }

    /// Records the outcome of a request; returns whether to stop.
    pub fn failed(&mut self, row: usize, error: &Error) -> Option<StopReason> {
        let kind = error.kind();
        self.forbidden = if kind == ErrorKind::Forbidden {
            self.forbidden + 1
        } else {
            0
        };
        if is_unreachable(error) {
            self.unreachable.insert(row);
        } else if error
            .status()
            .is_some_and(|status| !status.is_server_error())
        {
            self.unreachable.clear();
        }
        let outage = self.last_success.elapsed();
        if kind == ErrorKind::Unauthorized {
            Some(StopReason::KeyRefused)
        } else if self.forbidden >= self.max_forbidden {
            Some(StopReason::Forbidden(self.forbidden))
        } else if let Some(wait) = error.retry_after().filter(|wait| *wait > self.max_wait) {
            Some(StopReason::Pause(wait))
        } else if outage >= self.max_outage && self.unreachable.len() >= self.min_unreachable {
            Some(StopReason::Outage(outage, self.unreachable.len()))
        } else {
            None
        }
    }

    /// Takes a number that has failed for good.
    pub fn gave_up(&mut self) -> Option<StopReason> {
        self.failures += 1;
        let too_many = self.max_failures.is_some_and(|most| self.failures >= most);
        too_many.then_some(StopReason::TooManyFailures(self.failures))
    }

    /// Returns whether more than one number in a row could not reach the server.
    pub fn is_troubled(&self) -> bool {
        self.unreachable.len() > 1
    }
}
