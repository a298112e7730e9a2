//! Calls that the document does not have.

use serde_json::{Value, json};
use sigmamind::http::Method;

use crate::{
    capture::capture,
    server::{KEY, Server, Step, quick},
};

#[test]
fn request_sends_any_method_path_and_body() {
    quick(async {
        let answers = [json!([1]), json!({ "a": 1 })].map(|body| body.to_string());
        let [list, object] = &answers;
        let server = Server::start([
            Step::answer(200, &[], list),
            Step::answer(201, &[], object),
            Step::answer(204, &[], ""),
        ])
        .await;
        let client = server.client_with(|builder| builder.base_url(server.url() + "/api/"));
        let get = client.request(Method::GET, "/v1/agents?limit=10&name=a b", None);
        assert_eq!(*get.await.unwrap(), json!([1]));
        let post = client.request(Method::POST, "/v1/agents", Some(json!({ "name": "A" })));
        assert_eq!(*post.await.unwrap(), json!({ "a": 1 }));
        let delete = client.request(Method::DELETE, "/v1/agents/7", None);
        assert_eq!(*delete.await.unwrap(), Value::Null);
        let requests = server.log().requests;
        let lines: Vec<_> = requests.iter().map(|r| r.head.lines().next()).collect();
        assert_eq!(
            lines,
            [
                Some("GET /api/v1/agents?limit=10&name=a%20b HTTP/1.1"),
                Some("POST /api/v1/agents HTTP/1.1"),
                Some("DELETE /api/v1/agents/7 HTTP/1.1")
            ]
        );
        assert_eq!(requests[1].body, br#"{"name":"A"}"#);
        assert_eq!(requests[1].header("content-type"), Some("application/json"));
        assert_eq!(requests[0].header("content-type"), None);
        assert!(requests.iter().all(|r| r.header("x-api-key") == Some(KEY)));
    });
}

#[test]
fn request_path_cannot_leave_base_url() {
    quick(async {
        let server = Server::start([]).await;
        let client = server.client();
        for path in [
            "",
            "v1",
            "@elsewhere.test/",
            ":80/",
            "//elsewhere.test/",
            "/a//b",
            "/../b",
            "/a/..",
            "/.",
            "/%2e%2E/b",
            "/a/.%2e",
            "/a%2f..%2fb",
            "/a\\..\\b",
            "/a%5Cb",
            "/a#b",
            "/a\nb",
            "http://elsewhere.test/",
        ] {
            let call = client.request(Method::GET, path, None);
            let error = call.validate().expect_err(path);
            assert!(error.is_invalid_request(), "{path}: {error}");
        }
        for method in [Method::CONNECT, Method::TRACE] {
            assert!(client.request(method, "/v1", None).validate().is_err());
        }
        assert_eq!(server.log().connections, 0);
    });
}

#[test]
fn request_retries_only_idempotent_methods() {
    quick(async {
        for (method, attempts) in [
            (Method::GET, 2),
            (Method::HEAD, 2),
            (Method::PUT, 2),
            (Method::DELETE, 2),
            (Method::OPTIONS, 2),
            (Method::POST, 1),
            (Method::PATCH, 1),
        ] {
            let server = Server::start([Step::status(503), Step::answer(200, &[], "")]).await;
            let body = Some(json!({})).filter(|_| method == Method::POST);
            let client = server.client();
            let outcome = client.request(method.clone(), "/v1/agents", body).await;
            assert_eq!(server.requests(), attempts, "{method}");
            assert_eq!(outcome.is_ok(), attempts == 2, "{method}");
            if let Err(error) = outcome {
                assert!(error.may_have_been_applied(), "{method}");
            }
        }
        // A refusal has no effect.
        let limited = Step::answer(429, &[("retry-after", "0")], "");
        let server = Server::start([limited]).await;
        let post = server
            .client()
            .request(Method::POST, "/v1/agents", Some(json!({})));
        assert!(post.await.is_ok());
        assert_eq!(server.requests(), 2);
    });
}

#[test]
fn request_debug_shows_no_body() {
    let logged = capture(|| {
        quick(async {
            let body = json!({ "pin": "hush-hush", "deep": [{ "word": "whisper" }] });
            let echo = json!({ "message": "no: hush-hush, whisper, acct-4711" }).to_string();
            let server = Server::start([Step::answer(400, &[], echo)]).await;
            let client = server.client();
            let call = client.request(Method::PUT, "/v1/acct-4711/pin", Some(body));
            let shown = format!("{call:?}");
            let error = call.await.unwrap_err();
            assert_eq!(
                error.message(),
                Some("no: [redacted], [redacted], [redacted]")
            );
            let shown = format!("{shown} {error} {error:?}");
            assert!(
                !shown.contains("hush") && !shown.contains("4711"),
                "{shown}"
            );
        });
    });
    assert!(!logged.text.contains("hush") && !logged.text.contains("whisper"));
    let template = |span: &crate::capture::Fields| span.contains_key("url.template");
    assert!(!logged.spans.iter().any(template), "{:?}", logged.spans);
}

#[test]
fn short_request_values_are_redacted() {
    quick(async {
        let server = Server::start([Step::answer(400, &[], "k7, q9 or z8")]).await;
        let body = json!({ "pin": "k7", "pins": ["q9", { "more": "z8" }] });
        let client = server.client();
        let call = client.request(Method::POST, "/v1/agents", Some(body));
        let error = call.await.unwrap_err();
        assert_eq!(
            error.message(),
            Some("[redacted], [redacted] or [redacted]")
        );
    });
}
