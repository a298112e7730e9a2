//! A call: what is asked, how, and how it is sent.
//!
//! Everything here is the same for every operation. The request was described when the call was
//! made; from here it goes down to the wire, as often as needed, and one answer comes up.

use std::{
    fmt,
    marker::PhantomData,
    mem,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use progenitor_client::ResponseValue;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    runtime::Handle,
    time::{Instant, error::Elapsed, sleep, timeout_at},
};
use tower::retry::budget::Budget;
use tracing::{Instrument, debug, field::Empty, info_span};

use crate::{
    backoff::{retry_after, within_a_year},
    batch::BatchPlaces,
    error::{Error, Kind, Malformed, ResponseContext},
    exchange::{Exchange, MAX_ERROR, ReadError},
    generated::{self, KEY_HEADER},
    headers::{header, is_reserved, reserved},
    hooks::Attempt,
    inner::{ClientInner, Credentials, Options},
    limiter::{CallHistory, WaitLimits},
    operation::{Operation, UNDOCUMENTED},
    redact::{self, Redactor},
    request::Request,
    response::{Response, decode},
};

/// A request that has been described and checked, and not been sent.
///
/// It owns all that it needs, and can be kept, moved and sent from any task. Awaiting it sends it;
/// [`send`](Self::send) gives the same as a future that is not boxed, for what wants a `Future`:
///
/// ```no_run
/// # async fn run(client: sigmamind::Client, number: sigmamind::E164, update: sigmamind::PhoneNumberUpdate) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
///
/// let phone = client.update_phone_number(&number, &update).await?;
///
/// client.update_phone_number(&number, &update).validate()?; // sends nothing
///
/// let phone = client
///     .update_phone_number(&number, &update)
///     .timeout(Duration::from_secs(10))
///     .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
///     .await?;
///
/// let task = tokio::spawn(client.update_phone_number(&number, &update).send());
/// let phone = task.await??;
/// # Ok(())
/// # }
/// ```
///
/// For many at once, `futures::future::join_all(calls.map(Call::send))` and `buffer_unordered`
/// work too.
///
/// Dropping the call, or the future of its sending, stops it: what has not left does not leave.
///
/// # Panics
///
/// Sending needs a tokio runtime with time and I/O enabled. Without any runtime it is an error
/// ([`Error::is_configuration`]); a runtime built without time or I/O panics by itself.
#[must_use = "a call does nothing until it is awaited or sent"]
pub struct Call<T> {
    inner: Arc<ClientInner>,
    credentials: Arc<Credentials>,
    operation: &'static Operation,
    /// Or why it will not be sent.
    request: Result<Request, String>,
    options: Options,
    answer: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// Returns when the pause of the limiter ends, if the call would wait for it.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.credentials.limiter.paused_until(self.options.timeout)
    }

    /// A call of a generated operation, which is run once, only to describe its request.
    pub(crate) fn new(
        inner: Arc<ClientInner>,
        credentials: Arc<Credentials>,
        operation: &'static Operation,
        describe: impl AsyncFnOnce(
            &generated::Client,
        ) -> Result<ResponseValue<T>, progenitor_client::Error>,
    ) -> Self {
        let mut call = Self {
            request: Request::describe(&inner.base_url, &inner.http, describe),
            operation,
            options: inner.options,
            inner,
            credentials,
            answer: PhantomData,
        };
        if let Ok(request) = &mut call.request {
            if operation.content_type != "application/json" && request.body.is_some() {
                let declared = HeaderValue::from_static(operation.content_type);
                request.headers.insert(CONTENT_TYPE, declared);
            }
            if let Err(refused) = operation.check(&request.path, request.body.as_deref()) {
                call.request = Err(refused);
            }
        }
        call
    }

    /// A call that the document does not have.
    pub(crate) fn undocumented(
        inner: Arc<ClientInner>,
        credentials: Arc<Credentials>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Self {
        Self {
            request: Request::undocumented(&inner.base_url, method, path, body),
            operation: &UNDOCUMENTED,
            options: inner.options,
            inner,
            credentials,
            answer: PhantomData,
        }
    }

    /// How long one attempt of this call may take, instead of what the
    /// [client](crate::ClientBuilder::attempt_timeout) is set to.
    pub fn attempt_timeout(mut self, attempt_timeout: Duration) -> Self {
        self.options.attempt_timeout = attempt_timeout;
        self.not_zero("attempt_timeout", attempt_timeout)
    }

    /// How long this whole call may take, all attempts and waits included, instead of what the
    /// [client](crate::ClientBuilder::timeout) is set to. The clock starts when it is sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self.not_zero("timeout", timeout)
    }

    /// How many times this call is tried again after a failure, instead of what the
    /// [client](crate::ClientBuilder::max_retries) is set to.
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.options.max_retries = max_retries;
        self
    }

    /// A header of this call, instead of any of the same name that the client sends.
    ///
    /// A name or a value that HTTP does not allow, or a header that the client has to set itself
    /// (the key's, `Host`, `Content-*`, `Transfer-Encoding`, `Connection`), is refused by
    /// [`validate`](Self::validate) and by sending. The value is hidden in `Debug` and in logs.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        match (&mut self.request, header(name.as_ref(), value.as_ref())) {
            (Ok(request), Ok((name, value))) => drop(request.headers.insert(name, value)),
            (request @ Ok(_), Err(refused)) => *request = Err(refused),
            (Err(_), _) => {}
        }
        self
    }

    fn not_zero(mut self, name: &str, duration: Duration) -> Self {
        if duration.is_zero() && self.request.is_ok() {
            self.request = Err(format!("{name} must be greater than zero"));
        }
        self
    }

    /// Says what sending would be refused for, and sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_request`] if the request breaks a limit of the document, or an option of
    /// the call is not usable.
    pub fn validate(&self) -> Result<(), Error> {
        self.described().map(drop)
    }

    fn described(&self) -> Result<&Request, Error> {
        let refused = |reason: &String| Error::invalid_request(reason.clone());
        self.request.as_ref().map_err(refused)
    }
}

/// What the attempts of a call have come to so far.
#[derive(Default)]
struct AttemptHistory {
    attempts: u32,
    /// Those after a failure; a rate limit and a new key are none.
    retries: u32,
    /// Whether one of them may have taken effect.
    applied: bool,
    /// Whether another key was tried after a 401.
    rekeyed: bool,
}

impl AttemptHistory {
    /// The error of an attempt that was not made.
    fn refused(&self, reason: String) -> Error {
        Error::configuration(reason).with_history(self.attempts, self.applied)
    }
}

impl<T: DeserializeOwned + 'static> Call<T> {
    /// Sends it, as awaiting it does, by a future that is not boxed.
    ///
    /// It begins when it is first polled, and its span is a child of the span that is current then.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::may_have_been_applied`] tells whether the request may have taken
    /// effect all the same.
    pub fn send(self) -> impl Future<Output = Result<Response<T>, Error>> + Send + 'static {
        self.run(None)
    }

    /// Sends it. If it is a batch's, its clock starts with its first permit of the limiter, and it
    /// gives its place back when it is refused.
    #[allow(
        clippy::manual_async_fn,
        reason = "this says that it is Send and owns what it needs"
    )]
    pub(crate) fn run(
        mut self,
        batch: Option<Arc<BatchPlaces>>,
    ) -> impl Future<Output = Result<Response<T>, Error>> + Send + 'static {
        async move {
            let span = info_span!(
                "sigmamind",
                otel.kind = "client",
                http.request.method = self.request.as_ref().map_or("", |r| r.method.as_str()),
                url.template = Some(self.operation.path).filter(|path| !path.is_empty()),
                server.address = %self.inner.host(),
                http.response.status_code = Empty,
                http.request.resend_count = Empty,
                error.type = Empty,
            );
            // Pinned where it is, a future this large is not moved.
            let attempts = pin!(self.attempts(batch.as_ref()));
            let mut attempts = attempts.instrument(span);
            let outcome = (&mut attempts).await;
            // Once, at the end: what an earlier attempt met would not describe the call.
            let (count, status, error_type) = match &outcome {
                Ok(response) => (response.attempts, Some(response.status), None),
                Err(error) => (error.attempts(), error.status(), Some(error.error_type())),
            };
            let span = attempts.span();
            span.record("http.request.resend_count", count.saturating_sub(1));
            span.record(
                "http.response.status_code",
                status.map(|status| status.as_u16()),
            );
            span.record("error.type", error_type.as_deref());
            outcome
        }
    }

    /// Attempts until one succeeds or fails for good, or until time or retries run out.
    async fn attempts(&mut self, batch: Option<&Arc<BatchPlaces>>) -> Result<Response<T>, Error> {
        self.validate()?;
        if Handle::try_current().is_err() {
            return Err(Error::configuration(
                "no Tokio runtime; await the call inside one",
            ));
        }
        let (inner, credentials) = (self.inner.clone(), self.credentials.clone());
        let mut deadline = after(self.options.timeout);
        let mut history = AttemptHistory::default();
        let mut refusals = CallHistory::default();
        let mut place = None;
        let mut last = None::<Error>;
        loop {
            let at_leisure = batch.is_some() && history.attempts == 0;
            let limits = WaitLimits {
                deadline: Some(deadline).filter(|_| !at_leisure),
                max_starvation: self.options.timeout,
            };
            let permit = credentials.limiter.acquire(&mut refusals, limits).await;
            let permit = permit.map_err(|rejection| match last.take() {
                Some(error) => error.with_retry_after(rejection.wait),
                None => Error::held(rejection),
            })?;
            if at_leisure {
                deadline = after(self.options.timeout);
            }
            let key = credentials
                .key
                .now()
                .map_err(|reason| history.refused(reason))?;
            let (request, body) = self.attempt(&key, &mut history)?;
            let mut exchange = Exchange::default();
            let until = after(self.options.attempt_timeout).min(deadline);
            let ended = {
                let asked = self.described()?;
                let is_asked = |url: &Url| asked.is_at(url, &inner.base_url);
                let answer = exchange.execute(&inner.http, request, body);
                timeout_at(until, exchange.read(answer, is_asked)).await
            };
            let error = match self.outcome(exchange, ended, deadline, &key, &mut history) {
                Ok(response) => {
                    permit.on_success();
                    return Ok(response);
                }
                Err(error) => error,
            };
            match (
                error.status().map(|status| status.as_u16()),
                error.retry_after(),
            ) {
                (None, _) => drop(permit),
                (Some(429), retry_after) => permit.on_throttled(retry_after, &mut refusals),
                (Some(503), Some(wait)) => permit.on_unavailable(wait, &mut refusals),
                (Some(_), _) => permit.on_success(),
            }
            if place.is_none() && refusals.was_refused() {
                place = batch.map(BatchPlaces::give_back);
            }
            let Some(wait) = self.again(&error, &key, deadline, &mut history) else {
                return Err(error);
            };
            last = Some(error);
            if !wait.is_zero() {
                sleep(wait).await;
            }
        }
    }

    /// How long to wait before the next attempt; nothing if this error is the end.
    fn again(
        &self,
        error: &Error,
        key: &HeaderValue,
        deadline: Instant,
        history: &mut AttemptHistory,
    ) -> Option<Duration> {
        let (inner, budget) = (&self.inner, &self.credentials.budget);
        if history.applied && !self.described().is_ok_and(|request| request.repeatable) {
            return None;
        }
        let unknown = error.status().is_some_and(|status| status == 401);
        if unknown && error.is_auth() && !history.rekeyed && self.credentials.key.refused(key) {
            history.rekeyed = true;
            return Some(Duration::ZERO);
        }
        let asked = error.retry_after().unwrap_or_default();
        if !error.is_retryable() || asked > inner.max_retry_after {
            return None;
        }
        if error.is_rate_limited() {
            // The limiter sees to the wait.
            return (self.options.max_retries > 0).then_some(Duration::ZERO);
        }
        let wait = asked + inner.backoff.jitter(history.retries);
        let used_up = history.retries == self.options.max_retries;
        if used_up || after(wait) >= deadline || !budget.withdraw() {
            return None;
        }
        history.retries += 1;
        Some(wait)
    }

    /// The request of the next attempt, with the key of this moment.
    fn attempt(
        &mut self,
        key: &HeaderValue,
        history: &mut AttemptHistory,
    ) -> Result<(reqwest::Request, Option<Bytes>), Error> {
        let (inner, budget) = (&self.inner, &self.credentials.budget);
        let request = self.request.as_mut();
        let request = request.map_err(|reason| history.refused(reason.clone()))?;
        let mut more = HeaderMap::new();
        if let Some(hook) = &inner.on_attempt {
            let attempt = Attempt {
                number: history.attempts + 1,
                operation: self.operation,
            };
            hook(&mut more, &attempt);
            if let Some(name) = more.keys().find(|name| is_reserved(name)) {
                return Err(history.refused(reserved(name)));
            }
        }
        let known = [&inner.headers, &request.headers, &more];
        let count = known.iter().map(|headers| headers.len()).sum::<usize>();
        let mut headers = HeaderMap::with_capacity(count + 1);
        for (name, value) in known.into_iter().flatten() {
            headers.insert(name, value.clone());
        }
        headers.insert(KEY_HEADER, key.clone());
        let url = request.url(&inner.base_url);
        let mut attempt = reqwest::Request::new(request.method.clone(), url);
        *attempt.headers_mut() = headers;
        if history.attempts == 0 {
            budget.deposit();
        }
        history.attempts += 1;
        Ok((attempt, request.body.clone()))
    }

    /// What an attempt has come to.
    fn outcome(
        &self,
        mut exchange: Exchange,
        ended: Result<Result<(), ReadError>, Elapsed>,
        deadline: Instant,
        key: &HeaderValue,
        history: &mut AttemptHistory,
    ) -> Result<Response<T>, Error> {
        let sent = exchange.end();
        let status = exchange.status.map(|status| status.as_u16());
        if status.is_some_and(|status| status != 401) {
            self.credentials.key.accepted(key);
        }
        let resend_count = history.attempts - 1;
        let whole = matches!(ended, Ok(Ok(())));
        let error = match self.value(ended, deadline, &exchange) {
            Ok(value) => {
                debug!(
                    http.request.resend_count = resend_count,
                    http.response.status_code = status,
                    "attempt succeeded"
                );
                return Ok(Response {
                    value,
                    status: exchange.status.unwrap_or_default(),
                    headers: mem::take(&mut exchange.headers),
                    body: mem::take(&mut exchange.body),
                    attempts: history.attempts,
                });
            }
            Err(error) => error.with_response(self.response_context(&mut exchange, whole, key)),
        };
        let unseen = error.is_refusal() || error.is_connect() || error.is_configuration();
        history.applied |= sent && !unseen;
        history.attempts -= u32::from(error.is_configuration());
        debug!(
            http.request.resend_count = resend_count,
            http.response.status_code = status,
            error.type = &*error.error_type(),
            "attempt failed"
        );
        Err(error.with_history(history.attempts, history.applied))
    }

    /// What the answer says, or why it does not.
    fn value(
        &self,
        ended: Result<Result<(), ReadError>, Elapsed>,
        deadline: Instant,
        exchange: &Exchange,
    ) -> Result<T, Error> {
        if exchange.redirected {
            let error = Error::new(Kind::Redirected);
            return Err(match ended {
                Ok(Err(ReadError::Broken(source))) => error.with_reqwest_source(source),
                _ => error,
            });
        }
        let timed_out = |limit| Error::new(Kind::Timeout(Some(limit)));
        // A body that breaks off or never ends does not hide the status.
        if exchange.status.is_some_and(|status| !status.is_success()) {
            return Err(Error::new(Kind::Status));
        }
        match ended {
            Ok(Ok(())) => {
                let value = decode(self.operation, &self.described()?.path, &exchange.body);
                value.map_err(|(problem, source)| {
                    let error = Error::new(Kind::Decode(problem));
                    match source {
                        Some(source) => error.with_source(Malformed(source)),
                        None => error,
                    }
                })
            }
            Ok(Err(ReadError::TooLong)) => Err(Error::new(Kind::Decode("is longer than 1 MiB"))),
            Ok(Err(ReadError::Malformed(source))) => {
                Err(Error::new(Kind::Decode("is garbled")).with_reqwest_source(source))
            }
            Ok(Err(ReadError::Broken(source))) => Err(Error::transport(source)),
            Err(_) if Instant::now() < deadline => Err(timed_out(self.options.attempt_timeout)),
            Err(_) => Err(timed_out(self.options.timeout)),
        }
    }

    /// What an error keeps of the answer.
    fn response_context(
        &self,
        exchange: &mut Exchange,
        whole: bool,
        key: &HeaderValue,
    ) -> ResponseContext {
        let hidden = self.hidden(key);
        let whole = whole && exchange.body.len() < MAX_ERROR;
        let mut body = mem::take(&mut exchange.body);
        body.truncate(MAX_ERROR);
        let headers = mem::take(&mut exchange.headers);
        let refused = exchange.status.is_some_and(|status| !status.is_success());
        ResponseContext {
            status: exchange.status,
            message: refused
                .then(|| redact::message(&body, whole, &hidden))
                .flatten(),
            retry_after: retry_after(&headers),
            redirect: location_host(&headers, &self.inner.base_url)
                .map(|host| redact::redact(&host, &hidden)),
            headers,
            body,
        }
    }

    /// What no text may show.
    fn hidden(&self, key: &HeaderValue) -> Redactor {
        let mut hidden = Redactor::default();
        let Ok(request) = &self.request else {
            return hidden;
        };
        for key in self.credentials.key.recent().iter().chain([key]) {
            hidden.secret(key.to_str().unwrap_or_default());
        }
        for value in self.operation.path_values(&request.path) {
            hidden.text(&value);
        }
        if self.operation.path.is_empty() {
            // Of a path that is not documented, all that is no plain word.
            let parts = request.path.split(['/', '?', '&', '=']);
            for part in parts.filter(|part| part.contains(|c: char| c.is_ascii_digit())) {
                hidden.text(part);
            }
        }
        let body = request.body.as_deref().unwrap_or_default();
        for (text, secret) in self.operation.hidden(body) {
            if secret {
                hidden.secret(&text);
            } else {
                hidden.text(&text);
            }
        }
        hidden
    }
}

impl<T: DeserializeOwned + 'static> IntoFuture for Call<T> {
    type Output = Result<Response<T>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation.id)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Where a redirect points; a relative one stays on the host of the request.
fn location_host(headers: &HeaderMap, base_url: &Url) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let location = base_url.join(location).ok()?;
    location.host_str().map(ToOwned::to_owned)
}

fn after(duration: Duration) -> Instant {
    Instant::now() + within_a_year(duration)
}
