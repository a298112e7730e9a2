//! `apply`: what is sent, recorded and reported.

use std::{fs, io::Write, process::Stdio};

use serde_json::{Value, json};
use sigmamind::{PhoneNumber, mock::MockSigmaMind};

use crate::env::{TestEnv, done, number};

#[test]
fn every_number_is_set_and_recorded() {
    let env = TestEnv::new(3);
    env.write_numbers(3);
    let done = env.run("apply numbers.csv --yes --concurrency 1");
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(done.out, "outcome  count\napplied  3\n");
    for index in 0..3 {
        assert_eq!(env.name(index), Some(format!("Line {index}")));
    }
    let mut journal = env.journal();
    let job = journal[0]["job"].clone();
    assert_eq!(job["numbers"], 3);
    for line in &mut journal[1..] {
        let event = line.as_object_mut().unwrap().values_mut().next().unwrap();
        let fields = event.as_object_mut().unwrap();
        assert_eq!(fields.remove("job").unwrap(), job["id"]);
        assert!(
            fields
                .remove("at")
                .unwrap()
                .as_str()
                .unwrap()
                .ends_with('Z')
        );
    }
    assert_eq!(
        journal[1],
        json!({ "begun": { "number": "+14155000000", "sets": ["friendlyName"] } })
    );
    assert_eq!(
        journal[2],
        json!({ "ended": {
            "number": "+14155000000", "outcome": "applied", "status": 200, "attempts": 1,
            "reported": { "active": true, "friendlyName": "Line 0" },
        } })
    );
    assert_eq!(journal.len(), 1 + 2 * 3);
    assert!(!env.path("numbers.csv.failed.csv").exists());
}

#[cfg(unix)]
#[test]
fn written_files_are_readable_by_owner_only() {
    use std::os::unix::fs::MetadataExt;
    let env = TestEnv::new(1);
    env.write_numbers(2);
    env.run("apply numbers.csv --yes");
    for ending in ["journal.jsonl", "results.csv", "failed.csv"] {
        let file = fs::metadata(env.path(&format!("numbers.csv.{ending}"))).unwrap();
        assert_eq!(file.mode() & 0o777, 0o600, "{ending}");
    }
}

#[test]
fn failures_are_grouped_and_can_be_applied_again() {
    let env = TestEnv::new(2);
    env.write_numbers(4);
    let failed = env.run("apply numbers.csv --yes");
    assert_eq!(failed.code, Some(1), "{}", failed.err);
    let lines: Vec<_> = failed.out.lines().collect();
    assert_eq!(
        lines[..4],
        ["outcome  count", "applied  2", "failed   2", ""]
    );
    assert_eq!(lines[4], "count  example       error");
    assert_eq!(
        lines[5],
        "2      +14155000002  SigmaMind answered 404 Not Found (there is no such number in this \
         account); check the path, the base URL and the key's account"
    );
    assert!(failed.err.ends_with(
        "Results: numbers.csv.results.csv. 2 rows not applied: numbers.csv.failed.csv.\n"
    ));
    assert_eq!(
        env.read("numbers.csv.failed.csv"),
        "phoneNumber,friendlyName\n+14155000002,Line 2\n+14155000003,Line 3\n"
    );
    let results = env.read("numbers.csv.results.csv");
    let third = results.lines().nth(3).unwrap();
    assert!(
        third.starts_with("+14155000002,failed,not_found,false,404,1,,\"SigmaMind answered 404"),
        "{third}"
    );

    for index in 2..4 {
        env.fake
            .insert(&number(index), sigmamind::PhoneNumber::default());
    }
    let again = env.run("apply numbers.csv.failed.csv --yes");
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert_eq!(env.name(3), Some("Line 3".into()));
}

#[test]
fn result_is_printed_as_json_and_csv() {
    let env = TestEnv::new(1);
    env.write_numbers(2);
    let json = env.run("apply numbers.csv --yes --format json");
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["applied"], 1);
    assert_eq!(json["failed"], 1);
    assert_eq!(json["failures"][0]["example"], "+14155000001");
    let csv = env.run("apply numbers.csv --yes --format csv --journal again.journal.jsonl");
    assert_eq!(csv.out, env.read("again.results.csv"));
}

#[test]
fn empty_cell_leaves_the_property() {
    let env = TestEnv::new(2);
    env.write(
        "numbers.csv",
        "\u{feff}phone-number\tfriendly-name\tinboundAgentId\n+14155000000\tA\t\n+14155000001\t\tb\n",
    );
    assert_eq!(env.run("apply numbers.csv --yes").code, Some(0));
    let lines = r#"{"phoneNumber": "+14155000000", "inboundAgentId": "c"}
{"phone-number": "+14155000001", "friendly-name": "B"}"#;
    env.write("numbers.jsonl", lines);
    assert_eq!(env.run("apply numbers.jsonl --yes").code, Some(0));

    for (index, name, agent) in [(0, "A", "c"), (1, "B", "b")] {
        let phone = env.fake.get(&number(index)).unwrap();
        assert_eq!(phone.friendly_name.as_deref(), Some(name));
        assert_eq!(phone.inbound_agent_id.as_deref(), Some(agent));
    }
}

#[test]
fn numbers_are_read_from_stdin() {
    let env = TestEnv::new(3);
    let mut command = env.command("apply - --set friendlyName=Same --yes");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"+14155000000\n\n+14155000002\n").unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(env.name(0), Some("Same".into()));
    assert_eq!(env.name(1), None);
    assert_eq!(env.name(2), Some("Same".into()));
    assert!(env.path("stdin.journal.jsonl").exists());
}

#[test]
fn stdin_job_is_resumed_from_stdin() {
    let env = TestEnv::new(1);
    for arguments in [
        "apply - --set friendlyName=Same --yes",
        "resume stdin.journal.jsonl --yes",
    ] {
        let mut command = env.command(arguments);
        env.write("piped", "+14155000000\n+14155000001\n");
        let file = fs::File::open(env.path("piped")).unwrap();
        let output = command.stdin(file).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}");
    }
    assert_eq!(env.fake.received().len(), 3);
}

#[test]
fn apply_without_terminal_needs_yes() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    let done = env.run("apply numbers.csv");
    assert_eq!(done.code, Some(2));
    assert!(
        done.err
            .ends_with("error: stdin is not a terminal; use --yes to skip the confirmation\n")
    );
    assert!(env.fake.received().is_empty());
    assert!(!env.path("numbers.csv.journal.jsonl").exists());
}

#[test]
fn dry_run_needs_no_key_and_sends_nothing() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    let mut command = env.command("apply numbers.csv --dry-run");
    let done = done(command.env_remove("SIGMAMIND_API_KEY"));
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.err.ends_with("Dry run: nothing was sent.\n"));
    assert!(env.fake.received().is_empty());
}

#[test]
fn refused_key_stops_the_job_resumably() {
    let env = TestEnv::new(40);
    env.write_numbers(40);
    let mut command = env.command("apply numbers.csv --yes --concurrency 2");
    let refused = done(command.env("SIGMAMIND_API_KEY", "another"));
    assert_eq!(refused.code, Some(3));
    assert!(
        refused
            .err
            .contains("error: the server refuses the API key (401); check the key ("),
        "{}",
        refused.err
    );
    assert!(env.fake.received().len() < 10);
    let resumed = env.run("resume numbers.csv.journal.jsonl --yes");
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
    assert_eq!(env.applied().len(), 40);
}

#[test]
fn max_failures_stops_the_job() {
    let env = TestEnv::new(0);
    env.write_numbers(40);
    let done = env.run("apply numbers.csv --yes --concurrency 1 --max-failures 3");
    assert_eq!(done.code, Some(3));
    assert!(
        done.out
            .starts_with("outcome  count\nfailed   3\npending  37\n")
    );
    assert_eq!(env.fake.received().len(), 3);
    assert_eq!(env.read("numbers.csv.failed.csv").lines().count(), 41);
}

#[test]
fn failed_canary_stops_the_job_with_yes() {
    let env = TestEnv::new(10);
    env.fake.remove(&number(1));
    env.write_numbers(10);
    let done = env.run("apply numbers.csv --yes --canary 2");
    assert_eq!(done.code, Some(3), "{}", done.err);
    assert_eq!(env.fake.received().len(), 2);
    assert!(done.err.contains("error: stopped after the first numbers"));
}

#[test]
fn applied_canary_continues_with_yes() {
    let env = TestEnv::new(10);
    env.write_numbers(10);
    let done = env.run("apply numbers.csv --yes --canary 2");
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(env.fake.received().len(), 10);
}

#[test]
fn canary_failures_count_for_max_failures() {
    let env = TestEnv::new(0);
    env.write_numbers(10);
    let done = env.run("apply numbers.csv --yes --canary 1 --max-failures 1");
    assert!(
        done.err
            .contains("error: 1 number failed (1 failed, 9 pending); run `sigmamind resume "),
        "{}",
        done.err
    );
    assert_eq!(env.fake.received().len(), 1);
}

#[test]
fn different_reported_value_is_named() {
    let env = TestEnv::new(0);
    let mock = MockSigmaMind::start();
    let phone = PhoneNumber::default()
        .friendly_name("Another")
        .inbound_agent_id("a")
        .termination_sip_uri("sip.example.com");
    mock.update_phone_number(|_, then| drop(then.ok(&phone)));
    env.write(
        "numbers.csv",
        "phoneNumber,friendlyName,inboundAgentId,terminationSipUri,sipTrunkName\n\
         +14155000000,Line,a,sip.example.com,Trunk\n",
    );
    let mut command = env.command("apply numbers.csv --yes");
    command
        .env("SIGMAMIND_BASE_URL", mock.url())
        .env("SIGMAMIND_API_KEY", mock.key());
    let done = done(&mut command);
    assert_eq!(
        done.out,
        "outcome  count\napplied  1\n\nThe server reports a different `friendlyName` than \
         was sent for 1 number, e.g. +14155000000.\n"
    );
    assert_eq!(
        env.read("numbers.csv.results.csv").lines().nth(1),
        Some(&*format!(
            "+14155000000,applied,,,200,1,,,,friendlyName,{},,Another,a,,,,,sip.example.com",
            env.journal()[2]["ended"]["at"].as_str().unwrap()
        ))
    );
}
