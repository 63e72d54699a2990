//! What the dialects have in common in reading an answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::errors::{Context, EMPTY_REPLY};
use super::json::Scalar;
use crate::outcome::{FailureKind, FinishReason, Outcome, Reply, Usage};

/// The reason for which an answer ended, in neutral terms.
///
/// The one table of what the dialects call it; capitals are Gemini's.
pub(super) fn finish_reason(reason: Option<&str>) -> FinishReason {
    match reason {
        None | Some("" | "FINISH_REASON_UNSPECIFIED") => FinishReason::Unknown,
        Some("stop" | "end_turn" | "stop_sequence" | "eos" | "completed" | "STOP") => {
            FinishReason::Stop
        }
        Some(
            "length"
            | "max_tokens"
            | "max_output_tokens"
            | "model_length"
            | "model_context_window_exceeded"
            | "MAX_TOKENS",
        ) => FinishReason::Length,
        Some("tool_calls" | "function_call" | "tool_use") => FinishReason::ToolCalls,
        Some(other) => FinishReason::Other(other.to_owned()),
    }
}

/// The answer's text, if there is one.
///
/// An answer that the token limit cut before its first word (a reasoning model, say) has an empty
/// text: it is whole, it was billed, and asking again would end the same way.
fn text(text: Option<Cow<'_, str>>, reason: &FinishReason, calls_tools: bool) -> Option<String> {
    match text {
        Some(text) if text.is_empty() && calls_tools => None,
        Some(text) => Some(text.into_owned()),
        None if *reason == FinishReason::Length && !calls_tools => Some(String::new()),
        None => None,
    }
}

/// The parts of tokens that both of OpenAI's dialects tell apart.
#[derive(Default, Deserialize)]
pub(super) struct Details<'a> {
    #[serde(borrow, default)]
    pub(super) cached_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) cache_write_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    pub(super) reasoning_tokens: Scalar<'a>,
}

/// The usage of an answer whose input includes the cached and the written parts, and whose output
/// includes the reasoning; no part is believed to be more than its whole.
pub(super) fn usage_of(input: u64, output: u64, parts: &Parts) -> Usage {
    let cached_input_tokens = parts.cached.unwrap_or(0).min(input);
    let left = input - cached_input_tokens;
    Usage {
        input_tokens: input,
        output_tokens: output,
        cached_input_tokens,
        cache_write_tokens: parts.written.unwrap_or(0).min(left),
        cache_write_1h_tokens: 0,
        reasoning_tokens: parts.reasoning.unwrap_or(0).min(output),
    }
}

/// Tokens that are a part of input or output; `None` where nothing was said of them.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) cached: Option<u64>,
    pub(super) written: Option<u64>,
    pub(super) reasoning: Option<u64>,
}

/// What an answer says: its joined text, and its tool calls as a JSON array.
#[derive(Default)]
pub(super) struct Said<'a> {
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) calls: Option<Box<RawValue>>,
}

impl<'a> Said<'a> {
    /// Adds a text behind those before it.
    pub(super) fn add_text(&mut self, more: Option<Cow<'a, str>>) {
        self.text = match (self.text.take(), more) {
            (Some(have), Some(more)) => Some(have + more),
            (have, more) => have.or(more),
        };
    }

    /// Makes the array of calls of these, as they are written; none make no array.
    pub(super) fn set_calls(&mut self, calls: &[&str]) {
        if !calls.is_empty() {
            self.calls = RawValue::from_string(format!("[{}]", calls.join(","))).ok();
        }
    }

    /// The reply that this is, or the failure that an answer without text and calls is.
    pub(super) fn end(
        self,
        context: &Context<'_>,
        finish_reason: FinishReason,
        model: &Scalar<'_>,
        usage: Option<Usage>,
    ) -> Outcome {
        let text = text(self.text, &finish_reason, self.calls.is_some());
        if text.is_none() && self.calls.is_none() {
            let message = "the answer holds neither text nor tool calls";
            return Err(context.failed(FailureKind::Malformed, Some(EMPTY_REPLY), message, usage));
        }
        Ok(Reply {
            text,
            tool_calls: self.calls,
            parsed: None,
            embedding: None,
            finish_reason,
            model: model.text().map(str::to_owned),
            usage,
        })
    }
}

/// Whether a JSON value is an array with anything in it.
pub(super) fn has_items(value: &RawValue) -> bool {
    value
        .get()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inside| !inside.trim().is_empty())
}
