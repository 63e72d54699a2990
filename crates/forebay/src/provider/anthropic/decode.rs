//! Reads answers of the Anthropic messages dialect.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields;
use crate::outcome::{Failure, Outcome, Usage};
use crate::provider::errors::{Context, holds_error};
use crate::provider::json::Scalar;
use crate::provider::reply::{self, Said};

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Scalar<'a>,
    #[serde(borrow, default)]
    stop_reason: Scalar<'a>,
    #[serde(borrow, default)]
    stop_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
    #[serde(borrow, default)]
    text: Scalar<'a>,
}

#[derive(Deserialize)]
struct StopDetails<'a> {
    #[serde(borrow, default)]
    category: Scalar<'a>,
}

/// Reads an answer with a status from 200 to 299.
pub(in crate::provider) fn decode(context: &Context<'_>) -> Outcome {
    let answered: Answered<'_> = context.object()?;
    let usage = answered.usage.and_then(usage);
    if holds_error(answered.error) {
        return Err(context.reported(usage));
    }
    let Some(content) = answered.content else {
        return Err(context.without_answer("the answer holds no content", usage));
    };
    let reason = answered.stop_reason.text();
    if reason == Some("refusal") {
        return Err(refusal(context, answered.stop_details, usage));
    }
    let finish_reason = reply::finish_reason(reason);
    said(content).end(context, finish_reason, &answered.model, usage)
}

fn refusal(context: &Context<'_>, details: Option<&RawValue>, usage: Option<Usage>) -> Failure {
    let details: Option<StopDetails<'_>> = details.and_then(|raw| fields::decode(raw).ok());
    let message = match details.as_ref().and_then(|details| details.category.text()) {
        Some(category) => format!("the model refused to answer (category {category})"),
        None => "the model refused to answer".to_owned(),
    };
    context.filtered("refusal", &message, usage)
}

/// What an answer's blocks say.
fn said(content: &RawValue) -> Said<'_> {
    let mut said = Said::default();
    // Some gateways write a plain string here.
    if let Some(text) = fields::as_str(content) {
        said.add_text(Some(text));
        return said;
    }
    let raws: Vec<&RawValue> = fields::decode(content).unwrap_or_default();
    let read = |raw| fields::decode(raw).map(|block: Block<'_>| (block, raw.get()));
    // A list with anything but blocks in it is none.
    let blocks: Vec<_> = raws
        .into_iter()
        .map(read)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    let mut calls = Vec::new();
    for (block, raw) in blocks {
        match block.kind.text() {
            Some("text") => said.add_text(block.text.into_text()),
            Some("tool_use") => calls.push(raw),
            _ => {}
        }
    }
    said.set_calls(&calls);
    said
}

#[derive(Deserialize)]
struct Counts<'a> {
    #[serde(borrow, default)]
    input_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    output_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    cache_creation_input_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    cache_read_input_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    cache_creation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens_details: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CacheCreation<'a> {
    #[serde(borrow, default)]
    ephemeral_5m_input_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    ephemeral_1h_input_tokens: Scalar<'a>,
}

#[derive(Deserialize)]
struct OutputDetails<'a> {
    #[serde(borrow, default)]
    thinking_tokens: Scalar<'a>,
}

/// Adds up the three parts of the input, which this dialect counts apart.
fn usage(raw: &RawValue) -> Option<Usage> {
    let counts: Counts<'_> = fields::decode(raw).ok()?;
    let (input, output) = (counts.input_tokens.count(), counts.output_tokens.count());
    if input.is_none() && output.is_none() {
        return None;
    }
    let creation: Option<CacheCreation<'_>> = counts
        .cache_creation
        .and_then(|raw| fields::decode(raw).ok());
    let (of_5m, of_1h) = creation.map_or((0, 0), |creation| {
        (
            creation.ephemeral_5m_input_tokens.count().unwrap_or(0),
            creation.ephemeral_1h_input_tokens.count().unwrap_or(0),
        )
    });
    // The sum counts where it says more than its parts.
    let written = counts.cache_creation_input_tokens.count().unwrap_or(0);
    let written = written.max(of_5m + of_1h);
    let cached_input_tokens = counts.cache_read_input_tokens.count().unwrap_or(0);
    let output_tokens = output.unwrap_or(0);
    let thinking: Option<OutputDetails<'_>> = counts
        .output_tokens_details
        .and_then(|raw| fields::decode(raw).ok());
    Some(Usage {
        input_tokens: input.unwrap_or(0) + written + cached_input_tokens,
        output_tokens,
        cached_input_tokens,
        cache_write_tokens: written - of_1h,
        cache_write_1h_tokens: of_1h,
        reasoning_tokens: thinking
            .and_then(|details| details.thinking_tokens.count())
            .unwrap_or(0)
            .min(output_tokens),
    })
}
