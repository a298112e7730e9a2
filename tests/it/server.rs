//! A server of raw TCP on the loopback that does what a script says, right or wrong.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use sigmamind::{Call, Client, ClientBuilder, Error, PhoneNumber, PhoneNumberUpdate, reqwest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{advance, sleep},
};

pub const KEY: &str = "sk-live-9fQ2xZ";
pub const NUMBER: &str = "+14155552671";
pub const PASSWORD: &str = "Tr0nk \"P@ss\"  w0rd";
pub const USERNAME: &str = "trunk-user-77";
/// Body of the answer when the script is over.
pub const SUCCESS: &str = include_str!("../fixtures/response.json");

/// Action of the server on one request.
#[derive(Clone)]
pub struct Step {
    /// `true` if it reads the request first.
    reads: bool,
    sends: Vec<u8>,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    /// Waits for the next request on the same connection.
    Keep,
    Close,
    Reset,
    /// Leaves the connection open and sends no more.
    Hang,
    /// Sends the same again and again, for ever; `Drip` waits 100 ms before each.
    Flood(&'static [u8]),
    Drip(&'static [u8]),
}

impl Step {
    pub fn send(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            reads: true,
            sends: bytes.into(),
            then: Then::Keep,
        }
    }

    pub fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len().to_string();
        let mut bytes = head(status, &[headers, &[("content-length", &*length)]].concat());
        bytes.extend_from_slice(body);
        Self::send(bytes)
    }

    pub fn status(status: u16) -> Self {
        Self::answer(status, &[], "")
    }

    pub fn silent() -> Self {
        Self::send([]).hang()
    }

    /// Acts on the connection as soon as it is there, with nothing read.
    pub fn unread(self) -> Self {
        let reads = false;
        Self { reads, ..self }
    }

    pub fn close(self) -> Self {
        let then = Then::Close;
        Self { then, ..self }
    }

    pub fn reset(self) -> Self {
        let then = Then::Reset;
        Self { then, ..self }
    }

    pub fn hang(self) -> Self {
        let then = Then::Hang;
        Self { then, ..self }
    }

    pub fn flood(self, with: &'static [u8]) -> Self {
        let then = Then::Flood(with);
        Self { then, ..self }
    }

    pub fn drip(self, with: &'static [u8]) -> Self {
        let then = Then::Drip(with);
        Self { then, ..self }
    }
}

/// An HTTP client like the crate's own, without the system's proxies and its root certificates.
pub fn http() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tls_certs_only([])
        .no_proxy()
}

/// A client that nobody answers. It needs no root certificates, which this machine may not have.
pub fn nobody() -> ClientBuilder {
    Client::builder()
        .api_key(KEY)
        .base_url("http://127.0.0.1:1")
}

/// The head of an answer, empty line included.
pub fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} -\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    (head + "\r\n").into_bytes()
}

/// Connections and requests of a server so far.
#[derive(Clone, Default)]
pub struct Log {
    pub connections: usize,
    /// Count of connections that the other side has ended.
    pub ended: usize,
    pub requests: Vec<Request>,
}

#[derive(Clone)]
pub struct Request {
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        Some(lines.find(|(known, _)| known.eq_ignore_ascii_case(name))?.1)
    }
}

pub struct Server {
    pub address: SocketAddr,
    log: watch::Receiver<Log>,
}

struct Script {
    steps: Mutex<VecDeque<Step>>,
    then: Box<dyn Fn(&Request) -> Step + Send + Sync>,
    log: watch::Sender<Log>,
}

impl Server {
    /// Follows the script, then answers every request with [`SUCCESS`].
    pub async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        Self::start_with(steps, |_| Step::answer(200, &[], SUCCESS)).await
    }

    /// Does with each request what this says.
    pub async fn answering(answer: impl Fn(&Request) -> Step + Send + Sync + 'static) -> Self {
        Self::start_with([], answer).await
    }

    async fn start_with(
        steps: impl IntoIterator<Item = Step>,
        then: impl Fn(&Request) -> Step + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, log) = watch::channel(Log::default());
        let script = Arc::new(Script {
            steps: Mutex::new(steps.into_iter().collect()),
            then: Box::new(then),
            log: sender,
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                script.log.send_modify(|log| log.connections += 1);
                let script = script.clone();
                tokio::spawn(async move {
                    if !matches!(script.serve(stream).await, Ok(Ended::Here)) {
                        script.log.send_modify(|log| log.ended += 1);
                    }
                });
            }
        });
        Self { address, log }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A builder for a client of this server, over an HTTP client of its own.
    pub fn builder(&self) -> ClientBuilder {
        Client::builder().api_key(KEY).base_url(self.url())
    }

    /// A client of this server, over [`http`].
    pub fn client(&self) -> Client {
        self.client_with(|builder| builder)
    }

    /// The same with these settings.
    pub fn client_with(&self, set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
        let http = http().build().unwrap();
        set(self.builder().http_client(http)).build().unwrap()
    }

    pub fn log(&self) -> Log {
        self.log.borrow().clone()
    }

    pub fn requests(&self) -> usize {
        self.log.borrow().requests.len()
    }

    /// Waits for the log to satisfy the test; what never comes fails by name.
    pub async fn until(&self, what: &str, test: impl Fn(&Log) -> bool) {
        let mut log = self.log.clone();
        let met = log.wait_for(test);
        let met = tokio::time::timeout(Duration::from_secs(100), met).await;
        assert!(met.is_ok(), "the server has never seen that {what}");
    }
}

enum Ended {
    Here,
    There,
}

impl Script {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<Ended> {
        loop {
            let reads = self
                .steps
                .lock()
                .unwrap()
                .front()
                .is_none_or(|step| step.reads);
            let mut request = None;
            if reads {
                request = read_request(&mut stream).await?;
                let Some(request) = request.clone() else {
                    return Ok(Ended::There);
                };
                self.log.send_modify(|log| log.requests.push(request));
            }
            let scripted = self.steps.lock().unwrap().pop_front();
            let step = scripted.unwrap_or_else(|| (self.then)(&request.expect("the step reads")));
            stream.write_all(&step.sends).await?;
            match step.then {
                Then::Keep => {}
                Then::Close => return Ok(Ended::Here),
                Then::Reset => {
                    #[allow(deprecated, reason = "the other name came with tokio 1.50")]
                    stream.set_linger(Some(Duration::ZERO))?;
                    return Ok(Ended::Here);
                }
                Then::Hang => {
                    while stream.read(&mut [0; 1024]).await? > 0 {}
                    return Ok(Ended::There);
                }
                Then::Flood(bytes) => loop {
                    stream.write_all(bytes).await?;
                },
                Then::Drip(bytes) => loop {
                    sleep(Duration::from_millis(100)).await;
                    stream.write_all(bytes).await?;
                },
            }
        }
    }
}

/// Reads one request; `None` if the other side closes before it.
async fn read_request(stream: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let body = &bytes[end + 4..];
        if body.len() >= length {
            return Ok(Some(Request {
                body: body.to_vec(),
                head,
            }));
        }
    }
}

/// An update with every secret in it.
pub fn update() -> PhoneNumberUpdate {
    PhoneNumberUpdate::default()
        .friendly_name("Support Line")
        .trunk_username(USERNAME)
        .trunk_password(PASSWORD)
}

pub fn call(client: &Client) -> Call<PhoneNumber> {
    client.update_phone_number(&NUMBER.parse().unwrap(), &update())
}

/// The error of a call that is made once and meets this step.
pub async fn error_of(step: Step) -> Error {
    let server = Server::start([step]).await;
    let result = call(&server.client()).max_retries(0).await;
    let error = result.expect_err("the call succeeded");
    assert!(server.requests() <= 1, "a call without retries was retried");
    error
}

/// The causes of an error, one after the other.
pub fn causes(error: &Error) -> Vec<&(dyn std::error::Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    causes
}

/// Runs a test with a clock that is twenty times as fast as the real one.
///
/// A clock that tokio advances by itself would jump over the time that real sockets take.
pub fn quick<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::spawn(async {
            const STEP: Duration = Duration::from_millis(1);
            loop {
                // As long as it is not back, tokio leaves the clock alone.
                tokio::task::spawn_blocking(|| std::thread::sleep(STEP))
                    .await
                    .unwrap();
                advance(20 * STEP).await;
            }
        });
        test.await
    })
}
