//! An error speaks for the whole call; options and hooks that see its attempts.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::Value;
use sigmamind::{Client, ErrorKind, PhoneNumberUpdate, Secret, http::Method};
use tokio::{io::AsyncReadExt as _, io::AsyncWriteExt as _, net::TcpListener};

use crate::server::{KEY, Server, Step, call, error_of, http, quick};

#[test]
fn key_failure_after_a_sent_attempt_reports_that_attempt() {
    quick(async {
        for first in [Step::status(503), Step::silent().close()] {
            let server = Server::start([first]).await;
            let reads = AtomicU32::new(0);
            let provider = move || match reads.fetch_add(1, Relaxed) {
                0 => Ok(Secret::from(KEY)),
                _ => Err("the vault is sealed"),
            };
            let client = server.client_with(|builder| builder.api_key_provider(provider));
            let error = call(&client).await.unwrap_err();
            assert!(error.is_configuration() && !error.is_invalid_request());
            assert!(error.may_have_been_applied());
            assert_eq!((error.attempts(), server.requests()), (1, 1));
            let line = error.to_string();
            assert!(
                line.ends_with(" [after 1 attempt] [the request may have taken effect]"),
                "{line}"
            );
        }
    });
}

#[test]
fn connect_failure_after_a_sent_attempt_reports_that_attempt() {
    quick(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(listener);
            stream
                .read_buf(&mut Vec::with_capacity(4096))
                .await
                .unwrap();
            let response = b"HTTP/1.1 503 -\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(response).await.unwrap();
        });
        let client = Client::builder()
            .api_key(KEY)
            .base_url(url)
            .http_client(http().build().unwrap())
            .build()
            .unwrap();
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.may_have_been_applied());
        assert_eq!(error.attempts(), 3);
        assert_eq!(
            error.to_string(),
            "no connection (connection refused); check the network, the proxy and the base URL \
             [after 3 attempts] [the request may have taken effect]"
        );
    });
}

#[test]
fn failed_get_is_not_said_to_have_taken_effect() {
    quick(async {
        for step in [Step::status(500), Step::silent().close()] {
            let server = Server::start([step]).await;
            let call = server.client().request(Method::GET, "/v1/agents/7", None);
            let error = call.max_retries(0).await.unwrap_err();
            assert!(!error.may_have_been_applied(), "{error}");
            assert!(!error.to_string().contains("effect"), "{error}");
        }
        let server = Server::start([Step::status(404)]).await;
        let call = server.client().request(Method::GET, "/v1/agents/7", None);
        let line = call.await.unwrap_err().to_string();
        assert!(!line.contains("number"), "{line}");
    });
}

#[test]
fn kind_has_a_stable_code_for_each_status() {
    quick(async {
        for (status, code) in [
            (308, "redirect"),
            (401, "unauthorized"),
            (403, "forbidden"),
            (404, "not_found"),
            (408, "rejected"),
            (422, "rejected"),
            (429, "rate_limited"),
            (500, "server_error"),
            (522, "server_error"),
        ] {
            let error = error_of(Step::status(status)).await;
            assert_eq!(error.kind().as_str(), code, "{status}");
            assert_eq!(error.kind().to_string(), code, "{status}");
        }
    });
}

#[test]
fn gateway_failures_of_proxies_are_retried() {
    quick(async {
        for status in [520, 522, 524, 529, 530] {
            let server = Server::start([Step::status(status)]).await;
            assert_eq!(call(&server.client()).await.unwrap().attempts(), 2);
        }
        for status in [501, 525, 599] {
            let server = Server::start([Step::status(status)]).await;
            assert!(!call(&server.client()).await.unwrap_err().is_retryable());
        }
    });
}

#[test]
fn idempotent_decides_whether_a_sent_request_is_repeated() {
    quick(async {
        let server = Server::start([Step::status(500), Step::answer(200, &[], "{}")]).await;
        let search = |client: &Client| client.request(Method::POST, "/v1/search", None);
        search(&server.client()).await.unwrap_err();
        assert_eq!(server.requests(), 1);
        let server = Server::start([Step::status(500), Step::answer(200, &[], "{}")]).await;
        let found = search(&server.client()).idempotent(true).await.unwrap();
        assert_eq!(found.attempts(), 2);
        let server = Server::start([Step::status(500)]).await;
        let error = call(&server.client()).idempotent(false).await.unwrap_err();
        assert_eq!((error.attempts(), server.requests()), (1, 1));
    });
}

#[test]
fn attempt_end_hook_sees_every_attempt() {
    quick(async {
        let steps = [Step::status(503), Step::silent().close()];
        let server = Server::start(steps).await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let client = server.client_with(|builder| {
            builder.on_attempt_end(move |end| {
                assert_eq!(end.operation().id(), "updatePhoneNumber");
                assert!(end.duration() < Duration::from_secs(30));
                let status = end.status().map(|status| status.as_u16());
                let error = end.error().map(ErrorKind::as_str);
                let entry = (end.number(), status, error, end.will_retry());
                log.lock().unwrap().push(entry);
            })
        });
        call(&client).await.unwrap();
        assert_eq!(
            *seen.lock().unwrap(),
            [
                (1, Some(503), Some("server_error"), true),
                (2, None, Some("connection_lost"), true),
                (3, Some(200), None, false),
            ]
        );
    });
}

#[test]
fn hook_may_set_a_header_twice() {
    quick(async {
        let server = Server::start([]).await;
        let client = server.client_with(|builder| {
            builder
                .header("x-tag", "replaced")
                .on_attempt(|headers, _| {
                    headers.append("x-tag", "a".parse().unwrap());
                    headers.append("x-tag", "b".parse().unwrap());
                })
        });
        call(&client).await.unwrap();
        let log = server.log();
        let head = &log.requests[0].head;
        let tags: Vec<_> = head
            .lines()
            .filter(|line| line.starts_with("x-tag"))
            .collect();
        assert_eq!(tags, ["x-tag: a", "x-tag: b"]);
    });
}

#[test]
fn apostrophe_in_a_query_is_sent() {
    quick(async {
        let server = Server::start([]).await;
        let client = server.client();
        let agents = client.request(Method::GET, "/v1/agents?name=O'Brien", None);
        agents.await.unwrap();
        let line = server.log().requests[0].head.clone();
        assert!(
            line.starts_with("GET /v1/agents?name=O%27Brien HTTP/1.1"),
            "{line}"
        );
    });
}

#[test]
fn url_beyond_the_limit_of_http_is_refused() {
    let client = Client::builder()
        .api_key(KEY)
        .base_url("http://127.0.0.1:1")
        .build()
        .unwrap();
    let path = format!("/v1/{}", "x".repeat(66_000));
    let error = client
        .request(Method::GET, &path, None)
        .validate()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid request: the URL is longer than 65534 bytes"
    );
}

#[test]
fn too_many_header_lines_are_named() {
    quick(async {
        let names: Vec<_> = (0..101).map(|number| format!("x-{number}")).collect();
        let headers: Vec<_> = names.iter().map(|name| (&**name, "a")).collect();
        let error = error_of(Step::answer(200, &headers, "{}")).await;
        let line = error.to_string();
        assert!(line.contains("more than 100 header lines"), "{line}");
    });
}

#[test]
fn debug_of_an_undocumented_response_hides_its_value() {
    quick(async {
        let body = r#"{"password": "hunter2"}"#;
        let server = Server::start([Step::answer(200, &[], body)]).await;
        let call = server.client().request(Method::GET, "/v1/trunks/7", None);
        let response = call.await.unwrap();
        assert_eq!(response["password"], Value::from("hunter2"));
        assert!(!format!("{response:?}").contains("hunter2"));
    });
}

#[test]
fn property_names_what_a_response_or_a_request_has_wrong() {
    quick(async {
        let error = error_of(Step::answer(200, &[], r#"{"friendlyName": 7}"#)).await;
        assert_eq!(error.property(), Some("friendlyName"));
        let error = error_of(Step::answer(200, &[], r#"{"friendlyName": "#)).await;
        assert!(error.is_decode());
        let error = error_of(Step::answer(200, &[], r#"["a"]"#)).await;
        assert_eq!(error.property(), None);
    });
}

#[test]
fn update_is_validated_without_a_client() {
    let error = PhoneNumberUpdate::default().validate().unwrap_err();
    assert!(error.is_invalid_request() && error.property().is_none());
    let reason = error.reason().expect("a reason");
    assert_eq!(error.to_string(), format!("invalid request: {reason}"));
    let update = PhoneNumberUpdate::default().friendly_name("Support Line");
    assert!(update.validate().is_ok());
}

#[test]
fn timeout_bounds_the_call_and_attempt_timeout_one_attempt() {
    quick(async {
        let silent = || Step::silent();
        let server = Server::start([silent(), silent(), silent()]).await;
        let second = Duration::from_secs(1);
        let error = call(&server.client())
            .attempt_timeout(second)
            .await
            .unwrap_err();
        assert_eq!(error.attempts(), 3, "each attempt has its own");
        assert!(error.to_string().contains("within 1 s;"), "{error}");
        let server = Server::start([silent(), silent(), silent()]).await;
        let error = call(&server.client()).timeout(second).await.unwrap_err();
        assert_eq!(error.attempts(), 1, "one for all");
        assert!(error.to_string().contains("within 1 s;"), "{error}");
    });
}
