//! Builds of the crate from other documents, by cargo, as a program that depends on it has them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::SystemTime,
};

use serde_json::Value;

pub const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// Where it all lives: in one target directory, so that the dependencies are built once.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("nested")
}

/// The crate's document, changed.
pub fn revised(edit: impl FnOnce(&mut Value)) -> String {
    let mut document = yaml_serde::from_str(include_str!("../../openapi.yaml")).unwrap();
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

    /// A copy of the crate, for a test that changes it; its client has these methods as well.
    pub fn copy_of_the_crate(name: &str, methods: &str) -> PathBuf {
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
            if path.ends_with("src/client.rs") {
                text += methods;
            }
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
        let folder = root().join(name);
        let dependencies = format!(
            r#"serde_json = "1"
sigmamind = {{ path = "{}", default-features = false, features = ["rustls", "schemars"] }}
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

    pub fn cargo(&self, arguments: &[&str]) -> Output {
        cargo(&self.folder, arguments)
            .env("SIGMAMIND_OPENAPI", &self.document)
            .output()
            .unwrap()
    }

    /// Builds the program without a warning and runs it to a success.
    pub fn run(&self) {
        let output = self.cargo(&["run"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.is_empty(), "{text}");
    }

    /// When the client was generated.
    pub fn generated(&self) -> SystemTime {
        let output = self.cargo(&["build", "--message-format=json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let messages = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let folders: Vec<_> = messages
            .filter_map(|message| Some(message["out_dir"].as_str()?.to_owned() + "/client.rs"))
            .filter(|file| fs::exists(file).unwrap())
            .collect();
        let [file] = &*folders else {
            panic!("one client.rs of {folders:?}");
        };
        fs::metadata(file).unwrap().modified().unwrap()
    }

    /// The compiler's or the build script's errors; none if the build succeeds.
    pub fn errors(&self) -> Vec<String> {
        let output = self.cargo(&["build"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("panicked"), "{text}");
        let errors = text.lines().filter(|line| line.starts_with("error"));
        errors.map(ToOwned::to_owned).collect()
    }
}

/// Leaves a file alone that has this text, so that cargo does not build it again.
pub fn write(file: &Path, text: &str) {
    if fs::read_to_string(file).is_ok_and(|known| known == text) {
        return;
    }
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// A package that is named as its folder, with the versions of this workspace.
pub fn write_program(folder: &Path, dependencies: &str, source: &str) {
    let name = folder.file_name().unwrap().display();
    let manifest = format!(
        r#"[package]
name = "{name}"
edition = "2024"

[workspace]

[dependencies]
{dependencies}

[profile.dev]
debug = false
"#
    );
    write(&folder.join("Cargo.toml"), &manifest);
    write(&folder.join("src/main.rs"), source);
    let lock = Path::new(CRATE).join("Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).unwrap();
}

pub fn cargo(folder: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(arguments)
        .args(["--offline", "--quiet"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", root().join("target"))
        .env("CARGO_INCREMENTAL", "0");
    cargo
}
