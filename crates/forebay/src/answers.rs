//! Answers from earlier, by what was asked: the seam between the engine and a cache.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

use crate::endpoint::Dialect;
use crate::money::Usd;

/// What was asked of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The dialect of request and answer.
    pub dialect: Dialect,
    /// The path from the host on.
    pub path: Arc<str>,
    /// The request's body.
    pub body: Bytes,
}

/// A good answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The HTTP status.
    pub status: u16,
    /// The body as it would have come without a stream.
    pub body: Bytes,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// What it cost, when that is known: what each further use saves.
    pub cost: Option<Usd>,
}

/// A store of answers. Neither method fails: a store that is broken has no answers.
pub trait Answers: Debug + Send + Sync {
    /// The answer to the same request, if there is one.
    fn find(&self, asked: &Asked) -> Option<Kept>;

    /// Keeps an answer; returns at once, and may drop it.
    fn keep(&self, asked: Asked, kept: Kept);
}
