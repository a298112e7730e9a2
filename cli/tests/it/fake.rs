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
fn fake_rehearses_a_job_with_its_file() {
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
fn fake_reports_the_values_of_its_file() {
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

#[test]
fn port_can_be_chosen_and_what_arrives_is_logged() {
    let env = TestEnv::new(0);
    env.write_numbers(1);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut command = env.command(&format!("fake numbers.csv --port {port} -v"));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();
    assert_eq!(
        url,
        format!("export SIGMAMIND_BASE_URL=http://127.0.0.1:{port}")
    );
    let key = lines.next().unwrap().unwrap();
    let mut command = env.command("set +14155000000 --friendly-name A");
    command
        .env("SIGMAMIND_BASE_URL", format!("http://127.0.0.1:{port}"))
        .env(
            "SIGMAMIND_API_KEY",
            key.strip_prefix("export SIGMAMIND_API_KEY=").unwrap(),
        );
    let rehearsal = Rehearsal { child, url, key };
    assert_eq!(done(&mut command).code, Some(0));
    let mut rehearsal = rehearsal;
    let log = BufReader::new(rehearsal.child.stderr.take().unwrap()).lines();
    let line = log.map(Result::unwrap).find(|line| line.starts_with('+'));
    assert_eq!(line.unwrap(), "+14155000000 200 friendlyName");
}
