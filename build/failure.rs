//! Why the build stops.

use std::{
    panic::{self, UnwindSafe},
    path::Path,
};

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

/// Runs the generator, which panics on some documents, and returns the panic's message.
pub fn quietly<T>(work: impl FnOnce() -> T + UnwindSafe) -> Result<T, String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(work);
    panic::set_hook(hook);
    result.map_err(|payload| {
        payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "the generator panicked".into())
    })
}
