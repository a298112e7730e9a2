//! The API key of the moment: fixed, in a file that may be replaced, or asked for.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use reqwest::header::HeaderValue;

use crate::types::Secret;

/// How long a file is taken to be what it was.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);
/// No key is longer, in bytes; a file that is has something else in it.
const MAX_LENGTH: u64 = 16 << 10;

/// Gives the key, or says why it cannot.
pub(crate) type Provider = Arc<dyn Fn() -> Result<Secret, String> + Send + Sync>;

/// Where the key comes from, as the builder has it.
pub(crate) enum KeySource {
    Text(Secret),
    File(PathBuf),
    Provider(Provider),
}

impl KeySource {
    /// Whether a text repeats the key.
    pub fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Text(key) => !key.expose().is_empty() && text.contains(key.expose()),
            Self::File(_) | Self::Provider(_) => false,
        }
    }
}

/// The key of the calls that share it.
pub(crate) enum Key {
    Fixed(HeaderValue),
    Changing(Origin, Mutex<KeyState>),
}

/// What a key that changes comes from.
pub(crate) enum Origin {
    File(PathBuf),
    Provider(Provider),
}

/// What is known of a key that changes.
pub(crate) struct KeyState {
    now: HeaderValue,
    /// The one before it, which an answer may still repeat.
    before: Option<HeaderValue>,
    /// The last that the server has not refused.
    good: HeaderValue,
    /// What the server has refused of the file, which is not taken up again by itself.
    refused: Option<HeaderValue>,
    read_at: Instant,
}

impl Key {
    pub fn new(source: KeySource) -> Result<Self, String> {
        let (origin, now) = match source {
            KeySource::Text(text) => return value(text.expose()).map(Self::Fixed),
            KeySource::File(path) => {
                let now = read(&path)?;
                (Origin::File(path), now)
            }
            // Asked for by the first call: what gives it may not be ready yet.
            KeySource::Provider(provider) => {
                (Origin::Provider(provider), HeaderValue::from_static(""))
            }
        };
        let state = KeyState {
            good: now.clone(),
            now,
            before: None,
            refused: None,
            read_at: Instant::now(),
        };
        Ok(Self::Changing(origin, Mutex::new(state)))
    }

    /// The key for the next attempt.
    pub fn now(&self) -> Result<HeaderValue, String> {
        let (origin, state) = match self {
            Self::Fixed(key) => return Ok(key.clone()),
            Self::Changing(origin, state) => (origin, state),
        };
        match origin {
            Origin::Provider(provider) => {
                let key = value(provider()?.expose())?;
                lock(state).replace(key.clone());
                Ok(key)
            }
            Origin::File(path) => {
                let mut state = lock(state);
                if state.read_at.elapsed() >= RELOAD_INTERVAL {
                    state.read_at = Instant::now();
                    state.reload(path);
                }
                Ok(state.now.clone())
            }
        }
    }

    /// Whether there is another key to try, now that the server has refused this one.
    pub fn refused(&self, key: &HeaderValue) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Changing(Origin::Provider(_), _) => self.now().is_ok_and(|now| now != key),
            Self::Changing(Origin::File(path), state) => {
                let read = read(path).ok().filter(|read| read != key);
                let mut state = lock(state);
                // Half of a key that is still being written looks like one.
                state.refused = read.is_none().then(|| key.clone());
                let other = read.unwrap_or_else(|| state.good.clone());
                state.replace(other);
                state.now != key
            }
        }
    }

    /// The server has taken this key.
    pub fn accepted(&self, key: &HeaderValue) {
        if let Self::Changing(_, state) = self {
            lock(state).good = key.clone();
        }
    }

    /// The keys that no text may show, beside the one that was sent.
    pub fn recent(&self) -> Vec<HeaderValue> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Changing(_, state) => {
                let state = lock(state);
                let keys = [Some(&state.now), state.before.as_ref()];
                keys.into_iter().flatten().cloned().collect()
            }
        }
    }
}

fn lock(state: &Mutex<KeyState>) -> MutexGuard<'_, KeyState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KeyState {
    /// Takes up what the file has, if that is a key; whatever it is else, the key stays.
    fn reload(&mut self, path: &Path) {
        if let Ok(key) = read(path)
            && self.refused.as_ref() != Some(&key)
        {
            self.replace(key);
        }
    }

    fn replace(&mut self, key: HeaderValue) {
        if self.now != key {
            self.before = Some(std::mem::replace(&mut self.now, key));
        }
    }
}

fn read(path: &Path) -> Result<HeaderValue, String> {
    let failed = |reason: String| format!("the file of the API key cannot be used: {reason}");
    let length = fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if length > MAX_LENGTH {
        return Err(failed("it is too long for a key".into()));
    }
    let text = fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    let text = Secret::from(text);
    let line = text.expose();
    let line = line.strip_suffix('\n').unwrap_or(line);
    value(line.strip_suffix('\r').unwrap_or(line)).map_err(failed)
}

/// The header value of a key, the text of which is not repeated if it is refused.
fn value(key: &str) -> Result<HeaderValue, String> {
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
