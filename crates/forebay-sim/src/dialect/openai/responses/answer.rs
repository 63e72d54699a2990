//! Writes a response.
//!
//! Owns its fields. Never writes a stream's events.

use serde::Serialize;

use super::request::{Echo, Raw};
use crate::dialect::openai::answer::call_id;
use crate::dialect::openai::said::Said;
use crate::dialect::{ApiError, Completion, Details, End, Id};
use crate::script::Oddity;

#[derive(Serialize)]
pub(in crate::dialect) struct Response<'a> {
    id: Id<'a>,
    object: &'static str,
    created_at: u64,
    status: Status,
    background: bool,
    error: Option<Failure<'a>>,
    incomplete_details: Option<Incomplete>,
    instructions: Option<&'a Raw>,
    max_output_tokens: Option<u64>,
    model: &'a str,
    output: Vec<Item<'a>>,
    parallel_tool_calls: bool,
    previous_response_id: Option<&'a str>,
    reasoning: Or<'a, NoReasoning>,
    service_tier: &'static str,
    store: bool,
    temperature: f64,
    text: Or<'a, PlainText>,
    tool_choice: Or<'a, &'static str>,
    tools: Or<'a, [(); 0]>,
    top_p: f64,
    truncation: Or<'a, &'static str>,
    usage: Option<Usage>,
    user: (),
    metadata: Or<'a, NoFields>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

/// What the request said, or else what holds without.
#[derive(Serialize)]
#[serde(untagged)]
enum Or<'a, T> {
    Said(&'a Raw),
    Else(T),
}

impl<'a, T> Or<'a, T> {
    fn of(said: Option<&'a Raw>, otherwise: T) -> Self {
        said.map_or(Or::Else(otherwise), Or::Said)
    }
}

#[derive(Serialize)]
struct NoFields {}

#[derive(Default, Serialize)]
struct NoReasoning {
    effort: (),
    summary: (),
}

#[derive(Serialize)]
struct PlainText {
    format: Format,
}

#[derive(Serialize)]
struct Format {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'static str,
    message: &'a str,
}

#[derive(Serialize)]
struct Incomplete {
    reason: &'static str,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item<'a> {
    Message {
        id: Id<'a>,
        status: Status,
        role: &'static str,
        content: Vec<Part<'a>>,
    },
    FunctionCall {
        id: Id<'a>,
        status: Status,
        arguments: &'a str,
        call_id: Id<'a>,
        name: &'a str,
    },
}

#[derive(Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    OutputText {
        annotations: [(); 0],
        logprobs: [(); 0],
        text: &'a str,
    },
    Refusal {
        refusal: &'a str,
    },
}

#[derive(Serialize)]
struct Usage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

/// A response that has come to its end.
pub(in crate::dialect) fn response<'a>(completion: &'a Completion<'_>) -> Response<'a> {
    let status = status(completion.end);
    Response {
        status,
        incomplete_details: match completion.end {
            End::Stop | End::Refused => None,
            End::Length => Some("max_output_tokens"),
            End::Filtered => Some("content_filter"),
        }
        .map(|reason| Incomplete { reason }),
        output: match completion.oddity {
            Some(Oddity::NoChoices) => Vec::new(),
            _ => vec![item(completion, Said::of(completion), status)],
        },
        usage: (completion.oddity != Some(Oddity::NoUsage)).then(|| usage(completion)),
        ..opening(completion)
    }
}

/// A response that failed although its HTTP status says otherwise.
pub(in crate::dialect) fn failed<'a>(
    completion: &'a Completion<'_>,
    error: &'a ApiError,
) -> Response<'a> {
    Response {
        status: Status::Failed,
        error: Some(Failure {
            code: failure_code(error.status).unwrap_or("invalid_prompt"),
            message: crate::dialect::openai::error::message(error),
        }),
        ..opening(completion)
    }
}

/// The code of a failed response that stands for a status elsewhere, if one does.
pub(super) fn failure_code(status: u16) -> Option<&'static str> {
    match status {
        429 => Some("rate_limit_exceeded"),
        500 => Some("server_error"),
        _ => None,
    }
}

/// A response of which nothing is generated yet.
pub(super) fn opening<'a>(completion: &'a Completion<'_>) -> Response<'a> {
    let echo = echo(completion);
    Response {
        id: Id {
            prefix: "resp_",
            number: completion.id,
        },
        object: "response",
        created_at: completion.wall.as_secs(),
        status: Status::InProgress,
        background: false,
        error: None,
        incomplete_details: None,
        instructions: echo.and_then(|echo| echo.instructions.as_ref()),
        max_output_tokens: echo.and_then(|echo| echo.max_output_tokens),
        model: &completion.model,
        output: Vec::new(),
        parallel_tool_calls: echo.and_then(|e| e.parallel_tool_calls).unwrap_or(true),
        previous_response_id: echo.and_then(|echo| echo.previous_response_id.as_deref()),
        reasoning: Or::of(
            echo.and_then(|echo| echo.reasoning.as_ref()),
            NoReasoning::default(),
        ),
        service_tier: "default",
        store: echo.and_then(|echo| echo.store).unwrap_or(true),
        temperature: echo.and_then(|echo| echo.temperature).unwrap_or(1.0),
        text: Or::of(
            echo.and_then(|echo| echo.text.as_ref()),
            PlainText {
                format: Format { kind: "text" },
            },
        ),
        tool_choice: Or::of(echo.and_then(|echo| echo.tool_choice.as_ref()), "auto"),
        tools: Or::of(echo.and_then(|echo| echo.tools.as_ref()), []),
        top_p: echo.and_then(|echo| echo.top_p).unwrap_or(1.0),
        truncation: Or::of(echo.and_then(|echo| echo.truncation.as_ref()), "disabled"),
        usage: None,
        user: (),
        metadata: Or::of(echo.and_then(|echo| echo.metadata.as_ref()), NoFields {}),
    }
}

fn echo<'a>(completion: &'a Completion<'_>) -> Option<&'a Echo> {
    match &completion.details {
        Details::Response(echo) => Some(echo),
        Details::None
        | Details::Choices(_)
        | Details::Embeddings { .. }
        | Details::Gemini { .. } => None,
    }
}

/// The status of a response, and of its item, that ends so.
pub(super) fn status(end: End) -> Status {
    match end {
        End::Stop | End::Refused => Status::Completed,
        End::Length | End::Filtered => Status::Incomplete,
    }
}

/// The item that says it.
pub(super) fn item<'a>(completion: &Completion<'_>, said: Said<'a>, status: Status) -> Item<'a> {
    let id = item_id(completion, said);
    match said {
        Said::Call { name, arguments } => Item::FunctionCall {
            id,
            status,
            arguments,
            call_id: call_id(completion.id),
            name,
        },
        Said::Nothing | Said::Text(_) | Said::Refusal(_) => Item::Message {
            id,
            status,
            role: "assistant",
            content: part(said).into_iter().collect(),
        },
    }
}

pub(super) fn item_id(completion: &Completion<'_>, said: Said<'_>) -> Id<'static> {
    Id {
        prefix: match said {
            Said::Call { .. } => "fc_",
            Said::Nothing | Said::Text(_) | Said::Refusal(_) => "msg_",
        },
        number: completion.id,
    }
}

/// The part of a message that says it.
pub(super) fn part(said: Said<'_>) -> Option<Part<'_>> {
    match said {
        Said::Nothing | Said::Call { .. } => None,
        Said::Text(text) => Some(Part::OutputText {
            annotations: [],
            logprobs: [],
            text,
        }),
        Said::Refusal(refusal) => Some(Part::Refusal { refusal }),
    }
}

fn usage(completion: &Completion<'_>) -> Usage {
    Usage {
        input_tokens: completion.input_tokens,
        input_tokens_details: InputDetails {
            cached_tokens: completion.cached_tokens,
            cache_write_tokens: 0,
        },
        output_tokens: completion.output_tokens,
        output_tokens_details: OutputDetails {
            reasoning_tokens: 0,
        },
        total_tokens: completion.input_tokens + completion.output_tokens,
    }
}
