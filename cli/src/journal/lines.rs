//! The lines of a journal. The README documents them.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sigmamind::E164;

use super::VERSION;
use crate::{change::Change, history::Outcome};

/// An entry of the journal: one line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    Job(Box<Job>),
    Resumed(Event),
    Begun(Begun),
    /// A begun number was not sent.
    Unsent(Unsent),
    Ended(Box<Stamped>),
}

/// A file, and the fingerprint of its content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FileRef {
    /// As it was named, made absolute.
    pub path: String,
    /// The path's bytes, if they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
    pub sha256: String,
}

/// Description of the job: the first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub version: u32,
    pub id: String,
    /// When it was started.
    pub at: String,
    pub file: FileRef,
    /// Where the requests go.
    pub server: String,
    pub numbers: usize,
    /// The results and the failed rows, which are this job's to replace.
    pub results: String,
    pub failed: String,
    /// Properties set on every number, without secrets, and the names of the secrets.
    pub set: Change,
    pub secrets: Vec<String>,
    #[serde(default)]
    pub ignore_unknown: bool,
    #[serde(default)]
    pub columns: Vec<String>,
    /// The export that `apply --before` compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<FileRef>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Event {
    pub job: String,
    pub at: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    pub job: String,
    pub at: String,
    pub number: E164,
    /// The names of the properties that it sets.
    pub sets: Vec<String>,
    /// Their values before, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Unsent {
    pub job: String,
    pub at: String,
    pub number: E164,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stamped {
    pub job: String,
    #[serde(flatten)]
    pub ended: Ended,
}

/// The outcome of a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub at: String,
    pub number: E164,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The server's message, without the program's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Result of a later request, which did not remove the doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later: Option<String>,
    /// Which properties the server reports otherwise than they were sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Map<String, Value>>,
}

impl Job {
    pub fn new(file: FileRef, server: &str, numbers: usize) -> Self {
        Self {
            version: VERSION,
            id: format!("{:016x}", RandomState::new().hash_one(SystemTime::now())),
            at: now(),
            file,
            server: server.to_owned(),
            numbers,
            results: String::new(),
            failed: String::new(),
            set: Change::new(),
            secrets: Vec::new(),
            ignore_unknown: false,
            columns: Vec::new(),
            before: None,
        }
    }
}

impl FileRef {
    pub fn new(path: &Path, sha256: &str) -> Self {
        let path = match std::path::absolute(path) {
            Ok(absolute) if path != Path::new("-") => absolute,
            _ => path.to_owned(),
        };
        let is_utf8 = path.to_str().is_some();
        Self {
            path: path.display().to_string(),
            bytes: (!is_utf8).then(|| path.as_os_str().as_encoded_bytes().to_vec()),
            sha256: sha256.to_owned(),
        }
    }

    #[cfg(unix)]
    pub fn path(&self) -> PathBuf {
        use std::os::unix::ffi::OsStringExt;
        match &self.bytes {
            Some(bytes) => std::ffi::OsString::from_vec(bytes.clone()).into(),
            None => PathBuf::from(&self.path),
        }
    }

    #[cfg(not(unix))]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(&self.path)
    }
}

/// Returns the time as journals and results have it.
pub fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
