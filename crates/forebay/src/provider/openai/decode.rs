//! Reads answers of the OpenAI chat completions dialect.
//!
//! What it reads is forgiving: any member may be missing, `null` or of another type, as long as
//! there is an answer in it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields;
use crate::outcome::{FailureKind, Outcome, Reply, Usage};
use crate::provider::errors::{Context, EMPTY_REPLY, Report, holds_error};
use crate::provider::json::{Content, Scalar};
use crate::provider::reply;

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    choices: Option<Vec<Option<Choice<'a>>>>,
    #[serde(borrow, default)]
    model: Scalar<'a>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    finish_reason: Scalar<'a>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Content<'a>,
    #[serde(borrow, default)]
    refusal: Scalar<'a>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
}

/// Reads an answer with a status from 200 to 299.
pub(in crate::provider) fn decode(context: &Context<'_>) -> Outcome {
    let completion: Completion<'_> = context.object()?;
    let usage = completion.usage.and_then(usage);
    if holds_error(completion.error) {
        return Err(context.reported(usage));
    }
    let choice = completion.choices.into_iter().flatten().flatten().next();
    let Some(choice) = choice else {
        return Err(context.without_answer("the answer holds no choices", usage));
    };
    if let Some(error) = choice.error.filter(|error| holds_error(Some(error))) {
        return Err(context.refused_by(&Report::of_error(error), usage));
    }
    let message = choice.message.unwrap_or_default();
    let finish = choice.finish_reason.text();
    if message.refusal.text().is_some_and(|text| !text.is_empty()) {
        return Err(context.filtered("refusal", "the model refused to answer", usage));
    }
    if finish == Some("content_filter") {
        let message = "the provider's content filter stopped the answer";
        return Err(context.filtered("content_filter", message, usage));
    }
    if let Some((kind, code)) = given_up(finish) {
        let message = "the provider gave up on the answer with an error";
        return Err(context.failed(kind, code, message, usage));
    }
    let tool_calls = tool_calls(&message);
    let finish_reason = reply::finish_reason(finish);
    let text = reply::text(message.content.0, &finish_reason, tool_calls.is_some());
    if text.is_none() && tool_calls.is_none() {
        let message = "the answer holds neither text nor tool calls";
        return Err(context.failed(FailureKind::Malformed, Some(EMPTY_REPLY), message, usage));
    }
    Ok(Reply {
        text,
        tool_calls,
        parsed: None,
        embedding: None,
        finish_reason,
        model: completion.model.text().map(str::to_owned),
        usage,
    })
}

/// Reasons to end of compatible servers that leave no answer: OpenRouter's, vLLM's and SGLang's
/// for a request that was thrown out, and DeepSeek's for a server that ran out of resources.
fn given_up(finish: Option<&str>) -> Option<(FailureKind, Option<&str>)> {
    match finish {
        Some("error") => Some((FailureKind::ServerError, None)),
        Some("abort") => Some((FailureKind::ServerError, finish)),
        Some("insufficient_system_resource") => Some((FailureKind::Overloaded, finish)),
        Some(_) | None => None,
    }
}

/// The tool calls as a JSON array; the older single function call becomes an array of one.
fn tool_calls(message: &Message<'_>) -> Option<Box<RawValue>> {
    if let Some(calls) = message.tool_calls.filter(|calls| reply::has_items(calls)) {
        return Some(calls.to_owned());
    }
    let call = message.function_call?.get();
    let array = call.starts_with('{').then(|| format!("[{call}]"))?;
    RawValue::from_string(array).ok()
}

#[derive(Deserialize)]
struct Counts<'a> {
    #[serde(borrow, default)]
    prompt_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    completion_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    total_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    prompt_tokens_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    completion_tokens_details: Option<&'a RawValue>,
    // DeepSeek's name for the cached part.
    #[serde(borrow, default)]
    prompt_cache_hit_tokens: Scalar<'a>,
}

#[derive(Default, Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    cached_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    cache_write_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    reasoning_tokens: Scalar<'a>,
}

fn usage(raw: &RawValue) -> Option<Usage> {
    let counts: Counts<'_> = fields::decode(raw).ok()?;
    let details = |raw: Option<&'_ RawValue>| -> (Option<u64>, Option<u64>, Option<u64>) {
        let details: Option<Details<'_>> = raw.and_then(|raw| fields::decode(raw).ok());
        details.map_or((None, None, None), |details| {
            (
                details.cached_tokens.count(),
                details.cache_write_tokens.count(),
                details.reasoning_tokens.count(),
            )
        })
    };
    let (cached, written, _) = details(counts.prompt_tokens_details);
    let (_, _, reasoning) = details(counts.completion_tokens_details);
    let input = counts.prompt_tokens.count();
    let output = counts.completion_tokens.count();
    // Some servers (xAI, Gemini) leave reasoning out of the completion but not out of the total.
    let rest = counts
        .total_tokens
        .count()
        .zip(input)
        .map(|(total, input)| total.saturating_sub(input));
    if input.is_none() && output.is_none() {
        return None;
    }
    let input_tokens = input.unwrap_or(0);
    let output_tokens = output.unwrap_or(0).max(rest.unwrap_or(0));
    let cached_input_tokens = cached
        .or(counts.prompt_cache_hit_tokens.count())
        .unwrap_or(0)
        .min(input_tokens);
    Some(Usage {
        input_tokens,
        output_tokens,
        cached_input_tokens,
        cache_write_tokens: written.unwrap_or(0).min(input_tokens - cached_input_tokens),
        cache_write_1h_tokens: 0,
        reasoning_tokens: reasoning.unwrap_or(0).min(output_tokens),
    })
}
