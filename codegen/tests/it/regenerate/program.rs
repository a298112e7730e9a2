//! Part of each small program that the tests build: a server on loopback, and checks.

#![allow(dead_code, reason = "not every program uses all of it")]

use std::{
    fmt::Debug,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use sigmamind::{Client, Error};

/// A server that gives the answers in turn, and the last one from then on.
pub struct Server {
    url: String,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    head: Arc<Mutex<String>>,
}

impl Server {
    /// Each answer is its status and its body.
    pub fn answering(answers: &'static [(u16, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let head = Arc::new(Mutex::new(String::new()));
        let (record, last) = (seen.clone(), head.clone());
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let (line, body, head) = read(&mut stream);
                *last.lock().unwrap() = head;
                record.lock().unwrap().push((line, body));
                let (status, body) = answers[number.min(answers.len() - 1)];
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n\
                     x-request-id: id-{number}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all((head + body).as_bytes()).unwrap();
            }
        });
        Self { url, seen, head }
    }

    pub fn client(&self) -> Client {
        Client::builder().api_key("key").base_url(&*self.url).build().unwrap()
    }

    /// The requests since the last call: method and path, and the JSON body.
    pub fn requests(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// The head of the last request.
    pub fn head(&self) -> String {
        self.head.lock().unwrap().clone()
    }

    /// The body of the one request since the last call.
    pub fn body(&self) -> Value {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "one request");
        requests.into_iter().next().unwrap().1
    }
}

fn read(stream: &mut TcpStream) -> (String, Value, String) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1);
            let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            if body.len() >= length {
                break;
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "the request is whole");
        bytes.extend(&buffer[..count]);
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
    (line.into(), serde_json::from_str(body).unwrap_or_default(), head.into())
}

pub fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(work);
}

/// The call was refused before anything was sent, and its error says so in these words.
#[track_caller]
pub fn refused<T: Debug>(server: &Server, result: Result<T, Error>, message: &str) {
    let error = result.expect_err(message);
    assert_eq!(error.to_string(), format!("invalid request: {message}"));
    assert!(error.is_invalid_request(), "{message}: invalid request");
    assert_eq!(error.attempts(), 0, "{message}: no attempt");
    assert_eq!(server.requests(), [], "{message}: nothing sent");
}
