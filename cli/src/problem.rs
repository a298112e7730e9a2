//! Mistakes in a file, and where they are.

use std::fmt;

use serde::Serialize;

use crate::failure::Failure;

/// Maximum count of mistakes of a file that are shown.
const SHOWN: usize = 20;

/// A mistake with its place. It repeats no value but a number.
#[derive(Debug, Serialize)]
pub struct Problem {
    pub line: usize,
    pub column: usize,
    pub text: String,
}

pub type Checked<T> = Result<T, Problem>;

pub fn problem<T>(line: usize, column: usize, text: impl Into<String>) -> Checked<T> {
    let text = text.into();
    Err(Problem { line, column, text })
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, text } = self;
        write!(f, "{line}:{column}: {text}")
    }
}

/// The mistakes of a file; only the first few are kept.
#[derive(Debug, Default)]
pub struct Problems {
    shown: Vec<Problem>,
    all: usize,
}

impl Problems {
    pub fn add(&mut self, problem: Problem) {
        self.all += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(problem);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.all == 0
    }

    /// Returns the failure that lists them, if there are any.
    pub fn into_failure(self, file: &str) -> Option<Failure> {
        if self.all == 0 {
            return None;
        }
        let mut lines = Vec::new();
        if self.all > 1 {
            lines.push(format!(
                "{file} has {} mistakes; nothing was sent:",
                self.all
            ));
        }
        lines.extend(self.shown.iter().map(|problem| format!("{file}:{problem}")));
        if self.all > self.shown.len() {
            lines.push(format!(
                "and {} more like these",
                self.all - self.shown.len()
            ));
        }
        Some(Failure::usage(lines.join("\n")).with_mistakes(self.shown))
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        let mut problems = Self::default();
        problems.add(problem);
        problems
    }
}
