//! Calls without async: one thread of the process drives them all.

use std::{
    future::pending,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake},
    thread::{self, Thread},
};

use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Handle};

use crate::{call::Call, error::Error, response::Response};

impl<T: DeserializeOwned + Send + 'static> Call<T> {
    /// Sends it and waits for the outcome, without async.
    ///
    /// One thread, started for the first such call of the process, drives them all, and the
    /// connections between them. Any number of threads may wait at the same time, also those of
    /// tokio's `spawn_blocking`.
    ///
    /// A task of an async runtime should await the call instead. If it waits, the call still ends,
    /// but until then nothing else runs on the worker that it blocks.
    ///
    /// ```no_run
    /// # fn run(client: sigmamind::Client, number: sigmamind::E164, update: sigmamind::PhoneNumberUpdate) -> Result<(), sigmamind::Error> {
    /// let phone = client.update_phone_number(&number, &update).wait()?;
    /// println!("{:?}", phone.friendly_name);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`]. If the thread cannot be started, [`Error::is_invalid_input`].
    ///
    /// # Panics
    ///
    /// If a hook of the client's ([`on_attempt`](crate::ClientBuilder::on_attempt)) panics, with
    /// its panic.
    pub fn wait(self) -> Result<Response<T>, Error> {
        match block_on(worker()?.spawn(self.send())) {
            Ok(outcome) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => Err(Error::setup(error)),
            },
        }
    }
}

/// Waits for a future that something else drives.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Waiting(Thread);

    impl Wake for Waiting {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Arc::new(Waiting(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// The runtime of the thread, which is started if it does not run yet.
pub(crate) fn worker() -> Result<Handle, Error> {
    static WORKER: Mutex<Option<Handle>> = Mutex::new(None);
    let mut worker = WORKER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(worker) = &*worker {
        return Ok(worker.clone());
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::setup)?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("sigmamind".into())
        .spawn(move || runtime.block_on(pending::<()>()))
        .map_err(Error::setup)?;
    Ok(worker.insert(handle).clone())
}
