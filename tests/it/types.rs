//! The types that schemas become, and the traits that users rely on.

use serde_json::json;
use sigmamind::{
    Client, E164, Error, Nullable, ParseE164Error, PhoneNumberUpdate, Provider, ReportedNumber,
    Secret, operations,
};

#[test]
fn e164_parses_or_says_why_not() {
    for good in ["+1234567", "+14155552671", "+123456789012345"] {
        assert_eq!(good.parse::<E164>().unwrap().to_string(), good);
        assert_eq!(E164::try_from(good.to_owned()).unwrap().as_str(), good);
    }
    for (bad, reason) in [
        ("", "it is empty"),
        ("14155552671", "it does not start with `+`"),
        (" +14155552671", "it does not start with `+`"),
        ("\u{ff0b}14155552671", "it does not start with `+`"),
        ("+1 415 555 2671", "only digits may follow the `+`"),
        ("+14155552671\n", "only digits may follow the `+`"),
        ("+1415555CALL", "only digits may follow the `+`"),
        ("+1/../14155552671", "only digits may follow the `+`"),
        ("+\u{661}\u{664}155552671", "only digits may follow the `+`"),
        ("+04155552671", "its first digit is 0"),
        ("+", "it has fewer than 7 digits"),
        ("+123456", "it has fewer than 7 digits"),
        ("+1234567890123456", "it has more than 15 digits"),
    ] {
        let expected = format!("not an E.164 phone number: {reason}");
        assert_eq!(
            bad.parse::<E164>().unwrap_err().to_string(),
            expected,
            "{bad:?}"
        );
        assert_eq!(
            E164::try_from(bad).unwrap_err().to_string(),
            expected,
            "{bad:?}"
        );
        assert!(
            serde_json::from_value::<E164>(json!(bad)).is_err(),
            "{bad:?}"
        );
    }
}

#[test]
fn secret_is_hidden_in_debug_and_serialized_in_request() {
    let update = PhoneNumberUpdate::default().trunk_password("P@ssw0rd123");
    let secret: &Secret = update.trunk_password.as_ref().unwrap();
    assert_eq!(secret.expose(), "P@ssw0rd123");
    assert!(!format!("{update:?}").contains("P@ss"));
    assert_eq!(format!("{secret:?}"), "[redacted]");
    assert_ne!(*secret, Secret::from("another"));
    assert_eq!(
        serde_json::to_value(&update).unwrap(),
        json!({ "trunkPassword": "P@ssw0rd123" })
    );
}

#[test]
fn nullable_is_null_or_value() {
    for (value, json) in [
        (Nullable::from("a"), json!("a")),
        (Nullable::Null, json!(null)),
    ] {
        assert_eq!(serde_json::to_value(&value).unwrap(), json);
        assert_eq!(
            serde_json::from_value::<Nullable<String>>(json).unwrap(),
            value
        );
    }
}

#[test]
fn phone_numbers_format_like_strings() {
    let number: E164 = "+14155552671".parse().unwrap();
    assert_eq!(number.as_ref(), "+14155552671");
    assert_eq!(format!("{number:?}"), "\"+14155552671\"");
    let reported = [ReportedNumber::from(&number), ReportedNumber::Integer(7)];
    assert_eq!(format!("{reported:?}"), "[\"+14155552671\", 7]");
    let error = serde_json::from_str::<ReportedNumber>("true").unwrap_err();
    let refusal = "invalid type: boolean `true`, expected a phone number at line 1 column 4";
    assert_eq!(error.to_string(), refusal);
}

#[test]
fn json_schemas_describe_phone_numbers_and_secrets() {
    let number = schemars::schema_for!(E164).to_value();
    let number = jsonschema::validator_for(&number).unwrap();
    assert!(number.is_valid(&json!("+14155552671")) && !number.is_valid(&json!("14155552671")));
    let secret = schemars::schema_for!(Secret).to_value();
    assert_eq!(
        (&secret["type"], &secret["format"]),
        (&json!("string"), &json!("password"))
    );
}

#[test]
fn operation_lists_its_parameters() {
    let operation = &operations::UPDATE_PHONE_NUMBER;
    assert!(operation.parameters().eq(["phoneNumber"]));
}

#[test]
fn public_types_are_send_sync_and_small() {
    fn shared<T: Send + Sync + Unpin + 'static>() {}
    shared::<Client>();
    shared::<Error>();
    shared::<E164>();
    shared::<ParseE164Error>();
    shared::<PhoneNumberUpdate>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}

#[test]
fn generated_types_use_wrapper_newtypes() {
    let secret: Option<Secret> = PhoneNumberUpdate::default().trunk_password;
    assert_eq!(secret, None);
    assert_eq!(Provider::from("new"), Provider::Other("new".into()));
}
