//! A document with a dozen operations: each has a typed method, which is driven to the wire.

use std::path::Path;

use crate::{generator::generate, nested::CRATE, revised::Program};

const DOCUMENT: &str = include_str!("../fixtures/grown.yaml");

#[test]
fn every_operation_has_a_typed_method() {
    let features = ["rustls", "schemars", "mock"];
    let source = include_str!("grown/program.rs");
    Program::with_features(Path::new(CRATE), "grown", &features, DOCUMENT, source).run();
}

#[test]
fn skipped_operations_are_listed() {
    let generated = generate("grown.yaml", DOCUMENT).unwrap();
    let what: Vec<_> = generated
        .skipped
        .iter()
        .map(|skipped| &*skipped.what)
        .collect();
    assert_eq!(what, ["OPTIONS /v1/search", "operation `search`"]);
    let list = "/// - Not generated: operation `search`, because a GET request has no body at \
                /paths/~1v1~1search/get/requestBody.";
    assert!(generated.code.contains(list), "{}", generated.code);
}
