//! Writes generated content, a count of tokens and the headers of both.
//!
//! Owns the answers' fields. Never writes an error, and never frames a stream.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::{Completion, Details, End, Id};
use crate::http::Output;
use crate::script::Oddity;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect) struct Response<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<Candidate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_feedback: Option<PromptFeedback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<UsageMetadata>,
    model_version: &'a str,
    response_id: Id<'static>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'static str>,
    index: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    safety_ratings: Vec<SafetyRating>,
}

#[derive(Clone, Copy, Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<[Part<'a>; 1]>,
    role: &'static str,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
enum Part<'a> {
    Text(&'a str),
    FunctionCall { name: &'a str, args: &'a RawValue },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: &'static str,
    safety_ratings: Vec<SafetyRating>,
}

#[derive(Serialize)]
struct SafetyRating {
    category: &'static str,
    probability: &'static str,
    blocked: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_content_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidates_token_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thoughts_token_count: Option<u64>,
    total_token_count: u64,
    prompt_tokens_details: [ModalityTokens; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModalityTokens {
    modality: &'static str,
    token_count: u64,
}

/// The whole answer.
pub(in crate::dialect) fn completion<'a>(completion: &'a Completion<'_>) -> Response<'a> {
    response(completion, &completion.text, true)
}

/// The part of a streamed answer that brings a text.
pub(super) fn part<'a>(completion: &'a Completion<'_>, text: &'a str) -> Response<'a> {
    response(completion, text, false)
}

/// The last part of a streamed answer; a function's call comes in one piece.
pub(super) fn last<'a>(completion: &'a Completion<'_>) -> Response<'a> {
    let text = match completion.function {
        Some(_) => &*completion.text,
        None => "",
    };
    response(completion, text, true)
}

/// Whether a text is shown as it comes.
pub(super) fn shows_text(completion: &Completion<'_>) -> bool {
    completion.function.is_none()
        && matches!(completion.end, End::Stop | End::Length)
        && !matches!(
            completion.oddity,
            Some(Oddity::NoChoices | Oddity::NullContent | Oddity::EmptyText)
        )
}

fn response<'a>(completion: &'a Completion<'_>, text: &'a str, last: bool) -> Response<'a> {
    let blocked = completion.end == End::Filtered;
    let wanted = match completion.details {
        Details::Gemini { candidates, .. } => candidates,
        Details::None | Details::Embeddings { .. } | Details::Choices(_) | Details::Response(_) => {
            1
        }
    };
    let shown = match blocked || completion.oddity == Some(Oddity::NoChoices) {
        true => 0,
        false => wanted,
    };
    let usage = match completion.oddity {
        Some(Oddity::NoUsage) => None,
        _ => Some(usage(completion, u64::from(shown), last)),
    };
    Response {
        candidates: (0..shown)
            .map(|index| candidate(completion, text, last, index))
            .collect(),
        prompt_feedback: blocked.then(|| PromptFeedback {
            block_reason: "SAFETY",
            safety_ratings: ratings(),
        }),
        usage_metadata: usage,
        model_version: &completion.model,
        response_id: Id {
            prefix: "",
            number: completion.id,
        },
    }
}

fn candidate<'a>(
    completion: &'a Completion<'_>,
    text: &'a str,
    last: bool,
    index: u32,
) -> Candidate<'a> {
    let refused = completion.end == End::Refused;
    let part = match (&completion.oddity, &completion.function) {
        (Some(Oddity::NullContent), _) => None,
        (Some(Oddity::EmptyText), _) => Some(Part::Text("")),
        (_, Some(name)) => serde_json::from_str(text)
            .ok()
            .map(|args| Part::FunctionCall { name, args }),
        (_, None) => Some(Part::Text(text)),
    };
    Candidate {
        content: (!refused).then_some(Content {
            parts: part.map(|part| [part]),
            role: "model",
        }),
        finish_reason: last.then_some(match completion.end {
            End::Stop => "STOP",
            End::Length => "MAX_TOKENS",
            End::Filtered | End::Refused => "SAFETY",
        }),
        index,
        safety_ratings: match refused && last {
            true => ratings(),
            false => Vec::new(),
        },
    }
}

fn ratings() -> Vec<SafetyRating> {
    let rating = |category, probability, blocked| SafetyRating {
        category,
        probability,
        blocked,
    };
    vec![
        rating("HARM_CATEGORY_HARASSMENT", "NEGLIGIBLE", false),
        rating("HARM_CATEGORY_DANGEROUS_CONTENT", "HIGH", true),
    ]
}

/// The usage; the output's only with the last part.
fn usage(completion: &Completion<'_>, candidates: u64, last: bool) -> UsageMetadata {
    let prompt = completion.input_tokens;
    let output = completion.output_tokens * candidates;
    let thoughts = match completion.details {
        Details::Gemini { thoughts, .. } => thoughts,
        Details::None | Details::Embeddings { .. } | Details::Choices(_) | Details::Response(_) => {
            0
        }
    };
    let (output, thoughts) = match last {
        true => (output, thoughts),
        false => (0, 0),
    };
    let told = |tokens| (tokens > 0).then_some(tokens);
    UsageMetadata {
        prompt_token_count: prompt,
        cached_content_token_count: told(completion.cached_tokens),
        candidates_token_count: told(output),
        thoughts_token_count: told(thoughts),
        total_token_count: prompt + output + thoughts,
        prompt_tokens_details: [text_tokens(prompt)],
    }
}

fn text_tokens(token_count: u64) -> ModalityTokens {
    ModalityTokens {
        modality: "TEXT",
        token_count,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dialect) struct TokenCount {
    total_tokens: u64,
    prompt_tokens_details: [ModalityTokens; 1],
}

pub(in crate::dialect) fn token_count(completion: &Completion<'_>) -> TokenCount {
    TokenCount {
        total_tokens: completion.input_tokens,
        prompt_tokens_details: [text_tokens(completion.input_tokens)],
    }
}

pub(in crate::dialect) fn headers(output: &mut Output, took: Duration) {
    output
        .header_text("vary", "Origin, X-Origin, Referer")
        .header_text("server", "scaffolding on HTTPServer2")
        .header(
            "server-timing",
            format!("gfet4t7; dur={}", took.as_millis()),
        );
}
