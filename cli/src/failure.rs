//! Why the program ends without having done what was asked, and with which exit code.

use std::{fmt, process::ExitCode};

/// What the exit codes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// Something was sent and has failed.
    SomeFailed = 1,
    /// The command line or a file is not right; nothing was sent.
    Usage = 2,
    /// Stopped before the end; `resume` goes on.
    Stopped = 3,
    /// The key is missing, or the server refuses it.
    Key = 4,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure: what it says is for the operator, and has no secret in it.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    text: String,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { exit, text }
    }

    /// Of the command line or a file; nothing was sent.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    pub fn key(text: impl Into<String>) -> Self {
        Self::new(Exit::Key, text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
