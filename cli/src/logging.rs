//! `-v`, `RUST_LOG` and `--log-file`: the library's log, which has no secrets.

use std::{env, fs::OpenOptions, io, sync::Mutex};

use tracing_subscriber::EnvFilter;

use crate::{
    args::Global,
    failure::{Failure, Result},
    files::check_input,
    text::quoted,
    ui,
};

/// Starts what the options ask for.
pub fn start(global: &Global) -> Result<()> {
    if global.quiet {
        ui::be_quiet();
    }
    let variable = env::var("RUST_LOG")
        .ok()
        .filter(|filter| !filter.is_empty());
    if !global.verbose && global.log_file.is_none() && variable.is_none() {
        return Ok(());
    }
    let filter = variable.as_deref().unwrap_or("sigmamind=debug");
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Failure::usage(format!("RUST_LOG cannot be understood: {error}")))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false);
    let started = match &global.log_file {
        Some(path) => {
            check_input(path)?;
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| {
                    Failure::usage(format!("cannot write {}: {error}", quoted(path)))
                })?;
            log.with_writer(Mutex::new(file)).try_init()
        }
        None => log.with_writer(io::stderr).try_init(),
    };
    started.map_err(|error| Failure::usage(format!("cannot log: {error}")))
}
