//! Writes requests of the Anthropic messages dialect.
//!
//! Owns the lifting of system messages out of the array of messages, which this dialect does not
//! allow there.

use serde_json::value::RawValue;

use crate::fields::push_json_str;
use crate::item::{Content, Request};
use crate::outcome::Failure;
use crate::provider::body::{Body, invalid, push_message};
use crate::provider::messages;

/// The cap on output tokens when the user names none; this dialect requires one.
///
/// 4096 is what every model of the dialect can write, the oldest included, and it is not charged
/// up front: output limits count the tokens that were really written. A longer answer ends with
/// the finish reason `length`, which shows.
const DEFAULT_MAX_TOKENS: u32 = 4096;

/// Writes a request.
pub(in crate::provider) fn encode(request: &Request) -> Result<Vec<u8>, Failure> {
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
