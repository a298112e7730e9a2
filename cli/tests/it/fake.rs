//! `fake`: a job, rehearsed with nothing but the program.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use crate::env::{TestEnv, done};

/// A `sigmamind fake` that ends with its test.
struct Rehearsal {
    child: Child,
    url: String,
    key: String,
}

impl Rehearsal {
    fn start(env: &TestEnv, arguments: &str) -> Self {
        let mut command = env.command(&format!("fake {arguments}"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut value = |name: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(&format!("export {name}="))
                .unwrap()
                .to_owned()
        };
        let (url, key) = (value("SIGMAMIND_BASE_URL"), value("SIGMAMIND_API_KEY"));
        Self { child, url, key }
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_job_is_rehearsed_with_the_file_itself() {
    let env = TestEnv::new(0);
    env.write_numbers(5);
    let rehearsal = Rehearsal::start(&env, "numbers.csv --fail 1:400 --fail 1:503 --delay 1ms");
    let mut command = env.command("apply numbers.csv --yes --format json --concurrency 1");
    command
        .env("SIGMAMIND_BASE_URL", &rehearsal.url)
        .env("SIGMAMIND_API_KEY", &rehearsal.key);
    let done = done(&mut command);
    assert_eq!(done.code, Some(1), "{}", done.err);
    let result: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        (&result["applied"], &result["failed"]),
        (&4.into(), &1.into())
    );
    let attempts = env.journal()[4]["ended"]["attempts"].clone();
    assert_eq!(attempts, 2);
}

#[test]
fn it_reports_what_the_file_says_of_a_number() {
    let env = TestEnv::new(0);
    env.write(
        "export.csv",
        "phoneNumber,provider,active,friendlyName,colour\n+14155000000,twilio,true,Old,red\n",
    );
    let rehearsal = Rehearsal::start(&env, "export.csv");
    let mut command = env.command("set +14155000000 --inbound-agent-id a --format json");
    command
        .env("SIGMAMIND_BASE_URL", &rehearsal.url)
        .env("SIGMAMIND_API_KEY", &rehearsal.key);
    let done = done(&mut command);
    let result: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        result,
        serde_json::json!({
            "provider": "twilio", "active": true, "friendlyName": "Old", "inboundAgentId": "a",
        })
    );
}
