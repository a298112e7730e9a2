//! Sends calls without async: one thread of the process drives them all.

use std::{
    future::pending,
    pin::pin,
    process,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake},
    thread::{self, Thread, ThreadId},
};

use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Handle};

use crate::{batch::Batch, call::Call, error::Error, response::Response};

impl<T: DeserializeOwned + Send + 'static> Call<T> {
    /// Sends the call and waits for the outcome, without async.
    ///
    /// One thread, started for the first such call of the process, drives them all, and the
    /// connections between them. Any number of threads may wait at the same time, also those of
    /// tokio's `spawn_blocking`.
    ///
    /// A task of an async runtime should await the call instead. If it waits, the call still ends,
    /// but until then nothing else runs on the worker that it blocks.
    ///
    /// In the child of a fork, a thread is started again. Make a new client there: connections that
    /// the parent has opened do not answer in the child, so that a call which gets one of them waits
    /// for its [attempt timeout](crate::ClientBuilder::attempt_timeout) first.
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
    /// See [`Error`]. [`Error::is_configuration`] if the thread cannot be started, or if this is
    /// called on that thread: inside a key provider or a hook of a call that waits itself.
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
    /// Returns the next outcome, as [`next`](Self::next) does, without async.
    ///
    /// The calls run on the thread of [`Call::wait`].
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
    /// As `next` does, and where [`Call::wait`] has no thread to wait for.
    pub fn wait_next(&mut self) -> Option<(usize, Result<Response<T>, Error>)> {
        let worker = worker().unwrap_or_else(|error| panic!("{error}"));
        let _inside = worker.enter();
        block_on(self.next())
    }
}

/// Blocks this thread until a future ends that another thread drives.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// The thread that drives the calls, of the process that has started it.
struct Worker {
    process: u32,
    thread: ThreadId,
    runtime: Handle,
}

/// Returns the runtime of the worker, which is started if this process has none.
fn worker() -> Result<Handle, Error> {
    static WORKER: Mutex<Option<Worker>> = Mutex::new(None);
    let mut worker = WORKER.lock().unwrap_or_else(PoisonError::into_inner);
    // The child of a fork has the memory of its parent, and none of the other threads.
    let process = process::id();
    if let Some(worker) = worker.as_ref().filter(|it| it.process == process) {
        if worker.thread == thread::current().id() {
            return Err(Error::configuration(
                "wait() inside a key provider or a hook would wait for its own thread; get the \
                 key outside of it",
            ));
        }
        return Ok(worker.runtime.clone());
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::setup)?;
    let handle = runtime.handle().clone();
    let started = thread::Builder::new()
        .name("sigmamind".into())
        .spawn(move || runtime.block_on(pending::<()>()))
        .map_err(Error::setup)?;
    *worker = Some(Worker {
        process,
        thread: started.thread().id(),
        runtime: handle.clone(),
    });
    Ok(handle)
}
