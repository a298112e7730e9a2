//! The client: `update_phone_number` by hand as the pattern, and `request` for any other path.

use std::{fmt, sync::Arc};

use http::Method;
use progenitor_client::ResponseValue;
use serde_json::Value;

use crate::{
    builder::ClientBuilder,
    call::Call,
    error::Error,
    generated::{
        self,
        models::{PhoneNumber, PhoneNumberUpdate},
        operations,
    },
    inner::{ClientInner, Credentials},
    key::KeySource,
    limiter::RateLimiterStatus,
    operation::Operation,
    types::E164,
};

/// A client for the `SigmaMind` API.
///
/// Cloning is cheap, and all clones share one connection pool, one rate limiter and one retry
/// budget; make one client and clone it. Its `Debug` shows no key.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use sigmamind::{Client, PhoneNumberUpdate};
///
/// let client = Client::from_env()?;
/// let update = PhoneNumberUpdate::default().friendly_name("Support Line");
/// let phone = client.update_phone_number(&"+14155552671".parse()?, &update).await?;
/// println!("{:?}", phone.friendly_name);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<ClientInner>,
    credentials: Arc<Credentials>,
}

impl Client {
    /// Makes a client with this key and the default settings; see [`ClientBuilder`] for those.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] if the key is empty or has a character that is not visible
    /// ASCII, or if https cannot be had: no root certificates, no crypto provider under the feature
    /// `rustls-no-provider`, or none of the features that bring TLS.
    pub fn new(api_key: impl Into<String>) -> Result<Self, Error> {
        Self::builder().api_key(api_key).build()
    }

    /// Makes a client with the key in `SIGMAMIND_API_KEY`, and the base URL in
    /// `SIGMAMIND_BASE_URL` if that is set. An empty variable counts as not set.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] if `SIGMAMIND_API_KEY` is not set or not Unicode, and where
    /// [`ClientBuilder::build`] refuses a value.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.build()
    }

    /// Returns a builder with the default settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Returns this client with another key. It shares the connections and the settings, and has a
    /// rate limiter and a retry budget of its own.
    ///
    /// ```no_run
    /// # async fn run(client: sigmamind::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// # let (number, update) = ("+14155552671".parse()?, sigmamind::PhoneNumberUpdate::default());
    /// let of_another_account = client.with_api_key("another key")?;
    /// of_another_account.update_phone_number(&number, &update).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] if the key is empty or has a character that is not visible
    /// ASCII.
    pub fn with_api_key(&self, api_key: impl Into<String>) -> Result<Self, Error> {
        let key = KeySource::Text(api_key.into().into());
        let credentials = Credentials::new(key, self.inner.rate_limit, self.inner.max_retry_after)
            .map_err(Error::configuration)?;
        Ok(Self {
            inner: self.inner.clone(),
            credentials: Arc::new(credentials),
        })
    }

    /// Returns what the rate limiter of this client and its clones does now: the rate at which
    /// requests leave, and what is left of a pause that the server asked for.
    ///
    /// ```
    /// let client = sigmamind::Client::new("key")?;
    /// let status = client.rate_limiter();
    /// assert_eq!((status.rate(), status.pause()), (None, None)); // nothing was refused yet
    /// # Ok::<(), sigmamind::Error>(())
    /// ```
    #[must_use]
    pub fn rate_limiter(&self) -> RateLimiterStatus {
        self.credentials.limiter.status()
    }

    /// Calls any path of the API, for operations that this crate has no method for.
    ///
    /// It has the same key, rate limiter, limits and errors as every call. `path` begins with a
    /// slash and is appended to the base URL, which it cannot leave; it may have a query. The
    /// response is any JSON, and null if it is empty. GET, HEAD, PUT, DELETE and OPTIONS are
    /// retried, and other methods only before the server can have seen the request, unless
    /// [`Call::idempotent`] says otherwise. No span has the path, and every string of the body
    /// counts as secret.
    ///
    /// ```no_run
    /// # async fn run(client: sigmamind::Client) -> Result<(), sigmamind::Error> {
    /// use sigmamind::http::Method;
    ///
    /// let agents = client.request(Method::GET, "/v1/agents?limit=10", None).await?;
    /// println!("{}", agents["total"]);
    /// # Ok(())
    /// # }
    /// ```
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a body is made for its request"
    )]
    pub fn request(&self, method: Method, path: &str, body: Option<Value>) -> Call<Value> {
        let (inner, credentials) = (self.inner.clone(), self.credentials.clone());
        Call::undocumented(inner, credentials, method, path, body.as_ref())
    }

    /// Sets the properties of a phone number that `update` names, and leaves the others.
    ///
    /// The call is retried after failures that may pass (see [`ClientBuilder::max_retries`]).
    /// Repeating it is safe, because it sets properties to values: a second time changes nothing
    /// more. It can overwrite one thing: a change of the same properties that somebody else made
    /// between two attempts.
    ///
    /// Nothing is sent until the call is awaited. An update in which nothing is set, or a value
    /// that breaks a limit of the document, is refused then, and by [`Call::validate`].
    pub fn update_phone_number(
        &self,
        number: &E164,
        update: &PhoneNumberUpdate,
    ) -> Call<PhoneNumber> {
        self.call(&operations::UPDATE_PHONE_NUMBER, async |api| {
            api.update_phone_number(number, update).await
        })
    }

    /// Makes a call of a generated operation.
    pub(crate) fn call<T, R>(
        &self,
        operation: &'static Operation,
        describe: impl AsyncFnOnce(
            &generated::Client,
        ) -> Result<ResponseValue<R>, progenitor_client::Error>,
    ) -> Call<T> {
        let (inner, credentials) = (self.inner.clone(), self.credentials.clone());
        Call::new(inner, credentials, operation, describe)
    }
}

impl ClientBuilder {
    /// Checks the settings and makes the client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`Error::is_configuration`] if the key is missing or has a character that is not visible
    /// ASCII; if the base URL is not an http(s) URL, has a user, a query, a fragment or an empty
    /// or escaped path segment, or is plain http to another machine; if a duration is zero; if a
    /// header is not one, or is the client's own to set; or if the HTTP client cannot be set up,
    /// for want of root certificates for https, say.
    pub fn build(self) -> Result<Client, Error> {
        let (inner, credentials) = self.check()?;
        Ok(Client {
            inner: Arc::new(inner),
            credentials: Arc::new(credentials),
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("host", &self.inner.host())
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}
