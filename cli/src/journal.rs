//! The journal of a job: what was begun, and what became of it, as it happens.
//!
//! A line is handed to the system before a request leaves ("begun") and after its outcome is known
//! ("ended"), so that nothing is forgotten when this program is killed. The disk has it a second
//! later at most ([`SYNC`]): after a power cut, the last second may be missing, and is sent again by
//! `resume`. That is safe, because a request sets properties to values.
//!
//! Each line names its job, so that lines of another are noticed. None has a secret in it. The form
//! is documented in the README.

mod lines;
mod read;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use sigmamind::E164;

use lines::{Begun, Entry, Event, Stamped, Unsent};
pub use lines::{Ended, FileRef, Job, now};
pub use read::{Seen, is_journal, peek};
use read::{read, read_error};

use crate::{
    change::Change,
    failure::{Failure, Result},
    files::{self, beside},
    history::{History, State},
    text::{escape_json, quoted},
    ui::warn,
};

/// Interval at which written entries are synced to disk.
pub const SYNC: Duration = Duration::from_secs(1);

const VERSION: u32 = 2;
const ENDING: &str = ".journal.jsonl";

/// Returns the journal that is kept for a file, unless another is named.
pub fn path_of(file: &Path) -> PathBuf {
    if file == Path::new("-") {
        return format!("stdin{ENDING}").into();
    }
    beside(file, ENDING)
}

/// Returns the names of the results and of the failed rows, which lie beside the journal.
pub fn outputs(journal: &Path, ending: &str) -> (PathBuf, PathBuf) {
    let name = journal.file_name().unwrap_or_default();
    let bytes = name.as_encoded_bytes();
    let stem = match name.to_str().and_then(|name| name.strip_suffix(ENDING)) {
        Some(stem) => journal.with_file_name(stem),
        None if bytes.ends_with(ENDING.as_bytes()) => without_ending(journal),
        None => journal.to_owned(),
    };
    let failed = format!(".failed.{ending}");
    (beside(&stem, ".results.csv"), beside(&stem, &failed))
}

#[cfg(unix)]
fn without_ending(journal: &Path) -> PathBuf {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = journal.as_os_str().as_bytes().to_vec();
    bytes.truncate(bytes.len() - ENDING.len());
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn without_ending(journal: &Path) -> PathBuf {
    journal.to_owned()
}

/// A journal that is open for writing, locked against other programs of this kind.
pub struct Journal {
    pub path: PathBuf,
    id: String,
    inner: Mutex<Inner>,
}

struct Inner {
    file: Arc<File>,
    /// Length of the intact part, in bytes.
    length: u64,
    /// It cannot be written any more.
    broken: bool,
}

impl Journal {
    /// Starts a journal. One that is there is replaced if `force` says so and no job writes it.
    pub fn create(path: &Path, job: &Job, force: bool) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.create(force).create_new(!force);
        owner_only(&mut options);
        let write_error = |error: io::Error| {
            Failure::usage(format!(
                "cannot write {}: {error}; nothing was sent",
                quoted(path)
            ))
        };
        let file = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::usage(already_exists(path, &job.server)),
            _ => write_error(error),
        })?;
        lock(&file, path)?;
        file.set_len(0).map_err(write_error)?;
        let journal = Self::of(path, job.id.clone(), file, 0);
        let begun = journal.write(&Entry::Job(Box::new(job.clone())));
        if let Err(error) = begun.and_then(|_| journal.sync()) {
            let _ = fs::remove_file(path);
            return Err(write_error(error));
        }
        // The folder has to know of it, too, where folders can be synced.
        if cfg!(unix)
            && let Err(error) = File::open(files::folder(path)).and_then(|folder| folder.sync_all())
        {
            warn(&format!(
                "the folder of {} cannot be synced ({error}); a power cut could lose the journal",
                quoted(path)
            ));
        }
        Ok(journal)
    }

    /// Opens a journal to continue its job. A last line that is cut off is removed.
    pub fn open(path: &Path) -> Result<(Self, Job, History)> {
        files::check_input(path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| read_error(path, &error))?;
        lock(&file, path)?;
        let (job, history, good) = read(path, &mut |_| ())?;
        file.set_len(good)
            .map_err(|error| read_error(path, &error))?;
        Ok((Self::of(path, job.id.clone(), file, good), job, history))
    }

    fn of(path: &Path, id: String, file: File, length: u64) -> Self {
        Self {
            path: path.to_owned(),
            id,
            inner: Mutex::new(Inner {
                file: Arc::new(file),
                length,
                broken: false,
            }),
        }
    }

    pub fn resumed(&self) -> io::Result<()> {
        let (job, at) = (self.id.clone(), now());
        self.write(&Entry::Resumed(Event { job, at })).map(drop)
    }

    /// Records that a request is about to leave, which must not when this fails.
    pub fn begun(
        &self,
        number: &E164,
        change: &Change,
        before: Option<Map<String, Value>>,
    ) -> io::Result<()> {
        let begun = Begun {
            job: self.id.clone(),
            at: now(),
            number: number.clone(),
            sets: change.keys().cloned().collect(),
            before,
        };
        self.write(&Entry::Begun(begun)).map(drop)
    }

    pub fn unsent(&self, number: &E164) -> io::Result<()> {
        let (job, at, number) = (self.id.clone(), now(), number.clone());
        self.write(&Entry::Unsent(Unsent { job, at, number }))
            .map(drop)
    }

    /// Records an outcome; returns where it is.
    pub fn ended(&self, ended: &Ended) -> io::Result<u64> {
        let (job, ended) = (self.id.clone(), ended.clone());
        self.write(&Entry::Ended(Box::new(Stamped { job, ended })))
    }

    fn write(&self, line: &Entry) -> io::Result<u64> {
        let text = escape_json(serde_json::to_string(line)?) + "\n";
        self.lock().write(text.as_bytes())
    }

    /// Reads the outcome that was recorded at a byte.
    pub fn outcome_at(&self, line: u64) -> io::Result<Ended> {
        let inner = self.lock();
        let mut reader = BufReader::new(&*inner.file);
        reader.seek(SeekFrom::Start(line))?;
        let mut text = Vec::new();
        reader.read_until(b'\n', &mut text)?;
        match serde_json::from_slice(&text)? {
            Entry::Ended(stamped) => Ok(stamped.ended),
            _ => Err(io::Error::other("the journal was changed")),
        }
    }

    /// Returns what makes the disk have all that was written so far; it can take its time.
    pub fn syncing(&self) -> impl FnOnce() -> io::Result<()> + Send + 'static {
        let file = self.lock().file.clone();
        move || file.sync_data()
    }

    pub fn sync(&self) -> io::Result<()> {
        self.syncing()()
    }

    /// Notices that the file was cut, removed or replaced by somebody else.
    pub fn check(&self) -> io::Result<()> {
        let mut inner = self.lock();
        let intact = inner
            .check_length()
            .and_then(|()| same_file(&inner.file, &self.path));
        inner.broken |= intact.is_err();
        intact
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn check_length(&self) -> io::Result<()> {
        if self.file.metadata()?.len() == self.length {
            return Ok(());
        }
        Err(io::Error::other("it was changed by another program"))
    }

    /// Adds a whole line, or nothing; returns where.
    fn write(&mut self, line: &[u8]) -> io::Result<u64> {
        if self.broken {
            return Err(io::Error::other("it could not be written before"));
        }
        if let Err(error) = self.check_length() {
            self.broken = true;
            return Err(error);
        }
        let start = self.length;
        let mut file = &*self.file;
        let written = file
            .seek(SeekFrom::Start(start))
            .and_then(|_| file.write_all(line));
        match written {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(start)
            }
            Err(error) => {
                // Half of a line must not be taken for one.
                self.broken = file.set_len(start).is_err();
                Err(error)
            }
        }
    }
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> io::Result<()> {
    let here = files::file_identity(&file.metadata()?);
    match fs::metadata(path) {
        Ok(there) if files::file_identity(&there) == here => Ok(()),
        Ok(_) => Err(io::Error::other("it was replaced by another program")),
        Err(_) => Err(io::Error::other("it was removed by another program")),
    }
}

#[cfg(not(unix))]
fn same_file(_: &File, path: &Path) -> io::Result<()> {
    fs::metadata(path).map(drop)
}

/// Refuses a path that exists, and says what can be done. Only a job that is incomplete and went to
/// the same server is offered to be resumed.
pub fn already_exists(path: &Path, server: &str) -> String {
    let name = quoted(path);
    let elsewhere = "choose another --journal, or move it away, or use --force to replace it";
    if !is_journal(path) {
        return format!("{name} already exists; {elsewhere}");
    }
    let Ok((job, history)) = peek(path, &mut |_| ()) else {
        return format!("{name} already exists; {elsewhere}");
    };
    let applied = history.count(State::Applied);
    let exists = format!(
        "{name} already exists (journal of a job at {} started {}, {applied} of {} applied)",
        job.server, job.at, job.numbers
    );
    if applied == job.numbers || job.server != server {
        return format!("{exists}; {elsewhere}");
    }
    format!("{exists}; run `sigmamind resume {name}`, or {elsewhere}")
}

fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Failure::usage(format!(
            "{} is locked by another sigmamind process",
            quoted(path)
        ))),
        Err(TryLockError::Error(error)) => {
            warn(&format!(
                "{} cannot be locked ({error}); do not run another sigmamind with it",
                quoted(path)
            ));
            Ok(())
        }
    }
}

#[cfg(unix)]
fn owner_only(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn owner_only(_: &mut OpenOptions) {}
