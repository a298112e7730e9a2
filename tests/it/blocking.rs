//! Calls without async.

#[cfg(unix)]
use std::{os::unix::process::ExitStatusExt, process::ExitStatus};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::Duration,
};

#[cfg(unix)]
use sigmamind::Client;
use sigmamind::Error;

#[cfg(unix)]
use crate::child;
use crate::server::{KEY, Server, Step, call};

/// A server on a runtime of its own, so that the test itself has none.
fn served(steps: Vec<Step>) -> (tokio::runtime::Runtime, Server) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start(steps));
    (runtime, server)
}

#[test]
fn wait_works_without_runtime() {
    let (_runtime, server) = served(vec![Step::status(404)]);
    let client = server.client();
    let error = call(&client).wait().unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(call(&client).wait().is_ok());
    assert_eq!(
        server.log().connections,
        1,
        "the connection is kept between calls"
    );
}

#[test]
fn wait_works_on_many_threads_at_once() {
    let (_runtime, server) = served(vec![]);
    let client = server.client();
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || (0..8).try_for_each(|_| call(&client).wait().map(drop)))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
    assert_eq!(server.requests(), 128);
}

#[test]
fn wait_works_in_spawn_blocking() {
    let (runtime, server) = served(vec![]);
    let client = server.client();
    let waited = runtime.block_on(async {
        let waits = tokio::task::spawn_blocking(move || call(&client).wait().map(drop));
        waits.await.unwrap()
    });
    assert!(waited.is_ok(), "{waited:?}");
}

#[test]
fn wait_propagates_panic_of_hook() {
    let (_runtime, server) = served(vec![]);
    let client = server.client_with(|builder| builder.on_attempt(|_, _| panic!("a bug")));
    let joined = thread::spawn(move || call(&client).wait().map(drop)).join();
    let panic: Box<dyn std::any::Any + Send> = joined.map(Result::<(), Error>::unwrap).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"a bug"));
}

#[test]
fn batch_iterates_without_runtime() {
    let (_runtime, server) = served(vec![Step::status(404)]);
    let client = server.client();
    let calls = (0..20).map(|_| call(&client));
    let mut batch = sigmamind::Batch::new(calls).concurrency(4);
    let mut outcomes = Vec::new();
    while let Some((index, outcome)) = batch.wait_next() {
        outcomes.push((index, outcome.is_ok()));
    }
    assert_eq!(outcomes.iter().filter(|(_, ok)| !ok).count(), 1);
    outcomes.sort_unstable();
    assert!(outcomes.into_iter().map(|(index, _)| index).eq(0..20));
}

/// Runs it on a thread of its own, so that one that never ends fails the test.
fn within_a_minute<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = mpsc::channel();
    thread::spawn(move || done.send(run()));
    outcome
        .recv_timeout(Duration::from_secs(60))
        .expect("it has ended without a panic")
}

const WAITS_FOR_ITSELF: &str = "invalid configuration: wait() inside a key provider or a hook would wait for \
     its own thread; get the key outside of it";

#[test]
fn wait_inside_key_provider_fails_call() {
    let (_runtime, server) = served(vec![]);
    let inner = server.client();
    let outer = server.client_with(|builder| {
        builder.api_key_provider(move || call(&inner).wait().map(|_| KEY.into()))
    });
    let error = within_a_minute(move || call(&outer).wait().unwrap_err());
    assert!(error.is_configuration(), "{error}");
    assert_eq!(
        error.to_string(),
        format!("invalid configuration: API key provider failed: {WAITS_FOR_ITSELF}")
    );
    assert_eq!(server.requests(), 0);
}

#[test]
fn wait_inside_hook_is_error() {
    let (_runtime, server) = served(vec![]);
    let inner = server.client();
    let (sender, errors) = mpsc::channel();
    let outer = server.client_with(|builder| {
        builder.on_attempt(move |_, _| {
            let error = call(&inner).wait().unwrap_err();
            sender.send(error.to_string()).unwrap();
        })
    });
    assert!(within_a_minute(move || call(&outer).wait().is_ok()));
    assert_eq!(errors.recv().unwrap(), WAITS_FOR_ITSELF);
}

#[test]
fn wait_next_inside_hook_panics() {
    let (_runtime, server) = served(vec![]);
    let inner = server.client();
    let outer = server.client_with(|builder| {
        builder.on_attempt(move |_, _| {
            sigmamind::Batch::new([call(&inner)]).wait_next();
        })
    });
    let panic = within_a_minute(move || {
        catch_unwind(AssertUnwindSafe(|| drop(call(&outer).wait()))).unwrap_err()
    });
    assert_eq!(
        panic.downcast_ref::<String>().map(|text| &**text),
        Some(WAITS_FOR_ITSELF)
    );
}

#[cfg(unix)]
#[test]
fn wait_works_in_child_of_fork() {
    let (_runtime, server) = served(vec![]);
    child::run_against("blocking::forks_and_waits", &server.url(), &[]);
    // Two of the parent, and two of its child: one by a client of its own, and one by its parent's.
    assert_eq!(server.requests(), 4);
}

#[cfg(unix)]
#[test]
#[ignore = "by the one above, in a process of its own"]
fn forks_and_waits() {
    let send = |client: &Client| {
        let call = call(client).attempt_timeout(Duration::from_secs(5));
        call.wait().map(drop)
    };
    let client = child::client().build().unwrap();
    send(&client).unwrap();
    match fork::fork().unwrap() {
        fork::Fork::Child => {
            let own = child::client().build().unwrap();
            let outcome = send(&own).and_then(|()| send(&client));
            // Without the rest of the tests, which the parent runs.
            std::process::exit(if outcome.is_ok() { 7 } else { 8 });
        }
        fork::Fork::Parent(child) => {
            let status = fork::waitpid(child).unwrap();
            assert_eq!(ExitStatus::from_raw(status).code(), Some(7));
            send(&client).unwrap();
        }
    }
}
