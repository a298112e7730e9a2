//! The server, in a process of its own, so that its time does not count as the clients'.

use std::{
    env,
    io::{self, BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sigmamind_benches::{
    ANSWER,
    http::{accept_all, answer, read_request},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    runtime,
};

/// A running server, which ends when dropped.
pub struct Server {
    pub origin: String,
    child: Child,
}

impl Server {
    /// Starts this program once more, as a server that waits so long before it answers.
    pub fn start(latency: Duration) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(["server", &latency.as_millis().to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        BufReader::new(output).read_line(&mut address)?;
        Ok(Self {
            origin: format!("http://{}", address.trim()),
            child,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is the server: prints its address and answers until it is killed.
pub fn serve(latency: Duration) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        accept_all(listener, |stream| answer_all(stream, latency)).await
    })
}

async fn answer_all(mut stream: TcpStream, latency: Duration) -> io::Result<()> {
    let answer = answer(200, "x-request-id: 0123456789abcdef\r\n", ANSWER);
    let mut buffer = Vec::with_capacity(4096);
    while read_request(&mut stream, &mut buffer).await?.is_some() {
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
