//! No secret in any text that the crate can produce.

use std::{
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::json;
use sigmamind::{Client, Error, PhoneNumberUpdate, Secret, http::Method, reqwest};

use crate::{
    capture::capture,
    http2,
    server::{
        KEY, NUMBER, PASSWORD, SUCCESS, Server, Step, USERNAME, call, causes, head, http, nobody,
        quick, update,
    },
};

/// The number without its `+`, which may be escaped, and the parts of the password between
/// characters that may be.
const SECRETS: [&str; 6] = [KEY, "4155552671", "Tr0nk", "P@ss", "w0rd", USERNAME];

const SOON: Duration = Duration::from_secs(5);

/// Panics if the text has a secret in it.
fn assert_clean(what: &str, text: &str) {
    assert!(!text.is_empty(), "{what} is empty");
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

/// Every text that an error has for those who do not ask for the raw answer.
fn texts(error: &Error) -> String {
    let mut texts = format!("{error}\n{error:?}\n{error:#?}\n{:?}\n", error.message());
    for cause in causes(error) {
        writeln!(texts, "{cause}\n{cause:?}\n{cause:#?}").unwrap();
    }
    texts
}

/// Server message that repeats every secret of the request, in several forms.
fn echo() -> String {
    format!(
        "key {KEY}, password {PASSWORD}, number {NUMBER} or {}",
        &NUMBER[1..]
    )
}

fn steps() -> Vec<(&'static str, Step)> {
    let echo = echo();
    let json = serde_json::json!({ "message": echo }).to_string();
    let quoted = serde_json::to_string(&update()).unwrap();
    let nested = serde_json::json!({ "error": { "message": format!("refused: {quoted}") } });
    let number = serde_json::json!({ "active": NUMBER, "friendlyName": KEY });
    let key = format!(r#"{{"friendlyName": "{KEY}", "active": "x, expected {KEY}"}}"#);
    vec![
        ("JSON", Step::answer(400, &[], &json)),
        ("JSON, to be tried again", Step::answer(503, &[], &json)),
        ("text", Step::answer(400, &[], &echo)),
        (
            "a quoted request",
            Step::answer(400, &[], nested.to_string().replace(USERNAME, "-")),
        ),
        ("an accepted update", Step::answer(202, &[], &echo)),
        (
            "a success that is none",
            Step::answer(200, &[], json.replace("message", "active")),
        ),
        (
            "a number for a bool",
            Step::answer(200, &[], number.to_string()),
        ),
        ("a key for a bool", Step::answer(200, &[], key)),
        (
            "a string alone",
            Step::answer(200, &[], format!("{NUMBER:?}")),
        ),
        (
            "a long success",
            Step::answer(200, &[], echo.repeat(1 << 15)),
        ),
        (
            "a redirect",
            Step::answer(
                307,
                &[("location", &format!("http://{}.test/{KEY}", &NUMBER[1..]))],
                "",
            ),
        ),
        (
            "a header",
            Step::answer(400, &[("x-echo", &format!("{KEY} {NUMBER}"))], ""),
        ),
        (
            "a broken answer",
            Step::send([head(200, &[("content-length", "999")]), echo.into()].concat()).close(),
        ),
        (
            "no HTTP",
            Step::send(format!("{KEY} {NUMBER} {USERNAME}\r\n\r\n")).close(),
        ),
        (
            "a bad chunk",
            Step::send(
                [
                    head(200, &[("transfer-encoding", "chunked")]),
                    NUMBER.into(),
                ]
                .concat(),
            )
            .close(),
        ),
        ("reset", Step::silent().reset()),
        ("closed", Step::silent().unread().close()),
        ("silent", Step::silent()),
    ]
}

#[test]
fn errors_show_no_secret() {
    quick(async {
        for (case, step) in steps() {
            let server = Server::start([step.clone(), step.clone(), step]).await;
            let error = call(&server.client()).timeout(SOON).await.expect_err(case);
            assert_clean(case, &texts(&error));
        }
        let plain = Server::start([]).await.address;
        for (case, url) in [
            ("TLS to a server without it", format!("https://{plain}")),
            ("no server", "http://127.0.0.1:1".into()),
        ] {
            let http = http().build().unwrap();
            let client = nobody().base_url(url).http_client(http).max_retries(0);
            let error = call(&client.build().unwrap()).await.expect_err(case);
            assert_clean(case, &texts(&error));
        }
    });
}

#[test]
fn echoed_secret_is_redacted() {
    quick(async {
        let server = Server::start([Step::answer(400, &[], echo())]).await;
        let error = call(&server.client()).await.unwrap_err();
        assert_eq!(
            error.message(),
            Some("key [redacted], password [redacted], number +[redacted] or [redacted]")
        );
        assert_eq!(
            error.body(),
            echo().as_bytes(),
            "the raw answer is as it came"
        );
    });
}

#[test]
fn echoed_secret_is_redacted_in_any_encoding() {
    quick(async {
        let uri = "sip.pbx-of-ours.example";
        let echoes = [
            (KEY.to_uppercase(), "[redacted]"),
            (KEY.replace('-', "\u{1}-\u{200b}"), "[redacted]"),
            (KEY.replace('-', "%2d"), "[redacted]"),
            (PASSWORD.to_lowercase(), "[redacted]"),
            (PASSWORD.replace('"', r#"\""#), "[redacted]"),
            (USERNAME.to_uppercase(), "[redacted]"),
            (format!("no route to {uri}."), "no route to [redacted]."),
            ("+1 415-555-2671".to_owned(), "+[redacted]"),
            // Letters and digits are compared, so a bracket before them is not part of the number.
            ("(415) 555-2671".to_owned(), "([redacted]"),
            (KEY.replace('-', r"\\u002d"), "[redacted]"),
            (
                "the api key may not edit this phone-number".to_owned(),
                "the api key may not edit this phone-number",
            ),
        ];
        let steps = echoes.clone().map(|(echo, _)| Step::answer(400, &[], echo));
        let server = Server::start(steps).await;
        let client = server.client_with(|builder| builder.base_url(server.url() + "/api"));
        let update = update().termination_sip_uri(uri);
        for (echo, shown) in echoes {
            let call = client.update_phone_number(&NUMBER.parse().unwrap(), &update);
            let error = call.await.unwrap_err();
            assert_eq!(error.message(), Some(shown), "of {echo:?}");
        }
    });
}

#[test]
fn secret_is_redacted_before_message_is_truncated() {
    quick(async {
        // The cut, at 500 characters, goes through the key.
        let body = format!("{}{KEY}", "x".repeat(495));
        let server = Server::start([Step::answer(400, &[], body)]).await;
        let error = call(&server.client()).await.unwrap_err();
        let end = error.message().map(|message| &message[495..]);
        assert_eq!(end, Some("[reda"));
    });
}

#[test]
fn truncated_message_redacts_partial_secret() {
    quick(async {
        let (half, _) = KEY.split_at(KEY.len() / 2);
        let broken = Step::send(
            [
                head(400, &[("content-length", "999")]),
                format!("key {half}").into(),
            ]
            .concat(),
        );
        // What is kept, 64 KiB, ends within the key.
        let room = " ".repeat((64 << 10) - "key".len() - half.len());
        let long = Step::answer(400, &[], format!("key{room}{KEY}"));
        let whole = Step::answer(400, &[], format!("key {half}"));
        for (step, said) in [
            (broken.close(), "key [redacted]"),
            (long, "key [redacted]"),
            (whole, &format!("key {half}")),
        ] {
            let server = Server::start([step]).await;
            let error = call(&server.client()).await.unwrap_err();
            assert_eq!(error.message(), Some(said));
        }
    });
}

#[test]
fn nested_secret_does_not_expose_enclosing_one() {
    quick(async {
        let password = format!("my-{KEY}-pass");
        let server = Server::start([Step::answer(400, &[], &password)]).await;
        let update = PhoneNumberUpdate::default().trunk_password(password);
        let number = NUMBER.parse().unwrap();
        let call = server.client();
        let error = call
            .update_phone_number(&number, &update)
            .await
            .unwrap_err();
        assert_eq!(error.message(), Some("[redacted]"));
    });
}

#[test]
fn debug_shows_no_secret() {
    quick(async {
        let server = Server::start([Step::answer(200, &[("x-echo", KEY)], SUCCESS)]).await;
        let update = update().termination_sip_uri(format!("sip:{USERNAME}@{NUMBER}.test"));
        let phone = call(&server.client()).await.unwrap();
        let cases = [
            ("the builder", format!("{0:?} {0:#?}", server.builder())),
            ("the client", format!("{0:?} {0:#?}", server.client())),
            ("the update", format!("{update:?} {update:#?}")),
            ("the response", format!("{phone:?} {phone:#?}")),
            (
                "the phone number",
                format!("{0:?} {0:#?}", phone.into_inner()),
            ),
        ];
        for (what, text) in cases {
            assert_clean(what, &text);
        }
    });
}

#[test]
fn invalid_api_key_is_not_repeated_in_error() {
    for end in ["\n", "\r\n", " ", "\t", "\0", "\u{7f}", "é", "\u{200b}"] {
        for key in [
            format!("{KEY}{end}"),
            format!("{end}{KEY}"),
            format!("{KEY}{end}{KEY}"),
        ] {
            let error = nobody()
                .api_key(&*key)
                .build()
                .expect_err("a key that is no header value");
            assert_eq!(
                error.to_string(),
                "invalid configuration: the API key has a space, a line break or another character that \
                 is not visible ASCII; copy it again without that",
                "{end:?}"
            );
            assert_clean("the error", &texts(&error));
            let builder = Client::builder().api_key(key);
            assert_clean("the builder", &format!("{builder:?}"));
        }
    }
    let error = nobody().api_key("").build().expect_err("an empty key");
    assert_eq!(
        error.to_string(),
        "invalid configuration: the API key is empty; give the key from SigmaMind's settings"
    );
}

#[test]
fn panic_shows_no_secret() {
    quick(async {
        let server = Server::start([Step::answer(400, &[], echo())]).await;
        let outcome = call(&server.client()).await;
        let panic = catch_unwind(AssertUnwindSafe(|| outcome.unwrap())).unwrap_err();
        assert_clean("the panic", panic.downcast_ref::<String>().unwrap());
    });
}

#[test]
fn trace_log_shows_no_secret() {
    let logged = capture(|| {
        quick(async {
            for (_, step) in steps() {
                let server = Server::start([step]).await;
                let _ = call(&server.client()).timeout(SOON).await;
            }
            // A proxy makes reqwest say more.
            let proxy = Server::start([]).await;
            let http = http().proxy(reqwest::Proxy::http(proxy.url()).unwrap());
            let client = proxy.builder().http_client(http.build().unwrap());
            call(&client.build().unwrap()).await.unwrap();
            http2::call_once().await;
        });
    });
    for source in [
        "h2::codec",
        "reqwest::connect",
        "hyper_util::client",
        "sigmamind::attempt",
        "attempt failed",
        "intercepts",
    ] {
        assert!(logged.text.contains(source), "nothing of {source}");
    }
    assert_clean("the log", &logged.text);
}

#[test]
fn request_id_of_error_is_redacted() {
    quick(async {
        let id = format!("id-1 {KEY} {PASSWORD} {NUMBER}");
        let server = Server::start([Step::answer(400, &[("x-request-id", &id)], "")]).await;
        let error = call(&server.client()).await.unwrap_err();
        assert_eq!(
            error.request_id(),
            Some("id-1 [redacted] [redacted] +[redacted]")
        );
        assert_eq!(error.headers()["x-request-id"], *id, "as received");
    });
}

#[test]
fn error_of_api_key_provider_is_redacted() {
    quick(async {
        let server = Server::start([Step::status(503)]).await;
        let calls = AtomicUsize::new(0);
        let client = server.client_with(|builder| {
            builder.api_key_provider(move || match calls.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(Secret::from(KEY)),
                _ => Err(format!(
                    "no\u{1b}[2J \u{202e}lease\r\nfor {KEY} {PASSWORD} {NUMBER}"
                )),
            })
        });
        let error = call(&client).await.unwrap_err();
        let reason = "API key provider failed: no[2J lease for [redacted] [redacted] +[redacted]";
        assert!(error.to_string().contains(reason), "{error}");
        assert_clean("the error", &texts(&error));
    });
}

#[test]
fn redactor_hides_secrets_alone() {
    quick(async {
        let server = Server::start([]).await;
        let redactor = call(&server.client()).redactor();
        let text = format!(
            "{KEY}\n{} {USERNAME}\u{7} {NUMBER}",
            PASSWORD.to_uppercase()
        );
        assert_eq!(
            redactor.redact(&text),
            format!("[redacted] [redacted] {USERNAME} {NUMBER}")
        );
        assert_clean("the redactor", &format!("{redactor:?}"));
    });
}

#[test]
fn message_is_redacted_when_many_texts_were_sent() {
    quick(async {
        let texts: Vec<_> = (0..10_000)
            .map(|number| format!("agent-{number:05}"))
            .collect();
        let body = json!({ "agents": texts });
        let server = Server::start([Step::answer(400, &[], "no agent-01234, agent-10000")]).await;
        let call = server
            .client()
            .request(Method::POST, "/v1/teams", Some(body));
        let error = call.await.unwrap_err();
        assert_eq!(error.message(), Some("no [redacted], agent-10000"));
    });
}
