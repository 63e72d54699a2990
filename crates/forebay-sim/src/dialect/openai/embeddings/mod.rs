//! Embeddings.
//!
//! Owns their requests and their vectors. Never streams.

mod answer;
mod request;

pub(in crate::dialect) use answer::embeddings;
pub(in crate::dialect) use request::parse;
