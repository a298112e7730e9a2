//! Any frames over HTTP/2, after which the connection is closed.

#![no_main]

use std::{cell::LazyCell, io, sync::PoisonError};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sigmamind::reqwest;
use sigmamind_fuzz::{Answer, Fixture, Next, echo, headers};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

#[derive(Debug, Arbitrary)]
enum Made<'a> {
    Headers {
        status: u16,
        headers: Vec<(u8, &'a [u8])>,
        last: bool,
    },
    Data {
        body: &'a [u8],
        last: bool,
    },
    Reset {
        reason: u8,
    },
    GoAway {
        /// The last stream that the server has looked at.
        seen: u8,
        reason: u8,
    },
    Any {
        kind: u8,
        flags: u8,
        stream: u8,
        payload: &'a [u8],
    },
    /// What is no frame.
    Raw(&'a [u8]),
}

impl Made<'_> {
    /// As it goes to the first stream of a connection.
    fn bytes(&self) -> Vec<u8> {
        let end = |last: bool| if last { END_STREAM } else { 0 };
        match self {
            Self::Headers {
                status,
                headers: made_up,
                last,
            } => {
                let mut block = text(&[0x08], status_of(*status).to_string().as_bytes()); // `:status`
                for (name, value) in headers(made_up) {
                    block.extend(text(&text(&[0], name.as_bytes()), value.as_bytes()));
                }
                block.truncate(16 << 10);
                frame(HEADERS, END_HEADERS | end(*last), 1, &block)
            }
            Self::Data { body, last } => frame(DATA, end(*last), 1, &echo(body)),
            Self::Reset { reason } => frame(RST_STREAM, 0, 1, &[0, 0, 0, *reason]),
            Self::GoAway { seen, reason } => {
                frame(GOAWAY, 0, 0, &[0, 0, 0, *seen, 0, 0, 0, *reason])
            }
            Self::Any {
                kind,
                flags,
                stream,
                payload,
            } => frame(*kind, *flags, stream % 4, payload),
            Self::Raw(bytes) => bytes.to_vec(),
        }
    }
}

fn status_of(made_up: u16) -> u16 {
    100 + made_up % 500
}

/// A text after its length, which has seven bits in its first byte, as headers are spelt out.
fn text(before: &[u8], text: &[u8]) -> Vec<u8> {
    let mut bytes = before.to_vec();
    match text.len().checked_sub(127) {
        None => bytes.push(u8::try_from(text.len()).unwrap_or_default()),
        Some(mut rest) => {
            bytes.push(127);
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap_or_default() | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap_or_default());
        }
    }
    bytes.extend(text);
    bytes
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default();
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags, 0, 0, 0, stream]);
    bytes.extend(payload);
    bytes
}

/// The frames of an answer; its status is certain if it is one and nothing else.
fn answer(made: &[Made]) -> Answer {
    let status = match made {
        [Made::Headers { status, .. }, rest @ ..] => Some(status_of(*status))
            .filter(|status| *status >= 200)
            .filter(|_| rest.iter().all(|made| matches!(made, Made::Data { .. }))),
        _ => None,
    };
    Answer {
        bytes: made.iter().flat_map(Made::bytes).collect(),
        close: true,
        status,
    }
}

async fn serve(mut stream: TcpStream, next: Next) -> io::Result<()> {
    stream.read_exact(&mut [0; 24]).await?; // the preface
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0; length as usize]).await?;
        if matches!(head[3], DATA | HEADERS) && head[4] & END_STREAM != 0 {
            break;
        }
    }
    let answer = next.lock().unwrap_or_else(PoisonError::into_inner).clone();
    stream.write_all(&answer.bytes).await?;
    stream.shutdown().await?;
    // What the client still says is read, or the answer would be lost by a reset.
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(())
}

thread_local! {
    static FIXTURE: LazyCell<Fixture> = LazyCell::new(|| {
        let http = reqwest::Client::builder().http2_prior_knowledge();
        let http = http.build().expect("it needs no TLS");
        Fixture::new(|builder| builder.http_client(http), serve).expect("loopback can be used")
    });
}

fuzz_target!(|made: Vec<Made>| FIXTURE.with(|fixture| fixture.run(answer(&made))));
