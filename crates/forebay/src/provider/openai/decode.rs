//! Reads answers of the OpenAI chat completions dialect.
//!
//! What it reads is forgiving: any member may be missing, `null` or of another type, as long as
//! there is an answer in it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::plain::{self, Plain};
use crate::fields;
use crate::outcome::{FailureKind, Outcome, Usage};
use crate::provider::errors::{Context, Report, holds_error};
use crate::provider::json::{Content, Scalar};
use crate::provider::reply::{self, Details, Parts, Said};

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
    if let Some(Plain {
        said,
        finish,
        model,
        usage,
    }) = plain::read(context.answer.body)
    {
        return said.end(context, finish, &model, usage);
    }
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
    let finish_reason = reply::finish_reason(finish);
    let said = Said {
        calls: tool_calls(&message),
        text: message.content.0,
    };
    said.end(context, finish_reason, &completion.model, usage)
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

fn usage(raw: &RawValue) -> Option<Usage> {
    let counts: Counts<'_> = fields::decode(raw).ok()?;
    let details = |raw: Option<&'_ RawValue>, of: fn(&Details<'_>) -> Option<u64>| {
        let details: Option<Details<'_>> = raw.and_then(|raw| fields::decode(raw).ok());
        details.and_then(|details| of(&details))
    };
    let of_prompt = counts.prompt_tokens_details;
    let of_completion = counts.completion_tokens_details;
    let cached = details(of_prompt, |d| d.cached_tokens.count());
    let parts = Parts {
        cached: cached.or(counts.prompt_cache_hit_tokens.count()),
        written: details(of_prompt, |d| d.cache_write_tokens.count()),
        reasoning: details(of_completion, |d| d.reasoning_tokens.count()),
    };
    let input = counts.prompt_tokens.count();
    let output = counts.completion_tokens.count();
    // Some servers (xAI, Gemini) leave reasoning out of the completion but not out of the total.
    let rest = counts
        .total_tokens
        .count()
        .zip(input)
        .map(|(total, input)| total.saturating_sub(input));
    whole_usage(input, output, rest, &parts)
}

/// The usage that these counts are; `rest` is what of the total is no input.
pub(super) fn whole_usage(
    input: Option<u64>,
    output: Option<u64>,
    rest: Option<u64>,
    parts: &Parts,
) -> Option<Usage> {
    if input.is_none() && output.is_none() {
        return None;
    }
    let output = output.unwrap_or(0).max(rest.unwrap_or(0));
    Some(reply::usage_of(input.unwrap_or(0), output, parts))
}
