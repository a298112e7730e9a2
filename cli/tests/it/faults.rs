//! What goes wrong around it.

use crate::stage::Stage;

/// A disk with room for so many blocks of 512 bytes in each file, which is as good as full.
#[cfg(unix)]
fn run_on_a_full_disk(stage: &Stage, arguments: &str, blocks: usize) -> crate::stage::Done {
    let program = env!("CARGO_BIN_EXE_sigmamind");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {program} {arguments}");
    let mut command = std::process::Command::new("bash");
    command
        .args(["-c", &script])
        .current_dir(stage.path(""))
        .env("SIGMAMIND_BASE_URL", stage.fake.url())
        .env("SIGMAMIND_API_KEY", stage.fake.key());
    crate::stage::done(&mut command)
}

#[cfg(unix)]
#[test]
fn a_full_disk_stops_it_and_nothing_is_lost() {
    let stage = Stage::new(200);
    stage.write_numbers(200);
    let done = run_on_a_full_disk(&stage, "apply numbers.csv --yes --at-once 4", 8);
    assert_eq!(done.code, Some(3), "{}", done.err);
    assert!(
        done.err
            .contains("error: cannot write numbers.csv.journal.jsonl: File too large"),
        "{}",
        done.err
    );
    let recorded = stage.applied();
    let received = stage.fake.received();
    assert!(!recorded.is_empty() && received.len() < 100);
    let begun = stage.begun();
    // What was sent and is not recorded as applied is said.
    for received in &received {
        let number = received.number.as_str();
        assert!(begun.iter().any(|begun| begun == number), "{number}");
        assert!(
            recorded.iter().any(|applied| applied == number)
                || done
                    .err
                    .contains(&format!("the journal does not have it: {number} applied")),
            "{number}: {}",
            done.err
        );
    }

    let resumed = stage.run("resume numbers.csv.journal.jsonl --yes");
    assert_eq!(resumed.code, Some(0), "{}", resumed.err);
    for number in &recorded {
        let received = stage.fake.received();
        let times = received
            .iter()
            .filter(|received| received.number.as_str() == number);
        assert_eq!(times.count(), 1, "{number} was recorded and is sent again");
    }
    assert_eq!(stage.applied().len(), 200);
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_from_the_start_sends_nothing() {
    let stage = Stage::new(1);
    stage.write_numbers(1);
    let done = run_on_a_full_disk(&stage, "apply numbers.csv --yes", 0);
    assert_eq!(done.code, Some(2));
    assert!(done.err.ends_with("; nothing was sent\n"), "{}", done.err);
    assert!(stage.fake.received().is_empty());
    assert!(!stage.path("numbers.csv.journal.jsonl").exists());
}

#[test]
fn a_server_that_is_not_there_is_a_failure_of_each_number() {
    let stage = Stage::new(0);
    stage.write_numbers(2);
    let done = stage.run("apply numbers.csv --yes --base-url http://127.0.0.1:1 --deadline 2s");
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(
        done.out.contains("no connection could be made"),
        "{}",
        done.out
    );
}

#[test]
fn a_request_that_may_have_taken_effect_is_not_called_failed() {
    let stage = Stage::new(1);
    stage.write_numbers(1);
    stage.fake.fail_next(3, 500);
    let done = stage.run("apply numbers.csv --yes");
    assert_eq!(done.code, Some(1));
    assert!(
        done.out.starts_with("outcome  numbers\nunknown  1\n"),
        "{}",
        done.out
    );
}

#[cfg(not(feature = "fake"))]
#[test]
fn a_program_without_the_fake_says_how_to_get_it() {
    let done = Stage::new(0).run("fake");
    assert_eq!(done.code, Some(2));
    assert_eq!(
        done.err,
        "error: this program was built without the fake server; build it with --features fake\n"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let stage = Stage::new(0);
    let done = stage.run("apply nowhere.csv --yes");
    assert_eq!(done.code, Some(2));
    assert!(done.err.starts_with("error: cannot read nowhere.csv: "));
    let done = stage.run("resume nowhere.journal.jsonl --yes");
    assert_eq!(done.code, Some(2));
    assert!(
        done.err
            .starts_with("error: cannot read nowhere.journal.jsonl: ")
    );
}
