//! `resume`: never by itself, never twice, and only what is left.

use std::fs;

use crate::env::TestEnv;

/// Three numbers: one applied, one in flight, one pending.
fn interrupted() -> TestEnv {
    let env = TestEnv::new(3);
    env.write_numbers(3);
    assert_eq!(
        env.run("apply numbers.csv --yes --concurrency 1").code,
        Some(0)
    );
    let journal = env.read("numbers.csv.journal.jsonl");
    let lines: Vec<_> = journal.split_inclusive('\n').collect();
    env.write("numbers.csv.journal.jsonl", lines[..4].concat());
    env
}

#[test]
fn resume_skips_applied_and_names_in_flight() {
    let env = interrupted();
    let done = env.run("resume numbers.csv.journal.jsonl --yes --concurrency 1");
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(
        done.err.starts_with(
            "3 numbers: 1 applied, 1 in flight, 1 pending.\n\
             In flight when the program ended, so they may be applied or not: +14155000001. They \
             are sent again, which is safe: a request sets properties to values.\n"
        ),
        "{}",
        done.err
    );
    let received = env.fake.received();
    let sent: Vec<_> = received
        .iter()
        .map(|received| received.number.as_str())
        .collect();
    assert_eq!(sent[3..], ["+14155000002", "+14155000001"]);
    let again = env.run("resume numbers.csv.journal.jsonl");
    assert_eq!(
        again.code,
        Some(0),
        "there is nothing to ask: {}",
        again.err
    );
    assert_eq!(env.fake.received().len(), 5);
}

#[test]
fn resume_asks_before_sending() {
    let env = interrupted();
    assert_eq!(env.run("resume numbers.csv.journal.jsonl").code, Some(2));
    assert_eq!(env.fake.received().len(), 3);
}

#[test]
fn apply_refuses_an_existing_journal() {
    let env = interrupted();
    let done = env.run("apply numbers.csv --yes");
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains(
            "1 of 3 applied); run `sigmamind resume numbers.csv.journal.jsonl`, or choose another"
        ),
        "{}",
        done.err
    );
    assert_eq!(env.fake.received().len(), 3);
}

#[test]
fn resume_refuses_a_changed_file() {
    let env = interrupted();
    let text = env.read("numbers.csv").replace("Line 2", "Line 3");
    env.write("numbers.csv", text);
    let done = env.run("resume numbers.csv.journal.jsonl --yes");
    assert_eq!(done.code, Some(2));
    assert_eq!(
        done.err,
        "error: numbers.csv has changed since numbers.csv.journal.jsonl was started; restore it, or \
         `sigmamind apply` it as a new job with another --journal\n"
    );
    assert_eq!(env.fake.received().len(), 3);
}

#[test]
fn truncated_last_line_counts_as_not_written() {
    let env = interrupted();
    let journal = env.read("numbers.csv.journal.jsonl");
    for cut in 1..30 {
        env.write("numbers.csv.journal.jsonl", &journal[..journal.len() - cut]);
        let before = env.fake.received().len();
        let done = env.run("resume numbers.csv.journal.jsonl --yes");
        assert_eq!(done.code, Some(0), "{}", done.err);
        assert!(done.err.starts_with(
            "warning: the last line of numbers.csv.journal.jsonl is cut off and counts as not \
             written\n3 numbers: 1 applied, 2 pending.\n"
        ));
        assert_eq!(env.fake.received().len(), before + 2);
        assert_eq!(env.applied().len(), 3);
    }
}

#[test]
fn invalid_journal_line_is_named() {
    let env = interrupted();
    let journal = env
        .read("numbers.csv.journal.jsonl")
        .replacen("{\"begun\"", "{\"be", 1);
    env.write("numbers.csv.journal.jsonl", &journal);
    let done = env.run("resume numbers.csv.journal.jsonl --yes");
    assert_eq!(done.code, Some(2));
    assert_eq!(
        done.err,
        "error: numbers.csv.journal.jsonl:2:1: this is not a line of a journal; restore the file, \
         or `sigmamind apply` FILE as a new job with another --journal\n"
    );
    assert_eq!(env.read("numbers.csv.journal.jsonl"), journal);
}

#[test]
fn journal_without_first_line_sent_nothing() {
    let env = interrupted();
    env.write("numbers.csv.journal.jsonl", "{\"job\":{\"ver");
    let done = env.run("resume numbers.csv.journal.jsonl --yes");
    assert_eq!(done.code, Some(2));
    assert_eq!(
        done.err,
        "error: numbers.csv.journal.jsonl has no complete first line, so nothing was sent; delete \
         it, and `apply` again\n"
    );
}

#[test]
fn locked_journal_is_refused() {
    let env = interrupted();
    let journal = fs::File::open(env.path("numbers.csv.journal.jsonl")).unwrap();
    journal.try_lock().unwrap();
    let done = env.run("resume numbers.csv.journal.jsonl --yes");
    assert_eq!(done.code, Some(2));
    assert_eq!(
        done.err,
        "error: numbers.csv.journal.jsonl is locked by another sigmamind process\n"
    );
}

#[test]
fn resume_refuses_another_server() {
    let env = interrupted();
    let other = TestEnv::new(3);
    let url = other.fake.url();
    let done = env.run(&format!(
        "resume numbers.csv.journal.jsonl --yes --base-url {url}"
    ));
    assert_eq!(done.code, Some(2));
    assert!(
        done.err.contains("and this would go to http://127.0.0.1:"),
        "{}",
        done.err
    );
    assert!(other.fake.received().is_empty());
}

#[test]
fn common_change_is_remembered_by_resume() {
    let env = TestEnv::new(3);
    env.write("numbers.csv", "+14155000000\n+14155000001\n");
    assert_eq!(
        env.run("apply numbers.csv --yes --concurrency 1 --set friendlyName=Same")
            .code,
        Some(0)
    );
    let journal = env.read("numbers.csv.journal.jsonl");
    let first = journal.split_inclusive('\n').next().unwrap();
    env.write("numbers.csv.journal.jsonl", first);
    env.fake
        .insert(&crate::env::number(1), sigmamind::PhoneNumber::default());
    assert_eq!(
        env.run("resume numbers.csv.journal.jsonl --yes").code,
        Some(0)
    );
    assert_eq!(env.name(1), Some("Same".into()));
}
