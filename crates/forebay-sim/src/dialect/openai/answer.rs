//! Writes a chat completion, the list of models and the headers of both.
//!
//! Owns the answers' fields. Never writes an error.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::said::Said;
use crate::dialect::{Completion, Details, End, Id, request_id};
use crate::http::Output;
use crate::script::Oddity;

#[derive(Serialize)]
pub(in crate::dialect) struct ChatCompletion<'a> {
    id: Id<'a>,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Choices<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
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
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCall<'a>; 1]>,
    annotations: [(); 0],
}

#[derive(Serialize)]
pub(super) struct ToolCall<'a> {
    id: Id<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
pub(super) struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl<'a> ToolCall<'a> {
    pub(super) fn new(id: u64, name: &'a str, arguments: &'a str) -> ToolCall<'a> {
        ToolCall {
            id: call_id(id),
            kind: "function",
            function: Function { name, arguments },
        }
    }
}

/// The id of a call in an answer.
pub(super) fn call_id(number: u64) -> Id<'static> {
    Id {
        prefix: "call_",
        number,
    }
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
    cache_write_tokens: u64,
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
    /// The usage of all choices; `None` if it is to be missing.
    pub(super) fn of(completion: &Completion<'_>) -> Option<Usage> {
        if completion.oddity == Some(Oddity::NoUsage) {
            return None;
        }
        let output_tokens = completion.output_tokens * u64::from(completion.details.choices());
        Some(Usage {
            prompt_tokens: completion.input_tokens,
            completion_tokens: output_tokens,
            total_tokens: completion.input_tokens + output_tokens,
            prompt_tokens_details: PromptDetails {
                cached_tokens: completion.cached_tokens,
                cache_write_tokens: 0,
                audio_tokens: 0,
            },
            completion_tokens_details: CompletionDetails::default(),
        })
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
        choices: Choices(completion),
        usage: Usage::of(completion),
        service_tier: "default",
        system_fingerprint: "fp_forebaysim",
    }
}

/// The choices, made as they are written.
struct Choices<'a>(&'a Completion<'a>);

impl Serialize for Choices<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let count = match self.0.oddity {
            Some(Oddity::NoChoices) => 0,
            _ => self.0.details.choices(),
        };
        serializer.collect_seq((0..count).map(|index| choice(self.0, index)))
    }
}

fn choice<'a>(completion: &'a Completion<'_>, index: u32) -> Choice<'a> {
    let mut message = Assistant {
        role: "assistant",
        content: None,
        refusal: None,
        tool_calls: None,
        annotations: [],
    };
    match Said::of(completion) {
        Said::Nothing => {}
        Said::Text(text) => message.content = Some(text),
        Said::Refusal(text) => message.refusal = Some(text),
        Said::Call { name, arguments } => {
            // The ids of calls differ between the choices too.
            let id = completion.id ^ (u64::from(index) << 48);
            message.tool_calls = Some([ToolCall::new(id, name, arguments)]);
        }
    }
    Choice {
        index,
        message,
        logprobs: (),
        finish_reason: finish_reason(completion),
    }
}

/// This dialect's word for why a text ends.
pub(super) fn finish_reason(completion: &Completion<'_>) -> &'static str {
    match completion.end {
        End::Stop if matches!(Said::of(completion), Said::Call { .. }) => "tool_calls",
        End::Stop | End::Refused => "stop",
        End::Length => "length",
        End::Filtered => "content_filter",
    }
}

impl Details {
    /// The choices of a chat completion, at least 1.
    pub(crate) fn choices(&self) -> u32 {
        match self {
            Details::Choices(choices) => *choices,
            Details::None
            | Details::Embeddings { .. }
            | Details::Response(_)
            | Details::Gemini { .. } => 1,
        }
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
