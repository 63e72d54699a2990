//! The client: one shared handle for calls from a program's own tasks.
//!
//! Owns which endpoint serves a model, and what calls look like to a program. Everything between
//! a request and its reply (limits, retries, attempts) is the engine's. Never prints, never starts
//! a task, and reads the environment only when asked to.
//!
//! ```text
//! Client ─► route ─► Lane per endpoint and model (limits, retries) ─► Transport per endpoint
//! ```

mod batch;
#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod chat;
mod embed;
mod env;
mod gate;
mod lanes;
mod places;
mod reply;
mod shape;
mod stream;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use batch::{AsCompleted, Batch, Ordered};
pub use builder::ClientBuilder;
pub use chat::{CallEvent, ChatRequest};
pub use embed::Embedded;
pub use reply::Reply;
pub use stream::{Chunk, ReplyStream};

use crate::config::EngineSettings;
use crate::engine::Lane;
use crate::error::Error;
use crate::outcome::{Failure, FailureKind};
use crate::price::PriceTable;
use gate::Gate;
use lanes::Lanes;
use places::{Places, Purpose};

/// A handle to every model that its keys open; cheap to clone.
///
/// All clones share connections, limits and what was learnt. Limits hold per endpoint and model.
/// It is used from inside a tokio runtime, the program's own; it starts no task and keeps no
/// global state.
///
/// ```no_run
/// # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
/// let client = forebay::Client::from_env()?;
/// let reply = client.chat("gpt-4o-mini").user("Say hello.").send().await?;
/// println!("{}", reply.text);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    places: Places,
    settings: EngineSettings,
    prices: PriceTable,
    lanes: Mutex<Lanes>,
    gate: Arc<Gate>,
}

impl Client {
    /// Begins a client with keys and limits of one's own.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client that finds keys and base URLs in the environment, under the names that the
    /// providers' own SDKs use (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, …); see
    /// [`PROVIDERS`](crate::catalogue::PROVIDERS) for all of them.
    ///
    /// A variable is looked for when its provider is first called.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn from_env() -> Result<Client, Error> {
        Client::builder().env().build()
    }

    fn of(inner: Inner) -> Client {
        Client {
            inner: Arc::new(inner),
        }
    }

    /// Begins a request to a model: `gpt-4o-mini`, `anthropic/claude-sonnet-4-5`,
    /// `groq/llama-3.3-70b-versatile`, or `ENDPOINT/NAME` of an endpoint of one's own.
    pub fn chat(&self, model: impl Into<String>) -> ChatRequest {
        ChatRequest::new(self.clone(), model.into())
    }

    /// Begins a request whose model is named later, as [`Client::fan_out`] does.
    pub fn prompt(&self, text: impl Into<String>) -> ChatRequest {
        self.chat("").user(text)
    }

    /// Sends many requests, a bounded number at a time.
    ///
    /// The requests are made as they are needed, so an endless iterator is fine.
    pub fn batch<I>(&self, requests: I) -> Batch<futures_util::stream::Iter<I::IntoIter>>
    where
        I: IntoIterator<Item = ChatRequest>,
    {
        self.batch_stream(futures_util::stream::iter(requests))
    }

    /// Sends the requests of a stream, a bounded number at a time.
    pub fn batch_stream<S>(&self, requests: S) -> Batch<S>
    where
        S: futures_util::Stream<Item = ChatRequest>,
    {
        let limit = match self.inner.settings.concurrency {
            crate::config::Concurrency::Fixed(limit) => limit.get(),
            crate::config::Concurrency::Auto { max } => max.get(),
            crate::config::Concurrency::Rule(rule) => rule().limit(),
        };
        Batch::new(requests, limit)
    }

    /// Asks several models the same thing at once, and gives their answers in the models' order.
    ///
    /// It takes as long as the slowest. A model that fails has its failure in its place and
    /// holds up no other.
    ///
    /// # Cancel safety
    /// As for [`ChatRequest::send`], for each of the calls.
    pub async fn fan_out<M>(
        &self,
        models: impl IntoIterator<Item = M>,
        request: ChatRequest,
    ) -> Vec<(String, Result<Reply, Failure>)>
    where
        M: Into<String>,
    {
        let calls = models.into_iter().map(|model| {
            let model = model.into();
            let call = request.clone().model(model.clone()).send();
            async move { (model, call.await) }
        });
        futures_util::future::join_all(calls).await
    }

    /// Takes no more calls, for all clones, and waits for those under way up to
    /// [`ClientBuilder::grace`]; what is left then is given up.
    ///
    /// Gives the number of calls that were given up; they fail with the kind
    /// [`Cancelled`](FailureKind::Cancelled), as later calls do. A stream that nobody reads is
    /// such a call.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the client closed and the calls under way.
    pub async fn close(&self) -> usize {
        let given_up = self.inner.gate.close(self.inner.settings.grace).await;
        self.inner.places.forget();
        *lock(&self.inner.lanes) = Lanes::default();
        given_up
    }

    /// Calls under way, those that wait for the limits included.
    pub fn calls_under_way(&self) -> usize {
        self.inner.gate.under_way()
    }

    /// The lane to a model, and its name as sent.
    ///
    /// # Errors
    /// When no endpoint serves it, or its key is missing.
    fn find_lane(
        &self,
        name: &str,
        endpoint: Option<&str>,
        purpose: Purpose,
    ) -> Result<(Arc<Lane>, String), Error> {
        let asked = (endpoint.map(str::to_owned), name.to_owned(), purpose);
        if let Some(found) = lock(&self.inner.lanes).find(&asked) {
            return Ok(found);
        }
        let inner = &self.inner;
        let (endpoint, model) = inner.places.find(name, endpoint, purpose)?;
        let transport = inner.places.transport(&endpoint)?;
        let place = (endpoint.name.clone(), endpoint.dialect, model);
        Ok(lock(&inner.lanes).open(asked, place, |model| {
            let info = inner.prices.find(&endpoint.name, model);
            Lane::new(endpoint, transport, inner.settings.clone(), info)
        }))
    }
}

/// A call that cannot be made is a failure like others, so that a program handles one type.
fn unusable(error: Error) -> Failure {
    let message = match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    Failure::new(FailureKind::InvalidItem, message)
}

/// What the locks guard are maps, which a panic elsewhere leaves usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
