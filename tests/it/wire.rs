//! A server on loopback that keeps the first request and gives one answer.

use std::{collections::BTreeMap, io};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
};

#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

pub struct Server {
    pub url: String,
    seen: watch::Receiver<Option<Request>>,
}

impl Server {
    /// Answers 200 with this JSON.
    pub async fn answering(json: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, seen) = watch::channel(None);
        tokio::spawn(async move {
            let answer = || async {
                let (mut stream, _) = listener.accept().await?;
                let request = read(&mut stream).await?;
                sender.send_replace(Some(request));
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
                let answer = format!("{head}content-length: {}\r\n\r\n{json}", json.len());
                stream.write_all(answer.as_bytes()).await
            };
            while answer().await.is_ok() {}
        });
        Self { url, seen }
    }

    /// The last request, waited for.
    pub async fn request(&self) -> Request {
        self.seen
            .clone()
            .wait_for(Option::is_some)
            .await
            .unwrap()
            .clone()
            .unwrap()
    }

    pub fn was_asked(&self) -> bool {
        self.seen.borrow().is_some()
    }
}

async fn read(stream: &mut tokio::net::TcpStream) -> io::Result<Request> {
    let mut text = String::new();
    while !text.contains("\r\n\r\n") {
        text.push(stream.read_u8().await?.into());
    }
    let mut lines = text.lines();
    let mut words = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .map(ToOwned::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8(body).map_err(io::Error::other)?;
    Ok(Request {
        method,
        path,
        headers,
        body,
    })
}
