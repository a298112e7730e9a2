//! Files of one test alone, also when the tests run twice at the same time.

use std::{fs, path::Path};

use tempfile::{NamedTempFile, TempPath};

/// Writes a file, which is there until it is dropped.
pub fn file(text: &str) -> TempPath {
    let file = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(&file, text).unwrap();
    file.into_temp_path()
}

/// Replaces a file so that nobody sees half of it, as programs that rotate keys do.
pub fn replace(file: &Path, text: &str) {
    let next = file.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(next, file).unwrap();
}
