//! The client: where it sends, and where its key comes from.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use sigmamind::{Client, ClientBuilder, Secret, reqwest::Url};

use crate::{
    args,
    failure::{Failure, Result},
    files,
    text::{is_unsafe, quoted},
    validate::reason,
};

/// Server and credentials for reaching the API.
pub struct Connection {
    /// As it is compared and shown.
    pub server: String,
    key: Key,
}

enum Key {
    Variable,
    File(PathBuf),
    Command(String),
}

impl Connection {
    /// Reads the options, and then the variables for what they leave open.
    pub fn new(options: &args::Connection) -> Result<Self> {
        let base_url = match &options.base_url {
            Some(url) if url.is_empty() => {
                return Err(Failure::usage(
                    "--base-url has no value; give a URL or leave it out",
                ));
            }
            Some(url) => Some(url.clone()),
            None => variable("SIGMAMIND_BASE_URL")?,
        };
        let file = match variable_path("SIGMAMIND_API_KEY_FILE") {
            Some(file) if options.api_key_command.is_none() => Some(file),
            _ => None,
        };
        let key = match (&options.api_key_file, &options.api_key_command, file) {
            (Some(file), _, _) if file.as_os_str().is_empty() => {
                return Err(Failure::usage(
                    "--api-key-file has no value; give a path or leave it out",
                ));
            }
            (Some(file), _, _) => Key::File(file.clone()),
            (None, Some(command), _) => Key::Command(command.clone()),
            (None, None, Some(file)) => Key::File(file),
            (None, None, None) => Key::Variable,
        };
        let url = base_url
            .as_deref()
            .unwrap_or(ClientBuilder::DEFAULT_BASE_URL);
        Ok(Self {
            server: normalized(url)?,
            key,
        })
    }

    /// Where the key comes from, for people.
    pub fn key_source(&self) -> String {
        match &self.key {
            Key::Variable => "SIGMAMIND_API_KEY".into(),
            Key::File(file) => quoted(file),
            Key::Command(_) => "--api-key-command".into(),
        }
    }

    /// The file that the key is read from.
    pub fn key_file(&self) -> Option<&PathBuf> {
        match &self.key {
            Key::File(file) => Some(file),
            _ => None,
        }
    }

    /// Makes the client with these settings, and the gate that its requests pass.
    pub fn client(&self, settings: &Settings) -> Result<(Client, Gate)> {
        let gate = Gate::default();
        let key = self.key()?;
        let (open, counter) = (gate.clone(), gate.clone());
        let provider = move || {
            if open.is_closed() {
                return Err("stopped");
            }
            Ok(key())
        };
        let mut builder = Client::builder()
            .user_agent(concat!("sigmamind-cli/", env!("CARGO_PKG_VERSION")))
            .base_url(&self.server)
            .api_key_provider(provider)
            .on_attempt(move |_, _| counter.count());
        if let Some(timeout) = settings.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(rate) = settings.rate {
            builder = builder.rate_limit(rate);
        }
        if let Some(wait) = settings.max_wait {
            builder = builder.max_retry_after(wait);
        }
        if settings.no_retries {
            builder = builder.max_retries(0);
        }
        let client = builder
            .build()
            .map_err(|error| Failure::usage(reason(&error)))?;
        Ok((client, gate))
    }

    /// Returns what gives the key. A file is read each time, so that the key can be replaced.
    fn key(&self) -> Result<Box<dyn Fn() -> Secret + Send + Sync>> {
        let fixed = |key: String| -> Box<dyn Fn() -> Secret + Send + Sync> {
            Box::new(move || Secret::from(key.clone()))
        };
        Ok(match &self.key {
            Key::Variable => fixed(usable(from_variable()?)?),
            Key::Command(command) => fixed(usable(from_command(command)?)?),
            Key::File(file) => {
                let read = |file: &PathBuf| {
                    let key = files::secret(file, "the API key");
                    key.map_err(|failure| Failure::key(format!("the API key: {failure}")))
                        .and_then(usable)
                };
                let last = Mutex::new(read(file)?);
                let file = file.clone();
                Box::new(move || {
                    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                    // A file that is missing or being written leaves the last good key in use.
                    if let Ok(key) = files::secret_again(&file)
                        .ok_or(())
                        .and_then(|key| usable(key).map_err(drop))
                    {
                        *last = key;
                    }
                    Secret::from(last.clone())
                })
            }
        })
    }
}

/// Settings of a client.
#[derive(Default)]
pub struct Settings {
    pub timeout: Option<Duration>,
    pub rate: Option<f64>,
    pub max_wait: Option<Duration>,
    pub no_retries: bool,
}

impl Settings {
    pub fn of(options: &args::Sending) -> Self {
        Self {
            timeout: options.timeout,
            rate: options.rate,
            max_wait: Some(options.max_wait),
            no_retries: options.retries == 0,
        }
    }
}

/// Lets requests leave until it is closed, and counts them. A request that is on its way is not
/// affected.
#[derive(Clone, Default)]
pub struct Gate(Arc<GateState>);

#[derive(Default)]
struct GateState {
    closed: AtomicBool,
    attempts: AtomicU32,
}

impl Gate {
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    fn count(&self) {
        self.0.attempts.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the count of requests sent so far.
    pub fn attempts(&self) -> u32 {
        self.0.attempts.load(Ordering::SeqCst)
    }
}

/// Reads a variable; an empty one counts as unset.
fn variable(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(_) => Err(Failure::usage(format!(
            "the variable {name} is not Unicode"
        ))),
    }
}

fn variable_path(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// Returns a URL in the form in which two spellings of one are equal. What may be a password in it
/// is not repeated; the library has the other rules.
fn normalized(url: &str) -> Result<String> {
    let shown = if url.contains(['@', '?', '#']) || url.contains(is_unsafe) {
        String::new()
    } else {
        format!(" {url}")
    };
    let parsed = Url::parse(url)
        .map_err(|error| Failure::usage(format!("the base URL{shown} is not a URL: {error}")))?;
    if parsed.has_authority() && !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Failure::usage(
            "the base URL must not have a user or a password",
        ));
    }
    Ok(parsed.as_str().trim_end_matches('/').to_owned())
}

fn from_variable() -> Result<String> {
    variable("SIGMAMIND_API_KEY")?.ok_or_else(|| {
        Failure::key(
            "there is no API key; create one in SigmaMind's settings, then set SIGMAMIND_API_KEY, \
             or use --api-key-file or --api-key-command",
        )
    })
}

fn from_command(command: &str) -> Result<String> {
    let (shell, option) = if cfg!(windows) {
        ("cmd", "/C")
    } else {
        ("sh", "-c")
    };
    let failed = |why: &str| Failure::key(format!("--api-key-command {why}"));
    let output = Command::new(shell)
        .args([option, command])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(&format!("cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(failed(&format!("failed: {}", output.status)));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| failed("printed something other than text"))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Refuses a key that no header can have, without repeating it.
fn usable(key: String) -> Result<String> {
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::key(
            "the API key is empty or has a character that is not visible ASCII",
        ));
    }
    Ok(key)
}
