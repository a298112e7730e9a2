//! Servers on loopback for the tests of programs that use the client: real HTTP, no account.
//!
//! Turn the feature on for tests alone, and it costs nothing elsewhere:
//!
//! ```toml
//! [dev-dependencies]
//! sigmamind = { version = "0.1", features = ["mock"] }
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```
//!
//! There are two. [`FakeSigmaMind`] plays the documented API and keeps the numbers it is given:
//! use it to see what your program makes of them. [`MockSigmaMind`] answers just what the test
//! says, right or wrong: use it for what the real server does rarely. This is a complete test
//! with both:
//!
//! ```test_harness
//! use sigmamind::{
//!     Client, E164, Error, PhoneNumber, PhoneNumberUpdate,
//!     mock::{FakeSigmaMind, MockSigmaMind},
//! };
//!
//! /// The code under test: gives a number to another agent and returns what it is called.
//! async fn hand_over(client: &Client, number: &E164, agent: &str) -> Result<String, Error> {
//!     let update = PhoneNumberUpdate::default().inbound_agent_id(agent);
//!     let phone = client.update_phone_number(number, &update).await?;
//!     Ok(phone.friendly_name.clone().unwrap_or_default())
//! }
//!
//! fn number() -> E164 {
//!     "+14155552671".parse().unwrap()
//! }
//!
//! #[tokio::test]
//! async fn the_agent_is_changed_and_the_name_stays() {
//!     let fake = FakeSigmaMind::start();
//!     fake.insert(&number(), PhoneNumber::default().friendly_name("Support Line"));
//!
//!     let name = hand_over(&fake.client(), &number(), "new-agent").await.unwrap();
//!
//!     assert_eq!(name, "Support Line");
//!     let phone = fake.get(&number()).unwrap();
//!     assert_eq!(phone.inbound_agent_id.as_deref(), Some("new-agent"));
//! }
//!
//! #[tokio::test]
//! async fn an_unknown_number_is_reported() {
//!     let fake = FakeSigmaMind::start();
//!     let error = hand_over(&fake.client(), &number(), "new-agent").await.unwrap_err();
//!     assert!(error.is_not_found());
//! }
//!
//! #[tokio::test]
//! async fn an_overloaded_server_is_asked_again() {
//!     let mock = MockSigmaMind::start();
//!     let overloaded = mock.update_phone_number(|when, then| {
//!         when.phone_number(&number());
//!         then.status(503).times(1);
//!     });
//!     let updated = mock.update_phone_number(|when, then| {
//!         when.phone_number(&number())
//!             .api_key(mock.key())
//!             .body(&PhoneNumberUpdate::default().inbound_agent_id("new-agent"));
//!         then.ok(&PhoneNumber::default().friendly_name("Support Line"));
//!     });
//!
//!     hand_over(&mock.client(), &number(), "new-agent").await.unwrap();
//!
//!     overloaded.assert_calls(1);
//!     updated.assert_calls(1);
//! }
//! ```
//!
//! A program that makes its own client is pointed at either with `SIGMAMIND_BASE_URL` and
//! `SIGMAMIND_API_KEY` ([`Client::from_env`]), or with a base URL and a key in its settings.

mod fake;

use std::{fmt, time::Duration};

use serde::Serialize;

pub use fake::{FakeSigmaMind, Received, RetryAfter};
pub use httpmock;

use crate::{
    Client, E164, PhoneNumber, PhoneNumberUpdate,
    generated::{KEY_HEADER, operations},
    operation::Operation,
};

const OPERATION: &Operation = &operations::UPDATE_PHONE_NUMBER;

/// The key that both servers know; it opens nothing.
const KEY: &str = "test-api-key";

/// A client for a server on this machine, which is past any proxy.
fn client(url: &str) -> Client {
    Client::builder()
        .api_key(KEY)
        .base_url(url)
        .build()
        .expect("a client for this machine can be set up")
}

/// A server that answers what the test says, by [httpmock](https://docs.rs/httpmock).
///
/// Each expectation says which requests it is for and what they get; the first that fits is
/// taken, so a failure that ends after some [`times`](UpdatePhoneNumberThen::times) goes before
/// the success. A request that none fits gets 404. See the [module](self) for an example.
///
/// httpmock lends its servers out from a pool: a process has at most 25 at a time (or
/// `HTTPMOCK_MAX_SERVERS`), [`start`](Self::start) waits for a free one, and the port stays open
/// after the drop. A failed assertion of httpmock's prints the requests that came, secrets
/// included: put no real ones into tests.
pub struct MockSigmaMind(httpmock::MockServer);

impl MockSigmaMind {
    /// A server without expectations, on a free port of 127.0.0.1.
    #[must_use]
    pub fn start() -> Self {
        Self(httpmock::MockServer::start())
    }

    /// Sets what an update that fits `when` gets.
    ///
    /// Conditions that are not set are not checked: a `when` without conditions fits every
    /// update. The returned handle counts how often it was used and can be asserted on.
    pub fn update_phone_number(
        &self,
        expect: impl FnOnce(UpdatePhoneNumberWhen, UpdatePhoneNumberThen),
    ) -> httpmock::Mock<'_> {
        self.on(OPERATION, |when, then| {
            expect(UpdatePhoneNumberWhen(when), UpdatePhoneNumberThen(then));
        })
    }

    /// Sets what a request of any operation of the document gets, if it fits `when`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sigmamind::{PhoneNumber, PhoneNumberUpdate, mock::MockSigmaMind, operations};
    ///
    /// let mock = MockSigmaMind::start();
    /// let updated = mock.on(&operations::UPDATE_PHONE_NUMBER, |when, then| {
    ///     when.path_parameter("phoneNumber", "+14155552671");
    ///     then.ok(&PhoneNumber::default().active(true));
    /// });
    ///
    /// let update = PhoneNumberUpdate::default().friendly_name("Support Line");
    /// let call = mock.client().update_phone_number(&"+14155552671".parse()?, &update);
    /// assert_eq!(call.await?.active, Some(true));
    /// updated.assert_calls(1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on(
        &self,
        operation: &'static Operation,
        expect: impl FnOnce(When, Then),
    ) -> httpmock::Mock<'_> {
        self.0.mock(|inner, then| {
            let inner = inner.method(operation.method);
            let inner =
                inner.is_true(|request| operation.check(request.uri().path(), None).is_ok());
            expect(When { inner, operation }, Then(then));
        })
    }

    /// A client with this server's URL and key, and else the default settings.
    ///
    /// # Panics
    ///
    /// Under the feature `rustls-no-provider`, when no provider is installed: reqwest wants one for
    /// every client, although this one does not use it.
    #[must_use]
    pub fn client(&self) -> Client {
        client(&self.url())
    }

    /// The base URL, `http://127.0.0.1:` and the port.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.base_url()
    }

    /// The key that [`client`](Self::client) sends. It is checked where an expectation says
    /// [`api_key`](UpdatePhoneNumberWhen::api_key).
    #[must_use]
    pub fn key(&self) -> &'static str {
        KEY
    }

    /// httpmock's own server, for requests that the document does not know.
    #[must_use]
    pub fn as_inner(&self) -> &httpmock::MockServer {
        &self.0
    }
}

impl fmt::Debug for MockSigmaMind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MockSigmaMind").field(&self.url()).finish()
    }
}

/// Which requests of an operation an expectation is for.
pub struct When {
    inner: httpmock::When,
    operation: &'static Operation,
}

#[allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "the server has it already"
)]
impl When {
    /// Returns httpmock's own matcher, for any other condition.
    pub fn into_inner(self) -> httpmock::When {
        self.inner
    }

    fn map(self, add: impl FnOnce(httpmock::When) -> httpmock::When) -> Self {
        let Self { inner, operation } = self;
        let inner = add(inner);
        Self { inner, operation }
    }

    /// Takes those with this value in the path, unescaped, for the parameter of this name.
    ///
    /// # Panics
    ///
    /// If the operation's path has no such parameter.
    pub fn path_parameter(self, name: &str, value: &str) -> Self {
        let operation = self.operation;
        let index = operation
            .parameters()
            .position(|known| known == name)
            .unwrap_or_else(|| panic!("{} has no parameter `{name}`", operation.path));
        let value = value.to_owned();
        self.map(|inner| {
            inner.is_true(move |request| {
                let uri = request.uri();
                let found = operation.path_values(uri.path()).nth(index);
                found.is_some_and(|found| found == value)
            })
        })
    }

    /// Takes those with this pair in the query, unescaped; of a list, it is one item.
    pub fn query(self, name: &str, value: &str) -> Self {
        self.map(|inner| inner.query_param(name, value))
    }

    /// Takes those whose body is just this.
    pub fn body(self, body: &impl Serialize) -> Self {
        self.map(|inner| inner.json_body_obj(body))
    }

    /// Takes those whose key is this one.
    pub fn api_key(self, key: &str) -> Self {
        self.map(|inner| inner.header(KEY_HEADER.as_str(), key))
    }

    /// Takes those whose body has at least what is set in `body`, with the same values.
    ///
    /// # Panics
    ///
    /// If `body` cannot be written as JSON.
    pub fn body_including(self, body: &impl Serialize) -> Self {
        let json = serde_json::to_string(body).expect("the body is JSON");
        self.map(|inner| inner.json_body_includes(json))
    }
}

/// Response to the requests of an expectation.
pub struct Then(httpmock::Then);

#[allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "the server has it already"
)]
impl Then {
    /// Returns httpmock's own answer, for anything else.
    pub fn into_inner(self) -> httpmock::Then {
        self.0
    }

    /// Answers 200 with this value.
    pub fn ok(self, value: &impl Serialize) -> Self {
        self.status(200).json(value)
    }

    /// Answers with this value as the JSON body.
    pub fn json(self, value: &impl Serialize) -> Self {
        let then = self.0.header("content-type", "application/json");
        Self(then.json_body_obj(value))
    }

    /// Answers with this status; without a body unless one is given.
    pub fn status(self, status: u16) -> Self {
        Self(self.0.status(status))
    }

    /// Answers with this header, beside those given before.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// Answers with these bytes as the body, whether they are JSON or not.
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        Self(self.0.body(body))
    }

    /// Answers this much later.
    pub fn delay(self, delay: Duration) -> Self {
        Self(self.0.delay(delay))
    }

    /// Answers so many times only; after that the next expectation that fits is taken.
    pub fn times(self, times: usize) -> Self {
        Self(self.0.up_to_n_times(times))
    }
}

/// Which updates an expectation is for.
pub struct UpdatePhoneNumberWhen(When);

#[allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "the server has it already"
)]
impl UpdatePhoneNumberWhen {
    /// Returns httpmock's own matcher, for any other condition.
    pub fn into_inner(self) -> httpmock::When {
        self.0.into_inner()
    }

    /// Takes those about this number.
    pub fn phone_number(self, number: &E164) -> Self {
        let name = OPERATION.parameters().next().unwrap_or_default();
        Self(self.0.path_parameter(name, number.as_str()))
    }

    /// Takes those whose body is just this.
    pub fn body(self, update: &PhoneNumberUpdate) -> Self {
        Self(self.0.body(update))
    }

    /// Takes those whose key is this one.
    pub fn api_key(self, key: &str) -> Self {
        Self(self.0.api_key(key))
    }

    /// Takes those whose body has at least what is set in `update`, with the same values.
    ///
    /// # Panics
    ///
    /// If a number in it is NaN or infinite, which JSON has not.
    pub fn body_including(self, update: &PhoneNumberUpdate) -> Self {
        Self(self.0.body_including(update))
    }
}

/// Response to the updates of an expectation.
pub struct UpdatePhoneNumberThen(Then);

#[allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "the server has it already"
)]
impl UpdatePhoneNumberThen {
    /// Returns httpmock's own answer, for anything else.
    pub fn into_inner(self) -> httpmock::Then {
        self.0.into_inner()
    }

    /// Answers as documented, with this value.
    pub fn ok(self, phone: &PhoneNumber) -> Self {
        Self(self.0.ok(phone))
    }

    /// Answers with this status; without a body unless one is given.
    pub fn status(self, status: u16) -> Self {
        Self(self.0.status(status))
    }

    /// Answers with this header, beside those given before.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// Answers with these bytes as the body, whether they are JSON or not.
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        Self(self.0.body(body))
    }

    /// Answers this much later.
    pub fn delay(self, delay: Duration) -> Self {
        Self(self.0.delay(delay))
    }

    /// Answers so many times only; after that the next expectation that fits is taken.
    pub fn times(self, times: usize) -> Self {
        Self(self.0.times(times))
    }
}
