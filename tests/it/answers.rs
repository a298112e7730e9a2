//! A success must be about the requested number.

use serde_json::{Value, json};

use crate::server::{KEY, Server, Step, call, causes, error_of, quick};

#[test]
fn response_keeps_body_as_received() {
    quick(async {
        let body = "\u{feff} {\"friendlyName\": \"F\",  \"region\": [1]}\n";
        let server = Server::start([Step::answer(200, &[], body)]).await;
        let phone = call(&server.client()).await.unwrap();
        assert_eq!(phone.friendly_name.as_deref(), Some("F"));
        assert_eq!(phone.body(), body.as_bytes());
        assert_eq!(phone.headers()["content-length"], *body.len().to_string());
    });
}

#[test]
fn unrelated_2xx_body_is_decode_error() {
    let cases = [
        (
            json!({ "error": "not yours" }),
            "has none of the documented properties",
        ),
        (
            json!({ "success": false }),
            "has none of the documented properties",
        ),
        (
            json!({ "data": { "friendlyName": "F" } }),
            "has none of the documented properties",
        ),
        (
            json!({ "friendlyName": 7 }),
            "is not the documented JSON at `friendlyName`",
        ),
    ];
    quick(async {
        for (body, problem) in cases {
            let error = error_of(Step::answer(200, &[], body.to_string())).await;
            assert_eq!(
                error.to_string(),
                format!(
                    "the request was accepted (200 OK), but the response {problem}; verify the \
                     current state"
                )
            );
            assert!(error.is_decode() && error.may_have_been_applied(), "{body}");
            assert!(!error.is_retryable(), "{body}");
            assert_eq!(error.body(), body.to_string().as_bytes());
        }
    });
}

/// Nothing of the answer is set, so its names are looked at; serde would refuse the values.
#[test]
fn undocumented_value_is_ignored() {
    quick(async {
        let deep = ["[".repeat(200), "]".repeat(200)].concat();
        let body = format!(r#"{{ "friendlyName": null, "deep": {deep}, "large": 1e999 }}"#);
        let server = Server::start([Step::answer(200, &[], &*body)]).await;
        let phone = call(&server.client()).await.unwrap();
        assert_eq!(phone.friendly_name, None);
    });
}

/// As a struct, serde would read a list of the right length.
#[test]
fn list_instead_of_object_is_decode_error() {
    quick(async {
        let mut list = vec![Value::Null; 8];
        list[0] = "+14155552671".into();
        let list = Value::from(list).to_string();
        let error = error_of(Step::answer(200, &[], list)).await;
        assert!(
            error.is_decode() && error.may_have_been_applied(),
            "{error}"
        );
        assert_eq!(
            causes(&error)[0].to_string(),
            "expected a map at line 1 column 0"
        );
    });
}

#[test]
fn response_debug_shows_harmless_values() {
    quick(async {
        let server =
            Server::start([Step::answer(200, &[], "{}"), Step::answer(200, &[], "")]).await;
        let client = server.client();
        let text = format!("{client:?}");
        assert!(text.contains("host: \"127.0.0.1\""), "{text}");
        assert!(!text.contains(KEY), "{text}");
        let text = format!("{:?}", call(&client).await.unwrap());
        assert!(text.contains("status: 200, attempts: 1"), "{text}");
        let error = call(&client).await.unwrap_err();
        let reason = "EOF while parsing a value at line 1 column 0";
        assert_eq!(format!("{:?}", causes(&error)), format!("[{reason}]"));
    });
}
