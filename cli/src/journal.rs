//! The journal of a job: what was begun, and what became of it, as it happens.
//!
//! A line is handed to the system before a request leaves ("begun") and after its outcome is known
//! ("ended"), so that nothing is forgotten when this program is killed. The disk has it a second
//! later at the most ([`SYNC`]): after a power cut, what the last second had told may be missing,
//! and is sent again by `resume`. That is safe, because it sets properties to values.
//!
//! A line speaks of a number, never of a row, and has no secret in it.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sigmamind::E164;

use crate::{
    change::Change,
    failure::{Failure, Result},
    files,
    ui::warn,
};

/// How often the disk is made to have what was written.
pub const SYNC: Duration = Duration::from_secs(1);

const VERSION: u32 = 1;
const ENDING: &str = ".journal.jsonl";

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Job(Job),
    Resumed { at: String },
    Begun(Begun),
    Ended(Ended),
}

/// What is to be done: the first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    version: u32,
    /// When it was begun.
    pub at: String,
    /// The file as it was named, and the fingerprint of its content.
    pub file: String,
    pub sha256: String,
    /// Where the requests go.
    pub server: String,
    pub numbers: usize,
    /// What is set on every number, secrets apart, and which secrets are.
    pub to: Change,
    pub secrets: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    number: E164,
    /// The names of the properties that it sets.
    sets: Vec<String>,
}

/// What became of a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub number: E164,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Which properties the server reports otherwise than they were sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Applied,
    /// Nothing was changed.
    Failed,
    /// It failed, and may have taken effect.
    Unknown,
}

impl Outcome {
    pub fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Failed => "failed",
            Self::Unknown => "failed, and may have taken effect",
        }
    }
}

/// What the journal knows of a number.
#[derive(Debug, Default)]
pub struct Record {
    /// The names of the properties that were sent.
    pub sets: Vec<String>,
    /// It was begun, and nothing is known of its end.
    pub under_way: bool,
    /// The last end that is known.
    pub ended: Option<Ended>,
}

impl Record {
    pub fn is_applied(&self) -> bool {
        let outcome = self.ended.as_ref().map(|ended| ended.outcome);
        !self.under_way && outcome == Some(Outcome::Applied)
    }

    pub fn may_be_applied(&self) -> bool {
        let outcome = self.ended.as_ref().map(|ended| ended.outcome);
        self.under_way || matches!(outcome, Some(Outcome::Applied | Outcome::Unknown))
    }
}

/// What the journal knows of all numbers.
pub type History = HashMap<E164, Record>;

impl Job {
    pub fn new(file: &Path, sha256: &str, server: &str, numbers: usize) -> Self {
        Self {
            version: VERSION,
            at: now(),
            file: file.display().to_string(),
            sha256: sha256.to_owned(),
            server: server.to_owned(),
            numbers,
            to: Change::new(),
            secrets: Vec::new(),
        }
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// The journal that is kept for a file, unless another is asked for.
pub fn path_of(file: &Path) -> PathBuf {
    if file == Path::new("-") {
        return format!("stdin{ENDING}").into();
    }
    files::beside(file, ENDING)
}

/// What the files are called that lie beside the journal.
pub fn stem(journal: &Path) -> PathBuf {
    let path = journal.as_os_str().to_str().unwrap_or_default();
    path.strip_suffix(ENDING)
        .map_or_else(|| journal.to_owned(), PathBuf::from)
}

/// Refuses a path where a journal is already.
pub fn is_free(path: &Path) -> Result<()> {
    if path.exists() {
        return Err(Failure::usage(there_already(path)));
    }
    Ok(())
}

/// A journal that is open for writing, locked against every other program of this kind.
pub struct Journal {
    pub path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    file: Arc<File>,
    /// How long it is as far as it is good.
    length: u64,
    /// It cannot be written any more.
    broken: bool,
}

impl Journal {
    /// Begins a journal, which must not be there yet.
    pub fn create(path: &Path, job: &Job) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        owner_only(&mut options);
        let file = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::usage(there_already(path)),
            _ => Failure::usage(format!("cannot write {}: {error}", path.display())),
        })?;
        lock(&file, path)?;
        let journal = Self::of(path, file, 0);
        let begun = journal.write(&Line::Job(job.clone()));
        let begun = begun.and_then(|()| journal.sync()).and_then(|()| {
            // The folder has to know of it, too.
            if cfg!(unix) {
                File::open(files::folder(path))?.sync_all()?;
            }
            Ok(())
        });
        if let Err(error) = begun {
            let _ = std::fs::remove_file(path);
            return Err(Failure::usage(format!(
                "cannot write {}: {error}; nothing was sent",
                path.display()
            )));
        }
        Ok(journal)
    }

    /// Opens a journal to go on with it. A last line that is cut off is taken away.
    pub fn open(path: &Path) -> Result<(Self, Job, History)> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let mut file = file.map_err(|error| cannot_read(path, &error))?;
        lock(&file, path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)
            .map_err(|error| cannot_read(path, &error))?;
        let (job, history, good) = read(path, &text)?;
        Ok((Self::of(path, file, good as u64), job, history))
    }

    fn of(path: &Path, file: File, length: u64) -> Self {
        Self {
            path: path.to_owned(),
            inner: Mutex::new(Inner {
                file: Arc::new(file),
                length,
                broken: false,
            }),
        }
    }

    pub fn resumed(&self) -> io::Result<()> {
        self.write(&Line::Resumed { at: now() })
    }

    /// To be called before a request leaves, which must not when this fails.
    pub fn begun(&self, number: &E164, change: &Change) -> io::Result<()> {
        self.write(&Line::Begun(Begun {
            number: number.clone(),
            sets: change.keys().cloned().collect(),
        }))
    }

    pub fn ended(&self, ended: &Ended) -> io::Result<()> {
        self.write(&Line::Ended(ended.clone()))
    }

    fn write(&self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.lock().write(&text)
    }

    /// What makes the disk have all that was written so far; it can take its time.
    pub fn syncing(&self) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        let file = self.lock().file.clone();
        move || file.sync_data()
    }

    pub fn sync(&self) -> io::Result<()> {
        self.syncing()()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Adds a whole line, or nothing.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("it could not be written before"));
        }
        let mut file = &*self.file;
        let written = file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| file.write_all(line));
        match written {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half of a line must not be taken for one.
                self.broken = file.set_len(self.length).is_err();
                Err(error)
            }
        }
    }
}

/// Reads a journal, from whoever may be writing it.
pub fn peek(path: &Path) -> Result<(Job, History)> {
    let text = std::fs::read(path).map_err(|error| cannot_read(path, &error))?;
    read(path, &text).map(|(job, history, _)| (job, history))
}

/// Whether a text begins as a journal does.
pub fn is_journal(text: &[u8]) -> bool {
    text.starts_with(br#"{"job":"#)
}

/// The job, what is known of its numbers, and how much of the text is good.
fn read(path: &Path, text: &[u8]) -> Result<(Job, History, usize)> {
    let name = path.display();
    let good = text.iter().rposition(|byte| *byte == b'\n');
    let good = good.map_or(0, |last| last + 1);
    if good == 0 {
        return Err(Failure::usage(format!(
            "{name} has not even its first line, so nothing was sent; delete it, and `apply` again"
        )));
    }
    if good < text.len() {
        warn(&format!(
            "the last line of {name} is cut off, and counts as not written"
        ));
    }
    let (mut job, mut history) = (None, History::new());
    for (line, number) in text[..good].split_inclusive(|byte| *byte == b'\n').zip(1..) {
        let line = serde_json::from_slice(line).map_err(|_| {
            if number == 1 {
                return Failure::usage(format!("{name} is not a journal"));
            }
            Failure::usage(format!(
                "{name}:{number}:1: this is not a line of a journal; restore the file, or `apply` \
                 FILE as a new job with another --journal"
            ))
        })?;
        match line {
            Line::Job(first) if number == 1 => job = Some(first),
            Line::Job(_) | Line::Resumed { .. } => {}
            Line::Begun(Begun { number, sets }) => {
                let record = history.entry(number).or_default();
                record.sets = sets;
                record.under_way = true;
            }
            Line::Ended(ended) => {
                let record = history.entry(ended.number.clone()).or_default();
                record.under_way = false;
                record.ended = Some(ended);
            }
        }
    }
    match job {
        Some(job) if job.version == VERSION => Ok((job, history, good)),
        Some(job) => Err(Failure::usage(format!(
            "{name} is of version {}, which this program does not know; use a newer one",
            job.version
        ))),
        None => Err(Failure::usage(format!("{name} is not a journal"))),
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}

fn there_already(path: &Path) -> String {
    let name = path.display();
    let is = match peek(path) {
        Ok((job, history)) => {
            let applied = history
                .values()
                .filter(|record| record.is_applied())
                .count();
            format!(
                "it is the journal of a job of {}, with {applied} of {} applied",
                job.at, job.numbers
            )
        }
        Err(_) => "it is in the way".into(),
    };
    format!(
        "{name} is there already: {is}; go on with `sigmamind resume {name}`, or begin a new job \
         with another --journal, or move it away"
    )
}

fn lock(file: &File, path: &Path) -> Result<()> {
    file.try_lock().map_err(|error| {
        Failure::usage(match error {
            TryLockError::WouldBlock => format!(
                "another sigmamind is at work on {}; wait for its end",
                path.display()
            ),
            TryLockError::Error(error) => format!("cannot lock {}: {error}", path.display()),
        })
    })
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn owner_only(_: &mut OpenOptions) {}
