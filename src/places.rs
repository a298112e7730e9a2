//! Places of a batch's slow start, which calls that were refused give back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::Notify;

/// Counts the calls of a batch that were refused and hold no place any more.
#[derive(Default)]
pub(crate) struct BatchPlaces {
    given_back: AtomicUsize,
    pub changed: Notify,
}

impl BatchPlaces {
    pub fn given_back(&self) -> usize {
        self.given_back.load(Relaxed)
    }

    /// Gives the place of one call back, until the call ends.
    pub fn give_back(self: &Arc<Self>) -> GivenBack {
        self.given_back.fetch_add(1, Relaxed);
        self.changed.notify_one();
        GivenBack(self.clone())
    }
}

/// The place that a call in flight has given back.
pub(crate) struct GivenBack(Arc<BatchPlaces>);

impl Drop for GivenBack {
    fn drop(&mut self) {
        self.0.given_back.fetch_sub(1, Relaxed);
    }
}
