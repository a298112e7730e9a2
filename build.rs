//! Generates the client from the `OpenAPI` document into `OUT_DIR`.
//!
//! Data goes one way: the file is read, checked and prepared ([`document`]),
//! handed to progenitor, and what that writes is finished ([`finish`]).

#[path = "build/document.rs"]
mod document;
#[path = "build/finish.rs"]
mod finish;
#[cfg(feature = "mock")]
#[path = "build/mock.rs"]
mod mock;
#[path = "build/schema.rs"]
mod schema;

use std::{
    env, fs, panic,
    path::{Path, PathBuf},
};

use proc_macro2::TokenStream;
use progenitor::{CrateVers, GenerationSettings, Generator, HooksMode, InterfaceStyle};

use document::Document;

/// Why the build stops: the step that failed, the reason, and what to do about it.
pub struct Failure {
    step: &'static str,
    reason: String,
    remedy: &'static str,
}

impl Failure {
    #[allow(
        clippy::needless_pass_by_value,
        reason = "callers have it to give away"
    )]
    fn new(step: &'static str, reason: impl ToString, remedy: &'static str) -> Self {
        Self {
            step,
            reason: reason.to_string(),
            remedy,
        }
    }
}

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
        let Failure {
            step,
            reason,
            remedy,
        } = failure;
        // A directive is one line.
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        println!(
            "cargo::error={}: cannot {step}: {reason}. {remedy}",
            file.display()
        );
    }
}

fn generate(file: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(file).map_err(|e| {
        Failure::new(
            "read the document",
            e,
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
    work: impl FnOnce(&mut Generator) -> Result<TokenStream, progenitor::Error> + panic::UnwindSafe,
) -> Result<TokenStream, Failure> {
    quietly(|| {
        work(&mut Generator::new(
            GenerationSettings::new()
                .with_interface(InterfaceStyle::Positional)
                .with_hooks(HooksMode::Expected)
                .with_crate("sigmamind", CrateVers::Any, None)
                .with_inner_type(quote::quote!(crate::hooks::Attempt)),
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
            e,
            "Check that the target folder has room and is writable.",
        )
    })
}

/// Runs the generator, which panics on some documents, and returns the panic's message.
fn quietly<T>(work: impl FnOnce() -> T + panic::UnwindSafe) -> Result<T, String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(work);
    panic::set_hook(hook);
    result.map_err(|payload| {
        payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "the generator panicked".into())
    })
}
