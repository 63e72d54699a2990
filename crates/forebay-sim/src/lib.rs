//! A simulated LLM provider at wire level: point a client at it and judge what the client does.
//!
//! A [`Sim`] speaks HTTP/1.1 in three dialects, in one piece and streamed: OpenAI (chat
//! completions, responses, embeddings, files and batches), Anthropic (messages, token counts and
//! message batches) and Gemini (content and token counts), with their true answers, error bodies
//! and rate headers. It enforces limits with token buckets, takes its time as a real back end
//! would, one that batches included ([`Batching`]), fails on demand, and keeps a log of every
//! request it received and every answer it fully sent. [`check`] judges a client by that log.
//!
//! A [`Profile`] describes a back end in a file.
//!
//! It serves loopback sockets in real time ([`Sim::serve`]) and in-memory pipes in paused
//! tokio time ([`Sim::connect`], [`Sim::serve_connection`]); both use the same code, and all
//! waiting goes through `tokio::time`.
//!
//! ```
//! use std::sync::Arc;
//! use forebay_sim::{Action, Config, Latency, Sim};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let sim = Sim::new(Config {
//!     latency: Latency::Zero,
//!     script: Some(Arc::new(|call| match call.seen {
//!         1 => Action::status(503),
//!         _ => Action::Answer,
//!     })),
//!     ..Config::default()
//! });
//!
//! let body = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
//! let mut pipe = sim.connect();
//! let head = "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer k\r\nconnection: close\r\n";
//! pipe.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
//! let mut answer = String::new();
//! pipe.read_to_string(&mut answer).await?;
//! assert!(answer.starts_with("HTTP/1.1 503 "));
//! # Ok(())
//! # }
//! ```
//!
//! What goes wrong can be named ([`faults`]), and the network between can be made bad
//! ([`proxy`]).
//!
//! What it never does: import the client it judges, open a connection that nobody asked a
//! [`proxy`] for, or read any clock other than tokio's (the wall clock is read once, when the
//! [`Sim`] starts).

mod answer;
mod batching;
pub mod check;
mod config;
mod connection;
mod dialect;
pub mod faults;
mod http;
mod latency;
mod limits;
mod log;
mod pace;
mod plan;
mod profile;
pub mod proxy;
mod resource;
mod route;
mod script;
mod seen;
mod sim;
mod stats;
mod ticket;

pub use batching::{Batching, Load, StepTime, Trial};
pub use config::{
    Answers, Batches, Config, Faults, Latency, Limits, Outage, OutageKind, OutputLength, Ramp,
    RateHeaders, RetryAfter, Step, Tenant,
};
pub use connection::Http2;
pub use dialect::{Dialect, Operation};
pub use log::{DropReason, Event, LogRecord};
pub use profile::{BadProfile, Profile};
pub use script::{Action, Call, Endless, Oddity, Script, Shape, Spoil};
pub use sim::Sim;
pub use stats::Stats;
