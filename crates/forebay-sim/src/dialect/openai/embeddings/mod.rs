//! Embeddings.
//!
//! Owns their requests and their vectors. Never streams.

mod answer;
mod keys;
mod request;

pub(in crate::dialect) use answer::embeddings;
pub(crate) use keys::keys;
pub(in crate::dialect) use request::parse;
