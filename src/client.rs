//! The client, with one method for each operation of the document.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{Url, header::HeaderValue};
use tower::retry::budget::TpsBudget;

use crate::{
    ClientBuilder, E164, Error, PhoneNumber, PhoneNumberUpdate, Response,
    generated::{self, operations},
    hooks::{Attempt, Exchange},
    operation::Operation,
    retry,
};

/// A client for the `SigmaMind` API.
///
/// Cloning is cheap, and all clones share one connection pool and one retry budget; make one
/// client and clone it. Its `Debug` shows no key.
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
    pub(crate) shared: Arc<Shared>,
    pub(crate) timing: Timing,
}

/// What all clones of a client share.
pub(crate) struct Shared {
    pub http: reqwest::Client,
    pub base_url: Url,
    pub key: HeaderValue,
    pub user_agent: HeaderValue,
    pub budget: TpsBudget,
}

impl Shared {
    pub fn host(&self) -> &str {
        self.base_url.host_str().unwrap_or_default()
    }
}

/// What a clone may have of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub timeout: Duration,
    pub deadline: Duration,
    pub max_retries: u32,
}

impl Client {
    /// A client with this key and the default settings; see [`ClientBuilder`] for those.
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_input`] if the key is empty or has a character that is not visible
    /// ASCII, or if no TLS backend could be set up.
    pub fn new(api_key: impl Into<String>) -> Result<Self, Error> {
        Self::builder().api_key(api_key).build()
    }

    /// A client with the key in `SIGMAMIND_API_KEY`, and the base URL in `SIGMAMIND_BASE_URL` if
    /// that is set.
    ///
    /// # Errors
    ///
    /// [`Error::is_invalid_input`] if `SIGMAMIND_API_KEY` is not set or not Unicode, and where
    /// [`ClientBuilder::build`] refuses a value.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.build()
    }

    /// A builder with the default settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// This client with another time limit for each attempt; see [`ClientBuilder::timeout`].
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.with(Timing {
            timeout,
            ..self.timing
        })
    }

    /// This client with another time limit for each whole call; see [`ClientBuilder::deadline`].
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        self.with(Timing {
            deadline,
            ..self.timing
        })
    }

    /// This client with another number of retries; see [`ClientBuilder::max_retries`].
    #[must_use]
    pub fn with_max_retries(&self, max_retries: u32) -> Self {
        self.with(Timing {
            max_retries,
            ..self.timing
        })
    }

    fn with(&self, timing: Timing) -> Self {
        Self {
            shared: self.shared.clone(),
            timing,
        }
    }

    /// Sets the properties of a phone number that `update` names, and leaves the others.
    ///
    /// The call is tried again after failures that may pass (see [`ClientBuilder::max_retries`]).
    /// Repeating it is safe, because it sets properties to values and a second time changes
    /// nothing more. It can overwrite one thing: a change of the same properties that somebody
    /// else made between two attempts.
    ///
    /// # Errors
    ///
    /// Before anything is sent, [`Error::is_invalid_input`] if nothing is set or a value breaks a
    /// limit of the document. After that see [`Error`];
    /// [`Error::may_have_been_applied`] tells whether the update may be in force all the same.
    pub async fn update_phone_number(
        &self,
        number: &E164,
        update: &PhoneNumberUpdate,
    ) -> Result<Response<PhoneNumber>, Error> {
        retry::call(self, &operations::UPDATE_PHONE_NUMBER, |api| async move {
            api.update_phone_number(number, update).await
        })
        .await
    }

    /// The generated client, ready for one attempt.
    pub(crate) fn attempt(
        &self,
        operation: &'static Operation,
        exchange: Arc<Exchange>,
    ) -> generated::Client {
        let Shared { base_url, http, .. } = &*self.shared;
        let shared = self.shared.clone();
        generated::Client::new_with_client(
            base_url.as_str().trim_end_matches('/'),
            http.clone(),
            Attempt {
                shared,
                operation,
                exchange,
            },
        )
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("host", &self.shared.host())
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}
