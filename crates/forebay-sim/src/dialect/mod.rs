//! The wire dialects: what each provider accepts, answers and complains about.
//!
//! Owns the choice between dialects and the words they share. Never decides whether a request
//! fails; `plan` does.

mod anthropic;
mod message;
mod openai;

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::http::{Head, Input, Output};
use crate::limits::{Levels, Refusal};

pub(crate) use message::tokens;

/// A provider's way of speaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Dialect {
    /// `POST /v1/chat/completions`.
    #[serde(rename = "openai")]
    OpenAi,
    /// `POST /v1/messages`.
    #[serde(rename = "anthropic")]
    Anthropic,
}

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ask<'a> {
    pub(crate) model: Cow<'a, str>,
    /// The last user message.
    pub(crate) prompt: Cow<'a, str>,
    pub(crate) input_tokens: u64,
    /// The request's cap on output tokens.
    pub(crate) max_output: Option<u64>,
}

/// A request's body, with the first thing that is wrong with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parsed<'a> {
    pub(crate) ask: Ask<'a>,
    pub(crate) problem: Option<ApiError>,
}

/// What an answer says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion<'a> {
    pub(crate) id: u64,
    /// Since the Unix epoch.
    pub(crate) wall: Duration,
    pub(crate) model: &'a str,
    pub(crate) text: &'a str,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    /// Whether the token cap cut the text.
    pub(crate) cut: bool,
}

/// An error as a dialect's body tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    /// Empty: the dialect's own for the status.
    pub(crate) kind: &'static str,
    pub(crate) code: Option<&'static str>,
    pub(crate) param: Option<&'static str>,
    /// Empty: the dialect's own for the status.
    pub(crate) message: Cow<'static, str>,
    pub(crate) headers: Vec<(String, String)>,
}

impl ApiError {
    /// The dialect's own error for a status.
    pub(crate) fn of(status: u16) -> ApiError {
        ApiError {
            status,
            ..ApiError::default()
        }
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError {
            kind: "invalid_request_error",
            message: message.into(),
            ..ApiError::of(400)
        }
    }
}

impl Dialect {
    /// Guesses the dialect of a request to a path that belongs to none.
    pub(crate) fn guess(head: &Head) -> Dialect {
        match (head.anthropic_version, head.x_api_key) {
            (None, None) => Dialect::OpenAi,
            _ => Dialect::Anthropic,
        }
    }

    /// Checks the key; any nonempty one passes when none is required.
    pub(crate) fn check_key(
        self,
        head: &Head,
        input: &Input,
        required: Option<&str>,
    ) -> Option<ApiError> {
        let key = match self {
            Dialect::OpenAi => head.bearer,
            Dialect::Anthropic => head.x_api_key.or(head.bearer),
        };
        let key = key.map_or(&b""[..], |span| input.bytes(span));
        let missing = key.is_empty();
        if !missing && required.is_none_or(|required| required.as_bytes() == key) {
            return None;
        }
        Some(match self {
            Dialect::OpenAi => openai::bad_key(missing),
            Dialect::Anthropic => anthropic::bad_key(missing),
        })
    }

    /// Parses and validates a body.
    pub(crate) fn parse<'a>(self, head: &Head, input: &'a Input, body: &'a [u8]) -> Parsed<'a> {
        match self {
            Dialect::OpenAi => openai::parse(body),
            Dialect::Anthropic => {
                let version = head.anthropic_version.map(|span| input.bytes(span));
                anthropic::parse(version, body)
            }
        }
    }

    /// Writes an answer's body.
    pub(crate) fn completion(self, body: &mut Vec<u8>, completion: Completion<'_>) {
        match self {
            Dialect::OpenAi => write_json(body, &openai::completion(&completion)),
            Dialect::Anthropic => write_json(body, &anthropic::completion(&completion)),
        }
    }

    /// Writes an error's body.
    pub(crate) fn error(self, body: &mut Vec<u8>, error: &ApiError, id: u64) {
        match self {
            Dialect::OpenAi => write_json(body, &openai::error(error)),
            Dialect::Anthropic => write_json(body, &anthropic::error(error, id)),
        }
    }

    /// Writes the list of models.
    pub(crate) fn models(self, body: &mut Vec<u8>, models: &[String]) {
        match self {
            Dialect::OpenAi => write_json(body, &openai::models(models)),
            Dialect::Anthropic => write_json(body, &anthropic::models(models)),
        }
    }

    /// Turns a refusal into this dialect's 429.
    pub(crate) fn refusal(self, refusal: &Refusal, model: &str, headers: bool) -> ApiError {
        match self {
            Dialect::OpenAi => openai::refusal(refusal, model, headers),
            Dialect::Anthropic => anthropic::refusal(refusal, headers),
        }
    }

    /// Adds the headers every answer has.
    pub(crate) fn headers(self, output: &mut Output, id: u64, took: Duration) {
        match self {
            Dialect::OpenAi => openai::headers(output, id, took),
            Dialect::Anthropic => anthropic::headers(output, id),
        }
    }

    /// Adds the rate headers.
    pub(crate) fn rate_headers(self, output: &mut Output, levels: &Levels, wall: Duration) {
        match self {
            Dialect::OpenAi => openai::rate_headers(output, levels),
            Dialect::Anthropic => anthropic::rate_headers(output, levels, wall),
        }
    }
}

fn write_json(body: &mut Vec<u8>, value: &impl Serialize) {
    body.clear();
    // Writing plain structs to a Vec cannot fail.
    let _ = serde_json::to_writer(body, value);
}

/// A prefix and a number as an id of base-62 digits, as long as the real ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id<'a> {
    prefix: &'a str,
    number: u64,
}

impl std::fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut id = [b'0'; 24];
        // Two odd multipliers, so that both halves differ from one number to the next.
        let halves = [0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93];
        for (half, multiplier) in id.chunks_mut(12).zip(halves) {
            let mut rest = (self.number ^ multiplier).wrapping_mul(multiplier);
            rest ^= rest >> 32;
            for digit in half {
                *digit = DIGITS[(rest % 62) as usize];
                rest /= 62;
            }
        }
        f.write_str(self.prefix)?;
        f.write_str(std::str::from_utf8(&id).unwrap_or_default())
    }
}

impl Serialize for Id<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn request_id(id: u64) -> Id<'static> {
    Id {
        prefix: "req_",
        number: !id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<String> =
            (0..10_000).map(|id| request_id(id).to_string()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 28));
    }
}
