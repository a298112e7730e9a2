//! Many calls, a few at a time.

use std::{
    collections::HashMap,
    fmt,
    iter::{Enumerate, Fuse},
    panic,
};

use serde::de::DeserializeOwned;
use tokio::{
    runtime::Handle,
    task::{Id, JoinError, JoinSet},
};
use tracing::Instrument;

use crate::{
    call::Call,
    error::{Error, Kind},
    response::Response,
};

/// So many are under way at first.
const FIRST: f64 = 4.0;
/// By so much their number grows with each call that the server did not refuse.
const GROWTH: f64 = 0.5;

/// Many calls, a few at a time, each with its own outcome.
///
/// ```no_run
/// # async fn run(client: sigmamind::Client, numbers: Vec<sigmamind::E164>, update: sigmamind::PhoneNumberUpdate) {
/// use sigmamind::Batch;
///
/// let calls = numbers.iter().map(|number| client.update_phone_number(number, &update));
/// let mut batch = Batch::new(calls).concurrency(16);
/// while let Some((index, outcome)) = batch.next().await {
///     match outcome {
///         Ok(phone) => println!("{}: {:?}", numbers[index], phone.provider),
///         Err(error) => println!("{}: {error}", numbers[index]),
///     }
/// }
/// # }
/// ```
///
/// The calls come from an iterator of any kind, which [`next`](Self::next) goes on with when a
/// place is free: a million of them take no more memory than those that are under way. Each runs as
/// a task of its own, so that it also goes on while nobody awaits `next`, and its timeout does not
/// run out because of a slow consumer. New ones begin in `next` alone: who awaits it slowly lets
/// fewer run.
///
/// No failure stops the others. To stop at one, call [`stop`](Self::stop) and see what the rest
/// has come to:
///
/// ```no_run
/// # async fn run(mut batch: sigmamind::Batch<std::vec::IntoIter<sigmamind::Call<sigmamind::PhoneNumber>>, sigmamind::PhoneNumber>) {
/// while let Some((_, outcome)) = batch.next().await {
///     if outcome.is_err_and(|error| error.is_auth()) {
///         batch.stop(); // starts no more
///     }
/// }
/// # }
/// ```
///
/// A server that limits the rate is asked a little at a time: a batch begins with four calls at
/// once, and has more as long as nothing is refused. When something is, all calls with the key wait
/// for their turns at one rate limiter. The wait for the first is not part of a call's
/// [timeout](crate::ClientBuilder::timeout), because it is the others' that it waits for; it ends
/// with an error when the server wants a pause that is
/// [too long](crate::ClientBuilder::max_retry_after), or when for the length of the timeout
/// nothing at all was granted.
///
/// Dropping the batch stops all of it at once. What becomes of the calls under way is not known
/// then: the server may or may not have got them. To know, `stop` it and await `next` to the end.
///
/// For a `Stream`, with the crate `futures`:
///
/// ```no_run
/// # use futures_util as futures;
/// # fn run(batch: sigmamind::Batch<std::vec::IntoIter<sigmamind::Call<sigmamind::PhoneNumber>>, sigmamind::PhoneNumber>) {
/// let stream = futures::stream::unfold(batch, |mut batch| async { Some((batch.next().await?, batch)) });
/// # drop(stream);
/// # }
/// ```
#[must_use = "a batch does nothing until `next` is awaited"]
pub struct Batch<I, T> {
    /// Empty when it was stopped.
    calls: Option<Fuse<Enumerate<I>>>,
    concurrency: usize,
    /// How many may be under way by now.
    places: f64,
    tasks: JoinSet<Result<Response<T>, Error>>,
    under_way: HashMap<Id, usize>,
}

impl<I, T> Batch<I, T>
where
    I: Iterator<Item = Call<T>>,
    T: DeserializeOwned + Send + 'static,
{
    /// A batch of these calls, of which none has begun.
    pub fn new(calls: impl IntoIterator<IntoIter = I>) -> Self {
        Self {
            calls: Some(calls.into_iter().enumerate().fuse()),
            concurrency: 8,
            places: FIRST,
            tasks: JoinSet::new(),
            under_way: HashMap::new(),
        }
    }

    /// How many calls may be under way at the most. Default: 8; 0 counts as 1.
    ///
    /// More than the server's rate times the time of an answer brings nothing.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = most.max(1);
        self
    }

    /// The next outcome, as they come, with the index of its call; none when all are told.
    ///
    /// Every call that has begun has one. The spans of calls that begin here are children of the
    /// span that is current here.
    ///
    /// It is cancel-safe: what ends while it is not awaited is told the next time. Outside a tokio
    /// runtime, each call ends with an error ([`Error::is_configuration`]).
    ///
    /// # Panics
    ///
    /// If a call panics (by a hook of the client's) or the iterator does. It may be awaited again
    /// for the others.
    pub async fn next(&mut self) -> Option<(usize, Result<Response<T>, Error>)> {
        while self.tasks.len() < self.places() {
            let Some((index, call)) = self.calls.as_mut().and_then(Iterator::next) else {
                break;
            };
            if Handle::try_current().is_err() {
                return Some((index, call.run(true).await)); // says so
            }
            let task = self.tasks.spawn(call.run(true).in_current_span());
            self.under_way.insert(task.id(), index);
        }
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let index = self.under_way.remove(&id)?;
        let outcome = match ended {
            Ok((_, outcome)) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                // Its runtime was shut down.
                Err(cancelled) => Err(Error::new(Kind::Transport)
                    .with_source(cancelled)
                    .with_history(1, true)),
            },
        };
        let (attempts, refused) = match &outcome {
            Ok(response) => (response.attempts(), false),
            Err(error) => (error.attempts(), error.is_rate_limited()),
        };
        if attempts <= 1 && !refused {
            self.places += GROWTH;
        }
        Some((index, outcome))
    }

    /// Begins no more calls. [`next`](Self::next) still tells of those under way.
    pub fn stop(&mut self) {
        self.calls = None;
    }

    fn places(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a small number above zero, and a cast is saturating"
        )]
        let places = self.places as usize;
        places.min(self.concurrency)
    }
}

impl<I, T> fmt::Debug for Batch<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("concurrency", &self.concurrency)
            .field("under_way", &self.under_way.len())
            .field("stopped", &self.calls.is_none())
            .finish_non_exhaustive()
    }
}
