//! A streamed answer becomes the body of a plain one.
//!
//! Owns when a stream counts as an answer, and when as an error or as cut. Never reads an answer's
//! meaning: what was put together is read by the dialect as any other answer, so that a streamed
//! and a plain answer cannot differ.
//!
//! ```text
//! body ─► sse ─► event ─► a dialect's pieces, by index ─► body of a plain answer
//!          │       └─ error ─► Failure   └─ not all there ─► truncated
//!          └─ JSON between events: an error, or the whole answer
//! ```

mod anthropic;
mod assembly;
mod gemini;
mod openai;
mod pattern;
mod responses;

#[cfg(test)]
mod tests;

use serde_json::value::RawValue;

pub(super) use assembly::Assembly;

use super::Answer;
use super::errors::{Context, holds_error};
use super::sse::{Decoder, Event};
use crate::endpoint::Dialect;
use crate::fields;
use crate::headers::Headers;
use crate::outcome::{Failure, FailureKind};

/// What an event means for the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing was added but what was told: the event announces the answer or a part of it, or
    /// keeps the connection alive.
    Idle,
    /// Something was added, and more is to come.
    More,
    /// The answer is whole; what follows does not count.
    Over,
}

/// What an event adds to the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delta<'a> {
    /// More of the answer's text.
    Text(&'a str),
    /// More of what the model thinks before it answers, where the provider shows it.
    Reasoning(&'a str),
    /// More of a tool call.
    ToolCall {
        /// Which call of the answer, from 0.
        index: usize,
        /// The provider's key of the call, in the first piece; empty in others.
        id: &'a str,
        /// The tool's name, in the first piece; empty in others.
        name: &'a str,
        /// More of the arguments' JSON text.
        arguments: &'a str,
    },
}

/// An answer under way in one of the dialects.
enum Pieces {
    OpenAi(openai::Pieces),
    Responses(responses::Pieces),
    Anthropic(anthropic::Pieces),
    Gemini(gemini::Pieces),
}

/// Whether the body of an answer is a stream, by what it says or else by how it begins.
///
/// A body that begins like JSON is JSON, whatever it is called.
pub(super) fn is_stream(answer: &Answer<'_>) -> bool {
    let start = answer.body.trim_ascii_start();
    if matches!(start.first(), Some(b'{' | b'[')) {
        return false;
    }
    is_called_stream(answer.headers) || begins_like_stream(start)
}

/// Whether the headers say that the body is a stream.
pub(super) fn is_called_stream(headers: &Headers) -> bool {
    headers.get("content-type").is_some_and(|value| {
        let name = b"text/event-stream";
        value.len() >= name.len() && value[..name.len()].eq_ignore_ascii_case(name)
    })
}

/// Whether a body begins with a field of an event or with a comment.
pub(super) fn begins_like_stream(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    [&b"data:"[..], b"event:", b"id:", b"retry:", b":"]
        .iter()
        .any(|mark| start.starts_with(mark))
}

/// The data of a stream's first event that has any.
pub(super) fn first_data(body: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::default();
    let mut rest = body;
    while let Some(event) = decoder.next(&mut rest).ok()? {
        if !event.data.trim_ascii().is_empty() {
            return Some(event.data.to_vec());
        }
    }
    let last = decoder.finish().ok()??;
    Some(last.data.to_vec())
}

/// Puts the body of a plain answer together from the body of a streamed one.
///
/// # Errors
/// The error that the stream reports; that it ends too early; that it makes no sense.
pub(super) fn assemble(context: &Context<'_>) -> Result<Assembled, Failure> {
    let mut assembly = Assembly::new(context.endpoint.dialect);
    assembly.push(context, context.answer.body, &mut |_| {})?;
    assembly.finish(context, &mut |_| {})
}

/// Puts the body of a plain answer together from a list of Gemini's parts, which is what its
/// servers stream where no events are asked for.
///
/// # Errors
/// As [`assemble`].
pub(super) fn assemble_list(context: &Context<'_>) -> Result<Vec<u8>, Failure> {
    let parts: Vec<&RawValue> = match serde_json::from_slice(context.answer.body) {
        Ok(parts) => parts,
        Err(error) => return Err(context.unreadable(&error)),
    };
    let mut pieces = Pieces::of(Dialect::Gemini);
    for part in parts {
        let data = part.get().as_bytes();
        pieces.add(context, &Event { name: b"", data }, &mut |_| {})?;
    }
    pieces.body(context)
}

/// What a stream came to.
pub(super) struct Assembled {
    /// The body that the answer would have had unstreamed.
    pub(super) body: Vec<u8>,
    /// Whether the model had begun to write.
    pub(super) has_content: bool,
}

impl Assembled {
    /// Marks a failure that the body turned out to be: what was written may be billed.
    pub(super) fn mark<T>(has_content: bool, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| Failure {
            answer_began: failure.answer_began || (has_content && failure.usage.is_none()),
            ..failure
        })
    }
}

impl Pieces {
    fn of(dialect: Dialect) -> Pieces {
        match dialect {
            // No server streams embeddings.
            Dialect::Chat | Dialect::Embeddings => Pieces::OpenAi(openai::Pieces::default()),
            Dialect::Responses => Pieces::Responses(responses::Pieces::default()),
            Dialect::Anthropic => Pieces::Anthropic(anthropic::Pieces::default()),
            Dialect::Gemini => Pieces::Gemini(gemini::Pieces::default()),
        }
    }

    fn add(
        &mut self,
        context: &Context<'_>,
        event: &Event<'_>,
        on: &mut dyn FnMut(Delta<'_>),
    ) -> Result<Step, Failure> {
        let data = event.data.trim_ascii();
        if data.is_empty() {
            return Ok(Step::Idle);
        }
        if event.name == b"error" {
            return Err(reported(context, data));
        }
        match self {
            _ if is_done(event) => Ok(Step::Over),
            Pieces::OpenAi(pieces) => pieces.add(context, data, on),
            Pieces::Responses(pieces) => pieces.add(context, event.name, data, on),
            Pieces::Anthropic(pieces) => pieces.add(context, event.name, data, on),
            Pieces::Gemini(pieces) => pieces.add(context, data, on),
        }
    }

    fn body(self, context: &Context<'_>) -> Result<Vec<u8>, Failure> {
        match self {
            Pieces::OpenAi(pieces) => pieces.body(),
            Pieces::Responses(pieces) => pieces.body(),
            Pieces::Anthropic(pieces) => pieces.body(context)?,
            Pieces::Gemini(pieces) => pieces.body(),
        }
        .ok_or_else(|| {
            let text = "the stream ended before the answer was whole";
            context.failed(FailureKind::Truncated, None, text, None)
        })
    }
}

/// OpenAI's end of a stream, which gateways write in all dialects; the SDK looks no further than
/// these bytes either.
fn is_done(event: &Event<'_>) -> bool {
    event.data.trim_ascii_start().starts_with(b"[DONE]")
}

/// The failure that an error in the middle of a stream is.
fn reported(context: &Context<'_>, data: &[u8]) -> Failure {
    let answer = Answer {
        body: data,
        ..*context.answer
    };
    let context = Context {
        answer: &answer,
        ..*context
    };
    context.reported(None)
}

fn malformed(context: &Context<'_>, what: &str) -> Failure {
    context.failed(FailureKind::Malformed, None, what, None)
}

/// The failure that an event is whose data cannot be read; its text is not repeated.
fn unreadable(context: &Context<'_>) -> Failure {
    malformed(
        context,
        "an event of the answer is JSON of an unknown shape, or no JSON",
    )
}

/// Reads an event's data as an object of this type.
fn object<'a, T: serde::Deserialize<'a>>(
    context: &Context<'_>,
    data: &'a [u8],
) -> Result<T, Failure> {
    match data.first() {
        // A list would be taken for the object's members in order.
        Some(b'{') => serde_json::from_slice(data).map_err(|_| unreadable(context)),
        _ => Err(unreadable(context)),
    }
}

/// Notes a text that seldom changes.
fn note(have: &mut Option<String>, new: Option<&str>) {
    if let Some(new) = new.filter(|new| !new.is_empty())
        && have.as_deref() != Some(new)
    {
        *have = Some(new.to_owned());
    }
}

/// Appends a member of an object.
fn push_member(out: &mut Vec<u8>, name: &str, json: &[u8]) {
    if !out.ends_with(b"{") {
        out.push(b',');
    }
    fields::push_json_str(out, name);
    out.push(b':');
    out.extend_from_slice(json);
}

/// Appends a member with a text.
fn push_text(out: &mut Vec<u8>, name: &str, text: &str) {
    push_member(out, name, b"");
    fields::push_json_str(out, text);
}

/// A value that is more than `null`.
fn filled(value: Option<&RawValue>) -> Option<&RawValue> {
    value.filter(|value| value.get() != "null")
}
