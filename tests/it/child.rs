//! Tests that need a process of their own: for its environment, or to see what it uses.

use std::{env, process::Command};

use sigmamind::{Client, ClientBuilder};
use tokio::runtime::Builder;

use crate::server::KEY;

/// How it is told where a server is.
const URL: &str = "SERVER_UNDER_TEST";

/// Runs an ignored test of this binary in a process of its own, to a success.
pub fn run(test: &str, environment: &[(&str, &str)]) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
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
