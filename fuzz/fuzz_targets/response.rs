//! Any response, through the whole client: a server in this thread answers over loopback.

#![no_main]

use std::{cell::RefCell, error::Error, fmt::Write as _, io, sync::Arc};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sigmamind::{Client, E164, PhoneNumberUpdate};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::Mutex,
};

#[path = "../../benches/src/http.rs"]
mod http;

const KEY: &str = "fuzz-key-0123456789";
const PASSWORD: &str = "fuzz-password";
/// Those that the client looks at, and one more.
const HEADERS: [&str; 8] = [
    "content-type",
    "retry-after",
    "retry-after-ms",
    "date",
    "location",
    "x-request-id",
    "cf-ray",
    "x-other",
];

#[derive(Debug, Arbitrary)]
enum Answer<'a> {
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

impl Answer<'_> {
    /// What goes over the wire, and its status if that is certain.
    fn bytes(&self) -> (Vec<u8>, Option<u16>) {
        let (status, headers, chunked, body) = match self {
            Self::Raw(bytes) => return (bytes.to_vec(), None),
            Self::Framed {
                status,
                headers,
                chunked,
                body,
            } => (200 + status % 400, headers, *chunked, echo(body)),
        };
        let mut head = format!("HTTP/1.1 {status} Reason\r\n");
        for (name, value) in headers.iter().take(8) {
            // Latin-1 goes out as UTF-8, which a header value may be too.
            let value: String = echo(value)
                .into_iter()
                .map(char::from)
                .filter(|c| !c.is_control())
                .collect();
            let name = HEADERS[usize::from(*name) % HEADERS.len()];
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
        let bytes = [head.as_bytes(), framing.as_bytes(), &body, end].concat();
        (bytes, Some(status))
    }
}

/// What the server says, with the secrets of the request in place of two bytes that no text has.
fn echo(bytes: &[u8]) -> Vec<u8> {
    let mut echoed = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            0xff => echoed.extend(KEY.bytes()),
            0xfe => echoed.extend(PASSWORD.bytes()),
            _ => echoed.push(*byte),
        }
    }
    echoed
}

/// What is made once.
struct Fixture {
    runtime: Runtime,
    client: Client,
    number: E164,
    update: PhoneNumberUpdate,
    next: Arc<Mutex<Next>>,
}

#[derive(Default)]
struct Next {
    answer: Vec<u8>,
    close: bool,
}

impl Fixture {
    fn new() -> Result<Self, Box<dyn Error>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let client = Client::builder()
            .api_key(KEY)
            .base_url(format!("http://{}", listener.local_addr()?))
            .max_retries(0)
            .build()?;
        let next = Arc::new(Mutex::new(Next::default()));
        runtime.spawn(serve(listener, next.clone()));
        Ok(Self {
            runtime,
            client,
            number: "+14155552671".parse()?,
            update: PhoneNumberUpdate::default().trunk_password(PASSWORD),
            next,
        })
    }

    fn run(&self, answer: &Answer) {
        let (bytes, status) = answer.bytes();
        let close = status.is_none();
        let outcome = self.runtime.block_on(async {
            *self.next.lock().await = Next {
                answer: bytes,
                close,
            };
            self.client
                .update_phone_number(&self.number, &self.update)
                .await
        });
        match outcome {
            Ok(answer) => {
                assert!(answer.status().is_success());
                assert!(status.is_none_or(|status| answer.status() == status));
                let _ = (answer.request_id(), format!("{answer:?}"));
            }
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains(char::is_control), "not one line: {text:?}");
                for shown in [&text, &format!("{error:?}")] {
                    assert!(!shown.contains(KEY) && !shown.contains(PASSWORD), "{shown}");
                }
                assert!(!error.is_invalid_input() && !error.is_connect());
                assert!(error.message().unwrap_or_default().chars().count() <= 500);
                if status.is_some_and(|status| status < 300) {
                    assert!(error.may_have_been_applied(), "{error:?}");
                }
                let _ = (error.request_id(), error.retry_after());
            }
        }
    }
}

async fn serve(listener: TcpListener, next: Arc<Mutex<Next>>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(answer_all(stream, next.clone()));
    }
}

async fn answer_all(mut stream: TcpStream, next: Arc<Mutex<Next>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while http::read_request(&mut stream, &mut buffer)
        .await?
        .is_some()
    {
        let next = next.lock().await;
        stream.write_all(&next.answer).await?;
        if next.close {
            break;
        }
    }
    Ok(())
}

thread_local! {
    static FIXTURE: RefCell<Option<Fixture>> = const { RefCell::new(None) };
}

fuzz_target!(|answer: Answer| {
    FIXTURE.with_borrow_mut(|fixture| {
        fixture
            .get_or_insert_with(|| Fixture::new().expect("loopback can be used"))
            .run(&answer);
    });
});
