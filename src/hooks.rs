//! Hooks of a client, and what they receive.

use std::{sync::Arc, time::Duration};

use reqwest::{StatusCode, header::HeaderMap};

use crate::{error::ErrorKind, operation::Operation};

/// Hook that runs before each attempt and may add headers.
pub(crate) type Hook = Arc<dyn Fn(&mut HeaderMap, &Attempt) + Send + Sync>;

/// Hook that runs after each attempt.
pub(crate) type EndHook = Arc<dyn Fn(&AttemptEnd) + Send + Sync>;

/// An attempt that is about to be sent, for [`ClientBuilder::on_attempt`](crate::ClientBuilder::on_attempt).
#[derive(Debug)]
pub struct Attempt {
    pub(crate) number: u32,
    pub(crate) operation: &'static Operation,
}

impl Attempt {
    /// Returns 1 for the first attempt of a call, 2 for its first retry, and so on.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the operation that is called.
    #[must_use]
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }
}

/// An attempt that has ended, for
/// [`ClientBuilder::on_attempt_end`](crate::ClientBuilder::on_attempt_end).
#[derive(Debug)]
pub struct AttemptEnd {
    pub(crate) number: u32,
    pub(crate) operation: &'static Operation,
    pub(crate) status: Option<StatusCode>,
    pub(crate) error: Option<ErrorKind>,
    pub(crate) duration: Duration,
    pub(crate) will_retry: bool,
}

impl AttemptEnd {
    /// Returns 1 for the first attempt of a call, 2 for its first retry, and so on.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the operation that was called.
    #[must_use]
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// Returns the HTTP status, or `None` if no response arrived.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns why the attempt failed, or `None` if it succeeded.
    #[must_use]
    pub fn error(&self) -> Option<ErrorKind> {
        self.error
    }

    /// Returns the time from sending to the end of the response.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Returns whether another attempt follows.
    #[must_use]
    pub fn will_retry(&self) -> bool {
        self.will_retry
    }
}
