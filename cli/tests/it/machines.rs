//! It can be read by machines, and what it prints is safe.

use serde_json::{Value, json};
use sigmamind::{PhoneNumber, mock::MockSigmaMind};

use crate::env::{TestEnv, done};

#[test]
fn dry_run_prints_the_whole_plan() {
    let env = TestEnv::new(0);
    env.write_numbers(5);
    let json_plan = env.run("apply numbers.csv --dry-run --format json");
    let plan: Value = serde_json::from_str(&json_plan.out).unwrap();
    assert_eq!(
        (&plan["numbers"], &plan["server"]),
        (&5.into(), &env.fake.url().into())
    );
    assert_eq!(
        plan["rows"][4],
        json!({ "phoneNumber": "+14155000004", "set": { "friendlyName": "Line 4" } })
    );
    let lines = env.run("apply numbers.csv --dry-run --format jsonl");
    assert_eq!(lines.out.lines().count(), 5);
    let csv = env.run("apply numbers.csv --dry-run --format csv");
    assert_eq!(csv.out, env.read("numbers.csv"));
}

#[test]
fn outcome_has_codes_files_and_the_reason_of_a_stop() {
    let env = TestEnv::new(0);
    env.write_numbers(3);
    let done = env.run("apply numbers.csv --yes -j 1 --max-failures 1 --format json");
    assert_eq!(done.code, Some(3), "{}", done.err);
    let json: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&json["failed"], &json["pending"]), (&1.into(), &2.into()));
    assert_eq!(json["stopped"]["code"], "too_many_failures");
    assert_eq!(json["journal"], "numbers.csv.journal.jsonl");
    assert_eq!(json["results"], "numbers.csv.results.csv");
    assert_eq!(json["failed_rows"], "numbers.csv.failed.csv");
    assert_eq!(json["server"], env.fake.url());
    assert_eq!(json["failures"][0]["code"], "not_found");
    assert_eq!(json["failures"][0]["retryable"], false);
    assert!(json["ended_at"].as_str().unwrap() > json["started_at"].as_str().unwrap());
}

#[test]
fn jsonl_has_a_line_per_number_and_a_summary() {
    let env = TestEnv::new(2);
    env.write_numbers(3);
    let done = env.run("apply numbers.csv --yes --format jsonl");
    let lines: Vec<Value> = done
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    let failed = lines
        .iter()
        .find(|line| line["outcome"] == "failed")
        .unwrap();
    assert_eq!(
        (&failed["code"], &failed["retryable"]),
        (&"not_found".into(), &false.into())
    );
    assert_eq!(lines[3]["summary"]["applied"], 2);
}

#[test]
fn usage_error_is_json_if_asked_for() {
    let env = TestEnv::new(0);
    env.write("numbers.csv", "phoneNumber,friendlyName\n14155000000,A\n");
    for arguments in [
        "apply numbers.csv --yes --format json",
        "apply nowhere.csv --yes --format json",
        "apply numbers.csv --nonsense --format=json",
    ] {
        let done = env.run(arguments);
        assert_eq!(done.code, Some(2));
        let json: Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!(json["error"]["code"], "usage", "{arguments}");
    }
    let done = env.run("apply numbers.csv --yes --format json");
    let json: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(json["error"]["mistakes"][0]["line"], 2);
}

#[test]
fn quiet_prints_the_result_alone_and_log_file_has_the_requests() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    let done = env.run("apply numbers.csv --yes -q --log-file log.txt");
    assert_eq!((done.code, &*done.err), (Some(0), ""));
    assert!(
        env.read("log.txt").contains("sigmamind"),
        "{}",
        env.read("log.txt")
    );
}

#[test]
fn hostile_text_of_the_server_is_harmless_everywhere() {
    let env = TestEnv::new(0);
    let mock = MockSigmaMind::start();
    let phone = PhoneNumber::default()
        .friendly_name("=HYPERLINK(\"http://x\")")
        .inbound_agent_id("a\u{1b}[31m\u{202e}b\rc");
    mock.update_phone_number(|_, then| {
        drop(then.ok(&phone).header("x-request-id", "=cmd|x"));
    });
    env.write_numbers(1);
    for format in ["table", "json", "jsonl", "csv"] {
        let arguments = format!("apply numbers.csv --yes --force --format {format}");
        let mut command = env.command(&arguments);
        command
            .env("SIGMAMIND_BASE_URL", mock.url())
            .env("SIGMAMIND_API_KEY", mock.key());
        let done = done(&mut command);
        assert_eq!(done.code, Some(0), "{}", done.err);
        let results = env.read("numbers.csv.results.csv");
        let journal = env.read("numbers.csv.journal.jsonl");
        for text in [&done.out, &done.err, &results, &journal] {
            assert!(
                !text.contains(['\u{1b}', '\u{202e}', '\r']),
                "{format}: {text:?}"
            );
        }
        assert!(results.contains("'=HYPERLINK"), "{results}");
        assert!(results.contains("\n+14155000000,applied"), "{results}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_output_is_an_error_and_full_stderr_is_dropped() {
    let env = TestEnv::new(2);
    env.write_numbers(2);
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let mut set = env.command("set +14155000009 --friendly-name A");
    assert_eq!(set.stderr(full()).status().unwrap().code(), Some(1));
    let mut apply = env.command("apply numbers.csv --yes");
    assert_eq!(apply.stderr(full()).status().unwrap().code(), Some(0));
    assert!(env.path("numbers.csv.results.csv").exists());
    for format in ["table", "json", "csv"] {
        let arguments = format!("apply numbers.csv --yes --force --format {format}");
        let mut apply = env.command(&arguments);
        assert_eq!(
            apply.stdout(full()).status().unwrap().code(),
            Some(1),
            "{format}"
        );
    }
}

#[test]
fn api_prints_the_body_as_received_and_fails_from_400_on() {
    let env = TestEnv::new(1);
    let path = "/v1/phone-number/+14155000000";
    let mut command = env.command("api PATCH");
    let done_patch = done(command.args([path, "--data", r#"{"friendlyName":"A"}"#]));
    assert_eq!(done_patch.code, Some(0), "{}", done_patch.err);
    let json: Value = serde_json::from_str(&done_patch.out).unwrap();
    assert_eq!(json["friendlyName"], "A");
    let missing = env.run("api /v1/nothing");
    assert_eq!(missing.code, Some(1), "{}", missing.err);
    assert!(missing.err.contains("404"), "{}", missing.err);
    let usage = env.run("api nothing");
    assert_eq!(usage.code, Some(2));
}

#[test]
fn secret_that_comes_back_is_redacted_everywhere() {
    let env = TestEnv::new(0);
    let mock = MockSigmaMind::start();
    let phone =
        PhoneNumber::default().friendly_name(format!("named {}", mock.key().to_uppercase()));
    mock.update_phone_number(|_, then| {
        drop(
            then.ok(&phone)
                .header("x-request-id", "id-HUNTER2-of-the-trunk"),
        );
    });
    env.write("secret", "hunter2-of-the-trunk");
    env.write("numbers.csv", "+14155000000\n");
    for arguments in [
        "apply numbers.csv --yes --trunk-password-file secret",
        "set +14155000000 --trunk-password-file secret",
    ] {
        let mut command = env.command(arguments);
        command
            .env("SIGMAMIND_BASE_URL", mock.url())
            .env("SIGMAMIND_API_KEY", mock.key());
        let done = done(&mut command);
        assert_eq!(done.code, Some(0), "{}", done.err);
        let mut texts = vec![done.out, done.err];
        texts.push(env.read("numbers.csv.results.csv"));
        texts.push(env.read("numbers.csv.journal.jsonl"));
        for text in texts {
            let text = text.to_lowercase();
            assert!(
                !text.contains(mock.key()) && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
    assert!(env.read("numbers.csv.results.csv").contains("[redacted]"));
}
