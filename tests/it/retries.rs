//! Retries: which failures, how often, and when.

use std::time::Duration;

use tokio::{task::JoinSet, time::Instant};

use crate::server::{Server, Step, call, quick};

type Headers = &'static [(&'static str, &'static str)];

/// A date of the server's, and two seconds later.
const NOW: &str = "Tue, 24 Nov 2026 10:00:00 GMT";
const SOON: &str = "Tue, 24 Nov 2026 10:00:02 GMT";

#[test]
fn transient_status_is_retried() {
    quick(async {
        for status in [408, 500, 502, 503, 504] {
            let server = Server::start([Step::status(status), Step::status(status)]).await;
            let phone = call(&server.client())
                .await
                .unwrap_or_else(|e| panic!("{status} twice, then success: {e}"));
            assert_eq!((phone.attempts(), server.requests()), (3, 3), "{status}");

            let server = Server::start(vec![Step::status(status); 9]).await;
            let error = call(&server.client()).max_retries(1).await.unwrap_err();
            assert!(error.is_retryable(), "{status}");
            assert_eq!((error.attempts(), server.requests()), (2, 2), "{status}");
        }
    });
}

#[test]
fn permanent_status_is_not_retried() {
    quick(async {
        for status in [
            301, 302, 303, 307, 308, 304, 400, 401, 403, 404, 409, 413, 422, 425, 501, 505,
        ] {
            let server = Server::start([Step::status(status)]).await;
            let error = call(&server.client()).await.unwrap_err();
            assert_eq!(error.status().map(|s| s.as_u16()), Some(status));
            assert!(!error.is_retryable(), "{status}");
            assert_eq!((error.attempts(), server.requests()), (1, 1), "{status}");
        }
    });
}

#[test]
fn attempts_send_identical_requests() {
    quick(async {
        let server = Server::start([Step::status(503), Step::silent().reset()]).await;
        call(&server.builder().build().unwrap()).await.unwrap();
        let requests = server.log().requests;
        for again in &requests[1..] {
            assert_eq!(again.head, requests[0].head);
            assert_eq!(again.body, requests[0].body);
        }
        let mut names: Vec<_> = requests[0]
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split(':').next())
            .collect();
        names.sort_unstable();
        // reqwest's gzip, which the tests turn on, adds nothing.
        assert_eq!(
            names,
            [
                "accept",
                "content-length",
                "content-type",
                "host",
                "user-agent",
                "x-api-key"
            ]
        );
    });
}

#[test]
fn backoff_is_at_least_retry_after() {
    let cases: [Headers; 5] = [
        &[("retry-after", "2")],
        &[("retry-after", "2.0")],
        &[("retry-after-ms", "2000")],
        &[("retry-after-ms", "2000"), ("retry-after", "0")],
        &[("retry-after", SOON), ("date", NOW)],
    ];
    quick(async {
        for headers in cases {
            for status in [429, 500] {
                let server = Server::start([Step::answer(status, headers, "")]).await;
                let start = Instant::now();
                let phone = call(&server.client()).await.unwrap();
                assert_eq!(phone.attempts(), 2, "{headers:?}");
                let waited = start.elapsed(); // of the test's clock, not the wall's
                assert!(
                    waited >= Duration::from_secs(2),
                    "{status} with {headers:?}, but {waited:?} were waited"
                );
            }
        }
    });
}

#[test]
fn retry_after_is_parsed_in_every_form() {
    let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
    let cases: [(Headers, Option<Duration>); 22] = [
        (&[], None),
        (&[("retry-after", "7")], seconds(7.0)),
        (&[("retry-after", "1.5")], seconds(1.5)),
        // What asks for no wait counts as absent.
        (&[("retry-after", "0")], None),
        (&[("retry-after-ms", "0")], None),
        (
            &[("retry-after-ms", "0"), ("retry-after", "7")],
            seconds(7.0),
        ),
        (&[("retry-after-ms", "250")], seconds(0.25)),
        (&[("retry-after-ms", "250.5")], seconds(0.2505)),
        (
            &[("retry-after-ms", "soon"), ("retry-after", "7")],
            seconds(7.0),
        ),
        (&[("retry-after", SOON), ("date", NOW)], seconds(2.0)),
        // Without the server's clock it is ours, by which this is past.
        (&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], None),
        (&[("retry-after", NOW), ("date", SOON)], None),
        (&[("retry-after", NOW), ("date", NOW)], None),
        (&[("retry-after", "-1")], None),
        (&[("retry-after", "")], None),
        (&[("retry-after", ".")], None),
        (&[("retry-after", "soon")], None),
        (&[("retry-after", "1e9")], None),
        (&[("retry-after", "inf")], None),
        (&[("retry-after", "NaN")], None),
        (
            &[("retry-after", "99999999999999999999999999")],
            seconds(365.0 * 86_400.0),
        ),
        (&[("retry-after-ms", "Tue, 24 Nov 2026")], None),
    ];
    quick(async {
        for (headers, expected) in cases {
            let server = Server::start([Step::answer(429, headers, "")]).await;
            let error = call(&server.client()).max_retries(0).await.unwrap_err();
            assert_eq!(error.retry_after(), expected, "{headers:?}");
        }
    });
}

#[test]
fn unreadable_retry_after_does_not_stop_retry() {
    quick(async {
        for value in ["0", "-1", "soon", "", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            let server = Server::start([Step::answer(503, &[("retry-after", value)], "")]).await;
            let phone = call(&server.client()).await.unwrap();
            assert_eq!(phone.attempts(), 2, "{value:?}");
        }
    });
}

#[test]
fn retry_after_beyond_limit_fails_immediately() {
    let cases = [
        ("61", 90, Some(Duration::from_secs(61))),
        (
            "99999999999999999999999999",
            90,
            Some(Duration::from_secs(365 * 86_400)),
        ),
        // 60 s are waited, but not past the deadline.
        ("60", 30, Some(Duration::from_secs(60))),
        ("5", 4, Some(Duration::from_secs(5))),
    ];
    quick(async {
        for (value, deadline, wait) in cases {
            let server = Server::start([Step::answer(429, &[("retry-after", value)], "")]).await;
            let call = call(&server.client()).timeout(Duration::from_secs(deadline));
            let start = Instant::now();
            let error = call.await.expect_err(value);
            assert_eq!((error.attempts(), server.requests()), (1, 1), "{value}");
            assert_eq!(error.retry_after(), wait);
            assert!(error.is_rate_limited() && error.is_retryable(), "{value}");
            let waited = start.elapsed(); // of the test's clock, not the wall's
            assert!(
                waited < Duration::from_secs(4),
                "{value} was waited for: {waited:?}"
            );
        }
        let advice = "SigmaMind answered 429 Too Many Requests; retry after 61 s";
        let server = Server::start([Step::answer(429, &[("retry-after", "61")], "")]).await;
        assert_eq!(
            call(&server.client()).await.unwrap_err().to_string(),
            advice
        );
    });
}

#[test]
fn timeout_bounds_all_attempts_and_waits() {
    quick(async {
        // Each attempt ends by its own timeout, until the deadline is near.
        let server = Server::start(vec![Step::silent(); 99]).await;
        let client = server.client_with(|b| {
            b.attempt_timeout(Duration::from_secs(2))
                .timeout(Duration::from_secs(5))
                .max_retries(99)
        });
        let start = Instant::now();
        let error = call(&client).await.unwrap_err();
        let took = start.elapsed(); // of the test's clock, not the wall's
        assert!(error.is_timeout(), "{error}");
        assert!(took < Duration::from_secs(7), "the call took {took:?}");
        let attempts = error.attempts() as usize;
        assert!((2..=4).contains(&attempts), "{error}");
        // The deadline may cut the last one short before it has arrived.
        assert!(
            (attempts - 1..=attempts).contains(&server.requests()),
            "{error}"
        );
    });
}

#[test]
fn attempt_is_clamped_to_remaining_timeout() {
    quick(async {
        let server = Server::start([Step::silent()]).await;
        let client = server.client_with(|b| b.timeout(Duration::from_secs(3)));
        let start = Instant::now();
        let error = call(&client).await.unwrap_err();
        // The attempt's own limit is 30 s.
        let took = start.elapsed(); // of the test's clock, not the wall's
        assert!(took < Duration::from_secs(20), "the call took {took:?}");
        assert_eq!(error.attempts(), 1, "{error}");
        assert_eq!(
            error.to_string(),
            "no complete response within 3 s; retry later or allow more time \
             [the request may have taken effect]"
        );
    });
}

#[test]
fn retry_budget_shared_by_clones_limits_retries_in_outage() {
    const CALLS: usize = 50;
    quick(async {
        let server = Server::start(vec![Step::status(503); 999]).await;
        let client = server.client();
        let mut calls = JoinSet::new();
        for number in 0..CALLS {
            // Each a clone's, and each in its own way.
            let call = call(&client.clone());
            let call = match number % 4 {
                0 => call,
                1 => call.attempt_timeout(Duration::from_secs(20)),
                2 => call.timeout(Duration::from_secs(80)),
                _ => call.max_retries(3),
            };
            calls.spawn(async move { call.await.unwrap_err().status() });
        }
        let statuses = calls.join_all().await;
        assert!(statuses.iter().all(Option::is_some), "{statuses:?}");
        // 20 % of the calls, and 10 more; not the 2 or 3 of each.
        assert_eq!(server.requests() - CALLS, CALLS / 5 + 10);
    });
}

#[test]
fn clones_share_connection_pool() {
    quick(async {
        let server = Server::start([]).await;
        let client = server.client();
        for call in [
            call(&client.clone()),
            call(&client).attempt_timeout(Duration::from_secs(20)),
            call(&client).timeout(Duration::from_secs(80)),
            call(&client).max_retries(3),
        ] {
            call.await.unwrap();
        }
        assert_eq!(server.log().connections, 1);
    });
}

#[test]
fn single_call_uses_all_retries() {
    quick(async {
        let server = Server::start(vec![Step::status(503); 9]).await;
        let error = call(&server.client()).max_retries(5).await.unwrap_err();
        assert_eq!((error.attempts(), server.requests()), (6, 6));
    });
}

#[test]
fn call_options_do_not_affect_other_calls() {
    quick(async {
        let server = Server::start(vec![Step::status(503); 2]).await;
        let client = server.client();
        let error = call(&client).max_retries(0).await.unwrap_err();
        assert_eq!(error.attempts(), 1);
        assert_eq!(call(&client).await.unwrap().attempts(), 2);

        let server = Server::start(vec![Step::silent(); 2]).await;
        let client = server.client_with(|b| b.max_retries(0));
        for (call, limit) in [
            (
                call(&client).attempt_timeout(Duration::from_secs(1)),
                "within 1 s;",
            ),
            (call(&client).timeout(Duration::from_secs(2)), "within 2 s;"),
        ] {
            let error = call.await.unwrap_err().to_string();
            assert!(error.contains(limit), "{error}");
        }
    });
}
