//! Calls to LLM HTTP APIs, by the one or by the million.
//!
//! Whatever model there is a key for answers by its name. Calls keep to limits, are made again when
//! that is worth it, and cost what the reply says; a call that is dropped is over, and nothing goes
//! on when nobody waits. A first call takes five lines:
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = forebay::Client::from_env()?;
//! let reply = client.chat("gpt-4o-mini").user("Say hello.").send().await?;
//! println!("{}", reply.text);
//! # Ok(())
//! # }
//! ```
//!
//! Many calls are a batch. It takes requests as it needs them, so that its source may be endless,
//! and a request that fails loses no other:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use forebay::Client;
//! use forebay::config::Limits;
//!
//! let limits = Limits { rpm: Some(6_000.0), ..Limits::default() };
//! let builder = Client::builder().key("openai", "sk-…").concurrency(50).limits(limits);
//! # use forebay_sim::{Answers, Config, Latency, Sim};
//! # use forebay::transport::{Connector, MemoryConnector};
//! # let sim = Sim::new(Config { latency: Latency::Zero, answers: Answers::Echo, ..Config::default() });
//! # let pipes = Connector::Memory(MemoryConnector::new(move |pipe| {
//! #     let sim = sim.clone();
//! #     tokio::spawn(async move { sim.serve_connection(pipe).await });
//! # }));
//! # let builder = Client::builder().key("openai", "sk-test").concurrency(50).limits(limits).connector(pipes);
//! let client = builder.build()?;
//! let tickets = ["where is my parcel", "I was charged twice"];
//! let requests = tickets.map(|text| client.chat("gpt-4o-mini").user(text).max_tokens(20));
//! let mut replies = client.batch(requests).concurrency(20).as_completed();
//! while let Some((index, reply)) = replies.next().await {
//!     match reply {
//!         Ok(reply) => println!("{}: {}", tickets[index], reply.text),
//!         Err(failure) => println!("{}: {failure}", tickets[index]),
//!     }
//! }
//! assert_eq!(client.close().await, 0);
//! # Ok(())
//! # }
//! ```
//!
//! [`ChatRequest::stream`] gives a reply as it comes, [`Client::fan_out`] asks several models at
//! once, [`Client::embed`] makes vectors, and [`blocking::Client`] does it all without async. The
//! folder `examples/` has a program of at most 25 lines for each pattern that people ask for.
//!
//! Files of items are another matter: [`engine::run`] sends every item of a source through one
//! endpoint and records exactly one row per item, and with a [`journal`] it can be killed at any
//! moment and gone on with. Memory follows what is in flight, never the length of the input.
//!
//! # Features
//!
//! | feature | what | default |
//! |---|---|---|
//! | `blocking` | [`blocking::Client`] | yes |
//! | `schema` | answers checked against a JSON Schema | yes |
//! | `run` | files of items: sources, sinks, the journal, [`engine::run`] | yes |
//! | `parquet` | Parquet files as input and output | no |
//! | `cache` | answers kept for the next time the same is asked | no |
//!
//! Without any, the crate is the async client and takes 58 other crates, TLS and tokio included.
//!
//! # Layers
//!
//! ```text
//! client       calls, batches, streams
//! engine       run: dispatcher drain  |  lane: one call in its caller's task  |  attempt
//! policy       limit retry queue route price  |  wire  provider transport  |  edges  source sink table journal disk cache
//! vocabulary   item message schema outcome row event config error endpoint catalogue money fields answers told
//! ```
//! Imports point down only, and the three in the middle never import each other. Policy reads no
//! clock and opens no socket: the time and the seed are arguments. A provider only encodes and
//! decodes. The engine emits [`event::Event`]s; nothing in this crate prints or exits, starts a
//! task behind anybody's back or keeps global state, and only a client that is told to reads the
//! environment.
//!
//! What goes wrong with one call or item is an [`outcome::Failure`], which is data; what is wrong
//! with a client's settings or a run as a whole is an [`error::Error`].

pub mod answers;
#[cfg(feature = "cache")]
pub mod cache;
pub mod catalogue;
pub mod client;
pub mod config;
#[cfg(feature = "run")]
pub mod disk;
pub mod endpoint;
pub mod engine;
pub mod error;
pub mod event;
pub mod fields;
pub mod headers;
pub mod item;
#[cfg(feature = "run")]
pub mod journal;
pub mod limit;
pub mod message;
pub mod money;
pub mod outcome;
pub mod price;
pub mod provider;
#[cfg(feature = "run")]
pub mod queue;
pub mod retry;
pub mod route;
pub mod row;
mod scan;
pub mod schema;
#[cfg(feature = "run")]
pub mod sink;
#[cfg(feature = "run")]
pub mod source;
#[cfg(feature = "run")]
pub mod table;
pub mod told;
pub mod transport;

#[cfg(feature = "blocking")]
pub use client::blocking;
pub use client::{ChatRequest, Client, Reply};
pub use outcome::{Failure, FailureKind, FinishReason, Usage};
