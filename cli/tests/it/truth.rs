//! It never lies: what may have taken effect stays unknown until an answer says `applied`.

use std::{fs, process::Stdio, thread::sleep, time::Duration};

use sigmamind::mock::FakeSigmaMind;

use crate::env::{TestEnv, number};

const JOURNAL: &str = "numbers.csv.journal.jsonl";

/// Replaces the server by another, so that nobody listens at its URL any more.
fn stop_server(env: &mut TestEnv) -> String {
    let url = env.fake.url().to_owned();
    env.fake = FakeSigmaMind::start();
    url
}

/// Returns the outcome of a number in the results.
fn outcome(env: &TestEnv, index: usize) -> String {
    let results = env.read("numbers.csv.results.csv");
    let number = number(index).to_string();
    let row = results
        .lines()
        .find(|line| line.starts_with(&number))
        .unwrap();
    row.split(',').nth(1).unwrap().to_owned()
}

fn assert_is_rolled_back(env: &TestEnv) {
    env.write(
        "export.csv",
        format!("phoneNumber,friendlyName\n{},Old\n", number(0)),
    );
    env.run(&format!(
        "rollback {JOURNAL} --before export.csv -o back.csv --force"
    ));
    assert!(
        env.read("back.csv")
            .contains(&format!("{},Old\n", number(0)))
    );
}

#[test]
fn unknown_number_stays_unknown_after_later_failures() {
    let mut env = TestEnv::new(2);
    env.write_numbers(2);
    env.fake.fail_next(1, 500);
    let first = env.run("apply numbers.csv --yes -j 1 --retries 0");
    assert_eq!(first.code, Some(1), "{}", first.err);
    assert_eq!(outcome(&env, 0), "unknown");
    let reason = env.journal()[2]["ended"]["message"].clone();
    let url = stop_server(&mut env);
    for _ in 0..2 {
        let resumed = env.run(&format!(
            "resume {JOURNAL} --yes --retries 0 --base-url {url}"
        ));
        assert_eq!(resumed.code, Some(1), "{}", resumed.err);
        assert_eq!(outcome(&env, 0), "unknown");
        let journal = env.journal();
        let ended = &journal.last().unwrap()["ended"];
        assert_eq!(ended["outcome"], "unknown");
        assert_eq!(ended["message"], reason);
        assert!(
            ended["later"].as_str().unwrap().contains("no connection"),
            "{ended}"
        );
    }
    assert_is_rolled_back(&env);
}

#[test]
fn number_killed_in_flight_stays_unknown_after_later_failures() {
    let mut env = TestEnv::new(1);
    env.write_numbers(1);
    assert_eq!(env.run("apply numbers.csv --yes").code, Some(0));
    let journal = env.read(JOURNAL);
    let begun: String = journal.split_inclusive('\n').take(2).collect();
    env.write(JOURNAL, begun);
    let url = stop_server(&mut env);
    let resumed = env.run(&format!(
        "resume {JOURNAL} --yes --retries 0 --base-url {url}"
    ));
    assert_eq!(resumed.code, Some(1), "{}", resumed.err);
    assert_eq!(outcome(&env, 0), "unknown");
    assert_is_rolled_back(&env);
}

#[test]
fn resumed_unknown_number_becomes_applied_by_an_answer() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    env.fake.fail_next(1, 500);
    env.run("apply numbers.csv --yes --retries 0");
    let resumed = env.run(&format!("resume {JOURNAL} --yes"));
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
    assert_eq!(outcome(&env, 0), "applied");
}

/// Runs a job during which `change` happens to its journal.
fn changed_while_running(change: impl FnOnce(&TestEnv)) -> (Option<i32>, String) {
    let env = TestEnv::new(60);
    env.write_numbers(60);
    env.fake.delay(Duration::from_millis(100));
    let mut command = env.command("apply numbers.csv --yes -j 2");
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while env.fake.received().len() < 6 {
        sleep(Duration::from_millis(5));
    }
    change(&env);
    let output = child.wait_with_output().unwrap();
    assert!(env.fake.received().len() < 60, "it went on to the end");
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn journal_cut_while_the_job_runs_stops_it() {
    let (code, err) = changed_while_running(|env| {
        fs::File::options()
            .write(true)
            .open(env.path(JOURNAL))
            .unwrap()
            .set_len(0)
            .unwrap();
    });
    assert_eq!(code, Some(3), "{err}");
    assert!(
        err.contains("cannot be written: it was changed by another program"),
        "{err}"
    );
}

#[cfg(unix)]
#[test]
fn journal_replaced_or_removed_while_the_job_runs_stops_it() {
    let (code, err) = changed_while_running(|env| {
        env.write("other", "");
        fs::rename(env.path("other"), env.path(JOURNAL)).unwrap();
    });
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("it was replaced by another program"), "{err}");
    let (code, err) = changed_while_running(|env| fs::remove_file(env.path(JOURNAL)).unwrap());
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("it was removed by another program"), "{err}");
}

#[test]
fn line_of_another_job_is_refused() {
    let (env, other) = (TestEnv::new(2), TestEnv::new(2));
    for env in [&env, &other] {
        env.write_numbers(2);
        assert_eq!(env.run("apply numbers.csv --yes").code, Some(0));
    }
    let (journal, foreign) = (env.read(JOURNAL), other.read(JOURNAL));
    let first = journal.split_inclusive('\n').next().unwrap();
    let foreign: String = foreign.split_inclusive('\n').skip(1).collect();
    env.write(JOURNAL, format!("{first}{foreign}"));
    let done = env.run(&format!("resume {JOURNAL} --yes"));
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains(":2:1: this line belongs to another job"),
        "{}",
        done.err
    );
}
