//! Tests that need a process of their own: for its environment, or to see what it uses.

use std::{env, process::Command};

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
