//! The Anthropic messages dialect.
//!
//! Owns the shapes of its request and its answer, and the lifting of system messages out of the
//! array of messages, which this dialect does not allow there.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{Body, invalid, push_message};
use super::errors::{Context, EMPTY_REPLY, holds_error};
use super::json::Scalar;
use super::{messages, reply};
use crate::fields::{self, push_json_str};
use crate::item::{Content, Request};
use crate::outcome::{Failure, FailureKind, Outcome, Reply, Usage};

/// The cap on output tokens when the user names none; this dialect requires one.
///
/// 4096 is what every model of the dialect can write, the oldest included, and it is not charged
/// up front: output limits count the tokens that were really written. A longer answer ends with
/// the finish reason `length`, which shows.
const DEFAULT_MAX_TOKENS: u32 = 4096;

/// Writes a request.
pub(super) fn encode(request: &Request) -> Result<Vec<u8>, Failure> {
    let mut body = Body::begin(request)?;
    let max_tokens = request.shared.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    match &request.content {
        Content::Prompt(prompt) => {
            if let Some(out) = body.member("messages") {
                out.push(b'[');
                push_message(out, "user", prompt);
                out.push(b']');
            }
            body.number("max_tokens", max_tokens);
            push_system(&mut body, request.system.as_deref());
        }
        Content::Messages(array) => {
            let lifted = match body.has_extra("messages") {
                true => None,
                false => push_lifted(&mut body, array)?,
            };
            body.number("max_tokens", max_tokens);
            // The array's own system message is meant for this item and goes first.
            push_system(&mut body, lifted.as_deref().or(request.system.as_deref()));
        }
        Content::Conversation(_) | Content::Raw(_) => {
            return Err(invalid("this dialect cannot carry these messages yet"));
        }
    }
    if request.shared.stream {
        body.json("stream", "true");
    }
    Ok(body.end(&request.shared))
}

fn push_system(body: &mut Body<'_>, system: Option<&str>) {
    if let Some(system) = system
        && let Some(out) = body.member("system")
    {
        push_json_str(out, system);
    }
}

/// Writes the messages without the system messages, whose texts it gives back.
fn push_lifted(body: &mut Body<'_>, array: &RawValue) -> Result<Option<String>, Failure> {
    let list = messages::list(array)?;
    let mut texts = Vec::new();
    for (at, message) in list.iter().enumerate() {
        if message.is_system {
            texts.extend(messages::system_texts(message.raw, at)?);
        }
    }
    if list.iter().all(|message| message.is_system) {
        return Err(invalid("the array of messages holds only system messages"));
    }
    let lifts = list.iter().any(|message| message.is_system);
    if let Some(out) = body.member("messages") {
        if lifts {
            out.push(b'[');
            for (at, message) in list.iter().filter(|m| !m.is_system).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(message.raw.get().as_bytes());
            }
            out.push(b']');
        } else {
            out.extend_from_slice(array.get().as_bytes());
        }
    }
    Ok(lifts.then(|| texts.join("\n\n")))
}

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
pub(super) fn decode(context: &Context<'_>) -> Outcome {
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
    let (text, tool_calls) = blocks(content);
    let text = reply::text(text, &finish_reason, tool_calls.is_some());
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
        model: answered.model.text().map(str::to_owned),
        usage,
    })
}

fn refusal(context: &Context<'_>, details: Option<&RawValue>, usage: Option<Usage>) -> Failure {
    let details: Option<StopDetails<'_>> = details.and_then(|raw| fields::decode(raw).ok());
    let message = match details.as_ref().and_then(|details| details.category.text()) {
        Some(category) => format!("the model refused to answer (category {category})"),
        None => "the model refused to answer".to_owned(),
    };
    context.filtered("refusal", &message, usage)
}

/// The joined text of an answer's blocks, and its tool calls as a JSON array.
fn blocks(content: &RawValue) -> (Option<Cow<'_, str>>, Option<Box<RawValue>>) {
    // Some gateways write a plain string here.
    if let Some(text) = fields::as_str(content) {
        return (Some(text), None);
    }
    let blocks: Vec<Block<'_>> = fields::decode(content).unwrap_or_default();
    let calls_tools = blocks.iter().any(|b| b.kind.text() == Some("tool_use"));
    let text = blocks
        .into_iter()
        .filter(|block| block.kind.text() == Some("text"))
        .filter_map(|block| block.text.into_text())
        .reduce(|have, more| have + more);
    let tool_calls = calls_tools.then(|| tool_uses(content)).flatten();
    (text, tool_calls)
}

/// The blocks that call tools, as written.
fn tool_uses(content: &RawValue) -> Option<Box<RawValue>> {
    let raws: Vec<&RawValue> = fields::decode(content).ok()?;
    let calls: Vec<&str> = raws
        .into_iter()
        .filter(|raw| {
            let block: Result<Block<'_>, _> = fields::decode(raw);
            block.is_ok_and(|block| block.kind.text() == Some("tool_use"))
        })
        .map(RawValue::get)
        .collect();
    RawValue::from_string(format!("[{}]", calls.join(","))).ok()
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
