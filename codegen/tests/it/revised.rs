//! Programs on the crate that is generated from another document.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use serde_json::Value;

use crate::nested::{self, CRATE, assert_success, root, write, write_program};

/// The crate's document, changed.
pub fn revised(edit: impl FnOnce(&mut Value)) -> String {
    let mut document = yaml_serde::from_str(include_str!("../../../openapi.yaml")).unwrap();
    edit(&mut document);
    serde_json::to_string_pretty(&document).unwrap() // JSON is YAML
}

/// A program that depends on the crate, and the document that the crate is generated from.
pub struct Program {
    folder: PathBuf,
    pub document: PathBuf,
}

impl Program {
    pub fn new(name: &str, document: &str, source: &str) -> Self {
        Self::on(Path::new(CRATE), name, document, source)
    }

    /// A copy of the crate, for a test that changes it.
    pub fn copy_of_the_crate(name: &str) -> PathBuf {
        let copy = root().join(name);
        let mut left: Vec<_> = [
            "Cargo.toml",
            "README.md",
            "codegen/Cargo.toml",
            "codegen/src",
            "build.rs",
            "openapi.yaml",
            "src",
        ]
        .map(|part| Path::new(CRATE).join(part))
        .into();
        while let Some(path) = left.pop() {
            if path.is_dir() {
                let entries = fs::read_dir(&path).unwrap();
                left.extend(entries.map(|entry| entry.unwrap().path()));
                continue;
            }
            let mut text = fs::read_to_string(&path).unwrap();
            if path.ends_with("Cargo.toml") {
                text = text.replace(
                    "members = [\"benches\", \"cli\", \"codegen\"]",
                    "members = [\"codegen\"]",
                );
            }
            write(&copy.join(path.strip_prefix(CRATE).unwrap()), &text);
        }
        copy
    }

    pub fn on(krate: &Path, name: &str, document: &str, source: &str) -> Self {
        Self::with_features(krate, name, &["rustls", "schemars"], document, source)
    }

    pub fn with_features(
        krate: &Path,
        name: &str,
        features: &[&str],
        document: &str,
        source: &str,
    ) -> Self {
        let folder = root().join(name);
        let dependencies = format!(
            r#"schemars = {{ version = "1", default-features = false }}
serde_json = "1"
sigmamind = {{ path = "{}", default-features = false, features = {features:?} }}
tokio = {{ version = "1", features = ["rt"] }}"#,
            krate.display()
        );
        write_program(&folder, &dependencies, source);
        write(
            &folder.join("src/program.rs"),
            include_str!("regenerate/program.rs"),
        );
        let file = folder.join("openapi.yaml");
        write(&file, document);
        Self {
            folder,
            document: file,
        }
    }

    fn environment(&self) -> [(&'static str, &Path); 1] {
        [("SIGMAMIND_OPENAPI", &self.document)]
    }

    /// Builds the program without a warning and runs it to a success.
    pub fn run(&self) {
        let program = nested::build(&self.folder, &self.environment());
        assert_success(&Command::new(program).output().unwrap());
    }

    /// When the client was generated.
    pub fn generated(&self) -> SystemTime {
        let messages = nested::build_messages(&self.folder, &self.environment());
        let folders: Vec<_> = messages
            .iter()
            .filter_map(|message| Some(message["out_dir"].as_str()?.to_owned() + "/client.rs"))
            .filter(|file| fs::exists(file).unwrap())
            .collect();
        let [file] = &*folders else {
            panic!("one client.rs of {folders:?}");
        };
        fs::metadata(file).unwrap().modified().unwrap()
    }

    /// The compiler's or the build script's first error; the build must fail.
    pub fn error(&self) -> String {
        let output = nested::try_build(&self.folder, &self.environment());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "it builds");
        assert!(!text.contains("panicked"), "{text}");
        let error = text.lines().find(|line| line.starts_with("error"));
        error
            .unwrap_or_else(|| panic!("no error in {text}"))
            .to_owned()
    }
}
