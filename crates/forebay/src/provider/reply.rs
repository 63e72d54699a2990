//! What the dialects have in common in reading an answer.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::outcome::FinishReason;

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
pub(super) fn text(
    text: Option<Cow<'_, str>>,
    reason: &FinishReason,
    calls_tools: bool,
) -> Option<String> {
    match text {
        Some(text) if text.is_empty() && calls_tools => None,
        Some(text) => Some(text.into_owned()),
        None if *reason == FinishReason::Length && !calls_tools => Some(String::new()),
        None => None,
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
