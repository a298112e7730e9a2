//! Documents of every kind, and the end that the build makes of each: a client, or why not.
//!
//! The files in `codegen/tests/documents` list cases. Each puts a few values into the crate's own document;
//! `sent` and `received` stand for a property of what is sent and of what is received.

use std::{fs, path::Path};

use serde_json::{Value, json};

use sigmamind_codegen::{Failure, Generated};

use crate::generator::generate;

const FILE: &str = "openapi.yaml";

/// What the build makes of a document: Rust, or why not.
pub fn build(text: &str) -> Result<Generated, String> {
    let generated = generate(FILE, text).map_err(|failure| reason(&failure))?;
    assert!(syn::parse_file(&generated.code).is_ok(), "of {text}");
    Ok(generated)
}

/// The line without its beginning, which is the same for all checks.
fn reason(failure: &Failure) -> String {
    let line = failure.line(FILE);
    let line = line.strip_prefix("openapi.yaml: cannot ").unwrap();
    line.strip_prefix("check the document: ")
        .unwrap_or(line)
        .to_owned()
}

pub fn document() -> Value {
    yaml_serde::from_str(include_str!("../../../openapi.yaml")).unwrap()
}

/// Puts a value where a pointer leads; maps on the direction are made, and null takes out.
fn put(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if let Value::Array(items) = place {
            let index: usize = step.parse().unwrap();
            items.resize(items.len().max(index + 1), Value::Null);
            place = &mut items[index];
        } else {
            place = &mut place[step];
        }
    }
    *place = value;
}

/// The document of a case, and the end that it must have.
fn case(case: &Value) -> (Value, String) {
    let mut document = document();
    let path = case["put"]["path"].as_str();
    let path = path.unwrap_or("/v1/phone-number/{phoneNumber}");
    let paths = document["paths"].as_object_mut().unwrap();
    let item = paths.remove("/v1/phone-number/{phoneNumber}").unwrap();
    paths.insert(path.to_owned(), item);
    let operation = format!("/paths/{}/patch", path.replace('/', "~1"));
    let sent = "/components/schemas/PhoneNumberUpdate/properties/sent";
    for (at, value) in case["put"].as_object().unwrap() {
        let at = match &**at {
            "path" => continue,
            "sent" => sent,
            "received" => "/components/schemas/PhoneNumber/properties/received",
            at => at,
        };
        put(
            &mut document,
            &at.replace("OPERATION", &operation),
            value.clone(),
        );
    }
    let end = case["end"].as_str().unwrap();
    (
        document,
        end.replace("OPERATION", &operation).replace("SENT", sent),
    )
}

fn cases() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents");
    let mut cases = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let list: Value = yaml_serde::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        for case in list.as_array().unwrap() {
            cases.push((
                format!("{name}: {}", case["what"].as_str().unwrap()),
                case.clone(),
            ));
        }
    }
    cases
}

#[test]
fn corpus_document_ends_as_expected() {
    let mut wrong = Vec::new();
    for (what, the_case) in cases() {
        let (document, expected) = case(&the_case);
        let (end, skipped) = match build(&document.to_string()) {
            Ok(generated) => {
                let skipped = generated
                    .skipped
                    .iter()
                    .map(|skipped| skipped.what.clone())
                    .collect();
                ("builds".to_owned(), skipped)
            }
            Err(reason) => (reason, Vec::<String>::new()),
        };
        if end != expected || json!(skipped) != *the_case.get("skipped").unwrap_or(&json!([])) {
            wrong.push(format!(
                "{what}\n  must: {expected}\n  does: {end} {skipped:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The document with this schema for a property that is sent and one that is received.
fn with(schema: &Value) -> Value {
    let mut document = document();
    let node = json!({ "properties": { "next": { "$ref": "#/components/schemas/Node" } } });
    put(&mut document, "/components/schemas/Node", node);
    for name in ["PhoneNumberUpdate", "PhoneNumber"] {
        let at = format!("/components/schemas/{name}/properties/value");
        put(&mut document, &at, schema.clone());
    }
    document
}

/// The types of all fields called `value`, by the names of the structs, without paths.
fn types_of_value(code: &str) -> std::collections::BTreeMap<String, String> {
    let paths = regex_lite::Regex::new(r"(::)?(\w+::)+").unwrap();
    let mut found = std::collections::BTreeMap::new();
    for item in syn::parse_file(code).unwrap().items {
        let syn::Item::Mod(syn::ItemMod {
            content: Some((_, items)),
            ..
        }) = item
        else {
            continue;
        };
        for item in items {
            let syn::Item::Struct(item) = item else {
                continue;
            };
            let field = item
                .fields
                .iter()
                .find(|field| field.ident.as_ref().is_some_and(|name| name == "value"));
            if let Some(field) = field {
                let ty = &field.ty;
                let ty = quote::quote!(#ty).to_string();
                let ty = ty.replace(' ', "").replace(",>", ">");
                found.insert(
                    item.ident.to_string(),
                    paths.replace_all(&ty, "").into_owned(),
                );
            }
        }
    }
    found
}

/// The schema, its type where it is sent, and where it is received.
#[test]
fn schemas_become_types() {
    let text = json!({ "type": "string" });
    let node = json!({ "$ref": "#/components/schemas/Node" });
    for (schema, sent, received) in [
        (json!({}), "Option<Value>", "Option<Value>"),
        (text.clone(), "Option<String>", "Option<String>"),
        (
            json!({ "type": "string", "format": "uuid", "maxLength": 3, "default": "a" }),
            "Option<String>",
            "Option<String>",
        ),
        (
            json!({ "type": "string", "format": "password" }),
            "Option<Secret>",
            "Option<Secret>",
        ),
        (
            json!({ "type": "string", "format": "e164" }),
            "Option<E164>",
            "Option<ReportedNumber>",
        ),
        (
            json!({ "type": "string", "enum": ["a"] }),
            "Option<PhoneNumberUpdateValue>",
            "Option<PhoneNumberValue>",
        ),
        (json!({ "type": "integer" }), "Option<i64>", "Option<i64>"),
        (
            json!({ "type": "integer", "format": "int32" }),
            "Option<i32>",
            "Option<i32>",
        ),
        (json!({ "type": "number" }), "Option<f64>", "Option<f64>"),
        (
            json!({ "type": "number", "format": "float" }),
            "Option<f32>",
            "Option<f32>",
        ),
        (json!({ "type": "boolean" }), "Option<bool>", "Option<bool>"),
        (
            json!({ "type": "array", "items": text }),
            "Option<Vec<String>>",
            "Vec<String>",
        ),
        (
            json!({ "type": "array", "items": { "type": "string", "nullable": true } }),
            "Option<Vec<Option<String>>>",
            "Vec<Option<String>>",
        ),
        (
            json!({ "type": "object" }),
            "Option<Map<String,Value>>",
            "Map<String,Value>",
        ),
        (
            json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
            "Option<BTreeMap<String,i64>>",
            "BTreeMap<String,i64>",
        ),
        (
            json!({ "type": "string", "nullable": true }),
            "Option<Nullable<String>>",
            "Option<String>",
        ),
        (
            json!({ "oneOf": [{ "type": "string" }, { "type": "integer" }] }),
            "Option<PhoneNumberUpdateValue>",
            "Option<PhoneNumberValue>",
        ),
        (
            json!({ "allOf": [node], "nullable": true }),
            "Option<Nullable<Box<Node>>>",
            "Option<Box<Node>>",
        ),
    ] {
        let generated =
            build(&with(&schema).to_string()).unwrap_or_else(|e| panic!("{schema}: {e}"));
        let types = types_of_value(&generated.code);
        assert_eq!(types["PhoneNumberUpdate"], sent, "{schema} sent");
        assert_eq!(types["PhoneNumber"], received, "{schema} received");
    }
}

#[test]
fn malformed_yaml_is_refused() {
    let many = format!("a: &a [{}]\nb: [{}]", "1,".repeat(1_000), "*a,".repeat(300));
    for (text, expected) in [
        ("", "it is empty"),
        ("[]", "it is not a mapping"),
        ("a: 1\na: 2", "duplicate entry with key \"a\""),
        ("a: !b c", "expected a value as JSON has them"),
        (&many, "there are more than 300000 values"),
    ] {
        let refusal = build(text).err().unwrap();
        assert!(refusal.starts_with("parse the document: "), "{refusal}");
        assert!(refusal.contains(expected), "{refusal}");
    }
}

/// An enum of so many values, as far as the document needs it.
fn listed(count: usize) -> Value {
    let values: Vec<_> = (0..count).map(|index| format!("v{index}")).collect();
    json!({ "type": "string", "enum": values })
}

#[test]
fn too_many_properties_or_values_are_refused() {
    let object = |count: usize| {
        let properties = (0..count).map(|index| (format!("p{index}"), json!({})));
        json!({ "type": "object", "properties": properties.collect::<Value>() })
    };
    let several = |count: usize| {
        let lists = (0..count).map(|index| (format!("list{index}"), listed(1_000)));
        json!({ "type": "object", "properties": lists.collect::<Value>() })
    };
    // Each names lists of lists of …, which are written out where they are used.
    let nested = |count: usize| {
        let list = |items, _| json!({ "type": "array", "items": items });
        let lists = (0..count).map(|index| (format!("p{index}"), (0..20).fold(json!({}), list)));
        json!({ "type": "object", "properties": lists.collect::<Value>() })
    };
    for schema in [listed(1_000), object(1_000), several(3), nested(100)] {
        assert!(build(&with(&schema).to_string()).is_ok());
    }
    for (schema, much) in [
        (listed(1_001), "PhoneNumberUpdateValue"),
        (object(1_001), "PhoneNumberUpdateValue"),
        (several(9), "the document"),
        (nested(400), "the document"),
    ] {
        let refusal = build(&with(&schema).to_string()).err().unwrap();
        let expected = format!("too many properties or values in {much} at ");
        assert!(refusal.starts_with(&expected), "{refusal}");
    }
}

#[test]
fn schema_that_is_too_deep_is_refused() {
    let list = |items: Value| json!({ "type": "array", "items": items });
    let deep = |depth: usize| {
        let schema = (0..depth).fold(json!({ "type": "string" }), |inner, _| list(inner));
        build(&with(&schema).to_string())
    };
    assert!(deep(26).is_ok());
    let refusal = deep(27).err().unwrap();
    let levels = "its types contain each other over 83 levels, too many for rustc";
    assert!(refusal.starts_with(levels), "{refusal}");
    let refusal = deep(60).err().unwrap();
    assert!(refusal.starts_with("it is nested too deep"), "{refusal}");
}

/// So many components, each with an optional property of the next in this form.
pub fn chain(length: usize, form: impl Fn(Value) -> Value) -> String {
    let mut document = document();
    let name = |index: usize| format!("/components/schemas/C{index}");
    for index in 0..length {
        let next = json!({ "$ref": format!("#{}", name(index + 1)) });
        let schema = json!({ "properties": { "n": form(next) } });
        put(&mut document, &name(index), schema);
    }
    put(
        &mut document,
        &name(length),
        json!({ "properties": { "end": { "type": "string" } } }),
    );
    let first = json!({ "$ref": format!("#{}", name(0)) });
    for schema in ["PhoneNumberUpdate", "PhoneNumber"] {
        put(
            &mut document,
            &format!("/components/schemas/{schema}/properties/x"),
            first.clone(),
        );
    }
    document.to_string()
}

/// The longest that builds is built by `grown::longest_chain_is_spawned_by_a_program`.
#[test]
fn chain_of_types_that_is_too_long_for_rustc_is_refused() {
    let in_list = |next| json!({ "type": "array", "items": next });
    assert!(build(&chain(15, in_list)).is_ok());
    let refusal = build(&chain(16, in_list)).err().unwrap();
    assert!(refusal.contains("too many for rustc"), "{refusal}");
    let as_is = |next| next;
    assert!(build(&chain(38, as_is)).is_ok());
    assert!(build(&chain(39, as_is)).is_err());
}

#[test]
fn other_response_type_is_named() {
    for (schema, name) in [
        (json!({ "type": "string" }), "str"),
        (json!({ "type": "string", "format": "e164" }), "E164"),
        (json!({ "type": "string", "format": "password" }), "Secret"),
        (json!({ "type": "integer" }), "i64"),
        (json!({ "type": "integer", "format": "int32" }), "i32"),
        (json!({ "type": "number" }), "f64"),
        (json!({ "type": "number", "format": "float" }), "f32"),
        (json!({ "type": "boolean" }), "bool"),
        (json!({ "type": "array", "items": {} }), "Vec"),
        (json!({ "type": "object" }), "BTreeMap"),
        (json!({}), "Value"),
    ] {
        let mut document = document();
        let content = "/paths/~1v1~1phone-number~1{phoneNumber}/patch/responses/200/content";
        let at = format!("{content}/application~1json/schema");
        put(&mut document, &at, schema);
        let refusal = build(&document.to_string()).err().unwrap();
        let start =
            format!("`updatePhoneNumber` is (E164, PhoneNumberUpdate) -> {name}, and the crate ");
        assert!(refusal.starts_with(&start), "{refusal}");
    }
}

#[test]
fn document_above_one_mebibyte_is_refused() {
    let text = include_str!("../../../openapi.yaml").to_owned() + "#";
    let padded = |length: usize| text.clone() + &"-".repeat(length - text.len());
    assert!(build(&padded(1 << 20)).is_ok());
    let refusal = build(&padded((1 << 20) + 1)).err().unwrap();
    let expected = "it has more than 1048576 bytes";
    assert!(refusal.contains(expected), "{refusal}");
}

/// Compares what we write of a document with everything in it: the methods, the operations, and what
/// completes the types, but not the generator's own client and structs.
///
/// `SIGMAMIND_BLESS=1 cargo test -p sigmamind-codegen golden` writes the file anew.
#[test]
fn generated_code_is_the_golden_file() {
    let text = include_str!("../fixtures/everything.yaml");
    let code = build(text).unwrap().code;
    let close: String = code.split_whitespace().collect();
    let urls = close.matches("leturl=self.inner.url(").count();
    assert_eq!(urls, text.matches("operationId").count());
    let mut file = syn::parse_file(&code).unwrap();
    let is_ours = |item: &syn::Item| match item {
        syn::Item::Mod(item) => ["enums", "models", "operations"]
            .iter()
            .any(|name| item.ident == name),
        syn::Item::Impl(item) => {
            let ty = &item.self_ty;
            let ty = quote::quote!(#ty).to_string();
            ty == "crate :: Client" || !ty.contains("Client")
        }
        syn::Item::Const(item) => item.ident != "_",
        _ => false,
    };
    file.items.retain(is_ours);
    let written = prettyplease::unparse(&file);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/everything.rs");
    if std::env::var_os("SIGMAMIND_BLESS").is_some() {
        fs::write(&golden, &written).unwrap();
    }
    let known = fs::read_to_string(&golden).unwrap();
    let now = written.lines().map(Some).chain([None]);
    let then = known.lines().map(Some).chain([None]);
    let differs = now.zip(then).find(|(now, then)| now != then);
    assert_eq!(
        differs, None,
        "of golden file: if it is meant, `SIGMAMIND_BLESS=1 cargo test -p sigmamind-codegen golden`, and read the diff"
    );
}

#[test]
fn fields_keep_document_order() {
    let text = include_str!("../../../openapi.yaml");
    let code = build(text).unwrap().code;
    let places = |names: &[&str], within: &str| {
        let start = code.find(within).unwrap();
        let found = names
            .iter()
            .map(|name| start + code[start..].find(name).unwrap());
        found.collect::<Vec<_>>()
    };
    for within in [
        "pub struct PhoneNumberUpdate",
        "Debug for types::PhoneNumberUpdate",
    ] {
        let found = places(
            &[
                "friendly_name",
                "inbound_agent_id",
                "sip_trunk_name",
                "trunk_password",
            ],
            within,
        );
        assert!(found.is_sorted(), "{within}: {found:?}");
    }
}

mod mutated {
    //! The crate's document and those of the corpus, changed at random: each becomes a client or is
    //! refused in one line, and never by the generator, which is given nothing that it refuses.

    use std::cell::Cell;

    use proptest::{
        collection::vec,
        prelude::*,
        sample::{self, Index},
    };
    use serde_json::{Value, json};

    use super::{build, case, cases};
    use crate::random::check;

    /// Names that mean something at one place or another.
    const NAMES: &str = "type format enum properties required additionalProperties items allOf oneOf anyOf \
        not nullable readOnly writeOnly x-loggable x-idempotent x-order x-variants x-rust-type x-other minLength \
        maxLength pattern minimum exclusiveMinimum multipleOf minItems uniqueItems minProperties default \
        description title $ref parameters requestBody responses content schema security servers operationId \
        in name get post 200 2XX 204 application/json text/plain new clone Option self extra url variables";

    fn value() -> impl Strategy<Value = Value> {
        let reference = prop_oneof![
            Just("PhoneNumber"),
            Just("PhoneNumberUpdate"),
            Just("Provider"),
            Just("Nothing")
        ];
        let reference =
            reference.prop_map(|name| json!({ "$ref": format!("#/components/schemas/{name}") }));
        let name = any::<Index>().prop_map(|index| {
            let names: Vec<_> = NAMES.split_whitespace().collect();
            json!(*index.get(&names))
        });
        let leaf = prop_oneof![
            Just(Value::Null),
            Just(json!(true)),
            Just(json!(-1)),
            Just(json!(1.5)),
            Just(json!(1e300)),
            Just(json!([])),
            Just(json!({})),
            Just(json!("a */ b\n```\u{202e}")),
            Just(json!("https://a.example.com/b")),
            Just(json!("string")),
            Just(json!("integer")),
            Just(json!("object")),
            Just(json!("array")),
            Just(json!("e164")),
            Just(json!("password")),
            Just(json!({ "type": "string" })),
            Just(json!({ "type": "string", "enum": ["a", null], "nullable": true })),
            name,
            reference,
        ];
        leaf.prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                inner
                    .clone()
                    .prop_map(|items| json!({ "type": "array", "items": items })),
                inner
                    .clone()
                    .prop_map(|values| json!({ "additionalProperties": values })),
                inner
                    .clone()
                    .prop_map(|value| json!({ "type": "object", "properties": { "a": value } })),
                vec(inner.clone(), 0..3).prop_map(|parts| json!({ "allOf": parts })),
                vec(inner, 0..3).prop_map(|parts| json!({ "oneOf": parts })),
            ]
        })
    }

    fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
        let entries: Vec<_> = match value {
            Value::Object(map) => map
                .iter()
                .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
                .collect(),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, value)| (index.to_string(), value))
                .collect(),
            _ => Vec::new(),
        };
        for (name, value) in entries {
            pointers(value, format!("{at}/{name}"), found);
        }
        found.push(at);
    }

    /// Takes out, puts in the place of, adds to, copies or renames what is at some place.
    fn mutate(document: &mut Value, (kind, place, other, value): (u8, Index, Index, Value)) {
        let mut places = Vec::new();
        pointers(document, String::new(), &mut places);
        let (at, from) = (place.get(&places).clone(), other.get(&places));
        let copy = document.pointer(from).cloned().unwrap_or_default();
        let names: Vec<_> = NAMES.split_whitespace().collect();
        let name = other.get(&names);
        let (parent, key) = at.rsplit_once('/').unwrap_or_default();
        let key = key.replace("~1", "/").replace("~0", "~");
        let target = if kind < 2 { parent } else { &at };
        match (kind, document.pointer_mut(target)) {
            (0, Some(Value::Object(map))) => drop(map.remove(&key)),
            (1, Some(Value::Object(map))) => {
                if let Some(value) = map.remove(&key) {
                    map.insert((*name).to_owned(), value);
                }
            }
            (2, Some(place)) => *place = value,
            (3, Some(place)) => *place = copy,
            (4, Some(Value::Object(map))) => drop(map.insert((*name).to_owned(), value)),
            (_, Some(Value::Object(map))) => drop(map.insert((*name).to_owned(), copy)),
            (_, Some(Value::Array(items))) => items.push(value),
            _ => {}
        }
    }

    /// Only from documents that build: what is refused already stays refused for the same reason.
    #[test]
    fn mutated_document_builds_or_is_refused() {
        let documents = cases().into_iter().map(|(_, it)| case(&it).0);
        let documents: Vec<_> = documents
            .filter(|document| build(&document.to_string()).is_ok())
            .collect();
        let change = (0..6_u8, any::<Index>(), any::<Index>(), value());
        let changed =
            (sample::select(documents), vec(change, 1..4)).prop_map(|(mut document, changes)| {
                for change in changes {
                    mutate(&mut document, change);
                }
                document
            });
        let (built, refused) = (Cell::new(0), Cell::new(0));
        let cases = 400;
        check(cases, &changed, |document| {
            let Err(reason) = build(&document.to_string()) else {
                built.set(built.get() + 1);
                return Ok(());
            };
            refused.set(refused.get() + 1);
            prop_assert!(!reason.contains(char::is_control), "{}", reason);
            let generator = reason.starts_with("generate") || reason.starts_with("complete");
            prop_assert!(!generator, "{}\n{}", reason, document);
            Ok(())
        });
        println!("{} built, {} were refused", built.get(), refused.get());
        for count in [built.get(), refused.get()] {
            assert!(count > cases / 20, "{count} of {cases} ended so");
        }
    }
}
