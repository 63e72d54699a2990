//! The Anthropic messages dialect.
//!
//! Owns the shapes of its request and its answer. Never sends.

mod decode;
mod encode;

pub(super) use decode::decode;
pub(super) use encode::encode;
