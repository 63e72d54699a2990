//! Writes a message, a count of tokens and the headers of both.
//!
//! Owns the answers' fields. Never writes an error, and never writes a stream's frames.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::{Completion, End, Id, request_id};
use crate::http::Output;
use crate::script::Oddity;

#[derive(Serialize)]
pub(in crate::dialect) struct Answer<'a> {
    pub(super) id: Id<'a>,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Option<Vec<Block<'a>>>,
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) stop_details: Option<StopDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Usage>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: &'a str,
    },
    ToolUse {
        id: Id<'a>,
        name: &'a str,
        input: &'a RawValue,
    },
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct StopDetails {
    #[serde(rename = "type")]
    kind: &'static str,
    category: Option<&'static str>,
    explanation: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    pub(super) output_tokens: u64,
    service_tier: &'static str,
}

#[derive(Default, Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

pub(in crate::dialect) fn completion<'a>(completion: &'a Completion<'_>) -> Answer<'a> {
    Answer {
        content: match completion.oddity {
            Some(Oddity::NullContent) => None,
            _ => Some(block(completion).into_iter().collect()),
        },
        stop_reason: Some(stop_reason(completion)),
        stop_sequence: completion.stop_sequence.as_deref(),
        stop_details: stop_details(completion.end),
        ..opening(completion)
    }
}

/// A message of which nothing is generated yet.
pub(super) fn opening<'a>(completion: &'a Completion<'_>) -> Answer<'a> {
    Answer {
        id: Id {
            prefix: "msg_01",
            number: completion.id,
        },
        kind: "message",
        role: "assistant",
        model: &completion.model,
        content: Some(Vec::new()),
        stop_reason: None,
        stop_sequence: None,
        stop_details: None,
        usage: usage(completion),
    }
}

/// The block that a message consists of, if it has one.
pub(super) fn block<'a>(completion: &'a Completion<'_>) -> Option<Block<'a>> {
    if is_bare(completion) {
        return None;
    }
    if completion.oddity == Some(Oddity::EmptyText) {
        return Some(Block::Text { text: "" });
    }
    Some(match &completion.function {
        Some(name) => tool_use(completion, name, arguments(&completion.text)),
        None => Block::Text {
            text: &completion.text,
        },
    })
}

pub(super) fn tool_use<'a>(
    completion: &Completion<'_>,
    name: &'a str,
    input: &'a RawValue,
) -> Block<'a> {
    Block::ToolUse {
        id: Id {
            prefix: "toolu_01",
            number: completion.id,
        },
        name,
        input,
    }
}

/// Whether a message has no block at all.
pub(super) fn is_bare(completion: &Completion<'_>) -> bool {
    completion.end == End::Filtered
        || matches!(
            completion.oddity,
            Some(Oddity::NoChoices | Oddity::NullContent)
        )
}

/// Arguments as they stand in a message; none if the token cap cut them.
fn arguments(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap_or(no_arguments())
}

pub(super) fn no_arguments() -> &'static RawValue {
    // An empty object is valid JSON.
    serde_json::from_str("{}").unwrap_or(RawValue::NULL)
}

pub(super) fn stop_reason(completion: &Completion<'_>) -> &'static str {
    match completion.end {
        End::Stop if completion.stop_sequence.is_some() => "stop_sequence",
        End::Stop if completion.function.is_some() => "tool_use",
        End::Stop => "end_turn",
        End::Length => "max_tokens",
        End::Filtered | End::Refused => "refusal",
    }
}

pub(super) fn stop_details(end: End) -> Option<StopDetails> {
    let details = |category, explanation| {
        Some(StopDetails {
            kind: "refusal",
            category,
            explanation,
        })
    };
    match end {
        End::Stop | End::Length => None,
        End::Refused => details(None, None),
        End::Filtered => details(
            Some("general_harms"),
            Some("This request was held back by a safety classifier."),
        ),
    }
}

/// The usage at the end; `None` if it is to be missing.
pub(super) fn usage(completion: &Completion<'_>) -> Option<Usage> {
    (completion.oddity != Some(Oddity::NoUsage)).then(|| Usage {
        input_tokens: completion
            .input_tokens
            .saturating_sub(completion.cached_tokens),
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: completion.cached_tokens,
        cache_creation: CacheCreation::default(),
        output_tokens: completion.output_tokens,
        service_tier: "standard",
    })
}

#[derive(Serialize)]
pub(in crate::dialect) struct TokenCount {
    input_tokens: u64,
}

pub(in crate::dialect) fn token_count(completion: &Completion<'_>) -> TokenCount {
    TokenCount {
        input_tokens: completion.input_tokens,
    }
}

pub(in crate::dialect) fn headers(output: &mut Output, id: u64) {
    output
        .header("request-id", request_id(id))
        .header_text("anthropic-organization-id", "sim");
}
