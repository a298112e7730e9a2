//! Kinds, limits, names and values of properties.

use serde_json::json;

use super::*;

fn columns(properties: &Value, taken: &[&str]) -> Columns {
    let schema = json!({
        "type": "object",
        "properties": properties,
        "$defs": {
            "Codec": { "type": "string", "enum": ["opus", "pcmu"] },
            "Sign": { "type": "object", "properties": { "by": { "format": "password" } } },
            "Round": { "anyOf": [{ "$ref": "#/$defs/Round" }, { "type": "null" }] },
        },
    });
    let schema = Schema::try_from(schema).unwrap();
    let taken = taken.iter().map(|word| (*word).to_owned()).collect();
    Columns::of(&schema, taken)
}

fn one(property: &Value) -> Column {
    columns(&json!({ "it": property }), &[]).0.remove(0)
}

#[test]
fn kind_and_nullability_are_found_in_every_schema_form() {
    for (property, kind, nullable) in [
        (json!({ "type": "string" }), Kind::Text, false),
        (json!({ "type": ["integer", "null"] }), Kind::Integer, true),
        (
            json!({ "type": "number", "nullable": true }),
            Kind::Number,
            true,
        ),
        (
            json!({ "anyOf": [{ "type": "boolean" }, { "type": "null" }] }),
            Kind::Boolean,
            true,
        ),
        (json!({ "$ref": "#/$defs/Codec" }), Kind::Text, false),
        (
            json!({ "allOf": [{ "$ref": "#/$defs/Codec" }] }),
            Kind::Text,
            false,
        ),
        (
            json!({ "type": "string", "enum": ["a", null] }),
            Kind::Text,
            true,
        ),
        (json!({ "type": "array" }), Kind::Json, false),
        (json!({ "type": ["string", "integer"] }), Kind::Any, false),
        (json!({}), Kind::Any, false),
        (json!({ "$ref": "#/$defs/Round" }), Kind::Any, true),
    ] {
        let column = one(&property);
        assert_eq!(
            (column.kind, column.nullable),
            (kind, nullable),
            "{property}"
        );
    }
}

#[test]
fn nested_secret_is_found() {
    for property in [
        json!({ "type": "string", "format": "password" }),
        json!({ "anyOf": [{ "type": "string", "format": "password" }, { "type": "null" }] }),
        json!({ "$ref": "#/$defs/Sign" }),
        json!({ "type": "array", "items": { "$ref": "#/$defs/Sign" } }),
        json!({ "type": "object", "additionalProperties": { "format": "password" } }),
    ] {
        assert!(one(&property).secret, "{property}");
    }
    assert!(!one(&json!({ "type": "string" })).secret);
}

#[test]
fn form_lists_the_limits() {
    let text = json!({ "type": ["string", "null"], "minLength": 1, "maxLength": 64 });
    let form = "text, at least 1 characters, at most 64 characters, may be null";
    assert_eq!(one(&text).form(), form);
    assert_eq!(
        one(&json!({ "$ref": "#/$defs/Codec" })).form(),
        "text, one of opus, pcmu"
    );
}

#[test]
fn invalid_value_is_not_repeated() {
    let integer = one(&json!({ "type": "integer" }));
    assert_eq!(integer.value("5"), Ok(json!(5)));
    assert_eq!(
        integer.value("5.5"),
        Err("`it` is not a whole number".into())
    );
    let any = one(&json!({}));
    assert_eq!(any.value("[1]"), Ok(json!([1])));
    assert_eq!(any.value("one"), Ok(json!("one")));
    let text = one(&json!({ "type": ["string", "null"] }));
    assert_eq!(text.value("null"), Ok(json!("null")));
    assert_eq!(text.value(r"\N"), Ok(Value::Null));
    let flag = one(&json!({ "type": "boolean" }));
    assert_eq!(flag.value("yes"), Err("`it` is not true or false".into()));
    assert_eq!(flag.value(r"\N"), Err("`it` must not be null".into()));
}

#[test]
fn property_flags_are_unique() {
    let text = json!({ "type": "string" });
    let secret = json!({ "type": "string", "format": "password" });
    let properties = json!({
        "apiKey": secret, "fooBar": text, "foo_bar": text, "output": text, "phoneNumber": text,
    });
    let columns = columns(&properties, &["output", "api-key", "api-key-file"]);
    let flags: Vec<_> = columns.iter().map(|column| column.flag.as_str()).collect();
    assert_eq!(
        flags,
        [
            "set-api-key",
            "foo-bar",
            "set-foo-bar",
            "set-output",
            "set-phone-number"
        ]
    );
    assert_eq!(columns.get(0).variable(), "SIGMAMIND_SET_API_KEY");
    let found = |word| {
        columns
            .find(word)
            .map(|index| columns.get(index).name.as_str())
    };
    assert_eq!(found("phoneNumber"), None, "it is the number's");
    assert_eq!(found("set-phone-number"), Some("phoneNumber"));
    assert_eq!(found("foo-bar"), Some("fooBar"));
    assert_eq!(found("foo_bar"), Some("foo_bar"));
}
