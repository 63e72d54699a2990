//! The Gemini generateContent dialect.
//!
//! Owns the shapes of its request and its answer. Never sends.

mod decode;
mod encode;

pub(super) use decode::{Part, PromptFeedback, decode};
pub(super) use encode::encode;
