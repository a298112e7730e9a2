//! Requests through the proxies that the environment names.

use std::env;

use sigmamind::Client;

use crate::{
    child,
    server::{KEY, Server, call, quick},
};

#[test]
fn loopback_bypasses_every_proxy() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let proxy = runtime.block_on(Server::start([]));
        let none = ["NO_PROXY", "no_proxy"].map(|name| (name, ""));
        let environment = [none[0], none[1], (variable, &*proxy.url())];
        child::run("proxies::child_calls_with_proxy", &environment);
        let targets: Vec<_> = proxy
            .log()
            .requests
            .into_iter()
            .map(|request| request.head.lines().next().unwrap().to_owned())
            .collect();
        assert_eq!(
            targets,
            ["PATCH http://gateway.invalid/v1/phone-number/+14155552671 HTTP/1.1"],
            "{variable}"
        );
    }
}

#[test]
#[ignore = "loopback_bypasses_every_proxy runs it in a process of its own"]
fn child_calls_with_proxy() {
    assert!(env::vars().any(|(name, _)| name.to_lowercase().ends_with("_proxy")));
    quick(async {
        let server = Server::start([]).await;
        let port = server.address.port();
        for (requests, host) in ["127.0.0.1", "localhost"].into_iter().enumerate() {
            let client = server.builder().base_url(format!("http://{host}:{port}"));
            let outcome = call(&client.build().unwrap()).await;
            outcome.unwrap_or_else(|error| panic!("{host}: {error}"));
            assert_eq!(server.requests(), requests + 1, "{host}");
        }
        // Nobody is there, and the proxy would answer.
        for url in [
            "http://127.1.2.3:1",
            "http://[::1]:1",
            "https://localhost:1",
        ] {
            let client = server.builder().base_url(url).max_retries(0);
            let error = call(&client.build().unwrap()).await.expect_err(url);
            assert!(error.is_connect(), "{url}: {error}");
        }
        // What is elsewhere goes there.
        let client = Client::builder()
            .api_key(KEY)
            .base_url("http://gateway.invalid")
            .danger_send_secrets_unencrypted(true);
        call(&client.build().unwrap()).await.unwrap();
    });
}
