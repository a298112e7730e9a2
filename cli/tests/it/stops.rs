//! It stops when continuing is pointless, rides out what passes, and can be resumed.

use sigmamind::{PhoneNumber, mock::MockSigmaMind};

use crate::env::{Done, TestEnv, done, number};

const JOURNAL: &str = "numbers.csv.journal.jsonl";

fn assert_stopped(done: &Done, reason: &str) {
    assert_eq!(done.code, Some(3), "{}", done.err);
    assert!(done.err.contains(reason), "{}", done.err);
    assert!(
        done.err
            .contains("pending); run `sigmamind resume numbers.csv"),
        "{}",
        done.err
    );
}

#[test]
fn one_forbidden_number_does_not_stop_the_job() {
    let env = TestEnv::new(30);
    env.write_numbers(30);
    env.fake.fail_next(1, 403);
    let done = env.run("apply numbers.csv --yes");
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert_eq!(env.applied().len(), 29);
    let resumed = env.run(&format!("resume {JOURNAL} --yes"));
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
}

#[test]
fn ten_forbidden_numbers_in_a_row_stop_the_job() {
    let env = TestEnv::new(40);
    env.write_numbers(40);
    env.fake.fail_next(40, 403);
    let done = env.run("apply numbers.csv --yes -j 1");
    assert_stopped(&done, "the server answered 403 10 times in a row");
    assert_eq!(env.fake.received().len(), 10);
}

#[test]
fn resume_sends_first_what_was_never_begun() {
    let env = TestEnv::new(0);
    env.write_numbers(20);
    for index in 5..20 {
        env.fake.insert(&number(index), PhoneNumber::default());
    }
    let done = env.run("apply numbers.csv --yes -j 1 --max-failures 5");
    assert_stopped(&done, "5 numbers failed (5 failed, 15 pending)");
    let resumed = env.run(&format!("resume {JOURNAL} --yes -j 1 --max-failures 5"));
    assert_eq!(env.applied().len(), 15, "{}", resumed.err);
}

#[test]
fn dead_server_stops_the_job() {
    let env = TestEnv::new(0);
    env.write_numbers(2000);
    let done = env.run(
        "apply numbers.csv --yes --base-url http://127.0.0.1:1 --max-outage 2s --min-unreachable 3",
    );
    assert_stopped(
        &done,
        "could not reach the server; check the network and the base URL",
    );
}

#[test]
fn pause_beyond_max_wait_stops_the_job_in_one_line() {
    let env = TestEnv::new(0);
    env.write_numbers(300);
    let mock = MockSigmaMind::start();
    mock.update_phone_number(|_, then| drop(then.status(429).header("retry-after", "3600")));
    let mut command = env.command("apply numbers.csv --yes");
    command
        .env("SIGMAMIND_BASE_URL", mock.url())
        .env("SIGMAMIND_API_KEY", mock.key());
    let done = done(&mut command);
    assert_stopped(
        &done,
        "the server asks for a pause of 1h, which is longer than --max-wait",
    );
    assert!(done.out.lines().count() < 8, "{}", done.out);
}

#[test]
fn blip_of_the_server_is_ridden_out() {
    let env = TestEnv::new(100);
    env.write_numbers(100);
    env.fake.fail_next(40, 503);
    let done = env.run("apply numbers.csv --yes");
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    assert_eq!(env.applied().len(), 100);
}
