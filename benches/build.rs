//! Has progenitor generate its client from the crate's document, with nothing set.

use std::{env, fs, path::PathBuf};

fn main() {
    let document = "../openapi.yaml";
    println!("cargo::rerun-if-changed={document}");
    let text = fs::read_to_string(document).expect("the document can be read");
    let document: openapiv3::OpenAPI = yaml_serde::from_str(&text).expect("it is OpenAPI");
    let tokens = progenitor::Generator::default()
        .generate_tokens(&document)
        .expect("progenitor supports it");
    let file = syn::parse2(tokens).expect("progenitor writes Rust");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("bare.rs"), prettyplease::unparse(&file)).expect("the folder is writable");
}
