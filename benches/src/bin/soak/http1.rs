//! The server that speaks HTTP/1.

use std::{
    io,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use fastrand::Rng;
use sigmamind_benches::http::{answer, read_request};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    IDLE, TIMEOUT,
    fault::{Fault, LONG, REFUSAL, WRONG, success},
    log::{Call, Log, call, count},
};

pub async fn serve(mut stream: TcpStream, log: Arc<Log>, mut rng: Rng) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let fault = log.fault(Fault::HTTP1, &mut rng);
        if let Some(fault @ (Fault::CloseUnread | Fault::SilentUnread)) = fault {
            stream.readable().await?;
            count(&log.faults, fault.name());
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
        if let Some(wait) = log.refused() {
            let refusal = answer(429, &format!("retry-after-ms: {wait}\r\n"), "");
            stream.write_all(refusal.as_bytes()).await?;
            continue;
        }
        if fault.is_none_or(|fault| fault.applies(&mut rng)) {
            log.calls[number].mark(Call::APPLIED);
        }
        let body = success(number);
        let Some(fault) = fault else {
            stream.write_all(answer(200, "", &body).as_bytes()).await?;
            continue;
        };
        count(&log.faults, fault.name());
        if !fail(fault, &body, &mut stream, &mut rng).await? {
            return Ok(());
        }
    }
}

/// Answers as the fault has it; says whether the connection can go on.
async fn fail(fault: Fault, body: &str, stream: &mut TcpStream, rng: &mut Rng) -> io::Result<bool> {
    let good = answer(200, "", body);
    let some = |text: &str, rng: &mut Rng| text[..rng.usize(1..text.len())].to_owned();
    let head = good.len() - body.len();
    match fault {
        Fault::Reset => {
            #[allow(deprecated, reason = "the other name came with tokio 1.50")]
            stream.set_linger(Some(Duration::ZERO))?;
        }
        Fault::CloseInHead => {
            let part = some(&good[..head], rng);
            stream.write_all(part.as_bytes()).await?;
        }
        Fault::CloseInBody => {
            let part = &good[..head + some(body, rng).len()];
            stream.write_all(part.as_bytes()).await?;
        }
        Fault::Silent => sleep(2 * TIMEOUT).await,
        Fault::SilentInHead => {
            let part = some(&good[..head], rng);
            stream.write_all(part.as_bytes()).await?;
            sleep(2 * TIMEOUT).await;
        }
        Fault::SilentInBody => {
            let part = &good[..head + some(body, rng).len()];
            stream.write_all(part.as_bytes()).await?;
            sleep(2 * TIMEOUT).await;
        }
        Fault::Drip => {
            for byte in good.as_bytes().chunks(1) {
                stream.write_all(byte).await?;
                sleep(TIMEOUT / 20).await;
            }
        }
        Fault::TooLong => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LONG}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
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
            let broken = answer(200, "", &some(body, rng));
            stream.write_all(broken.as_bytes()).await?;
            return Ok(true);
        }
        Fault::WrongJson => {
            stream.write_all(answer(200, "", WRONG).as_bytes()).await?;
            return Ok(true);
        }
        _ => {
            let header = fault.header(rng);
            let header = header.map(|(name, value)| format!("{name}: {value}\r\n"));
            let answer = answer(fault.status(rng), &header.unwrap_or_default(), REFUSAL);
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
