//! A back end that batches continuously, as vLLM's V1 engine does.
//!
//! Owns the scheduling of sequences into steps, their KV blocks, the time a step takes and the
//! figures that such an engine publishes. Never knows a wire, a dialect or what the tokens say.
//!
//! ```text
//!  submit ──> waiting ──admitted──> running ──last token──> ended
//!                ^                     │
//!                └──── preempted ──────┘    (at the front; its KV is computed anew)
//!
//!  each step: one token for every running sequence that decodes, then prefill
//!             while the token budget, the sequences and the KV blocks allow
//! ```
//!
//! [`scheduler`] knows no clock: a step begins, says how long it takes, and ends. [`driver`]
//! lets tokio's time pass in between. [`trial`] runs the scheduler alone, under a closed loop.

mod blocks;
mod config;
mod driver;
mod entry;
mod histogram;
mod metrics;
mod prompt;
mod scheduler;
mod step_time;
mod trial;

pub use config::{Batching, StepTime};
pub(crate) use driver::{Engine, Sequence};
pub(crate) use metrics::Finish;
pub(crate) use prompt::Prompt;
pub(crate) use scheduler::Refused;
pub use trial::{Load, Trial};
