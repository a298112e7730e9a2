//! Many calls, a few at a time.

use std::{
    cell::Cell,
    collections::BTreeSet,
    future::Future,
    iter,
    panic::AssertUnwindSafe,
    pin::pin,
    rc::Rc,
    sync::Mutex,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream};
use sigmamind::{Batch, Call, Client, Error, PhoneNumber, PhoneNumberUpdate, Response};
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use crate::{
    capture::capture,
    server::{SUCCESS, Server, Step, nobody, quick},
};

type Outcome = (usize, Result<Response<PhoneNumber>, Error>);

/// The call of each index, distinguishable by the server.
fn numbered(client: &Client, index: usize) -> Call<PhoneNumber> {
    let number = format!("+1415555{index:04}").parse().unwrap();
    let update = PhoneNumberUpdate::default().friendly_name("Support Line");
    client.update_phone_number(&number, &update)
}

fn calls(client: &Client, count: usize) -> impl Iterator<Item = Call<PhoneNumber>> + use<> {
    let client = client.clone();
    (0..count).map(move |index| numbered(&client, index))
}

/// The index in a request of a [`numbered`] call.
fn index(head: &str) -> usize {
    let (_, rest) = head.split_once("1415555").unwrap();
    rest[..4].parse().unwrap()
}

/// An answer about the requested number.
fn success(head: &str) -> Step {
    let mut answer: serde_json::Value = serde_json::from_str(SUCCESS).unwrap();
    let repeated = answer.as_object_mut().unwrap();
    for value in repeated.values_mut() {
        if value.as_str().is_some_and(|text| text.starts_with("+1")) {
            *value = format!("+1415555{:04}", index(head)).into();
        }
    }
    Step::answer(200, &[], answer.to_string())
}

/// A server that answers success, but what this says to the calls of some indices.
async fn server(but: impl Fn(usize) -> Option<Step> + Send + Sync + 'static) -> Server {
    Server::answering(move |request| {
        but(index(&request.head)).unwrap_or_else(|| success(&request.head))
    })
    .await
}

async fn all<I>(mut batch: Batch<I, PhoneNumber>) -> Vec<Outcome>
where
    I: Iterator<Item = Call<PhoneNumber>>,
{
    let mut outcomes = Vec::new();
    while let Some(outcome) = batch.next().await {
        outcomes.push(outcome);
    }
    outcomes
}

fn indices(outcomes: &[Outcome]) -> BTreeSet<usize> {
    outcomes.iter().map(|(index, _)| *index).collect()
}

#[test]
fn each_call_has_one_outcome_and_failures_do_not_stop_others() {
    quick(async {
        let missing = |index| (index % 10 == 3).then(|| Step::status(404));
        let server = server(missing).await;
        let outcomes = all(Batch::new(calls(&server.client(), 50))).await;
        assert_eq!(outcomes.len(), 50);
        assert!(indices(&outcomes).into_iter().eq(0..50));
        for (index, outcome) in outcomes {
            match outcome {
                Ok(_) => assert_ne!(index % 10, 3),
                Err(error) => assert!(error.is_not_found() && index % 10 == 3, "{error}"),
            }
        }
        assert_eq!(server.requests(), 50);
    });
}

/// Returns the count of requests received when the calls from some index on are never answered.
async fn under_way(answered: usize, concurrency: impl Fn(Calls<'_>) -> Calls<'_>) -> usize {
    let server = server(move |index| (index >= answered).then(Step::silent)).await;
    let client = server.client();
    let calls: Box<dyn Iterator<Item = _>> = Box::new(calls(&client, 100));
    let mut batch = concurrency(Batch::new(calls));
    for _ in 0..answered {
        batch.next().await.unwrap().1.unwrap();
    }
    let next = tokio::time::timeout(Duration::from_secs(5), batch.next());
    assert!(next.await.is_err(), "one of those was answered");
    server.requests() - answered
}

type Calls<'c> = Batch<Box<dyn Iterator<Item = Call<PhoneNumber>> + 'c>, PhoneNumber>;

#[test]
fn concurrency_ramps_up_while_nothing_is_throttled() {
    quick(async {
        assert_eq!(under_way(0, |batch| batch).await, 4);
        assert_eq!(under_way(4, |batch| batch).await, 6);
        assert_eq!(under_way(40, |batch| batch).await, 8); // the default
        assert_eq!(under_way(0, |batch| batch.concurrency(2)).await, 2);
        assert_eq!(under_way(40, |batch| batch.concurrency(16)).await, 16);
        assert_eq!(under_way(3, |batch| batch.concurrency(0)).await, 1);
    });
}

#[test]
fn concurrency_does_not_grow_after_retried_calls() {
    quick(async {
        let failed = Mutex::new(BTreeSet::new());
        let server = server(move |index| match index {
            0..8 => failed
                .lock()
                .unwrap()
                .insert(index)
                .then(|| Step::status(500)),
            _ => Some(Step::silent()),
        })
        .await;
        let mut batch = Batch::new(calls(&server.client(), 100));
        for _ in 0..8 {
            assert_eq!(batch.next().await.unwrap().1.unwrap().attempts(), 2);
        }
        let next = tokio::time::timeout(Duration::from_secs(5), batch.next());
        assert!(next.await.is_err(), "one of those was answered");
        assert_eq!(server.requests(), 8 * 2 + 4);
    });
}

#[test]
fn calls_are_created_only_as_slots_free_up() {
    quick(async {
        let server = server(|_| None).await;
        let client = server.client();
        let made = Cell::new(0);
        let calls = iter::repeat_with(|| {
            made.set(made.get() + 1);
            numbered(&client, made.get())
        });
        let mut batch = Batch::new(calls);
        assert_eq!(made.get(), 0);
        for yielded in 1..=20 {
            batch.next().await.unwrap().1.unwrap();
            assert!(
                made.get() <= yielded + 8,
                "{} made, {yielded} yielded",
                made.get()
            );
        }
    });
}

#[test]
fn iterator_may_borrow_and_need_not_be_send() {
    quick(async {
        let server = server(|_| None).await;
        let client = Rc::new(server.client());
        let rounds = [0, 1, 2].map(Rc::new);
        let calls = rounds.iter().map(|index| numbered(&client, **index));
        assert_eq!(all(Batch::new(calls)).await.len(), 3);
    });
}

#[test]
fn stop_begins_no_more_calls_and_reports_those_in_flight() {
    quick(async {
        let server = server(|_| None).await;
        let mut batch = Batch::new(calls(&server.client(), 100));
        batch.next().await.unwrap().1.unwrap();
        batch.stop();
        let rest = all(batch).await;
        assert!(indices(&rest).len() == 3, "{rest:?}");
        for (_, outcome) in rest {
            outcome.unwrap();
        }
        assert_eq!(server.requests(), 4);
    });
}

#[test]
fn drop_cancels_calls_in_flight() {
    quick(async {
        let server = server(|_| Some(Step::silent())).await;
        let mut batch = Batch::new(calls(&server.client(), 100));
        assert!(batch.next().now_or_never().is_none());
        let four = |count| move |log: &crate::server::Log| log.requests.len() == count;
        server.until("four have come", four(4)).await;
        drop(batch);
        let closed = |log: &crate::server::Log| log.ended == 4;
        server.until("their connections end", closed).await;
    });
}

#[test]
fn dropped_next_loses_no_outcome() {
    quick(async {
        let server = server(|_| None).await;
        let mut batch = Batch::new(calls(&server.client(), 20));
        let mut outcomes = Vec::new();
        loop {
            match tokio::time::timeout(Duration::ZERO, batch.next()).await {
                Ok(Some(outcome)) => outcomes.push(outcome),
                Ok(None) => break,
                Err(_) => sleep(Duration::from_millis(1)).await,
            }
        }
        assert_eq!(outcomes.len(), 20);
        assert!(indices(&outcomes).into_iter().eq(0..20));
    });
}

#[test]
fn slow_consumer_does_not_expire_timeouts() {
    quick(async {
        let server = server(|_| None).await;
        let deadline = Duration::from_secs(2);
        let client = server.client_with(|builder| builder.timeout(deadline));
        let mut batch = Batch::new(calls(&client, 12));
        while let Some((_, outcome)) = batch.next().await {
            outcome.unwrap();
            sleep(2 * deadline).await;
        }
    });
}

#[test]
fn wait_for_first_permit_does_not_count_toward_timeout() {
    quick(async {
        let server = server(|_| None).await;
        let client =
            server.client_with(|builder| builder.timeout(Duration::from_secs(4)).rate_limit(0.5));
        for (_, outcome) in all(Batch::new(calls(&client, 8)).concurrency(8)).await {
            outcome.unwrap();
        }
        // By itself, a call has no more time than that.
        let plain = stream::iter(calls(&client, 8).map(Call::send)).buffer_unordered(8);
        let lost = plain.filter(|outcome| std::future::ready(outcome.is_err()));
        assert!(lost.count().await > 0);
    });
}

#[test]
fn batch_ends_when_server_asks_for_endless_pauses() {
    quick(async {
        let refusal = [("retry-after", "3600")];
        let server = server(move |_| Some(Step::answer(429, &refusal, ""))).await;
        let outcomes = all(Batch::new(calls(&server.client(), 200))).await;
        assert_eq!(outcomes.len(), 200);
        // Those that had left when the first refusal came, and a probe after each pause of 60 s,
        // until nothing was granted for the length of a call's timeout.
        assert!(server.requests() <= 8, "{} were sent", server.requests());
        for (_, outcome) in outcomes {
            let error = outcome.unwrap_err();
            assert!(error.is_rate_limited(), "{error}");
            assert!(!error.may_have_been_applied());
            assert_eq!(error.attempts() == 0, error.status().is_none());
            let wait = error.retry_after().unwrap();
            assert!(wait.as_secs().abs_diff(3600) < 120, "{wait:?}");
        }
    });
}

#[test]
fn batch_begins_no_call_during_a_pause() {
    quick(async {
        // Once, in the middle, the server asks for a pause.
        let pause_start = Mutex::new(None::<Instant>);
        let pause = Duration::from_secs(65);
        let server = server(move |index| {
            let mut pause_start = pause_start.lock().unwrap();
            let left = match *pause_start {
                None if index < 40 => return None,
                None => pause,
                Some(start) => pause.checked_sub(start.elapsed())?,
            };
            pause_start.get_or_insert_with(Instant::now);
            let left = left.as_secs_f64().to_string();
            Some(Step::answer(429, &[("retry-after", &left)], ""))
        })
        .await;
        // A call has less time than the pause takes.
        let client = server.client_with(|builder| {
            let builder = builder.timeout(Duration::from_secs(20));
            builder.max_retry_after(Duration::from_secs(120))
        });
        let outcomes = all(Batch::new(calls(&client, 120))).await;
        assert_eq!(outcomes.len(), 120);
        let lost: Vec<_> = outcomes
            .iter()
            .filter(|(_, outcome)| outcome.is_err())
            .collect();
        // Those that were in flight.
        assert!((1..=8).contains(&lost.len()), "{lost:?}");
        for (_, outcome) in lost {
            assert!(outcome.as_ref().unwrap_err().is_rate_limited());
        }
    });
}

#[test]
fn paused_batch_ends_when_stopped() {
    quick(async {
        let refusal = [("retry-after", "60")];
        let server = server(move |_| Some(Step::answer(429, &refusal, ""))).await;
        let client = server.client_with(|builder| builder.max_retries(0));
        let mut batch = Batch::new(calls(&client, 100));
        for _ in 0..4 {
            batch.next().await.unwrap().1.unwrap_err();
        }
        let next = tokio::time::timeout(Duration::from_secs(20), batch.next());
        assert!(next.await.is_err(), "a call began");
        assert!(client.rate_limiter().pause().is_some());
        batch.stop();
        assert!(batch.next().await.is_none());
        assert_eq!(server.requests(), 4);
    });
}

#[test]
fn bad_calls_at_the_head_do_not_stop_the_others() {
    quick(async {
        for (hint, concurrency) in [
            (None, 8),
            (Some("1"), 8),
            (Some("0"), 8),
            (None, 4),
            (None, 1),
        ] {
            let hint: Vec<_> = hint.iter().map(|wait| ("retry-after", *wait)).collect();
            let bad = move |index| (index < 4).then(|| Step::answer(429, &hint, ""));
            let server = server(bad).await;
            // The bad ones end when their time is over.
            let client = server.client_with(|builder| builder.timeout(Duration::from_secs(300)));
            let mut batch = Batch::new(calls(&client, 60)).concurrency(concurrency);
            for _ in 0..56 {
                let (index, outcome) = batch.next().await.unwrap();
                assert!(index >= 4, "{index} ended first: {outcome:?}");
                outcome.unwrap();
            }
        }
    });
}

#[test]
fn refused_call_gives_its_place_to_one_other() {
    quick(async {
        // The first is refused, and then nothing is answered.
        let refused = Mutex::new(false);
        let server = server(move |index| {
            let first = index == 0 && !std::mem::replace(&mut *refused.lock().unwrap(), true);
            Some(if first {
                Step::status(429)
            } else {
                Step::silent()
            })
        })
        .await;
        let mut batch = Batch::new(calls(&server.client(), 100));
        let next = tokio::time::timeout(Duration::from_secs(10), batch.next());
        assert!(next.await.is_err(), "one of those was answered");
        // Four, the first again, and one more.
        assert_eq!(server.requests(), 6);
    });
}

#[test]
fn batch_ends_when_account_grants_nothing() {
    quick(async {
        let server = server(|_| Some(Step::status(429))).await;
        let deadline = Duration::from_secs(20);
        let client = server.client_with(|builder| builder.timeout(deadline));
        let outcomes = all(Batch::new(calls(&client, 200))).await;
        assert_eq!(outcomes.len(), 200);
        for (_, outcome) in outcomes {
            assert!(outcome.unwrap_err().is_rate_limited());
        }
        assert!(server.requests() < 30, "{} were sent", server.requests());
    });
}

#[test]
fn panic_propagates_and_other_calls_continue() {
    quick(async {
        let server = server(|_| None).await;
        let client = server.client_with(|builder| {
            builder.on_attempt(|headers, _| {
                assert!(headers.is_empty());
                let panics = thread_local_count() == 2;
                assert!(!panics, "the hook's own");
            })
        });
        let mut batch = Batch::new(calls(&client, 6)).concurrency(1);
        let mut outcomes = Vec::new();
        let mut panics = Vec::new();
        loop {
            match AssertUnwindSafe(batch.next()).catch_unwind().await {
                Ok(Some((index, outcome))) => outcomes.push((index, outcome)),
                Ok(None) => break,
                Err(panic) => panics.push(*panic.downcast::<&str>().unwrap()),
            }
        }
        assert_eq!(panics, ["the hook's own"]);
        assert!(indices(&outcomes).into_iter().eq([0, 2, 3, 4, 5]));
    });
}

/// Counts its calls on this thread.
fn thread_local_count() -> usize {
    thread_local!(static COUNT: Cell<usize> = const { Cell::new(0) });
    COUNT.set(COUNT.get() + 1);
    COUNT.get()
}

#[test]
fn batch_outside_runtime_gives_errors() {
    let client = nobody().build().unwrap();
    let mut batch = Batch::new(calls(&client, 20));
    let mut next = || match pin!(batch.next()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it waits"),
    };
    for expected in 0..20 {
        let (index, outcome) = next().unwrap();
        assert_eq!(index, expected);
        let error = outcome.unwrap_err().to_string();
        let reason = "invalid configuration: no Tokio runtime; await the call inside one";
        assert_eq!(error, reason);
    }
    assert!(next().is_none());
}

#[test]
fn call_spans_are_children_of_current_span() {
    let captured = capture(|| {
        quick(async {
            let server = server(|_| None).await;
            let job = tracing::info_span!("job");
            let batch = Batch::new(calls(&server.client(), 2));
            all(batch).instrument(job).await;
        });
    });
    let text = captured.text;
    assert!(text.contains("job:sigmamind{"), "{text}");
    let alone = text.lines().filter(|line| line.contains(" sigmamind{"));
    assert_eq!(alone.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn debug_shows_progress() {
    let client = nobody().build().unwrap();
    let mut batch = Batch::new(calls(&client, 2)).concurrency(3);
    batch.stop();
    assert_eq!(
        format!("{batch:?}"),
        "Batch { concurrency: 3, in_flight: 0, stopped: true, .. }"
    );
}
