//! Reads answers of the Gemini generateContent dialect.
//!
//! What it reads is forgiving: any member may be missing, `null` or of another type, as long as
//! there is an answer in it. A server that streams without events answers with a list of parts,
//! which count as one answer.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields;
use crate::outcome::{Failure, FailureKind, FinishReason, Outcome, Usage};
use crate::provider::errors::{Context, holds_error};
use crate::provider::json::{self, Scalar};
use crate::provider::reply::{self, Parts, Said};
use crate::provider::{Answer, stream};

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    candidates: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "promptFeedback")]
    prompt_feedback: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "usageMetadata")]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "modelVersion")]
    model: Scalar<'a>,
}

#[derive(Deserialize)]
struct Candidate<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "finishReason")]
    finish_reason: Scalar<'a>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Option<&'a RawValue>,
}

/// A part of a content.
#[derive(Deserialize)]
pub(in crate::provider) struct Part<'a> {
    #[serde(borrow, default)]
    pub(in crate::provider) text: Scalar<'a>,
    #[serde(borrow, default)]
    thought: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "functionCall")]
    pub(in crate::provider) call: Option<&'a RawValue>,
}

impl Part<'_> {
    /// Whether its text is what the model thinks before it answers.
    pub(in crate::provider) fn is_thought(&self) -> bool {
        self.thought.is_some_and(|thought| thought.get() == "true")
    }
}

/// What became of the prompt.
#[derive(Deserialize)]
pub(in crate::provider) struct PromptFeedback<'a> {
    #[serde(borrow, default, rename = "blockReason")]
    pub(in crate::provider) block_reason: Scalar<'a>,
}

/// Reads an answer with a status from 200 to 299.
pub(in crate::provider) fn decode(context: &Context<'_>) -> Outcome {
    if !context.answer.body.trim_ascii_start().starts_with(b"[") {
        return decode_one(context);
    }
    let body = stream::assemble_list(context)?;
    decode_one(&Context {
        endpoint: context.endpoint,
        answer: &Answer {
            body: &body,
            ..*context.answer
        },
    })
}

fn decode_one(context: &Context<'_>) -> Outcome {
    let answered: Answered<'_> = context.object()?;
    let usage = answered.usage.and_then(usage);
    if holds_error(answered.error) {
        return Err(context.reported(usage));
    }
    let list: Vec<&RawValue> = answered
        .candidates
        .and_then(|raw| fields::decode(raw).ok())
        .unwrap_or_default();
    let Some(candidate) = list.into_iter().find_map(json::object::<Candidate<'_>>) else {
        return Err(without_candidate(context, answered.prompt_feedback, usage));
    };
    let reason = candidate.finish_reason.text();
    if let Some(reason) = reason {
        stopped(context, reason, usage)?;
    }
    let said = candidate.content.map(read_content).unwrap_or_default();
    let finish_reason = match reply::finish_reason(reason) {
        FinishReason::Stop if said.calls.is_some() => FinishReason::ToolCalls,
        reason => reason,
    };
    said.end(context, finish_reason, &answered.model, usage)
}

/// What an answer without a candidate is: a blocked prompt, or nothing.
fn without_candidate(
    context: &Context<'_>,
    feedback: Option<&RawValue>,
    usage: Option<Usage>,
) -> Failure {
    let feedback: Option<PromptFeedback<'_>> = feedback.and_then(json::object);
    match feedback.as_ref().and_then(|f| f.block_reason.text()) {
        Some(reason) => {
            let message = format!("the provider blocked the prompt ({reason})");
            context.filtered(reason, &message, usage)
        }
        None => context.without_answer("the answer holds no candidates", usage),
    }
}

/// Refuses an answer that ended for a reason that leaves none.
///
/// Reasons that are not here are kept as written, and then it counts what was said.
fn stopped(context: &Context<'_>, reason: &str, usage: Option<Usage>) -> Result<(), Failure> {
    let (kind, message) = match reason {
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => (
            FailureKind::ContentFiltered,
            format!("the provider's content filter stopped the answer ({reason})"),
        ),
        // The model wrote what cannot be read; the next try writes something else.
        "MALFORMED_FUNCTION_CALL" | "MALFORMED_RESPONSE" | "UNEXPECTED_TOOL_CALL" => (
            FailureKind::Malformed,
            format!("the model wrote no usable answer ({reason})"),
        ),
        // The request leaves out a signature that the model gave with an earlier call.
        "MISSING_THOUGHT_SIGNATURE" => (
            FailureKind::BadRequest,
            format!("the conversation lacks what the model signed ({reason})"),
        ),
        _ => return Ok(()),
    };
    Err(context.failed(kind, Some(reason), &message, usage))
}

/// What the parts of a content say.
fn read_content(content: &RawValue) -> Said<'_> {
    let content: Option<Content<'_>> = json::object(content);
    let parts = content.and_then(|content| content.parts);
    let raws: Vec<&RawValue> = parts
        .and_then(|raw| fields::decode(raw).ok())
        .unwrap_or_default();
    let mut said = Said::default();
    let mut calls = Vec::new();
    for raw in raws {
        let Some(part) = json::object::<Part<'_>>(raw) else {
            continue;
        };
        if part.call.is_some_and(|call| call.get().starts_with('{')) {
            // With the signature beside it, which has to be sent back.
            calls.push(raw.get());
        } else if !part.is_thought() {
            said.add_text(part.text.into_text());
        }
    }
    said.set_calls(&calls);
    said
}

#[derive(Deserialize)]
struct Counts<'a> {
    #[serde(borrow, default, rename = "promptTokenCount")]
    prompt: Scalar<'a>,
    #[serde(borrow, default, rename = "cachedContentTokenCount")]
    cached: Scalar<'a>,
    #[serde(borrow, default, rename = "candidatesTokenCount")]
    candidates: Scalar<'a>,
    #[serde(borrow, default, rename = "thoughtsTokenCount")]
    thoughts: Scalar<'a>,
    #[serde(borrow, default, rename = "toolUsePromptTokenCount")]
    tool_use: Scalar<'a>,
}

/// Adds up the parts of input and output, which this dialect counts apart.
fn usage(raw: &RawValue) -> Option<Usage> {
    let counts: Counts<'_> = json::object(raw)?;
    let (prompt, candidates) = (counts.prompt.count(), counts.candidates.count());
    let thoughts = counts.thoughts.count();
    if prompt.is_none() && candidates.is_none() && thoughts.is_none() {
        return None;
    }
    let input_tokens = prompt.unwrap_or(0) + counts.tool_use.count().unwrap_or(0);
    let output_tokens = candidates.unwrap_or(0) + thoughts.unwrap_or(0);
    let parts = Parts {
        cached: counts.cached.count(),
        written: None,
        reasoning: thoughts,
    };
    Some(reply::usage_of(input_tokens, output_tokens, &parts))
}
