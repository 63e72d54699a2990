//! Reads answers of the OpenAI responses dialect.
//!
//! What it reads is forgiving: any member may be missing, `null` or of another type, as long as
//! there is an answer in it. A status 200 alone is no success here: the response says itself how
//! it ended.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields;
use crate::outcome::{Failure, FailureKind, FinishReason, Outcome, Usage};
use crate::provider::errors::{Context, Report, holds_error};
use crate::provider::json::{self, Content, Scalar};
use crate::provider::reply::{self, Details, Parts, Said};

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    status: Scalar<'a>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    incomplete_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Scalar<'a>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow, default)]
    reason: Scalar<'a>,
}

/// One thing that the model made: a message, a call, thoughts, or what a server did itself.
#[derive(Default, Deserialize)]
struct Item<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    refusal: Scalar<'a>,
}

/// Reads an answer with a status from 200 to 299.
pub(in crate::provider) fn decode(context: &Context<'_>) -> Outcome {
    let response: Response<'_> = context.object()?;
    let usage = response.usage.and_then(usage);
    let status = response.status.text();
    if holds_error(response.error) || status == Some("failed") {
        return Err(failed(context, response.error, usage));
    }
    let reason = response.incomplete_details.and_then(incomplete);
    end_of(context, status, reason.as_deref(), usage)?;
    let Some(output) = response.output else {
        return Err(context.without_answer("the answer holds no output", usage));
    };
    let (said, refuses) = read_output(output);
    if refuses {
        return Err(context.filtered("refusal", "the model refused to answer", usage));
    }
    let finish_reason = match (status, reason.as_deref()) {
        (_, Some(reason)) => reply::finish_reason(Some(reason)),
        (None | Some("completed"), None) if said.calls.is_some() => FinishReason::ToolCalls,
        (status, None) => reply::finish_reason(status),
    };
    said.end(context, finish_reason, &response.model, usage)
}

/// Why a response is incomplete.
fn incomplete(details: &RawValue) -> Option<Cow<'_, str>> {
    let details: Incomplete<'_> = fields::decode(details).ok()?;
    details.reason.into_text()
}

/// The failure that a failed response is: what its error says, whose code is final.
fn failed(context: &Context<'_>, error: Option<&RawValue>, usage: Option<Usage>) -> Failure {
    match error.filter(|error| holds_error(Some(error))) {
        Some(error) => {
            let report = Report {
                is_final: true,
                ..Report::of_error(error)
            };
            context.refused_by(&report, usage)
        }
        None => {
            let message = "the response failed, and does not say why";
            context.failed(FailureKind::ServerError, None, message, usage)
        }
    }
}

/// Refuses a response that has not come to an end of its own.
fn end_of(
    context: &Context<'_>,
    status: Option<&str>,
    reason: Option<&str>,
    usage: Option<Usage>,
) -> Result<(), Failure> {
    match (status, reason) {
        // To try again would begin another one, and each is billed.
        (Some(status @ ("queued" | "in_progress")), _) => {
            let message = format!(
                "the response is only {status}: the request asks for an answer in the \
                 background, which is not fetched; leave out the parameter \"background\""
            );
            Err(Failure {
                answer_began: true,
                ..context.failed(FailureKind::BadRequest, Some(status), &message, usage)
            })
        }
        (Some("cancelled"), _) => {
            let message = "the response was cancelled at the provider";
            Err(context.failed(FailureKind::ServerError, status, message, usage))
        }
        (_, Some("content_filter")) => {
            let message = "the provider's content filter stopped the answer";
            Err(context.filtered("content_filter", message, usage))
        }
        _ => Ok(()),
    }
}

/// What the items of an output say, and whether the model refuses.
fn read_output(output: &RawValue) -> (Said<'_>, bool) {
    let raws: Vec<&RawValue> = fields::decode(output).unwrap_or_default();
    let (mut said, mut refuses) = (Said::default(), false);
    let mut calls = Vec::new();
    for raw in raws {
        let item: Item<'_> = json::object(raw).unwrap_or_default();
        match (item.kind.text(), item.content) {
            (Some("message"), Some(content)) => {
                let text: Content<'_> = fields::decode(content).unwrap_or_default();
                said.add_text(text.0);
                refuses |= holds_refusal(content);
            }
            // Calls that the client has to answer; a server answers the others itself.
            (Some("function_call" | "custom_tool_call"), _) => calls.push(raw.get()),
            _ => {}
        }
    }
    said.set_calls(&calls);
    (said, refuses)
}

fn holds_refusal(content: &RawValue) -> bool {
    let parts: Vec<&RawValue> = fields::decode(content).unwrap_or_default();
    parts.into_iter().any(|raw| {
        let part: Part<'_> = json::object(raw).unwrap_or_default();
        part.refusal.text().is_some_and(|text| !text.is_empty())
    })
}

#[derive(Deserialize)]
struct Counts<'a> {
    #[serde(borrow, default)]
    input_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    output_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    input_tokens_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens_details: Option<&'a RawValue>,
}

/// The tokens; the input includes the cached part, and the output the reasoning.
fn usage(raw: &RawValue) -> Option<Usage> {
    let counts: Counts<'_> = json::object(raw)?;
    let (input, output) = (counts.input_tokens.count(), counts.output_tokens.count());
    if input.is_none() && output.is_none() {
        return None;
    }
    let details = |raw: Option<&'_ RawValue>, of: fn(&Details<'_>) -> Option<u64>| {
        let details: Option<Details<'_>> = raw.and_then(json::object);
        details.and_then(|details| of(&details))
    };
    let (of_input, of_output) = (counts.input_tokens_details, counts.output_tokens_details);
    let parts = Parts {
        cached: details(of_input, |d| d.cached_tokens.count()),
        written: details(of_input, |d| d.cache_write_tokens.count()),
        reasoning: details(of_output, |d| d.reasoning_tokens.count()),
    };
    Some(reply::usage_of(
        input.unwrap_or(0),
        output.unwrap_or(0),
        &parts,
    ))
}
