//! The server that speaks HTTP/2, to who knows that it does.

use std::{
    future::poll_fn,
    io,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use h2::{
    Reason, RecvStream, SendStream,
    server::{Builder, SendResponse},
};
use sigmamind::{
    http::{Request, Response},
    reqwest,
};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::{
    AT_A_TIME, IDLE, TIMEOUT,
    fault::{Fault, LONG, REFUSAL, WRONG, success},
    log::{Call, Log, call, count},
};

/// Fewer than there are callers, so that some wait for a stream.
const STREAMS: usize = AT_A_TIME * 3 / 4;

/// An HTTP client that speaks HTTP/2 from the first byte on.
pub fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .http2_prior_knowledge()
        .http2_keep_alive_interval(Duration::from_secs(1))
        .http2_keep_alive_timeout(Duration::from_secs(1))
        .build()
}

/// What is done to a whole connection.
enum Order {
    GoAway,
    Drop,
}

pub async fn serve(stream: TcpStream, log: Arc<Log>, mut rng: Rng) -> io::Result<()> {
    let streams = u32::try_from(STREAMS).unwrap_or(u32::MAX);
    let mut connection = Builder::new()
        .max_concurrent_streams(streams)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    let (order, mut orders) = mpsc::unbounded_channel();
    loop {
        tokio::select! {
            accepted = timeout(IDLE, connection.accept()) => {
                let Ok(accepted) = accepted else {
                    connection.graceful_shutdown();
                    continue;
                };
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, respond) = accepted.map_err(io::Error::other)?;
                let (log, order) = (log.clone(), order.clone());
                tokio::spawn(answer(request, respond, log, rng.fork(), order));
            }
            Some(order) = orders.recv() => match order {
                Order::GoAway => connection.graceful_shutdown(),
                Order::Drop => return Ok(()),
            }
        }
    }
}

async fn answer(
    mut request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    log: Arc<Log>,
    mut rng: Rng,
    order: mpsc::UnboundedSender<Order>,
) -> Result<(), h2::Error> {
    let fault = log.fault(Fault::HTTP2, &mut rng);
    match fault {
        Some(fault @ Fault::CloseUnread) => {
            count(&log.faults, fault.name());
            respond.send_reset(Reason::REFUSED_STREAM);
            return Ok(());
        }
        Some(fault @ Fault::SilentUnread) => {
            count(&log.faults, fault.name());
            sleep(2 * TIMEOUT).await;
            respond.send_reset(Reason::CANCEL);
            return Ok(());
        }
        _ => {}
    }
    let mut body = Vec::new();
    while let Some(part) = request.body_mut().data().await {
        body.extend_from_slice(&part?);
    }
    log.requests.fetch_add(1, SeqCst);
    let Some(number) = call(&body) else {
        return Ok(()); // the client ended it in the middle
    };
    if let Some(wait) = log.refused() {
        let mut refusal = head(429);
        let wait = wait.to_string();
        refusal
            .headers_mut()
            .insert("retry-after-ms", wait.parse().expect("digits"));
        respond.send_response(refusal, true)?;
        return Ok(());
    }
    if fault.is_none_or(|fault| fault.applies(&mut rng)) {
        log.calls[number].mark(Call::APPLIED);
    }
    let body = success(number);
    let Some(fault) = fault else {
        return respond
            .send_response(head(200), false)?
            .send_data(body.into(), true);
    };
    count(&log.faults, fault.name());
    fail(fault, body, respond, &mut rng, &order).await
}

/// Answers as the fault has it.
async fn fail(
    fault: Fault,
    body: String,
    mut respond: SendResponse<Bytes>,
    rng: &mut Rng,
    order: &mpsc::UnboundedSender<Order>,
) -> Result<(), h2::Error> {
    let some = |text: &str, rng: &mut Rng| Bytes::from(text[..rng.usize(1..text.len())].to_owned());
    match fault {
        Fault::Reset => {
            let reasons = [
                Reason::CANCEL,
                Reason::INTERNAL_ERROR,
                Reason::ENHANCE_YOUR_CALM,
            ];
            respond.send_reset(reasons[rng.usize(..reasons.len())]);
        }
        Fault::CloseInBody => {
            let mut stream = respond.send_response(head(200), false)?;
            stream.send_data(some(&body, rng), false)?;
            stream.send_reset(Reason::INTERNAL_ERROR);
        }
        Fault::Silent => {
            sleep(2 * TIMEOUT).await;
            respond.send_reset(Reason::CANCEL);
        }
        Fault::SilentInBody => {
            let mut stream = respond.send_response(head(200), false)?;
            stream.send_data(some(&body, rng), false)?;
            sleep(2 * TIMEOUT).await;
        }
        Fault::Drip => {
            let mut stream = respond.send_response(head(200), false)?;
            for byte in body.bytes() {
                stream.send_data(Bytes::from(vec![byte]), false)?;
                sleep(TIMEOUT / 20).await;
            }
        }
        Fault::TooLong | Fault::Endless => {
            let stream = respond.send_response(head(200), false)?;
            send_much(stream, b"long", 8 * LONG).await?;
        }
        Fault::Held => {
            let stream = respond.send_response(head(200), false)?;
            let _held = send_much(stream, b"held", LONG / 2 - 1).await?;
            sleep(2 * TIMEOUT).await;
        }
        Fault::GoAway => {
            let _ = order.send(Order::GoAway);
            let mut stream = respond.send_response(head(200), false)?;
            stream.send_data(body.into(), true)?;
        }
        Fault::Gone => {
            let _ = order.send(Order::Drop);
            sleep(TIMEOUT).await;
        }
        Fault::BrokenJson => {
            let broken = some(&body, rng);
            respond
                .send_response(head(200), false)?
                .send_data(broken, true)?;
        }
        Fault::WrongJson => {
            respond
                .send_response(head(200), false)?
                .send_data(WRONG.into(), true)?;
        }
        _ => {
            let mut answer = head(fault.status(rng));
            if let Some((name, value)) = fault.header(rng) {
                answer
                    .headers_mut()
                    .insert(name, value.parse().expect("a value"));
            }
            respond
                .send_response(answer, false)?
                .send_data(REFUSAL.into(), true)?;
        }
    }
    Ok(())
}

fn head(status: u16) -> Response<()> {
    let head = Response::builder().status(status);
    head.body(()).expect("a status")
}

/// Sends so much, by frames as small as the server has room for.
async fn send_much(
    mut stream: SendStream<Bytes>,
    part: &'static [u8],
    mut total: usize,
) -> Result<SendStream<Bytes>, h2::Error> {
    let block = Bytes::from(part.repeat((16 << 10) / part.len()));
    while total > 0 {
        stream.reserve_capacity(total.min(block.len()));
        let Some(room) = poll_fn(|context| stream.poll_capacity(context)).await else {
            break;
        };
        let part = block.slice(..room?.min(total).min(block.len()));
        total -= part.len();
        stream.send_data(part, false)?;
    }
    Ok(stream)
}
