//! Many updates at a time against a server that fails at random in every way it can.
//!
//! `cargo run --release -p sigmamind-benches --bin soak -- [CALLS] [SEED]` (default: 100,000 calls,
//! and a seed that is printed). The client has its default retries; its time limits are short, so
//! that silence does not last. It ends with status 1 if a promise is broken:
//!
//! - what is reported as done was done, and the answer is the one to this update;
//! - what was done and is reported as failed says that it may have been applied;
//! - memory does not grow with the number of calls: after all of them, its peak is that of the first
//!   tenth, and as much is allocated when all is still.

use std::{
    alloc::System,
    collections::BTreeMap,
    env,
    error::Error,
    fs, io,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use sigmamind::{Client, E164, PhoneNumber, PhoneNumberUpdate, Response};
use sigmamind_benches::{KEY, NUMBER, http::read_request};
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

const AT_A_TIME: usize = 64;
/// Of a hundred requests, so many meet a fault.
const FAULTS: u8 = 12;
const TIMEOUT: Duration = Duration::from_millis(300);
const DEADLINE: Duration = Duration::from_secs(5);
/// The server closes a connection that is not used for so long.
const IDLE: Duration = Duration::from_secs(1);
/// After so long, what the last requests set off has ended, and no connection is left.
const STILL: Duration = Duration::from_secs(2);
/// So many requests at once meet [`Fault::Held`] first, with time to read it all. Chance does not
/// bring as many long bodies together later, so that a higher peak is a growth.
const WORST_FIRST: usize = AT_A_TIME / 2;
/// So much more may be allocated at the end, in bytes.
const GROWTH: usize = 64 << 10;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

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
        .timeout(TIMEOUT)
        .deadline(DEADLINE)
        .build()?;
    tokio::spawn(serve(listener, log.clone(), Rng::with_seed(seed)));

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
        let outcome = if first { sent.timeout(DEADLINE) } else { sent }.await;
        log.take(call, &label, outcome);
    }
    Ok(())
}

/// Names the call; the server finds it in the update and repeats it in its answer.
fn label(call: usize) -> String {
    format!("call-{call}.")
}

fn call(body: &[u8]) -> Option<usize> {
    let (_, label) = str::from_utf8(body).ok()?.split_once("call-")?;
    label.split_once('.')?.0.parse().ok()
}

/// What is known of a call.
#[derive(Default)]
struct Call(AtomicU8);

impl Call {
    const APPLIED: u8 = 1;
    const REPORTED: u8 = 2;
    const FLAGGED: u8 = 4;
    const MIXED_UP: u8 = 8;

    fn is(&self, mark: u8) -> bool {
        self.0.load(SeqCst) & mark != 0
    }

    fn mark(&self, mark: u8) {
        self.0.fetch_or(mark, SeqCst);
    }
}

/// What both sides saw. Its size does not depend on how the calls go.
struct Log {
    calls: Vec<Call>,
    next: AtomicUsize,
    attempts: AtomicUsize,
    requests: AtomicUsize,
    faults: Mutex<BTreeMap<&'static str, usize>>,
    errors: Mutex<BTreeMap<String, usize>>,
}

impl Log {
    fn new(calls: usize) -> Self {
        Self {
            calls: (0..calls).map(|_| Call::default()).collect(),
            next: AtomicUsize::default(),
            attempts: AtomicUsize::default(),
            requests: AtomicUsize::default(),
            faults: Mutex::default(),
            errors: Mutex::default(),
        }
    }

    fn take(
        &self,
        call: usize,
        label: &str,
        outcome: Result<Response<PhoneNumber>, sigmamind::Error>,
    ) {
        let call = &self.calls[call];
        match outcome {
            Ok(answer) => {
                self.attempts.fetch_add(answer.attempts() as usize, SeqCst);
                call.mark(Call::REPORTED);
                if answer.friendly_name.as_deref() != Some(label) {
                    call.mark(Call::MIXED_UP);
                }
            }
            Err(error) => {
                self.attempts.fetch_add(error.attempts() as usize, SeqCst);
                if error.may_have_been_applied() {
                    call.mark(Call::FLAGGED);
                }
                count(&self.errors, kind(&error));
            }
        }
    }

    /// Says whether every promise was kept.
    fn print(&self, time: Duration, memory: &[Memory]) -> bool {
        let number = |test: &dyn Fn(&Call) -> bool| self.calls.iter().filter(|c| test(c)).count();
        let reported = number(&|c| c.is(Call::REPORTED));
        let failed = self.calls.len() - reported;
        let lost = number(&|c| c.is(Call::REPORTED) && !c.is(Call::APPLIED));
        let mixed_up = number(&|c| c.is(Call::MIXED_UP));
        let unsaid = |c: &Call| !c.is(Call::REPORTED) && c.is(Call::APPLIED);
        let flagged = number(&|c| unsaid(c) && c.is(Call::FLAGGED));
        let unflagged = number(&|c| unsaid(c) && !c.is(Call::FLAGGED));
        let needless = number(&|c| c.is(Call::FLAGGED) && !c.is(Call::APPLIED));
        let retries = self.attempts.load(SeqCst).saturating_sub(self.calls.len());
        let requests = self.requests.load(SeqCst);

        println!("\ntime                                        {time:.1?}");
        println!(
            "calls                                       {}",
            self.calls.len()
        );
        println!("retries                                     {retries}");
        println!("requests that the server read               {requests}");
        println!("reported as done                            {reported}");
        println!("  of these not applied (must be 0)          {lost}");
        println!("  of these with another's answer (must be 0) {mixed_up}");
        println!("reported as failed                          {failed}");
        println!("  of these applied and flagged              {flagged}");
        println!("  of these applied, unflagged (must be 0)   {unflagged}");
        println!("  of these flagged, not applied             {needless}");
        print_counts("errors", &self.errors);
        print_counts("faults", &self.faults);
        println!("\nmemory, KiB        allocated   resident       peak");
        for (
            part,
            Memory {
                allocated,
                now,
                peak,
            },
        ) in ["10 %", "100 %"].iter().zip(memory)
        {
            let allocated = allocated >> 10;
            println!("after {part:>5} {allocated:16} {now:10} {peak:10}");
        }
        let left = memory[1].allocated > memory[0].allocated + GROWTH;
        if left {
            println!("the calls have left something allocated");
        }
        let grown = memory[1].peak > memory[0].peak;
        if grown {
            println!("the peak has grown");
        }
        lost + mixed_up + unflagged == 0 && !left && !grown
    }
}

fn count<K: Ord>(counts: &Mutex<BTreeMap<K, usize>>, key: K) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(key).or_default() += 1;
}

fn print_counts<K: std::fmt::Display>(title: &str, counts: &Mutex<BTreeMap<K, usize>>) {
    println!("\n{title}:");
    for (key, count) in &*counts.lock().unwrap_or_else(PoisonError::into_inner) {
        println!("{count:8}  {key}");
    }
}

fn kind(error: &sigmamind::Error) -> String {
    let kind = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connect"
    } else if error.is_decode() {
        "decode"
    } else {
        match error.status() {
            Some(status) if !status.is_success() => return status.as_str().to_owned(),
            _ => "transport",
        }
    };
    kind.to_owned()
}

/// This process's memory, server included.
struct Memory {
    /// In bytes.
    allocated: usize,
    /// Resident, in KiB.
    now: u32,
    /// The most that was ever resident, in KiB.
    peak: u32,
}

impl Memory {
    fn now() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let read = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let Stats {
            bytes_allocated,
            bytes_deallocated,
            ..
        } = ALLOCATOR.stats();
        Ok(Self {
            allocated: bytes_allocated.saturating_sub(bytes_deallocated),
            now: read("VmRSS:").unwrap_or_default(),
            peak: read("VmHWM:").unwrap_or_default(),
        })
    }
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The connection is closed before the request is read.
    CloseUnread,
    /// It is reset after the request was read.
    Reset,
    CloseInHead,
    CloseInBody,
    SilentUnread,
    Silent,
    SilentInHead,
    SilentInBody,
    /// The answer comes byte by byte, and too slowly.
    Drip,
    /// 2 MiB, announced.
    TooLong,
    /// Chunks without an end.
    Endless,
    /// Nearly as much as may be read, and then nothing: what takes the most memory.
    Held,
    BrokenJson,
    /// JSON, and not the documented.
    WrongJson,
    NotHttp,
    /// A status that may pass, with or without the update applied where both can be.
    Passing,
    /// The same with a wait: short, by date, or too long.
    RetryAfter,
    /// A 4xx that repeating does not help.
    Refused,
    Redirect,
}

impl Fault {
    const ALL: [(Self, &str); 18] = [
        (Self::CloseUnread, "closed before reading"),
        (Self::Reset, "reset before the answer"),
        (Self::CloseInHead, "closed in the head"),
        (Self::CloseInBody, "closed in the body"),
        (Self::SilentUnread, "silent without reading"),
        (Self::Silent, "silent after reading"),
        (Self::SilentInHead, "silent in the head"),
        (Self::SilentInBody, "silent in the body"),
        (Self::Drip, "dripping"),
        (Self::TooLong, "body too long, announced"),
        (Self::Endless, "body without an end"),
        (Self::BrokenJson, "broken JSON"),
        (Self::WrongJson, "wrong JSON"),
        (Self::NotHttp, "not HTTP"),
        (Self::Passing, "408, 429 or 5xx"),
        (Self::RetryAfter, "429 or 503 with Retry-After"),
        (Self::Refused, "4xx"),
        (Self::Redirect, "redirect"),
    ];

    /// Whether the server has applied the update; where it can be either, by chance.
    fn applies(self, status: u16, rng: &mut Rng) -> bool {
        match self {
            Self::CloseUnread | Self::SilentUnread | Self::Refused | Self::Redirect => false,
            Self::Reset | Self::Silent | Self::NotHttp => rng.bool(),
            Self::Passing | Self::RetryAfter => status != 429 && rng.bool(),
            _ => true, // a success is on its way
        }
    }

    fn status(self, rng: &mut Rng) -> u16 {
        let statuses: &[u16] = match self {
            Self::Passing => &[408, 429, 500, 501, 502, 503, 504],
            Self::RetryAfter => &[429, 503],
            Self::Refused => &[400, 401, 403, 404, 409, 413, 422],
            Self::Redirect => &[301, 307],
            _ => &[200],
        };
        statuses[rng.usize(..statuses.len())]
    }
}

async fn serve(listener: TcpListener, log: Arc<Log>, mut rng: Rng) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // An error is the client's going away, which is its right.
        tokio::spawn(answer_all(stream, log.clone(), rng.fork()));
    }
}

async fn answer_all(mut stream: TcpStream, log: Arc<Log>, mut rng: Rng) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let fault = if log.requests.load(SeqCst) < WORST_FIRST {
            Some((Fault::Held, "long body, held"))
        } else {
            (rng.u8(..100) < FAULTS).then(|| Fault::ALL[rng.usize(..Fault::ALL.len())])
        };
        if let Some((fault @ (Fault::CloseUnread | Fault::SilentUnread), name)) = fault {
            stream.readable().await?;
            count(&log.faults, name);
            if matches!(fault, Fault::SilentUnread) {
                sleep(2 * TIMEOUT).await;
            }
            return Ok(());
        }
        let Some(start) = timeout(IDLE, read_request(&mut stream, &mut buffer)).await?? else {
            return Ok(());
        };
        log.requests.fetch_add(1, SeqCst);
        let number = call(&buffer[start..]).ok_or(io::ErrorKind::InvalidData)?;
        let status = fault.map_or(200, |(fault, _)| fault.status(&mut rng));
        if fault.is_none_or(|(fault, _)| fault.applies(status, &mut rng)) {
            log.calls[number].mark(Call::APPLIED);
        }
        let body = format!(r#"{{"friendlyName":"{}","active":true}}"#, label(number));
        let Some((fault, name)) = fault else {
            let answer = answer(200, "", body.len(), &body);
            stream.write_all(answer.as_bytes()).await?;
            continue;
        };
        count(&log.faults, name);
        if !fail(fault, status, &body, &mut stream, &mut rng).await? {
            return Ok(());
        }
    }
}

fn answer(status: u16, headers: &str, length: usize, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Some Reason\r\ncontent-type: application/json\r\n{headers}\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Answers as the fault has it; says whether the connection can go on.
async fn fail(
    fault: Fault,
    status: u16,
    body: &str,
    stream: &mut TcpStream,
    rng: &mut Rng,
) -> io::Result<bool> {
    const LONG: usize = 2 << 20;
    let good = answer(200, "", body.len(), body);
    let some = |text: &str, rng: &mut Rng| text[..rng.usize(1..text.len())].to_owned();
    let head = good.len() - body.len();
    match fault {
        Fault::CloseUnread | Fault::SilentUnread => {}
        Fault::Reset => stream.set_zero_linger()?,
        Fault::CloseInHead => {
            let part = some(&good[..head], rng);
            stream.write_all(part.as_bytes()).await?;
        }
        Fault::CloseInBody => {
            let part = some(body, rng);
            let answer = answer(200, "", body.len(), &part);
            stream.write_all(answer.as_bytes()).await?;
        }
        Fault::Silent => sleep(2 * TIMEOUT).await,
        Fault::SilentInHead => {
            let part = some(&good[..head], rng);
            stream.write_all(part.as_bytes()).await?;
            sleep(2 * TIMEOUT).await;
        }
        Fault::SilentInBody => {
            let part = some(body, rng);
            let answer = answer(200, "", body.len(), &part);
            stream.write_all(answer.as_bytes()).await?;
            sleep(2 * TIMEOUT).await;
        }
        Fault::Drip => {
            for byte in good.as_bytes().chunks(1) {
                stream.write_all(byte).await?;
                sleep(TIMEOUT / 20).await;
            }
        }
        Fault::TooLong => {
            let start = answer(200, "", LONG, "{\"friendlyName\":\"");
            stream.write_all(start.as_bytes()).await?;
            write_much(stream, b"long", LONG).await?;
        }
        Fault::Endless | Fault::Held => {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            let ends = matches!(fault, Fault::Held);
            write_much(stream, b"4\r\nlong\r\n", if ends { LONG } else { 8 * LONG }).await?;
            if ends {
                sleep(2 * TIMEOUT).await;
            }
        }
        Fault::NotHttp => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await?,
        Fault::BrokenJson => {
            let part = some(body, rng);
            let answer = answer(200, "", part.len(), &part);
            stream.write_all(answer.as_bytes()).await?;
            return Ok(true);
        }
        Fault::WrongJson => {
            let wrong = r#"{"friendlyName":["call-0."]}"#;
            let answer = answer(200, "", wrong.len(), wrong);
            stream.write_all(answer.as_bytes()).await?;
            return Ok(true);
        }
        Fault::Passing | Fault::RetryAfter | Fault::Refused | Fault::Redirect => {
            let headers = match fault {
                Fault::RetryAfter => [
                    "retry-after: 1\r\n",
                    "retry-after-ms: 20\r\n",
                    "retry-after: Tue, 24 Nov 2026 00:00:00 GMT\r\n",
                    "retry-after: 3600\r\n",
                ][rng.usize(..4)],
                Fault::Redirect => "location: http://127.0.0.1:9/elsewhere\r\n",
                _ => "",
            };
            let body = r#"{"message":"no"}"#;
            let answer = answer(status, headers, body.len(), body);
            stream.write_all(answer.as_bytes()).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

async fn write_much(stream: &mut TcpStream, part: &[u8], total: usize) -> io::Result<()> {
    let block = part.repeat((64 << 10) / part.len());
    for _ in 0..total / block.len() {
        stream.write_all(&block).await?;
    }
    Ok(())
}
