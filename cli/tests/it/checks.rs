//! A file is checked as a whole before anything is sent, and each mistake has its place.

use crate::env::TestEnv;

/// Returns the messages about a file that has mistakes.
fn mistakes(text: impl AsRef<[u8]>, arguments: &str) -> String {
    let env = TestEnv::new(9);
    env.write("numbers.csv", text);
    let done = env.run(&format!("apply numbers.csv --yes {arguments}"));
    assert_eq!(done.code, Some(2), "{}", done.err);
    assert!(env.fake.received().is_empty());
    assert!(!env.path("numbers.csv.journal.jsonl").exists());
    done.err.trim_start_matches("error: ").to_owned()
}

#[test]
fn every_mistake_has_file_line_and_column() {
    let text = "\
# from the spreadsheet
phoneNumber;friendlyName
14155000000;lost its plus
1.4155E+10;lost digits
+14155000002;once
+14155000002;twice
;
+14155000003;
+14155000004
+1 415-500-0005;dashes
;no number
";
    assert_eq!(
        mistakes(text, ""),
        "\
numbers.csv has 8 mistakes; nothing was sent:
numbers.csv:3:1: 14155000000 has lost its `+`, as happens in spreadsheets; write +14155000000, in a column that is formatted as text
numbers.csv:4:1: a spreadsheet has made 1.4155E+10 of the number, and digits are lost; copy it again, into a column that is formatted as text
numbers.csv:6:1: +14155000002 is already in line 5; use one row per number
numbers.csv:7:1: the row is empty; take it out
numbers.csv:8:1: the row sets nothing; give a value or remove the row
numbers.csv:9:2: there is 1 cell, and 2 columns
numbers.csv:10:1: `+1 415-500-0005` is not an E.164 phone number: only digits may follow the `+`
numbers.csv:11:1: there is no number in this row
"
    );
}

#[test]
fn lines_are_counted_in_quoted_cells_and_after_crlf() {
    let text = "phoneNumber,friendlyName\r\n+14155000000,\"two\r\nlines\"\r\n\r\n14155000001,x\r\n";
    for text in [text, &text.replace('\r', "")] {
        let said = mistakes(text, "");
        assert!(
            said.starts_with("numbers.csv:5:1: 14155000001 has lost its `+`"),
            "{said}"
        );
    }
}

#[test]
fn unclosed_quotation_mark_is_a_mistake() {
    let text = "phoneNumber,friendlyName\n+14155000000,\"open\n+14155000001,x\n";
    assert_eq!(
        mistakes(text, ""),
        "numbers.csv:2:1: a quotation mark is opened in this row and never closed\n"
    );
}

#[test]
fn unknown_column_has_a_suggestion() {
    assert_eq!(
        mistakes("phoneNumber,frendly-name\n", ""),
        "numbers.csv:1:2: 1 unknown column: `frendly-name` (did you mean `friendlyName`?); use \
         --ignore-unknown or --columns to skip\n"
    );
    assert_eq!(
        mistakes("phoneNumber,friendlyName,friendly-name\n", ""),
        "numbers.csv:1:3: the column `friendly-name` appears twice\n"
    );
    assert_eq!(
        mistakes("friendlyName\nx\n", ""),
        "numbers.csv:1:1: there is no column `phoneNumber`\n"
    );
    assert_eq!(
        mistakes("+14155000000,x\n", ""),
        "numbers.csv:1:1: there is no header; name the columns: phoneNumber, …\n"
    );
}

#[test]
fn json_lines_have_the_column_of_the_value() {
    let text = r#"{"phoneNumber": "+14155000000", "friendlyName": 5}
{"phoneNumber": 14155000001, "friendlyName": "x"}

{"phoneNumber": "+14155000002", "friendlyName": null}
{"phoneNumber": "+14155000003", "friendlyName": "x", "friendly-name": "y"}
{"friendlyName": "x"}
{"phoneNumber": "+14155000004", "colour": "red"}
{"phoneNumber":
"#;
    assert_eq!(
        mistakes(text, ""),
        "\
numbers.csv has 7 mistakes; nothing was sent:
numbers.csv:1:49: `friendlyName` is not text
numbers.csv:2:17: 14155000001 has lost its `+`, as happens in spreadsheets; write +14155000001, in a column that is formatted as text
numbers.csv:4:49: `friendlyName` must not be null
numbers.csv:5:71: `friendly-name` appears twice
numbers.csv:6:1: there is no `phoneNumber`
numbers.csv:8:15: this is not a JSON object
numbers.csv:7:43: 1 unknown name: `colour`; the properties are friendlyName, inboundAgentId, outboundAgentId, sipTrunkName, terminationSipUri, trunkPassword, trunkUsername; use --ignore-unknown or --columns to skip
"
    );
}

#[test]
fn invalid_utf8_is_refused_with_its_place() {
    assert_eq!(
        mistakes(b"phoneNumber,friendlyName\n+14155000000,\xe9t\xe9\n", ""),
        "numbers.csv:2:14: this is not UTF-8; save the file as \"CSV UTF-8\"\n"
    );
    assert_eq!(mistakes("", ""), "numbers.csv:1:1: the file is empty\n");
    assert_eq!(
        mistakes("phoneNumber,friendlyName\n", ""),
        "numbers.csv contains no numbers\n"
    );
}

#[test]
fn property_given_twice_is_refused() {
    assert_eq!(
        mistakes(
            "phoneNumber,friendlyName\n+14155000000,x\n",
            "--set friendly-name=y"
        ),
        "`friendlyName` is a column of numbers.csv, and is also to be set on every number; give it \
         once\n"
    );
    assert_eq!(
        mistakes(
            "+14155000000\n",
            "--set friendlyName=x --set friendly-name=y"
        ),
        "`friendlyName` is given twice\n"
    );
}

#[test]
fn numbers_alone_need_something_to_set() {
    let error = "numbers.csv contains only numbers; use --set PROPERTY=VALUE to say what to set\n";
    assert_eq!(mistakes("+14155000000\n", ""), error);
    assert_eq!(mistakes("phoneNumber\n+14155000000\n", ""), error);
}

#[test]
fn mistakes_are_cut_off_after_twenty() {
    let text = format!("phoneNumber,friendlyName\n{}", ",x\n".repeat(25));
    let said = mistakes(text, "");
    assert!(said.starts_with("numbers.csv has 25 mistakes"));
    assert!(said.ends_with("\nand 5 more like these\n"));
    assert_eq!(said.lines().count(), 22);
}
