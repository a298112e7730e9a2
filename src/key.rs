//! Provides the API key of each attempt: a fixed one, or one that a file or a callback returns.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reqwest::header::HeaderValue;

use crate::types::Secret;

/// Longest file that is read, in bytes; a longer one does not have a key in it.
const MAX_FILE_LENGTH: u64 = 16 << 10;

/// A callback that returns the key, or why it cannot.
pub(crate) type Callback = Arc<dyn Fn() -> Result<Secret, String> + Send + Sync>;

/// Where the key comes from, as the builder has it.
pub(crate) enum KeySource {
    Text(Secret),
    File(PathBuf),
    Callback(Callback),
}

impl KeySource {
    /// Returns whether a text repeats the key.
    pub fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Text(key) => !key.expose().is_empty() && text.contains(key.expose()),
            Self::File(_) | Self::Callback(_) => false,
        }
    }
}

/// The key of the calls that share it.
pub(crate) enum Key {
    Fixed(HeaderValue),
    Provided(Provider, Mutex<KeyState>),
}

/// Returns the key of this moment. Called before each attempt, without a lock.
type Provider = Box<dyn Fn() -> Result<HeaderValue, String> + Send + Sync>;

/// Keys that a provider has returned so far.
#[derive(Default)]
pub(crate) struct KeyState {
    current: Option<HeaderValue>,
    /// The key before it, which a response may still repeat.
    previous: Option<HeaderValue>,
    /// The last key that the server accepted, for use while the file has no other. `None` if the
    /// provider alone decides.
    fallback: Option<HeaderValue>,
    /// The key of the file that the server has refused: half of a key that is still being written
    /// looks like one.
    refused: Option<HeaderValue>,
}

impl Key {
    #[allow(
        clippy::unnecessary_debug_formatting,
        reason = "it escapes what a path may have in it"
    )]
    pub fn new(source: KeySource) -> Result<Self, String> {
        match source {
            KeySource::Text(text) => header_value(&text).map(Self::Fixed),
            KeySource::File(path) => {
                let provider = move || {
                    let unusable =
                        |reason| format!("cannot use the API key file {path:?}: {reason}");
                    let key = read_file(&path).and_then(|key| header_value(&key));
                    key.map_err(unusable)
                };
                let first = provider()?;
                let state = KeyState {
                    current: Some(first.clone()),
                    fallback: Some(first),
                    ..KeyState::default()
                };
                Ok(Self::Provided(Box::new(provider), Mutex::new(state)))
            }
            // First called by the first call, since what it reads may not be ready yet.
            KeySource::Callback(callback) => {
                let provider = move || {
                    let failed = |reason| format!("API key provider failed: {reason}");
                    let key = callback().and_then(|key| header_value(&key));
                    key.map_err(failed)
                };
                Ok(Self::Provided(Box::new(provider), Mutex::default()))
            }
        }
    }

    /// Returns the key of this moment, for the next attempt.
    pub fn now(&self) -> Result<HeaderValue, String> {
        let (provider, state) = match self {
            Self::Fixed(key) => return Ok(key.clone()),
            Self::Provided(provider, state) => (provider, state),
        };
        let next = provider();
        let mut state = lock(state);
        match (next, &state.fallback) {
            (Ok(key), _) if state.refused.as_ref() != Some(&key) => {
                state.replace(key.clone());
                Ok(key)
            }
            (_, Some(fallback)) => Ok(fallback.clone()),
            (next, None) => next,
        }
    }

    /// Returns whether there is another key to try after the server has refused this one.
    pub fn refused(&self, key: &HeaderValue) -> bool {
        let Self::Provided(provider, state) = self else {
            return false;
        };
        let is_replaced = provider().is_ok_and(|provided| provided != key);
        let mut state = lock(state);
        let can_fall_back = state.fallback.as_ref().is_some_and(|good| good != key);
        state.refused = (!is_replaced && state.fallback.is_some()).then(|| key.clone());
        is_replaced || can_fall_back
    }

    /// Takes note that the server has accepted this key.
    pub fn accepted(&self, key: &HeaderValue) {
        if let Self::Provided(_, state) = self {
            let mut state = lock(state);
            if state.fallback.is_some() && state.current.as_ref() == Some(key) {
                state.fallback = Some(key.clone());
            }
        }
    }

    /// Returns the keys that a response may repeat.
    pub fn recent(&self) -> Vec<HeaderValue> {
        match self {
            Self::Fixed(key) => vec![key.clone()],
            Self::Provided(_, state) => {
                let state = lock(state);
                let keys = [&state.current, &state.previous, &state.fallback];
                keys.into_iter().flatten().cloned().collect()
            }
        }
    }
}

impl KeyState {
    fn replace(&mut self, key: HeaderValue) {
        if self.current.as_ref() != Some(&key) {
            self.previous = self.current.replace(key);
        }
    }
}

fn lock(state: &Mutex<KeyState>) -> MutexGuard<'_, KeyState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the only line of a regular file.
fn read_file(path: &Path) -> Result<Secret, String> {
    let io_error = |error: std::io::Error| error.to_string();
    // Before it is opened: opening a FIFO waits for somebody who writes to it.
    if !fs::metadata(path).map_err(io_error)?.is_file() {
        return Err("it is not a regular file".into());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(io_error)?;
    let read = file.take(MAX_FILE_LENGTH + 1).read_to_string(&mut text);
    let text = Secret::from(text);
    if read.map_err(io_error)? as u64 > MAX_FILE_LENGTH {
        return Err("it is too long for a key: more than 16 KiB".into());
    }
    let line = text.expose();
    let line = line.strip_suffix('\n').unwrap_or(line);
    Ok(line.strip_suffix('\r').unwrap_or(line).into())
}

/// Makes the header value of a key, which is not repeated if it is refused.
fn header_value(key: &Secret) -> Result<HeaderValue, String> {
    let key = key.expose();
    if key.is_empty() {
        return Err("the API key is empty; give the key from SigmaMind's settings".into());
    }
    let value = HeaderValue::from_str(key).ok();
    match value.filter(|_| key.bytes().all(|byte| byte.is_ascii_graphic())) {
        Some(mut value) => {
            value.set_sensitive(true);
            Ok(value)
        }
        None => Err(
            "the API key has a space, a line break or another character that is not visible \
             ASCII; copy it again without that"
                .into(),
        ),
    }
}
