//! Why the program ends early, and with which exit code.

use std::{fmt, process::ExitCode};

use crate::problem::Problem;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    /// Something was sent and has failed, or a result could not be written.
    SomeFailed = 1,
    /// The command line or a file is wrong; nothing was sent.
    Usage = 2,
    /// Stopped before the end; `resume` continues.
    Stopped = 3,
    /// The key is missing, or the server refuses it.
    Key = 4,
    Interrupted = 130,
}

impl Exit {
    /// The exit code of what the parser of the command line has to say.
    pub fn from_clap(error: &clap::Error) -> Self {
        if error.exit_code() == 0 {
            Self::Done
        } else {
            Self::Usage
        }
    }

    /// A stable code for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::SomeFailed => "failed",
            Self::Usage => "usage",
            Self::Stopped => "stopped",
            Self::Key => "key",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure. Its text is for the operator and has no secret in it.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    text: String,
    /// The mistakes of a file, if that is the reason.
    pub mistakes: Vec<Problem>,
    /// `true` if the printed result already contains the message.
    pub reported: bool,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            exit,
            text: text.into(),
            mistakes: Vec::new(),
            reported: false,
        }
    }

    /// Of the command line or a file; nothing was sent.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    pub fn key(text: impl Into<String>) -> Self {
        Self::new(Exit::Key, text)
    }

    pub fn with_mistakes(mut self, mistakes: Vec<Problem>) -> Self {
        self.mistakes = mistakes;
        self
    }

    pub fn reported(mut self) -> Self {
        self.reported = true;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
