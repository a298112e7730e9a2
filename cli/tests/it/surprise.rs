//! It never surprises: variables configure, empty values are errors, the plan says everything.

use crate::env::{TestEnv, done, number};

#[test]
fn variable_with_a_secret_adds_no_change() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    for arguments in [
        "set +14155000000 --friendly-name A",
        "apply numbers.csv --yes",
    ] {
        let mut command = env.command(arguments);
        let done = done(command.env("SIGMAMIND_TRUNK_PASSWORD", "hunter2-of-the-shell"));
        assert_eq!(done.code, Some(0), "{}", done.err);
    }
    for received in env.fake.received() {
        assert!(received.update.trunk_password.is_none());
    }
}

#[test]
fn empty_value_is_an_error_that_names_the_empty_text() {
    let env = TestEnv::new(1);
    env.write("numbers.csv", "+14155000000\n");
    for arguments in [
        &["set", "+14155000000", "--inbound-agent-id", ""][..],
        &["apply", "numbers.csv", "--yes", "--set", "inboundAgentId="],
    ] {
        let mut command = env.command("");
        let done = done(command.args(arguments));
        assert_eq!(done.code, Some(2), "{}", done.err);
        assert_eq!(
            done.err,
            "error: `inboundAgentId` has no value; write \\E for the empty text\n"
        );
    }
    let mut command = env.command("set +14155000000 --friendly-name A --base-url");
    let url = done(command.arg(""));
    assert_eq!(url.code, Some(2));
    assert!(url.err.contains("--base-url has no value"), "{}", url.err);
    assert!(env.fake.received().is_empty());
}

#[test]
fn marks_set_the_empty_text_and_null() {
    let env = TestEnv::new(2);
    let set = env.run("set +14155000000 --inbound-agent-id \\E");
    assert_eq!(set.code, Some(0), "{}", set.err);
    env.write(
        "numbers.csv",
        "phoneNumber,inboundAgentId\n+14155000001,\\E\n",
    );
    assert_eq!(env.run("apply numbers.csv --yes").code, Some(0));
    for index in 0..2 {
        let agent = env.fake.get(&number(index)).unwrap().inbound_agent_id;
        assert_eq!(agent.as_deref(), Some(""));
    }
    let null =
        env.run("apply numbers.csv --yes --set friendlyName=\\N --journal other.journal.jsonl");
    assert_eq!(null.err, "error: `friendlyName` must not be null\n");
}

#[test]
fn plan_names_url_key_source_and_every_property() {
    let env = TestEnv::new(1);
    env.write("secret", "hunter2-of-the-trunk");
    env.write("numbers.csv", "phoneNumber,friendlyName\n+14155000000,A\n");
    let done =
        env.run("apply numbers.csv --dry-run --trunk-password-file secret --set sip-trunk-name=T");
    assert_eq!(done.code, Some(0), "{}", done.err);
    let plan = format!(
        "numbers.csv: 1 number to update at {} with the key from SIGMAMIND_API_KEY\n",
        env.fake.url()
    );
    assert!(done.err.contains(&plan), "{}", done.err);
    assert!(
        done.err.contains("  trunkPassword  set on 1 (secret)\n"),
        "{}",
        done.err
    );
    assert!(
        done.err
            .contains("friendlyName=\"A\" sipTrunkName=\"T\" trunkPassword=[redacted]\n"),
        "{}",
        done.err
    );
    assert!(!done.err.contains("hunter2"));
}

#[test]
fn option_beats_variable_and_empty_variable_is_unset() {
    let env = TestEnv::new(1);
    env.write("key", env.fake.key());
    let set = "set +14155000000 --friendly-name A";
    let mut command = env.command(&format!("{set} --api-key-command cat<key"));
    command.env("SIGMAMIND_API_KEY_FILE", "missing");
    let option = done(command.env_remove("SIGMAMIND_API_KEY"));
    assert_eq!(option.code, Some(0), "{}", option.err);
    let mut command = env.command(&format!("{set} --api-key-file key"));
    command.env("SIGMAMIND_API_KEY_FILE", "missing");
    assert_eq!(done(&mut command).code, Some(0));
    let mut command = env.command(set);
    let empty = done(command.env("SIGMAMIND_API_KEY_FILE", ""));
    assert_eq!(empty.code, Some(0), "{}", empty.err);
    let mut command = env.command(&format!("{set} --base-url {}", env.fake.url()));
    assert_eq!(
        done(command.env("SIGMAMIND_BASE_URL", "http://127.0.0.1:1")).code,
        Some(0)
    );
}

#[test]
fn missing_key_file_is_named() {
    let env = TestEnv::new(1);
    let done = env.run("set +14155000000 --friendly-name A --api-key-file /nope");
    assert_eq!(done.code, Some(4));
    assert!(done.err.contains("cannot read /nope"), "{}", done.err);
}

#[test]
fn job_that_is_complete_or_elsewhere_is_not_offered() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    assert_eq!(env.run("apply numbers.csv --yes").code, Some(0));
    let complete = env.run("apply numbers.csv --yes");
    assert_eq!(complete.code, Some(2));
    assert!(
        complete
            .err
            .contains("1 of 1 applied); choose another --journal"),
        "{}",
        complete.err
    );
    assert!(!complete.err.contains("resume"), "{}", complete.err);

    let other = TestEnv::new(0);
    other.write_numbers(1);
    assert_eq!(other.run("apply numbers.csv --yes").code, Some(1));
    let elsewhere = other.run(&format!(
        "apply numbers.csv --yes --base-url {}",
        env.fake.url()
    ));
    assert_eq!(elsewhere.code, Some(2));
    assert!(
        elsewhere
            .err
            .contains(&format!("journal of a job at {} started", other.fake.url())),
        "{}",
        elsewhere.err
    );
    assert!(!elsewhere.err.contains("resume"), "{}", elsewhere.err);
}

#[test]
fn two_spellings_of_a_url_are_one_server() {
    let env = TestEnv::new(0);
    env.write_numbers(1);
    let url = env.fake.url().to_owned();
    assert_eq!(
        env.run(&format!("apply numbers.csv --yes --base-url {url}/"))
            .code,
        Some(1)
    );
    let done = env.run(&format!(
        "resume numbers.csv.journal.jsonl --yes --base-url {url}"
    ));
    assert_eq!(done.code, Some(1), "{}", done.err);
}

#[cfg(unix)]
#[test]
fn file_name_with_spaces_or_bytes_is_found_and_quoted() {
    use std::os::unix::ffi::OsStrExt;
    let env = TestEnv::new(0);
    for name in [&b"my numbers.csv"[..], b"n\xffx.csv"] {
        let name = std::ffi::OsStr::from_bytes(name);
        std::fs::create_dir_all(env.path("elsewhere")).unwrap();
        std::fs::write(
            env.path("").join(name),
            "phoneNumber,friendlyName\n+14155000000,A\n",
        )
        .unwrap();
        let mut command = env.command("apply --yes --force --journal elsewhere/j.journal.jsonl");
        let applied = done(command.arg(name));
        assert_eq!(applied.code, Some(1), "{}", applied.err);
        let resumed = env.run("resume elsewhere/j.journal.jsonl --yes");
        assert_eq!(resumed.code, Some(1), "{}", resumed.err);
    }
    let quoted = env.run("apply --yes missing");
    assert_eq!(quoted.code, Some(2));
    std::fs::write(
        env.path("a b.csv"),
        "phoneNumber,friendlyName\n+14155000000,A\n",
    )
    .unwrap();
    let mut command = env.command("apply --yes --max-failures 1");
    let stopped = done(command.arg("a b.csv"));
    assert!(
        stopped
            .err
            .contains("run `sigmamind resume 'a b.csv.journal.jsonl'`"),
        "{}",
        stopped.err
    );
}
