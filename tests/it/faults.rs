//! Connections that are refused, break, stall or never end.

use std::{error::Error, sync::Arc, time::Duration};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use sigmamind::{Client, reqwest};
use tokio::net::TcpListener;

use crate::server::{KEY, SUCCESS, Server, Step, call, causes, error_of, head, http, quick};

/// A success that says it is longer than it is.
fn broken_off() -> Step {
    let bytes = [
        head(200, &[("content-length", "999")]),
        SUCCESS.as_bytes().to_vec(),
    ];
    Step::send(bytes.concat())
}

fn chunked() -> Step {
    Step::send(head(200, &[("transfer-encoding", "chunked")]))
}

/// A body of some number of bytes that come one by one.
fn dripping(status: u16) -> Step {
    Step::send(head(status, &[("content-length", "9999999")])).drip(b" ")
}

async fn refused() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    Client::builder()
        .api_key(KEY)
        .base_url(url)
        .build()
        .unwrap()
}

#[test]
fn broken_connection_is_retried() {
    let part = || Step::send("HTTP/1.1 200 OK\r\nx-part");
    let cases = [
        ("closed, nothing read", Step::silent().unread().close()),
        ("reset, nothing read", Step::silent().unread().reset()),
        ("closed before the response", Step::silent().close()),
        ("reset before the response", Step::silent().reset()),
        ("closed inside the headers", part().close()),
        ("reset inside the headers", part().reset()),
        ("closed inside the body", broken_off().close()),
        ("reset inside the body", broken_off().reset()),
        (
            "closed inside a chunk",
            Step::send(
                [
                    head(200, &[("transfer-encoding", "chunked")]),
                    b"99\r\n{".into(),
                ]
                .concat(),
            )
            .close(),
        ),
        ("closed before the first chunk", chunked().close()),
    ];
    quick(async {
        for (fault, step) in cases {
            let server = Server::start([step.clone(), step.clone()]).await;
            let phone = call(&server.client())
                .await
                .unwrap_or_else(|e| panic!("{fault} twice, then success: {e}"));
            assert_eq!(phone.attempts(), 3, "{fault}");

            let server = Server::start([step]).await;
            let result = call(&server.client()).max_retries(0).await;
            let error = result.expect_err(fault);
            assert!(error.is_retryable(), "{fault}: {error}");
            assert!(
                !error.is_connect() && !error.is_timeout() && !error.is_decode(),
                "{fault}: {error}"
            );
            assert!(
                error
                    .source()
                    .is_some_and(<dyn Error>::is::<reqwest::Error>)
            );
            // Whether a request that nobody read has left is a matter of luck.
            if server.requests() > 0 {
                assert!(error.may_have_been_applied(), "{fault}");
            }
        }
    });
}

/// Answers that break the grammar before they have a status.
#[test]
fn invalid_http_response_is_not_retried() {
    let many = "x: y\r\n".repeat(101);
    let long = "x".repeat(1 << 20);
    let cases = [
        ("another protocol", "SSH-2.0-OpenSSH_9.9\r\n".into()),
        ("frames of HTTP/2", "\0\0\0\u{4}\0\0\0\0\0".into()),
        ("a version of its own", "HTTP/9.9 200 OK\r\n\r\n".into()),
        ("no number as the status", "HTTP/1.1 OK\r\n\r\n".into()),
        ("no colon", "HTTP/1.1 200 OK\r\nx-other\r\n\r\n".into()),
        (
            "a space in a name",
            "HTTP/1.1 200 OK\r\nx other: y\r\n\r\n".into(),
        ),
        (
            "a null in a value",
            "HTTP/1.1 200 OK\r\nx: \0\r\n\r\n".into(),
        ),
        (
            "no number as the length",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n".into(),
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".into(),
        ),
        ("too many headers", format!("HTTP/1.1 200 OK\r\n{many}\r\n")),
        (
            "too long a header",
            format!("HTTP/1.1 200 OK\r\nx: {long}\r\n\r\n"),
        ),
    ];
    quick(async {
        for (fault, answer) in cases {
            let server = Server::start([Step::send(answer).close()]).await;
            let error = call(&server.client()).await.expect_err(fault);
            assert_eq!(
                error.to_string(),
                if fault.starts_with("too ") {
                    "the head of the server's response is too large: more than 100 header lines, \
                     or too many bytes; check the base URL or raise the limits with an \
                     `http_client`, and verify the current state \
                     [the request may have taken effect]"
                } else {
                    "the server's response is not valid HTTP; check the base URL and verify the \
                     current state [the request may have taken effect]"
                },
                "{fault}"
            );
            assert!(
                !error.is_retryable() && !error.is_decode(),
                "{fault}: {error}"
            );
            assert!(error.may_have_been_applied(), "{fault}");
            assert_eq!((error.attempts(), server.requests()), (1, 1), "{fault}");
            assert_eq!(error.status(), None, "{fault}");
        }
    });
}

/// The same in the body of a success.
#[test]
fn malformed_success_is_not_retried() {
    let chunks = |chunks: &str| {
        let head = head(200, &[("transfer-encoding", "chunked")]);
        Step::send([head, chunks.into()].concat())
    };
    let cases = [
        ("no number as the size", chunks("{}\r\n")),
        ("a size beyond all", chunks("ffffffffffffffff0\r\n")),
        ("more than the size", chunks("1\r\n{}\r\n")),
        ("no end of the line", chunks("2\r{}")),
        (
            "no gzip",
            Step::answer(200, &[("content-encoding", "gzip")], SUCCESS),
        ),
    ];
    quick(async {
        for (fault, step) in cases {
            let server = Server::start([step.close()]).await;
            let http = http().gzip(true).build().unwrap();
            let client = server.builder().http_client(http).build().unwrap();
            let error = call(&client).await.expect_err(fault);
            assert_eq!(
                error.to_string(),
                "the request was accepted (200 OK), but the response is malformed; verify the \
                 current state",
                "{fault}"
            );
            assert!(error.is_decode() && !error.is_retryable(), "{fault}");
            assert!(error.may_have_been_applied(), "{fault}");
            assert!(error.source().is_some(), "{fault}");
            assert_eq!((error.attempts(), server.requests()), (1, 1), "{fault}");
        }
    });
}

#[test]
fn truncated_success_body_may_have_been_applied() {
    quick(async {
        let error = error_of(broken_off().close()).await;
        assert_eq!(
            error.to_string(),
            "the request was accepted (200 OK), but the connection was lost; retry later \
             [the request may have taken effect]"
        );
        assert_eq!(error.status().map(|s| s.as_u16()), Some(200));
    });
}

#[test]
fn broken_connection_error_is_one_line() {
    quick(async {
        let error = error_of(Step::silent().reset()).await;
        assert_eq!(
            error.to_string(),
            "connection lost; retry later [the request may have taken effect]"
        );
    });
}

#[test]
fn connect_failure_is_retried_and_not_applied() {
    quick(async {
        let error = call(&refused().await).await.unwrap_err();
        assert!(error.is_connect() && error.is_retryable(), "{error}");
        assert!(!error.is_timeout(), "{error}");
        assert!(!error.may_have_been_applied(), "{error}");
        assert_eq!((error.status(), error.attempts()), (None, 3));
        assert_eq!(
            error.to_string(),
            "no connection (connection refused); check the network, the proxy and the base URL \
             [after 3 attempts]"
        );
        let causes = causes(&error);
        let io = causes
            .iter()
            .find_map(|e| e.downcast_ref::<std::io::Error>());
        assert_eq!(
            io.map(std::io::Error::kind),
            Some(std::io::ErrorKind::ConnectionRefused),
            "{causes:?}"
        );
        // One without a body counts as sent, but for this.
        let client = refused().await;
        let delete = client.request(sigmamind::http::Method::DELETE, "/v1/agents/7", None);
        let error = delete.max_retries(0).await.unwrap_err();
        assert!(
            error.is_connect() && !error.may_have_been_applied(),
            "{error}"
        );
    });
}

struct NoNames;

impl Resolve for NoNames {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err::<Addrs, _>("no such host".into()) })
    }
}

#[test]
fn unknown_host_is_connect_error() {
    quick(async {
        let http = http().dns_resolver(Arc::new(NoNames));
        let client = Client::builder()
            .api_key(KEY)
            .base_url("https://api.invalid")
            .http_client(http.build().unwrap())
            .build()
            .unwrap();
        let error = call(&client).max_retries(0).await.unwrap_err();
        assert!(error.is_connect(), "{error}");
        assert!(!error.may_have_been_applied(), "{error}");
    });
}

#[test]
fn failed_tls_handshake_is_connect_error() {
    quick(async {
        let cases = [
            // Plain HTTP where TLS is expected, and nothing at all.
            ("HTTP", Step::status(400).unread().close(), false),
            ("silent", Step::silent().unread(), true),
        ];
        for (case, step, timeout) in cases {
            let server = Server::start([step]).await;
            let http = http().connect_timeout(Duration::from_secs(2));
            let client = server
                .builder()
                .base_url(server.url().replace("http:", "https:"))
                .http_client(http.build().unwrap())
                .max_retries(0)
                .build()
                .unwrap();
            let error = call(&client).await.unwrap_err();
            assert!(error.is_connect(), "{case}: {error}");
            assert_eq!(error.is_timeout(), timeout, "{case}: {error}");
            assert!(!error.may_have_been_applied(), "{case}: {error}");
        }
    });
}

#[test]
fn failing_proxy_is_connect_error() {
    quick(async {
        let proxy = Server::start([Step::status(407)]).await;
        let http = http().proxy(reqwest::Proxy::all(proxy.url()).unwrap());
        let client = Client::builder()
            .api_key(KEY)
            .base_url("https://api.invalid")
            .http_client(http.build().unwrap())
            .max_retries(0)
            .build()
            .unwrap();
        let error = call(&client).await.unwrap_err();
        assert!(error.is_connect(), "{error}");
        assert!(!error.may_have_been_applied(), "{error}");
        let head = &proxy.log().requests[0].head;
        assert!(head.starts_with("CONNECT api.invalid:443 "), "{head}");
        assert!(!head.contains(KEY), "the proxy got the key: {head}");
    });
}

#[test]
fn stalled_server_times_out() {
    let cases = [
        ("silent", Step::silent(), None),
        (
            "silent inside the headers",
            Step::send("HTTP/1.1 200").hang(),
            None,
        ),
        ("silent inside the body", broken_off().hang(), Some(200)),
        (
            "silent in another success",
            { Step::send(head(202, &[("content-length", "9")])).hang() },
            Some(202),
        ),
        (
            "dripping headers",
            Step::send("HTTP/1.1 200 OK\r\nx: ").drip(b"x"),
            None,
        ),
        ("dripping body", dripping(200), Some(200)),
        ("dripping chunks", chunked().drip(b"1\r\n \r\n"), Some(200)),
        (
            "interim answers",
            Step::silent().drip(b"HTTP/1.1 100 Continue\r\n\r\n"),
            None,
        ),
    ];
    quick(async {
        for (fault, step, status) in cases {
            // A timeout is tried again, ...
            let server = Server::start([step.clone()]).await;
            let client = server.client_with(|b| b.attempt_timeout(Duration::from_secs(2)));
            let result = call(&client).await;
            let phone = result.unwrap_or_else(|e| panic!("{fault}, then success: {e}"));
            assert_eq!(phone.attempts(), 2, "{fault}");

            // ... and a deadline ends the call.
            let server = Server::start([step]).await;
            let client = server.client_with(|b| b.timeout(Duration::from_secs(2)));
            let error = call(&client).await.expect_err(fault);
            assert!(
                error.is_timeout() && error.is_retryable(),
                "{fault}: {error}"
            );
            assert!(error.may_have_been_applied(), "{fault}: {error}");
            assert_eq!(error.status().map(|s| s.as_u16()), status, "{fault}");
            assert_eq!((error.attempts(), server.requests()), (1, 1), "{fault}");
            server
                .until("the connection is ended", |log| log.ended == 1)
                .await;
        }
    });
}

#[test]
fn status_is_reported_when_body_never_ends() {
    quick(async {
        for (status, applied) in [(401, false), (503, true)] {
            for step in [
                dripping(status),
                Step::send(head(status, &[("content-length", "9")])).hang(),
            ] {
                let server = Server::start([step]).await;
                let client = server.client_with(|b| b.timeout(Duration::from_secs(2)));
                let error = call(&client).await.unwrap_err();
                assert_eq!(error.status().map(|s| s.as_u16()), Some(status));
                assert_eq!(error.is_auth(), status == 401, "{error}");
                assert_eq!(error.is_server_error(), status == 503, "{error}");
                assert_eq!(error.may_have_been_applied(), applied, "{error}");
                assert!(!error.headers().is_empty(), "{error}");
            }
        }
    });
}

#[test]
fn truncated_or_stalled_error_body_keeps_status() {
    quick(async {
        for step in [
            Step::send([head(404, &[("content-length", "99")]), b"no such".into()].concat()),
            Step::send(
                [
                    head(404, &[("transfer-encoding", "chunked")]),
                    b"7\r\nno such\r\n".into(),
                ]
                .concat(),
            ),
        ] {
            let server = Server::start([step.clone().hang()]).await;
            let client = server.client_with(|b| b.attempt_timeout(Duration::from_secs(2)));
            let stalled = call(&client).await.unwrap_err();
            for error in [error_of(step.close()).await, stalled] {
                assert!(error.is_not_found(), "{error}");
                assert_eq!(error.body(), b"no such");
                assert_eq!(error.message(), Some("no such"));
            }
        }
    });
}

#[test]
fn timeout_of_custom_http_client_is_timeout() {
    quick(async {
        for step in [Step::silent(), broken_off().hang()] {
            let server = Server::start([step]).await;
            let http = http().timeout(Duration::from_secs(1));
            let client = server
                .builder()
                .http_client(http.build().unwrap())
                .max_retries(0)
                .build()
                .unwrap();
            let error = call(&client).await.unwrap_err();
            assert!(
                error.is_timeout() && error.may_have_been_applied(),
                "{error}"
            );
            let line = error.to_string();
            assert!(
                line.contains("no complete response within the HTTP client's own limit;"),
                "{line}"
            );
        }
    });
}

#[test]
fn dead_idle_connection_is_replaced() {
    quick(async {
        let dies = Step::answer(200, &[], SUCCESS).close();
        let server = Server::start([dies.clone(), dies]).await;
        let client = server.builder().build().unwrap();
        for calls in 1..=3 {
            call(&client).await.unwrap();
            assert_eq!(server.log().connections, calls);
        }

        // Here the client cannot know before it has sent the request.
        let server = Server::start([Step::answer(200, &[], SUCCESS), Step::silent().close()]).await;
        let client = server.builder().build().unwrap();
        assert_eq!(call(&client).await.unwrap().attempts(), 1);
        assert_eq!(call(&client).await.unwrap().attempts(), 2);
        assert_eq!(server.log().connections, 2);
    });
}

#[test]
fn dropped_call_closes_connection() {
    quick(async {
        let cases = [
            ("waiting for the answer", Step::silent(), 1),
            ("reading the body", dripping(200), 1),
            (
                "waiting to retry",
                Step::answer(503, &[("retry-after", "3")], "").close(),
                0,
            ),
        ];
        for (when, step, ended) in cases {
            let server = Server::start([step]).await;
            let client = server.client();
            let under_way = tokio::time::timeout(Duration::from_secs(1), call(&client));
            assert!(under_way.await.is_err(), "{when}: the call ended by itself");
            assert_eq!(server.requests(), 1, "{when}");
            server
                .until("the connection is ended", |log| log.ended == ended)
                .await;
            tokio::time::sleep(Duration::from_secs(4)).await;
            assert_eq!(
                server.requests(),
                1,
                "{when}: a request came after the drop"
            );
        }
    });
}

/// It sends GET, with the key, to wherever the answer points.
#[test]
fn redirect_followed_by_custom_http_client_is_error() {
    quick(async {
        let elsewhere = Server::start([]).await;
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = format!("http://{}", closed.local_addr().unwrap());
        drop(closed);
        let there = elsewhere.url() + "/v1/phone-number/+14155552671";
        for location in [&*there, &*nobody, "gopher://127.0.0.1", "."] {
            let step = Step::answer(303, &[("location", location)], "");
            let server = Server::answering(move |_| step.clone()).await;
            let follows = http().redirect(reqwest::redirect::Policy::default());
            let client = server.builder().http_client(follows.build().unwrap());
            let error = call(&client.build().unwrap()).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the HTTP client followed a redirect to elsewhere; give it \
                 `redirect(Policy::none())` and correct the base URL [the request may have taken \
                 effect]",
                "{location}"
            );
            assert!(error.may_have_been_applied() && !error.is_retryable());
            assert!(!error.is_invalid_request() && !error.is_connect());
            assert_eq!(error.attempts(), 1, "{location}");
        }
        assert_eq!(elsewhere.requests(), 1, "it was not followed");
    });
}
