//! It never destroys: no output is an input, and nothing of others is replaced.

use std::fs;

use crate::env::TestEnv;

const JOURNAL: &str = "numbers.csv.journal.jsonl";

fn applied() -> TestEnv {
    let env = TestEnv::new(3);
    env.write_numbers(3);
    assert_eq!(env.run("apply numbers.csv --yes").code, Some(0));
    env.write(
        "export.csv",
        "phoneNumber,friendlyName\n+14155000000,Old\n+14155000001,\n",
    );
    env
}

#[test]
fn rollback_refuses_values_from_after_the_job() {
    let env = applied();
    fs::copy(env.path(JOURNAL), env.path("copy.jsonl")).unwrap();
    fs::copy(env.path("numbers.csv"), env.path("copy.csv")).unwrap();
    fs::copy(
        env.path("numbers.csv.results.csv"),
        env.path("copy.results.csv"),
    )
    .unwrap();
    env.write("later.csv", "+14155000000\n");
    assert_eq!(
        env.run("apply later.csv --yes --set friendlyName=Later")
            .code,
        Some(0)
    );
    for before in [
        JOURNAL,
        "numbers.csv",
        "numbers.csv.results.csv",
        "copy.jsonl",
        "copy.csv",
        "copy.results.csv",
        "later.csv.journal.jsonl",
    ] {
        let done = env.run(&format!("rollback {JOURNAL} --before {before} -o back.csv"));
        assert_eq!(done.code, Some(2), "{before}: {}", done.err);
        assert!(!env.path("back.csv").exists());
    }
}

#[test]
fn rollback_overwrites_no_input_even_if_forced() {
    let env = applied();
    for output in [
        "export.csv",
        JOURNAL,
        "numbers.csv",
        "numbers.csv.results.csv",
        "./export.csv",
    ] {
        let before = fs::read(env.path(output)).unwrap();
        for force in ["", "--force"] {
            let arguments = format!("rollback {JOURNAL} --before export.csv -o {output} {force}");
            let done = env.run(&arguments);
            assert_eq!(done.code, Some(2), "{arguments}: {}", done.err);
            assert_eq!(fs::read(env.path(output)).unwrap(), before);
        }
    }
}

#[test]
fn rollback_lists_what_it_cannot_set_back() {
    let env = applied();
    let done = env.run(&format!(
        "rollback {JOURNAL} --before export.csv -o back.csv --format json"
    ));
    assert_eq!(done.code, Some(1), "{}", done.err);
    let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        json["missing"],
        serde_json::json!([{
            "phoneNumber": "+14155000002", "property": "friendlyName",
            "reason": "the old values do not have this number",
        }])
    );
    assert_eq!(
        env.read("back.csv.missing.csv"),
        "phoneNumber,property,reason\n+14155000002,friendlyName,the old values do not have this \
         number\n"
    );
    assert_eq!(
        env.read("back.csv"),
        "phoneNumber,friendlyName\n+14155000000,Old\n+14155000001,\\E\n"
    );
    let again = env.run(&format!(
        "rollback {JOURNAL} --before export.csv -o back.csv"
    ));
    assert_eq!(again.code, Some(2));
    assert!(
        again.err.contains("back.csv already exists; use --force"),
        "{}",
        again.err
    );
}

#[test]
fn apply_refuses_to_write_its_own_input() {
    let env = TestEnv::new(3);
    let text = "phoneNumber,friendlyName\n+14155000000,A\n";
    env.write("wave.failed.csv", text);
    for force in ["", "--force"] {
        let done = env.run(&format!(
            "apply wave.failed.csv --yes --journal wave.journal.jsonl {force}"
        ));
        assert_eq!(done.code, Some(2), "{}", done.err);
        assert_eq!(env.read("wave.failed.csv"), text);
        let done = env.run(&format!(
            "apply wave.failed.csv --yes --journal wave.failed.csv {force}"
        ));
        assert_eq!(done.code, Some(2), "{}", done.err);
        assert_eq!(env.read("wave.failed.csv"), text);
    }
    assert!(env.fake.received().is_empty());
}

#[test]
fn existing_output_is_replaced_only_if_forced() {
    let env = TestEnv::new(3);
    env.write_numbers(3);
    for name in ["numbers.csv.results.csv", "numbers.csv.failed.csv", JOURNAL] {
        env.write(name, "precious");
        let done = env.run("apply numbers.csv --yes");
        assert_eq!(done.code, Some(2), "{name}: {}", done.err);
        assert!(done.err.contains("already exists"), "{}", done.err);
        assert!(done.err.contains("--force"), "{}", done.err);
        assert_eq!(env.read(name), "precious");
        fs::remove_file(env.path(name)).unwrap();
    }
    assert!(env.fake.received().is_empty());
    env.write("numbers.csv.results.csv", "precious");
    assert_eq!(env.run("apply numbers.csv --yes --force").code, Some(0));
    assert!(
        env.read("numbers.csv.results.csv")
            .starts_with("phoneNumber,")
    );
}

#[cfg(unix)]
#[test]
fn special_file_is_refused_before_the_question() {
    let env = TestEnv::new(1);
    env.write_numbers(1);
    let made = std::process::Command::new("mkfifo")
        .arg(env.path("pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    fs::create_dir(env.path("folder")).unwrap();
    for arguments in [
        "apply numbers.csv --journal pipe",
        "apply numbers.csv --journal folder",
        "apply numbers.csv --journal /dev/stdout",
        "apply numbers.csv --journal /dev/full",
        "apply pipe",
        "apply folder",
        "apply numbers.csv --before pipe",
        "apply numbers.csv --api-key-file pipe --yes",
        "apply numbers.csv --trunk-password-file pipe --yes",
        "resume pipe",
        "resume folder",
        "resume /dev/stdout",
        "rollback pipe --before numbers.csv -o back.csv",
    ] {
        let done = env.run(arguments);
        assert!(
            matches!(done.code, Some(2 | 4)),
            "{arguments}: {}",
            done.err
        );
        let reason = ["a pipe", "a folder", "is a folder"];
        assert!(
            reason.iter().any(|reason| done.err.contains(reason)),
            "{arguments}: {}",
            done.err
        );
    }
    assert!(env.fake.received().is_empty());
}
