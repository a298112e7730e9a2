//! The steps of the crate's build script, with what the crate needs.

use progenitor::{CrateVers, GenerationSettings, Generator, HooksMode, InterfaceStyle};
use sigmamind_codegen::{self as codegen, Failure, Generated, Model, Needed, Result};

const NEEDED: Needed = Needed {
    method: "update_phone_number",
    arguments: &["E164", "PhoneNumberUpdate"],
    answer: "PhoneNumber",
    types: &["PhoneNumber", "PhoneNumberUpdate", "Provider"],
    taken: &["request"],
};

/// Generates the client of the document in this file, with this text.
pub fn generate(file: &str, text: &str) -> Result<Generated> {
    codegen::guarded(|| {
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
    })
}
