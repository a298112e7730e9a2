//! A server that limits the rate, and remembers what it granted and refused.

use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{contenders::index, trouble::Trouble};
use sigmamind_benches::{
    ANSWER, NUMBER,
    http::{accept_all, answer, read_request},
    limit::{Limit, Limiter},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// How many milliseconds an answer takes, at random.
const LATENCY: Range<u64> = 20..40;

/// How it says when to come back.
#[derive(Debug, Clone, Copy)]
pub enum Hint {
    Seconds,
    Millis,
    None,
}

/// One request that came.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Since the first, in seconds.
    pub at: f64,
    /// The index in its number.
    pub index: usize,
    pub granted: bool,
}

#[derive(Clone)]
pub struct Server {
    pub url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    limiter: Option<Limiter>,
    hint: Hint,
    trouble: Option<Trouble>,
    /// When the first request came.
    first: Option<Instant>,
    seen: Vec<Seen>,
}

impl Server {
    pub async fn start(limit: Limit, hint: Hint) -> io::Result<Self> {
        Self::start_with(limit, hint, None).await
    }

    pub async fn start_with(
        limit: Limit,
        hint: Hint,
        trouble: impl Into<Option<Trouble>>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(Mutex::new(State {
            limiter: (!matches!(limit, Limit::None)).then(|| Limiter::new(limit)),
            hint,
            trouble: trouble.into(),
            first: None,
            seen: Vec::new(),
        }));
        let shared = state.clone();
        tokio::spawn(accept_all(listener, move |stream| {
            serve(stream, shared.clone())
        }));
        Ok(Self { url, state })
    }

    /// How many seconds ago the first request came.
    pub fn age(&self) -> f64 {
        lock(&self.state).limiter.as_ref().map_or(0.0, Limiter::age)
    }

    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state).seen.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The answer to a request about a number, which is granted or refused as it comes.
    fn answer(&mut self, number: &str) -> String {
        let granted = || answer(200, "", &ANSWER.replace(NUMBER, number));
        let index = index(number).unwrap_or_default();
        if let Some(Refusal { hint }) = self.troubled(index) {
            let hint = hint.map(|wait| format!("retry-after: {wait}\r\n"));
            return answer(429, &hint.unwrap_or_default(), "");
        }
        let Some(limiter) = &mut self.limiter else {
            return granted();
        };
        let wait = limiter.ask();
        self.seen.push(Seen {
            at: limiter.age(),
            index,
            granted: wait.is_none(),
        });
        let Some(wait) = wait else {
            return granted();
        };
        let hint = match self.hint {
            Hint::Seconds => format!("retry-after: {}\r\n", wait.ceil().max(1.0)),
            Hint::Millis => format!("retry-after-ms: {}\r\n", (wait * 1000.0).ceil()),
            Hint::None => String::new(),
        };
        answer(429, &hint, "")
    }
}

/// A refusal, with the seconds that its `Retry-After` asks for.
struct Refusal {
    hint: Option<u32>,
}

impl State {
    /// Returns a refusal that has nothing to do with the rate, if there is one.
    fn troubled(&mut self, index: usize) -> Option<Refusal> {
        let trouble = self.trouble.as_ref()?;
        let age = self.first.get_or_insert_with(Instant::now).elapsed();
        if let Some((from, to)) = trouble.pause
            && (from..to).contains(&age.as_secs_f64())
        {
            let left = Duration::from_secs_f64(to).saturating_sub(age).as_secs() + 1;
            return Some(Refusal {
                hint: u32::try_from(left).ok(),
            });
        }
        let refused = trouble.bad.contains(&index) || fastrand::f64() < trouble.random;
        refused.then_some(Refusal { hint: trouble.hint })
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) -> io::Result<()> {
    let (limited, troubled) = {
        let state = lock(&state);
        (state.limiter.is_some(), state.trouble.is_some())
    };
    let mut buffer = Vec::new();
    while let Some(body) = read_request(&mut stream, &mut buffer).await? {
        let head = String::from_utf8_lossy(&buffer[..body]);
        let number = number(&head).unwrap_or(NUMBER).to_owned();
        let answer = lock(&state).answer(&number);
        if troubled {
            sleep(Duration::from_millis(20)).await;
        } else if limited {
            sleep(Duration::from_millis(fastrand::u64(LATENCY))).await;
        }
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// The number in the path, as it is in an answer.
fn number(head: &str) -> Option<&str> {
    let path = head.split(' ').nth(1)?;
    path.rsplit('/')
        .next()
        .filter(|number| number.starts_with('+'))
}
