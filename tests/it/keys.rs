//! Keys that change.

use std::{
    collections::VecDeque,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
#[cfg(unix)]
use std::{path::Path, process::Command};

use sigmamind::{Client, ClientBuilder, Secret};
use tokio::sync::watch;

use crate::{
    capture::capture,
    files::{file, replace},
    server::{KEY, Request, SUCCESS, Server, Step, call, causes, http, nobody, quick},
};

/// A server that takes one key at a time, and the one before it for one request more.
struct Keyed {
    server: Server,
    keys: Arc<Mutex<Keys>>,
}

struct Keys {
    newest: String,
    grace: Option<String>,
    /// Action on arrival of the next request, before its key is checked.
    next: Option<Next>,
}

type Next = Box<dyn FnOnce(&mut Keys) + Send>;

impl Keys {
    /// Takes another key from now on, and no longer the one before.
    fn turn_to(&mut self, key: &str) {
        self.newest = key.into();
        self.grace = None;
    }
}

impl Keyed {
    async fn start(key: &str) -> Self {
        let keys = Arc::new(Mutex::new(Keys {
            newest: key.into(),
            grace: None,
            next: None,
        }));
        let known = keys.clone();
        let server = Server::answering(move |request| {
            let mut known = known.lock().unwrap();
            if let Some(next) = known.next.take() {
                next(&mut known);
            }
            let key = request.header("x-api-key").map(ToOwned::to_owned);
            if key.as_ref() == Some(&known.newest) || key.is_some() && known.grace.take() == key {
                Step::answer(200, &[], SUCCESS)
            } else {
                let key = key.unwrap_or_default();
                Step::answer(401, &[], format!("no such key: {key}"))
            }
        });
        Self {
            server: server.await,
            keys,
        }
    }

    /// Turns to another key, with grace for the one before, at the same moment as something else.
    fn turn_with(&self, key: &str, also: impl FnOnce()) {
        let mut keys = self.keys.lock().unwrap();
        also();
        keys.grace = Some(std::mem::replace(&mut keys.newest, key.into()));
    }

    /// Does something when the next request has come: the client cannot have looked at the file
    /// in between, however slow the machine is.
    fn at_the_next_request(&self, next: impl FnOnce(&mut Keys) + Send + 'static) {
        self.keys.lock().unwrap().next = Some(Box::new(next));
    }

    /// The keys that were sent.
    fn sent(&self) -> Vec<String> {
        let key = |request: &Request| request.header("x-api-key").unwrap().to_owned();
        self.server.log().requests.iter().map(key).collect()
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .base_url(self.server.url())
            .http_client(http().build().unwrap())
    }
}

#[test]
fn clone_with_other_api_key_shares_connections() {
    quick(async {
        let server = Server::start([]).await;
        let client = server.client();
        let other = client.with_api_key("another-key").unwrap();
        call(&other).await.unwrap();
        call(&client).await.unwrap();
        let log = server.log();
        let keys: Vec<_> = log.requests.iter().map(|r| r.header("x-api-key")).collect();
        assert_eq!(keys, [Some("another-key"), Some(KEY)]);
        assert_eq!(log.connections, 1, "they share the connections");
        let error = client.with_api_key("a b").unwrap_err();
        assert!(error.is_configuration(), "{error}");
    });
}

#[test]
fn api_key_file_ignores_trailing_line_break() {
    quick(async {
        for text in ["k-1", "k-1\n", "k-1\r\n"] {
            let keyed = Keyed::start("k-1").await;
            let path = file(text);
            let builder = keyed.builder().api_key_file(&*path);
            call(&builder.build().unwrap()).await.unwrap();
            assert_eq!(keyed.sent(), ["k-1"], "{text:?}");
        }
        let longest = file(&"x".repeat(16 << 10));
        assert!(nobody().api_key_file(&*longest).build().is_ok());
    });
}

#[test]
fn api_key_file_is_reread_before_key_is_refused() {
    quick(async {
        let server = Server::start([]).await;
        let path = file("k-1\n");
        let client = server.client_with(|builder| builder.api_key_file(&*path));
        call(&client).await.unwrap();
        replace(&path, "k-2\n");
        call(&client).await.unwrap();
        let log = server.log();
        let keys: Vec<_> = log.requests.iter().map(|r| r.header("x-api-key")).collect();
        assert_eq!(keys, [Some("k-1"), Some("k-2")]);
    });
}

#[test]
fn api_key_file_without_key_fails_build() {
    let long = "x".repeat(17 << 10);
    let cases = [
        (
            Some(""),
            "the API key is empty; give the key from SigmaMind's settings",
        ),
        (
            Some("k-1\nk-2\n"),
            "the API key has a space, a line break or another character that is not visible \
             ASCII; copy it again without that",
        ),
        (Some(&long), "it is too long for a key: more than 16 KiB"),
        (None, "No such file or directory (os error 2)"),
    ];
    for (text, reason) in cases {
        let path = file(text.unwrap_or_default());
        if text.is_none() {
            fs::remove_file(&path).unwrap();
        }
        let path = path.to_path_buf();
        let error = nobody().api_key_file(&path).build().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("invalid configuration: cannot use the API key file {path:?}: {reason}")
        );
    }
}

/// A FIFO without a writer, which whoever opens it waits for.
#[cfg(unix)]
fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success(), "mkfifo failed");
}

#[cfg(unix)]
#[test]
fn irregular_api_key_file_fails_build() {
    let path = file("");
    fs::remove_file(&path).unwrap();
    fifo(&path);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for path in [&*path, Path::new("/dev/zero"), folder] {
        let error = nobody().api_key_file(path).build().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "invalid configuration: cannot use the API key file {path:?}: it is not a regular file"
            )
        );
    }
}

#[cfg(unix)]
#[test]
fn api_key_file_that_becomes_fifo_keeps_last_valid_key() {
    quick(async {
        let keyed = Keyed::start("k-1").await;
        let path = file("k-1\n");
        let client = keyed.builder().api_key_file(&*path).build().unwrap();
        call(&client).await.unwrap();
        fs::remove_file(&path).unwrap();
        fifo(&path);
        call(&client).await.unwrap();
        assert_eq!(keyed.sent(), ["k-1", "k-1"]);
    });
}

#[test]
fn api_key_file_is_reread_after_401() {
    quick(async {
        let keyed = Keyed::start("k-1").await;
        let path = file("k-1\n");
        let builder = keyed.builder().api_key_file(&*path).max_retries(0);
        let client = builder.build().unwrap();
        call(&client).await.unwrap();
        let new = path.to_owned();
        keyed.at_the_next_request(move |keys| {
            keys.turn_to("k-2");
            replace(&new, "k-2\n");
        });
        let phone = call(&client).await.unwrap();
        assert_eq!(phone.attempts(), 2);
        assert_eq!(keyed.sent(), ["k-1", "k-1", "k-2"]);
    });
}

#[test]
fn replaced_api_key_is_not_tried_again() {
    quick(async {
        let keyed = Keyed::start("k-1").await;
        let path = file("k-1\n");
        let client = keyed.builder().api_key_file(&*path).build().unwrap();
        call(&client).await.unwrap();
        let new = path.to_owned();
        keyed.at_the_next_request(move |keys| {
            keys.turn_to("k-2");
            replace(&new, "k-2\n");
        });
        call(&client).await.unwrap();
        keyed.at_the_next_request(|keys| keys.turn_to("k-3"));
        let error = call(&client).await.unwrap_err();
        assert!(error.is_auth() && error.attempts() == 1, "{error}");
        assert_eq!(keyed.sent(), ["k-1", "k-1", "k-2", "k-2"]);
    });
}

#[test]
fn refused_api_key_is_tried_once_when_file_is_unchanged() {
    quick(async {
        let keyed = Keyed::start("k-2").await;
        let path = file("k-1\n");
        let client = keyed.builder().api_key_file(&*path).build().unwrap();
        let error = call(&client).await.unwrap_err();
        assert!(error.is_auth(), "{error}");
        assert_eq!((error.attempts(), keyed.server.requests()), (1, 1));

        let new = path.to_owned();
        keyed.at_the_next_request(move |_| replace(&new, "k-3\n")); // another, and as wrong
        let error = call(&client).await.unwrap_err();
        assert!(error.is_auth(), "{error}");
        assert_eq!(keyed.sent(), ["k-1", "k-1", "k-3"]);
    });
}

#[test]
fn invalid_api_key_file_keeps_last_valid_key() {
    quick(async {
        let keyed = Keyed::start("k-12345678").await;
        let path = file("k-12345678\n");
        let client = keyed.builder().api_key_file(&*path).build().unwrap();
        call(&client).await.unwrap();
        for broken in [
            Some(""),
            Some("\n"),
            Some("two words"),
            Some("k-1234"),
            None,
        ] {
            match broken {
                Some(text) => fs::write(&path, text).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            call(&client)
                .await
                .unwrap_or_else(|e| panic!("{broken:?}: {e}"));
            call(&client)
                .await
                .unwrap_or_else(|e| panic!("{broken:?}: {e}"));
        }
        let sent = keyed.sent();
        let half = sent.iter().filter(|key| *key == "k-1234").count();
        assert!(half <= 1, "half of a key was tried {half} times");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_succeed_while_api_key_rotates() {
    let keyed = Arc::new(Keyed::start("k-0").await);
    let path = file("k-0\n");
    let client = keyed.builder().api_key_file(&*path).build().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    let mut counts = Vec::new();
    for _ in 0..64 {
        let (client, ended) = (client.clone(), ended.clone());
        let (count, calls) = watch::channel(0);
        counts.push(calls);
        tasks.spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                call(&client).await?;
                count.send_modify(|calls| *calls += 1);
            }
            Ok::<_, sigmamind::Error>(())
        });
    }
    for number in 1..=10 {
        // No call sees two rotations: whatever was sent with an older key has ended.
        let befores: Vec<_> = counts.iter().map(|calls| *calls.borrow()).collect();
        for (calls, before) in counts.iter_mut().zip(befores) {
            let more = calls.wait_for(|now| *now > before + 1).await;
            if more.is_err() {
                break; // the call has failed; it is checked below
            }
        }
        let key = format!("k-{number}");
        keyed.turn_with(&key, || replace(&path, &format!("{key}\n")));
    }
    ended.store(true, Ordering::Relaxed);
    for outcome in tasks.join_all().await {
        outcome.unwrap();
    }
    let sent = keyed.sent();
    for number in 0..=10 {
        assert!(sent.contains(&format!("k-{number}")), "k-{number} was sent");
    }
}

#[test]
fn api_key_provider_is_called_before_each_attempt() {
    quick(async {
        let server = Server::start([Step::status(503), Step::status(401)]).await;
        let keys = Mutex::new(VecDeque::from(["k-1", "k-2", "k-3", "k-4"]));
        let client = server.client_with(|builder| {
            builder.api_key_provider(move || {
                let key = keys.lock().unwrap().pop_front();
                key.map(Secret::from).ok_or("the vault is sealed")
            })
        });
        assert_eq!(call(&client).await.unwrap().attempts(), 3);
        let log = server.log();
        let keys: Vec<_> = log.requests.iter().map(|r| r.header("x-api-key")).collect();
        // The third was read after the 401, to see whether the key has changed.
        assert_eq!(keys, [Some("k-1"), Some("k-2"), Some("k-4")]);

        let error = call(&client).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid configuration: API key provider failed: the vault is sealed"
        );
        assert!(error.is_configuration() && error.attempts() == 0);
        assert_eq!(server.requests(), 3);
    });
}

#[test]
fn invalid_key_from_provider_fails_call() {
    quick(async {
        let server = Server::start([]).await;
        let client = server.client_with(|builder| {
            builder.api_key_provider(|| Ok::<_, String>(Secret::from("secret key")))
        });
        let error = call(&client).await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
        assert!(!error.to_string().contains("secret key"), "{error}");
        assert_eq!(server.requests(), 0);
    });
}

#[test]
fn current_and_previous_api_keys_are_redacted() {
    let logged = capture(|| {
        quick(async {
            let echo = "k-first-1 and k-second-2 are no keys of ours";
            let path = file("k-first-1\n");
            let new = path.to_owned();
            let server = Server::answering(move |_| {
                replace(&new, "k-second-2\n"); // once the first was sent
                Step::answer(401, &[], echo)
            })
            .await;
            let client = server.client_with(|builder| builder.api_key_file(&*path));
            let error = call(&client).await.unwrap_err();
            assert_eq!(error.attempts(), 2);
            assert_eq!(
                error.message(),
                Some("[redacted] and [redacted] are no keys of ours")
            );
            let texts = format!("{error} {error:?} {:?} {client:?}", causes(&error));
            assert_shows_no_key(&texts);
        });
    });
    for source in ["hyper_util::client", "sigmamind::attempt", "attempt failed"] {
        assert!(logged.text.contains(source), "nothing of {source}");
    }
    assert_shows_no_key(&logged.text);
}

fn assert_shows_no_key(text: &str) {
    for key in ["k-first", "k-second"] {
        assert!(!text.contains(key), "{text} shows {key}");
    }
}
