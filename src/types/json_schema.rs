//! JSON Schemas that refer to those of other types.

use schemars::Schema;
use serde_json::Value;

/// Reads the schema of a type, and puts what these types are for each `#/$defs/NAME` in it.
pub(crate) fn json_schema(text: &str, types: &[(&str, Schema)]) -> Schema {
    let mut schema = serde_json::from_str(text).unwrap_or_default();
    refer(&mut schema, types);
    Schema::try_from(schema).unwrap_or_default()
}

fn refer(schema: &mut Value, types: &[(&str, Schema)]) {
    let name = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix("#/$defs/"));
    if let Some((_, known)) = types.iter().find(|(known, _)| Some(*known) == name) {
        *schema = known.clone().into();
        return;
    }
    match schema {
        Value::Object(map) => map.values_mut().for_each(|value| refer(value, types)),
        Value::Array(items) => items.iter_mut().for_each(|value| refer(value, types)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use schemars::json_schema;

    #[test]
    fn a_reference_becomes_the_schema_of_the_type() {
        let known = [("Known", json_schema!({ "type": "string" }))];
        let text = r##"{ "oneOf": [{ "$ref": "#/$defs/Known" }, { "$ref": "#/$defs/Other" }] }"##;
        let expected =
            json_schema!({ "oneOf": [{ "type": "string" }, { "$ref": "#/$defs/Other" }] });
        assert_eq!(super::json_schema(text, &known), expected);
    }
}
