//! `rollback`: what can be set back, and what not.

use crate::env::TestEnv;

fn applied() -> TestEnv {
    let env = TestEnv::new(4);
    env.write(
        "numbers.csv",
        "phoneNumber,friendlyName,inboundAgentId\n\
         +14155000000,New,new\n+14155000001,New,new\n+14155000002,New,\n+14155000009,New,\n",
    );
    assert_eq!(env.run("apply numbers.csv --yes").code, Some(1));
    env
}

#[test]
fn rollback_takes_values_of_an_export() {
    let env = applied();
    env.write(
        "export.csv",
        "phoneNumber,provider,friendlyName,inboundAgentId\n\
         +14155000000,twilio,Old,old\n+14155000001,twilio,Old,\n",
    );
    let done = env.run("rollback numbers.csv.journal.jsonl --before export.csv -o back.csv");
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert_eq!(
        env.read("back.csv"),
        "phoneNumber,friendlyName,inboundAgentId\n+14155000000,Old,old\n+14155000001,Old,\\E\n"
    );
    assert_eq!(
        done.out,
        "\
outcome       count  example
set back      2      +14155000000
not set back  1      +14155000002

not set back  count  reason
friendlyName  1      the old values do not have this number
"
    );
    assert_eq!(env.run("apply back.csv --yes").code, Some(0));
    assert_eq!(env.name(0), Some("Old".into()));
}

#[test]
fn rollback_takes_values_of_an_earlier_journal() {
    let env = TestEnv::new(2);
    env.write_numbers(2);
    assert_eq!(env.run("apply numbers.csv --yes").code, Some(0));
    env.write("second.csv", "+14155000000\n+14155000001\n");
    assert_eq!(
        env.run("apply second.csv --yes --set friendlyName=New")
            .code,
        Some(0)
    );
    let done =
        env.run("rollback second.csv.journal.jsonl --before numbers.csv.journal.jsonl -o back.csv");
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(
        env.read("back.csv"),
        "phoneNumber,friendlyName\n+14155000000,Line 0\n+14155000001,Line 1\n"
    );
    assert_eq!(
        done.err,
        "`sigmamind apply back.csv` sets 2 numbers back.\n"
    );
}

#[test]
fn rollback_refuses_a_journal_without_changes() {
    let env = TestEnv::new(0);
    env.write_numbers(1);
    assert_eq!(env.run("apply numbers.csv --yes").code, Some(1));
    let done = env.run("rollback numbers.csv.journal.jsonl --before numbers.csv -o back.csv");
    assert_eq!(done.code, Some(2));
    assert!(!env.path("back.csv").exists());
}
