//! As much of HTTP/1 as a test server needs.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
};

/// Serves every connection in a task of its own.
///
/// # Errors
///
/// What accepting gives; that a client goes away is its right.
pub async fn accept_all<S: Future<Output = io::Result<()>> + Send + 'static>(
    listener: TcpListener,
    mut serve: impl FnMut(TcpStream) -> S,
) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream));
    }
}

/// An answer with a body of JSON; every header ends with a line break.
#[must_use]
pub fn answer(status: u16, headers: &str, body: &str) -> String {
    let (length, reason) = (body.len(), if status == 200 { "OK" } else { "No" });
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n{headers}\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Reads one request with its body into `buffer`, and returns where the body begins; `None` if
/// the client has closed the connection instead.
///
/// # Errors
///
/// What reading gives, and `UnexpectedEof` if the connection is closed within a request.
pub async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<Option<usize>> {
    buffer.clear();
    let mut body = None;
    loop {
        if body.is_none() {
            body = end_of_head(buffer);
        }
        if let Some(start) = body
            && buffer.len() >= start + content_length(&buffer[..start])
        {
            return Ok(body);
        }
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
}

fn end_of_head(buffer: &[u8]) -> Option<usize> {
    let end = b"\r\n\r\n";
    let at = buffer.windows(end.len()).position(|window| window == end)?;
    Some(at + end.len())
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    head.split(|byte| *byte == b'\n')
        .find(|line| {
            line.get(..NAME.len())
                .is_some_and(|name| name.eq_ignore_ascii_case(NAME))
        })
        .and_then(|line| {
            str::from_utf8(&line[NAME.len()..])
                .ok()?
                .trim()
                .parse()
                .ok()
        })
        .unwrap_or(0)
}
