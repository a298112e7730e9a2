//! Any answer over HTTP/1.

#![no_main]

use std::{cell::LazyCell, fmt::Write as _, io, sync::PoisonError};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sigmamind_fuzz::{Answer, Fixture, Next, echo, headers, http::read_request};
use tokio::{io::AsyncWriteExt, net::TcpStream};

#[derive(Debug, Arbitrary)]
enum Made<'a> {
    /// Well-formed HTTP with anything in it.
    Framed {
        status: u16,
        headers: Vec<(u8, &'a [u8])>,
        chunked: bool,
        body: &'a [u8],
    },
    /// Anything at all, after which the connection is closed.
    Raw(&'a [u8]),
}

impl Made<'_> {
    fn answer(&self) -> Answer {
        let (status, made_up, chunked, body) = match self {
            Self::Raw(bytes) => {
                return Answer {
                    bytes: bytes.to_vec(),
                    close: true,
                    status: None,
                };
            }
            Self::Framed {
                status,
                headers,
                chunked,
                body,
            } => (200 + status % 400, headers, *chunked, echo(body)),
        };
        let mut head = format!("HTTP/1.1 {status} Reason\r\n");
        for (name, value) in headers(made_up) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let framing = if chunked {
            format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len())
        } else {
            format!("content-length: {}\r\n\r\n", body.len())
        };
        let end: &[u8] = match (chunked, body.is_empty()) {
            (true, false) => b"\r\n0\r\n\r\n",
            (true, true) => b"\r\n",
            (false, _) => b"",
        };
        Answer {
            bytes: [head.as_bytes(), framing.as_bytes(), &body, end].concat(),
            close: false,
            status: Some(status),
        }
    }
}

async fn serve(mut stream: TcpStream, next: Next) -> io::Result<()> {
    let mut buffer = Vec::new();
    while read_request(&mut stream, &mut buffer).await?.is_some() {
        let answer = next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stream.write_all(&answer.bytes).await?;
        if answer.close {
            break;
        }
    }
    Ok(())
}

thread_local! {
    static FIXTURE: LazyCell<Fixture> =
        LazyCell::new(|| Fixture::new(|builder| builder, serve).expect("loopback can be used"));
}

fuzz_target!(|made: Made| FIXTURE.with(|fixture| fixture.run(made.answer())));
