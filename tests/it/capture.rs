//! Captures the log records of one thread.

use std::{cell::RefCell, collections::BTreeMap, fmt, fmt::Write as _, io, mem, sync::Once};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    fmt::format::FmtSpan,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
};

pub type Fields = BTreeMap<&'static str, String>;

#[derive(Default)]
pub struct Captured {
    /// The crate's own spans, with all that was recorded of them.
    pub spans: Vec<Fields>,
    /// The crate's own events, each with how many of the crate's spans it is in.
    pub events: Vec<(Fields, usize)>,
    /// Everything, of all crates, at the most detailed level.
    pub text: String,
}

thread_local! {
    static CAPTURED: RefCell<Captured> = RefCell::default();
}

/// Runs a test and returns what it logged on this thread.
pub fn capture(test: impl FnOnce()) -> Captured {
    // For the whole process: tracing forgets call sites that a thread without a subscriber met
    // first.
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let written = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_span_events(FmtSpan::FULL)
            .with_writer(|| Capture);
        let tracer = SdkTracerProvider::builder().build().tracer("tests");
        let spans = tracing_opentelemetry::layer().with_tracer(tracer);
        let subscriber = tracing_subscriber::registry()
            .with(written)
            .with(spans)
            .with(crate::traces::Metrics)
            .with(Capture);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log::set_logger(&Capture).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    CAPTURED.take();
    test();
    CAPTURED.take()
}

struct Capture;

/// The records of `log`, by which reqwest logs.
impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let (target, message) = (record.target(), record.args());
        CAPTURED.with_borrow_mut(|captured| {
            writeln!(captured.text, "{target} {message}").unwrap();
        });
    }

    fn flush(&self) {}
}

impl io::Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        CAPTURED.with_borrow_mut(|captured| captured.text.push_str(&text));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Visitor<'f>(&'f mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("sigmamind")
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, at: Context<'_, S>) {
        if is_ours(attributes.metadata()) {
            let mut fields = Fields::new();
            attributes.record(&mut Visitor(&mut fields));
            at.span(id).unwrap().extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, at: Context<'_, S>) {
        if let Some(fields) = at.span(id).unwrap().extensions_mut().get_mut() {
            values.record(&mut Visitor(fields));
        }
    }

    fn on_close(&self, id: span::Id, at: Context<'_, S>) {
        if let Some(fields) = at.span(&id).unwrap().extensions_mut().get_mut() {
            CAPTURED.with_borrow_mut(|captured| captured.spans.push(mem::take(fields)));
        }
    }

    fn on_event(&self, event: &Event<'_>, at: Context<'_, S>) {
        if is_ours(event.metadata()) {
            let mut fields = Fields::new();
            event.record(&mut Visitor(&mut fields));
            let spans = at.event_scope(event).into_iter().flatten();
            let depth = spans.filter(|span| is_ours(span.metadata())).count();
            CAPTURED.with_borrow_mut(|captured| captured.events.push((fields, depth)));
        }
    }
}
