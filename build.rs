//! Generates the client from the `OpenAPI` document into `OUT_DIR`: files and cargo lines; the
//! work is done by the package `sigmamind-codegen`, around progenitor.

use std::{
    env, fs, panic,
    path::{Path, PathBuf},
};

use progenitor::{CrateVers, GenerationSettings, Generator, HooksMode, InterfaceStyle};
use sigmamind_codegen::{self as codegen, Failure, Generated, Model, Result, Sources};

/// Names another document to generate from.
const VARIABLE: &str = "SIGMAMIND_OPENAPI";
/// How many of the operations that are left out are told of.
const WARNINGS: usize = 5;
/// The sources that name what the document must have.
const SOURCES: [&str; 2] = ["src/client.rs", "src/lib.rs"];

/// The client of the document in this file, with this text.
fn generate(file: &str, text: &str, sources: &Sources) -> Result<Generated> {
    let value = codegen::parse(text)?;
    let document = codegen::read(&value, sources)?;
    let model = Model::new(&document);
    let lowered = codegen::lower(&model, sources)?;
    let mut generator = Generator::new(
        GenerationSettings::new()
            .with_interface(InterfaceStyle::Positional)
            .with_hooks(HooksMode::Expected)
            .with_crate("sigmamind", CrateVers::Any, None)
            .with_crate("std", CrateVers::Any, None)
            .with_map_type("::std::collections::BTreeMap")
            .with_inner_type(
                "crate::request::RequestCapture"
                    .parse()
                    .expect("it is a path"),
            ),
    );
    let tokens = generator.generate_tokens(&lowered);
    let tokens = tokens.map_err(Failure::unsupported)?;
    codegen::emit(&model, tokens, generator.get_type_space(), file, text)
}

fn main() {
    // What panics is told in one line, as the rest.
    panic::set_hook(Box::new(|_| {}));
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    for source in ["build.rs"].iter().chain(&SOURCES) {
        println!("cargo::rerun-if-changed={source}");
    }
    let file = env::var_os(VARIABLE).filter(|file| !file.is_empty());
    let file = PathBuf::from(file.unwrap_or_else(|| "openapi.yaml".into()));
    let name = file.display().to_string();
    if !name.contains(char::is_control) {
        println!("cargo::rerun-if-changed={name}");
    }
    match write(&file, &name) {
        Ok(skipped) => {
            for (_, failure) in skipped.iter().take(WARNINGS) {
                println!("cargo::warning=left out: {}", failure.line(&name));
            }
            if skipped.len() > WARNINGS {
                let more = skipped.len() - WARNINGS;
                println!("cargo::warning=left out: {more} more operations");
            }
        }
        Err(failure) => println!("cargo::error={}", failure.line(&name)),
    }
}

fn write(file: &Path, name: &str) -> Result<Vec<(String, Failure)>> {
    const READ: &str = "read the document";
    if name.contains(char::is_control) {
        let reason = "its name has a control character".to_owned();
        let remedy = "Give the document a name without line breaks.";
        return Err(Failure::new(READ, reason, remedy));
    }
    let read = |file: &Path| {
        let remedy = "Check the path; a relative one starts at this crate's folder, so give SIGMAMIND_OPENAPI \
            an absolute one, or set it in .cargo/config.toml with `relative = true`.";
        fs::read_to_string(file).map_err(|e| Failure::new(READ, e.to_string(), remedy))
    };
    let text = read(file)?;
    let [client, lib] = SOURCES.map(|source| read(Path::new(source)));
    let (client, lib) = (&client?, &lib?);
    let base = file.file_name().unwrap_or_default().to_string_lossy();
    let Generated { code, skipped } =
        codegen::guarded(|| generate(&base, &text, &Sources { client, lib }))?;
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("client.rs");
    fs::write(&out, code).map_err(|e| {
        let remedy = "Check that the target folder has room and is writable.";
        Failure::new("write the generated code", e.to_string(), remedy)
    })?;
    Ok(skipped)
}
