//! https: where it is needed, and what it needs.

use std::{future::poll_fn, mem, path::Path, sync::Arc, time::Duration};

use sigmamind::{Client, http::Response, mock::FakeSigmaMind};
use tempfile::TempPath;
use tokio::net::TcpListener;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use crate::{
    bodies::{MIB, assert_reads_a_mebibyte, json},
    child,
    files::file,
    http2,
    server::{KEY, Server, call, quick},
};

/// A file with a certificate that is its own authority, and who can speak for it.
fn certificate() -> (TempPath, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = file(&made.cert.pem());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (file, TlsAcceptor::from(Arc::new(config)))
}

/// A socket of this machine, and its URL for https.
async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("https://localhost:{port}"))
}

/// Runs a test in a process of its own, which trusts this certificate alone.
fn run_over_tls(test: &str, url: &str, certificate: &Path) {
    let environment = [
        ("SSL_CERT_FILE", certificate.to_str().unwrap()),
        ("SSL_CERT_DIR", "/nonexistent"),
    ];
    child::run_against(test, url, &environment);
}

/// Starts a server of HTTP/2 and TLS, each of whose connections answers so many requests and then
/// is silent. Returns its URL.
async fn silent_after(requests: usize, acceptor: TlsAcceptor) -> String {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                silent.push(http2::answer(stream, requests).await);
            }
        }
    });
    url
}

#[test]
fn silent_connection_is_detected() {
    let (file, acceptor) = certificate();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = runtime.block_on(silent_after(1, acceptor));
    run_over_tls("tls::child_calls_over_silent_connections", &url, &file);
}

#[test]
#[ignore = "silent_connection_is_detected runs it in a process of its own"]
fn child_calls_over_silent_connections() {
    quick(async {
        let client = child::client().build().unwrap();
        assert_eq!(call(&client).await.unwrap().attempts(), 1);
        // The second attempt is on a new connection.
        assert_eq!(call(&client).await.unwrap().attempts(), 2);
        // So is the first, if there was time to find out.
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(call(&client).await.unwrap().attempts(), 1);
        let error = call(&client).max_retries(0).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "connection lost; retry later [the request may have taken effect]"
        );
        assert!(error.is_timeout() && error.is_retryable(), "{error:?}");
    });
}

/// Serves HTTP/2 and TLS, each answer but the first in pieces of so many bytes.
async fn in_pieces(listener: TcpListener, acceptor: TlsAcceptor, size: usize) {
    let (stream, _) = listener.accept().await.unwrap();
    let stream = acceptor.accept(stream).await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut first = true;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let answer = if mem::take(&mut first) {
            "{}".into()
        } else {
            json(MIB)
        };
        let answering = async move {
            let mut request_body = request.into_body();
            while request_body.data().await.is_some() {}
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            for piece in answer.as_bytes().chunks(size) {
                body.reserve_capacity(piece.len());
                while body.capacity() < piece.len() {
                    let Some(Ok(_)) = poll_fn(|context| body.poll_capacity(context)).await else {
                        return; // it was refused
                    };
                }
                let piece = piece.to_vec().into();
                if body.send_data(piece, false).is_err() {
                    return;
                }
            }
            let _ = body.send_data("".into(), true);
        };
        tokio::spawn(answering.with_current_subscriber());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn fragmented_body_allocates_at_most_four_times_its_size() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Much smaller ones are refused by h2 itself, if they come faster than they are read.
    for size in [64, 9000] {
        let (file, acceptor) = certificate();
        let (listener, url) = runtime.block_on(listen());
        // Where another test has turned the most detailed log on, it would take all the time.
        let quiet = NoSubscriber::default();
        runtime.spawn(in_pieces(listener, acceptor, size).with_subscriber(quiet));
        run_over_tls("tls::child_reads_fragmented_body", &url, &file);
    }
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "fragmented_body_allocates_at_most_four_times_its_size runs it in a process of its own"]
fn child_reads_fragmented_body() {
    assert_reads_a_mebibyte();
}

const NO_CERTIFICATES: [(&str, &str); 2] = [
    ("SSL_CERT_FILE", "/dev/null"),
    ("SSL_CERT_DIR", "/nonexistent"),
];

#[test]
fn plain_http_works_without_root_certificates() {
    child::run(
        "tls::child_calls_without_root_certificates",
        &NO_CERTIFICATES,
    );
}

#[test]
#[ignore = "plain_http_works_without_root_certificates runs it in a process of its own"]
fn child_calls_without_root_certificates() {
    quick(async {
        let fake = FakeSigmaMind::start();
        let error = call(&fake.client()).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");

        let server = Server::start([]).await;
        call(&server.builder().build().unwrap()).await.unwrap();
        let elsewhere = Client::builder()
            .api_key(KEY)
            .base_url("http://gateway.invalid")
            .danger_send_secrets_unencrypted(true);
        assert!(elsewhere.build().is_ok());
    });
    for url in ["https://api.sigmamind.ai", "https://localhost"] {
        let built = Client::builder().api_key(KEY).base_url(url).build();
        let error = built.expect_err(url);
        assert!(error.is_configuration(), "{url}");
        assert_eq!(
            error.to_string(),
            "the HTTP client cannot be set up, because https needs root certificates and none can \
             be loaded; install the system's (the package `ca-certificates`), or name a file of \
             them in SSL_CERT_FILE",
            "{url}"
        );
    }
}

#[test]
fn untrusted_certificate_is_named_in_error() {
    let (_, acceptor) = certificate();
    let (file, _) = certificate();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = runtime.block_on(silent_after(1, acceptor));
    run_over_tls("tls::child_calls_untrusted_server", &url, &file);
}

#[test]
#[ignore = "untrusted_certificate_is_named_in_error runs it in a process of its own"]
fn child_calls_untrusted_server() {
    quick(async {
        let client = child::client().build().unwrap();
        let error = call(&client).max_retries(0).await.unwrap_err();
        assert!(error.is_connect() && !error.may_have_been_applied());
        assert_eq!(
            error.to_string(),
            "no connection, because of a certificate; check the base URL, the clock \
             and the system's root certificates (the package `ca-certificates`, or SSL_CERT_FILE)"
        );
    });
}
