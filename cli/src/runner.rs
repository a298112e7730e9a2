//! The sending of many numbers, each of them recorded.
//!
//! A job is sent in rounds. A round ends when there is nothing more to send, when the job is
//! stopped, or when the server is in trouble. Then the numbers that failed for a passing reason wait
//! a moment and go into the next round, behind the others.

mod outcomes;

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    io,
    time::Duration,
};

use serde_json::{Map, Value};
use sigmamind::{Batch, Call, Client, Error, PhoneNumber, Response};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, interval, sleep_until},
};

use crate::{
    args::{Format, Sending},
    change::Change,
    connection::Gate,
    export::Export,
    history::{History, Record, State},
    input::{Input, Row},
    interrupt::{Interrupts, SignalRuntime},
    journal::{Ended, Journal, SYNC},
    progress::Progress,
    report,
    stops::{StopReason, Watch, seconds},
    ui,
    validate::update,
};

/// Time that a stopped job waits for requests in flight: as long as an attempt may take by default.
const DRAIN: Duration = Duration::from_secs(30);

/// The wait before the second round; it doubles with each further round without a success.
const FIRST_HOLD: Duration = Duration::from_millis(500);
const LONGEST_HOLD: Duration = Duration::from_secs(8);

type Answer = std::result::Result<Response<PhoneNumber>, Error>;

/// A job with everything it needs.
pub struct Runner<'r> {
    pub input: &'r Input<'r>,
    pub before: Option<&'r Export>,
    pub client: Client,
    pub gate: Gate,
    pub sending: &'r Sending,
    pub format: Format,
    pub journal: Journal,
    state: RefCell<Progressed>,
}

/// State that changes while a job runs.
struct Progressed {
    /// For each row.
    records: Vec<Record>,
    /// Outcomes that the journal does not have, by row.
    unwritten: HashMap<usize, Ended>,
    watch: Watch,
    /// Count of retries, by row.
    tries: HashMap<usize, u32>,
    /// Rows to send in the next round.
    deferred: Vec<usize>,
    /// A pause that the server requested.
    pause: Option<Duration>,
    /// Count of requests that the ended calls have sent.
    attempts: u32,
    /// Why the journal could not be written.
    broken: Option<io::Error>,
}

impl<'r> Runner<'r> {
    pub fn new(
        input: &'r Input<'r>,
        before: Option<&'r Export>,
        (client, gate): (Client, Gate),
        (sending, format): (&'r Sending, Format),
        journal: Journal,
        history: &History,
    ) -> Self {
        let records = input.rows.iter().map(|row| history.get(&row.number));
        Self {
            input,
            before,
            client,
            gate,
            sending,
            format,
            journal,
            state: RefCell::new(Progressed {
                records: records.collect(),
                unwritten: HashMap::new(),
                watch: Watch::new(sending),
                tries: HashMap::new(),
                deferred: Vec::new(),
                pause: None,
                attempts: 0,
                broken: None,
            }),
        }
    }

    /// Sends these rows in their order; returns why it ended.
    pub fn run(&self, signals: &mut SignalRuntime, rows: &[usize]) -> StopReason {
        let canary = self.sending.canary.map_or(0, |canary| canary as usize);
        let (first, others) = rows.split_at(canary.min(rows.len()));
        let SignalRuntime {
            runtime,
            interrupts,
        } = signals;
        let mut stop = runtime.block_on(self.send(first, interrupts));
        if !first.is_empty() && stop.is_end() && !others.is_empty() {
            stop = self.after_canary(first, others.len());
        }
        if stop.is_end() {
            stop = runtime.block_on(self.send(others, interrupts));
        }
        if stop.is_end()
            && let Err(error) = self.journal.check()
        {
            stop = StopReason::Journal(error);
        }
        stop
    }

    fn after_canary(&self, first: &[usize], others: usize) -> StopReason {
        ui::info(&report::canary(self, first));
        let agreed = if self.sending.yes {
            Ok(first
                .iter()
                .all(|row| self.record(*row).state == State::Applied))
        } else {
            ui::ask(&format!("Send the other {others}?"))
        };
        self.state.borrow_mut().watch.restart();
        match agreed {
            Ok(true) => StopReason::End,
            Ok(false) => StopReason::Declined,
            Err(_) => StopReason::Interrupted,
        }
    }

    async fn send(&self, rows: &[usize], interrupts: &mut Interrupts) -> StopReason {
        let mut progress = Progress::new(rows.len());
        let queue = RefCell::new(VecDeque::from(rows.to_vec()));
        let mut holds = 0;
        loop {
            let before = progress.done();
            if let Some(stop) = self.round(&queue, interrupts, &mut progress).await {
                return stop;
            }
            let pause = self.next_round(&queue);
            if queue.borrow().is_empty() {
                return StopReason::End;
            }
            holds = if progress.done() > before {
                0
            } else {
                holds + 1
            };
            let hold = (FIRST_HOLD * 2_u32.pow(holds.min(8))).min(LONGEST_HOLD);
            if let Some(pause) = pause {
                let pause = seconds(pause);
                progress.info(&format!("The server asks for a pause of {pause}; waiting."));
            }
            let until = Instant::now() + pause.unwrap_or_default().max(hold);
            loop {
                tokio::select! {
                    biased;
                    () = interrupts.next() => return StopReason::Interrupted,
                    () = sleep_until(until) => break,
                    () = tokio::time::sleep(SYNC) => progress.tick(&self.client),
                }
            }
            if pause.is_some() {
                self.state.borrow_mut().watch.restart();
            }
        }
    }

    /// Puts the deferred rows behind the others; returns the pause that the server requested.
    fn next_round(&self, queue: &RefCell<VecDeque<usize>>) -> Option<Duration> {
        let mut state = self.state.borrow_mut();
        queue.borrow_mut().extend(state.deferred.drain(..));
        state.pause.take()
    }

    /// Sends until the queue is empty, the server is in trouble, or the job is stopped.
    async fn round(
        &self,
        queue: &RefCell<VecDeque<usize>>,
        interrupts: &mut Interrupts,
        progress: &mut Progress,
    ) -> Option<StopReason> {
        let mut ticks = interval(SYNC);
        let mut syncing = None::<JoinHandle<io::Result<()>>>;
        let started = RefCell::new(Vec::new());
        let calls = self.calls(queue, &started);
        let mut batch = Batch::new(calls).concurrency(usize::from(self.sending.concurrency));
        let mut stop = None;
        let mut drained = None;
        while !self.is_drained(&mut drained) {
            tokio::select! {
                biased;
                () = interrupts.next() => {
                    if self.gate.is_closed() {
                        stop = Some(StopReason::Interrupted);
                        break;
                    }
                    stop = Some(StopReason::Interrupted);
                    self.gate.close();
                    batch.stop();
                    progress.info(
                        "Interrupted: finishing requests in flight; press Ctrl-C again to stop now.",
                    );
                }
                _ = ticks.tick() => {
                    progress.tick(&self.client);
                    self.check_journal(&mut syncing).await;
                }
                next = batch.next() => {
                    let Some((index, answer)) = next else { break };
                    let row = started.borrow()[index];
                    let reason = self.end(row, &answer, progress);
                    if stop.is_none() && reason.is_some() {
                        self.gate.close();
                        stop = reason;
                    }
                    if stop.is_some() || self.is_troubled() {
                        batch.stop();
                    }
                }
            }
            if self.state.borrow().broken.is_some() && !self.gate.is_closed() {
                self.gate.close();
                batch.stop();
            }
        }
        drop(batch);
        self.put_back(&started.into_inner());
        match self.state.borrow_mut().broken.take() {
            Some(error) => Some(StopReason::Journal(error)),
            None => stop,
        }
    }

    /// The calls of the queue. Each is recorded just before it begins.
    fn calls(
        &self,
        queue: &RefCell<VecDeque<usize>>,
        started: &RefCell<Vec<usize>>,
    ) -> impl Iterator<Item = Call<PhoneNumber>> {
        std::iter::from_fn(move || {
            let row = queue.borrow_mut().pop_front()?;
            let call = self.begin(row);
            if call.is_none() {
                queue.borrow_mut().push_front(row);
            }
            started.borrow_mut().push(row);
            call
        })
    }

    /// Returns whether a stopped job has nothing more to wait for: all sent requests are answered,
    /// or the time is over.
    fn is_drained(&self, until: &mut Option<Instant>) -> bool {
        if !self.gate.is_closed() {
            return false;
        }
        let until = *until.get_or_insert_with(|| Instant::now() + DRAIN);
        self.all_answered() || Instant::now() >= until
    }

    fn all_answered(&self) -> bool {
        self.gate.attempts() == self.state.borrow().attempts
    }

    /// Records that nothing was sent of what was begun and did not leave.
    fn put_back(&self, started: &[usize]) {
        if !self.gate.is_closed() || !self.all_answered() {
            return;
        }
        for index in started {
            if self.record(*index).state == State::InFlight {
                self.unsent(*index, &self.input.rows[*index]);
            }
        }
    }

    async fn check_journal(&self, syncing: &mut Option<JoinHandle<io::Result<()>>>) {
        if syncing.as_ref().is_none_or(JoinHandle::is_finished) {
            let last = syncing.replace(spawn_blocking(self.journal.syncing()));
            if let Some(last) = last
                && let Ok(Err(error)) = last.await
            {
                self.broken(error);
            }
        }
        if let Err(error) = self.journal.check() {
            self.broken(error);
        }
    }

    fn is_troubled(&self) -> bool {
        let state = self.state.borrow();
        state.watch.is_troubled() || state.pause.is_some()
    }

    fn broken(&self, error: io::Error) {
        self.state.borrow_mut().broken.get_or_insert(error);
    }

    /// Records that a number is begun, and makes its call.
    fn begin(&self, index: usize) -> Option<Call<PhoneNumber>> {
        let row = &self.input.rows[index];
        let change = self.input.change(row);
        let call = update(&change)
            .map_err(io::Error::other)
            .map(|update| self.client.update_phone_number(&row.number, &update));
        let before = self.before(row, &change);
        let begun = call.and_then(|call| {
            self.journal.begun(&row.number, &change, before)?;
            Ok(call)
        });
        match begun {
            Ok(call) => {
                self.state.borrow_mut().records[index].begin();
                Some(call)
            }
            Err(error) => {
                self.broken(error);
                None
            }
        }
    }

    /// Returns the earlier values of the properties of a change, as far as they are known.
    fn before(&self, row: &Row, change: &Change) -> Option<Map<String, Value>> {
        let before = self.before?;
        let known = change.keys().filter_map(|name| {
            let value = before.get(&row.number, name)?;
            Some((name.clone(), value.clone()))
        });
        Some(known.collect())
    }
}
