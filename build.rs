//! Generates the client from the `OpenAPI` document into `OUT_DIR`.
//!
//! Data goes one way: the file is read, checked and prepared ([`document`]),
//! handed to progenitor, and what that writes is finished ([`finish`]).

#[path = "build/document.rs"]
mod document;
#[path = "build/failure.rs"]
mod failure;
#[path = "build/finish.rs"]
mod finish;
#[cfg(feature = "mock")]
#[path = "build/mock.rs"]
mod mock;
#[path = "build/schema.rs"]
mod schema;

use std::{
    env, fs,
    panic::UnwindSafe,
    path::{Path, PathBuf},
};

use proc_macro2::TokenStream;
use progenitor::{CrateVers, GenerationSettings, Generator, HooksMode, InterfaceStyle};

use document::Document;
use failure::{Failure, quietly};

/// Names another document to generate from.
const VARIABLE: &str = "SIGMAMIND_OPENAPI";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    let file = match env::var_os(VARIABLE) {
        Some(file) if !file.is_empty() => PathBuf::from(file),
        _ => PathBuf::from("openapi.yaml"),
    };
    println!("cargo::rerun-if-changed={}", file.display());
    if let Err(failure) = generate(&file) {
        failure.report(&file);
    }
}

fn generate(file: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(file).map_err(|e| {
        Failure::new(
            "read the document",
            e.to_string(),
            "Check the path; a relative one starts at this crate's folder, so give SIGMAMIND_OPENAPI \
             an absolute one, or set it in .cargo/config.toml with `relative = true`.",
        )
    })?;
    let document = Document::parse(&text)?;
    let tokens = run("generate the client", |generator| {
        generator.generate_tokens(&document.openapi)
    })?;
    write("client.rs", &finish::finish(tokens, &document)?)?;
    #[cfg(feature = "mock")]
    {
        let tokens = run("generate the mock", |generator| {
            generator.httpmock(&document.openapi, "crate::generated")
        })?;
        write("mock.rs", &mock::finish(tokens, &document)?)?;
    }
    Ok(())
}

fn run(
    step: &'static str,
    work: impl FnOnce(&mut Generator) -> Result<TokenStream, progenitor::Error> + UnwindSafe,
) -> Result<TokenStream, Failure> {
    quietly(|| {
        work(&mut Generator::new(
            GenerationSettings::new()
                .with_interface(InterfaceStyle::Positional)
                .with_hooks(HooksMode::Expected)
                .with_crate("sigmamind", CrateVers::Any, None)
                .with_inner_type(quote::quote!(crate::request::Describe)),
        ))
    })
    .and_then(|generated| generated.map_err(|e| e.to_string()))
    .map_err(|e| {
        Failure::new(
            step,
            e,
            "Simplify what the reason names; the generator does not support it.",
        )
    })
}

fn write(name: &str, code: &str) -> Result<(), Failure> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join(name);
    fs::write(&out, code).map_err(|e| {
        Failure::new(
            "write the generated code",
            e.to_string(),
            "Check that the target folder has room and is writable.",
        )
    })
}
