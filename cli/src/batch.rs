//! Many calls, a few at a time (a stand-in for the library's).

use std::iter::Fuse;

use sigmamind::{Call, Error, PhoneNumber, Response};
use tokio::task::JoinSet;

type Outcome = Result<Response<PhoneNumber>, Error>;

pub struct Batch<I> {
    calls: Option<Fuse<I>>,
    begun: usize,
    at_once: usize,
    under_way: JoinSet<(usize, Outcome)>,
}

impl<I: Iterator<Item = Call<PhoneNumber>>> Batch<I> {
    pub fn new(calls: I) -> Self {
        Self {
            calls: Some(calls.fuse()),
            begun: 0,
            at_once: 8,
            under_way: JoinSet::new(),
        }
    }

    pub fn at_once(mut self, at_once: usize) -> Self {
        self.at_once = at_once;
        self
    }

    pub fn stop(&mut self) {
        self.calls = None;
    }

    pub async fn next(&mut self) -> Option<(usize, Outcome)> {
        while self.under_way.len() < self.at_once
            && let Some(call) = self.calls.as_mut().and_then(Iterator::next)
        {
            let index = self.begun;
            self.begun += 1;
            let call = call.send();
            self.under_way.spawn(async move { (index, call.await) });
        }
        self.under_way.join_next().await.and_then(Result::ok)
    }
}
