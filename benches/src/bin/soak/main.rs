//! Many updates at a time against a server that limits the rate, and fails at random in every way
//! it can.
//!
//! `cargo run --release -p sigmamind-benches --bin soak -- [CALLS] [SEED]` (default: 100,000 calls,
//! and a seed that is printed); with `--features http2`, over HTTP/2. The client has its default
//! retries; its time limits are short, so that silence does not last. It ends with status 1 if a
//! promise is broken:
//!
//! - what is reported as done was done, and the answer is the one to this update;
//! - what was done and is reported as failed says that it may have been applied;
//! - memory does not grow with the number of calls: after all of them, its peak is that of the first
//!   tenth, and as much is allocated when all is still.

#[cfg_attr(not(feature = "http2"), allow(dead_code, reason = "the other server"))]
mod fault;
#[cfg_attr(feature = "http2", allow(dead_code, reason = "the other server"))]
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod log;

use std::{
    env,
    error::Error,
    process::ExitCode,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use fastrand::Rng;
use sigmamind::{Client, E164, PhoneNumberUpdate};
use sigmamind_benches::{KEY, NUMBER, http::accept_all};
use tokio::{net::TcpListener, time::sleep};

#[cfg(not(feature = "http2"))]
use self::http1::serve;
#[cfg(feature = "http2")]
use self::http2::serve;
use self::{
    fault::FAULTS,
    log::{Log, Memory, label},
};

const AT_A_TIME: usize = 64;
const TIMEOUT: Duration = Duration::from_millis(300);
const DEADLINE: Duration = Duration::from_secs(5);
/// The server closes a connection that is not used for so long.
const IDLE: Duration = Duration::from_secs(1);
/// After so long, what the last requests set off has ended, and no connection is left.
const STILL: Duration = Duration::from_secs(2);
type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let mut arguments = env::args().skip(1);
    let calls = arguments.next().map_or(Ok(100_000), |n| n.parse())?;
    let seed = arguments
        .next()
        .map_or(Ok(fastrand::u64(..)), |n| n.parse())?;
    println!("{calls} calls, {AT_A_TIME} at a time, faults in {FAULTS} % of requests, seed {seed}");

    let log = Arc::new(Log::new(calls));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Client::builder()
        .api_key(KEY)
        .base_url(format!("http://{}", listener.local_addr()?))
        .attempt_timeout(TIMEOUT)
        .timeout(DEADLINE);
    #[cfg(feature = "http2")]
    let client = client.http_client(http2::client()?);
    let client = client.build()?;
    let (known, mut rng) = (log.clone(), Rng::with_seed(seed));
    tokio::spawn(accept_all(listener, move |stream| {
        serve(stream, known.clone(), rng.fork())
    }));

    let start = Instant::now();
    let mut memory = Vec::new();
    for end in [calls / 10, calls] {
        let callers: Vec<_> = (0..AT_A_TIME)
            .map(|_| tokio::spawn(make_calls(client.clone(), log.clone(), end)))
            .collect();
        for caller in callers {
            caller.await??;
        }
        sleep(STILL).await;
        memory.push(Memory::now()?);
    }
    Ok(if log.print(start.elapsed(), &memory) {
        println!("kept: every outcome was told truly, memory did not grow");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Takes the next call, up to the one before `end`.
async fn make_calls(client: Client, log: Arc<Log>, end: usize) -> Result<(), Failure> {
    let number: E164 = NUMBER.parse()?;
    let next = |call| (call < end).then_some(call + 1);
    while let Ok(call) = log.next.fetch_update(SeqCst, SeqCst, next) {
        let label = label(call);
        let update = PhoneNumberUpdate::default().friendly_name(&*label);
        let sent = client.update_phone_number(&number, &update);
        // Any of the first to come may be among those.
        let first = call < AT_A_TIME;
        let outcome = if first {
            sent.attempt_timeout(DEADLINE)
        } else {
            sent
        }
        .await;
        log.take(call, &label, outcome);
    }
    Ok(())
}
