//! Anthropic messages, their batches, token counts and models.
//!
//! Owns this dialect's bodies, messages and headers. Never knows the others'.
//! The wordings are those of api.anthropic.com.

mod answer;
mod batch;
mod error;
mod models;
mod rate;
mod request;
mod stream;

pub(super) use answer::{completion, headers, token_count};
pub(crate) use batch::{
    BatchList, BatchObject, BatchRequest, Counts, DeletedBatch, Outcome, batch_id, read_batch,
    time as batch_time,
};
pub(super) use error::{bad_key, error};
pub(super) use models::{model, models};
pub(super) use rate::{rate_headers, refusal};
pub(super) use request::{Want, bad_version, parse};
pub(super) use stream::frames;
