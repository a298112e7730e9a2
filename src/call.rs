//! A call: the value, its options, and its validation.
//!
//! The request is described and validated when the call is made. From there it goes down to the
//! wire as often as needed, and one response comes up.

use std::{
    fmt,
    marker::PhantomData,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use progenitor_client::ResponseValue;
use reqwest::Method;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument;

use crate::{
    error::{Error, Violation},
    generated,
    headers::header,
    inner::{ClientInner, Credentials, Options},
    operation::{Operation, UNDOCUMENTED},
    places::BatchPlaces,
    redact::Redactor,
    request::Request,
    response::Response,
    send::{Sender, record},
};

/// A request that is ready to be sent.
///
/// It owns everything that it needs, and can be kept, moved and sent from any task. Awaiting it
/// sends it; [`send`](Self::send) does the same with a future that is not boxed:
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
/// Dropping the call, or the future that sends it, stops it: a request that has not left does not
/// leave.
///
/// # Panics
///
/// Sending needs a Tokio runtime with time and I/O enabled. Without any runtime it is an error
/// ([`Error::is_configuration`]); a runtime built without time or I/O panics by itself.
#[must_use = "a call does nothing until it is awaited or sent"]
pub struct Call<T> {
    inner: Arc<ClientInner>,
    credentials: Arc<Credentials>,
    operation: &'static Operation,
    /// The validated request, or why it will not be sent.
    request: Result<Request, Violation>,
    options: Options,
    response: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// Returns when the pause of the limiter ends, if the call would wait for it.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.credentials.limiter.paused_until(self.options.timeout)
    }

    /// Returns what hides this call's secrets in a text of the server's: the API key, and the values
    /// of the body that the document declares as secret. For programs that show such texts.
    #[doc(hidden)]
    pub fn redactor(&self) -> Redactor {
        let keys = self.credentials.key.recent();
        Redactor::for_secrets(&keys, self.operation, self.request.as_ref().ok())
    }

    /// Makes a call of a generated operation, which is run once, only to describe its request.
    ///
    /// What it would return itself does not matter.
    pub(crate) fn new<R>(
        inner: Arc<ClientInner>,
        credentials: Arc<Credentials>,
        operation: &'static Operation,
        describe: impl AsyncFnOnce(
            &generated::Client,
        ) -> Result<ResponseValue<R>, progenitor_client::Error>,
    ) -> Self {
        let request = Request::describe(&inner.base_url, &inner.http, operation, describe);
        Self::with_request(inner, credentials, operation, request)
    }

    /// Adds the query that the document describes.
    #[allow(dead_code, reason = "a document may have none")]
    pub(crate) fn query(mut self, query: &impl Serialize) -> Self {
        if let Ok(request) = &mut self.request {
            let added = self.operation.encode_query(query);
            let added = added.and_then(|query| request.add_query(query, &self.inner.base_url));
            if let Err(violation) = added {
                self.request = Err(violation);
            }
        }
        self
    }

    /// Adds a header that the document requires.
    #[allow(dead_code, reason = "a document may have none")]
    pub(crate) fn header_parameter(mut self, name: &str, value: &impl ToString) -> Self {
        let value = value.to_string();
        let mut headers = self.operation.headers.iter();
        let shape = headers.find(|(known, _)| *known == name);
        let checked = shape.map_or(Ok(()), |(name, shape)| shape.check_header(name, &value));
        match (&mut self.request, checked) {
            (Ok(request), Ok(())) => request.hidden.push((value.clone(), false)),
            (request @ Ok(_), Err(violation)) => *request = Err(violation),
            (Err(_), _) => {}
        }
        self.header(name, value)
    }

    /// Makes a call that the document does not have.
    pub(crate) fn undocumented(
        inner: Arc<ClientInner>,
        credentials: Arc<Credentials>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Self {
        let request = Request::undocumented(&inner.base_url, method, path, body);
        Self::with_request(inner, credentials, &UNDOCUMENTED, request)
    }

    fn with_request(
        inner: Arc<ClientInner>,
        credentials: Arc<Credentials>,
        operation: &'static Operation,
        request: Result<Request, Violation>,
    ) -> Self {
        Self {
            options: inner.options,
            inner,
            credentials,
            operation,
            request,
            response: PhantomData,
        }
    }

    /// Sets the time limit of one attempt of this call. Default: the
    /// [client's](crate::ClientBuilder::attempt_timeout).
    pub fn attempt_timeout(mut self, attempt_timeout: Duration) -> Self {
        self.options.attempt_timeout = attempt_timeout;
        self.reject_zero("attempt_timeout", attempt_timeout)
    }

    /// Sets the total time limit of this call, including retries and waits. Default: the
    /// [client's](crate::ClientBuilder::timeout). The time begins when the call is sent.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self.reject_zero("timeout", timeout)
    }

    /// Sets how many times this call is retried after a failure. Default: the
    /// [client's](crate::ClientBuilder::max_retries).
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.options.max_retries = max_retries;
        self
    }

    /// Sets whether this call is retried when an earlier attempt may have taken effect.
    /// Default: as the document says; without a word there, `false` for POST and PATCH, and `true`
    /// for the other methods, which HTTP defines as idempotent.
    ///
    /// ```no_run
    /// # async fn run(client: sigmamind::Client) -> Result<(), sigmamind::Error> {
    /// use sigmamind::http::Method;
    ///
    /// // A search has no effect, whatever its method.
    /// let found = client.request(Method::POST, "/v1/search", None).idempotent(true).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        if let Ok(request) = &mut self.request {
            request.idempotent = idempotent;
        }
        self
    }

    /// Sets a header of this call, in place of any of the same name that the client sends.
    ///
    /// A name or a value that HTTP does not allow, or a header that the client has to set itself
    /// (the key's, `Host`, `Content-*`, `Accept-Encoding`, `Transfer-Encoding`, `Connection`), is
    /// refused by [`validate`](Self::validate) and by sending. The value is hidden in `Debug` and
    /// in logs.
    ///
    /// ```no_run
    /// # async fn run(call: sigmamind::Call<sigmamind::PhoneNumber>) -> Result<(), sigmamind::Error> {
    /// let phone = call.header("x-tenant", "blue").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        match header(name.as_ref(), value.as_ref()) {
            Ok((name, value)) => {
                if let Ok(request) = &mut self.request {
                    request.headers.insert(name, value);
                }
                self
            }
            Err(reason) => self.reject(reason),
        }
    }

    fn reject_zero(self, name: &str, duration: Duration) -> Self {
        if duration.is_zero() {
            self.reject(format!("{name} must be greater than zero"))
        } else {
            self
        }
    }

    /// Refuses the call; the first reason stays.
    fn reject(mut self, reason: String) -> Self {
        if self.request.is_ok() {
            self.request = Err(reason.into());
        }
        self
    }

    /// Checks the request and the options of the call, and sends nothing.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sigmamind::{Client, PhoneNumberUpdate};
    ///
    /// let client = Client::new("key")?;
    /// let nothing = PhoneNumberUpdate::default();
    /// let call = client.update_phone_number(&"+14155552671".parse()?, &nothing);
    /// assert!(call.validate().unwrap_err().is_invalid_request());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_request`] if the request breaks a limit of the document, or an option of
    /// the call is not usable.
    pub fn validate(&self) -> Result<(), Error> {
        match &self.request {
            Ok(_) => Ok(()),
            Err(violation) => Err(Error::invalid_request(violation.clone())),
        }
    }
}

impl<T: DeserializeOwned + 'static> Call<T> {
    /// Sends the call, as awaiting it does, with a future that is not boxed.
    ///
    /// It begins when the future is first polled, and its span is a child of the span that is
    /// current then.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Error::may_have_been_applied`] tells whether the request may have taken
    /// effect all the same.
    pub fn send(self) -> impl Future<Output = Result<Response<T>, Error>> + Send + 'static {
        self.send_with(None)
    }

    #[allow(
        clippy::manual_async_fn,
        reason = "this says that it is Send and owns what it needs"
    )]
    pub(crate) fn send_with(
        self,
        batch: Option<Arc<BatchPlaces>>,
    ) -> impl Future<Output = Result<Response<T>, Error>> + Send + 'static {
        let Self {
            inner,
            credentials,
            operation,
            options,
            ..
        } = self;
        let sender = self.request.map(|request| Sender {
            inner,
            credentials,
            operation,
            request,
            options,
        });
        async move {
            let sender = match &sender {
                Ok(sender) => sender,
                Err(violation) => return Err(Error::invalid_request(violation.clone())),
            };
            let span = sender.span();
            // Pinned where it is, a future this large is not moved.
            let sending = pin!(sender.send(batch));
            let outcome = sending.instrument(span.clone()).await;
            record(&span, &outcome);
            outcome
        }
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
