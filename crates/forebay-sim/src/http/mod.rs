//! The server's half of HTTP/1.1, on bytes.
//!
//! Owns reading requests and writing answers' heads. Never knows what a request asks for.

mod chunked;
mod head;
mod input;
mod multipart;
mod output;
mod query;

pub(crate) use chunked::Decoder as ChunkDecoder;
pub(crate) use head::{Head, Method, Span};
pub(crate) use input::{Input, ReadError, Request};
pub(crate) use multipart::{Field, fields};
pub(crate) use output::{Output, reason_phrase};
pub(crate) use query::{param, unescape};

/// The most bytes a request's head may have; large enough for any client's cookies and tracing.
pub(crate) const MAX_HEAD: usize = 64 * 1024;

/// The most bytes a request's body may have; what the largest, a batch of
/// messages, may have at its provider.
pub(crate) const MAX_BODY: usize = 256 * 1024 * 1024;
