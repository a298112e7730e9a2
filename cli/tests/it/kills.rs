//! Killed at any moment, and resumed.

use std::{collections::HashSet, env::var, process::Stdio, thread::sleep, time::Duration};

use sigmamind::PhoneNumber;

use crate::env::{TestEnv, number};

const NUMBERS: usize = 300;
const CONCURRENCY: usize = 8;
const JOURNAL: &str = "numbers.csv.journal.jsonl";

/// Returns the count of runs; `SIGMAMIND_KILLS=100` for more.
fn runs() -> usize {
    var("SIGMAMIND_KILLS").map_or(12, |runs| runs.parse().unwrap())
}

fn job(run: usize) -> TestEnv {
    let env = TestEnv::new(NUMBERS);
    env.fake.delay(Duration::from_millis(2 + run as u64 % 5));
    env.write_numbers(NUMBERS);
    env
}

/// Starts the program and kills it when the server has received this many more requests; returns
/// whether it was killed before its end.
fn kill(env: &TestEnv, arguments: &str, requests: usize, run: usize) -> bool {
    let before = env.fake.received().len();
    let mut command = env.command(&format!("{arguments} --yes -j {CONCURRENCY} --retries 0"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while env.fake.received().len() < before + requests && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(1));
    }
    sleep(Duration::from_micros((run as u64 * 1371) % 9_000));
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

fn has_begun(env: &TestEnv) -> bool {
    env.path(JOURNAL).exists() && env.read(JOURNAL).contains('\n')
}

/// The numbers that the server has changed.
fn changed(env: &TestEnv) -> HashSet<String> {
    let received = env.fake.received();
    let changed = received.iter().filter(|received| received.status == 200);
    changed
        .map(|received| received.number.to_string())
        .collect()
}

/// Asserts that the journal records what has happened.
fn assert_recorded(env: &TestEnv) {
    let (applied, begun, changed) = (env.applied(), env.begun(), changed(env));
    for received in env.fake.received() {
        let number = received.number.as_str();
        assert!(
            begun.iter().any(|begun| begun == number),
            "{number} was sent and is not recorded"
        );
    }
    for number in &applied {
        assert!(
            changed.contains(number),
            "{number} is recorded as applied and is not"
        );
    }
    assert!(
        changed.len() <= applied.len() + 2 * CONCURRENCY,
        "an outcome is not recorded"
    );
}

/// A complete resume applies the rest, and sends nothing again that is recorded as applied.
fn assert_resumed(env: &TestEnv) {
    let applied = env.applied();
    let sent = env.fake.received().len();
    let resumed = env.run(&format!("resume {JOURNAL} --yes"));
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
    for received in &env.fake.received()[sent..] {
        let number = received.number.to_string();
        assert!(
            !applied.contains(&number),
            "{number} was applied and is sent again"
        );
    }
    for index in 0..NUMBERS {
        assert_eq!(env.name(index), Some(format!("Line {index}")));
    }
}

/// Asserts that a changed number is not reported as failed, whatever failed later.
fn assert_not_failed(env: &TestEnv, changed: &HashSet<String>) {
    let results = env.read("numbers.csv.results.csv");
    for row in results.lines().skip(1) {
        let mut cells = row.split(',');
        let (number, outcome) = (cells.next().unwrap(), cells.next().unwrap());
        assert!(
            !changed.contains(number) || ["applied", "unknown", "in flight"].contains(&outcome),
            "{number} was changed and is called {outcome}"
        );
    }
}

#[test]
fn killed_job_loses_nothing_and_claims_nothing() {
    let mut killed = [0; 3];
    for run in 0..runs() {
        let env = job(run);
        // From before the journal is there to near the end, whatever the machine's speed.
        let requests = run * NUMBERS / runs();
        killed[0] += usize::from(kill(&env, "apply numbers.csv", requests, run));
        if !has_begun(&env) {
            assert!(env.fake.received().is_empty());
            continue;
        }
        assert_recorded(&env);
        match run % 3 {
            0 => {}
            1 => {
                killed[1] += usize::from(kill(&env, &format!("resume {JOURNAL}"), 20, run));
                assert_recorded(&env);
            }
            _ => {
                let before = changed(&env);
                let phones = forget(&env);
                killed[2] += usize::from(kill(&env, &format!("resume {JOURNAL}"), 20, run));
                let failed = env.run(&format!("resume {JOURNAL} --yes --retries 0"));
                let expected = Some(i32::from(
                    before.len() < NUMBERS || env.applied().len() < NUMBERS,
                ));
                assert_eq!(failed.code, expected, "{}", failed.err);
                assert_not_failed(&env, &before);
                for (index, phone) in phones.into_iter().enumerate() {
                    env.fake.insert(&number(index), phone);
                }
            }
        }
        assert_resumed(&env);
    }
    println!("killed before the end: {killed:?} of {}", runs());
    assert!(
        killed[0] * 2 > runs(),
        "only {killed:?} were killed before their end"
    );
}

/// Lets the server refuse every number; returns what it knew of them.
fn forget(env: &TestEnv) -> Vec<PhoneNumber> {
    let phones = (0..NUMBERS).map(|index| {
        let phone = env.fake.get(&number(index)).unwrap();
        env.fake.remove(&number(index));
        phone
    });
    phones.collect()
}
