//! Killed at any moment, and gone on with.

use std::{collections::HashMap, process::Stdio, thread::sleep, time::Duration};

use crate::env::{TestEnv, number};

const NUMBERS: usize = 500;
const RUNS: u64 = 20;
const AT_ONCE: usize = 8;

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_is_sent_twice() {
    let mut hit = 0;
    for run in 0..RUNS {
        let env = TestEnv::new(NUMBERS);
        env.fake.delay(Duration::from_millis(2));
        env.write_numbers(NUMBERS);
        let mut command = env.command(&format!("apply numbers.csv --yes --at-once {AT_ONCE}"));
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // From before the journal is there to near the end, whatever the machine's speed.
        while env.fake.received().len() < usize::try_from(run).unwrap() * NUMBERS / 25 {
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_micros(run * 137 % 2_000));
        child.kill().unwrap();
        let code = child.wait().unwrap().code();
        hit += usize::from(code.is_none());

        let journal = "numbers.csv.journal.jsonl";
        if env.path(journal).exists() && env.read(journal).contains('\n') {
            let recorded = env.applied();
            let begun = env.begun();
            assert!(
                begun.len() <= recorded.len() + AT_ONCE,
                "an end is not recorded"
            );
            for received in env.fake.received() {
                let number = received.number.as_str();
                assert!(
                    begun.iter().any(|begun| begun == number),
                    "{number} is not recorded"
                );
            }
            for number in &recorded {
                let name = env
                    .fake
                    .get(&number.parse().unwrap())
                    .unwrap()
                    .friendly_name;
                assert!(
                    name.is_some(),
                    "{number} is recorded as applied, and is not"
                );
            }
            let resumed = env.run(&format!("resume {journal} --yes"));
            assert_eq!(resumed.code, Some(0), "{}", resumed.err);
            let mut times = HashMap::new();
            for received in env.fake.received() {
                *times.entry(received.number.to_string()).or_insert(0) += 1;
            }
            for number in &recorded {
                assert_eq!(times[number], 1, "{number} was recorded, and is sent again");
            }
        } else {
            assert!(env.fake.received().is_empty());
            let _ = std::fs::remove_file(env.path(journal));
            assert_eq!(env.run("apply numbers.csv --yes").code, Some(0));
        }
        for index in 0..NUMBERS {
            assert_eq!(env.name(index), Some(format!("Line {index}")));
        }
        assert_eq!(number(NUMBERS - 1).as_str(), "+14155000499");
    }
    assert!(
        hit > 10,
        "only {hit} of {RUNS} were killed before their end"
    );
}
