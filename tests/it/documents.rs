//! Documents of every kind, and the end that the build makes of each: a client, or why not.
//!
//! The files in `tests/documents` list cases. Each puts a few values into the crate's own document;
//! `sent` and `received` stand for a property of what is sent and of what is received.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::build::{Failure, Generated, Sources, generate};

const SOURCES: Sources = Sources {
    client: include_str!("../../src/client.rs"),
    lib: include_str!("../../src/lib.rs"),
};
const FILE: &str = "openapi.yaml";

/// What the build makes of a document: Rust, or why not.
pub fn build(text: &str) -> Result<Generated, String> {
    let generated = generate(FILE, text, &SOURCES).map_err(|failure| reason(&failure))?;
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
    yaml_serde::from_str(include_str!("../../openapi.yaml")).unwrap()
}

/// Puts a value where a pointer leads; maps on the way are made, and null takes out.
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
fn every_document_of_the_corpus_ends_as_it_must() {
    let mut wrong = Vec::new();
    for (what, the_case) in cases() {
        let (document, expected) = case(&the_case);
        let (end, left_out) = match build(&document.to_string()) {
            Ok(generated) => {
                let left_out = generated
                    .left_out
                    .iter()
                    .map(|(id, _)| id.clone())
                    .collect();
                ("builds".to_owned(), left_out)
            }
            Err(reason) => (reason, Vec::<String>::new()),
        };
        if end != expected || json!(left_out) != *the_case.get("left_out").unwrap_or(&json!([])) {
            wrong.push(format!(
                "{what}\n  must: {expected}\n  does: {end} {left_out:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
