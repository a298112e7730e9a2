//! Hooks of a client, and what they receive.

use std::sync::Arc;

use reqwest::header::HeaderMap;

use crate::operation::Operation;

/// Hook that runs before each attempt and may add headers.
pub(crate) type Hook = Arc<dyn Fn(&mut HeaderMap, &Attempt) + Send + Sync>;

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
