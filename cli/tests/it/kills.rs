//! Killed at any moment, and gone on with.

use std::{collections::HashMap, process::Stdio, thread::sleep, time::Duration};

use crate::stage::{Stage, number};

const NUMBERS: usize = 500;
const RUNS: u64 = 20;
const AT_ONCE: usize = 8;

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_is_sent_twice() {
    let mut hit = 0;
    for run in 0..RUNS {
        let stage = Stage::new(NUMBERS);
        stage.fake.delay(Duration::from_millis(2));
        stage.write_numbers(NUMBERS);
        let mut command = stage.command(&format!("apply numbers.csv --yes --at-once {AT_ONCE}"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // From before the journal is there to near the end, whatever the machine's speed.
        while stage.fake.received().len() < usize::try_from(run).unwrap() * NUMBERS / 25 {
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_micros(run * 137 % 2_000));
        child.kill().unwrap();
        let code = child.wait().unwrap().code();
        hit += usize::from(code.is_none());

        let journal = "numbers.csv.journal.jsonl";
        if stage.path(journal).exists() && stage.read(journal).contains('\n') {
            let recorded = stage.applied();
            let begun = stage.begun();
            assert!(
                begun.len() <= recorded.len() + AT_ONCE,
                "an end is not recorded"
            );
            for received in stage.fake.received() {
                let number = received.number.as_str();
                assert!(
                    begun.iter().any(|begun| begun == number),
                    "{number} is not recorded"
                );
            }
            for number in &recorded {
                let name = stage
                    .fake
                    .get(&number.parse().unwrap())
                    .unwrap()
                    .friendly_name;
                assert!(
                    name.is_some(),
                    "{number} is recorded as applied, and is not"
                );
            }
            let resumed = stage.run(&format!("resume {journal} --yes"));
            assert_eq!(resumed.code, Some(0), "{}", resumed.err);
            let mut times = HashMap::new();
            for received in stage.fake.received() {
                *times.entry(received.number.to_string()).or_insert(0) += 1;
            }
            for number in &recorded {
                assert_eq!(times[number], 1, "{number} was recorded, and is sent again");
            }
        } else {
            assert!(stage.fake.received().is_empty());
            let _ = std::fs::remove_file(stage.path(journal));
            assert_eq!(stage.run("apply numbers.csv --yes").code, Some(0));
        }
        for index in 0..NUMBERS {
            assert_eq!(stage.name(index), Some(format!("Line {index}")));
        }
        assert_eq!(number(NUMBERS - 1).as_str(), "+14155000499");
    }
    assert!(
        hit > 10,
        "only {hit} of {RUNS} were killed before their end"
    );
}
