//! History of each number of a job: its states, and how events change them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sigmamind::E164;

/// Outcome of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Applied,
    /// Nothing was changed.
    Failed,
    /// It failed and may have taken effect.
    Unknown,
}

/// Where a number stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Applied,
    Failed,
    Unknown,
    /// A request was sent, or was about to be, and its outcome is not recorded.
    InFlight,
    #[default]
    Pending,
}

impl State {
    pub const ALL: [Self; 5] = [
        Self::Applied,
        Self::Failed,
        Self::Unknown,
        Self::InFlight,
        Self::Pending,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::InFlight => "in flight",
            Self::Pending => "pending",
        }
    }

    /// The same as a name in JSON.
    pub fn key(self) -> String {
        self.label().replace(' ', "_")
    }
}

impl From<Outcome> for State {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Applied => Self::Applied,
            Outcome::Failed => Self::Failed,
            Outcome::Unknown => Self::Unknown,
        }
    }
}

/// Why an earlier request of a number may have taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The program ended while it was in flight.
    InFlight,
    /// By the outcome that is in the journal at this byte.
    Recorded(u64),
}

/// Record of a number.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record {
    pub state: State,
    /// Only an outcome of `applied` removes it.
    pub doubt: Option<Doubt>,
    /// Where its last outcome is in the journal.
    pub line: Option<u64>,
    /// Which properties were sent: an index into [`History::sets`].
    pub sets: usize,
}

impl Record {
    /// Records that a request is about to be sent.
    pub fn begin(&mut self) {
        if self.state == State::InFlight {
            self.doubt.get_or_insert(Doubt::InFlight);
        }
        self.state = State::InFlight;
    }

    /// Returns what an outcome comes to, considering what is known from before.
    pub fn outcome(&self, outcome: Outcome) -> Outcome {
        match (outcome, self.doubt) {
            (Outcome::Failed, Some(_)) => Outcome::Unknown,
            (outcome, _) => outcome,
        }
    }

    /// Records an outcome, which is in the journal at this byte.
    pub fn end(&mut self, outcome: Outcome, line: Option<u64>) {
        let outcome = self.outcome(outcome);
        self.state = outcome.into();
        match (outcome, line) {
            (Outcome::Applied, _) => self.doubt = None,
            (Outcome::Unknown, Some(line)) => self.doubt = Some(Doubt::Recorded(line)),
            (Outcome::Unknown, None) => {
                self.doubt.get_or_insert(Doubt::InFlight);
            }
            (Outcome::Failed, _) => {}
        }
        if line.is_some() {
            self.line = line;
        }
    }

    /// Records that nothing was sent after all.
    pub fn unsent(&mut self) {
        self.state = match (self.doubt, self.line) {
            (Some(Doubt::InFlight), _) => State::InFlight,
            (Some(Doubt::Recorded(_)), _) => State::Unknown,
            (None, Some(_)) => State::Failed,
            (None, None) => State::Pending,
        };
    }

    /// Returns whether its properties may have changed.
    pub fn may_be_applied(&self) -> bool {
        matches!(
            self.state,
            State::Applied | State::Unknown | State::InFlight
        )
    }
}

/// Records of all numbers of a journal.
#[derive(Debug, Default)]
pub struct History {
    pub records: HashMap<E164, Record>,
    /// The names of the properties that were sent together.
    pub sets: Vec<Vec<String>>,
}

impl History {
    pub fn sets_index(&mut self, sets: Vec<String>) -> usize {
        let known = self.sets.iter().position(|known| *known == sets);
        known.unwrap_or_else(|| {
            self.sets.push(sets);
            self.sets.len() - 1
        })
    }

    pub fn get(&self, number: &E164) -> Record {
        self.records.get(number).copied().unwrap_or_default()
    }

    pub fn count(&self, state: State) -> usize {
        self.records
            .values()
            .filter(|record| record.state == state)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_stays_unknown_until_applied() {
        let mut record = Record::default();
        record.begin();
        record.end(Outcome::Unknown, Some(7));
        for line in [8, 9] {
            record.begin();
            record.end(Outcome::Failed, Some(line));
            assert_eq!(record.state, State::Unknown);
            assert!(record.may_be_applied());
        }
        record.begin();
        record.end(Outcome::Applied, Some(10));
        assert_eq!((record.state, record.doubt), (State::Applied, None));
    }

    #[test]
    fn number_killed_in_flight_stays_unknown_after_a_failure() {
        let mut record = Record::default();
        record.begin();
        record.begin();
        record.end(Outcome::Failed, Some(1));
        assert_eq!(record.state, State::Unknown);
    }

    #[test]
    fn unsent_number_returns_to_its_earlier_state() {
        let mut record = Record::default();
        record.begin();
        record.unsent();
        assert_eq!(record.state, State::Pending);
        record.begin();
        record.end(Outcome::Failed, Some(1));
        record.begin();
        record.unsent();
        assert_eq!(record.state, State::Failed);
        record.begin();
        record.begin();
        record.unsent();
        assert_eq!(record.state, State::InFlight);
    }
}
