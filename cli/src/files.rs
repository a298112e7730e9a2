//! Files: inputs that are ordinary files, and outputs that replace nothing by accident.

use std::{
    fs, io,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{
    failure::{Failure, Result},
    text::quoted,
    ui,
};

/// A secret is shorter than this, in bytes.
const LONGEST_SECRET: u64 = 64 << 10;

/// Writes a whole file that only its owner can read. The old content stays until the end.
pub fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(folder(path))?;
    {
        let mut buffered = io::BufWriter::new(&mut file);
        write(&mut buffered)?;
        buffered.flush()?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Returns the folder of a file.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Returns the path with something added to its name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Refuses to read from a folder, a pipe or a device, which could hang. A missing file is left to
/// the attempt to read it.
pub fn check_input(path: &Path) -> Result<()> {
    match fs::metadata(path) {
        Ok(file) if file.is_dir() => Err(Failure::usage(format!("{} is a folder", quoted(path)))),
        Ok(file) if !file.is_file() => Err(Failure::usage(format!(
            "{} is a pipe or a device, not a file",
            quoted(path)
        ))),
        _ => Ok(()),
    }
}

/// Reads an ordinary file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    check_input(path)?;
    fs::read(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", quoted(path))))
}

/// Files that a command reads and writes, checked before anything is sent: an output is never an
/// input, and replaces a file only if that is allowed.
#[derive(Default)]
pub struct Plan {
    inputs: Vec<PathBuf>,
    outputs: Vec<PathBuf>,
    pub force: bool,
}

impl Plan {
    pub fn new(force: bool) -> Self {
        Self {
            force,
            ..Self::default()
        }
    }

    pub fn input(&mut self, path: &Path) {
        if path != Path::new("-") {
            self.inputs.push(path.to_owned());
        }
    }

    /// Adds an output. `own` says that a file that is there is this job's own.
    pub fn output(&mut self, path: &Path, own: bool) -> Result<()> {
        let name = quoted(path);
        if let Some(input) = self.inputs.iter().find(|input| is_same(input, path)) {
            return Err(Failure::usage(format!(
                "{name} would be overwritten, and is also read (as {}); choose another name",
                quoted(input)
            )));
        }
        if self.outputs.iter().any(|output| is_same(output, path)) {
            return Err(Failure::usage(format!(
                "{name} would be written twice; choose another name"
            )));
        }
        match fs::metadata(path) {
            Ok(file) if !file.is_file() => {
                return Err(Failure::usage(format!(
                    "cannot write {name}: it is a folder, a pipe or a device"
                )));
            }
            Ok(_) if !own && !self.force => {
                return Err(Failure::usage(format!(
                    "{name} already exists; use --force to replace it"
                )));
            }
            Err(_) if !folder(path).is_dir() => {
                return Err(Failure::usage(format!(
                    "cannot write {name}: there is no folder {}",
                    quoted(folder(path))
                )));
            }
            _ => {}
        }
        self.outputs.push(path.to_owned());
        Ok(())
    }
}

/// Returns whether two paths name one file.
pub fn is_same(a: &Path, b: &Path) -> bool {
    a == b
        || match (identity(a), identity(b)) {
            (Some(a), Some(b)) => a == b,
            _ => match (place(a), place(b)) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
        }
}

/// Where a file is, or would be.
fn place(path: &Path) -> Option<PathBuf> {
    let folder = fs::canonicalize(folder(path)).ok()?;
    Some(folder.join(path.file_name()?))
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| file_identity(&file))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

/// Identity of a file, independent of its name: device and inode.
#[cfg(unix)]
pub fn file_identity(file: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

/// Reads a secret text from a file or standard input. A line break at its end is not part of it.
pub fn secret(path: &Path, what: &str) -> Result<String> {
    let name = quoted(path);
    let io_error = |error: io::Error| Failure::usage(format!("cannot read {name}: {error}"));
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().take(LONGEST_SECRET).read_to_string(&mut text)
    } else {
        check_input(path)?;
        warn_if_open(path, what);
        let file = fs::File::open(path).map_err(io_error)?;
        file.take(LONGEST_SECRET).read_to_string(&mut text)
    }
    .map_err(io_error)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let secret = line.strip_suffix('\r').unwrap_or(line);
    if secret.is_empty() {
        return Err(Failure::usage(format!("{name} is empty")));
    }
    Ok(secret.to_owned())
}

/// Warns if other users of the machine can read a file that has secrets.
pub fn warn_if_open(path: &Path, what: &str) {
    if is_open(path) {
        ui::warn(&format!(
            "{0} contains {what} and other users can read it; run `chmod 600 {0}`",
            quoted(path)
        ));
    }
}

#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

/// Reads a secret that was read before, if it is still there.
pub fn secret_again(path: &Path) -> Option<String> {
    check_input(path).ok()?;
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    file.take(LONGEST_SECRET).read_to_string(&mut text).ok()?;
    Some(text.trim_end_matches(['\r', '\n']).to_owned())
}
