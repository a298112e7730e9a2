//! A secret is never an argument, and is shown and kept nowhere.

use std::fs;

use sigmamind::{PhoneNumber, mock::MockSigmaMind};

use crate::env::{Done, TestEnv, done};

const SECRET: &str = "s3cret-of-the-trunk";

/// The password that the fake received last.
fn received(env: &TestEnv) -> Option<String> {
    let received = env.fake.received();
    let password = received.last()?.update.trunk_password.as_ref()?;
    Some(password.expose().to_owned())
}

/// Returns whether the secret is on the screen, or in a file other than `but`.
fn shows(env: &TestEnv, done: &Done, but: &str) -> bool {
    let files = fs::read_dir(env.path("")).unwrap();
    let mut texts: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| !path.ends_with(but))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    texts.extend([done.out.clone(), done.err.clone()]);
    texts.iter().any(|text| text.contains(SECRET))
}

#[test]
fn secret_is_refused_as_argument() {
    let env = TestEnv::new(1);
    let refusal = "error: `trunkPassword` is a secret and must not be an argument, because other \
                   users could read it; use --trunk-password-file FILE or --trunk-password-env \
                   VARIABLE\n";
    env.write("numbers.csv", "+14155000000\n");
    for arguments in [
        "set +14155000000 --trunk-password s3cret-of-the-trunk",
        "set +14155000000 --trunk-password=s3cret-of-the-trunk",
        "apply numbers.csv --yes --set trunkPassword=s3cret-of-the-trunk",
        "apply numbers.csv --yes --set trunk-password=s3cret-of-the-trunk",
    ] {
        let done = env.run(arguments);
        assert_eq!((done.code, &*done.err), (Some(2), refusal));
    }
    let key = env.run("set +14155000000 --friendly-name x --api-key key-of-mine");
    assert_eq!(key.code, Some(2));
    assert!(!key.err.contains("key-of-mine"));
    assert!(env.fake.received().is_empty());
}

#[test]
fn secret_comes_from_a_file_or_a_named_variable() {
    let env = TestEnv::new(1);
    env.write("secret", format!("{SECRET}\n"));
    let file = env.run("set +14155000000 --trunk-password-file secret");
    assert_eq!(file.code, Some(0), "{}", file.err);
    assert_eq!(received(&env).as_deref(), Some(SECRET));
    let mut command = env.command("set +14155000000 --trunk-password-env SIGMAMIND_TRUNK_PASSWORD");
    let environment = done(command.env("SIGMAMIND_TRUNK_PASSWORD", "another"));
    assert_eq!(environment.code, Some(0), "{}", environment.err);
    assert_eq!(received(&env).as_deref(), Some("another"));
}

#[test]
fn common_secret_is_not_kept_and_resume_needs_it_again() {
    let env = TestEnv::new(1);
    env.write("secret", SECRET);
    env.write("numbers.csv", "+14155000000\n+14155000001\n");
    let applied = env.run("apply numbers.csv --yes --trunk-password-file secret");
    assert_eq!(applied.code, Some(1), "{}", applied.err);
    assert_eq!(received(&env).as_deref(), Some(SECRET));
    assert!(!shows(&env, &applied, "secret"));

    let resumed = env.run("resume numbers.csv.journal.jsonl --yes");
    assert_eq!(resumed.code, Some(2));
    assert_eq!(
        resumed.err,
        "error: the job sets these secrets on every number: trunkPassword; give the same options \
         as with `apply`\n"
    );
    let given = env.run("resume numbers.csv.journal.jsonl --yes --trunk-password-file secret");
    assert_eq!(given.code, Some(1), "{}", given.err);
}

#[test]
fn secret_column_is_warned_of_and_not_written() {
    let env = TestEnv::new(1);
    let text = format!(
        "phoneNumber,trunkPassword\n+14155000000,{SECRET}\n+14155000001,{SECRET}\n+14155000002,\"a\nb\"\n"
    );
    env.write("numbers.csv", text);
    let applied = env.run("apply numbers.csv --yes");
    assert_eq!(applied.code, Some(1), "{}", applied.err);
    assert!(!shows(&env, &applied, "numbers.csv"));
    if cfg!(unix) {
        assert!(applied.err.starts_with(
            "warning: numbers.csv contains `trunkPassword` and other users can read it; run `chmod \
             600 numbers.csv`\n"
        ));
    }
    assert_eq!(
        env.read("numbers.csv.failed.csv"),
        "phoneNumber,trunkPassword\n+14155000001,[redacted]\n+14155000002,[redacted]\n"
    );
    let again = env.run("apply numbers.csv.failed.csv --yes");
    assert_eq!(again.code, Some(2));
    assert!(
        again
            .err
            .contains("numbers.csv.failed.csv:2:2: `trunkPassword` was left out")
    );
}

#[test]
fn secret_in_json_lines_is_not_written() {
    let env = TestEnv::new(0);
    let text = format!(
        r#"{{"phoneNumber": "+14155000000", "friendlyName": "x", "trunkPassword": "{SECRET}"}}"#
    );
    env.write("numbers.jsonl", text);
    let applied = env.run("apply numbers.jsonl --yes");
    assert_eq!(applied.code, Some(1), "{}", applied.err);
    assert!(!shows(&env, &applied, "numbers.jsonl"));
    assert_eq!(
        env.read("numbers.jsonl.failed.jsonl"),
        "{\"phoneNumber\":\"+14155000000\",\"friendlyName\":\"x\",\"trunkPassword\":\"[redacted]\"}\n"
    );
}

#[test]
fn echoed_secret_is_redacted() {
    let env = TestEnv::new(0);
    let mock = MockSigmaMind::start();
    let phone = PhoneNumber::default()
        .friendly_name(format!("line with {SECRET}"))
        .inbound_agent_id("agent");
    mock.update_phone_number(|_, then| drop(then.ok(&phone)));
    env.write("secret", SECRET);
    env.write("numbers.csv", "+14155000000\n");
    let url = mock.url();
    let arguments =
        format!("apply numbers.csv --yes --trunk-password-file secret --base-url {url}");
    let done = done(env.command(&arguments).env("SIGMAMIND_API_KEY", mock.key()));
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(!shows(&env, &done, "secret"));
    assert_eq!(
        env.journal()[2]["ended"]["reported"],
        serde_json::json!({ "friendlyName": "[redacted]", "inboundAgentId": "agent" })
    );
}
