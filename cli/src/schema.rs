//! What can be sent and what is reported, as the schemas of the library say it.
//!
//! This is the only place that knows where the names of flags, columns and variables come from.

use std::collections::HashSet;

use heck::{ToKebabCase, ToShoutySnakeCase};
use schemars::{Schema, schema_for};
use serde_json::Value;
use sigmamind::{PhoneNumber, PhoneNumberUpdate, operations::UPDATE_PHONE_NUMBER};

/// What the column of the number is called: as in the document's path.
pub fn number_name() -> &'static str {
    let mut names = UPDATE_PHONE_NUMBER.parameters();
    names.next().unwrap_or("number")
}

/// A property that can be sent.
#[derive(Debug, Clone)]
pub struct Column {
    /// As it is in JSON.
    pub name: String,
    /// As it is on the command line, and may be in a header: in dashes.
    pub flag: String,
    /// On one line.
    pub description: String,
    pub kind: Kind,
    pub nullable: bool,
    /// It is never an argument, and shown nowhere.
    pub secret: bool,
    /// What the document allows, in words.
    limits: Vec<String>,
}

/// What a text is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    /// A list or an object.
    Json,
    /// Anything that JSON can say: what is not JSON is a text.
    Any,
}

impl Kind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Json => "JSON",
            Self::Any => "JSON or text",
        }
    }
}

impl Column {
    /// The option that names a file with the secret in it.
    pub fn file_flag(&self) -> String {
        format!("{}-file", self.flag)
    }

    /// The environment's variable that may hold the secret.
    pub fn variable(&self) -> String {
        format!("SIGMAMIND_{}", self.flag.to_shouty_snake_case())
    }

    /// Kind and limits in one line.
    pub fn form(&self) -> String {
        let mut words = vec![self.kind.label().to_owned()];
        words.extend(self.limits.iter().cloned());
        if self.nullable {
            words.push("may be null".into());
        }
        words.join(", ")
    }

    /// The JSON of a text; the reason, which does not repeat it, if there is none.
    pub fn value(&self, text: &str) -> Result<Value, String> {
        if text == r"\N" {
            return self.null();
        }
        let not = || format!("`{}` is not {}", self.name, self.kind.label());
        let json = match self.kind {
            Kind::Text => return Ok(text.into()),
            Kind::Any => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            _ => serde_json::from_str(text.trim()).map_err(|_| not())?,
        };
        self.fits(&json).then_some(json).ok_or_else(not)
    }

    /// The JSON of a JSON, checked.
    pub fn json(&self, value: Value) -> Result<Value, String> {
        match value {
            Value::Null => self.null(),
            value if self.fits(&value) => Ok(value),
            _ => Err(format!("`{}` is not {}", self.name, self.kind.label())),
        }
    }

    pub fn null(&self) -> Result<Value, String> {
        if self.nullable {
            return Ok(Value::Null);
        }
        let name = &self.name;
        Err(format!(
            "`{name}` may not be null; the document allows no null there"
        ))
    }

    fn fits(&self, value: &Value) -> bool {
        match self.kind {
            Kind::Text => value.is_string(),
            Kind::Integer => value.is_i64() || value.is_u64(),
            Kind::Number => value.is_number(),
            Kind::Boolean => value.is_boolean(),
            Kind::Json => value.is_array() || value.is_object(),
            Kind::Any => true,
        }
    }
}

/// The properties that can be sent, in the order of their names.
#[derive(Debug)]
pub struct Columns(Vec<Column>);

impl Columns {
    /// Those of the document, of which none has a flag that is taken.
    pub fn of_the_document(taken: HashSet<String>) -> Self {
        Self::of(&schema_for!(PhoneNumberUpdate), taken)
    }

    pub fn none() -> Self {
        Self(Vec::new())
    }

    fn of(schema: &Schema, mut taken: HashSet<String>) -> Self {
        let root = schema.as_value();
        taken.extend([number_name().to_owned(), number_name().to_kebab_case()]);
        let mut columns = Vec::new();
        for (name, property) in properties(root) {
            let mut column = column(root, name, property);
            let own = |column: &Column| {
                let variable = column.variable().replace("SIGMAMIND_", "");
                let words = [
                    column.flag.clone(),
                    column.file_flag(),
                    variable.to_kebab_case(),
                ];
                words.into_iter().collect::<HashSet<_>>()
            };
            while column.flag.is_empty() || !own(&column).is_disjoint(&taken) {
                column.flag.insert_str(0, "set-");
            }
            taken.extend(own(&column));
            columns.push(column);
        }
        Self(columns)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Column> {
        self.0.iter()
    }

    pub fn get(&self, index: usize) -> &Column {
        &self.0[index]
    }

    /// The property of a header, an argument or a JSON name, in either spelling.
    pub fn find(&self, word: &str) -> Option<usize> {
        if is_number(word) {
            return None;
        }
        let by = |test: &dyn Fn(&Column) -> bool| self.0.iter().position(test);
        by(&|column| column.flag == word)
            .or_else(|| by(&|column| column.name == word))
            .or_else(|| by(&|column| column.name.to_kebab_case() == word))
    }

    /// Says that there is no such property, and which may be meant.
    pub fn unknown(&self, word: &str) -> String {
        let words = self.0.iter().map(|column| column.name.as_str());
        let alike = |other: &str| strsim::jaro_winkler(&word.to_lowercase(), &other.to_lowercase());
        let nearest = words
            .chain([number_name()])
            .max_by(|a, b| alike(a).total_cmp(&alike(b)))
            .filter(|nearest| alike(nearest) > 0.8);
        let word = printable(word);
        if let Some(nearest) = nearest {
            return format!("there is no property `{word}`; do you mean `{nearest}`?");
        }
        let all: Vec<_> = self.0.iter().map(|column| column.name.as_str()).collect();
        let all = all.join(", ");
        format!("there is no property `{word}`; there are {all}")
    }
}

/// Whether a header or a JSON name is the number's, in either spelling.
pub fn is_number(word: &str) -> bool {
    word == number_name() || word == number_name().to_kebab_case()
}

/// The names of what the server reports, in the order of the schema.
pub fn reported() -> Vec<String> {
    let schema = schema_for!(PhoneNumber);
    let names = properties(schema.as_value());
    names.into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// The JSON Schema of what can be sent, in print.
pub fn printed() -> String {
    format!("{:#}", schema_for!(PhoneNumberUpdate).as_value())
}

/// A text without what a terminal would obey.
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn properties(root: &Value) -> Vec<(&str, &Value)> {
    let properties = root["properties"].as_object();
    let properties = properties.into_iter().flatten();
    properties
        .map(|(name, schema)| (name.as_str(), schema))
        .collect()
}

fn column(root: &Value, name: &str, property: &Value) -> Column {
    let mut facts = Facts::default();
    facts.add(root, property, 0);
    Column {
        name: name.to_owned(),
        flag: name.to_kebab_case(),
        description: facts.description,
        kind: match &*facts.types {
            [one] if one == "string" => Kind::Text,
            [one] if one == "integer" => Kind::Integer,
            [one] if one == "number" => Kind::Number,
            [one] if one == "boolean" => Kind::Boolean,
            many if many.is_empty() || many.iter().any(|one| one == "string") => Kind::Any,
            _ => Kind::Json,
        },
        nullable: facts.nullable,
        secret: facts.secret,
        limits: facts.limits,
    }
}

/// What is gathered of a property's schema, its references and its alternatives.
#[derive(Default)]
struct Facts {
    description: String,
    types: Vec<String>,
    nullable: bool,
    secret: bool,
    limits: Vec<String>,
}

impl Facts {
    fn add(&mut self, root: &Value, schema: &Value, depth: usize) {
        if depth > 8 {
            return; // it refers to itself
        }
        let text = |key: &str| schema[key].as_str();
        if let (true, Some(description)) = (self.description.is_empty(), text("description")) {
            let words: Vec<_> = description.split_whitespace().collect();
            self.description = words.join(" ");
        }
        self.secret |= has_secret(root, schema, depth);
        self.nullable |= schema["nullable"] == true;
        let types = match &schema["type"] {
            Value::Array(types) => types.as_slice(),
            one => std::slice::from_ref(one),
        };
        for one in types.iter().filter_map(Value::as_str) {
            if one == "null" {
                self.nullable = true;
            } else if !self.types.iter().any(|known| known == one) {
                self.types.push(one.to_owned());
            }
        }
        self.values(schema);
        self.limits(schema);
        if let Some(reference) = text("$ref")
            && let Some(target) = root.pointer(reference.trim_start_matches('#'))
        {
            self.add(root, target, depth + 1);
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            for part in schema[key].as_array().into_iter().flatten() {
                self.add(root, part, depth + 1);
            }
        }
    }

    fn values(&mut self, schema: &Value) {
        let listed = schema["enum"].as_array();
        let constant = schema.get("const");
        let values: Vec<_> = listed.into_iter().flatten().chain(constant).collect();
        self.nullable |= values.iter().any(|value| value.is_null());
        let words: Vec<_> = values.iter().filter_map(|value| value.as_str()).collect();
        if !words.is_empty() {
            self.limits.push(format!("one of {}", words.join(", ")));
        }
    }

    fn limits(&mut self, schema: &Value) {
        for (key, words) in [
            ("minLength", "at least # characters"),
            ("maxLength", "at most # characters"),
            ("minimum", "at least #"),
            ("exclusiveMinimum", "more than #"),
            ("maximum", "at most #"),
            ("exclusiveMaximum", "less than #"),
            ("multipleOf", "a multiple of #"),
            ("minItems", "at least # items"),
            ("maxItems", "at most # items"),
        ] {
            if let Some(limit) = schema[key].as_number() {
                self.limits.push(words.replace('#', &limit.to_string()));
            }
        }
        if let Some(pattern) = schema["pattern"].as_str() {
            self.limits.push(format!("matching {pattern}"));
        }
    }
}

/// Whether there is a secret in it, or in a part of it.
fn has_secret(root: &Value, schema: &Value, depth: usize) -> bool {
    if depth > 8 {
        return false;
    }
    let reference = schema["$ref"].as_str().unwrap_or_default();
    let target = reference
        .strip_prefix('#')
        .and_then(|place| root.pointer(place));
    let listed = ["anyOf", "oneOf", "allOf"].map(|key| schema[key].as_array());
    let parts = [
        schema.get("items"),
        schema.get("additionalProperties"),
        target,
    ];
    let properties = schema["properties"].as_object();
    schema["format"] == "password"
        || listed
            .into_iter()
            .flatten()
            .flatten()
            .chain(parts.into_iter().flatten())
            .chain(properties.into_iter().flat_map(|all| all.values()))
            .any(|part| has_secret(root, part, depth + 1))
}

#[cfg(test)]
mod tests {
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
    fn kinds_and_null_are_found_in_every_form() {
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
    fn a_secret_is_one_however_deep_it_is() {
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
    fn the_form_says_what_the_document_allows() {
        let text = json!({ "type": ["string", "null"], "minLength": 1, "maxLength": 64 });
        let form = "text, at least 1 characters, at most 64 characters, may be null";
        assert_eq!(one(&text).form(), form);
        assert_eq!(
            one(&json!({ "$ref": "#/$defs/Codec" })).form(),
            "text, one of opus, pcmu"
        );
    }

    #[test]
    fn texts_become_json_and_what_is_wrong_is_not_repeated() {
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
        assert_eq!(
            flag.value(r"\N"),
            Err("`it` may not be null; the document allows no null there".into())
        );
    }

    #[test]
    fn no_property_takes_a_word_of_the_programs_or_of_another() {
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
}
