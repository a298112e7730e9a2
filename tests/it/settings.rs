//! The settings that are refused, and those that are not.

use std::time::Duration;

use sigmamind::{Client, ClientBuilder};

use crate::server::{KEY, NUMBER, Server, call, http, nobody, quick};

fn at(base_url: &str) -> ClientBuilder {
    let http = http().build().unwrap();
    Client::builder()
        .api_key(KEY)
        .base_url(base_url)
        .http_client(http)
}

#[test]
fn plain_http_is_allowed_for_loopback_only() {
    for host in [
        "api.sigmamind.ai",
        "10.0.0.1",
        "128.0.0.1",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "[::2]",
        "[::ffff:10.0.0.1]",
        "0.0.0.0",
    ] {
        let url = format!("http://{host}:8080/api");
        let error = at(&url).build().expect_err(host);
        assert!(error.is_configuration() && !error.may_have_been_applied());
        assert_eq!(
            error.to_string(),
            format!(
                "invalid configuration: the base URL {url:?} must be https, or everyone on the way can \
                 read the key and the trunk password"
            )
        );
        let allowed = at(&url).danger_send_secrets_unencrypted(true).build();
        assert!(allowed.is_ok(), "{host} with the switch");
        let https = at(&url.replace("http:", "https:")).build();
        assert!(https.is_ok(), "{host} by https");
    }
    for host in [
        "localhost",
        "LOCALHOST",
        "127.0.0.1",
        "127.9.9.9",
        "[::1]",
        "2130706433",
    ] {
        let built = at(&format!("http://{host}:8080")).build();
        assert!(built.is_ok(), "{host}: {}", built.unwrap_err());
    }
}

#[test]
fn base_url_with_more_than_an_address_is_refused() {
    for (url, reason) in [
        ("", "is not a URL: relative URL without a base"),
        (
            "api.sigmamind.ai",
            "\"api.sigmamind.ai\" is not a URL: relative URL without a base",
        ),
        ("https://", "\"https://\" is not a URL: empty host"),
        (
            "ftp://api.sigmamind.ai",
            "\"ftp://api.sigmamind.ai\" must begin with https://",
        ),
        (
            "file:///etc/passwd",
            "\"file:///etc/passwd\" must begin with https://",
        ),
        (
            "https://me@api.sigmamind.ai",
            "must not have a user or a password",
        ),
        (
            "https://:pw@api.sigmamind.ai",
            "must not have a user or a password",
        ),
        (
            "https://api.sigmamind.ai?",
            "must not have a query or a fragment",
        ),
        (
            "https://api.sigmamind.ai?a=b",
            "must not have a query or a fragment",
        ),
        (
            "https://api.sigmamind.ai#a",
            "must not have a query or a fragment",
        ),
        (
            "https://api.sigmamind.ai//",
            "\"https://api.sigmamind.ai//\" has an empty path segment",
        ),
        (
            "https://api.sigmamind.ai/a//b",
            "\"https://api.sigmamind.ai/a//b\" has an empty path segment",
        ),
        (
            "https://api.sigmamind.ai/a%2Fb",
            "\"https://api.sigmamind.ai/a%2Fb\" has an escaped character in its path",
        ),
    ] {
        let error = at(url).build().expect_err(url);
        assert!(error.is_configuration(), "{url}");
        assert_eq!(
            error.to_string(),
            format!("invalid configuration: the base URL {reason}"),
            "{url}"
        );
    }
}

/// A key that was put where the URL belongs, say.
#[test]
fn refused_base_url_error_does_not_show_key() {
    for url in [
        KEY.to_owned(),
        format!("ftp://{KEY}.test"),
        format!("x?{KEY}"),
    ] {
        let error = at(&url).build().expect_err(&url);
        assert!(!error.to_string().contains(KEY), "{error}");
    }
}

#[test]
fn base_url_accepts_path() {
    quick(async {
        for (suffix, path) in [
            ("", "/v1"),
            ("/", "/v1"),
            ("/api", "/api/v1"),
            ("/api/", "/api/v1"),
            ("/a/b/", "/a/b/v1"),
        ] {
            let server = Server::start([]).await;
            let client = at(&(server.url() + suffix)).build().unwrap();
            call(&client).await.unwrap();
            let head = &server.log().requests[0].head;
            let line = format!("PATCH {path}/phone-number/{NUMBER} HTTP/1.1\r\n");
            assert!(head.starts_with(&line), "{suffix}: {head}");
        }
    });
}

type Set = fn(ClientBuilder, Duration) -> ClientBuilder;

#[test]
fn zero_timeouts_are_refused() {
    let set: [(&str, Set); 3] = [
        ("attempt_timeout", ClientBuilder::attempt_timeout),
        ("timeout", ClientBuilder::timeout),
        ("connect_timeout", ClientBuilder::connect_timeout),
    ];
    for (name, set) in set {
        let error = set(nobody(), Duration::ZERO).build();
        assert!(error.expect_err(name).is_configuration(), "{name}");
        let longest = set(nobody(), Duration::MAX).build();
        assert!(longest.is_ok(), "{name}");
    }
}

#[test]
fn maximum_timeouts_do_not_overflow() {
    quick(async {
        let server = Server::start([]).await;
        let client = server
            .builder()
            .attempt_timeout(Duration::MAX)
            .timeout(Duration::MAX)
            .connect_timeout(Duration::MAX)
            .max_retries(u32::MAX);
        assert!(call(&client.build().unwrap()).await.is_ok());
    });
}
