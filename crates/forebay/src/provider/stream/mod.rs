//! A streamed answer becomes the body of a plain one.
//!
//! Owns when a stream counts as an answer, and when as an error or as cut. Never reads an answer's
//! meaning: what was put together is read by the dialect as any other answer, so that a streamed
//! and a plain answer cannot differ.
//!
//! ```text
//! body ─► sse ─► event ─► openai | anthropic: pieces by index ─► body of a plain answer
//!                  └─ error ─► Failure          └─ not all there ─► truncated
//! ```

mod anthropic;
mod openai;

#[cfg(test)]
mod tests;

use http::HeaderMap;
use serde_json::value::RawValue;

use super::Answer;
use super::errors::{Context, holds_error};
use super::sse::{Decoder, Event, TooLarge};
use crate::endpoint::Dialect;
use crate::fields;
use crate::outcome::{Failure, FailureKind};

/// What an event means for the stream.
enum Step {
    /// More is to come.
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

/// An answer under way in either dialect.
enum Pieces {
    OpenAi(openai::Pieces),
    Anthropic(anthropic::Pieces),
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
pub(super) fn is_called_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE);
    content_type.is_some_and(|value| {
        let value = value.as_bytes();
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
pub(super) fn assemble(context: &Context<'_>) -> Result<Vec<u8>, Failure> {
    let mut assembly = Assembly::new(context.endpoint.dialect);
    assembly.push(context, context.answer.body, &mut |_| {})?;
    assembly.finish(context)
}

/// What a stream has brought so far.
pub(super) struct Assembly {
    pieces: Pieces,
    decoder: Decoder,
    is_over: bool,
    has_begun: bool,
    kept: usize,
}

impl Assembly {
    pub(super) fn new(dialect: Dialect) -> Assembly {
        Assembly {
            pieces: match dialect {
                Dialect::Anthropic => Pieces::Anthropic(anthropic::Pieces::default()),
                Dialect::Chat | Dialect::Responses | Dialect::Embeddings | Dialect::Gemini => {
                    Pieces::OpenAi(openai::Pieces::default())
                }
            },
            decoder: Decoder::default(),
            is_over: false,
            has_begun: false,
            kept: 0,
        }
    }

    /// Whether the answer is whole; what follows does not count.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether any content has come, comments not counted.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// About how many bytes are kept.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    /// Takes a piece of the body, and tells what it adds; `true` when there was any event in it.
    ///
    /// # Errors
    /// The error that the stream reports, or that it makes no sense.
    pub(super) fn push(
        &mut self,
        context: &Context<'_>,
        mut chunk: &[u8],
        on: &mut dyn FnMut(Delta<'_>),
    ) -> Result<bool, Failure> {
        let too_large = |_: TooLarge| malformed(context, "an event of the answer is too large");
        let mut any = false;
        while !self.is_over
            && let Some(event) = self.decoder.next(&mut chunk).map_err(too_large)?
        {
            any = true;
            self.has_begun = true;
            self.kept += event.data.len();
            self.is_over = matches!(self.pieces.add(context, &event, on)?, Step::Over);
        }
        Ok(any)
    }

    /// The body of a plain answer, when the stream is at its end.
    ///
    /// # Errors
    /// When the answer is not whole, or makes no sense.
    pub(super) fn finish(mut self, context: &Context<'_>) -> Result<Vec<u8>, Failure> {
        let too_large = |_: TooLarge| malformed(context, "an event of the answer is too large");
        // Some servers leave out the last blank line; data that are cut are no JSON.
        if !self.is_over
            && let Some(event) = self.decoder.finish().map_err(too_large)?
            && (is_done(&event) || serde_json::from_slice::<&RawValue>(event.data).is_ok())
        {
            self.pieces.add(context, &event, &mut |_| {})?;
        }
        self.pieces.body(context)
    }
}

impl Pieces {
    fn add(
        &mut self,
        context: &Context<'_>,
        event: &Event<'_>,
        on: &mut dyn FnMut(Delta<'_>),
    ) -> Result<Step, Failure> {
        let data = event.data.trim_ascii();
        if data.is_empty() {
            return Ok(Step::More);
        }
        if event.name == b"error" {
            return Err(reported(context, data));
        }
        match self {
            _ if is_done(event) => Ok(Step::Over),
            Pieces::OpenAi(pieces) => pieces.add(context, data, on),
            Pieces::Anthropic(pieces) => pieces.add(context, event.name, data, on),
        }
    }

    fn body(self, context: &Context<'_>) -> Result<Vec<u8>, Failure> {
        match self {
            Pieces::OpenAi(pieces) => pieces.body(),
            Pieces::Anthropic(pieces) => pieces.body(context)?,
        }
        .ok_or_else(|| {
            let text = "the stream ended before the answer was whole";
            context.failed(FailureKind::Truncated, None, text, None)
        })
    }
}

/// OpenAI's end of a stream, which gateways write in both dialects; the SDK looks no further than
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
