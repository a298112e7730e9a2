//! Facts and texts of errors.

use std::error::Error as _;

use sigmamind::{Client, Error, PhoneNumberUpdate, http::Method, reqwest::StatusCode};

use crate::server::{NUMBER, Server, Step, call, error_of, http, nobody, quick};

/// Bodies, and the message in each.
const SHAPES: [(&[u8], Option<&str>); 22] = [
    (br#"{"message": "no such agent"}"#, Some("no such agent")),
    (br#"{"error": "no such agent"}"#, Some("no such agent")),
    (
        br#"{"error": {"message": "no such agent"}}"#,
        Some("no such agent"),
    ),
    (
        br#"{"errors": ["no such agent", "bad name"]}"#,
        Some("no such agent; bad name"),
    ),
    (
        br#"{"errors": [{"message": "no such agent"}, {"code": 7}, {"message": "bad name"}]}"#,
        Some("no such agent; bad name"),
    ),
    (
        br#"{"message": ["no such agent", "bad name"], "error": "Bad Request"}"#,
        Some("no such agent; bad name"),
    ),
    (
        br#"{"message": null, "error": "Bad Request"}"#,
        Some("Bad Request"),
    ),
    (
        br#"{"message": "", "error": "Bad Request"}"#,
        Some("Bad Request"),
    ),
    (
        br#"{"message": "[E7] no such agent"}"#,
        Some("[E7] no such agent"),
    ),
    (br#""no such agent""#, Some("no such agent")),
    (
        br#"{"message": "no\n\tsuch\u0000 agent\r\n"}"#,
        Some("no such agent"),
    ),
    (
        "{\"message\": \"no\u{2028}such agent\u{85}\"}".as_bytes(),
        Some("no such agent"),
    ),
    (b"no such\nagent\n", Some("no such agent")),
    (b"<!DOCTYPE html><title>502 Bad Gateway</title>", None),
    (b"\n <html><body>502 Bad Gateway</body></html>", None),
    (b"", None),
    (b" \r\n", None),
    (br#"{"message": "no such ag"#, None),
    (b"[", None),
    (br#"{"code": 7}"#, None),
    (b"no such ag\xe9nt", None),
    (b"\xff\xfe\x00\x01", None),
];

const STATUSES: [u16; 18] = [
    300, 304, 307, 400, 401, 403, 404, 408, 409, 422, 429, 499, 500, 501, 502, 503, 504, 599,
];

#[test]
fn every_status_and_body_gives_matching_error() {
    quick(async {
        for status in STATUSES {
            // These have no body, whatever the server sends.
            if status == 304 {
                continue;
            }
            let steps =
                SHAPES.map(|(body, _)| Step::answer(status, &[("x-request-id", "r-1")], body));
            let server = Server::start(steps).await;
            for (body, message) in SHAPES {
                // Each its own, since a refusal holds up the next call.
                let client = server.client_with(|builder| builder.max_retries(0));
                let case = format!("{status} {}", String::from_utf8_lossy(body));
                let error = call(&client).await.expect_err(&case);
                assert_eq!(error.status().map(|s| s.as_u16()), Some(status), "{case}");
                assert_eq!(error.body(), body, "{case}");
                assert_eq!(error.message(), message, "{case}");
                assert_eq!(error.request_id(), Some("r-1"), "{case}");
                assert_eq!(error.attempts(), 1, "{case}");
                one_line(&error);
                let line = error.to_string();
                let code = StatusCode::from_u16(status).unwrap();
                let start = match message {
                    Some(message) => format!("SigmaMind answered {code} ({message}); "),
                    None => format!("SigmaMind answered {code}; "),
                };
                assert!(line.starts_with(&start), "{line}");
            }
        }
    });
}

fn one_line(error: &Error) {
    let line = error.to_string();
    assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
}

#[test]
fn predicates_follow_status() {
    quick(async {
        for status in STATUSES {
            let error = error_of(Step::status(status)).await;
            let is = |codes: &[u16]| codes.contains(&status);
            let cases = [
                ("is_auth", error.is_auth(), is(&[401, 403])),
                ("is_not_found", error.is_not_found(), status == 404),
                ("is_rate_limited", error.is_rate_limited(), status == 429),
                ("is_server_error", error.is_server_error(), status >= 500),
                (
                    "is_retryable",
                    error.is_retryable(),
                    is(&[408, 429, 500, 502, 503, 504]),
                ),
                (
                    "may_have_been_applied",
                    error.may_have_been_applied(),
                    status >= 500 || status == 408,
                ),
                ("is_connect", error.is_connect(), false),
                ("is_timeout", error.is_timeout(), false),
                ("is_decode", error.is_decode(), false),
                ("is_invalid_request", error.is_invalid_request(), false),
                ("is_configuration", error.is_configuration(), false),
            ];
            for (predicate, is, should) in cases {
                assert_eq!(is, should, "{predicate} of {status}");
            }
            assert!(error.source().is_none(), "{status} has no deeper cause");
        }
    });
}

#[test]
fn status_error_says_what_to_do() {
    let cases = [
        (401, "401 Unauthorized; check the API key"),
        (403, "403 Forbidden; check the permissions of the API key"),
        (
            404,
            "404 Not Found; check the path, the base URL and the key's account",
        ),
        (422, "422 Unprocessable Entity; correct the request"),
        (
            429,
            "429 Too Many Requests; reduce concurrency or set `rate_limit`",
        ),
        (
            503,
            "503 Service Unavailable; retry later [the request may have taken effect]",
        ),
        (
            307,
            "307 Temporary Redirect; redirects are not followed; correct the base URL",
        ),
    ];
    quick(async {
        for (status, line) in cases {
            let error = error_of(Step::status(status)).await;
            assert_eq!(error.to_string(), format!("SigmaMind answered {line}"));
        }
    });
}

#[test]
fn long_message_is_truncated() {
    quick(async {
        let error = error_of(Step::answer(400, &[], "é".repeat(501))).await;
        assert_eq!(error.message(), Some(&*"é".repeat(500)));
    });
}

#[test]
fn request_id_is_read_from_several_headers() {
    let names = [
        "x-request-id",
        "request-id",
        "x-amzn-requestid",
        "x-amz-request-id",
        "x-correlation-id",
        "cf-ray",
    ];
    quick(async {
        for (place, name) in names.into_iter().enumerate() {
            // The names before it win over those after it.
            let headers: Vec<_> = names[place..]
                .iter()
                .map(|other| (*other, if *other == name { "right" } else { "wrong" }))
                .rev()
                .collect();
            let steps = [
                Step::answer(400, &headers, ""),
                Step::answer(200, &headers, "{}"),
            ];
            let server = Server::start(steps).await;
            let error = call(&server.client()).await.unwrap_err();
            assert_eq!(error.request_id(), Some("right"), "{name} of an error");
            // A server could echo the key in it.
            assert!(
                !format!("{error:?}").contains("right"),
                "{name} of an error"
            );
            assert_eq!(error.headers()[name], "right");
            let phone = call(&server.client()).await.unwrap();
            assert_eq!(phone.request_id(), Some("right"), "{name} of a success");
            assert!(
                !format!("{phone:?}").contains("right"),
                "{name} of a success"
            );
        }
        assert_eq!(error_of(Step::status(400)).await.request_id(), None);
    });
}

#[test]
fn error_remembers_that_earlier_attempt_may_have_been_applied() {
    let cases: [(&str, &[u16], bool); 5] = [
        ("a failure, then a refusal", &[500, 401], true),
        ("a failure, then another refusal", &[408, 404], true),
        ("two refusals", &[429, 401], false),
        ("three refusals", &[429, 429, 403], false),
        ("a refusal, then a failure", &[429, 501], true),
    ];
    quick(async {
        for (case, statuses, applied) in cases {
            let server = Server::start(statuses.iter().map(|status| Step::status(*status))).await;
            let error = call(&server.client()).await.expect_err(case);
            assert_eq!(error.attempts() as usize, statuses.len(), "{case}");
            assert_eq!(error.may_have_been_applied(), applied, "{case}");
            let said = error
                .to_string()
                .ends_with(" [the request may have taken effect]");
            assert_eq!(said, applied, "{case}: {error}");
        }
    });
}

#[test]
fn redirect_is_not_followed() {
    quick(async {
        let statuses = [301, 302, 303, 307, 308];
        let other = Server::start([]).await;
        let location = format!("{}/elsewhere", other.url());
        let steps = statuses.map(|status| Step::answer(status, &[("location", &location)], ""));
        let server = Server::start(steps).await;
        let client = server.builder().build().unwrap();
        for status in statuses {
            let error = call(&client).await.unwrap_err();
            assert_eq!(error.status().map(|s| s.as_u16()), Some(status));
            // After these two, HTTP lets the server have done it.
            let applied = matches!(status, 302 | 303);
            assert_eq!(error.may_have_been_applied(), applied, "{status}");
            let log = other.log();
            assert_eq!((log.connections, log.requests.len()), (0, 0), "{status}");
        }
        assert_eq!(server.requests(), statuses.len());
    });
}

#[test]
fn redirect_error_names_host() {
    let cases = [
        (
            "https://api.example.com/v2?to=+14155552671",
            "api.example.com",
        ),
        ("//api.example.com/v2", "api.example.com"),
        ("https://user:secret@api.example.com/", "api.example.com"),
        ("/v2/phone-number", "127.0.0.1"),
        ("elsewhere", "127.0.0.1"),
    ];
    quick(async {
        for (location, host) in cases {
            let error = error_of(Step::answer(308, &[("location", location)], "")).await;
            assert_eq!(
                error.to_string(),
                format!(
                    "SigmaMind answered 308 Permanent Redirect; the redirect to {host} was not \
                     followed, because the key would go along; correct the base URL"
                ),
                "{location}"
            );
        }
        for nowhere in ["https://", "mailto:someone@example.com"] {
            let error = error_of(Step::answer(308, &[("location", nowhere)], "")).await;
            let line = error.to_string();
            assert!(line.contains("; redirects are not followed; "), "{line}");
        }
    });
}

#[test]
fn empty_update_is_invalid_request_and_not_sent() {
    quick(async {
        let server = Server::start([]).await;
        let update = PhoneNumberUpdate::default();
        let error = server
            .client()
            .update_phone_number(&NUMBER.parse().unwrap(), &update)
            .await
            .unwrap_err();
        assert!(
            error.is_invalid_request() && !error.is_retryable(),
            "{error}"
        );
        assert!(!error.may_have_been_applied(), "{error}");
        assert_eq!((error.attempts(), error.status()), (0, None));
        assert_eq!(
            error.to_string(),
            "invalid request: the body has too few properties: 0, minimum 1"
        );
        assert_eq!(server.log().connections, 0);
    });
}

#[test]
fn request_refused_by_http_client_counts_no_attempt() {
    quick(async {
        let server = Server::start([]).await;
        let http = http().https_only(true).build().unwrap();
        let client = server.client_with(|builder| builder.http_client(http));
        let error = call(&client).await.unwrap_err();
        assert!(error.is_configuration() && !error.may_have_been_applied());
        assert_eq!(error.attempts(), 0);
        assert_eq!(
            error.to_string(),
            "the HTTP client cannot be set up; check its TLS backend and proxy settings"
        );
        // One without a body counts as sent, but for this.
        let call = client.request(Method::DELETE, "/v1/agents/7", None);
        let error = call.await.unwrap_err();
        assert!(error.is_configuration() && !error.may_have_been_applied());
        assert_eq!(server.log().connections, 0);
    });
}

#[test]
fn error_is_send_sync_and_static() {
    fn anywhere<T: Send + Sync + 'static>() {}
    fn clone<T: Clone + Send + Sync + 'static>() {}
    fn send<T: Send>(value: T) -> T {
        value
    }
    anywhere::<Error>();
    clone::<Client>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    let client = nobody().build().unwrap();
    drop(send(call(&client)));
}
