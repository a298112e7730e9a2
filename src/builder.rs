//! The settings of a client, and their checks.

use std::{env, fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT},
    redirect, retry,
};

use crate::{
    backoff::Backoff,
    error::Error,
    generated::BASE_URL,
    headers::header,
    hooks::{Attempt, AttemptEnd, EndHook, Hook},
    inner::{ClientInner, Credentials, Options},
    key::KeySource,
    tls,
    types::Secret,
};

/// Builder of a [`Client`](crate::Client). Each method states the default of its setting.
///
/// ```
/// use std::time::Duration;
///
/// let client = sigmamind::Client::builder()
///     .api_key("key")
///     .timeout(Duration::from_secs(20))
///     .max_retries(1)
///     .build()?;
/// # Ok::<(), sigmamind::Error>(())
/// ```
#[must_use]
pub struct ClientBuilder {
    api_key: KeySource,
    base_url: String,
    plain_http: bool,
    connect_timeout: Duration,
    options: Options,
    backoff: Backoff,
    max_retry_after: Duration,
    rate_limit: Option<f64>,
    user_agent: String,
    headers: Vec<(String, String)>,
    on_attempt: Option<Hook>,
    on_attempt_end: Option<EndHook>,
    http: Option<reqwest::Client>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            api_key: KeySource::Text("".into()),
            base_url: BASE_URL.into(),
            plain_http: false,
            connect_timeout: Duration::from_secs(5),
            options: Options {
                attempt_timeout: Duration::from_secs(30),
                timeout: Duration::from_secs(90),
                max_retries: 2,
            },
            backoff: Backoff {
                first: Duration::from_millis(500),
                longest: Duration::from_secs(8),
            },
            max_retry_after: Duration::from_secs(60),
            rate_limit: None,
            user_agent: concat!("sigmamind-rust/", env!("CARGO_PKG_VERSION")).into(),
            headers: Vec::new(),
            on_attempt: None,
            on_attempt_end: None,
            http: None,
        }
    }
}

impl ClientBuilder {
    /// The base URL of a client that sets none: SigmaMind's server, as the document has it.
    pub const DEFAULT_BASE_URL: &'static str = BASE_URL;

    /// Returns a builder with the settings of the environment; see
    /// [`Client::from_env`](crate::Client::from_env).
    pub(crate) fn from_env() -> Result<Self, Error> {
        let read = |name: &str| match env::var(name) {
            Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => {
                Err(Error::configuration(format!("{name} is not Unicode text")))
            }
        };
        let Some(key) = read("SIGMAMIND_API_KEY")? else {
            return Err(Error::configuration(
                "SIGMAMIND_API_KEY is not set; set it to your API key",
            ));
        };
        let builder = Self::default().api_key(key);
        Ok(match read("SIGMAMIND_BASE_URL")? {
            Some(base_url) => builder.base_url(base_url),
            None => builder,
        })
    }

    /// Sets the API key that every request carries. No default: a key must be given.
    ///
    /// The copies of it that go into requests are not overwritten in memory: the HTTP library has
    /// them in buffers of its own.
    pub fn api_key(mut self, api_key: impl Into<String>) -> Self {
        self.api_key = KeySource::Text(api_key.into().into());
        self
    }

    /// Reads the key from a file, in place of [`api_key`](Self::api_key). A line break at its end is
    /// ignored.
    ///
    /// It is read by [`build`](Self::build) and before each attempt, so that a file that was written
    /// or replaced is noticed. When the server answers 401 it is read once more, and the call is
    /// repeated if the key is another; [`max_retries`](Self::max_retries) does not count that. A
    /// file that is missing, empty, or has half of a key in it leaves the last good key in use.
    ///
    /// It must be a regular file of at most 16 KiB. A FIFO or a device is refused.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), sigmamind::Error> {
    /// let client = sigmamind::Client::builder().api_key_file("/run/secrets/sigmamind").build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn api_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.api_key = KeySource::File(path.into());
        self
    }

    /// Sets a function that provides the key, in place of [`api_key`](Self::api_key). It is called
    /// before each attempt, so it must be quick and must not block; and once more when the server
    /// answers 401, as with [`api_key_file`](Self::api_key_file).
    ///
    /// An error, or a key that is not usable, fails the call as [`Error::is_configuration`]. A task
    /// in the background can keep a key fresh that takes time to get:
    ///
    /// ```no_run
    /// # async fn fetch() -> Result<sigmamind::Secret, std::io::Error> { Ok("a key".into()) }
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::{convert::Infallible, sync::{Arc, RwLock}, time::Duration};
    ///
    /// let fresh = Arc::new(RwLock::new(fetch().await?));
    /// let key = fresh.clone();
    /// tokio::spawn(async move {
    ///     loop {
    ///         tokio::time::sleep(Duration::from_secs(600)).await;
    ///         if let Ok(fetched) = fetch().await {
    ///             *fresh.write().unwrap() = fetched;
    ///         }
    ///     }
    /// });
    /// let client = sigmamind::Client::builder()
    ///     .api_key_provider(move || Ok::<_, Infallible>(key.read().unwrap().clone()))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn api_key_provider<E: fmt::Display>(
        mut self,
        ask: impl Fn() -> Result<Secret, E> + Send + Sync + 'static,
    ) -> Self {
        self.api_key =
            KeySource::Callback(Arc::new(move || ask().map_err(|error| error.to_string())));
        self
    }

    /// Sets a hook that runs before each attempt and may add headers. Default: none.
    ///
    /// It receives an empty map; headers that it puts there replace those of the client and of the
    /// call. It never sees the key, and it may not set what [`Call::header`](crate::Call::header) refuses:
    /// then the call fails as [`Error::is_configuration`]. If it panics, nothing is sent, and the
    /// panic is the caller's. It runs inside the span of the call, once for each attempt.
    ///
    /// ```
    /// use sigmamind::{Client, http::HeaderValue};
    ///
    /// let client = Client::builder()
    ///     .api_key("key")
    ///     .on_attempt(|headers, attempt| {
    ///         headers.insert("x-attempt", HeaderValue::from(attempt.number()));
    ///         let operation = HeaderValue::from_static(attempt.operation().id());
    ///         headers.insert("x-operation", operation);
    ///     })
    ///     .build();
    /// assert!(client.is_ok());
    /// ```
    ///
    /// With OpenTelemetry, a propagator injects the `traceparent` of the current span here.
    pub fn on_attempt(
        mut self,
        hook: impl Fn(&mut HeaderMap, &Attempt) + Send + Sync + 'static,
    ) -> Self {
        self.on_attempt = Some(Arc::new(hook));
        self
    }

    /// Sets a hook that runs after each attempt, for metrics. Default: none.
    ///
    /// It runs inside the span of the call, and must not block. An attempt that could not be sent
    /// because of the configuration does not count.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// static RETRIES: AtomicU32 = AtomicU32::new(0);
    ///
    /// let client = sigmamind::Client::builder()
    ///     .api_key("key")
    ///     .on_attempt_end(|attempt| {
    ///         if attempt.will_retry() {
    ///             RETRIES.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///     })
    ///     .build();
    /// assert!(client.is_ok());
    /// ```
    pub fn on_attempt_end(mut self, hook: impl Fn(&AttemptEnd) + Send + Sync + 'static) -> Self {
        self.on_attempt_end = Some(Arc::new(hook));
        self
    }

    /// Sets the URL that the paths of the API are appended to. Default: SigmaMind's server,
    /// `https://api.sigmamind.ai`.
    ///
    /// It may have a path and a trailing slash. It must be https unless its host is this machine
    /// (`localhost`, 127.0.0.0/8, `[::1]`), which is reached past any proxy. Plain http needs no
    /// certificates; https takes those of the system.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// Allows a base URL that is plain http to another machine, where everyone on the way can read
    /// the key and the trunk password. Default: `false`.
    pub fn danger_send_secrets_unencrypted(mut self, allow: bool) -> Self {
        self.plain_http = allow;
        self
    }

    /// Sets the time limit of making a connection, TLS included. Default: 5 s.
    ///
    /// It has no effect on a client given to [`http_client`](Self::http_client).
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// Sets the time limit of one attempt, from connecting to the end of the body. Default: 30 s.
    ///
    /// An attempt is never given more than what is left of the [`timeout`](Self::timeout).
    ///
    /// Over HTTP/2 (feature `http2`) all calls to a server share one connection. If it falls
    /// silent without being closed, pings find that out in at most 25 s and close it. So with the
    /// default, the next attempt is on a new connection; with less than 25 s, it may be on the
    /// silent one again.
    pub fn attempt_timeout(mut self, attempt_timeout: Duration) -> Self {
        self.options.attempt_timeout = attempt_timeout;
        self
    }

    /// Sets the total time limit of a call, including retries and waits. Default: 90 s.
    ///
    /// It alone bounds how long a call waits for a server that limits the rate (see
    /// [`max_retries`](Self::max_retries)): in the handler of a request, give a short one.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// Sets how many times a call is retried after a failure. Default: 2.
    ///
    /// Failures are those of the transport (no connection, a lost connection, an attempt that took
    /// too long) and the statuses 408, 500, 502, 503, 504, 520 to 524, 529 and 530; nothing else is
    /// retried. A request that may have taken effect is retried only if it is
    /// [idempotent](crate::Call::idempotent). Before each retry there is a random [wait](Self::backoff), on top of the server's
    /// `Retry-After`. If that is [too long](Self::max_retry_after) or past the timeout, the error
    /// is returned at once and [`Error::retry_after`] has the wait.
    ///
    /// All clones of a client share a budget: over 10 s, retries are at most 20 % of the calls,
    /// and 10 more. When it is used up, the error is returned at once, so that an outage is not
    /// multiplied.
    ///
    /// A rate limit (429) is not a failure: the call waits for a permit of the rate limiter that
    /// all clones share, until its timeout, and neither this number nor the budget counts it. With 0
    /// a refusal is returned.
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.options.max_retries = max_retries;
        self
    }

    /// Sets the bounds of the random wait before a retry: between zero and `first`, which doubles
    /// with each retry up to `longest`. Default: 0.5 s and 8 s.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (first, longest) = (Duration::from_millis(100), Duration::from_secs(2));
    /// let client = sigmamind::Client::builder().api_key("key").backoff(first, longest).build();
    /// # assert!(client.is_ok());
    /// ```
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = Backoff { first, longest };
        self
    }

    /// Sets the longest `Retry-After` to wait for; above it, the error is returned at once.
    /// Default: 60 s.
    ///
    /// Other calls with the key wait for no more than this either, whatever the server asked for;
    /// then one of them tries whether the server grants requests again.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let patient = Duration::from_secs(300);
    /// let client = sigmamind::Client::builder()
    ///     .api_key("key")
    ///     .max_retry_after(patient)
    ///     .timeout(2 * patient) // a longer wait would not fit into the default of 90 s
    ///     .build();
    /// # assert!(client.is_ok());
    /// ```
    pub fn max_retry_after(mut self, max_retry_after: Duration) -> Self {
        self.max_retry_after = max_retry_after;
        self
    }

    /// Limits the requests per second, evenly spaced, from the first on. Default: no limit but the
    /// one that the rate limiter finds when the server refuses requests.
    ///
    /// Set it if you know the server's limit, or want to leave room for other users of the key.
    /// [`build`](Self::build) refuses a value that is not a number above zero.
    ///
    /// ```
    /// // Half of what the account may do; the rest is for the others.
    /// let client = sigmamind::Client::builder().api_key("key").rate_limit(10.0).build();
    /// # assert!(client.is_ok());
    /// ```
    pub fn rate_limit(mut self, per_second: f64) -> Self {
        self.rate_limit = Some(per_second);
        self
    }

    /// Sets the `User-Agent`. Default: `sigmamind-rust/` and the version of this crate.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Adds a header to every request. Default: none but the client's own.
    ///
    /// [`Call::header`](crate::Call::header) sets one for a single call, and lists those that are
    /// refused. The value is hidden in `Debug` and in logs.
    ///
    /// ```
    /// let client = sigmamind::Client::builder()
    ///     .api_key("key")
    ///     .header("x-tenant", "blue")
    ///     .build();
    /// # assert!(client.is_ok());
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the HTTP client, for a proxy, a root certificate or a shared pool. Default: a client of
    /// its own, which follows no redirects, retries nothing by itself, takes the proxies and root
    /// certificates of the system, and reaches this machine without a proxy.
    ///
    /// ```no_run
    /// use sigmamind::reqwest::{self, Certificate, redirect};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let root = Certificate::from_pem(&std::fs::read("company.pem")?)?;
    /// let http = reqwest::Client::builder()
    ///     .redirect(redirect::Policy::none())
    ///     .tls_certs_merge([root])
    ///     .build()?;
    /// let client = sigmamind::Client::builder().api_key("key").http_client(http).build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Build yours with `redirect(reqwest::redirect::Policy::none())`: one that follows redirects
    /// sends the key and the trunk password to wherever the answer points. Two things cannot be
    /// checked here and are up to it. One is whether it sends requests for this machine through a
    /// proxy, in clear; `no_proxy()` keeps them here. The other is HTTP/2: without
    /// `http2_keep_alive_interval` and `http2_keep_alive_timeout`, calls fail for as long as a
    /// connection is silent and not closed.
    ///
    /// It needs TLS of its own only for https: reqwest's feature `rustls` or `native-tls`, which
    /// this crate's features of those names turn on.
    pub fn http_client(mut self, http_client: reqwest::Client) -> Self {
        self.http = Some(http_client);
        self
    }

    /// Checks the settings, and makes what clones of the client share.
    pub(crate) fn check(self) -> Result<(ClientInner, Credentials), Error> {
        let base_url = self.url()?;
        let headers = self.headers()?;
        let Options {
            attempt_timeout,
            timeout,
            ..
        } = self.options;
        if [self.connect_timeout, attempt_timeout, timeout].contains(&Duration::ZERO) {
            return Err(Error::configuration("timeouts must be greater than zero"));
        }
        if self
            .rate_limit
            .is_some_and(|rate| !(rate.is_finite() && rate > 0.0))
        {
            return Err(Error::configuration(
                "the rate limit is not a number above zero; give requests per second",
            ));
        }
        let http = match self.http {
            Some(http) => http,
            None => http_client(&base_url, self.connect_timeout)?,
        };
        let inner = ClientInner {
            http,
            base_url,
            headers,
            on_attempt: self.on_attempt,
            on_attempt_end: self.on_attempt_end,
            options: self.options,
            backoff: self.backoff,
            max_retry_after: self.max_retry_after,
            rate_limit: self.rate_limit,
        };
        let credentials = Credentials::new(self.api_key, self.rate_limit, self.max_retry_after)
            .map_err(Error::configuration)?;
        Ok((inner, credentials))
    }

    fn headers(&self) -> Result<HeaderMap, Error> {
        let user_agent = HeaderValue::from_str(&self.user_agent)
            .map_err(|_| Error::configuration("the user agent has a control character"))?;
        let mut headers = HeaderMap::from_iter([(USER_AGENT, user_agent)]);
        for (name, value) in &self.headers {
            let (name, value): (HeaderName, _) =
                header(name, value).map_err(Error::configuration)?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    fn url(&self) -> Result<Url, Error> {
        let refuse = |reason: &str| {
            // Where a password or a key may be in it, it is not repeated.
            let named = match &*self.base_url {
                url if url.contains(['@', '?', '#']) || self.api_key.is_in(url) => "",
                url => url,
            };
            let named = format!("the base URL {named:?} {reason}").replace("\"\" ", "");
            Err(Error::configuration(named))
        };
        let url = match Url::parse(&self.base_url) {
            Ok(url) => url,
            Err(error) => return refuse(&format!("is not a URL: {error}")),
        };
        let path = url.path().trim_end_matches('/');
        if !matches!(url.scheme(), "https" | "http") {
            refuse("must begin with https://")
        } else if !url.username().is_empty() || url.password().is_some() {
            refuse("must not have a user or a password")
        } else if url.query().is_some() || url.fragment().is_some() {
            refuse("must not have a query or a fragment")
        } else if url.path().ends_with("//") || path.contains("//") {
            refuse("has an empty path segment")
        } else if path.contains('%') {
            refuse("has an escaped character in its path")
        } else if url.scheme() == "http" && !self.plain_http && !is_loopback(&url) {
            refuse("must be https, or everyone on the way can read the key and the trunk password")
        } else {
            Ok(url)
        }
    }
}

/// Builds the client's own HTTP client.
fn http_client(base_url: &Url, connect_timeout: Duration) -> Result<reqwest::Client, Error> {
    let encrypted = base_url.scheme() == "https";
    tls::check(encrypted)?;
    let builder = || {
        let builder = reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            // Whatever features of reqwest the program has turned on, the requests are the same.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd();
        tls::choose(http_version(builder))
    };
    let client = match (is_loopback(base_url), encrypted) {
        // A proxy would get the key in clear.
        (true, false) => tls::without_roots(builder().no_proxy()).build(),
        (true, true) => builder().no_proxy().build(),
        (false, true) => builder().build(),
        // Certificates are for a proxy that speaks TLS, if there is one.
        (false, false) => builder()
            .build()
            .or_else(|_| tls::without_roots(builder()).build()),
    };
    client.map_err(Error::setup)
}

#[cfg(not(feature = "http2"))]
fn http_version(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    builder.http1_only()
}

#[cfg(feature = "http2")]
fn http_version(builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    builder
        // A connection that does not answer a ping is closed. That takes less than an attempt
        // does by default, so that the next attempt is on a new connection.
        .http2_keep_alive_interval(Duration::from_secs(10))
        .http2_keep_alive_timeout(Duration::from_secs(15))
        .http2_keep_alive_while_idle(true)
        // How much of a response may be buffered unread, in bytes.
        .http2_initial_stream_window_size(64 << 10)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("plain_http", &self.plain_http)
            .field("connect_timeout", &self.connect_timeout)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
