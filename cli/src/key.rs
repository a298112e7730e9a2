//! The client, and where its key comes from.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use clap::ArgMatches;
use sigmamind::{Client, ClientBuilder, Secret};

use crate::{
    failure::{Failure, Result},
    files,
};

/// How the API is reached.
#[derive(Debug, Clone)]
pub struct Connection {
    base_url: Option<String>,
    deadline: Option<Duration>,
    rate: Option<f64>,
    key: Key,
}

#[derive(Debug, Clone)]
enum Key {
    Environment,
    File(PathBuf),
    Command(String),
}

impl Connection {
    pub fn of(matches: &ArgMatches) -> Self {
        let text = |id: &str| matches.get_one::<String>(id).cloned();
        let file = matches.get_one::<PathBuf>("api-key-file");
        Self {
            base_url: text("base-url").filter(|url| !url.is_empty()),
            deadline: matches.get_one("deadline").copied(),
            rate: matches
                .try_get_one("rate")
                .ok()
                .flatten()
                .copied(),
            key: match (file, text("api-key-command")) {
                (_, Some(command)) => Key::Command(command),
                (Some(file), None) => Key::File(file.clone()),
                (None, None) => Key::Environment,
            },
        }
    }

    /// A client that checks calls and has no key to send them with.
    pub fn checking(&self) -> Result<Client> {
        let client = self.builder().api_key("none").build();
        client.map_err(|error| Failure::usage(reason(&error)))
    }

    /// The client that sends.
    pub fn client(&self) -> Result<Client> {
        let key = self.key.read()?;
        let client = self.builder().api_key(key.expose()).build();
        client.map_err(|error| Failure::key(reason(&error)))
    }

    /// Where the requests go, in words.
    pub fn server(&self) -> &str {
        self.base_url.as_deref().unwrap_or("SigmaMind")
    }

    fn builder(&self) -> ClientBuilder {
        let builder = Client::builder().user_agent(concat!(
            "sigmamind-cli/",
            env!("CARGO_PKG_VERSION")
        ));
        let builder = match &self.base_url {
            Some(url) => builder.base_url(url),
            None => builder,
        };
        let builder = match self.deadline {
            Some(deadline) => builder.deadline(deadline),
            None => builder,
        };
        match self.rate {
            Some(rate) => builder.rate_limit(rate),
            None => builder,
        }
    }
}

impl Key {
    fn read(&self) -> Result<Secret> {
        let text = match self {
            Self::Environment => return from_environment(),
            Self::File(file) => from_file(file)?,
            Self::Command(command) => from_command(command)?,
        };
        Ok(text.trim_end_matches(['\r', '\n']).into())
    }
}

fn from_environment() -> Result<Secret> {
    match env::var("SIGMAMIND_API_KEY") {
        Ok(key) if !key.is_empty() => Ok(key.into()),
        _ => Err(Failure::key(
            "there is no API key; set SIGMAMIND_API_KEY, or use --api-key-file or \
             --api-key-command",
        )),
    }
}

fn from_file(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::key(format!(
            "the API key cannot be read from {}: {error}",
            file.display()
        ))
    })?;
    files::warn_if_open(file, "the API key");
    Ok(text)
}

fn from_command(command: &str) -> Result<String> {
    let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let failed = |why: &str| Failure::key(format!("the command for the API key {why}"));
    let output = Command::new(shell)
        .args([option, command])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(&format!("cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(failed(&format!("failed: {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("prints something other than text"))
}

/// An error of the library's, for who reads a terminal.
pub fn reason(error: &sigmamind::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("invalid input: ").unwrap_or(&text).to_owned()
}
