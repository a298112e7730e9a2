//! The ways to make the same call.

use std::{io, thread};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use reqwest::header::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use sigmamind_benches::{KEY, NUMBER, UPDATE};
use tokio::{
    net::TcpStream,
    runtime::{self, Runtime},
    task::LocalSet,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What progenitor makes of the document with nothing set.
#[allow(clippy::all, clippy::pedantic, dead_code, unused_imports)]
mod bare {
    include!(concat!(env!("OUT_DIR"), "/bare.rs"));
}

/// Makes `calls` calls for each of so many callers at a time.
pub trait Contender {
    fn run(&mut self, callers: usize, calls: usize) -> Result<()>;
}

/// Starts a contender on the server at this origin.
pub type Start = fn(&str) -> Result<Box<dyn Contender>>;

/// With the first, the others are compared.
pub const ALL: [(&str, Start); 5] = [
    ("hand-written reqwest", Tasks::<Reqwest>::start),
    ("sigmamind, all defaults", Tasks::<Sigmamind>::start),
    ("progenitor's client, bare", Tasks::<Progenitor>::start),
    ("hyper 1, bare", Tasks::<Hyper>::start),
    ("ureq 3 (blocking)", Threads::start),
];

/// One caller of an asynchronous client.
trait Caller: Sized + 'static {
    async fn first(origin: &str) -> Result<Self>;
    /// One more, on the same client.
    async fn another(&self) -> Result<Self>;
    /// Returns the label in the answer.
    async fn call(&mut self) -> Result<Option<String>>;
}

/// Callers as tasks on one thread.
struct Tasks<C> {
    runtime: Runtime,
    callers: Vec<C>,
}

impl<C: Caller> Tasks<C> {
    fn start(origin: &str) -> Result<Box<dyn Contender>> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let callers = vec![runtime.block_on(C::first(origin))?];
        Ok(Box::new(Self { runtime, callers }))
    }
}

impl<C: Caller> Contender for Tasks<C> {
    fn run(&mut self, callers: usize, calls: usize) -> Result<()> {
        let Self {
            runtime,
            callers: ready,
        } = self;
        LocalSet::new().block_on(runtime, async {
            while ready.len() < callers {
                ready.push(ready[0].another().await?);
            }
            let tasks: Vec<_> = ready
                .drain(..callers)
                .map(|mut caller| {
                    tokio::task::spawn_local(async move {
                        for _ in 0..calls {
                            check(caller.call().await?.as_deref())?;
                        }
                        Result::Ok(caller)
                    })
                })
                .collect();
            for task in tasks {
                ready.push(task.await??);
            }
            Ok(())
        })
    }
}

fn check(label: Option<&str>) -> Result<()> {
    if label == Some("Support Line - US") {
        Ok(())
    } else {
        Err(format!("the answer came out wrong: {label:?}").into())
    }
}

fn url(origin: &str) -> String {
    format!("{origin}/v1/phone-number/{NUMBER}")
}

/// The update as one would write it by hand.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    #[serde(skip_serializing_if = "Option::is_none")]
    friendly_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inbound_agent_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outbound_agent_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    termination_sip_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sip_trunk_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunk_password: Option<String>,
}

impl Update {
    fn documented() -> Result<Self> {
        Ok(serde_json::from_str(UPDATE)?)
    }
}

/// The answer as one would write it by hand.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "reading an answer is what is measured")]
struct Details {
    sip_phone_number: Option<String>,
    provider: Option<Provider>,
    inbound_agent_id: Option<String>,
    outbound_agent_id: Option<String>,
    outbound_phone_number: Option<String>,
    active: Option<bool>,
    friendly_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Provider {
    Twilio,
    Telnyx,
    Vonage,
    #[serde(other)]
    Other,
}

#[derive(Clone)]
struct Reqwest {
    client: reqwest::Client,
    origin: String,
    update: Update,
}

impl Caller for Reqwest {
    async fn first(origin: &str) -> Result<Self> {
        Ok(Self {
            client: reqwest::Client::new(),
            origin: origin.to_owned(),
            update: Update::documented()?,
        })
    }

    async fn another(&self) -> Result<Self> {
        Ok(self.clone())
    }

    async fn call(&mut self) -> Result<Option<String>> {
        let response = self
            .client
            .patch(url(&self.origin))
            .header("X-API-Key", KEY)
            .json(&self.update)
            .send()
            .await?
            .error_for_status()?;
        Ok(response.json::<Details>().await?.friendly_name)
    }
}

#[derive(Clone)]
struct Sigmamind {
    client: sigmamind::Client,
    number: sigmamind::E164,
    update: sigmamind::PhoneNumberUpdate,
}

impl Caller for Sigmamind {
    async fn first(origin: &str) -> Result<Self> {
        Ok(Self {
            client: sigmamind::Client::builder()
                .api_key(KEY)
                .base_url(origin)
                .build()?,
            number: NUMBER.parse()?,
            update: serde_json::from_str(UPDATE)?,
        })
    }

    async fn another(&self) -> Result<Self> {
        Ok(self.clone())
    }

    async fn call(&mut self) -> Result<Option<String>> {
        let answer = self
            .client
            .update_phone_number(&self.number, &self.update)
            .await?;
        Ok(answer.into_inner().friendly_name)
    }
}

#[derive(Clone)]
struct Progenitor {
    client: bare::Client,
    update: bare::types::PhoneNumberUpdate,
}

impl Caller for Progenitor {
    async fn first(origin: &str) -> Result<Self> {
        let key = HeaderMap::from_iter([("x-api-key".parse()?, HeaderValue::from_static(KEY))]);
        let client = reqwest::Client::builder().default_headers(key).build()?;
        Ok(Self {
            client: bare::Client::new_with_client(origin, client),
            update: serde_json::from_str(UPDATE)?,
        })
    }

    async fn another(&self) -> Result<Self> {
        Ok(self.clone())
    }

    async fn call(&mut self) -> Result<Option<String>> {
        let answer = self
            .client
            .update_phone_number(NUMBER, &self.update)
            .await
            .map_err(|e| e.to_string())?;
        Ok(answer.into_inner().friendly_name)
    }
}

struct Hyper {
    host: String,
    connection: SendRequest<Full<Bytes>>,
    update: Update,
}

impl Caller for Hyper {
    async fn first(origin: &str) -> Result<Self> {
        let host = origin.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self {
            host,
            connection: sender,
            update: Update::documented()?,
        })
    }

    async fn another(&self) -> Result<Self> {
        Self::first(&self.host).await
    }

    async fn call(&mut self) -> Result<Option<String>> {
        self.connection.ready().await?;
        let request = hyper::Request::patch(url(""))
            .header("host", &self.host)
            .header("x-api-key", KEY)
            .header("content-type", "application/json")
            .body(Full::from(serde_json::to_vec(&self.update)?))?;
        let response = self.connection.send_request(request).await?;
        if !response.status().is_success() {
            return Err(response.status().as_str().into());
        }
        let body = response.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice::<Details>(&body)?.friendly_name)
    }
}

/// Callers as threads, for a client that blocks.
struct Threads {
    agent: ureq::Agent,
    url: String,
    update: Update,
}

impl Threads {
    fn start(origin: &str) -> Result<Box<dyn Contender>> {
        // Otherwise it keeps three connections and makes the others anew for every call.
        let config = ureq::Agent::config_builder().max_idle_connections_per_host(256);
        Ok(Box::new(Self {
            agent: config.max_idle_connections(256).build().into(),
            url: url(origin),
            update: Update::documented()?,
        }))
    }

    fn calls(&self, calls: usize) -> Result<()> {
        for _ in 0..calls {
            let number: Details = self
                .agent
                .patch(&self.url)
                .header("X-API-Key", KEY)
                .send_json(&self.update)?
                .body_mut()
                .read_json()?;
            check(number.friendly_name.as_deref())?;
        }
        Ok(())
    }
}

impl Contender for Threads {
    fn run(&mut self, callers: usize, calls: usize) -> Result<()> {
        if callers == 1 {
            return self.calls(calls);
        }
        thread::scope(|scope| {
            let threads: Vec<_> = (0..callers)
                .map(|_| scope.spawn(|| self.calls(calls)))
                .collect();
            threads.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .map_err(|_| io::Error::other("a thread panicked"))?
            })
        })
    }
}
