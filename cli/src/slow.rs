//! Why it is slow: what the library tells of its pace.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

/// The last that the library has told.
#[derive(Clone, Default)]
pub struct Slow(Arc<Mutex<Option<String>>>);

impl Slow {
    /// Listens from now on, to all of this process.
    pub fn listen() -> Self {
        let slow = Self::default();
        // Only the first of a process listens, and there is one.
        let _ = tracing::subscriber::set_global_default(Listener(slow.clone()));
        slow
    }

    /// Why requests have to wait, if they have to.
    pub fn reason(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

struct Listener(Slow);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "sigmamind::pace"
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let mut told = Told(None);
        event.record(&mut told);
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = told.0;
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
struct Told(Option<String>);

impl Visit for Told {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "rate" {
            let digits = usize::from(value < 10.0);
            self.0 = Some(format!("the server allows about {value:.digits$}/s"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "wait" {
            self.0 = Some(format!("the server asks for a pause of {value:.1?}"));
        }
    }
}
