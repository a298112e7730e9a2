//! Ctrl-C, and a request to terminate.

use std::io;

/// What interrupts, as often as it does.
pub struct Interrupts {
    #[cfg(unix)]
    signals: [tokio::signal::unix::Signal; 2],
    #[cfg(windows)]
    signal: tokio::signal::windows::CtrlC,
}

#[cfg(unix)]
impl Interrupts {
    pub fn new() -> io::Result<Self> {
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
    pub fn new() -> io::Result<Self> {
        let signal = tokio::signal::windows::ctrl_c()?;
        Ok(Self { signal })
    }

    pub async fn next(&mut self) {
        self.signal.recv().await;
    }
}
