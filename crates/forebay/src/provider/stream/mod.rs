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

use serde_json::value::RawValue;

use super::Answer;
use super::errors::{Context, holds_error};
use super::sse::{Decoder, Event, TooLarge};
use crate::endpoint::Provider;
use crate::fields;
use crate::outcome::{Failure, FailureKind};

/// What an event means for the stream.
enum Step {
    /// More is to come.
    More,
    /// The answer is whole; what follows does not count.
    Over,
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
    let content_type = answer.headers.get(http::header::CONTENT_TYPE);
    let is_called_so = content_type.is_some_and(|value| {
        let value = value.as_bytes();
        let name = b"text/event-stream";
        value.len() >= name.len() && value[..name.len()].eq_ignore_ascii_case(name)
    });
    is_called_so || begins_like_stream(start)
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

/// Puts the body of a plain answer together.
///
/// # Errors
/// The error that the stream reports; that it ends too early; that it makes no sense.
pub(super) fn assemble(context: &Context<'_>) -> Result<Vec<u8>, Failure> {
    let mut pieces = match context.endpoint.provider {
        Provider::OpenAi => Pieces::OpenAi(openai::Pieces::default()),
        Provider::Anthropic => Pieces::Anthropic(anthropic::Pieces::default()),
    };
    let mut decoder = Decoder::default();
    let mut rest = context.answer.body;
    let too_large = |_: TooLarge| malformed(context, "an event of the answer is too large");
    while let Some(event) = decoder.next(&mut rest).map_err(too_large)? {
        match pieces.add(context, &event)? {
            Step::More => {}
            Step::Over => return pieces.body(context),
        }
    }
    // Some servers leave out the last blank line; data that are cut are no JSON.
    if let Some(event) = decoder.finish().map_err(too_large)?
        && (is_done(&event) || serde_json::from_slice::<&RawValue>(event.data).is_ok())
    {
        pieces.add(context, &event)?;
    }
    pieces.body(context)
}

impl Pieces {
    fn add(&mut self, context: &Context<'_>, event: &Event<'_>) -> Result<Step, Failure> {
        let data = event.data.trim_ascii();
        if data.is_empty() {
            return Ok(Step::More);
        }
        if event.name == b"error" {
            return Err(reported(context, data));
        }
        match self {
            _ if is_done(event) => Ok(Step::Over),
            Pieces::OpenAi(pieces) => pieces.add(context, data),
            Pieces::Anthropic(pieces) => pieces.add(context, event.name, data),
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
