//! Who makes many calls: this client in two ways, and reqwest with reqwest-retry.

use std::{error::Error, process::ExitCode};

use futures_util::{StreamExt, stream};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
use sigmamind::{Batch, Call, Client, E164, PhoneNumber, PhoneNumberUpdate};
use sigmamind_benches::{KEY, UPDATE};

/// What the numbers of all calls begin with.
const PREFIX: &str = "+1415555";

pub type Failure = Box<dyn Error + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Contender {
    /// Calls in `buffer_unordered`.
    Plain,
    Batch,
    /// Reqwest with reqwest-retry, 10 retries, in `buffer_unordered`.
    Retry,
}

pub const CONTENDERS: [Contender; 3] = [Contender::Plain, Contender::Batch, Contender::Retry];

impl Contender {
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Batch => "batch",
            Self::Retry => "reqwest-retry",
        }
    }

    fn named(name: &str) -> Option<Self> {
        CONTENDERS
            .into_iter()
            .find(|contender| contender.name() == name)
    }

    /// Updates so many numbers, from an index on; how many were lost.
    pub async fn run(
        self,
        url: &str,
        first: usize,
        calls: usize,
        at_once: usize,
    ) -> Result<usize, Failure> {
        let numbers = (first..first + calls).map(number);
        if self == Self::Retry {
            let client = retrying()?;
            let sent =
                numbers.map(|number| send(&client, format!("{url}/v1/phone-number/{number}")));
            let lost = stream::iter(sent)
                .buffer_unordered(at_once)
                .filter(|done| std::future::ready(!done));
            return Ok(lost.count().await);
        }
        let client = Client::builder().api_key(KEY).base_url(url).build()?;
        let numbers: Vec<E164> = numbers
            .map(|number| number.parse())
            .collect::<Result<_, _>>()?;
        let update: PhoneNumberUpdate = serde_json::from_str(UPDATE)?;
        let calls = numbers
            .iter()
            .map(|number| client.update_phone_number(number, &update));
        Ok(match self {
            Self::Batch => in_a_batch(Batch::new(calls).concurrency(at_once)).await,
            _ => plain(calls, at_once).await,
        })
    }
}

/// The number of an index.
pub fn number(index: usize) -> String {
    format!("{PREFIX}{index:05}")
}

/// The index of a number.
pub fn index(number: &str) -> Option<usize> {
    number.strip_prefix(PREFIX)?.parse().ok()
}

async fn plain(calls: impl Iterator<Item = Call<PhoneNumber>>, at_once: usize) -> usize {
    let outcomes = stream::iter(calls.map(Call::send)).buffer_unordered(at_once);
    let lost = outcomes.filter(|outcome| std::future::ready(outcome.is_err()));
    lost.count().await
}

async fn in_a_batch<I: Iterator<Item = Call<PhoneNumber>>>(
    mut batch: Batch<I, PhoneNumber>,
) -> usize {
    let mut lost = 0;
    while let Some((_, outcome)) = batch.next().await {
        lost += usize::from(outcome.is_err());
    }
    lost
}

fn retrying() -> Result<ClientWithMiddleware, Failure> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let policy = ExponentialBackoff::builder().build_with_max_retries(10);
    let retry = RetryTransientMiddleware::new_with_policy(policy);
    Ok(ClientBuilder::new(client).with(retry).build())
}

/// Whether the server has granted it.
async fn send(client: &ClientWithMiddleware, url: String) -> bool {
    let request = client
        .patch(url)
        .header("x-api-key", KEY)
        .header("content-type", "application/json")
        .body(UPDATE);
    match request.send().await {
        Ok(response) => response.status().is_success() && response.bytes().await.is_ok(),
        Err(_) => false,
    }
}

/// The process of one of several contenders with one key; ends with the number of lost calls.
pub async fn worker(arguments: &[String]) -> Result<ExitCode, Failure> {
    let [contender, url, first, calls, at_once] = arguments else {
        return Err("a worker has five arguments".into());
    };
    let contender = Contender::named(contender).ok_or("there is no such contender")?;
    let lost = contender
        .run(url, first.parse()?, calls.parse()?, at_once.parse()?)
        .await?;
    Ok(ExitCode::from(u8::try_from(lost).unwrap_or(u8::MAX)))
}
