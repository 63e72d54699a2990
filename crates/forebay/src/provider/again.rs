//! The same request once more, in other words or with more room.
//!
//! Owns the place of a conversation and of the cap on output tokens in each dialect's body.
//! Never decides whether to ask again; the engine does.

use super::Encoded;
use super::body::push_message;
use super::edit::{Edit, longer};
use super::openai::{NEW_CAP, OLD_CAP};
use crate::endpoint::{Dialect, Endpoint, TokenField};
use crate::fields::{as_str, push_json_str};
use crate::outcome::Reply;

/// How much the cap on output tokens grows each time.
const GROWTH: u64 = 2;

/// The conversation of a request, gone on with: the model's answer, then what the user says of
/// it. Everything else of the body stays as it is.
///
/// `None` when the body holds no conversation of the endpoint's dialect, as a body that somebody
/// else wrote may not.
pub fn follow_up(
    endpoint: &Endpoint,
    request: &Encoded,
    reply: &Reply,
    message: &str,
) -> Option<Encoded> {
    let body = Edit::of(&request.body)?;
    let text = reply.text.as_deref().unwrap_or_default();
    let turns = turns(endpoint.dialect, text, message);
    let name = match endpoint.dialect {
        Dialect::Chat | Dialect::Anthropic => "messages",
        Dialect::Responses => "input",
        Dialect::Gemini => "contents",
        Dialect::Embeddings => return None,
    };
    let said = body.get(name)?;
    let said = match longer(said, &turns) {
        Some(said) => said,
        None => as_array(endpoint.dialect, said, &turns)?,
    };
    Some(Encoded {
        body: body.with(name, &said).into(),
        ..request.clone()
    })
}

/// What the model said and what is said to it, as elements of the conversation.
fn turns(dialect: Dialect, text: &str, message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + message.len() + 96);
    let [model, user] = match dialect {
        Dialect::Gemini => ["model", "user"],
        _ => ["assistant", "user"],
    };
    // Some providers refuse a message without text.
    if !text.trim().is_empty() {
        push_turn(&mut out, dialect, model, text);
        out.push(b',');
    }
    push_turn(&mut out, dialect, user, message);
    out
}

fn push_turn(out: &mut Vec<u8>, dialect: Dialect, role: &str, text: &str) {
    if dialect != Dialect::Gemini {
        return push_message(out, role, text);
    }
    out.extend_from_slice(b"{\"role\":\"");
    out.extend_from_slice(role.as_bytes());
    out.extend_from_slice(b"\",\"parts\":[{\"text\":");
    push_json_str(out, text);
    out.extend_from_slice(b"}]}");
}

/// A conversation that is written as one value, as some dialects allow, and its further turns.
fn as_array(dialect: Dialect, said: &serde_json::value::RawValue, turns: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![b'['];
    match dialect {
        Dialect::Responses => push_message(&mut out, "user", &as_str(said)?),
        Dialect::Gemini if said.get().starts_with('{') => {
            out.extend_from_slice(said.get().as_bytes());
        }
        _ => return None,
    }
    out.push(b',');
    out.extend_from_slice(turns);
    out.push(b']');
    Some(out)
}

/// A request with twice the room for its answer, and how much that is.
///
/// `used` is what the cut answer took, for a request that bears no cap; `most` is what the model
/// can write at all. `None` when there is no more room to give, or it is not known how much there
/// was.
pub fn raise_cap(
    endpoint: &Endpoint,
    request: &Encoded,
    used: Option<u64>,
    most: Option<u64>,
) -> Option<(Encoded, u64)> {
    let body = Edit::of(&request.body)?;
    let (outer, name) = place_of_cap(endpoint, &body)?;
    let inner = outer.map(|outer| body.get(outer).map_or("{}", |object| object.get()));
    let object = match inner {
        None => Edit::of(&request.body)?,
        Some(inner) => Edit::of(inner.as_bytes())?,
    };
    let now = object
        .get(name)
        .and_then(|cap| cap.get().parse().ok())
        .or(used)?;
    let cap = now.saturating_mul(GROWTH).min(most.unwrap_or(u64::MAX));
    if cap <= now {
        return None;
    }
    let object = object.with(name, cap.to_string().as_bytes());
    let body = match outer {
        None => object,
        Some(outer) => body.with(outer, &object),
    };
    let grown = |most: u64| (most / now.max(1)).max(1).saturating_mul(cap);
    let request = Encoded {
        body: body.into(),
        max_output: Some(request.max_output.map_or(cap, grown)),
        ..request.clone()
    };
    Some((request, cap))
}

/// The member that holds the cap, and the object that it stands in unless that is the body.
fn place_of_cap(
    endpoint: &Endpoint,
    body: &Edit<'_>,
) -> Option<(Option<&'static str>, &'static str)> {
    Some(match endpoint.dialect {
        Dialect::Chat => {
            let there = [NEW_CAP, OLD_CAP].into_iter();
            let own = match endpoint.token_field {
                TokenField::MaxCompletionTokens => NEW_CAP,
                TokenField::MaxTokens => OLD_CAP,
            };
            let name = there.into_iter().find(|name| body.get(name).is_some());
            (None, name.unwrap_or(own))
        }
        Dialect::Responses => (None, "max_output_tokens"),
        Dialect::Anthropic => (None, "max_tokens"),
        Dialect::Gemini => (Some("generationConfig"), "maxOutputTokens"),
        Dialect::Embeddings => return None,
    })
}

#[cfg(test)]
mod tests;
