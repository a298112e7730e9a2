//! Why the build stops.

use std::path::Path;

/// The step that failed, the reason, and what to do about it.
pub struct Failure {
    step: &'static str,
    reason: String,
    remedy: &'static str,
}

impl Failure {
    pub fn new(step: &'static str, reason: impl Into<String>, remedy: &'static str) -> Self {
        Self {
            step,
            reason: reason.into(),
            remedy,
        }
    }

    /// Tells cargo, in one line: a directive has no more.
    pub fn report(&self, file: &Path) {
        let Self {
            step,
            reason,
            remedy,
        } = self;
        let mut reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        // The generator may print a whole syntax tree.
        if let Some((end, _)) = reason.char_indices().nth(300) {
            reason.replace_range(end.., "…");
        }
        let file = file.display();
        println!("cargo::error={file}: cannot {step}: {reason}. {remedy}");
    }
}
