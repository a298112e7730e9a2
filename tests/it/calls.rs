//! A call as a value: made, checked, changed, sent and dropped.

use std::time::Duration;

use sigmamind::{Call, PhoneNumber, PhoneNumberUpdate};

use crate::server::{KEY, NUMBER, PASSWORD, Server, Step, USERNAME, call, nobody, quick};

#[test]
fn call_sends_nothing_before_first_poll() {
    quick(async {
        let server = Server::start([]).await;
        let made = call(&server.client());
        made.validate().unwrap();
        let sending = made.send();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(server.log().connections, 0);
        sending.await.unwrap();
        assert_eq!(server.requests(), 1);
    });
}

#[test]
fn call_works_wherever_a_future_does() {
    quick(async {
        let server = Server::start([]).await;
        let client = server.client();
        tokio::spawn(call(&client).send()).await.unwrap().unwrap();
        let both = [call(&client), call(&client)].map(Call::send);
        for sent in futures_util::future::join_all(both).await {
            sent.unwrap();
        }
        drop(client); // a call owns what it needs
        let kept = call(&server.client());
        kept.await.unwrap();
        assert_eq!(server.requests(), 4);
    });
}

/// A change of a call, and why it is refused.
type Refused = (
    &'static str,
    fn(Call<PhoneNumber>) -> Call<PhoneNumber>,
    &'static str,
);

#[test]
fn validate_and_send_report_the_same_invalid_request() {
    let cases: [Refused; 12] = [
        (
            "attempt_timeout",
            |call| call.attempt_timeout(Duration::ZERO),
            "attempt_timeout must be greater than zero",
        ),
        (
            "timeout",
            |call| call.timeout(Duration::ZERO),
            "timeout must be greater than zero",
        ),
        (
            "the first of two",
            |call| call.attempt_timeout(Duration::ZERO).timeout(Duration::ZERO),
            "attempt_timeout must be greater than zero",
        ),
        (
            "a name",
            |call| call.header("a b\n", "c"),
            "`a b ` is not the name of a header",
        ),
        (
            "a value",
            |call| call.header("x-a", "b\nc"),
            "the value of the header `x-a` has a control character",
        ),
        (
            "the key's",
            |call| call.header("X-API-Key", "b"),
            "the header `x-api-key` is set by the client itself; leave it out",
        ),
        (
            "host",
            |call| call.header("Host", "b"),
            "the header `host` is set by the client itself; leave it out",
        ),
        (
            "length",
            |call| call.header("Content-Length", "b"),
            "the header `content-length` is set by the client itself; leave it out",
        ),
        (
            "type",
            |call| call.header("content-type", "b"),
            "the header `content-type` is set by the client itself; leave it out",
        ),
        (
            "encoding",
            |call| call.header("transfer-encoding", "b"),
            "the header `transfer-encoding` is set by the client itself; leave it out",
        ),
        (
            "connection",
            |call| call.header("connection", "b"),
            "the header `connection` is set by the client itself; leave it out",
        ),
        (
            "a later good value does not mend it",
            |call| call.timeout(Duration::ZERO).timeout(Duration::from_secs(1)),
            "timeout must be greater than zero",
        ),
    ];
    quick(async {
        let server = Server::start([]).await;
        let client = server.client();
        for (case, change, reason) in cases {
            let reason = format!("invalid request: {reason}");
            let changed = change(call(&client));
            for _ in 0..2 {
                let error = changed.validate().expect_err(case);
                assert_eq!(error.to_string(), reason);
            }
            let error = changed.await.expect_err(case);
            assert_eq!(error.to_string(), reason);
            assert!(error.is_invalid_request() && !error.may_have_been_applied());
            assert_eq!(error.attempts(), 0);
        }
        assert_eq!(server.log().connections, 0);
    });
}

#[test]
fn call_headers_are_sent_with_each_attempt_of_that_call_only() {
    quick(async {
        let server = Server::start([Step::status(503)]).await;
        let client = server.client_with(|builder| {
            let builder = builder.user_agent("a-program/1.0");
            builder.header("x-of", "all")
        });
        let with = call(&client)
            .header("X-Trace", "7")
            .header("user-agent", "mine")
            .header("x-of", "one");
        with.await.unwrap();
        call(&client).await.unwrap();
        let heads: Vec<_> = server.log().requests.into_iter().map(|r| r.head).collect();
        let has = |line: &str| {
            heads
                .iter()
                .map(|head| head.contains(line))
                .collect::<Vec<_>>()
        };
        assert_eq!(has("\r\nx-trace: 7"), [true, true, false]);
        assert_eq!(has("\r\nuser-agent: mine"), [true, true, false]);
        assert_eq!(has("\r\nuser-agent: a-program/1.0"), [false, false, true]);
        assert_eq!(has("\r\nx-of: one"), [true, true, false]);
        assert_eq!(has("\r\nx-of: all"), [false, false, true]);
    });
}

#[test]
fn call_debug_hides_request() {
    quick(async {
        let server = Server::start([]).await;
        let call = call(&server.client()).header("x-a", "value-of-a-header");
        let text = format!("{call:?} {call:#?}");
        for hidden in [
            KEY,
            &NUMBER[1..],
            USERNAME,
            &PASSWORD[..5],
            "value-of-a-header",
        ] {
            assert!(!text.contains(hidden), "{text}");
        }
        assert!(text.contains("updatePhoneNumber"), "{text}");
    });
}

#[test]
fn call_outside_runtime_is_error() {
    let client = sigmamind::Client::builder()
        .api_key(KEY)
        .base_url("http://127.0.0.1:9")
        .build()
        .unwrap();
    let mut sending = std::pin::pin!(call(&client).send());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = sending.as_mut().poll(&mut context) else {
        panic!("it waits for something");
    };
    assert_eq!(
        error.to_string(),
        "invalid configuration: no Tokio runtime; await the call inside one"
    );
}

#[test]
fn attempt_hook_adds_headers_to_each_attempt() {
    quick(async {
        let server = Server::start([Step::status(503)]).await;
        let client = server.client_with(|builder| {
            builder.on_attempt(|headers, attempt| {
                assert!(headers.is_empty(), "it sees no key");
                let operation = attempt.operation();
                let what = format!(
                    "{} {} {} {}",
                    attempt.number(),
                    operation.id(),
                    operation.method(),
                    operation.path()
                );
                headers.insert("x-what", what.parse().unwrap());
            })
        });
        call(&client).header("x-what", "less").await.unwrap();
        let log = server.log();
        let what: Vec<_> = log.requests.iter().map(|r| r.header("x-what")).collect();
        assert_eq!(
            what,
            [
                Some("1 updatePhoneNumber PATCH /v1/phone-number/{phoneNumber}"),
                Some("2 updatePhoneNumber PATCH /v1/phone-number/{phoneNumber}")
            ]
        );
    });
}

#[test]
fn attempt_hook_cannot_set_reserved_header() {
    quick(async {
        let server = Server::start([]).await;
        for name in ["x-api-key", "host", "content-type", "connection"] {
            let client = server.client_with(|builder| {
                builder.on_attempt(move |headers, _| {
                    headers.insert(name, "a".parse().unwrap());
                })
            });
            let error = call(&client).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "invalid configuration: the header `{name}` is set by the client itself; leave it out"
                )
            );
        }
        assert_eq!(server.requests(), 0);
    });
}

#[test]
fn attempt_hook_panic_propagates_and_nothing_is_sent() {
    quick(async {
        let server = Server::start([]).await;
        let client = server.client_with(|builder| builder.on_attempt(|_, _| panic!("a bug")));
        let panic = tokio::spawn(call(&client).send()).await.unwrap_err();
        assert_eq!(panic.into_panic().downcast_ref(), Some(&"a bug"));
        assert_eq!(server.requests(), 0);
    });
}

#[test]
fn invalid_wait_and_header_settings_are_refused() {
    let builder = nobody;
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = builder().rate_limit(rate).build().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid configuration: the rate limit is not a number above zero; give requests per second"
        );
    }
    let error = builder().header("Host", "a").build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid configuration: the header `host` is set by the client itself; leave it out"
    );
}

#[test]
fn max_retry_after_and_backoff_are_configurable() {
    quick(async {
        let asks = |seconds: &'static str| Step::answer(503, &[("retry-after", seconds)], "");
        let set = |builder: sigmamind::ClientBuilder| {
            builder
                .max_retry_after(Duration::from_secs(2))
                .backoff(Duration::ZERO, Duration::ZERO)
        };
        let server = Server::start([asks("3")]).await;
        let error = call(&server.client_with(set)).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(error.attempts(), 1);

        let server = Server::start([asks("2")]).await;
        let start = tokio::time::Instant::now();
        let phone = call(&server.client_with(set)).await.unwrap();
        assert_eq!(phone.attempts(), 2);
        let waited = start.elapsed(); // of the test's clock, not the wall's
        assert!(waited >= Duration::from_secs(2), "{waited:?}");
    });
}

#[test]
fn call_future_is_small() {
    let client = nobody().build().unwrap();
    let update = PhoneNumberUpdate::default().friendly_name("a");
    let call = client.update_phone_number(&NUMBER.parse().unwrap(), &update);
    assert!(size_of_val(&call) <= 360, "a call: {}", size_of_val(&call));
    let sending = call.send();
    assert!(
        size_of_val(&sending) <= 1_536,
        "its sending: {}",
        size_of_val(&sending)
    );
}
