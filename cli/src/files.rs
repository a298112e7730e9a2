//! Files of the operator's own: read by nobody else, and written as a whole or not at all.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::{
    failure::{Failure, Result},
    ui,
};

/// Writes a whole file, with access for its owner alone. What was there stays until the end.
pub fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = folder(path);
    let mut file = NamedTempFile::new_in(folder)?;
    {
        let mut buffered = io::BufWriter::new(&mut file);
        write(&mut buffered)?;
        buffered.flush()?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// The folder of a file.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The path with something added to its name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Reads a text that is a secret; a line break at its end is not a part of it.
pub fn secret(path: &Path, what: &str) -> Result<String> {
    let cannot =
        |error: io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let text = if path == Path::new("-") {
        io::read_to_string(io::stdin()).map_err(cannot)?
    } else {
        warn_if_open(path, what);
        fs::read_to_string(path).map_err(cannot)?
    };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::usage(format!("{} is empty", path.display())));
    }
    Ok(text.to_owned())
}

/// Warns if other users of the machine can read a file that has secrets.
pub fn warn_if_open(path: &Path, what: &str) {
    if is_open(path) {
        ui::warn(&format!(
            "{} has {what} in it, and others can read it; chmod 600 it",
            path.display()
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
