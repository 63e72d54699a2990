//! Writes a chat completion, the list of models and the headers of both.
//!
//! Owns the answers' fields. Never writes an error.

use std::time::Duration;

use serde::Serialize;

use crate::dialect::{Completion, End, Id, request_id};
use crate::http::Output;

#[derive(Serialize)]
pub(in crate::dialect) struct ChatCompletion<'a> {
    id: Id<'a>,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Usage,
    service_tier: &'static str,
    system_fingerprint: &'static str,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Assistant<'a>,
    logprobs: (),
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Assistant<'a> {
    role: &'static str,
    content: &'a str,
    refusal: (),
    annotations: [(); 0],
}

#[derive(Serialize)]
pub(super) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Default, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Default, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl Usage {
    pub(super) fn of(completion: &Completion<'_>) -> Usage {
        Usage {
            prompt_tokens: completion.input_tokens,
            completion_tokens: completion.output_tokens,
            total_tokens: completion.input_tokens + completion.output_tokens,
            prompt_tokens_details: PromptDetails {
                cached_tokens: completion.cached_tokens,
                audio_tokens: 0,
            },
            completion_tokens_details: CompletionDetails::default(),
        }
    }
}

pub(in crate::dialect) fn completion<'a>(completion: &'a Completion<'_>) -> ChatCompletion<'a> {
    ChatCompletion {
        id: Id {
            prefix: "chatcmpl-",
            number: completion.id,
        },
        object: "chat.completion",
        created: completion.wall.as_secs(),
        model: &completion.model,
        choices: [Choice {
            index: 0,
            message: Assistant {
                role: "assistant",
                content: &completion.text,
                refusal: (),
                annotations: [],
            },
            logprobs: (),
            finish_reason: finish_reason(completion.end),
        }],
        usage: Usage::of(completion),
        service_tier: "default",
        system_fingerprint: "fp_forebaysim",
    }
}

/// This dialect's word for why a text ends.
pub(super) fn finish_reason(end: End) -> &'static str {
    match end {
        End::Stop | End::Refused => "stop",
        End::Length => "length",
        End::Filtered => "content_filter",
    }
}

#[derive(Serialize)]
pub(in crate::dialect) struct Models<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
pub(in crate::dialect) struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

pub(in crate::dialect) fn models(models: &[String]) -> Models<'_> {
    Models {
        object: "list",
        data: models.iter().map(|id| model(id)).collect(),
    }
}

pub(in crate::dialect) fn model(id: &str) -> Model<'_> {
    Model {
        id,
        object: "model",
        created: 1_735_689_600,
        owned_by: "forebay-sim",
    }
}

pub(in crate::dialect) fn headers(output: &mut Output, id: u64, took: Duration) {
    output
        .header("x-request-id", request_id(id))
        .header("openai-processing-ms", took.as_millis())
        .header_text("openai-organization", "org-sim")
        .header_text("openai-version", "2020-10-01");
}
