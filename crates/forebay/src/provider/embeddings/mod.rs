//! The OpenAI embeddings dialect, as OpenAI and the many compatible servers speak it.
//!
//! Owns the shapes of its request and its answer, and how several requests become one. Each item
//! is encoded as a request of its own; what travels is put together from these. Never decides
//! what travels together.

mod decode;
mod encode;
mod input;

pub use decode::Vectors;
pub(super) use decode::{decode, vectors};
pub(super) use encode::encode;
pub use input::{InputOf, pack, text_of};

#[cfg(test)]
mod tests;
