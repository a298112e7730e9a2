//! The fake: the documented API over numbers that the test gives it.

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use jsonschema::Validator;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::{KEY, client};
use crate::{
    Client, E164, PhoneNumber, PhoneNumberUpdate,
    generated::{KEY_HEADER, SCHEMAS, operations},
    operation::Operation,
};

const OPERATION: &Operation = &operations::UPDATE_PHONE_NUMBER;

/// A server that plays the documented API over the numbers it is given.
///
/// It listens on a free port of 127.0.0.1 until it is dropped; then the port is closed and every
/// connection with it. Any number of them run side by side, and each behaves the same every time.
///
/// | an update | gets |
/// |---|---|
/// | beyond the [rate limit](Self::rate_limit), if one is set | 429 |
/// | without the key, or with a wrong one | 401 |
/// | that is not declared as the document has it (`application/json`) | 415 |
/// | that is not JSON | 400 |
/// | that breaks the document's schema | 422, with the property and what is wrong with it |
/// | of a number that was not [inserted](Self::insert) | 404 |
/// | else | 200 and the number |
///
/// The page documents 200 alone: the other statuses, and their bodies of `{"message": …}`, are
/// what such servers usually send. What an update sets, the number has from then on; what it
/// leaves out stays; `null`, where the document allows it, clears. Properties of the update that
/// the response does not have (the trunk's name, user and password) are accepted and not shown.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sigmamind::{PhoneNumber, PhoneNumberUpdate, mock::FakeSigmaMind};
///
/// let number = "+14155552671".parse()?;
/// let fake = FakeSigmaMind::start();
/// fake.insert(&number, PhoneNumber::default().active(true));
///
/// fake.fail_next(1, 503); // the client tries again
/// let update = PhoneNumberUpdate::default().friendly_name("Support Line");
/// let phone = fake.client().update_phone_number(&number, &update).await?;
///
/// assert_eq!(phone.active, Some(true));
/// assert_eq!(fake.get(&number), Some(phone.into_inner()));
/// let statuses: Vec<_> = fake.received().iter().map(|r| r.status.as_u16()).collect();
/// assert_eq!(statuses, [503, 200]);
/// # Ok(())
/// # }
/// ```
pub struct FakeSigmaMind {
    inner: Arc<Inner>,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An update that a [`FakeSigmaMind`] received. Its `Debug` hides what the update's hides.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// The number it was for.
    pub number: E164,
    /// The requested changes. [`Secret::expose`](crate::Secret::expose) returns a secret in it.
    pub update: PhoneNumberUpdate,
    /// The status it was answered with.
    pub status: StatusCode,
}

/// Form in which a [`FakeSigmaMind`] says when to retry a request that its rate limit refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryAfter {
    /// By `Retry-After` in whole seconds, rounded up.
    #[default]
    Seconds,
    /// By `retry-after-ms`, rounded up.
    Milliseconds,
    /// Not at all.
    Absent,
}

struct Inner {
    schema: Validator,
    state: Mutex<FakeState>,
}

#[derive(Default)]
struct FakeState {
    /// The numbers with their properties as they stand in a response.
    numbers: HashMap<String, Map<String, Value>>,
    received: Vec<Received>,
    /// Each with the count of times left.
    failures: VecDeque<(usize, StatusCode)>,
    limit: Option<Bucket>,
    retry_after: RetryAfter,
    delay: Duration,
}

impl FakeState {
    fn next_failure(&mut self) -> Option<StatusCode> {
        while let Some((times, status)) = self.failures.front_mut() {
            if let Some(left) = times.checked_sub(1) {
                *times = left;
                return Some(*status);
            }
            self.failures.pop_front();
        }
        None
    }
}

impl RetryAfter {
    fn header(self, wait: Duration) -> Option<(HeaderName, HeaderValue)> {
        let (name, unit) = match self {
            Self::Seconds => (RETRY_AFTER, Duration::from_secs(1)),
            Self::Milliseconds => {
                let name = HeaderName::from_static("retry-after-ms");
                (name, Duration::from_millis(1))
            }
            Self::Absent => return None,
        };
        let units = wait.as_nanos().div_ceil(unit.as_nanos());
        let value = HeaderValue::from(u64::try_from(units).unwrap_or(u64::MAX));
        Some((name, value))
    }
}

/// A token bucket that holds what is granted in a second.
struct Bucket {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(per_second: f64) -> Self {
        Self {
            per_second,
            tokens: per_second.max(1.0),
            filled: Instant::now(),
        }
    }

    /// Takes a token, or says when there will be one.
    fn take(&mut self) -> Result<(), Duration> {
        let now = Instant::now();
        let new = now.duration_since(self.filled).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + new).min(self.per_second.max(1.0));
        self.filled = now;
        if self.tokens < 1.0 {
            let wait = (1.0 - self.tokens) / self.per_second;
            return Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

impl FakeSigmaMind {
    /// A server that knows no number yet.
    ///
    /// It runs on a thread of its own, so it needs no async runtime and may start and end inside one.
    ///
    /// # Panics
    ///
    /// If this machine gives it no port or no thread.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        Self::serve(listener)
    }

    /// Starts a server on this port of 127.0.0.1; see [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// If the port is in use, or may not be used.
    ///
    /// # Panics
    ///
    /// If this machine gives it no thread.
    pub fn start_on(port: u16) -> io::Result<Self> {
        Ok(Self::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?))
    }

    fn serve(listener: TcpListener) -> Self {
        let json = |text| serde_json::from_str::<Value>(text).expect("build.rs wrote JSON");
        let mut schema = json(OPERATION.mock.request);
        schema["$defs"] = json(SCHEMAS);
        let schema = jsonschema::draft202012::options()
            .build(&schema)
            .expect("the document's schema is one");
        let inner = Arc::new(Inner {
            schema,
            state: Mutex::default(),
        });
        let method = Method::from_bytes(OPERATION.method.as_bytes())
            .ok()
            .and_then(|method| MethodFilter::try_from(method).ok())
            .expect("the document's method is one");
        let router = Router::new()
            .route(OPERATION.path, on(method, update))
            .with_state(inner.clone());

        let address = listener.local_addr().expect("the listener has an address");
        listener.set_nonblocking(true).expect("a socket can wait");
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new()
            .name("FakeSigmaMind".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(async {
                    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                    tokio::select! {
                        _ = stopped => {}
                        _ = axum::serve(listener, router).into_future() => {}
                    }
                });
            })
            .expect("a thread");
        Self {
            inner,
            url: format!("http://{address}"),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Lets the server know a number, with these properties; one that it knew is replaced.
    ///
    /// # Panics
    ///
    /// Never: a phone number is always JSON.
    pub fn insert(&self, number: &E164, phone: PhoneNumber) {
        let Ok(Value::Object(properties)) = serde_json::to_value(phone) else {
            unreachable!("a phone number is a JSON object");
        };
        self.state()
            .numbers
            .insert(number.as_str().to_owned(), properties);
    }

    /// Returns the current properties of a number, or `None` if the server does not know it.
    #[must_use]
    pub fn get(&self, number: &E164) -> Option<PhoneNumber> {
        let properties = self.state().numbers.get(number.as_str())?.clone();
        serde_json::from_value(properties.into()).ok()
    }

    /// Lets the server forget a number.
    pub fn remove(&self, number: &E164) {
        self.state().numbers.remove(number.as_str());
    }

    /// The updates that came, in their order, whatever they were answered.
    ///
    /// Requests that carry no update for an E.164 number are left out; the client sends none.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// Answers the next `times` requests with `status`, and applies nothing of them.
    ///
    /// Called again, it adds to what is still to come.
    ///
    /// # Panics
    ///
    /// If `status` is not one of 400 to 599.
    pub fn fail_next(&self, times: usize, status: u16) {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .expect("a status of 400 to 599");
        self.state().failures.push_back((times, status));
    }

    /// Grants so many requests a second from now on, and answers 429 to the others. Default: all.
    ///
    /// It is a token bucket of one second: so many (and at least one) are granted at once, and when
    /// they are used up, one more as the time for each has passed. What
    /// [`fail_next`](Self::fail_next) answers takes none. The refusal says by `Retry-After` when to
    /// come back, or [as you choose](Self::retry_after).
    ///
    /// So you see what your own job makes of a limit:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sigmamind::{Batch, E164, PhoneNumber, PhoneNumberUpdate, mock::FakeSigmaMind};
    ///
    /// let fake = FakeSigmaMind::start();
    /// let numbers: Vec<E164> = (0..40).map(|n| format!("+141555526{n:02}").parse()).collect::<Result<_, _>>()?;
    /// for number in &numbers {
    ///     fake.insert(number, PhoneNumber::default());
    /// }
    /// fake.rate_limit(20.0);
    ///
    /// let client = fake.client();
    /// let update = PhoneNumberUpdate::default().inbound_agent_id("new-agent");
    /// let mut batch = Batch::new(numbers.iter().map(|number| client.update_phone_number(number, &update)));
    /// while let Some((_, outcome)) = batch.next().await {
    ///     outcome?; // later, and none is lost
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If `per_second` is not a number above zero.
    pub fn rate_limit(&self, per_second: f64) {
        assert!(
            per_second.is_finite() && per_second > 0.0,
            "the rate limit is not a number above zero; give requests per second"
        );
        self.state().limit = Some(Bucket::new(per_second));
    }

    /// Lets refusals for the [rate limit](Self::rate_limit) say in this way when to come back.
    /// Default: [`RetryAfter::Seconds`].
    pub fn retry_after(&self, retry_after: RetryAfter) {
        self.state().retry_after = retry_after;
    }

    /// Sends each answer this much later from now on; the update itself is applied at once.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// A client with this server's URL and key, and else the default settings.
    ///
    /// # Panics
    ///
    /// Under the feature `rustls-no-provider`, when no provider is installed: reqwest wants one for
    /// every client, although this one does not use it.
    #[must_use]
    pub fn client(&self) -> Client {
        client(&self.url)
    }

    /// The base URL, `http://127.0.0.1:` and the port.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key that the server wants.
    #[must_use]
    pub fn key(&self) -> &'static str {
        KEY
    }

    fn state(&self) -> MutexGuard<'_, FakeState> {
        self.inner.lock()
    }
}

impl Drop for FakeSigmaMind {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for FakeSigmaMind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeSigmaMind")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the status and the body of the response to a request.
    fn answer(
        &self,
        state: &mut FakeState,
        number: &str,
        headers: &HeaderMap,
        body: &[u8],
        retry_after: &mut Option<(HeaderName, HeaderValue)>,
    ) -> Result<Value, (StatusCode, String)> {
        let refuse = |status, message: &str| Err((status, message.to_owned()));
        if let Some(status) = state.next_failure() {
            return refuse(status, "the test asked for this failure");
        }
        if let Some(Err(wait)) = state.limit.as_mut().map(Bucket::take) {
            *retry_after = state.retry_after.header(wait);
            let status = StatusCode::TOO_MANY_REQUESTS;
            return refuse(status, "there are too many requests");
        }
        if headers.get(KEY_HEADER).is_none_or(|key| key != KEY) {
            return refuse(StatusCode::UNAUTHORIZED, "the API key is missing or wrong");
        }
        if !is_as_declared(headers) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let message = format!("the content type is not {}", OPERATION.content_type);
            return refuse(status, &message);
        }
        let Ok(update) = serde_json::from_slice::<Value>(body) else {
            return refuse(StatusCode::BAD_REQUEST, "the body is not JSON");
        };
        let problems: Vec<_> = self
            .schema
            .iter_errors(&update)
            .map(|error| problem(&error))
            .collect();
        if !problems.is_empty() {
            return refuse(StatusCode::UNPROCESSABLE_ENTITY, &problems.join("; "));
        }
        // Patterns, which one engine reads here and in the client.
        let shape = OPERATION.body;
        if let Some(Err(violation)) = shape.map(|shape| shape.check_object(body)) {
            return refuse(StatusCode::UNPROCESSABLE_ENTITY, &violation.reason);
        }
        let Some(properties) = state.numbers.get_mut(number) else {
            return refuse(
                StatusCode::NOT_FOUND,
                "there is no such number in this account",
            );
        };
        for (sent, returned) in OPERATION.mock.returned {
            match update.get(sent) {
                None => {}
                Some(Value::Null) => {
                    properties.remove(*returned);
                }
                Some(value) => {
                    properties.insert((*returned).to_owned(), value.clone());
                }
            }
        }
        Ok(properties.clone().into())
    }
}

async fn update(
    State(inner): State<Arc<Inner>>,
    Path(number): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut retry_after = None;
    let (status, body, delay) = {
        let mut state = inner.lock();
        let answer = inner.answer(&mut state, &number, &headers, &body, &mut retry_after);
        let (status, answer) = match answer {
            Ok(answer) => (StatusCode::OK, answer),
            Err((status, message)) => (status, json!({ "message": message })),
        };
        if let Ok(number) = number.parse()
            && let Ok(update) = serde_json::from_slice(&body)
        {
            state.received.push(Received {
                number,
                update,
                status,
            });
        }
        (status, answer, state.delay)
    };
    tokio::time::sleep(delay).await;
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let headers: HeaderMap = retry_after.into_iter().chain([json]).collect();
    (status, headers, body.to_string()).into_response()
}

fn is_as_declared(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(OPERATION.content_type))
}

/// Describes the error and its location, without the value, which may be a secret.
fn problem(error: &jsonschema::ValidationError<'_>) -> String {
    match error.instance_path().as_str().trim_start_matches('/') {
        "" => error.masked_with("the body").to_string(),
        place => error.masked_with(format!("`{place}`")).to_string(),
    }
}
