//! The client, and where its key comes from.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use clap::ArgMatches;
use sigmamind::{Client, ClientBuilder};

use crate::{
    failure::{Failure, Result},
    files,
};

/// How the API is reached.
pub struct Connection {
    base_url: Option<String>,
    deadline: Option<Duration>,
    rate: Option<f64>,
    key: Key,
}

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
            rate: matches.try_get_one("rate").ok().flatten().copied(),
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
        let builder = self.builder();
        let builder = match &self.key {
            Key::Environment => builder.api_key(from_environment()?),
            Key::File(file) => {
                files::warn_if_open(file, "the API key");
                builder.api_key_file(file)
            }
            Key::Command(command) => builder.api_key(from_command(command)?),
        };
        builder
            .build()
            .map_err(|error| Failure::key(reason(&error)))
    }

    /// Where the requests go, in words.
    pub fn server(&self) -> &str {
        self.base_url.as_deref().unwrap_or("SigmaMind")
    }

    fn builder(&self) -> ClientBuilder {
        let builder =
            Client::builder().user_agent(concat!("sigmamind-cli/", env!("CARGO_PKG_VERSION")));
        let builder = match &self.base_url {
            Some(url) => builder.base_url(url),
            None => builder,
        };
        let builder = match self.deadline {
            Some(deadline) => builder.timeout(deadline),
            None => builder,
        };
        match self.rate {
            Some(rate) => builder.rate_limit(rate),
            None => builder,
        }
    }
}

fn from_environment() -> Result<String> {
    match env::var("SIGMAMIND_API_KEY") {
        Ok(key) if !key.is_empty() => Ok(key),
        _ => Err(Failure::key(
            "there is no API key; set SIGMAMIND_API_KEY, or use --api-key-file or \
             --api-key-command",
        )),
    }
}

fn from_command(command: &str) -> Result<String> {
    let (shell, option) = if cfg!(windows) {
        ("cmd", "/C")
    } else {
        ("sh", "-c")
    };
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
    let text = String::from_utf8(output.stdout);
    let text = text.map_err(|_| failed("prints something other than text"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// An error of the library's, for who reads a terminal.
pub fn reason(error: &sigmamind::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("invalid request: ")
        .or_else(|| text.strip_prefix("invalid configuration: "))
        .unwrap_or(&text)
        .to_owned()
}
