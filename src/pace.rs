//! The pace that all calls with one key share.

use std::time::Duration;

use tokio::time::Instant;

/// When requests may leave.
#[derive(Debug, Default)]
pub(crate) struct Pace;

/// The turn of one request.
pub(crate) struct Turn;

#[allow(
    clippy::unused_async,
    clippy::unused_self,
    clippy::needless_pass_by_value,
    reason = "a stand-in"
)]
impl Pace {
    pub fn new(_limit: Option<f64>) -> Self {
        Self
    }

    pub async fn turn(&self, _deadline: Instant, _longest: Duration) -> Result<Turn, Duration> {
        Ok(Turn)
    }

    pub fn granted(&self, _turn: Turn) {}

    pub fn refused(&self, _turn: Turn, _asked: Option<Duration>) {}

    pub fn held(&self, _turn: Turn, _asked: Duration) {}
}
