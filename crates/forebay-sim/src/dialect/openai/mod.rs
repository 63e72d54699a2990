//! OpenAI: chat completions, responses, embeddings, files and batches.
//!
//! Owns this dialect's bodies, messages and headers. Never knows another's.
//! The wordings are those of api.openai.com.

mod answer;
mod batch;
mod embeddings;
mod error;
mod rate;
mod request;
mod responses;
mod said;
mod stream;
mod tools;

pub(super) use answer::{completion, headers, model, models};
pub(crate) use batch::{
    BatchEndpoint, BatchLine, BatchLines, BatchStatus, BatchUsage, DeletedFile, Errors, FileObject,
    LineOutcome, ListObject, OpenAiBatch, RequestCounts, openai_id, read_lines,
};
pub(crate) use embeddings::keys as input_keys;
pub(super) use embeddings::{embeddings, parse as parse_embeddings};
pub(super) use error::{bad_key, error};
pub(super) use rate::{rate_headers, refusal};
pub(super) use request::parse;
pub(super) use responses::{
    Echo, failed, frames as response_frames, parse as parse_response, response,
};
pub(super) use stream::frames;
