//! Many calls, a few at a time.

use std::{
    collections::HashMap,
    fmt,
    future::{Future, pending, poll_fn},
    iter::{Enumerate, Fuse},
    panic,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use serde::de::DeserializeOwned;
use tokio::{
    runtime::Handle,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tracing::Instrument;

use crate::{
    call::Call,
    error::{AttemptHistory, Cause, Error},
    places::BatchPlaces,
    response::Response,
};

/// Calls in flight at first, before the slow start has grown.
const FIRST: f64 = 4.0;
/// Growth of that number with each call that the server did not refuse.
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
/// The calls come from any iterator, which [`next`](Self::next) advances when a place is free: a
/// million calls take no more memory than those in flight. Each runs as a task of its own, so that
/// it also makes progress while nobody awaits `next`, and its timeout does not run out because of a
/// slow consumer. New calls begin in `next` alone: a slow consumer lets fewer run.
///
/// A failure does not stop the others. To stop at one, call [`stop`](Self::stop), and await the
/// outcomes of the calls in flight:
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
/// A batch starts slowly, for servers that limit the rate: with four calls in flight, and more as
/// long as nothing is refused. After a refusal, all calls with the key wait for permits of one rate
/// limiter. While the server asks for a pause, no further call begins, so that its time limit does
/// not run; [`Client::rate_limiter`](crate::Client::rate_limiter) returns what is left of the pause.
/// A call that was refused makes room for another: a few numbers that are always refused do not
/// block the rest. The wait for the first permit is not part of a call's
/// [timeout](crate::ClientBuilder::timeout), because it depends on the other calls; it ends with an
/// error when no call at all was granted for the length of the timeout.
///
/// Dropping the batch stops all calls at once. The results of those in flight are unknown then: the
/// server may or may not have received them. To know them, `stop` it and await `next` to the end.
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
    /// `None` after a stop.
    calls: Option<Fuse<Enumerate<I>>>,
    concurrency: usize,
    /// The next call, if a pause keeps it from beginning.
    upcoming: Option<(usize, Call<T>)>,
    /// Calls that may be in flight by now, as the slow start grows.
    slow_start: f64,
    places: Arc<BatchPlaces>,
    tasks: JoinSet<Result<Response<T>, Error>>,
    /// The index of each task's call.
    in_flight: HashMap<Id, usize>,
}

impl<I, T> Batch<I, T>
where
    I: Iterator<Item = Call<T>>,
    T: DeserializeOwned + Send + 'static,
{
    /// Makes a batch of these calls. None begins yet.
    pub fn new(calls: impl IntoIterator<IntoIter = I>) -> Self {
        Self {
            calls: Some(calls.into_iter().enumerate().fuse()),
            concurrency: 8,
            upcoming: None,
            slow_start: FIRST,
            places: Arc::default(),
            tasks: JoinSet::new(),
            in_flight: HashMap::new(),
        }
    }

    /// Sets the maximum number of calls in flight. Default: 8; 0 counts as 1.
    ///
    /// More than the server's rate times its response time brings nothing. If all of them were
    /// refused and wait, one more begins.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = most.max(1);
        self
    }

    /// Returns the next outcome, in the order of completion, with the index of its call; `None`
    /// after the last.
    ///
    /// Every call that has begun has one. The spans of calls that begin here are children of the
    /// span that is current here.
    ///
    /// It is cancel-safe: a call that ends while this is not awaited is returned the next time. Outside a
    /// Tokio runtime, each call ends with an error ([`Error::is_configuration`]).
    ///
    /// # Panics
    ///
    /// If a call panics (by a hook of the client's) or the iterator does. It may be awaited again
    /// for the others.
    pub async fn next(&mut self) -> Option<(usize, Result<Response<T>, Error>)> {
        loop {
            let paused_until = self.begin_calls();
            if Handle::try_current().is_err()
                && let Some((index, call)) = self.upcoming.take()
            {
                return Some((index, call.send_with(None).await)); // says so
            }
            if self.tasks.is_empty() && paused_until.is_none() {
                return None;
            }
            if let Some(ended) = self.ended(paused_until).await {
                return self.outcome(ended);
            }
        }
    }

    /// Begins calls while there are places. Returns when the pause ends that keeps it from that.
    fn begin_calls(&mut self) -> Option<Instant> {
        while self.has_place() {
            if self.upcoming.is_none() {
                self.upcoming = self.calls.as_mut()?.next();
            }
            let (_, call) = self.upcoming.as_ref()?;
            if let Some(until) = call.paused_until() {
                return Some(until);
            }
            Handle::try_current().ok()?;
            let (index, call) = self.upcoming.take()?;
            let run = call.send_with(Some(self.places.clone())).in_current_span();
            self.in_flight.insert(self.tasks.spawn(run).id(), index);
        }
        None
    }

    /// Returns whether one more call may begin.
    ///
    /// Calls that were refused hold no place of the slow start. If all in flight were, one more
    /// begins, whose request can show that the server grants others.
    fn has_place(&self) -> bool {
        let in_flight = self.tasks.len();
        let untried = in_flight.saturating_sub(self.places.given_back());
        untried < self.slow_start() && (in_flight < self.concurrency || untried == 0)
    }

    fn slow_start(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a small number above zero, and a cast is saturating"
        )]
        let places = self.slow_start as usize;
        places.min(self.concurrency)
    }

    /// Waits until a task ends. Returns `None` if another call may begin before.
    async fn ended(&mut self, paused_until: Option<Instant>) -> Option<Ended<T>> {
        let Self { tasks, places, .. } = self;
        let mut given_back = pin!(places.changed.notified());
        let mut pause = pin!(async {
            match paused_until {
                Some(until) => sleep_until(until).await,
                None => pending().await,
            }
        });
        poll_fn(|cx| {
            if let Poll::Ready(Some(ended)) = tasks.poll_join_next_with_id(cx) {
                return Poll::Ready(Some(ended));
            }
            let may_begin =
                given_back.as_mut().poll(cx).is_ready() || pause.as_mut().poll(cx).is_ready();
            if may_begin {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    fn outcome(&mut self, ended: Ended<T>) -> Option<(usize, Result<Response<T>, Error>)> {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let index = self.in_flight.remove(&id)?;
        let outcome = match ended {
            Ok((_, outcome)) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => panic::resume_unwind(panic),
                // Its runtime was shut down.
                Err(cancelled) => Err(Error::new(Cause::ConnectionLost)
                    .with_source(cancelled)
                    .with_history(AttemptHistory {
                        attempts: 1,
                        may_have_been_applied: true,
                    })),
            },
        };
        let (attempts, refused) = match &outcome {
            Ok(response) => (response.attempts(), false),
            Err(error) => (error.attempts(), error.is_rate_limited()),
        };
        if attempts <= 1 && !refused {
            self.slow_start += GROWTH;
        }
        Some((index, outcome))
    }

    /// Begins no more calls. [`next`](Self::next) still returns those in flight.
    pub fn stop(&mut self) {
        self.calls = None;
        self.upcoming = None;
    }
}

type Ended<T> = Result<(Id, Result<Response<T>, Error>), JoinError>;

impl<I, T> fmt::Debug for Batch<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("concurrency", &self.concurrency)
            .field("in_flight", &self.in_flight.len())
            .field("stopped", &self.calls.is_none())
            .finish_non_exhaustive()
    }
}
