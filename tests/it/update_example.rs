//! The example program, run as a user runs it.

use std::{
    env,
    path::PathBuf,
    process::{Command, Output},
    sync::OnceLock,
};

use sigmamind::{PhoneNumber, mock::FakeSigmaMind};

/// Where cargo puts the example. `cargo test` builds it with the tests; a run of this binary
/// alone (`cargo test --test it`) may have to.
fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        let test = env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).unwrap().join("examples");
        let program = folder.join(format!("update_phone_number{}", env::consts::EXE_SUFFIX));
        if !program.exists() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--quiet", "--example", "update_phone_number"]);
            assert!(build.status().unwrap().success());
        }
        program
    };
    BUILT.get_or_init(find).clone()
}

/// The example, with nothing of this process's settings.
fn example(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let program = program();
    let mut command = Command::new(&program);
    for name in [
        "SIGMAMIND_API_KEY",
        "SIGMAMIND_BASE_URL",
        "SIGMAMIND_TRUNK_PASSWORD",
    ] {
        command.env_remove(name);
    }
    command.args(arguments).envs(variables.iter().copied());
    command
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    command
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}", program.display()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn fake() -> FakeSigmaMind {
    let fake = FakeSigmaMind::start();
    fake.insert(
        &"+14155552671".parse().unwrap(),
        PhoneNumber::default().active(true),
    );
    fake
}

fn variables(fake: &FakeSigmaMind) -> [(&str, &str); 2] {
    [
        ("SIGMAMIND_API_KEY", fake.key()),
        ("SIGMAMIND_BASE_URL", fake.url()),
    ]
}

#[test]
fn example_without_key_uses_fake_server() {
    let output = example(&[], &[]);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (before, after) = printed.split_once("The number after").unwrap();
    assert!(before.contains("this is the embedded server, not SigmaMind"));
    assert!(before.contains("\"Support Line - US\"") && !after.contains("Support Line - US"));
    assert!(after.contains("\"Support Line\""));
    assert!(!printed.contains("P@ssw0rd123"), "{printed}");
}

#[test]
fn example_with_key_sends_update() {
    let fake = fake();
    let [key, url] = variables(&fake);
    let output = example(
        &[
            "+14155552671",
            "friendlyName=Support Line",
            "inboundAgentId:=\"a=b\"",
        ],
        &[key, url, ("SIGMAMIND_TRUNK_PASSWORD", "P@ssw0rd123")],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let [received] = &fake.received()[..] else {
        panic!("{:?}", fake.received())
    };
    assert_eq!(
        serde_json::to_value(&received.update).unwrap(),
        serde_json::json!({
            "friendlyName": "Support Line",
            "inboundAgentId": "a=b",
            "trunkPassword": "P@ssw0rd123",
        })
    );
    let printed = text(&output.stdout);
    assert!(
        printed.contains("Answered 200 OK after 1 attempt(s)"),
        "{printed}"
    );
    assert!(
        !printed.contains("P@ssw0rd123") && !printed.contains("embedded"),
        "{printed}"
    );
}

#[test]
fn example_exits_with_1_and_reason_when_refused() {
    let fake = fake();
    let output = example(&["+14155552672", "friendlyName=a"], &variables(&fake));
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stderr);
    assert!(
        printed.starts_with("error: SigmaMind answered 404"),
        "{printed}"
    );
}

#[test]
fn example_exits_with_2_and_reason_on_wrong_arguments() {
    let fake = fake();
    for (arguments, reason) in [
        (&[][..], "the number is missing"),
        (&["14155552671"], "does not start with `+`"),
        (
            &["+14155552671", "friendlyName"],
            "`friendlyName` is not PROPERTY=TEXT",
        ),
        (
            &["+14155552671", "friendlyname=a"],
            "an update has no property `friendlyname`",
        ),
        (&["+14155552671", "friendlyName:=5"], "expected a string"),
        (
            &["+14155552671", "trunkPassword=a"],
            "is taken from SIGMAMIND_TRUNK_PASSWORD alone",
        ),
        (
            &["+14155552671", "trunkPassword:=1"],
            "is taken from SIGMAMIND_TRUNK_PASSWORD alone",
        ),
    ] {
        let output = example(arguments, &variables(&fake));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let printed = text(&output.stderr);
        assert!(printed.contains(reason), "{arguments:?}: {printed}");
    }
    assert_eq!(fake.received(), []);
}

#[test]
fn example_with_number_but_no_key_sends_nothing() {
    let output = example(&["+14155552671", "friendlyName=a"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("SIGMAMIND_API_KEY is not set"));
}
