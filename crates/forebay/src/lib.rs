//! Push very many requests through LLM HTTP APIs.
//!
//! [`engine::run`] sends every item of a source through one endpoint and records exactly one row
//! per item. It keeps to the limits it is given, retries what is worth retrying, counts what was
//! billed, and with a [`journal`] it can be killed at any moment and gone on with. Memory follows
//! what is in flight, never the length of the input.
//!
//! ```no_run
//! use forebay::config::EngineSettings;
//! use forebay::endpoint::{BaseUrl, Dialect, Endpoint, TokenField};
//! use forebay::engine::{self, Stats};
//! use forebay::source::{InputSpec, Location, Prompting, Source};
//! use forebay::transport::{Connector, Transport, tls_config};
//! use forebay::{item::Parameters, journal::Journal, sink::Collect};
//!
//! # async fn label() -> Result<(), forebay::error::Error> {
//! let endpoint = Endpoint {
//!     name: "local".into(),
//!     dialect: Dialect::Chat,
//!     base_url: BaseUrl::parse("http://localhost:8000/v1")?,
//!     key: None,
//!     headers: Vec::new(),
//!     token_field: TokenField::MaxTokens,
//! };
//! let input = InputSpec { locations: vec![Location::Path("tickets.txt".into())], ..Default::default() };
//! let parameters = Parameters { model: "llama3".into(), ..Default::default() };
//! let prompt = Some("Label as bug or other: {{ text }}".into());
//! let prompting = Prompting { prompt, parameters: parameters.into(), ..Default::default() };
//! let settings = EngineSettings::default();
//! let tls = Connector::Net(tls_config(None)?);
//! let transport = Transport::new(endpoint.base_url.clone(), tls, settings.timeouts)?;
//! let feed = engine::feed_in_thread(Source::open(input, prompting)?, endpoint.clone())?;
//! let mut rows = Collect::default();
//! let (_control, control) = engine::control();
//! let summary = engine::run(engine::Run {
//!     endpoint: &endpoint,
//!     transport: &transport,
//!     settings: &settings,
//!     model: None,
//!     feed,
//!     journal: &mut Journal::none(),
//!     sink: &mut rows,
//!     observer: &mut |_| {},
//!     control,
//!     stats: &Stats::default(),
//! })
//! .await?;
//! assert_eq!(summary.ok + summary.failed + summary.pending, summary.items);
//! # Ok(())
//! # }
//! ```
//!
//! # Layers
//!
//! ```text
//! engine       dispatcher  attempt  drain
//! policy       limit retry queue route price  |  wire  provider transport  |  edges  source sink table journal disk
//! vocabulary   item message schema outcome row event config error endpoint catalogue money fields
//! ```
//! Imports point down only, and the three in the middle never import each other. Policy reads no
//! clock and opens no socket: the time and the seed are arguments. A provider only encodes and
//! decodes. The engine emits [`event::Event`]s; nothing in this crate prints, exits or reads the
//! environment.
//!
//! What goes wrong with one item is an [`outcome::Failure`], which is data and ends up in its row;
//! what is wrong with the run as a whole is an [`error::Error`], which ends it.

pub mod catalogue;
pub mod client;
pub mod config;
pub mod disk;
pub mod endpoint;
pub mod engine;
pub mod error;
pub mod event;
pub mod fields;
pub mod item;
pub mod journal;
pub mod limit;
pub mod message;
pub mod money;
pub mod outcome;
pub mod price;
pub mod provider;
pub mod queue;
pub mod retry;
pub mod route;
pub mod row;
pub mod schema;
pub mod sink;
pub mod source;
pub mod table;
pub mod transport;

#[cfg(feature = "blocking")]
pub use client::blocking;
pub use client::{ChatRequest, Client, Reply};
pub use outcome::{Failure, FailureKind, FinishReason, Usage};
