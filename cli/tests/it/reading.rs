//! It reads what people have: one reader for `apply`, `rollback --before` and `fake`.

use crate::env::{TestEnv, number};

const SECRET: &str = "P@ssw0rd123";

/// The plan of a file, which is a success.
fn plan(name: &str, text: impl AsRef<[u8]>, options: &str) -> String {
    let env = TestEnv::new(0);
    env.write(name, text);
    let done = env.run(&format!("apply {name} --dry-run --format csv {options}"));
    assert_eq!(done.code, Some(0), "{}", done.err);
    done.out
}

/// Returns the messages about a file that has mistakes.
fn mistakes(name: &str, text: impl AsRef<[u8]>) -> String {
    let env = TestEnv::new(0);
    env.write(name, text);
    let done = env.run(&format!("apply {name} --dry-run"));
    assert_eq!(done.code, Some(2), "{}", done.out);
    done.err
}

const TWO: &str = "phoneNumber,friendlyName\n+14155000000,A\n+14155000001,B\n";

#[test]
fn every_form_of_a_table_is_read() {
    for text in [
        TWO.to_owned(),
        TWO.replace('\n', "\r\n"),
        TWO.replace('\n', "\r"),
        TWO.replace(',', ";"),
        TWO.replace(',', "\t"),
        TWO.replace(',', "|"),
        TWO.replace(',', "^"),
        format!("sep=;\r\n{}", TWO.replace(',', ";")),
        format!("\u{feff}{TWO}"),
        format!("\u{feff}sep=,\n{TWO}"),
        TWO.replace("phoneNumber,friendlyName", "phone-number,friendly-name"),
        TWO.replace("phoneNumber", "sipPhoneNumber"),
        TWO.replace("e\n+", "e\n# a comment\n+"),
        "phoneNumber,friendlyName,,,\n+14155000000,A,,,\n+14155000001,B,,,\n".to_owned(),
        format!("{TWO},\n,\n\n\n"),
        "phoneNumber,friendlyName\n\"+14155000000\",\"A\"\n+14155000001,B".to_owned(),
    ] {
        assert_eq!(plan("numbers.csv", &text, ""), TWO, "{text:?}");
    }
}

#[test]
fn every_form_of_json_is_read() {
    let (a, b) = (
        r#"{"phoneNumber": "+14155000000", "friendlyName": "A"}"#,
        r#"{"phoneNumber": "+14155000001", "friendlyName": "B"}"#,
    );
    let pretty = |text: &str| {
        text.replace('{', "{\n  ")
            .replace(", ", ",\n  ")
            .replace('}', "\n}")
    };
    for text in [
        format!("{a}\n{b}\n"),
        format!("{a}\n\n{b}"),
        format!("[{a}, {b}]"),
        format!("[\n{},\n{}\n]", pretty(a), pretty(b)),
        format!("{}\n{}", pretty(a), pretty(b)),
        format!("{{\"data\": [{a}, {b}]}}"),
        format!("{{\"data\": [{a}, {b}]}}").replace("phoneNumber", "sipPhoneNumber"),
        format!("\u{feff}[{a},{b}]"),
    ] {
        assert_eq!(plan("numbers.json", &text, ""), TWO, "{text}");
    }
}

const API_LIST: &str = r#"{"data": [
    {"sipPhoneNumber": "+14155000000", "provider": "twilio", "inboundAgentId": "a", "outboundAgentId": null, "active": true, "friendlyName": "Old"},
    {"sipPhoneNumber": "+14155000001", "provider": "twilio", "inboundAgentId": null, "active": true, "friendlyName": "Old"}
]}"#;

#[test]
fn list_of_the_api_is_read_as_values_from_before() {
    let env = TestEnv::new(2);
    env.write("list.json", API_LIST);
    env.write_numbers(2);
    assert_eq!(env.run("apply numbers.csv --yes").code, Some(0));
    let done = env.run("rollback numbers.csv.journal.jsonl --before list.json -o back.csv");
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(
        env.read("back.csv"),
        "phoneNumber,friendlyName\n+14155000000,Old\n+14155000001,Old\n"
    );
}

#[test]
fn list_of_the_api_is_read_as_a_file() {
    assert_eq!(
        plan("list.json", API_LIST, ""),
        "phoneNumber,friendlyName,inboundAgentId\n+14155000000,Old,a\n+14155000001,Old,\n"
    );
}

#[test]
fn unknown_columns_are_named_at_once_and_can_be_skipped() {
    let text = "phoneNumber,friendlyName,notes,owner\n+14155000000,A,call back,ann\n";
    let said = mistakes("numbers.csv", text);
    assert!(
        said.contains("numbers.csv:1:3: 2 unknown columns: `notes`, `owner`;"),
        "{said}"
    );
    let one = "phoneNumber,friendlyName\n+14155000000,A\n";
    assert_eq!(plan("numbers.csv", text, "--ignore-unknown"), one);
    assert_eq!(plan("numbers.csv", text, "--columns friendlyName"), one);
    let json = r#"[{"phoneNumber": "+14155000000", "friendlyName": "A", "notes": 1}]"#;
    assert!(mistakes("numbers.json", json).contains("1 unknown name: `notes`;"));
    assert_eq!(plan("numbers.json", json, "--ignore-unknown"), one);
}

#[test]
fn skipped_columns_are_remembered_by_resume() {
    let env = TestEnv::new(0);
    env.write(
        "numbers.csv",
        "phoneNumber,friendlyName,notes\n+14155000000,A,x\n",
    );
    assert_eq!(
        env.run("apply numbers.csv --yes --ignore-unknown").code,
        Some(1)
    );
    let done = env.run("resume numbers.csv.journal.jsonl --yes");
    assert_eq!(done.code, Some(1), "{}", done.err);
}

#[test]
fn no_message_repeats_what_may_be_a_secret() {
    let texts = [
        format!(r#"[{{"trunkPassword":"{SECRET}","phoneNumber":"+14155000000","x":1}}]"#),
        format!("[{{\"trunkPassword\":\"{SECRET}\",\"phoneNumber\":\"+14155000000\"}}"),
        format!("{SECRET},+14155000000\n"),
        format!("phoneNumber,{SECRET}\n+14155000000,A\n"),
        format!("phoneNumber,trunkPassword\n{SECRET},+14155000000\n"),
        format!("phoneNumber,trunkPassword\n+14155000000, {SECRET}\n"),
        format!("phoneNumber,trunkPassword\n+14155000000,\"{SECRET}\" x\n"),
    ];
    for text in texts {
        let said = mistakes("numbers.csv", &text);
        assert!(!said.contains(SECRET), "{text}: {said}");
    }
    let plan = plan(
        "array.json",
        format!(r#"[{{"trunkPassword":"{SECRET}","phoneNumber":"+14155000000"}}]"#),
        "",
    );
    assert_eq!(plan, "phoneNumber,trunkPassword\n+14155000000,[redacted]\n");
}

#[test]
fn quotation_marks_swallow_no_rows() {
    let said = mistakes(
        "numbers.csv",
        "phoneNumber,friendlyName\n+14155000000,\"Support\n+14155000001,Sales\n+14155000002,Night\" \
         Line\n+14155000003,Last\n",
    );
    assert!(
        said.contains("numbers.csv:2:2: there is text after a closing quotation mark (opened in line 2, closed in line 4)"),
        "{said}"
    );
    let said = mistakes(
        "numbers.csv",
        "phoneNumber,friendlyName\n+14155000000,\"Support\n+14155000001,Sales\"\n",
    );
    assert!(
        said.contains("numbers.csv:2:2: a line break is followed by a number"),
        "{said}"
    );
}

#[test]
fn white_space_is_a_mistake_and_blank_is_empty() {
    let said = mistakes(
        "numbers.csv",
        "phoneNumber,friendlyName,inboundAgentId\n+14155000000, ,agent1\n+14155000001,Sales,agent1 \n\
         +14155000002,\"Night\",\u{a0}agent1\n",
    );
    assert_eq!(
        said,
        "error: numbers.csv has 2 mistakes; nothing was sent:\n\
         numbers.csv:3:3: `inboundAgentId` has white space around its value; remove it\n\
         numbers.csv:4:3: `inboundAgentId` has white space around its value; remove it\n"
    );
    let cleared = plan(
        "numbers.csv",
        "phoneNumber,friendlyName,sipTrunkName\n+14155000000, ,T\n",
        "",
    );
    assert_eq!(cleared, "phoneNumber,sipTrunkName\n+14155000000,T\n");
}

#[test]
fn invisible_characters_are_named() {
    let said = mistakes(
        "numbers.csv",
        "phoneNumber,friendlyName\n\u{202a}+14155000000\u{202c},A\n\u{200b}+14155000001,B\n\
         +14155000002,C\u{200b}D\n",
    );
    for name in [
        "2:1: the number contains the invisible character U+202A",
        "3:1: the number contains the invisible character U+200B",
        "4:2: `friendlyName` contains the invisible character U+200B",
    ] {
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn ten_digits_may_lack_the_country() {
    let said = mistakes("numbers.csv", "phoneNumber,friendlyName\n4155552671,A\n");
    assert!(
        said.contains("4155552671 has no country code or has lost its `+`"),
        "{said}"
    );
    assert!(
        said.contains("+14155552671, if it is in the USA or Canada"),
        "{said}"
    );
}

#[test]
fn failed_rows_read_back_byte_for_byte() {
    let env = TestEnv::new(1);
    for text in [
        "\u{feff}sep=;\r\nphoneNumber;friendlyName\r\n+14155000000;A\r\n+14155000001;\"=1+1 \"\"x\"\"\"\r\n",
        "# note\nphoneNumber,friendlyName\n+14155000000,A\n+14155000001,'B\n",
    ] {
        env.write("numbers.csv", text);
        let done = env.run("apply numbers.csv --yes --force");
        assert_eq!(done.code, Some(1), "{}", done.err);
        let applied = text
            .split_inclusive('\n')
            .find(|line| line.contains("5000000"))
            .unwrap();
        assert_eq!(
            env.read("numbers.csv.failed.csv"),
            text.replace(applied, "")
        );
    }
}

#[test]
fn export_shows_what_really_changes() {
    let env = TestEnv::new(3);
    env.write_numbers(3);
    env.write(
        "export.csv",
        "phoneNumber,friendlyName\n+14155000000,Line 0\n+14155000001,Old\n",
    );
    let plan = env.run("apply numbers.csv --before export.csv --dry-run");
    assert!(plan.err.contains("2 numbers to update"), "{}", plan.err);
    assert!(plan.err.contains("; 1 unchanged\n"), "{}", plan.err);
    assert!(
        plan.err.contains("friendlyName=\"Line 1\" (was \"Old\")"),
        "{}",
        plan.err
    );
    let done = env.run("apply numbers.csv --before export.csv --yes");
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(env.fake.received().len(), 2);
    let back = env.run("rollback numbers.csv.journal.jsonl -o back.csv");
    assert_eq!(back.code, Some(1), "{}", back.err);
    assert_eq!(
        env.read("back.csv"),
        format!("phoneNumber,friendlyName\n{},Old\n", number(1))
    );
}
