//! Why it is slow: what the library tells of its rate limiter.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

/// The last that the library has told.
#[derive(Clone, Default)]
pub struct Slow(Arc<Mutex<Pace>>);

/// How the server lets requests leave.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Pace {
    #[default]
    Free,
    /// It limits the rate; with how many a second are tried now, if any are.
    Limited(Option<f64>),
}

impl Slow {
    /// Listens from now on, to all of this process.
    pub fn listen() -> Self {
        let slow = Self::default();
        // Only the first of a process listens, and there is one.
        let _ = tracing::subscriber::set_global_default(Listener(slow.clone()));
        slow
    }

    pub fn pace(&self) -> Pace {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Pace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Listener(Slow);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "sigmamind::limiter"
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let mut told = Told(Pace::Free);
        event.record(&mut told);
        *self.0.lock() = told.0;
    }

    // Spans are not enabled.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What an event says; one without fields says that nothing has to wait any more.
struct Told(Pace);

impl Visit for Told {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "rate" {
            self.0 = Pace::Limited(Some(value));
        }
    }

    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        if field.name() == "wait" {
            self.0 = Pace::Limited(None);
        }
    }
}
