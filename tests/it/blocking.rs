//! Calls without async.

use std::thread;

use sigmamind::Error;

use crate::server::{Server, Step, call};

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
    let panic = thread::spawn(move || call(&client).wait().map(drop)).join();
    let panic: Box<dyn std::any::Any + Send> = panic.map(Result::<(), Error>::unwrap).unwrap_err();
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
