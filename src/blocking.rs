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

use crate::{batch::Batch, call::Call, error::Error, response::Response};

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
    /// See [`Error`]. If the thread cannot be started, [`Error::is_configuration`].
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

impl<I, T> Batch<I, T>
where
    I: Iterator<Item = Call<T>>,
    T: DeserializeOwned + Send + 'static,
{
    /// The next outcome, as [`next`](Self::next) has it, without async.
    ///
    /// The calls run on the thread that [`Call::wait`] has them run on.
    ///
    /// ```no_run
    /// # fn run(client: sigmamind::Client, numbers: Vec<sigmamind::E164>, update: sigmamind::PhoneNumberUpdate) {
    /// let calls = numbers.iter().map(|number| client.update_phone_number(number, &update));
    /// let mut batch = sigmamind::Batch::new(calls);
    /// while let Some((index, outcome)) = batch.wait_next() {
    ///     println!("{}: {}", numbers[index], outcome.is_ok());
    /// }
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// As `next` does, and if the thread cannot be started.
    pub fn wait_next(&mut self) -> Option<(usize, Result<Response<T>, Error>)> {
        let worker = worker().expect("a thread");
        let _inside = worker.enter();
        block_on(self.next())
    }
}

/// Waits for a future that something else drives.
fn block_on<F: Future>(future: F) -> F::Output {
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
fn worker() -> Result<Handle, Error> {
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
