//! The client without async: the same names, for programs of threads.
//!
//! Owns one thread that runs the calls of all clones. A call waits for its answer by blocking its
//! own thread, and never panics, wherever it is made: in plain threads, in `spawn_blocking`, and
//! in async code too, which it then blocks.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, mpsc};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use super::{CallEvent, Chunk, ClientBuilder, Embedded, Reply};
use crate::error::Error;
use crate::outcome::{Failure, FailureKind};

/// Replies of a batch that wait to be taken, at the most; a channel's places are not for free.
const MOST_AHEAD: usize = 1024;

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

    /// Sends many requests, a bounded number at a time; see
    /// [`Client::batch`](super::Client::batch).
    ///
    /// The requests are made as they are needed, on the client's own thread: an iterator that
    /// waits there holds up all calls. When it panics, the panic goes on in the caller's thread.
    pub fn batch<I>(&self, requests: I) -> Batch
    where
        I: IntoIterator<Item = ChatRequest>,
        I::IntoIter: Send + 'static,
    {
        let requests = requests.into_iter().map(|request| request.request);
        let requests: Requests = Box::new(requests);
        Batch {
            batch: self.client.batch(requests),
            client: self.clone(),
        }
    }

    /// Makes embeddings of texts; see [`Client::embed`](super::Client::embed).
    ///
    /// # Errors
    /// As there.
    pub fn embed<T: AsRef<str>>(
        &self,
        model: &str,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Embedded, Failure> {
        let texts: Vec<String> = texts.into_iter().map(|t| t.as_ref().to_owned()).collect();
        let (client, model) = (self.client.clone(), model.to_owned());
        self.wait(async move { client.embed(&model, texts).await })?
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

    /// Takes no more calls, waits for those under way, and gives up what is left then; see
    /// [`Client::close`](super::Client::close).
    pub fn close(&self) -> usize {
        let client = self.client.clone();
        // A thread that is gone has no calls.
        self.wait(async move { client.close().await }).unwrap_or(0)
    }

    /// Calls under way, those that wait for the limits included.
    pub fn calls_under_way(&self) -> usize {
        self.client.calls_under_way()
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
            let ended = AssertUnwindSafe(future).catch_unwind().await;
            // Nobody receives when the caller's thread is gone.
            let _ = sender.send(ended);
        });
        match receiver.recv() {
            Ok(Ok(ended)) => Ok(ended),
            // It is a panic of the caller's own functions.
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => Err(Failure::new(
                FailureKind::Cancelled,
                "the client's thread is gone",
            )),
        }
    }

    /// Runs a batch on the client's thread, so far ahead of whoever takes its replies.
    fn replies<T, S>(self, replies: S, ahead: usize) -> Replies<T>
    where
        T: Send + 'static,
        S: Stream<Item = T> + Send + 'static,
    {
        let (sender, receiver) = tokio::sync::mpsc::channel(ahead.clamp(1, MOST_AHEAD));
        self.worker.handle.spawn(async move {
            let mut replies = std::pin::pin!(replies);
            loop {
                let next = AssertUnwindSafe(replies.next()).catch_unwind().await;
                let is_panic = next.is_err();
                let Some(next) = next.transpose() else { break };
                // Nobody receives when the iterator was dropped; that ends the calls.
                if sender.send(next).await.is_err() || is_panic {
                    break;
                }
            }
        });
        Replies {
            receiver: Some(receiver),
            client: self,
        }
    }
}

type Requests = Box<dyn Iterator<Item = super::ChatRequest> + Send>;

/// Many requests to be; see [`Client::batch`].
#[derive(Debug)]
#[must_use = "a batch does nothing until its replies are asked for"]
pub struct Batch {
    batch: super::Batch<futures_util::stream::Iter<Requests>>,
    client: Client,
}

impl Batch {
    /// How many requests of this batch may be under way; see
    /// [`Batch::concurrency`](super::Batch::concurrency).
    pub fn concurrency(self, requests: usize) -> Batch {
        let batch = self.batch.concurrency(requests);
        Batch { batch, ..self }
    }

    /// Tells this function what happens to the requests, on the client's own thread.
    pub fn on_event(self, observer: impl Fn(&CallEvent<'_>) + Send + Sync + 'static) -> Batch {
        let batch = self.batch.on_event(observer);
        Batch { batch, ..self }
    }

    /// Replies as they come, each with the index of its request, from 0.
    ///
    /// Calls go on while a reply is worked on; as many replies as requests may be under way wait
    /// to be taken. Dropping the iterator ends its calls.
    pub fn as_completed(self) -> Replies<(usize, Result<Reply, Failure>)> {
        let ahead = self.batch.window();
        self.client.replies(self.batch.as_completed(), ahead)
    }

    /// Replies in the order of their requests; see [`Batch::ordered`](super::Batch::ordered) and
    /// [`Batch::as_completed`].
    pub fn ordered(self) -> Replies<Result<Reply, Failure>> {
        let ahead = self.batch.window();
        self.client.replies(self.batch.ordered(), ahead)
    }

    /// All replies and failures in the order of their requests.
    pub fn collect(self) -> Vec<Result<Reply, Failure>> {
        self.ordered().collect()
    }
}

/// The replies of a batch: an iterator.
#[derive(Debug)]
pub struct Replies<T> {
    /// Lent to the client's thread while that waits for the next reply.
    receiver: Option<tokio::sync::mpsc::Receiver<Result<T, Panic>>>,
    client: Client,
}

/// What a thread that panics leaves.
type Panic = Box<dyn Any + Send>;

impl<T: Send + 'static> Iterator for Replies<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let mut receiver = self.receiver.take()?;
        let next = self.client.wait(async move {
            let next = receiver.recv().await;
            (receiver, next)
        });
        let (receiver, next) = next.ok()?;
        match next? {
            Ok(next) => {
                self.receiver = Some(receiver);
                Some(next)
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
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

    /// The endpoint or provider, by its name.
    pub fn endpoint(self, name: impl Into<String>) -> ChatRequest {
        self.with(|request| request.endpoint(name))
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
