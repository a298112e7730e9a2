//! As much of HTTP/1 as a test server needs.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

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
