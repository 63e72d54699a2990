//! The wire dialects: how a request is written and how an answer is read.
//!
//! Owns the bytes of both directions and the one classification of what a provider says.
//! Never sends, sleeps, retries or reads a clock: `now` is an argument. Never puts a key or a
//! prompt into a failure's message.
//!
//! ```text
//! Endpoint ── headers ─► HeaderMap ───┐
//! Request  ── encode ──► path, bytes ─┴─► (transport) ──► Answer ──[stream]── decode ──► Reply
//!                                                           └─ errors ► classify ► Failure
//! ```

mod again;
mod anthropic;
mod body;
mod classify;
mod edit;
mod embeddings;
mod errors;
mod gemini;
mod head;
mod instruct;
mod json;
mod messages;
mod models;
mod mould;
mod openai;
mod picture;
mod raw;
mod reader;
mod redact;
mod reply;
mod responses;
mod server;
pub mod sse;
mod stream;
mod template;
mod told;
mod tools;
mod turn;
mod wait;

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod written;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

pub use again::{follow_up, raise_cap};
pub use embeddings::{InputOf, Vectors, pack, text_of};
pub use head::{headers, request_id};
pub use models::{ModelsPage, ServedModel, models_path, read_models};
pub use mould::Encoder;
pub use raw::{OutputBound, output_bound};
pub use reader::StreamReader;
pub use server::{ServerQueue, read_queue, read_seed, server_path};
pub use stream::Delta;
pub use told::{told, told_in_headers};
pub use tools::read_tools;

use stream::Assembled;

use crate::endpoint::{Dialect, Endpoint};
use crate::headers::Headers;
use crate::item::{Content, Request};
use crate::message::SchemaMode;
use crate::outcome::{Failure, Outcome};

/// A request as it goes over the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The path from the host on, with its query if there is one.
    pub path: Arc<str>,
    /// The body.
    pub body: Bytes,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// The dialect of a body that somebody else wrote; `None` for the endpoint's own.
    pub dialect: Option<Dialect>,
    /// The most output tokens that this request asks for, of all its choices, when it says.
    pub max_output: Option<u64>,
    /// What it has in common with other requests, as a hash: model, cap, system prompt.
    pub template: u64,
}

/// Writes a request: the same bytes for the same request, always.
///
/// Members stand in the order model, messages, token cap, temperature, then the others of the
/// neutral parameters, then the further parameters; a further parameter takes the place of a
/// member of the same name, so that each name stands once. Where both are objects with members
/// of their own, such as Gemini's `generationConfig`, they are merged, the further one's members
/// first.
///
/// A JSON array of messages of the endpoint's own dialect is passed on byte for byte; one of
/// another dialect is translated.
///
/// # Errors
/// A failure of the kind [`InvalidItem`](crate::outcome::FailureKind::InvalidItem) that names
/// what the dialect cannot say and where it stands; nothing is dropped in silence.
pub fn encode(endpoint: &Endpoint, request: &Request) -> Result<Encoded, Failure> {
    if let Content::Raw(raw) = &request.content {
        return raw::encode(endpoint, request, raw);
    }
    let body = match endpoint.dialect {
        Dialect::Chat => openai::encode(endpoint.token_field, request),
        Dialect::Responses => responses::encode(request),
        Dialect::Embeddings => embeddings::encode(request),
        Dialect::Anthropic => anthropic::encode(request),
        Dialect::Gemini => gemini::encode(request),
    }?;
    let schema = request.shared.schema.as_ref();
    let body = match schema.filter(|schema| schema.mode == SchemaMode::Prompt) {
        Some(schema) => instruct::instruct(endpoint.dialect, body, schema)?,
        None => body,
    };
    let most = most_bytes(endpoint.dialect);
    if body.len() > most {
        return Err(body::invalid(format!(
            "the request has {} bytes, the {} dialect takes {most} at the most",
            body.len(),
            endpoint.dialect.name()
        )));
    }
    Ok(Encoded {
        path: head::path(endpoint, endpoint.dialect, request).into(),
        body: body.into(),
        stream: request.shared.stream,
        dialect: None,
        max_output: raw::most_output(endpoint.dialect, &request.shared),
        template: template::of_request(request),
    })
}

/// The most bytes of a request. Source: OpenAI's guide to images (50 MB), Anthropic's page of
/// errors (32 MB), Google's announcement of larger inline data in the Gemini API (100 MB).
fn most_bytes(dialect: Dialect) -> usize {
    let mib = match dialect {
        Dialect::Chat | Dialect::Responses | Dialect::Embeddings => 50,
        Dialect::Anthropic => 32,
        Dialect::Gemini => 100,
    };
    mib * 1024 * 1024
}

/// A provider's whole answer to one attempt.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: &'a Headers,
    /// The body, without any transfer or content coding.
    pub body: &'a [u8],
    /// The wall clock when the answer arrived, for waits that are given as a date.
    pub now: SystemTime,
}

/// Reads a provider's answer.
///
/// Any status from 200 to 299 is read as an answer, whatever its content type; it still becomes a
/// failure when it holds an error, a refusal or nothing. An event stream that nobody asked for is
/// put together first, and counts only when it is whole. The failure's `attempts` is left at 0.
pub fn decode(endpoint: &Endpoint, answer: &Answer<'_>) -> Outcome {
    read(endpoint, answer, decode_plain)
}

/// Reads a provider's answer to a request for embeddings with this body: one vector for each of
/// its texts.
///
/// # Errors
/// As [`decode`], and when the vectors are not those that the body asks for.
pub fn decode_vectors(
    endpoint: &Endpoint,
    answer: &Answer<'_>,
    body: &[u8],
) -> Result<Vectors, Failure> {
    read(endpoint, answer, |context| {
        embeddings::vectors(context, body)
    })
}

fn read<T>(
    endpoint: &Endpoint,
    answer: &Answer<'_>,
    decode: impl Fn(&errors::Context<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // A byte order mark is not JSON, and some proxies add one.
    let body = answer
        .body
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(answer.body);
    let context = errors::Context {
        endpoint,
        answer: &Answer { body, ..*answer },
    };
    if !(200..300).contains(&answer.status) {
        return Err(context.error_answer());
    }
    if !stream::is_stream(context.answer) {
        return decode(&context);
    }
    let Assembled { body, has_content } = stream::assemble(&context)?;
    let outcome = decode(&errors::Context {
        endpoint,
        answer: &Answer {
            body: &body,
            ..*answer
        },
    });
    Assembled::mark(has_content, outcome)
}

fn decode_plain(context: &errors::Context<'_>) -> Outcome {
    match context.endpoint.dialect {
        Dialect::Chat => openai::decode(context),
        Dialect::Responses => responses::decode(context),
        Dialect::Embeddings => embeddings::decode(context),
        Dialect::Anthropic => anthropic::decode(context),
        Dialect::Gemini => gemini::decode(context),
    }
}
