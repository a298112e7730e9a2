//! The waiters of the rate limiter, in their order.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::controller::{Controller, Reason};

/// The waiters and the controller that lets them go.
///
/// Only the first waiter asks the controller. Before a probe that is the first one that was not
/// refused itself, if there is one.
#[derive(Debug)]
pub(super) struct Queue {
    pub controller: Controller,
    waiters: BTreeMap<Ticket, Waiter>,
    tickets: u64,
}

/// The place of a waiter in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    /// When it came, or will come: a call that was refused comes after a wait by itself.
    from: Duration,
    number: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Waiter {
    /// It does not leave before this time.
    pub from: Duration,
    /// It does not wait beyond this time.
    pub deadline: Duration,
    /// Nor when nothing was granted to anybody for so long.
    pub max_starvation: Duration,
    /// Whether the call was refused before.
    pub was_refused: bool,
    pub wake: Arc<Notify>,
}

/// Why and how long a request would have to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub reason: Reason,
    pub wait: Duration,
}

/// What a waiter does next.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Send,
    /// It waits until this time, or until it is woken.
    Wait(Duration),
    Reject(Rejection),
}

impl Queue {
    pub fn new(controller: Controller) -> Self {
        Self {
            controller,
            waiters: BTreeMap::new(),
            tickets: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Adds a waiter, unless it would wait beyond its limits.
    pub fn join(&mut self, now: Duration, waiter: Waiter) -> Result<Ticket, Rejection> {
        self.wait_end(now, &waiter, self.waiters.len())?;
        let ticket = Ticket {
            from: waiter.from.max(now),
            number: self.tickets,
        };
        self.tickets += 1;
        self.waiters.insert(ticket, waiter);
        Ok(ticket)
    }

    /// Removes a waiter. The next one may have to wake up.
    pub fn leave(&mut self, ticket: Ticket) {
        self.waiters.remove(&ticket);
        self.wake_first();
    }

    /// Returns what a waiter does now.
    pub fn step(&mut self, now: Duration, ticket: Ticket) -> Step {
        let mut retry_at = Duration::MAX;
        if ticket.from > now {
            retry_at = ticket.from;
        } else if self.first() == Some(ticket) {
            match self.controller.try_acquire(now) {
                Ok(()) => return Step::Send,
                Err(at) => retry_at = at,
            }
        }
        match self.wait_end(now, &self.waiters[&ticket], 0) {
            Ok(end) => Step::Wait(end.min(retry_at)),
            Err(rejection) => Step::Reject(rejection),
        }
    }

    /// Returns the waiter whose turn it is.
    pub fn first(&self) -> Option<Ticket> {
        let fresh = || self.waiters.iter().find(|(_, waiter)| !waiter.was_refused);
        let probe = if self.controller.is_probe_next() {
            fresh()
        } else {
            None
        };
        let first = probe.or_else(|| self.waiters.first_key_value());
        first.map(|(ticket, _)| *ticket)
    }

    pub fn wake_first(&self) {
        if let Some(first) = self.first() {
            self.waiters[&first].wake.notify_one();
        }
    }

    /// Wakes those who would wait beyond their limits now, so that they end at once.
    pub fn wake_rejected(&self, now: Duration) {
        for waiter in self.waiters.values() {
            if self.wait_end(now, waiter, 0).is_err() {
                waiter.wake.notify_one();
            }
        }
    }

    /// Returns when a waiter's limits end, unless it would have to wait longer.
    fn wait_end(
        &self,
        now: Duration,
        waiter: &Waiter,
        ahead: usize,
    ) -> Result<Duration, Rejection> {
        // If nobody starves now, it is looked at again after that time.
        let starving_since = self.controller.starving_since().unwrap_or(now);
        let starved_at = starving_since.saturating_add(waiter.max_starvation);
        let end = waiter.deadline.min(starved_at);
        let earliest = self.controller.earliest(ahead).max(waiter.from);
        if now >= end || earliest > waiter.deadline {
            let (reason, wait) = self.controller.wait(now, ahead);
            // In a pause that is all; else the call may have to wait by itself.
            let wait = match self.controller.paused_until(now) {
                Some(_) => wait,
                None => wait.max(waiter.from.saturating_sub(now)),
            };
            return Err(Rejection { reason, wait });
        }
        Ok(end)
    }
}
