//! Prompts on a terminal, and Ctrl-C.

use std::time::Duration;

use rexpect::{
    process::WaitStatus,
    session::{PtySession, spawn_command},
};

use crate::env::TestEnv;

const PATIENCE: Option<u64> = Some(60_000);

fn on_a_terminal(env: &TestEnv, arguments: &str) -> PtySession {
    let mut command = env.command(arguments);
    command.env("TERM", "xterm");
    spawn_command(command, PATIENCE).unwrap()
}

fn code(session: &PtySession) -> i32 {
    match session.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn agreed_question_sends_all() {
    let env = TestEnv::new(3);
    env.write_numbers(3);
    let mut session = on_a_terminal(&env, "apply numbers.csv");
    session.exp_string("Send all 3?").unwrap();
    assert!(env.fake.received().is_empty());
    session.send("y\r").unwrap();
    session.flush().unwrap();
    session.exp_string("Results: ").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(code(&session), 0);
    assert_eq!(env.fake.received().len(), 3);
}

#[test]
fn declined_question_sends_nothing() {
    for answer in ["n\r", "\r", "yn\r"] {
        let env = TestEnv::new(3);
        env.write_numbers(3);
        let mut session = on_a_terminal(&env, "apply numbers.csv");
        session.exp_string("Send all 3?").unwrap();
        session.send(answer).unwrap();
        session.flush().unwrap();
        session.exp_string("nothing was sent").unwrap();
        session.exp_eof().unwrap();
        assert_eq!(code(&session), 2);
        assert!(env.fake.received().is_empty());
        assert!(!env.path("numbers.csv.journal.jsonl").exists());
    }
}

#[test]
fn canary_is_shown_before_the_second_question() {
    let env = TestEnv::new(5);
    env.write_numbers(5);
    let mut session = on_a_terminal(&env, "apply numbers.csv --canary 2");
    session.exp_string("Send the first 2 of 5?").unwrap();
    session.send("y\r").unwrap();
    session.flush().unwrap();
    session.exp_string("+14155000001").unwrap();
    session.exp_string("Send the other 3?").unwrap();
    assert_eq!(env.fake.received().len(), 2);
    session.send("n\r").unwrap();
    session.flush().unwrap();
    session
        .exp_string("stopped after the first numbers")
        .unwrap();
    session.exp_eof().unwrap();
    assert_eq!(code(&session), 3);
    assert_eq!(env.fake.received().len(), 2);
}

#[test]
fn progress_shows_the_limited_rate() {
    let env = TestEnv::new(100);
    env.write_numbers(100);
    env.fake.rate_limit(20.0);
    let mut session = on_a_terminal(&env, "apply numbers.csv --yes");
    session.exp_string("limited to about").unwrap();
    session.exp_string("Results: ").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(code(&session), 0);
    assert_eq!(env.applied().len(), 100);
}

#[test]
fn ctrl_c_finishes_requests_in_flight() {
    let env = TestEnv::new(200);
    env.write_numbers(200);
    env.fake.delay(Duration::from_millis(300));
    let mut session = on_a_terminal(&env, "apply numbers.csv --yes --concurrency 4");
    while env.fake.received().len() < 6 {
        std::thread::sleep(Duration::from_millis(5));
    }
    session.send_control('c').unwrap();
    session.exp_string("finishing requests in flight").unwrap();
    session.exp_string("to continue").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(code(&session), 130);
    assert_eq!(env.applied().len(), env.fake.received().len());
    assert!(env.read("numbers.csv.results.csv").contains(",pending,"));
    let resumed = env.run("resume numbers.csv.journal.jsonl --yes --concurrency 200");
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
    assert_eq!(env.fake.received().len(), 200);
}

#[test]
fn ctrl_c_twice_stops_at_once() {
    let env = TestEnv::new(20);
    env.write_numbers(20);
    env.fake.delay(Duration::from_secs(50));
    let mut session = on_a_terminal(&env, "apply numbers.csv --yes --concurrency 4");
    while env.fake.received().len() < 4 {
        std::thread::sleep(Duration::from_millis(5));
    }
    session.send_control('c').unwrap();
    session.exp_string("again to stop now").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("to continue").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(code(&session), 130);
    assert_eq!(env.applied().len(), 0);
    assert!(env.read("numbers.csv.results.csv").contains(",in flight,"));
}

#[test]
fn ctrl_c_at_the_question_sends_nothing() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    let mut session = on_a_terminal(&env, "apply numbers.csv");
    session.exp_string("Send all 1?").unwrap();
    session.send_control('c').unwrap();
    session.exp_eof().unwrap();
    assert_eq!(code(&session), 130);
    assert!(env.fake.received().is_empty());
}

#[test]
fn ctrl_c_lets_nothing_more_leave() {
    let env = TestEnv::new(20);
    env.write_numbers(20);
    let mut session = on_a_terminal(&env, "apply numbers.csv --yes --rate 1");
    while env.fake.received().len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    session.send_control('c').unwrap();
    session.exp_string("to continue").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(code(&session), 130);
    assert!(env.fake.received().len() <= 3);
    assert_eq!(env.applied().len(), env.fake.received().len());
    let results = env.read("numbers.csv.results.csv");
    assert_eq!(
        results.matches(",pending,").count(),
        20 - env.applied().len()
    );
}

#[test]
fn dumb_terminal_gets_lines() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    let mut command = env.command("apply numbers.csv --yes");
    command.env("TERM", "dumb");
    let mut session = spawn_command(command, PATIENCE).unwrap();
    let text = session.exp_eof().unwrap();
    assert!(
        text.contains("Results: numbers.csv.results.csv") && !text.contains("0 of 1"),
        "{text}"
    );
    assert_eq!(code(&session), 0);
}
