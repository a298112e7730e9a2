//! A folder, a fake server, and the program between them.

use std::{
    fmt::Write,
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;
use sigmamind::{E164, PhoneNumber, mock::FakeSigmaMind};
use tempfile::TempDir;

pub struct TestEnv {
    folder: TempDir,
    pub fake: FakeSigmaMind,
}

/// Exit code and output of the program.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl TestEnv {
    /// With so many numbers that the fake knows.
    pub fn new(numbers: usize) -> Self {
        let fake = FakeSigmaMind::start();
        for index in 0..numbers {
            fake.insert(&number(index), PhoneNumber::default().active(true));
        }
        let folder = tempfile::tempdir().unwrap();
        Self { folder, fake }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// `numbers.csv`, which names each number after its index.
    pub fn write_numbers(&self, numbers: usize) {
        let mut text = "phoneNumber,friendlyName\n".to_owned();
        for index in 0..numbers {
            writeln!(text, "{},Line {index}", number(index)).unwrap();
        }
        self.write("numbers.csv", text);
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sigmamind"));
        // No setting of the outside changes what the program does or prints.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_uppercase();
            let settings = [
                "SIGMAMIND_",
                "SSL_CERT_",
                "RUST_",
                "NO_COLOR",
                "CLICOLOR",
                "COLUMNS",
            ];
            if text.ends_with("_PROXY") || settings.iter().any(|start| text.starts_with(start)) {
                command.env_remove(name);
            }
        }
        command
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env("SIGMAMIND_BASE_URL", self.fake.url())
            .env("SIGMAMIND_API_KEY", self.fake.key());
        command
    }

    pub fn run(&self, arguments: &str) -> Done {
        done(&mut self.command(arguments))
    }

    /// Returns the friendly name of the number with this index in the fake.
    pub fn name(&self, index: usize) -> Option<String> {
        self.fake.get(&number(index)).unwrap().friendly_name
    }

    /// The lines of the journal of `numbers.csv`.
    pub fn journal(&self) -> Vec<Value> {
        let text = self.read("numbers.csv.journal.jsonl");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// The numbers that the journal has as begun.
    pub fn begun(&self) -> Vec<String> {
        let lines = self.journal();
        let numbers = lines
            .iter()
            .filter_map(|line| line["begun"]["number"].as_str());
        numbers.map(ToOwned::to_owned).collect()
    }

    /// The numbers that the journal has as applied.
    pub fn applied(&self) -> Vec<String> {
        let lines = self.journal();
        let ended = lines
            .iter()
            .filter(|line| line["ended"]["outcome"] == "applied");
        ended
            .map(|line| line["ended"]["number"].as_str().unwrap().to_owned())
            .collect()
    }
}

pub fn done(command: &mut Command) -> Done {
    let Output {
        status,
        stdout,
        stderr,
    } = command.stdin(std::process::Stdio::null()).output().unwrap();
    Done {
        code: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

pub fn number(index: usize) -> E164 {
    format!("+1415{:07}", 5_000_000 + index).parse().unwrap()
}
