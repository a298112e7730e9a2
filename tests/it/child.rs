//! Tests that need a process of their own: for its environment, or to see what it uses.

use std::{env, ffi::OsStr, process::Command};

use sigmamind::{Client, ClientBuilder};
use tokio::runtime::Builder;

use crate::server::KEY;

/// Environment variable with the URL of the server.
const URL: &str = "SERVER_UNDER_TEST";

/// A program, without the settings of the outside that could change what it does: keys, proxies,
/// certificates and the tests' own.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        let settings = ["SIGMAMIND_", "SSL_CERT_", "RUST_"];
        if text.ends_with("_PROXY") || settings.iter().any(|start| text.starts_with(start)) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs an ignored test of this binary in a process of its own, to a success.
pub fn run(test: &str, environment: &[(&str, &str)]) {
    let output = command(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}"
    );
}

/// The same, for a test that needs a server: [`client`] calls it.
pub fn run_against(test: &str, url: &str, environment: &[(&str, &str)]) {
    run(test, &[environment, &[(URL, url)]].concat());
}

/// In the process of its own, for a client of the server.
pub fn client() -> ClientBuilder {
    let url = env::var(URL).expect("the address of a server");
    Client::builder().api_key(KEY).base_url(url)
}

/// Runs it by the real clock, on this thread.
pub fn block_on(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(test);
}
