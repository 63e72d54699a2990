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
mod env;
mod reply;
mod shape;
mod stream;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use batch::{AsCompleted, Batch, Ordered};
pub use builder::ClientBuilder;
pub use chat::{CallEvent, ChatRequest};
pub use reply::Reply;
pub use stream::{Chunk, ReplyStream};

use crate::config::EngineSettings;
use crate::endpoint::Endpoint;
use crate::engine::Lane;
use crate::error::Error;
use crate::outcome::{Failure, FailureKind};
use crate::price::PriceTable;
use crate::route::{self, Target};
use crate::transport::{Connector, Transport};

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
    /// The endpoints that the program named itself.
    endpoints: HashMap<String, Endpoint>,
    reads_env: bool,
    connector: Connector,
    settings: EngineSettings,
    prices: PriceTable,
    transports: Mutex<HashMap<String, Arc<Transport>>>,
    lanes: Mutex<HashMap<(String, String), Arc<Lane>>>,
    is_closed: AtomicBool,
    n_calls: AtomicUsize,
    call_ended: Notify,
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

    /// Takes no more calls, and waits until those under way have ended.
    ///
    /// All clones are closed with it. Later calls fail with the kind
    /// [`Cancelled`](FailureKind::Cancelled).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the client closed and the calls under way.
    pub async fn close(&self) {
        self.inner.is_closed.store(true, Ordering::Release);
        loop {
            let ended = self.inner.call_ended.notified();
            let mut ended = std::pin::pin!(ended);
            ended.as_mut().enable();
            if self.inner.n_calls.load(Ordering::Acquire) == 0 {
                break;
            }
            ended.await;
        }
        lock(&self.inner.transports).clear();
        lock(&self.inner.lanes).clear();
    }

    /// Calls under way, those that wait for the limits included.
    pub fn calls_under_way(&self) -> usize {
        self.inner.n_calls.load(Ordering::Acquire)
    }

    /// Notes that a call begins.
    ///
    /// # Errors
    /// When the client is closed.
    fn begin_call(&self) -> Result<UnderWay, Failure> {
        self.inner.n_calls.fetch_add(1, Ordering::AcqRel);
        // Counted before it looks, so that `close` misses no call.
        let under_way = UnderWay {
            inner: Arc::clone(&self.inner),
        };
        if self.inner.is_closed.load(Ordering::Acquire) {
            let what = "the client is closed";
            return Err(Failure::new(FailureKind::Cancelled, what));
        }
        Ok(under_way)
    }

    /// The lane to a model, and its name as sent.
    ///
    /// # Errors
    /// When no endpoint serves it, or its key is missing.
    fn lane(&self, name: &str) -> Result<(Arc<Lane>, String), Failure> {
        self.find_lane(name).map_err(unusable)
    }

    fn find_lane(&self, name: &str) -> Result<(Arc<Lane>, String), Error> {
        let own: Vec<&str> = self.inner.endpoints.keys().map(String::as_str).collect();
        let found = route::route(name, None, &own)?;
        let place = match &found.target {
            Target::Provider(provider) => provider.name.to_owned(),
            Target::Named(name) => name.clone(),
            Target::Simulated(_) => {
                return Err(Error::config(format!(
                    "model {name:?} is of the command's embedded simulator, which the library has not"
                ))
                .with_hint("start `forebay sim` and name its base URL"));
            }
        };
        let key = (place, found.model.clone());
        if let Some(lane) = lock(&self.inner.lanes).get(&key) {
            return Ok((Arc::clone(lane), found.model));
        }
        let endpoint = match (self.inner.endpoints.get(&key.0), &found.target) {
            (Some(own), _) => own.clone(),
            (None, Target::Provider(provider)) if self.inner.reads_env => {
                provider.endpoint_from(env::read)?
            }
            (None, Target::Provider(provider)) => provider.endpoint(None, None)?,
            (None, Target::Named(_) | Target::Simulated(_)) => {
                return Err(Error::config(format!("there is no endpoint {:?}", key.0)));
            }
        };
        let transport = self.transport(&endpoint)?;
        let of = match &found.target {
            Target::Provider(provider) => provider.price_name,
            Target::Named(_) | Target::Simulated(_) => &endpoint.name,
        };
        let model = self.inner.prices.find(of, &found.model);
        let settings = self.inner.settings.clone();
        let lane = Lane::new(endpoint, transport, settings, model);
        let mut lanes = lock(&self.inner.lanes);
        // Another task may have been faster; its lane counts.
        let lane = lanes.entry(key).or_insert_with(|| Arc::new(lane));
        Ok((Arc::clone(lane), found.model))
    }

    fn transport(&self, endpoint: &Endpoint) -> Result<Arc<Transport>, Error> {
        let mut transports = lock(&self.inner.transports);
        if let Some(transport) = transports.get(&endpoint.name) {
            return Ok(Arc::clone(transport));
        }
        let transport = Transport::new(
            endpoint.base_url.clone(),
            self.inner.connector.clone(),
            self.inner.settings.timeouts,
        )?;
        let transport = Arc::new(transport);
        transports.insert(endpoint.name.clone(), Arc::clone(&transport));
        Ok(transport)
    }
}

/// A call that is counted until it is dropped.
#[derive(Debug)]
struct UnderWay {
    inner: Arc<Inner>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.inner.n_calls.fetch_sub(1, Ordering::AcqRel);
        self.inner.call_ended.notify_waiters();
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
