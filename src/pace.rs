//! The pace that all calls with one key share.

mod rule;
#[cfg(test)]
mod simulation;

use std::{
    collections::BTreeMap,
    hash::RandomState,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tower::util::rng::{HasherRng, Rng};
use tracing::{debug, info};

pub(crate) use self::rule::Turn;
use self::rule::{News, RECENT, Rule};
use crate::backoff::within_a_year;

/// When requests may leave: whoever sends one takes a turn, and tells what became of it.
///
/// A turn of which nothing is told holds up nobody.
pub(crate) struct Pace {
    /// Times of the rule are counted from here.
    start: Instant,
    off: AtomicBool,
    /// What was granted while the pace was off and the rule does not know of, and when to tell it,
    /// in milliseconds.
    granted: AtomicU32,
    tell: AtomicU64,
    line: Mutex<Line>,
}

/// Who waits, in the order of arrival. Only the first asks for a turn.
struct Line {
    rule: Rule,
    waiting: BTreeMap<u64, Waiting>,
    arrived: u64,
}

struct Waiting {
    patience: Patience,
    wake: Arc<Notify>,
}

/// How long a request waits for its turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Not beyond this time, if there is one.
    pub until: Option<Instant>,
    /// Not while the server wants nothing to be sent for longer than this.
    pub longest: Duration,
    /// Not when for so long nothing has been granted to anybody.
    pub starved: Duration,
}

impl Pace {
    pub fn new(limit: Option<f64>) -> Self {
        let rule = Rule::new(limit);
        Self {
            start: Instant::now(),
            off: AtomicBool::new(rule.is_off()),
            granted: AtomicU32::new(0),
            tell: AtomicU64::new(0),
            line: Mutex::new(Line {
                rule,
                waiting: BTreeMap::new(),
                arrived: 0,
            }),
        }
    }

    /// Waits for the turn of one request.
    ///
    /// # Errors
    ///
    /// How long it would have to wait at the least, if that is more than its patience. This is
    /// found out as soon as it can be known.
    pub async fn turn(&self, patience: Patience) -> Result<Turn, Duration> {
        if self.off.load(Relaxed) {
            return Ok(Turn::at(self.now()));
        }
        if let Some(turn) = self.at_once() {
            return Ok(turn);
        }
        let came = self.now();
        let place = self.join(patience)?;
        loop {
            match place.step(patience) {
                Step::Go(turn) => {
                    let waited_ms = self.now().saturating_sub(came).as_millis();
                    if waited_ms > 0 {
                        // The call tells it, and not what the pace is.
                        debug!(target: "sigmamind::turn", waited_ms, "waited for a turn");
                    }
                    return Ok(turn);
                }
                Step::GiveUp(wait) => return Err(wait),
                // Woken when something has changed.
                Step::Wait(until) => drop(timeout_at(until, place.wake.notified()).await),
            }
        }
    }

    /// The request was answered with anything but a refusal.
    pub fn granted(&self, turn: Turn) {
        let now = self.now();
        if self.off.load(Relaxed) {
            self.granted.fetch_add(1, Relaxed);
            if now.as_millis() < u128::from(self.tell.load(Relaxed)) {
                return;
            }
            let mut line = self.line();
            self.tell_rule(&mut line, now);
            return;
        }
        let mut line = self.line();
        if line.rule.granted(now, turn) {
            line.wake_first();
        }
    }

    /// The request was refused for the rate: 429. `asked` is the server's `Retry-After`.
    pub fn refused(&self, turn: Turn, asked: Option<Duration>) {
        self.stop(|rule, now, random| rule.refused(now, turn, asked, random));
    }

    /// The server is out of order and asks for a pause: 503 with `Retry-After`.
    pub fn held(&self, turn: Turn, asked: Duration) {
        self.stop(|rule, now, random| rule.held(now, turn, asked, random));
    }

    fn stop(&self, stop: impl FnOnce(&mut Rule, Duration, f64) -> Option<News>) {
        let now = self.now();
        let random = HasherRng::<RandomState>::default().next_f64();
        let mut line = self.line();
        self.tell_rule(&mut line, now);
        let before = line.rule.hold(now);
        let news = stop(&mut line.rule, now, random);
        self.off.store(line.rule.is_off(), Relaxed);
        if line.rule.hold(now) > before {
            for waiting in line.waiting.values() {
                if self.check(&line.rule, waiting.patience, 0, now).is_err() {
                    waiting.wake.notify_one();
                }
            }
        }
        drop(line);
        tell(news);
    }

    fn tell_rule(&self, line: &mut Line, now: Duration) {
        line.rule.recent(now, self.granted.swap(0, Relaxed));
        let next = u64::try_from((now + RECENT).as_millis());
        self.tell.store(next.unwrap_or(u64::MAX), Relaxed);
    }

    /// When patience ends if nothing changes; or, if it has ended, how long the wait still is.
    fn check(
        &self,
        rule: &Rule,
        patience: Patience,
        behind: usize,
        now: Duration,
    ) -> Result<Duration, Duration> {
        let until = patience.until.map_or(Duration::MAX, |until| {
            until.saturating_duration_since(self.start)
        });
        let starving = rule.starving().unwrap_or(now);
        let ends = until.min(starving.saturating_add(patience.starved));
        let earliest = rule.earliest(behind);
        if earliest > until || now >= ends || rule.hold(now) > patience.longest {
            let wait = earliest.saturating_sub(now);
            return Err(within_a_year(wait.max(rule.spacing())));
        }
        Ok(ends)
    }

    /// A turn, if nobody waits for one and it may be taken now.
    fn at_once(&self) -> Option<Turn> {
        let mut line = self.line();
        if !line.waiting.is_empty() {
            return None;
        }
        let (turn, news) = line.rule.ask(self.now());
        self.off.store(line.rule.is_off(), Relaxed);
        drop(line);
        tell(news);
        turn.ok()
    }

    fn join(&self, patience: Patience) -> Result<Place<'_>, Duration> {
        let mut line = self.line();
        let behind = line.waiting.len();
        if behind > 0 {
            self.check(&line.rule, patience, behind, self.now())?;
        }
        let number = line.arrived;
        line.arrived += 1;
        let wake = Arc::new(Notify::new());
        let waiting = Waiting {
            patience,
            wake: wake.clone(),
        };
        line.waiting.insert(number, waiting);
        Ok(Place {
            pace: self,
            number,
            wake,
        })
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn wake_first(&self) {
        if let Some((_, first)) = self.waiting.first_key_value() {
            first.wake.notify_one();
        }
    }
}

/// A place in the line, until it is dropped.
struct Place<'p> {
    pace: &'p Pace,
    number: u64,
    wake: Arc<Notify>,
}

enum Step {
    Go(Turn),
    Wait(Instant),
    GiveUp(Duration),
}

impl Place<'_> {
    fn step(&self, patience: Patience) -> Step {
        let pace = self.pace;
        let now = pace.now();
        let mut line = pace.line();
        let mut at = Duration::MAX;
        let mut news = None;
        if line.waiting.first_key_value().map(|(first, _)| *first) == Some(self.number) {
            let (turn, told) = line.rule.ask(now);
            news = told;
            pace.off.store(line.rule.is_off(), Relaxed);
            match turn {
                Ok(turn) => {
                    drop(line);
                    tell(news);
                    return Step::Go(turn);
                }
                Err(next) => at = next,
            }
        }
        let ends = pace.check(&line.rule, patience, 0, now);
        drop(line);
        tell(news);
        match ends {
            Ok(ends) => Step::Wait(pace.start + within_a_year(at.min(ends))),
            Err(wait) => Step::GiveUp(wait),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut line = self.pace.line();
        line.waiting.remove(&self.number);
        line.wake_first();
    }
}

/// Lets an operator see why it is slow.
fn tell(news: Option<News>) {
    match news {
        Some(News::Held { first: true, wait }) => {
            info!(?wait, "the rate is limited: requests wait");
        }
        Some(News::Held { first: false, wait }) => {
            debug!(?wait, "the rate is limited further: requests wait");
        }
        Some(News::Open { first: true, rate }) => {
            info!(rate, "requests leave one by one");
        }
        Some(News::Open { first: false, rate }) => {
            debug!(rate, "requests leave one by one, at another rate");
        }
        Some(News::Over) => info!("the rate is not limited any more"),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::{Pin, pin},
        task::{Context, Poll, Waker},
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Patience = Patience {
        until: None,
        longest: Duration::from_secs(60),
        starved: Duration::from_secs(90),
    };

    fn within(deadline: Duration) -> Patience {
        Patience {
            until: Some(Instant::now() + deadline),
            starved: deadline,
            ..PATIENCE
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// What it gives without waiting for anything.
    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match poll(pin!(future)) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits"),
        }
    }

    /// A pace that was told of a refusal.
    fn refused(asked: Duration) -> Pace {
        let pace = Pace::new(None);
        let turn = at_once(pace.turn(PATIENCE)).unwrap();
        pace.refused(turn, Some(asked));
        pace
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_before_the_first_refusal() {
        let pace = Pace::new(None);
        for _ in 0..1000 {
            let turn = at_once(pace.turn(PATIENCE)).unwrap();
            pace.granted(turn);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_wait_for_what_the_server_asks_and_go_in_their_order() {
        let pace = Arc::new(Pace::new(None));
        let turns = [0; 20].map(|_| at_once(pace.turn(PATIENCE)).unwrap());
        for turn in &turns[1..] {
            pace.granted(*turn);
        }
        pace.refused(turns[0], Some(SECOND));

        let asked = Instant::now();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = tokio::task::JoinSet::new();
        for number in 0..10 {
            let (pace, order) = (pace.clone(), order.clone());
            waiting.spawn(async move {
                let turn = pace.turn(PATIENCE).await.unwrap();
                order.lock().unwrap().push(number);
                assert!(asked.elapsed() >= SECOND);
                tokio::time::sleep(SECOND / 20).await;
                pace.granted(turn);
            });
        }
        waiting.join_all().await;
        assert!(order.lock().unwrap().iter().copied().eq(0..10));
        // 19 were granted in no time, so that they go by 19 a second or by more.
        assert!(asked.elapsed() < 2 * SECOND, "{:?}", asked.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_does_not_go_before_who_waits() {
        let pace = Pace::new(Some(1.0));
        at_once(pace.turn(PATIENCE)).unwrap();
        let mut first = pin!(pace.turn(PATIENCE));
        assert!(poll(first.as_mut()).is_pending());
        tokio::time::advance(SECOND).await;
        let mut newcomer = pin!(pace.turn(PATIENCE));
        assert!(poll(newcomer.as_mut()).is_pending());
        assert!(poll(first.as_mut()).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_granted_before_the_first_refusal_is_told_to_the_rule() {
        let pace = Pace::new(None);
        for _ in 0..400 {
            let turn = at_once(pace.turn(PATIENCE)).unwrap();
            pace.granted(turn);
            tokio::time::advance(SECOND / 10).await;
        }
        let turn = at_once(pace.turn(PATIENCE)).unwrap();
        pace.refused(turn, Some(SECOND));
        pace.turn(PATIENCE).await.unwrap();
        let spacing = pace.line().rule.spacing();
        let expected = SECOND / 20..SECOND / 5; // 10 a second were granted
        assert!(expected.contains(&spacing), "{spacing:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_holds_up_nobody() {
        let pace = refused(SECOND);
        let mut first = Box::pin(pace.turn(PATIENCE));
        let mut second = Box::pin(pace.turn(PATIENCE));
        let third = async { pace.turn(PATIENCE).await.unwrap() };
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        let mut third = pin!(third);
        assert!(poll(third.as_mut()).is_pending());
        drop(second);
        tokio::time::sleep(2 * SECOND).await;
        drop(first);
        third.await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_of_which_nothing_is_told_holds_up_nobody() {
        let pace = refused(SECOND);
        for _ in 0..5 {
            let next = tokio::time::timeout(3 * SECOND, pace.turn(PATIENCE));
            next.await.expect("it comes").expect("it waits");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_that_does_not_fit_ends_the_wait_at_once() {
        let hold = 10 * SECOND;
        let pace = refused(hold);
        assert_eq!(at_once(pace.turn(within(9 * SECOND))).err(), Some(hold));
        let longest = 9 * SECOND;
        let patience = Patience {
            longest,
            ..PATIENCE
        };
        assert_eq!(at_once(pace.turn(patience)).err(), Some(hold));
        let longest = hold;
        let patience = Patience {
            longest,
            ..PATIENCE
        };
        pace.turn(patience).await.expect("it fits");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_when_the_hold_grows() {
        let pace = Pace::new(None);
        let turns = [0, 1].map(|_| at_once(pace.turn(PATIENCE)).unwrap());
        pace.refused(turns[0], Some(SECOND));
        let start = Instant::now();
        let waiting = [20, 4000].map(|deadline| pace.turn(within(deadline * SECOND)));
        let ([first, second], ()) = tokio::join!(
            async {
                let [first, second] = waiting;
                let (first, second) = tokio::join!(first, second);
                [first, second]
            },
            async {
                tokio::task::yield_now().await;
                pace.refused(turns[1], Some(3600 * SECOND));
            }
        );
        assert_eq!(first.err(), Some(3600 * SECOND));
        assert_eq!(second.err(), Some(3600 * SECOND));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_ends_when_nothing_is_granted_for_a_whole_deadline() {
        let pace = refused(SECOND);
        let start = Instant::now();
        let patience = Patience {
            starved: 30 * SECOND,
            ..PATIENCE
        };
        // Each in turn asks again and is refused.
        let refused = loop {
            match pace.turn(patience).await {
                Ok(turn) => pace.refused(turn, Some(SECOND)),
                Err(wait) => break wait,
            }
            assert!(start.elapsed() < 60 * SECOND, "it never ends");
        };
        assert!(refused <= 2 * SECOND, "{refused:?}");
        assert!(start.elapsed() >= 29 * SECOND, "{:?}", start.elapsed());
        // One still finds out when it is over.
        tokio::time::sleep(3 * SECOND).await;
        let turn = pace.turn(patience).await.expect("nobody is before it");
        pace.granted(turn);
        pace.turn(patience).await.expect("something was granted");
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_the_callers_spaces_from_the_first_on() {
        let pace = Pace::new(Some(4.0));
        let start = Instant::now();
        for number in 0..9 {
            pace.turn(PATIENCE).await.unwrap();
            assert_eq!(start.elapsed(), number * SECOND / 4);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_far_back_in_the_line_ends_at_once() {
        let pace = Pace::new(Some(1.0));
        let mut line: Vec<_> = (0..10)
            .map(|_| Box::pin(pace.turn(within(5 * SECOND))))
            .collect();
        let mut ended = Vec::new();
        for turn in &mut line {
            ended.push(match poll(turn.as_mut()) {
                Poll::Pending => None,
                Poll::Ready(turn) => Some(turn.err()),
            });
        }
        assert_eq!(ended[0], Some(None));
        assert_eq!(ended[1..6], [None; 5]);
        assert_eq!(ended[6..], [Some(Some(6 * SECOND)); 4]);
    }
}
