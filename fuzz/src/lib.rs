//! What the targets share: a server on loopback that answers with what the fuzzer makes up, and
//! what must hold of the outcome.

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use sigmamind::{Client, ClientBuilder, E164, PhoneNumberUpdate};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

#[path = "../../benches/src/http.rs"]
pub mod http;

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

/// What the server says, with the secrets of the request in place of two bytes that no text has.
#[must_use]
pub fn echo(bytes: &[u8]) -> Vec<u8> {
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

/// Headers that are well-formed, whatever is in them.
pub fn headers(made_up: &[(u8, &[u8])]) -> impl Iterator<Item = (&'static str, String)> {
    made_up.iter().take(8).map(|(name, value)| {
        // Latin-1 goes out as UTF-8, which a header value may be too.
        let value = echo(value).into_iter().map(char::from);
        let name = HEADERS[usize::from(*name) % HEADERS.len()];
        (name, value.filter(|c| !c.is_control()).collect())
    })
}

/// What the server answers the next request with.
#[derive(Clone, Default)]
pub struct Answer {
    pub bytes: Vec<u8>,
    /// Whether it closes the connection then.
    pub close: bool,
    /// The status that the client must find, if that is certain.
    pub status: Option<u16>,
}

/// What a connection's task is given to look up the answer.
pub type Next = Arc<Mutex<Answer>>;

/// A client and its server, made once.
pub struct Fixture {
    runtime: Runtime,
    client: Client,
    number: E164,
    update: PhoneNumberUpdate,
    next: Next,
}

impl Fixture {
    /// With a server that serves each connection so.
    ///
    /// # Errors
    ///
    /// If loopback cannot be used.
    pub fn new<S: Future<Output = io::Result<()>> + Send + 'static>(
        set: impl FnOnce(ClientBuilder) -> ClientBuilder,
        serve: impl Fn(TcpStream, Next) -> S + Send + 'static,
    ) -> Result<Self, Box<dyn Error>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let builder = Client::builder()
            .api_key(KEY)
            .base_url(format!("http://{}", listener.local_addr()?))
            .max_retries(0);
        let next = Next::default();
        let known = next.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, known.clone()));
            }
        });
        Ok(Self {
            runtime,
            client: set(builder).build()?,
            number: "+14155552671".parse()?,
            update: PhoneNumberUpdate::default().trunk_password(PASSWORD),
            next,
        })
    }

    /// Makes one call that is answered so.
    ///
    /// # Panics
    ///
    /// If what came of it breaks a promise.
    pub fn run(&self, answer: Answer) {
        let status = answer.status;
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        // With a limiter of its own, which no answer before has slowed down.
        let client = self.client.with_api_key(KEY).expect("it was one before");
        let call = client.update_phone_number(&self.number, &self.update);
        match self.runtime.block_on(call.send()) {
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
                assert!(
                    !error.is_invalid_request() && !error.is_configuration() && !error.is_connect(),
                    "{error:?}"
                );
                assert!(error.message().unwrap_or_default().chars().count() <= 500);
                if status.is_some_and(|status| status < 300) {
                    assert!(error.may_have_been_applied(), "{error:?}");
                }
                let _ = (error.request_id(), error.retry_after());
            }
        }
    }
}
