//! Faults of the environment.

use crate::env::TestEnv;

/// A disk with room for so many blocks of 512 bytes in each file, which is as good as full.
#[cfg(unix)]
fn run_on_a_full_disk(env: &TestEnv, arguments: &str, blocks: usize) -> crate::env::Done {
    let program = env!("CARGO_BIN_EXE_sigmamind");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {program} {arguments}");
    let mut command = std::process::Command::new("bash");
    command
        .args(["-c", &script])
        .current_dir(env.path(""))
        .env("SIGMAMIND_BASE_URL", env.fake.url())
        .env("SIGMAMIND_API_KEY", env.fake.key());
    crate::env::done(&mut command)
}

#[cfg(unix)]
#[test]
fn full_disk_stops_the_job_and_loses_nothing() {
    let env = TestEnv::new(200);
    env.write_numbers(200);
    let done = run_on_a_full_disk(&env, "apply numbers.csv --yes --concurrency 4", 8);
    assert_eq!(done.code, Some(3), "{}", done.err);
    assert!(
        done.err
            .contains("error: the journal cannot be written: File too large"),
        "{}",
        done.err
    );
    let recorded = env.applied();
    let received = env.fake.received();
    assert!(!recorded.is_empty() && received.len() < 100);
    let begun = env.begun();
    // What was sent and is not recorded as applied is said.
    for received in &received {
        let number = received.number.as_str();
        assert!(begun.iter().any(|begun| begun == number), "{number}");
        assert!(
            recorded.iter().any(|applied| applied == number)
                || done
                    .err
                    .contains(&format!("not in the journal: {number} applied")),
            "{number}: {}",
            done.err
        );
    }

    let resumed = env.run("resume numbers.csv.journal.jsonl --yes");
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
    for number in &recorded {
        let received = env.fake.received();
        let times = received
            .iter()
            .filter(|received| received.number.as_str() == number);
        assert_eq!(times.count(), 1, "{number} was recorded and is sent again");
    }
    assert_eq!(env.applied().len(), 200);
}

#[cfg(unix)]
#[test]
fn full_disk_at_the_start_sends_nothing() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    let done = run_on_a_full_disk(&env, "apply numbers.csv --yes", 0);
    assert_eq!(done.code, Some(2));
    assert!(done.err.ends_with("; nothing was sent\n"), "{}", done.err);
    assert!(env.fake.received().is_empty());
    assert!(!env.path("numbers.csv.journal.jsonl").exists());
}

#[test]
fn connection_failure_names_its_cause() {
    let env = TestEnv::new(0);
    env.write_numbers(2);
    let done = env.run("apply numbers.csv --yes --base-url http://127.0.0.1:1 --timeout 2s");
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(
        done.out.contains("no connection (connection refused)"),
        "{}",
        done.out
    );
}

#[test]
fn ambiguous_failure_is_unknown() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    env.fake.fail_next(3, 500);
    let done = env.run("apply numbers.csv --yes --retries 0");
    assert_eq!(done.code, Some(1));
    assert!(
        done.out.starts_with("outcome  count\nunknown  1\n"),
        "{}",
        done.out
    );
}

#[cfg(not(feature = "fake"))]
#[test]
fn fake_without_feature_names_the_feature() {
    let done = TestEnv::new(0).run("fake");
    assert_eq!(done.code, Some(2));
    assert_eq!(
        done.err,
        "error: this program was built without the fake server; build it with --features fake\n"
    );
}

#[test]
fn missing_file_is_named() {
    let env = TestEnv::new(0);
    let done = env.run("apply nowhere.csv --yes");
    assert_eq!(done.code, Some(2));
    assert!(done.err.starts_with("error: cannot read nowhere.csv: "));
    let done = env.run("resume nowhere.journal.jsonl --yes");
    assert_eq!(done.code, Some(2));
    assert!(
        done.err
            .starts_with("error: cannot read nowhere.journal.jsonl: ")
    );
}
