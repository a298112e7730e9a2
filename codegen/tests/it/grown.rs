//! A document with a dozen operations: each has a typed method, which is driven to the wire.

use std::path::Path;

use serde_json::json;

use crate::{documents::chain, generator::generate, nested::CRATE, revised::Program};

const DOCUMENT: &str = include_str!("../fixtures/grown.yaml");

#[test]
fn every_operation_has_a_typed_method() {
    let features = ["rustls", "schemars", "mock"];
    let source = include_str!("grown/program.rs");
    Program::with_features(Path::new(CRATE), "grown", &features, DOCUMENT, source).run();
}

/// A program that spawns a call is where rustc looks deepest.
#[test]
fn longest_chain_is_spawned_by_a_program() {
    let document = chain(15, |next| json!({ "type": "array", "items": next }));
    let source = r#"
        mod program;
        use program::{Server, refused, run};
        use sigmamind::PhoneNumberUpdate;
        fn main() {
            run(async {
                let server = Server::answering(&[(200, "{}")]);
                let number = "+14155552671".parse().unwrap();
                let update = PhoneNumberUpdate::default().friendly_name("F");
                let call = server.client().update_phone_number(&number, &update);
                tokio::spawn(async move { call.await }).await.unwrap().unwrap();
                let _ = refused::<()>;
            });
        }
    "#;
    Program::new("chain", &document, source).run();
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
