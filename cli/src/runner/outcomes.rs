//! Outcomes of requests: records them, and decides whether to send again, to continue or to stop.

use sigmamind::{Error, ErrorKind};

use super::{Answer, Runner};
use crate::{
    args::Format,
    history::{Doubt, Outcome, Record, State},
    input::Row,
    journal::Ended,
    outcome::{self, Secrets},
    progress::Progress,
    stops::StopReason,
    text::escape_json,
    ui,
    validate::update,
};

impl Runner<'_> {
    /// Records the outcome of a request; returns whether to stop.
    pub(super) fn end(
        &self,
        index: usize,
        answer: &Answer,
        progress: &mut Progress,
    ) -> Option<StopReason> {
        let row = &self.input.rows[index];
        self.state.borrow_mut().attempts += match answer {
            Ok(response) => response.attempts(),
            Err(error) => error.attempts(),
        };
        if let Err(error) = answer
            && error.attempts() == 0
            && !error.may_have_been_applied()
            && (self.gate.is_closed() || self.may_postpone(index, error))
        {
            self.unsent(index, row);
            return self.postpone(index, error);
        }
        let change = self.input.change(row);
        // It was a valid update when it was begun.
        let update = update(&change).unwrap_or_default();
        let secrets = Secrets::of(&self.client.update_phone_number(&row.number, &update));
        let columns = self.input.columns;
        let mut ended = outcome::ended(columns, &row.number, &change, &secrets, answer);
        if self.gate.is_closed() && answer.as_ref().is_err_and(Error::is_configuration) {
            ended.code = Some("stopped".into());
            ended.message = Some("the job was stopped before an attempt succeeded".into());
        }
        let ended = self.with_doubt(index, ended);
        self.write(index, &ended);
        let (reason, again) = match answer {
            Ok(_) => {
                self.state.borrow_mut().watch.succeeded();
                (None, false)
            }
            Err(error) => self.failed(index, error),
        };
        if again {
            return reason;
        }
        progress.ended(ended.outcome == Outcome::Applied);
        self.stream(&ended);
        reason
    }

    /// Decides whether a number is sent again later, and whether the job goes on.
    fn failed(&self, index: usize, error: &Error) -> (Option<StopReason>, bool) {
        let tries = self.tries(index);
        let mut state = self.state.borrow_mut();
        let stop = state.watch.failed(index, error);
        if stop.is_none() && error.is_retryable() && tries < self.sending.retries {
            state.tries.insert(index, tries + 1);
            state.deferred.push(index);
            let requested = error.retry_after().filter(|_| error.is_rate_limited());
            state.pause = state.pause.max(requested);
            return (None, true);
        }
        (stop.or_else(|| state.watch.gave_up()), false)
    }

    /// Returns whether a number that was not sent because of a pause may wait for its end.
    fn may_postpone(&self, index: usize, error: &Error) -> bool {
        let is_paused = error.kind() == ErrorKind::Paused || error.is_rate_limited();
        is_paused && self.tries(index) < self.sending.retries
    }

    fn tries(&self, index: usize) -> u32 {
        self.state.borrow().tries.get(&index).copied().unwrap_or(0)
    }

    /// Puts a number back that was not sent, because the server wants a pause.
    fn postpone(&self, index: usize, error: &Error) -> Option<StopReason> {
        if self.gate.is_closed() {
            return None;
        }
        let mut state = self.state.borrow_mut();
        let stop = state.watch.failed(index, error);
        if stop.is_none() {
            *state.tries.entry(index).or_default() += 1;
            state.deferred.push(index);
            state.pause = state.pause.max(error.retry_after());
        }
        stop
    }

    pub(super) fn unsent(&self, index: usize, row: &Row) {
        let written = self.journal.unsent(&row.number);
        self.state.borrow_mut().records[index].unsent();
        if let Err(error) = written {
            self.broken(error);
        }
    }

    /// An outcome with the reason why an earlier request may have taken effect.
    fn with_doubt(&self, index: usize, ended: Ended) -> Ended {
        let record = self.record(index);
        let (Some(doubt), true) = (record.doubt, ended.outcome != Outcome::Applied) else {
            return ended;
        };
        let first = match doubt {
            Doubt::Recorded(line) => self.journal.outcome_at(line).ok(),
            Doubt::InFlight => self.state.borrow().unwritten.get(&index).cloned(),
        };
        let later = ended.message.clone();
        match first {
            Some(first) => Ended {
                at: ended.at,
                later,
                attempts: first.attempts + ended.attempts,
                ..first
            },
            None => Ended {
                outcome: Outcome::Unknown,
                code: Some("in_flight".into()),
                retryable: Some(true),
                message: Some("it was in flight when the program ended".into()),
                detail: None,
                later,
                ..ended
            },
        }
    }

    fn write(&self, index: usize, ended: &Ended) {
        let written = self.journal.ended(ended);
        let mut state = self.state.borrow_mut();
        let line = written.as_ref().ok().copied();
        state.records[index].end(ended.outcome, line);
        match written {
            Ok(_) => drop(state.unwritten.remove(&index)),
            Err(error) => {
                state.unwritten.insert(index, ended.clone());
                state.broken.get_or_insert(error);
            }
        }
    }

    /// Prints a line for a program that reads along.
    fn stream(&self, ended: &Ended) {
        if self.format == Format::Jsonl
            && let Ok(line) = serde_json::to_string(ended)
            && let Err(error) = ui::print(&escape_json(line))
        {
            ui::warn(&format!("the result cannot be printed: {error}"));
        }
    }

    pub fn record(&self, index: usize) -> Record {
        self.state.borrow().records[index]
    }

    /// Returns the last outcome of a row.
    pub fn outcome(&self, index: usize) -> Option<Ended> {
        let state = self.state.borrow();
        if let Some(ended) = state.unwritten.get(&index) {
            return Some(ended.clone());
        }
        let line = state.records[index].line?;
        self.journal.outcome_at(line).ok()
    }

    /// Returns the outcomes that the journal does not have.
    pub fn unwritten(&self) -> Vec<String> {
        let state = self.state.borrow();
        let all = state.unwritten.values();
        let lines = all.map(|ended| {
            let label = State::from(ended.outcome).label();
            format!("{} {label}", ended.number)
        });
        lines.collect()
    }
}
