//! A server that limits the rate, and remembers what it granted and refused.

use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sigmamind_benches::{ANSWER, NUMBER, http::read_request};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// How many milliseconds an answer takes, at random.
const LATENCY: Range<u64> = 20..40;

/// What the server grants.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    None,
    /// A token bucket, full at first; from the first time to the second (in seconds) its rate is
    /// another.
    Bucket {
        rate: f64,
        burst: f64,
        slow: Option<(f64, f64, f64)>,
    },
    /// So many in each period (in seconds) from the first request on.
    Window {
        most: u32,
        period: f64,
    },
}

impl Limit {
    /// The least time in which so many can be granted, in seconds.
    pub fn least(self, calls: usize) -> f64 {
        let calls = f64::from(u32::try_from(calls).expect("there are not so many"));
        match self {
            Self::None => 0.0,
            Self::Bucket { rate, burst, slow } => {
                let (slow, from, to) = slow.unwrap_or((rate, 0.0, 0.0));
                let before = burst + rate * from;
                let during = slow * (to - from);
                if calls <= before {
                    (calls - burst) / rate
                } else if calls <= before + during {
                    from + (calls - before) / slow
                } else {
                    to + (calls - before - during) / rate
                }
            }
            Self::Window { most, period } => ((calls - 1.0) / f64::from(most)).floor() * period,
        }
    }
}

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
    limit: Limit,
    hint: Hint,
    first: Option<Instant>,
    /// Tokens, or what was granted in the period.
    level: f64,
    /// When it was so, in seconds.
    at: f64,
    seen: Vec<Seen>,
}

impl Server {
    pub async fn start(limit: Limit, hint: Hint) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let state = Arc::new(Mutex::new(State {
            limit,
            hint,
            first: None,
            level: match limit {
                Limit::Bucket { burst, .. } => burst,
                _ => 0.0,
            },
            at: 0.0,
            seen: Vec::new(),
        }));
        let url = format!("http://{}", listener.local_addr()?);
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Ok(Self { url, state })
    }

    /// How many seconds ago the first request came.
    pub fn age(&self) -> f64 {
        let first = lock(&self.state).first;
        first.map_or(0.0, |first| first.elapsed().as_secs_f64())
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
        let first = *self.first.get_or_insert_with(Instant::now);
        let at = first.elapsed().as_secs_f64();
        let wait = self.wait(at);
        if !matches!(self.limit, Limit::None) {
            let index = number[number.len() - 4..].parse().unwrap_or_default();
            self.seen.push(Seen {
                at,
                index,
                granted: wait.is_none(),
            });
        }
        let Some(wait) = wait else {
            let body = ANSWER.replace(NUMBER, number);
            let length = body.len();
            return format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        };
        let hint = match self.hint {
            Hint::Seconds => format!("retry-after: {}\r\n", wait.ceil().max(1.0)),
            Hint::Millis => format!("retry-after-ms: {}\r\n", (wait * 1000.0).ceil()),
            Hint::None => String::new(),
        };
        format!("HTTP/1.1 429 Too Many Requests\r\n{hint}content-length: 0\r\n\r\n")
    }

    /// Grants a request, or says how many seconds it is too early.
    fn wait(&mut self, now: f64) -> Option<f64> {
        match self.limit {
            Limit::None => None,
            Limit::Bucket { rate, burst, slow } => {
                let slow = slow.filter(|(_, from, to)| (*from..*to).contains(&now));
                let rate = slow.map_or(rate, |(slow, ..)| slow);
                self.level = (self.level + (now - self.at) * rate).min(burst);
                self.at = now;
                if self.level < 1.0 {
                    return Some((1.0 - self.level) / rate);
                }
                self.level -= 1.0;
                None
            }
            Limit::Window { most, period } => {
                if now >= self.at + period {
                    self.at = (now / period).floor() * period;
                    self.level = 0.0;
                }
                if self.level >= f64::from(most) {
                    return Some(self.at + period - now);
                }
                self.level += 1.0;
                None
            }
        }
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let limited = !matches!(lock(&state).limit, Limit::None);
    let mut buffer = Vec::new();
    while let Some(body) = read_request(&mut stream, &mut buffer).await? {
        let head = String::from_utf8_lossy(&buffer[..body]);
        let number = number(&head).unwrap_or(NUMBER).to_owned();
        let answer = lock(&state).answer(&number);
        if limited {
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
