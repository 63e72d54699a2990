//! Something between engine and simulator that spoils the bytes of answers.
//!
//! The simulator's log stays true: it has answered whatever becomes of the bytes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use forebay::transport::{Connector, MemoryConnector};
use forebay_sim::Sim;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A whole answer of the simulator.
pub(crate) struct Answer {
    /// Status line and headers, up to and with the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The answer as the simulator sent it.
    pub(crate) fn whole(&self) -> Vec<u8> {
        self.with_head(&self.head)
    }

    /// The body under another head.
    pub(crate) fn with_head(&self, head: &str) -> Vec<u8> {
        [head.as_bytes(), &self.body].concat()
    }

    /// A 200 with these headers besides the type of the body, and this body.
    pub(crate) fn made(headers: &str, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\n");
        [head.as_bytes(), body].concat()
    }
}

/// What is done instead of sending an answer.
pub(crate) enum Step {
    Send(Vec<u8>),
    /// A byte each so often.
    Drip(Vec<u8>, Duration),
    /// The same again and again, until the client hangs up.
    Forever(Vec<u8>),
    /// Nothing more, until the client hangs up.
    Silence,
    /// The end of the connection.
    Close,
}

type Spoil = dyn Fn(u64, &Answer) -> Vec<Step> + Send + Sync;

/// Sits between engine and simulator; clones are the same one.
#[derive(Clone)]
pub(crate) struct Between {
    sim: Sim,
    spoil: Arc<Spoil>,
    answers: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
}

impl Between {
    /// `spoil` is told the number of an answer, from 1.
    pub(crate) fn new(
        sim: &Sim,
        spoil: impl Fn(u64, &Answer) -> Vec<Step> + Send + Sync + 'static,
    ) -> Between {
        Between {
            sim: sim.clone(),
            spoil: Arc::new(spoil),
            answers: Arc::default(),
            sent: Arc::default(),
        }
    }

    pub(crate) fn connector(&self) -> Connector {
        let this = self.clone();
        Connector::Memory(MemoryConnector::new(move |pipe| {
            let this = this.clone();
            // Either side may go away at any time.
            tokio::spawn(async move { drop(this.serve(pipe).await) });
        }))
    }

    /// The bytes that it has sent to the engine.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) async fn serve<IO>(&self, mut client: IO) -> io::Result<()>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut server = self.sim.connect();
        loop {
            let request = read_message(&mut client).await?;
            server.write_all(&request.whole()).await?;
            let answer = read_message(&mut server).await?;
            let n = self.answers.fetch_add(1, Ordering::Relaxed) + 1;
            for step in (self.spoil)(n, &answer) {
                match step {
                    Step::Send(bytes) => self.send(&mut client, &bytes).await?,
                    Step::Drip(bytes, every) => {
                        for byte in bytes {
                            tokio::time::sleep(every).await;
                            self.send(&mut client, &[byte]).await?;
                        }
                    }
                    Step::Forever(bytes) => loop {
                        self.send(&mut client, &bytes).await?;
                    },
                    Step::Silence => {
                        while client.read(&mut [0; 64]).await? > 0 {}
                        return Ok(());
                    }
                    Step::Close => return client.shutdown().await,
                }
            }
        }
    }

    async fn send<IO: AsyncWrite + Unpin>(&self, client: &mut IO, bytes: &[u8]) -> io::Result<()> {
        client.write_all(bytes).await?;
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

async fn read_message(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    Ok(Answer { head, body })
}
