//! What the features do to a program, by small programs beside the crate.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::nested::{CRATE, assert_success, build, cargo, root, write, write_program};

/// A program with these dependencies.
struct Program(PathBuf);

impl Program {
    /// `sigmamind` is what is written after its path.
    fn new(name: &str, sigmamind: &str, others: &str, source: &str) -> Self {
        let folder = root().join(name);
        let dependencies = format!("sigmamind = {{ path = {CRATE:?}, {sigmamind} }}\n{others}");
        write_program(&folder, &dependencies, source);
        Self(folder)
    }

    /// Builds it, and runs it to a success on a machine with these certificates alone.
    fn run(&self, certificates: &Path) {
        let program = build(&self.0, &[]);
        let ran = Command::new(program) // cargo would mend what the environment says of them
            .env("SSL_CERT_FILE", certificates)
            .env("SSL_CERT_DIR", "/nonexistent")
            .output();
        assert_success(&ran.unwrap());
    }
}

/// A file with one certificate.
fn certificates() -> PathBuf {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = root().join("certificate.pem");
    write(&file, &made.cert.pem());
    file
}

#[test]
fn default_features_do_not_affect_reqwest_without_tls() {
    let others = r#"reqwest = { version = "0.13", default-features = false, features = ["json"] }"#;
    let source = r#"fn main() {
    let _ = reqwest::Client::new();
    assert!(sigmamind::Client::new("key").is_ok());
}
"#;
    Program::new("plain_reqwest", r#"version = "*""#, others, source).run(&certificates());
}

#[test]
fn rustls_no_provider_uses_provider_of_program() {
    let sigmamind = r#"default-features = false, features = ["rustls-no-provider"]"#;
    let others =
        r#"rustls = { version = "0.23", default-features = false, features = ["ring", "std"] }"#;
    let source = r#"fn main() {
    let error = sigmamind::Client::new("key").unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid configuration: no rustls crypto provider is installed; call `install_default` of one \
         first, or enable the feature `rustls` of sigmamind"
    );
    rustls::crypto::ring::default_provider().install_default().unwrap();
    assert!(sigmamind::Client::new("key").is_ok());
    let _ = sigmamind::reqwest::Client::new();
}
"#;
    let program = Program::new("ring_alone", sigmamind, others, source);
    program.run(&certificates());
    let tree = cargo(&program.0, &["tree", "--edges=normal,build"]);
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(
        tree.contains("ring v") && !tree.contains("aws-lc"),
        "{tree}"
    );
}

#[test]
fn rustls_is_preferred_when_both_backends_are_enabled() {
    let openssl = Command::new("pkg-config")
        .args(["--exists", "openssl"])
        .status();
    if cfg!(target_os = "linux") && !openssl.is_ok_and(|status| status.success()) {
        println!("SKIPPED: the feature native-tls needs OpenSSL's headers and pkg-config on Linux");
        return;
    }
    let sigmamind = r#"default-features = false, features = ["native-tls", "rustls"]"#;
    // Of the two, only rustls reads certificates when a client is made.
    let source = r#"fn main() {
    let error = sigmamind::Client::new("key").unwrap_err();
    assert!(error.to_string().contains("https needs root certificates"), "{error}");
    let _ = sigmamind::reqwest::Client::new();
}
"#;
    Program::new("both_backends", sigmamind, "", source).run(Path::new("/dev/null"));
}

#[test]
fn plain_http_works_without_tls_features() {
    let sigmamind = r#"default-features = false, features = ["blocking"]"#;
    let source = r#"use std::{io::{Read, Write}, net::TcpListener, thread};

use sigmamind::{Client, PhoneNumberUpdate, reqwest};

fn main() {
    let error = Client::new("key").unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid configuration: https needs TLS; enable the feature `rustls`, `rustls-no-provider` or \
         `native-tls` of sigmamind, or give an `http_client`"
    );
    let brought = Client::builder().api_key("key").http_client(reqwest::Client::new());
    assert!(brought.build().is_ok());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    });
    let client = Client::builder().api_key("key").base_url(url).build().unwrap();
    let update = PhoneNumberUpdate::default().friendly_name("Support Line");
    client.update_phone_number(&"+14155552671".parse().unwrap(), &update).wait().unwrap();
}
"#;
    Program::new("without_tls", sigmamind, "", source).run(Path::new("/dev/null"));
}
