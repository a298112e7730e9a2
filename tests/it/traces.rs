//! The span of a call and the events of its attempts, as a subscriber gets them.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt,
    time::{Duration, Instant},
};

use opentelemetry::{
    propagation::{Injector, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use sigmamind::{
    Batch,
    http::{HeaderMap, HeaderName, HeaderValue},
};
use tracing::{
    Event, Instrument as _, Span, Subscriber,
    field::{Field, Visit},
    info_span, span,
};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    capture::{Captured, Fields, capture},
    server::{Server, Step, call, quick},
};

/// Returns the log records of a call that gets these responses.
fn record(steps: Vec<Step>) -> Captured {
    capture(|| {
        quick(async {
            let server = Server::start(steps).await;
            let client = server.client_with(|b| b.attempt_timeout(Duration::from_secs(2)));
            let _ = call(&client).await;
        });
    })
}

fn fields(pairs: &[(&'static str, &str)]) -> Fields {
    pairs
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

fn of_a_call(outcome: &[(&'static str, &str)]) -> Fields {
    let constant = [
        ("otel.kind", "client"),
        ("http.request.method", "PATCH"),
        ("url.template", "/v1/phone-number/{phoneNumber}"),
        ("server.address", "127.0.0.1"),
    ];
    fields(&[&constant, outcome].concat())
}

fn failed(resend_count: &str, error_type: &str, status: Option<&str>) -> (Fields, usize) {
    let mut event = fields(&[
        ("message", "attempt failed"),
        ("http.request.resend_count", resend_count),
        ("error.type", error_type),
    ]);
    event.extend(fields(
        &status.map_or(vec![], |s| vec![("http.response.status_code", s)]),
    ));
    (event, 1)
}

#[test]
fn call_is_span_and_attempt_is_event() {
    let recorded = record(vec![Step::status(503), Step::silent().reset()]);
    // The failures on the way are the events'; the call itself has none.
    assert_eq!(
        recorded.spans,
        [of_a_call(&[
            ("http.request.resend_count", "2"),
            ("http.response.status_code", "200")
        ])]
    );
    let succeeded = fields(&[
        ("message", "attempt succeeded"),
        ("http.request.resend_count", "2"),
        ("http.response.status_code", "200"),
    ]);
    assert_eq!(
        recorded.events,
        [
            failed("0", "503", Some("503")),
            failed("1", "connection_lost", None),
            (succeeded, 1)
        ]
    );
}

#[test]
fn failed_call_span_records_last_error() {
    let cases = [
        (vec![Step::status(404)], "0", "404", Some("404")),
        (
            vec![Step::status(503), Step::status(401)],
            "1",
            "401",
            Some("401"),
        ),
        (
            vec![Step::answer(200, &[], "OK")],
            "0",
            "decode",
            Some("200"),
        ),
        (
            vec![
                Step::status(500),
                Step::silent().close(),
                Step::silent().close(),
            ],
            "2",
            "connection_lost",
            None,
        ),
        (
            vec![Step::silent(), Step::silent(), Step::silent()],
            "2",
            "timeout",
            None,
        ),
    ];
    for (steps, resend_count, error_type, status) in cases {
        let attempts = steps.len();
        let recorded = record(steps);
        let mut outcome = vec![
            ("http.request.resend_count", resend_count),
            ("error.type", error_type),
        ];
        outcome.extend(status.map(|status| ("http.response.status_code", status)));
        assert_eq!(recorded.spans, [of_a_call(&outcome)]);
        assert_eq!(recorded.events.len(), attempts, "{error_type}");
        assert_eq!(
            recorded.events.last(),
            Some(&failed(resend_count, error_type, status))
        );
    }
}

/// The recipe: the span of the call goes along with each attempt, as W3C's `traceparent`.
fn inject_current_span(headers: &mut HeaderMap) {
    struct Headers<'h>(&'h mut HeaderMap);

    impl Injector for Headers<'_> {
        fn set(&mut self, name: &str, value: String) {
            let name = HeaderName::try_from(name);
            if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
                self.0.insert(name, value);
            }
        }
    }

    let context = Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut Headers(headers));
}

#[test]
fn attempt_hook_propagates_current_span() {
    capture(|| {
        quick(async {
            let server = Server::start([Step::status(503)]).await;
            let client = server.client_with(|builder| {
                builder.on_attempt(|headers, _| inject_current_span(headers))
            });
            let job = info_span!("job");
            let trace = job.context().span().span_context().trace_id().to_string();
            call(&client).send().instrument(job.clone()).await.unwrap();
            let requests = server.log().requests;
            let parents: Vec<_> = requests.iter().map(|r| r.header("traceparent")).collect();
            assert_eq!(parents.len(), 2);
            assert_eq!(
                parents[0], parents[1],
                "both attempts are in the call's span"
            );
            let parts: Vec<_> = parents[0].unwrap().split('-').collect();
            assert_eq!([parts[0], parts[1], parts[3]], ["00", &*trace, "01"]);
            let job = job.context().span().span_context().span_id().to_string();
            assert_ne!(parts[2], job, "it is the call's span, and not its parent");
        });
    });
}

#[test]
fn attempt_hook_propagates_span_of_batch() {
    capture(|| {
        quick(async {
            let server = Server::start([]).await;
            let client = server.client_with(|builder| {
                builder.on_attempt(|headers, _| inject_current_span(headers))
            });
            let job = info_span!("job");
            let trace = job.context().span().span_context().trace_id().to_string();
            let mut batch = Batch::new((0..3).map(|_| call(&client)));
            async { while batch.next().await.is_some() {} }
                .instrument(job)
                .await;
            let requests = server.log().requests;
            let parents: BTreeSet<_> = requests.iter().map(|r| r.header("traceparent")).collect();
            assert_eq!(parents.len(), 3, "each is in a span of its own");
            for parent in parents {
                assert_eq!(parent.unwrap().split('-').nth(1), Some(&*trace));
            }
        });
    });
}

/// The recipe: what a call took, how often it was tried again, and how long it waited for its turns.
pub struct Metrics;

#[derive(Debug, Clone, Default)]
struct Measured {
    began: Option<Instant>,
    took: Duration,
    retries: u64,
    /// The kind of error; none of a success.
    error: Option<String>,
    waited: Duration,
}

thread_local! {
    /// Where a program would have histograms.
    static MEASURED: RefCell<Vec<Measured>> = RefCell::default();
}

impl Visit for Measured {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "http.request.resend_count" {
            self.retries = value;
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        if field.name() == "waited_ms" {
            self.waited += Duration::from_millis(value.try_into().unwrap_or(u64::MAX));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "error.type" {
            self.error = Some(value.to_owned());
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Metrics {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, at: Context<'_, S>) {
        if attributes.metadata().name() == "sigmamind" {
            let began = Some(Instant::now());
            let measured = Measured {
                began,
                ..Measured::default()
            };
            at.span(id).unwrap().extensions_mut().insert(measured);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, at: Context<'_, S>) {
        if let Some(measured) = at.span(id).unwrap().extensions_mut().get_mut::<Measured>() {
            values.record(measured);
        }
    }

    fn on_event(&self, event: &Event<'_>, at: Context<'_, S>) {
        if event.metadata().target() == "sigmamind::permit"
            && let Some(span) = at.event_span(event)
            && let Some(measured) = span.extensions_mut().get_mut::<Measured>()
        {
            event.record(measured);
        }
    }

    fn on_close(&self, id: span::Id, at: Context<'_, S>) {
        if let Some(measured) = at.span(&id).unwrap().extensions_mut().get_mut::<Measured>() {
            measured.took = measured
                .began
                .map_or(measured.took, |began| began.elapsed());
            MEASURED.with_borrow_mut(|all| all.push(measured.clone()));
        }
    }
}

#[test]
fn metrics_layer_reads_spans_and_events() {
    let measured = |steps: Vec<Step>| {
        MEASURED.take();
        record(steps);
        MEASURED.take().pop().expect("a call was measured")
    };
    let limited = Step::answer(429, &[("retry-after-ms", "300")], "");
    let waited = measured(vec![limited]);
    assert_eq!((waited.retries, waited.error.as_deref()), (1, None));
    assert!(waited.waited >= Duration::from_millis(300), "{waited:?}");
    assert!(waited.took > Duration::ZERO, "{waited:?}");

    let failed = measured(vec![Step::status(503), Step::status(404)]);
    assert_eq!((failed.retries, failed.error.as_deref()), (1, Some("404")));
    assert_eq!(failed.waited, Duration::ZERO);
}
