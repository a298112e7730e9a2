//! The rate limiter as calls meet it: a server that limits the rate, and what an operator sees of it.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use sigmamind::{
    Batch, Call, Client, E164, PhoneNumber, PhoneNumberUpdate,
    mock::{FakeSigmaMind, RetryAfter},
    reqwest::StatusCode,
};
use tokio::time::Instant;

use crate::{
    capture::capture,
    server::{Server, Step, call, quick},
};

fn calls(client: &Client, count: usize) -> Vec<Call<PhoneNumber>> {
    let update = PhoneNumberUpdate::default().inbound_agent_id("agent");
    (0..count)
        .map(|index| client.update_phone_number(&number(index), &update))
        .collect()
}

fn number(index: usize) -> E164 {
    format!("+1415555{index:04}").parse().unwrap()
}

/// A server that grants 20 requests a second, so few that the slowest machine sends more at once,
/// and a client of it.
fn limited(numbers: usize, retry_after: RetryAfter) -> (FakeSigmaMind, Client) {
    let fake = FakeSigmaMind::start();
    for index in 0..numbers {
        fake.insert(&number(index), PhoneNumber::default());
    }
    fake.rate_limit(20.0);
    fake.retry_after(retry_after);
    let http = crate::server::http().build().unwrap();
    let client = Client::builder()
        .api_key(fake.key())
        .base_url(fake.url())
        .http_client(http);
    (fake, client.build().unwrap())
}

/// Counts the fake's answers with this status.
fn answered(fake: &FakeSigmaMind, status: StatusCode) -> usize {
    let received = fake.received().into_iter();
    received.filter(|update| update.status == status).count()
}

#[tokio::test]
async fn concurrent_calls_lose_nothing_under_rate_limit() {
    for retry_after in [
        RetryAfter::Seconds,
        RetryAfter::Milliseconds,
        RetryAfter::Absent,
    ] {
        let (fake, client) = limited(80, retry_after);
        let sent = calls(&client, 80).into_iter().map(Call::send);
        let mut outcomes = stream::iter(sent).buffer_unordered(64);
        while let Some(outcome) = outcomes.next().await {
            outcome.unwrap();
        }
        assert_eq!(answered(&fake, StatusCode::OK), 80);
        assert!(answered(&fake, StatusCode::TOO_MANY_REQUESTS) > 0);
    }
}

#[tokio::test]
async fn batch_loses_nothing_under_rate_limit() {
    let (fake, client) = limited(80, RetryAfter::Seconds);
    let mut batch = Batch::new(calls(&client, 80)).concurrency(64);
    let mut outcomes = 0;
    while let Some((_, outcome)) = batch.next().await {
        outcome.unwrap();
        outcomes += 1;
    }
    assert_eq!(outcomes, 80);
    assert_eq!(answered(&fake, StatusCode::OK), 80);
}

fn refusal(seconds: &str) -> Step {
    Step::answer(429, &[("retry-after", seconds)], "")
}

#[test]
fn rate_limited_attempts_do_not_count_as_retries() {
    quick(async {
        // More than the budget of failures has.
        let server = Server::start(vec![refusal("1"); 15]).await;
        let call = call(&server.client()).timeout(Duration::from_secs(300));
        let response = call.max_retries(1).await.unwrap();
        assert_eq!(response.attempts(), 16);
    });
}

#[test]
fn max_retries_zero_returns_429_and_next_call_waits() {
    quick(async {
        let server = Server::start([refusal("5")]).await;
        let client = server.client();
        let error = call(&client).max_retries(0).await.unwrap_err();
        assert!(error.is_rate_limited());
        assert_eq!(error.attempts(), 1);
        let start = Instant::now();
        call(&client).max_retries(0).await.unwrap();
        assert!(start.elapsed() > Duration::from_secs(4));
    });
}

#[test]
fn pause_beyond_timeout_fails_unsent() {
    quick(async {
        let server = Server::start([refusal("50")]).await;
        let client = server.client();
        call(&client).max_retries(0).await.unwrap_err();
        let short = Duration::from_secs(20);
        let error = call(&client).timeout(short).await.unwrap_err();
        assert_eq!(error.attempts(), 0);
        assert_eq!(error.status(), None);
        assert!(error.is_rate_limited() && error.is_retryable());
        assert!(!error.may_have_been_applied());
        let wait = error.retry_after().unwrap();
        assert!((30..=50).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(
            error.to_string(),
            format!(
                "not sent: the server asked for a pause; retry after {} s",
                wait.as_secs_f64().ceil()
            )
        );
        assert_eq!(server.requests(), 1);
    });
}

#[test]
fn unavailable_server_pauses_all_clones() {
    quick(async {
        let outage = Step::answer(503, &[("retry-after", "30")], "");
        let server = Server::start([outage]).await;
        let client = server.client();
        let error = call(&client).max_retries(0).await.unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
        let short = Duration::from_secs(10);
        let error = call(&client.clone()).timeout(short).await.unwrap_err();
        assert_eq!(error.attempts(), 0);
        call(&client).await.unwrap();
    });
}

#[test]
fn configured_rate_limit_applies_from_first_request() {
    quick(async {
        let server = Server::start([]).await;
        let client = server.client_with(|builder| builder.rate_limit(2.0));
        let start = Instant::now();
        let sent = (0..7).map(|_| call(&client).send());
        for outcome in futures_util::future::join_all(sent).await {
            outcome.unwrap();
        }
        // Six times half a second.
        assert!(start.elapsed() >= Duration::from_millis(2990));
    });
}

/// A client that has met a refusal, so that its limiter is paused.
async fn paused_by(server: &Server) -> Client {
    let client = server.client();
    let error = call(&client).max_retries(0).await.unwrap_err();
    assert_eq!(error.attempts(), 1);
    client
}

const SHORT: Duration = Duration::from_secs(10);

#[test]
fn pause_outlasts_half_a_minute_in_which_nobody_calls() {
    quick(async {
        let server = Server::start([refusal("60")]).await;
        let client = paused_by(&server).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            call(&client).timeout(SHORT).await.unwrap_err().attempts(),
            0
        );
        tokio::time::sleep(Duration::from_secs(32)).await;
        let start = Instant::now();
        assert_eq!(
            call(&client).timeout(SHORT).await.unwrap_err().attempts(),
            0
        );
        call(&client).await.unwrap();
        assert!(start.elapsed() > Duration::from_secs(20));
    });
}

#[test]
fn longer_pause_of_a_second_refusal_is_kept() {
    quick(async {
        let server = Server::start([refusal("1"), refusal("60")]).await;
        let client = server.client();
        let send = || call(&client).max_retries(0).send();
        let (first, second) = tokio::join!(send(), send());
        assert!(first.is_err() && second.is_err());
        tokio::time::sleep(Duration::from_secs(35)).await;
        assert_eq!(
            call(&client).timeout(SHORT).await.unwrap_err().attempts(),
            0
        );
    });
}

#[test]
fn far_retry_after_delays_others_by_max_retry_after_at_most() {
    quick(async {
        let values = [
            "3600",
            "86400",
            "1000000000000000000",
            "Fri, 01 Jan 2100 00:00:00 GMT",
        ];
        let cases = values.iter().flat_map(|value| [(429, value), (503, value)]);
        let checks = cases.map(async |(status, value)| {
            let step = Step::answer(status, &[("retry-after", value)], "");
            let server = Server::start([step]).await;
            let client = paused_by(&server).await;
            let start = Instant::now();

            let error = call(&client.clone()).timeout(SHORT).await.unwrap_err();
            assert_eq!((error.attempts(), error.status()), (0, None), "{value}");
            assert_eq!(error.is_rate_limited(), status == 429, "{value}");
            assert!(error.is_retryable() && !error.may_have_been_applied());
            assert!(
                error.retry_after() > Some(Duration::from_secs(3500)),
                "{value}"
            );
            let text = error.to_string();
            let expected = "not sent: the server asked for a pause; retry after ";
            assert!(text.starts_with(expected), "{text}");
            let other = " (it answered 503 to another request)";
            assert_eq!(text.ends_with(other), status == 503, "{text}");

            call(&client).await.expect(value);
            let waited = start.elapsed().as_secs();
            assert!((55..85).contains(&waited), "{status}, {value}: {waited} s");
        });
        futures_util::future::join_all(checks).await;
    });
}

#[test]
fn call_that_is_always_refused_backs_off_whatever_the_hint() {
    quick(async {
        let hints: [&[(&str, &str)]; 7] = [
            &[],
            &[("retry-after", "0")],
            &[("retry-after", "0.001")],
            &[("retry-after-ms", "1")],
            &[("retry-after-ms", "0")],
            &[("retry-after", "-5")],
            &[("retry-after", "Thu, 01 Jan 2015 00:00:00 GMT")],
        ];
        let checks = hints.map(async |hint| {
            let server = Server::answering(move |_| Step::answer(429, hint, "")).await;
            let half_a_minute = Duration::from_secs(30);
            let error = call(&server.client()).timeout(half_a_minute).await;
            assert!(error.unwrap_err().is_rate_limited());
            // One, and at most 12 after its refusal.
            let sent = server.requests();
            assert!((3..=13).contains(&sent), "{hint:?}: {sent} were sent");
        });
        futures_util::future::join_all(checks).await;
    });
}

#[test]
fn number_that_is_always_refused_limits_nobody_else() {
    quick(async {
        let server = Server::answering(|request| {
            if request.head.contains("0003 ") {
                Step::status(429)
            } else {
                Step::answer(200, &[], crate::server::SUCCESS)
            }
        })
        .await;
        let client = server.client();
        let unlimited = client.rate_limiter();
        let sent = calls(&client, 100).into_iter().map(Call::send);
        let mut outcomes = stream::iter(sent).buffer_unordered(8);
        while let Some(outcome) = outcomes.next().await {
            assert_eq!(client.rate_limiter(), unlimited);
            if let Err(error) = outcome {
                // Refused until its time was over, by itself.
                assert!(error.is_rate_limited() && error.attempts() > 5, "{error}");
            }
        }
    });
}

#[test]
fn status_tells_pause_and_rate() {
    quick(async {
        let server = Server::start([refusal("50")]).await;
        let client = server.client();
        let status = client.rate_limiter();
        assert_eq!((status.rate(), status.pause()), (None, None));
        call(&client).max_retries(0).await.unwrap_err();
        let pause = client.clone().rate_limiter().pause().unwrap().as_secs();
        assert!((30..=50).contains(&pause), "{pause}");
        assert_eq!(client.with_api_key("other").unwrap().rate_limiter(), status);

        call(&client).await.unwrap();
        let status = client.rate_limiter();
        assert!(
            status.rate() > Some(1.0) && status.pause().is_none(),
            "{status:?}"
        );
        let limited = server.client_with(|builder| builder.rate_limit(2.0));
        assert_eq!(limited.rate_limiter().rate(), Some(2.0));
    });
}

#[test]
fn limiter_logs_when_it_starts_and_ends() {
    let captured = capture(|| {
        quick(async {
            let server = Server::start([refusal("2")]).await;
            let client = server.client();
            call(&client).await.unwrap();
            tokio::time::sleep(Duration::from_secs(40)).await;
            call(&client).await.unwrap();
        });
    });
    let events: Vec<_> = captured
        .events
        .iter()
        .map(|(fields, _)| {
            let field = |name| fields.get(name).map(String::as_str);
            (field("message").unwrap(), field("wait"), field("rate"))
        })
        .filter(|(message, ..)| !message.starts_with("attempt") && !message.starts_with("waited"))
        .collect();
    assert_eq!(
        events,
        [
            (
                "the server limits the rate: requests wait",
                Some("2s"),
                None
            ),
            ("requests leave one by one", None, Some("8.0")),
            ("the rate is not limited any more", None, None),
        ]
    );
}
