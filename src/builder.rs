//! The settings of a client, and their checks.

use std::{env, fmt, net::IpAddr, sync::Arc, time::Duration};

use reqwest::{Url, header::HeaderValue, redirect, retry};
use tower::retry::budget::TpsBudget;

use crate::{
    Client, Error, Secret,
    client::{Shared, Timing},
    generated::BASE_URL,
    tls,
};

/// The settings of a [`Client`], each with its default in its description.
///
/// ```
/// use std::time::Duration;
///
/// let client = sigmamind::Client::builder()
///     .api_key("your key")
///     .deadline(Duration::from_secs(20))
///     .build();
/// assert!(client.unwrap_err().is_invalid_input()); // a key has no space
/// ```
#[must_use]
pub struct ClientBuilder {
    api_key: Secret,
    base_url: String,
    plain_http: bool,
    connect_timeout: Duration,
    timing: Timing,
    user_agent: String,
    http: Option<reqwest::Client>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            api_key: "".into(),
            base_url: BASE_URL.into(),
            plain_http: false,
            connect_timeout: Duration::from_secs(5),
            timing: Timing {
                timeout: Duration::from_secs(30),
                deadline: Duration::from_secs(90),
                max_retries: 2,
            },
            user_agent: concat!("sigmamind-rust/", env!("CARGO_PKG_VERSION")).into(),
            http: None,
        }
    }
}

impl ClientBuilder {
    /// The builder with what the environment sets; see [`Client::from_env`].
    pub(crate) fn from_env() -> Result<Self, Error> {
        let read = |name: &str| match env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => {
                Err(Error::input(format!("{name} is not Unicode text")))
            }
        };
        let Some(key) = read("SIGMAMIND_API_KEY")? else {
            return Err(Error::input(
                "SIGMAMIND_API_KEY is not set; set it to your API key",
            ));
        };
        let builder = Self::default().api_key(key);
        Ok(match read("SIGMAMIND_BASE_URL")? {
            Some(base_url) => builder.base_url(base_url),
            None => builder,
        })
    }

    /// The key that is sent as `X-API-Key`. No default: it must be given.
    pub fn api_key(mut self, api_key: impl Into<String>) -> Self {
        self.api_key = api_key.into().into();
        self
    }

    /// The URL that the paths of the document are appended to. Default: the document's server,
    /// `https://api.sigmamind.ai`.
    ///
    /// It may have a path and a trailing slash. It must be https unless its host is this machine
    /// (`localhost`, 127.0.0.0/8, `[::1]`).
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// Whether a base URL may be plain http to another machine, where everyone on the way can
    /// read the key and the trunk password. Default: `false`.
    pub fn danger_send_secrets_unencrypted(mut self, allow: bool) -> Self {
        self.plain_http = allow;
        self
    }

    /// How long making a connection may take, TLS included. Default: 5 s.
    ///
    /// Without effect on a client given to [`http_client`](Self::http_client).
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// How long one attempt may take, from connecting to the end of the body. Default: 30 s.
    ///
    /// An attempt is never given more than what is left of the [`deadline`](Self::deadline).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timing.timeout = timeout;
        self
    }

    /// How long a whole call may take, all attempts and waits included. Default: 90 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.timing.deadline = deadline;
        self
    }

    /// How many times a call is tried again after its first attempt. Default: 2.
    ///
    /// Tried again are failures of the transport (no connection, a connection that broke, an
    /// attempt that took too long) and the statuses 408, 429, 500, 502, 503 and 504; nothing
    /// else. Before each retry there is a random wait between 0 and 0.5 s, doubled each time to
    /// at most 8 s, and not shorter than the server's `Retry-After`. If that is over 60 s or past
    /// the deadline, the error is returned at once and [`Error::retry_after`] has the wait.
    ///
    /// All clones of a client share a budget: over 10 s, retries are at most 20 % of the calls,
    /// and 10 more. When it is used up, the error is returned at once, so that an outage is not
    /// multiplied.
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.timing.max_retries = max_retries;
        self
    }

    /// What is sent as `User-Agent`. Default: `sigmamind-rust/` and the version of this crate.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The HTTP client to use, for a proxy, a root certificate or a shared pool. Default: one of
    /// its own, which follows no redirects, retries nothing by itself, and takes the proxies and
    /// root certificates of the system.
    ///
    /// Build yours with `redirect(reqwest::redirect::Policy::none())`: one that follows redirects
    /// sends the key and the trunk password to wherever the answer points. To be built, it needs
    /// TLS of its own: a crypto provider that the process has installed, or reqwest's feature
    /// `rustls` or `native-tls` in your Cargo.toml.
    pub fn http_client(mut self, http_client: reqwest::Client) -> Self {
        self.http = Some(http_client);
        self
    }

    /// Checks the settings and makes the client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_input`] if the key is missing or has a character that is not visible
    /// ASCII; if the base URL is not an http(s) URL, has a user, a query or a fragment, or is
    /// plain http to another machine; if a duration is zero; if the user agent is not a header
    /// value; or if the HTTP client cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let key = self.key()?;
        let user_agent = HeaderValue::from_str(&self.user_agent)
            .map_err(|_| Error::input("the user agent has a control character"))?;
        let base_url = self.url()?;
        let Timing {
            timeout, deadline, ..
        } = self.timing;
        if [self.connect_timeout, timeout, deadline].contains(&Duration::ZERO) {
            return Err(Error::input(
                "a timeout or deadline is zero; nothing can be done in no time",
            ));
        }
        let http = match self.http {
            Some(http) => http,
            None => http_client(reqwest::Client::builder().connect_timeout(self.connect_timeout))?,
        };
        Ok(Client {
            shared: Arc::new(Shared {
                http,
                base_url,
                key,
                user_agent,
                budget: TpsBudget::new(Duration::from_secs(10), 1, 0.2),
            }),
            timing: self.timing,
        })
    }

    fn key(&self) -> Result<HeaderValue, Error> {
        let key = self.api_key.expose();
        if key.is_empty() {
            return Err(Error::input(
                "the API key is empty; give the key from SigmaMind's settings",
            ));
        }
        // The text of a refused key is not repeated.
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::input(
                "the API key has a space, a line break or another character that is not visible \
                 ASCII; copy it again without that",
            ));
        }
        let mut value = HeaderValue::from_str(key)
            .map_err(|_| Error::input("the API key is not a header value"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn url(&self) -> Result<Url, Error> {
        let url = Url::parse(&self.base_url)
            .map_err(|e| Error::input(format!("the base URL is not a URL: {e}")))?;
        let refused = if !matches!(url.scheme(), "https" | "http") {
            "must begin with https://"
        } else if !url.username().is_empty() || url.password().is_some() {
            "must not have a user or a password"
        } else if url.query().is_some() || url.fragment().is_some() {
            "must not have a query or a fragment"
        } else if url.scheme() == "http" && !self.plain_http && !is_loopback(&url) {
            "must be https, or everyone on the way can read the key and the trunk password"
        } else {
            return Ok(url);
        };
        Err(Error::input(format!("the base URL {refused}")))
    }
}

pub(crate) fn http_client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Error> {
    let builder = builder
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        // Whatever features of reqwest the program has turned on, the requests are the same.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd();
    tls::configure(builder)?.build().map_err(Error::setup)
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
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}
