//! Ctrl-C, and a request to terminate.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::failure::{Failure, Result};

/// The runtime of a job. Once it is started, signals are events and end nothing by themselves.
pub struct SignalRuntime {
    pub runtime: Runtime,
    pub interrupts: Interrupts,
}

impl SignalRuntime {
    pub fn start() -> Result<Self> {
        let start_error = |error: io::Error| Failure::usage(format!("cannot start: {error}"));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(start_error)?;
        let interrupts = runtime.block_on(async { Interrupts::new() });
        Ok(Self {
            interrupts: interrupts.map_err(start_error)?,
            runtime,
        })
    }
}

/// The signals that interrupt a job, each time they come.
pub struct Interrupts {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
    #[cfg(windows)]
    signal: tokio::signal::windows::CtrlC,
}

#[cfg(unix)]
impl Interrupts {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            signals: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ],
        })
    }

    pub async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
impl Interrupts {
    fn new() -> io::Result<Self> {
        let signal = tokio::signal::windows::ctrl_c()?;
        Ok(Self { signal })
    }

    pub async fn next(&mut self) {
        self.signal.recv().await;
    }
}
