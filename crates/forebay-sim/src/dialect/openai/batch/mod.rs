//! Files and batches, as this dialect has them.
//!
//! Owns their fields, and what is rejected of a batch's lines. Never works one off.

mod lines;
mod object;
mod outcome;

pub(crate) use lines::{BatchLine, BatchLines, Errors, read_lines};
pub(crate) use object::{
    BatchEndpoint, BatchStatus, BatchUsage, DeletedFile, FileObject, ListObject, OpenAiBatch,
    RequestCounts, openai_id,
};
pub(crate) use outcome::LineOutcome;
