//! What is wrong with a file, and where.

use std::fmt;

/// The most that are shown of a file.
pub const SHOWN: usize = 20;

/// Something that is wrong, with its place; it repeats no value but a number.
#[derive(Debug)]
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

/// The problems of a file, of which there are `all`.
pub fn list(file: &str, problems: &[Problem], all: usize) -> String {
    let mut lines = Vec::new();
    if all > 1 {
        lines.push(format!("{file} has {all} mistakes, and nothing was sent:"));
    }
    lines.extend(problems.iter().map(|problem| format!("{file}:{problem}")));
    if all > problems.len() {
        lines.push(format!("and {} more like these", all - problems.len()));
    }
    lines.join("\n")
}
