//! `set`, and where the key comes from.

use crate::env::{TestEnv, done};

#[test]
fn set_prints_the_response_in_every_format() {
    let env = TestEnv::new(1);
    let set = "set +14155000000 --friendly-name Support";

    let table = env.run(set);
    assert_eq!(
        table.out,
        "property      reported\nactive        true\nfriendlyName  Support\n"
    );
    assert_eq!((table.code, &*table.err), (Some(0), ""));
    let json = env.run(&format!("{set} --format json"));
    assert_eq!(
        json.out,
        "{\n  \"active\": true,\n  \"friendlyName\": \"Support\"\n}\n"
    );
    let csv = env.run(&format!("{set} --format csv"));
    assert_eq!(csv.out, "active,friendlyName\ntrue,Support\n");
}

#[test]
fn set_failure_is_one_line_with_exit_code() {
    let env = TestEnv::new(0);
    let done = env.run("set +14155000000 --friendly-name Support");
    assert_eq!(done.code, Some(1));
    assert_eq!(
        done.err,
        "error: SigmaMind answered 404 Not Found (there is no such number in this account); check \
         the path, the base URL and the key's account\n"
    );
    assert_eq!(done.out, "");
}

#[test]
fn set_refuses_no_property_and_invalid_number() {
    let env = TestEnv::new(1);
    let nothing = env.run("set +14155000000");
    assert_eq!(nothing.code, Some(2));
    assert_eq!(
        nothing.err,
        "error: nothing to set; see `sigmamind set --help` for the properties\n"
    );
    let none = env.run("set 4155552671 --friendly-name Support");
    assert_eq!(none.code, Some(2));
    assert!(
        none.err
            .contains("not an E.164 phone number: it does not start with `+`")
    );
    assert!(env.fake.received().is_empty());
}

#[test]
fn null_is_refused_for_a_property_that_is_not_nullable() {
    let env = TestEnv::new(1);
    let done = env.run("set +14155000000 --null friendlyName");
    assert_eq!(done.code, Some(2));
    assert_eq!(done.err, "error: `friendlyName` must not be null\n");
}

#[test]
fn key_comes_from_variable_file_or_command() {
    let env = TestEnv::new(1);
    let key = env.fake.key();
    env.write("key", format!("{key}\r\n"));
    for (arguments, code) in [
        ("--api-key-file key", Some(0)),
        ("--api-key-file missing", Some(4)),
        ("--api-key-command cat<key", Some(0)),
        ("--api-key-command cat<key;false", Some(4)),
        ("", Some(4)),
    ] {
        let set = format!("set +14155000000 --friendly-name Support {arguments}");
        let done = done(env.command(&set).env_remove("SIGMAMIND_API_KEY"));
        assert_eq!(done.code, code, "{arguments}: {}", done.err);
    }
}

#[test]
fn refused_or_missing_key_is_exit_code_4() {
    let env = TestEnv::new(1);
    let set = "set +14155000000 --friendly-name Support";
    let refused = done(env.command(set).env("SIGMAMIND_API_KEY", "another"));
    assert_eq!(refused.code, Some(4));
    let missing = done(env.command(set).env_remove("SIGMAMIND_API_KEY"));
    assert_eq!(missing.code, Some(4));
    assert_eq!(
        missing.err,
        "error: there is no API key; create one in SigmaMind's settings, then set \
         SIGMAMIND_API_KEY, or use --api-key-file or --api-key-command\n"
    );
}

#[test]
fn closed_stdout_is_not_an_error() {
    let env = TestEnv::new(0);
    let mut command = env.command("template");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
