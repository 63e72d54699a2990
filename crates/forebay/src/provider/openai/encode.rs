//! Writes requests of the OpenAI chat completions dialect.

use crate::endpoint::TokenField;
use crate::item::{self, Request};
use crate::outcome::Failure;
use crate::provider::body::{Body, invalid, push_message};
use crate::provider::messages;

/// The cap on output tokens as OpenAI calls it.
pub(in crate::provider) const NEW_CAP: &str = "max_completion_tokens";
/// The cap as it was called before, and as most compatible servers call it.
pub(in crate::provider) const OLD_CAP: &str = "max_tokens";

/// Writes a request.
pub(in crate::provider) fn encode(cap: TokenField, request: &Request) -> Result<Vec<u8>, Failure> {
    let mut body = Body::begin(request)?;
    if let Some(out) = body.member("messages") {
        push_messages(out, request)?;
    }
    // Never both spellings: a server knows one of them and may reject the other.
    let capped = body.has_extra(NEW_CAP) || body.has_extra(OLD_CAP);
    if let Some(max) = request.shared.max_tokens.filter(|_| !capped) {
        let name = match cap {
            TokenField::MaxCompletionTokens => NEW_CAP,
            TokenField::MaxTokens => OLD_CAP,
        };
        body.number(name, max);
    }
    if request.shared.stream {
        body.json("stream", "true");
        // Without it a stream does not say what it cost.
        body.json("stream_options", "{\"include_usage\":true}");
    }
    Ok(body.end(&request.shared))
}

fn push_messages(out: &mut Vec<u8>, request: &Request) -> Result<(), Failure> {
    let system = request.system.as_deref();
    out.push(b'[');
    match &request.content {
        item::Content::Prompt(prompt) => {
            if let Some(system) = system {
                push_message(out, "system", system);
                out.push(b',');
            }
            push_message(out, "user", prompt);
        }
        item::Content::Messages(array) => {
            let inside = messages::inside(array)?;
            if let Some(system) = system {
                // The array's own system message is meant for this item and goes first.
                if !messages::list(array)?.iter().any(|m| m.is_system) {
                    push_message(out, "system", system);
                    out.push(b',');
                }
            }
            out.extend_from_slice(inside.as_bytes());
        }
        item::Content::Conversation(_) | item::Content::Raw(_) => {
            return Err(invalid("this dialect cannot carry these messages yet"));
        }
    }
    out.push(b']');
    Ok(())
}
