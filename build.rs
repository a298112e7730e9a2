//! Generates the client from the `OpenAPI` document into `OUT_DIR`: files and cargo lines; the
//! work is done by the package `sigmamind-codegen`, around progenitor.

use std::{
    env, fmt, fs, panic,
    path::{Path, PathBuf},
};

use progenitor::{CrateVers, GenerationSettings, Generator, HooksMode, InterfaceStyle};
use sigmamind_codegen::{self as codegen, Failure, Generated, Model, Needed, Result, Skipped};

/// Names another document to generate from.
const VARIABLE: &str = "SIGMAMIND_OPENAPI";
/// Names a file for the list of all that was skipped.
const REPORT: &str = "SIGMAMIND_OPENAPI_REPORT";
/// How many of those are warned of.
const WARNINGS: usize = 5;
/// What `src/` takes for granted of a document.
const NEEDED: Needed = Needed {
    method: "update_phone_number",
    arguments: &["E164", "PhoneNumberUpdate"],
    answer: "PhoneNumber",
    types: &["PhoneNumber", "PhoneNumberUpdate", "Provider"],
    taken: &[
        "builder",
        "call",
        "from_env",
        "new",
        "rate_limiter",
        "request",
        "with_api_key",
    ],
};

/// Generates the client of the document in this file, with this text.
fn generate(file: &str, text: &str) -> Result<Generated> {
    let value = codegen::parse(text)?;
    let document = codegen::read(&value, &NEEDED)?;
    let model = Model::new(&document);
    let lowered = codegen::lower(&model)?;
    let inner = "crate::request::RequestCapture".parse();
    let mut generator = Generator::new(
        GenerationSettings::new()
            .with_interface(InterfaceStyle::Positional)
            .with_hooks(HooksMode::Expected)
            .with_crate("sigmamind", CrateVers::Any, None)
            .with_crate("std", CrateVers::Any, None)
            .with_map_type("::std::collections::BTreeMap")
            .with_inner_type(inner.expect("it is a path")),
    );
    let tokens = generator.generate_tokens(&lowered);
    let tokens = tokens.map_err(Failure::unsupported)?;
    codegen::emit(&model, tokens, generator.get_type_space(), file, text)
}

fn main() {
    // What panics is told in one line, as the rest.
    panic::set_hook(Box::new(|_| {}));
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-env-changed={REPORT}");
    println!("cargo::rerun-if-changed=build.rs");
    let file = env::var_os(VARIABLE).filter(|file| !file.is_empty());
    let file = PathBuf::from(file.unwrap_or_else(|| "openapi.yaml".into()));
    let name = file.display().to_string();
    if !name.contains(char::is_control) {
        println!("cargo::rerun-if-changed={name}");
    }
    match write(&file, &name) {
        Ok(skipped) => {
            for Skipped { what, failure } in skipped.iter().take(WARNINGS) {
                println!("cargo::warning=skipped {what}: {failure}");
            }
            if let Some(more) = skipped.len().checked_sub(WARNINGS).filter(|more| *more > 0) {
                println!("cargo::warning=skipped {more} more; {REPORT}=FILE lists them all");
            }
        }
        Err(failure) => println!("cargo::error={}", failure.line(&name)),
    }
}

fn write(file: &Path, name: &str) -> Result<Vec<Skipped>> {
    if name.contains(char::is_control) {
        let reason = "its name has a control character".to_owned();
        let remedy = "Give the document a name without line breaks.";
        return Err(Failure::new("read the document", reason, remedy));
    }
    let text = codegen::load(file)?;
    let base = file.file_name().unwrap_or_default().to_string_lossy();
    let Generated { code, skipped } = codegen::guarded(|| generate(&base, &text))?;
    let failure = |error: &dyn fmt::Display| {
        let remedy = "Check that the folder is there, has room and is writable.";
        Failure::new("write a file", error.to_string(), remedy)
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("client.rs"), code).map_err(|error| failure(&error))?;
    if let Some(report) = env::var_os(REPORT).filter(|report| !report.is_empty()) {
        let lines = skipped
            .iter()
            .map(|Skipped { what, failure }| format!("{what}: {failure}\n"));
        fs::write(report, lines.collect::<String>()).map_err(|error| failure(&error))?;
    }
    Ok(skipped)
}
