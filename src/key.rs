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
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// No key is longer, in bytes; a file that is has something else in it.
const LONGEST: u64 = 16 << 10;

/// Gives the key, or says why it cannot.
pub(crate) type Ask = Arc<dyn Fn() -> Result<Secret, String> + Send + Sync>;

/// Where the key comes from, as the builder has it.
pub(crate) enum Source {
    Text(Secret),
    File(PathBuf),
    Ask(Ask),
}

impl Source {
    /// Whether a text repeats the key.
    pub fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Text(key) => !key.expose().is_empty() && text.contains(key.expose()),
            Self::File(_) | Self::Ask(_) => false,
        }
    }
}

/// The key of the calls that share it.
pub(crate) enum Key {
    Fixed(HeaderValue),
    Changing(Origin, Mutex<Known>),
}

/// What a key that changes comes from.
pub(crate) enum Origin {
    File(PathBuf),
    Ask(Ask),
}

/// What is known of a key that changes.
pub(crate) struct Known {
    now: HeaderValue,
    /// The one before it, which an answer may still repeat.
    before: Option<HeaderValue>,
    /// The last that the server has not refused.
    good: HeaderValue,
    /// What the server has refused of the file, which is not taken up again by itself.
    refused: Option<HeaderValue>,
    looked: Instant,
}

impl Key {
    pub fn new(source: Source) -> Result<Self, String> {
        let (origin, now) = match source {
            Source::Text(text) => return value(text.expose()).map(Self::Fixed),
            Source::File(path) => {
                let now = read(&path)?;
                (Origin::File(path), now)
            }
            // Asked for by the first call: what gives it may not be ready yet.
            Source::Ask(ask) => (Origin::Ask(ask), HeaderValue::from_static("")),
        };
        let known = Known {
            good: now.clone(),
            now,
            before: None,
            refused: None,
            looked: Instant::now(),
        };
        Ok(Self::Changing(origin, Mutex::new(known)))
    }

    /// The key for the next attempt.
    pub fn now(&self) -> Result<HeaderValue, String> {
        let (origin, known) = match self {
            Self::Fixed(key) => return Ok(key.clone()),
            Self::Changing(origin, known) => (origin, known),
        };
        match origin {
            Origin::Ask(ask) => {
                let key = value(ask()?.expose())?;
                lock(known).turn_to(key.clone());
                Ok(key)
            }
            Origin::File(path) => {
                let mut known = lock(known);
                if known.looked.elapsed() >= LOOK_AGAIN {
                    known.looked = Instant::now();
                    known.look(path);
                }
                Ok(known.now.clone())
            }
        }
    }

    /// Whether there is another key to try, now that the server has refused this one.
    pub fn refused(&self, key: &HeaderValue) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Changing(Origin::Ask(_), _) => self.now().is_ok_and(|now| now != key),
            Self::Changing(Origin::File(path), known) => {
                let read = read(path).ok().filter(|read| read != key);
                let mut known = lock(known);
                // Half of a key that is still being written looks like one.
                known.refused = read.is_none().then(|| key.clone());
                let other = read.unwrap_or_else(|| known.good.clone());
                known.turn_to(other);
                known.now != key
            }
        }
    }

    /// The server has taken this key.
    pub fn accepted(&self, key: &HeaderValue) {
        if let Self::Changing(_, known) = self {
            lock(known).good = key.clone();
        }
    }

    /// The keys that no text may show, beside the one that was sent.
    pub fn others(&self) -> Vec<HeaderValue> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Changing(_, known) => {
                let known = lock(known);
                let keys = [Some(&known.now), known.before.as_ref()];
                keys.into_iter().flatten().cloned().collect()
            }
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    /// Takes up what the file has, if that is a key; whatever it is else, the key stays.
    fn look(&mut self, path: &Path) {
        if let Ok(key) = read(path)
            && self.refused.as_ref() != Some(&key)
        {
            self.turn_to(key);
        }
    }

    fn turn_to(&mut self, key: HeaderValue) {
        if self.now != key {
            self.before = Some(std::mem::replace(&mut self.now, key));
        }
    }
}

fn read(path: &Path) -> Result<HeaderValue, String> {
    let failed = |reason: String| format!("the file of the API key cannot be used: {reason}");
    let length = fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if length > LONGEST {
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
