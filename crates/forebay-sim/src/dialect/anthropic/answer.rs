//! Writes a message, the list of models and the headers of both.
//!
//! Owns the answers' fields. Never writes an error.

use serde::Serialize;

use crate::dialect::{Completion, End, Id, request_id};
use crate::http::Output;

#[derive(Serialize)]
pub(in crate::dialect) struct Answer<'a> {
    id: Id<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
    role: &'static str,
    model: &'a str,
    content: [TextBlock<'a>; 1],
    stop_reason: &'static str,
    stop_sequence: (),
    usage: Usage,
}

#[derive(Serialize)]
struct TextBlock<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    output_tokens: u64,
    service_tier: &'static str,
}

#[derive(Default, Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

pub(in crate::dialect) fn completion<'a>(completion: &'a Completion<'_>) -> Answer<'a> {
    Answer {
        id: Id {
            prefix: "msg_01",
            number: completion.id,
        },
        kind: "message",
        role: "assistant",
        model: &completion.model,
        content: [TextBlock {
            kind: "text",
            text: &completion.text,
        }],
        stop_reason: match completion.end {
            End::Stop => "end_turn",
            End::Length => "max_tokens",
            End::Filtered | End::Refused => "refusal",
        },
        stop_sequence: (),
        usage: Usage {
            input_tokens: completion.input_tokens - completion.cached_tokens,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: completion.cached_tokens,
            cache_creation: CacheCreation::default(),
            output_tokens: completion.output_tokens,
            service_tier: "standard",
        },
    }
}

#[derive(Serialize)]
pub(in crate::dialect) struct Models<'a> {
    data: Vec<Model<'a>>,
    first_id: Option<&'a String>,
    has_more: bool,
    last_id: Option<&'a String>,
}

#[derive(Serialize)]
struct Model<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
}

pub(in crate::dialect) fn models(models: &[String]) -> Models<'_> {
    let model = |id| Model {
        kind: "model",
        id,
        display_name: id,
        created_at: "2025-01-01T00:00:00Z",
    };
    Models {
        data: models.iter().map(|id| model(id)).collect(),
        first_id: models.first(),
        has_more: false,
        last_id: models.last(),
    }
}

pub(in crate::dialect) fn headers(output: &mut Output, id: u64) {
    output
        .header("request-id", request_id(id))
        .header_text("anthropic-organization-id", "sim");
}
