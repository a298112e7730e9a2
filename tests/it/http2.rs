//! The faults of HTTP/2, by a server of raw frames on loopback.

use std::{future::Future, io, time::Duration};

use sigmamind::{Call, Client, Error, http::Method};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::server::{KEY, SUCCESS, call, causes, http, quick};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// Of `DATA` and `HEADERS`; of `SETTINGS` and `PING` it is the acknowledgement.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// A `SETTINGS` that allows one stream at a time.
const ONE_STREAM: &[u8] = &[0, 3, 0, 0, 0, 1];
/// One that allows that many bytes of a request's body.
const WINDOW_OF_9: &[u8] = &[0, 4, 0, 0, 0, 9];
/// The compressed `:status` of some answers.
const OK: &[u8] = &[0x88];
const BAD_REQUEST: &[u8] = &[0x8c];

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug, Clone, PartialEq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn ends_a_request(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// One connection of the server's.
struct Connection<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn accept(mut stream: S, settings: &[u8]) -> io::Result<Self> {
        stream.read_exact(&mut [0; 24]).await?;
        let mut connection = Self(stream);
        connection.send(SETTINGS, 0, 0, settings).await?;
        Ok(connection)
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.0.write_all(&frame(kind, flags, stream, payload)).await
    }

    /// The next frame that is about a stream or the end of the connection.
    async fn next(&mut self) -> io::Result<Frame> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await?;
            let frame = Frame {
                kind: head[3],
                flags: head[4],
                stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
                payload,
            };
            match (frame.kind, frame.flags & ACK != 0) {
                (SETTINGS, false) => self.send(SETTINGS, ACK, 0, &[]).await?,
                (PING, false) => self.send(PING, ACK, 0, &frame.payload).await?,
                (DATA | HEADERS | RST_STREAM | GOAWAY, _) => return Ok(frame),
                _ => {}
            }
        }
    }

    /// The stream of the next request that comes as a whole.
    async fn request(&mut self) -> io::Result<u32> {
        loop {
            let frame = self.next().await?;
            if frame.ends_a_request() {
                return Ok(frame.stream);
            }
        }
    }

    async fn answer(&mut self, stream: u32, status: &[u8], body: &[u8]) -> io::Result<()> {
        let head = frame(HEADERS, END_HEADERS, stream, status);
        let body = frame(DATA, END_STREAM, stream, body);
        self.0.write_all(&[head, body].concat()).await
    }

    async fn reset(&mut self, stream: u32, reason: u32) -> io::Result<()> {
        self.send(RST_STREAM, 0, stream, &reason.to_be_bytes())
            .await
    }

    async fn go_away(&mut self, last: u32, reason: u32) -> io::Result<()> {
        let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await
    }

    /// Answers all that comes, until the other side closes.
    async fn go_on(&mut self) -> io::Result<()> {
        loop {
            let stream = self.request().await?;
            self.answer(stream, OK, SUCCESS.as_bytes()).await?;
        }
    }
}

/// Answers so many requests on a connection, and returns it open.
pub async fn answer<S>(stream: S, requests: usize) -> io::Result<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = Connection::accept(stream, &[]).await?;
    for _ in 0..requests {
        let stream = connection.request().await?;
        connection.answer(stream, OK, SUCCESS.as_bytes()).await?;
    }
    Ok(connection.0)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A server that does this with the first connection, and answers on all others. Returns its URL.
async fn server<F>(first: impl FnOnce(Connection<TcpStream>) -> F + Send + 'static) -> String
where
    F: Future<Output = io::Result<()>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        first(Connection::accept(stream, &[]).await?).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let mut connection = Connection::accept(stream, &[]).await?;
            let _ = connection.go_on().await;
        }
        #[allow(unreachable_code, reason = "says what `?` returns")]
        io::Result::Ok(())
    });
    url
}

fn client(url: &str) -> Client {
    let http = http().http2_prior_knowledge().build().unwrap();
    let client = Client::builder().api_key(KEY).base_url(url);
    client.http_client(http).build().unwrap()
}

/// The error of a call that is made once and meets this.
async fn error_of<F>(fault: impl FnOnce(Connection<TcpStream>, u32) -> F + Send + 'static) -> Error
where
    F: Future<Output = io::Result<()>> + Send,
{
    let url = server(async move |mut connection| {
        let stream = connection.request().await?;
        fault(connection, stream).await
    });
    let call = call(&client(&url.await)).max_retries(0);
    call.await.expect_err("the call succeeded")
}

fn named(client: &Client, name: &str) -> Call<sigmamind::PhoneNumber> {
    let update = sigmamind::PhoneNumberUpdate::default().friendly_name(name);
    client.update_phone_number(&"+14155552671".parse().unwrap(), &update)
}

/// A client and its connection to a server whose settings it knows.
async fn acquainted(settings: &[u8]) -> (Client, Connection<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()));
    let first = tokio::spawn(call(&client).send());
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut server = Connection::accept(stream, settings).await.unwrap();
    let stream = server.request().await.unwrap();
    server.answer(stream, OK, b"{}").await.unwrap();
    first.await.unwrap().unwrap();
    (client, server)
}

#[tokio::test]
async fn timed_out_call_is_never_sent() {
    end_calls_that_wait().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timed_out_call_is_never_sent_by_another_thread() {
    end_calls_that_wait().await;
}

/// One stream is allowed and taken; a second call ends while it waits for one; then that is freed.
async fn end_calls_that_wait() {
    let (client, mut server) = acquainted(ONE_STREAM).await;
    for round in 0..600_u32 {
        let taken = tokio::spawn(named(&client, "taken").send());
        let stream = server.request().await.unwrap();
        let moment = Duration::from_micros(u64::from(round * 37 % 3000));
        match round % 3 {
            0 => {
                let late =
                    named(&client, "late").attempt_timeout(moment.max(Duration::from_micros(1)));
                let error = late.max_retries(0).await.unwrap_err();
                assert!(error.is_timeout(), "round {round}: {error}");
                assert!(!error.may_have_been_applied(), "round {round}: {error}");
            }
            1 => drop(tokio::time::timeout(moment, named(&client, "late")).await),
            _ => {
                let late = client.request(Method::DELETE, "/v1/late", None);
                drop(tokio::time::timeout(moment, late).await);
            }
        }
        server.answer(stream, OK, b"{}").await.unwrap();
        taken.await.unwrap().unwrap();

        let next = tokio::spawn(named(&client, "next").send());
        loop {
            let frame = server.next().await.unwrap();
            if frame.ends_a_request() {
                let body = String::from_utf8_lossy(&frame.payload).into_owned();
                assert_eq!(
                    body, r#"{"friendlyName":"next"}"#,
                    "round {round}: {frame:?}"
                );
                server.answer(frame.stream, OK, b"{}").await.unwrap();
                break;
            }
        }
        next.await.unwrap().unwrap();
    }
}

/// The first half is on its way when the call ends: the rest stays here.
#[tokio::test]
async fn call_cancelled_while_sending_is_not_sent_whole() {
    let (client, mut server) = acquainted(WINDOW_OF_9).await;
    let late = named(&client, "late").attempt_timeout(Duration::from_millis(200));
    let late = tokio::spawn(late.max_retries(0).send());
    assert_eq!(server.next().await.unwrap().kind, HEADERS);
    let part = server.next().await.unwrap();
    assert_eq!((part.flags, &*part.payload), (0, &br#"{"friendl"#[..]));
    let error = late.await.unwrap().unwrap_err();
    assert!(error.may_have_been_applied(), "{error}");
    let more = 9_u32.to_be_bytes();
    server.send(WINDOW_UPDATE, 0, 3, &more).await.unwrap();
    let next = server.next().await.unwrap();
    assert_eq!((next.kind, next.stream), (RST_STREAM, 3), "{next:?}");
}

#[test]
fn unprocessed_request_counts_as_not_sent() {
    quick(async {
        let refused = error_of(async |mut server, stream| {
            server.reset(stream, REFUSED_STREAM).await?;
            server.go_on().await
        });
        let gone = error_of(async |mut server, _| server.go_away(0, NO_ERROR).await);
        let annoyed = error_of(async |mut server, _| server.go_away(0, ENHANCE_YOUR_CALM).await);
        for error in [refused.await, gone.await, annoyed.await] {
            assert!(error.is_retryable(), "{error}");
            assert_eq!(error.to_string(), "connection lost; retry later");
            assert!(!error.may_have_been_applied(), "{error}");
        }

        // What it may have looked at is another matter.
        let reset = error_of(async |mut server, stream| {
            server.reset(stream, INTERNAL_ERROR).await?;
            server.go_on().await
        });
        let cancelled = error_of(async |mut server, stream| {
            server.reset(stream, CANCEL).await?;
            server.go_on().await
        });
        let gone = error_of(async |mut server, stream| server.go_away(stream, NO_ERROR).await);
        let closed = error_of(async |_, _| Ok(()));
        for error in [reset.await, cancelled.await, gone.await, closed.await] {
            assert!(error.is_retryable(), "{error}");
            assert_eq!(
                error.to_string(),
                "connection lost; retry later [the request may have taken effect]"
            );
        }
    });
}

/// Also what must not be repeated otherwise.
#[test]
fn unprocessed_request_is_retried() {
    quick(async {
        let url = server(async |mut connection| {
            let stream = connection.request().await?;
            connection.reset(stream, REFUSED_STREAM).await?;
            let stream = connection.request().await?;
            connection.go_away(stream - 2, NO_ERROR).await
        });
        let client = client(&url.await);
        let post = client.request(Method::POST, "/v1/agents", Some(serde_json::json!({})));
        assert_eq!(post.await.unwrap().attempts(), 3);
    });
}

#[test]
fn invalid_http_response_is_not_retried() {
    let no_status = &[0x0f, 0x10, 1, b'x']; // content-type alone
    let upper_case = &[0x88, 0, 1, b'X', 1, b'y'];
    let no_such_index = &[0xff, 0xff, 0xff, 0x7f];
    let heads: [&'static [u8]; 3] = [no_status, upper_case, no_such_index];
    quick(async {
        for head in heads {
            let url = server(async move |mut connection| {
                let stream = connection.request().await?;
                connection.answer(stream, head, b"{}").await?;
                connection.go_on().await
            });
            let error = call(&client(&url.await)).await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "the server's response is not valid HTTP; check the base URL and verify the \
 current state [the request may have taken effect]",
                "{head:?}"
            );
            assert_eq!(error.attempts(), 1, "{head:?}");
        }
    });
}

/// A success whose head has come.
#[test]
fn broken_success_may_have_been_applied() {
    let length_9: &[u8] = &[0x88, 0x0f, 0x0d, 1, b'9'];
    quick(async {
        let closed = error_of(async |mut server, stream| {
            server.send(HEADERS, END_HEADERS, stream, OK).await
        });
        let reset = error_of(async |mut server, stream| {
            server.send(HEADERS, END_HEADERS, stream, OK).await?;
            server.reset(stream, INTERNAL_ERROR).await?;
            server.go_on().await
        });
        for error in [closed.await, reset.await] {
            assert_eq!(
                error.to_string(),
                "the request was accepted (200 OK), but the connection was lost; retry later \
                 [the request may have taken effect]"
            );
        }
        let garbled = error_of(async |mut server, stream| {
            server.answer(stream, length_9, b"{}").await?;
            server.go_on().await
        });
        let error = garbled.await;
        assert_eq!(
            error.to_string(),
            "the request was accepted (200 OK), but the response is malformed; verify the \
             current state"
        );
        assert!(error.is_decode() && !error.is_retryable(), "{error}");
    });
}

#[test]
fn truncated_or_stalled_error_body_keeps_status() {
    let part = br#"{"message": "no such agent"}"#;
    quick(async {
        let cut = error_of(async |mut server, stream| {
            server
                .send(HEADERS, END_HEADERS, stream, BAD_REQUEST)
                .await?;
            server.send(DATA, 0, stream, part).await
        });
        let stalled = error_of(async |mut server, stream| {
            server
                .send(HEADERS, END_HEADERS, stream, BAD_REQUEST)
                .await?;
            server.send(DATA, 0, stream, part).await?;
            server.go_on().await
        });
        for error in [cut.await, stalled.await] {
            assert_eq!(error.status().map(|s| s.as_u16()), Some(400), "{error}");
            assert_eq!(error.body(), part);
            assert!(!error.may_have_been_applied());
        }
    });
}

/// The debug data of a GOAWAY frame must not be shown.
#[test]
fn goaway_debug_data_shows_no_secret() {
    quick(async {
        let error = error_of(async |mut server, _| {
            let last = [0_u32, ENHANCE_YOUR_CALM].map(u32::to_be_bytes).concat();
            let farewell = format!("no more from {KEY}");
            let payload = [&last, farewell.as_bytes()].concat();
            server.send(GOAWAY, 0, 0, &payload).await
        });
        let error = error.await;
        let causes = causes(&error);
        assert_eq!(
            causes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["the server has ended the connection: detected excessive load generating behavior"]
        );
        let shown = format!("{error} {error:?} {causes:?}");
        assert!(!shown.contains(KEY), "{shown}");
    });
}

#[test]
fn reset_stream_keeps_connection() {
    quick(async {
        let error = error_of(async |mut server, stream| {
            server.reset(stream, INTERNAL_ERROR).await?;
            server.go_on().await
        });
        let error = error.await;
        assert!(
            causes(&error)[0].is::<sigmamind::reqwest::Error>(),
            "{error:?}"
        );
    });
}

/// A call over HTTP/2, for who looks at what is logged of it.
pub async fn call_once() {
    let url = server(async |mut connection| connection.go_on().await).await;
    call(&client(&url)).await.unwrap();
}
