//! The client without async: the same names, for programs of threads.
//!
//! Owns one thread that runs the calls of all clones. A call waits for its answer by blocking its
//! own thread, and never panics, wherever it is made.

use std::sync::{Arc, mpsc};

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use super::{Chunk, ClientBuilder, Reply};
use crate::error::Error;
use crate::outcome::{Failure, FailureKind};

/// A handle to every model that its keys open; cheap to clone, for any number of threads.
///
/// ```no_run
/// # fn ask() -> Result<(), Box<dyn std::error::Error>> {
/// let client = forebay::blocking::Client::from_env()?;
/// let reply = client.chat("gpt-4o-mini").user("Say hello.").send()?;
/// println!("{}", reply.text);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    client: super::Client,
    worker: Arc<Worker>,
}

/// The thread that runs the calls; it ends with its last handle.
#[derive(Debug)]
struct Worker {
    handle: Handle,
    stop: Arc<Notify>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

impl Client {
    /// A client of these settings.
    ///
    /// # Errors
    /// As for [`ClientBuilder::build`], and when no thread can be started.
    pub fn new(builder: ClientBuilder) -> Result<Client, Error> {
        let cannot = |error: std::io::Error| Error::io(format!("cannot start a thread: {error}"));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(cannot)?;
        let handle = runtime.handle().clone();
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("forebay".into())
            .spawn(move || runtime.block_on(stopped.notified()))
            .map_err(cannot)?;
        Ok(Client {
            client: builder.build()?,
            worker: Arc::new(Worker { handle, stop }),
        })
    }

    /// A client that finds keys and base URLs in the environment; see
    /// [`Client::from_env`](super::Client::from_env).
    ///
    /// # Errors
    /// As for [`Client::new`].
    pub fn from_env() -> Result<Client, Error> {
        Client::new(super::Client::builder().env())
    }

    /// Begins a request to a model; see [`Client::chat`](super::Client::chat).
    pub fn chat(&self, model: impl Into<String>) -> ChatRequest {
        self.with(self.client.chat(model))
    }

    /// Begins a request whose model is named later.
    pub fn prompt(&self, text: impl Into<String>) -> ChatRequest {
        self.with(self.client.prompt(text))
    }

    /// Sends many requests and gives all replies and failures in their order.
    ///
    /// The requests are made on the client's own thread as they are needed.
    pub fn batch<I>(&self, requests: I) -> Vec<Result<Reply, Failure>>
    where
        I: IntoIterator<Item = ChatRequest>,
        I::IntoIter: Send + 'static,
    {
        let requests = requests.into_iter().map(|request| request.request);
        let batch = self.client.batch(requests);
        // Only a thread that is gone gives nothing.
        self.wait(batch.collect()).unwrap_or_default()
    }

    /// Asks several models the same thing at once; see [`Client::fan_out`](super::Client::fan_out).
    pub fn fan_out<M: Into<String>>(
        &self,
        models: impl IntoIterator<Item = M>,
        request: ChatRequest,
    ) -> Vec<(String, Result<Reply, Failure>)> {
        let models: Vec<String> = models.into_iter().map(Into::into).collect();
        let client = self.client.clone();
        let call = async move { client.fan_out(models, request.request).await };
        self.wait(call).unwrap_or_default()
    }

    /// Takes no more calls, and waits until those under way have ended.
    pub fn close(&self) {
        let client = self.client.clone();
        let closed = self.wait(async move { client.close().await });
        // A thread that is gone has closed everything.
        drop(closed);
    }

    fn with(&self, request: super::ChatRequest) -> ChatRequest {
        ChatRequest {
            request,
            client: self.clone(),
        }
    }

    /// Runs a future on the client's thread and waits for its end.
    fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.worker.handle.spawn(async move {
            // Nobody receives when the caller's thread is gone.
            let _ = sender.send(future.await);
        });
        let gone = |_| Failure::new(FailureKind::Cancelled, "the client's thread is gone");
        receiver.recv().map_err(gone)
    }
}

/// A request under way to being sent.
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent or streamed"]
pub struct ChatRequest {
    request: super::ChatRequest,
    client: Client,
}

impl ChatRequest {
    /// The same request after a change, for everything that an async request can be told:
    /// `.with(|request| request.temperature(0.2).stop("\n"))`.
    pub fn with(
        self,
        change: impl FnOnce(super::ChatRequest) -> super::ChatRequest,
    ) -> ChatRequest {
        ChatRequest {
            request: change(self.request),
            client: self.client,
        }
    }

    /// Another model.
    pub fn model(self, model: impl Into<String>) -> ChatRequest {
        self.with(|request| request.model(model))
    }

    /// The system prompt.
    pub fn system(self, text: impl Into<String>) -> ChatRequest {
        self.with(|request| request.system(text))
    }

    /// A text of the user's.
    pub fn user(self, text: impl Into<String>) -> ChatRequest {
        self.with(|request| request.user(text))
    }

    /// A text that the model wrote earlier.
    pub fn assistant(self, text: impl Into<String>) -> ChatRequest {
        self.with(|request| request.assistant(text))
    }

    /// The most output tokens of the answer.
    pub fn max_tokens(self, tokens: u32) -> ChatRequest {
        self.with(|request| request.max_tokens(tokens))
    }

    /// Sampling temperature.
    pub fn temperature(self, temperature: f64) -> ChatRequest {
        self.with(|request| request.temperature(temperature))
    }

    /// Sends the request and waits for the whole answer.
    ///
    /// # Errors
    /// As for [`ChatRequest::send`](super::ChatRequest::send).
    pub fn send(self) -> Result<Reply, Failure> {
        let ChatRequest { request, client } = self;
        client.wait(request.send())?
    }

    /// Sends the request; the answer comes piece by piece.
    pub fn stream(self) -> ReplyStream {
        ReplyStream {
            stream: Some(self.request.stream()),
            client: self.client,
        }
    }
}

/// A reply while it comes: an iterator of pieces, and the whole reply at its end.
///
/// Dropping it gives its permit back and closes its connection.
#[derive(Debug)]
pub struct ReplyStream {
    /// Lent to the client's thread while that waits for the next piece.
    stream: Option<super::ReplyStream>,
    client: Client,
}

impl ReplyStream {
    /// Waits for the end and gives the whole reply, with usage and cost.
    ///
    /// # Errors
    /// The failure that ended the answer.
    pub fn finish(self) -> Result<Reply, Failure> {
        match self.stream {
            Some(stream) => self.client.wait(stream.finish())?,
            None => Err(Failure::new(FailureKind::Cancelled, "the stream is gone")),
        }
    }
}

impl Iterator for ReplyStream {
    type Item = Result<Chunk, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut stream = self.stream.take()?;
        let next = self.client.wait(async move {
            let next = stream.next().await;
            (stream, next)
        });
        match next {
            Ok((stream, next)) => {
                self.stream = Some(stream);
                next
            }
            Err(failure) => Some(Err(failure)),
        }
    }
}
