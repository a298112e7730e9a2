//! How long an answer that never ends keeps the other tasks of its thread waiting.
//!
//! `cargo run --release -p sigmamind-benches --bin stall`: a server sends as fast as it can, for two
//! seconds, to a client on a runtime of one thread, on which another task wants to run every
//! millisecond. What is printed is the longest that it had to wait, in milliseconds, next to
//! hand-written reqwest.

use std::{
    error::Error,
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use sigmamind::{Client, PhoneNumberUpdate};
use sigmamind_benches::{KEY, NUMBER, UPDATE};
use tokio::{
    runtime,
    time::{sleep, timeout},
};

const LASTS: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(1);

/// A name, what the answer begins with, and what it goes on with.
const ANSWERS: [(&str, &str, &str); 4] = [
    ("nothing", "", ""),
    (
        "100 Continue, again and again",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ),
    ("a chunk extension without an end", CHUNKED, "x"),
    ("chunks of one byte", CHUNKED, "1\r\n \r\n"),
];
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;";

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    println!("{:34}{:>12}{:>12}", "the answer", "reqwest", "sigmamind");
    for (name, head, more) in ANSWERS {
        let head = if more.starts_with('1') {
            head.trim_end_matches("1;")
        } else {
            head
        };
        let reqwest = longest(head, more, async |url| {
            let update: serde_json::Value = serde_json::from_str(UPDATE)?;
            let client = reqwest::Client::new();
            let request = client.patch(format!("{url}/v1/phone-number/{NUMBER}"));
            request.json(&update).send().await?.bytes().await?;
            Ok(())
        })?;
        let sigmamind = longest(head, more, async |url| {
            let update: PhoneNumberUpdate = serde_json::from_str(UPDATE)?;
            let client = Client::builder().api_key(KEY).base_url(url).build()?;
            let call = client.update_phone_number(&NUMBER.parse()?, &update);
            call.max_retries(0).await?;
            Ok(())
        })?;
        println!("{name:34}{reqwest:>12.1}{sigmamind:>12.1}");
    }
    Ok(())
}

/// The longest wait in milliseconds while a call gets this answer.
fn longest(
    head: &'static str,
    more: &'static str,
    call: impl AsyncFnOnce(String) -> Result<(), Box<dyn Error + Send + Sync>>,
) -> Result<f64, Box<dyn Error + Send + Sync>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let _ = stream.read(&mut [0; 4096])?;
        stream.write_all(head.as_bytes())?;
        let block = more.repeat((64 << 10) / more.len().max(1));
        loop {
            stream.write_all(block.as_bytes())?;
            if block.is_empty() {
                thread::sleep(TICK);
            }
        }
    });
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let ticker = tokio::spawn(async {
            let (start, mut longest) = (Instant::now(), Duration::ZERO);
            while start.elapsed() < LASTS {
                let before = Instant::now();
                sleep(TICK).await;
                longest = longest.max(before.elapsed());
            }
            longest
        });
        // How it ends does not matter.
        let _ = timeout(LASTS, call(url)).await;
        Ok(ticker.await?.as_secs_f64() * 1000.0)
    })
}
