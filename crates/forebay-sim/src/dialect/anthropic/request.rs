//! Reads and validates a messages request.
//!
//! Owns what this dialect rejects with 400. Never sees the key.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dialect::message::{self, Content, Message, Text};
use crate::dialect::{ApiError, Ask, Parsed, StreamForm};

/// The version that allows system messages and takes no sampling parameters.
const NEWEST: &[u8] = b"2026-10-21";

/// All versions.
const VERSIONS: [&[u8]; 3] = [b"2023-01-01", b"2023-06-01", NEWEST];

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    messages: Option<Vec<Message<'a>>>,
    #[serde(borrow, default)]
    system: Content<'a>,
    max_tokens: Option<u64>,
    stream: Option<bool>,
    temperature: Option<IgnoredAny>,
    top_p: Option<IgnoredAny>,
    top_k: Option<IgnoredAny>,
}

pub(in crate::dialect) fn parse<'a>(version: Option<&[u8]>, body: &'a [u8]) -> Parsed<'a> {
    let mut body: Body<'_> = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => {
            let message = match error.is_data() {
                true => format!("Invalid request body: {error}"),
                false => format!("The request body is not valid JSON: {error}"),
            };
            return Parsed {
                problem: Some(ApiError::invalid(message)),
                ..Parsed::default()
            };
        }
    };
    let problem = bad_version(version).or_else(|| problem(version == Some(NEWEST), &body));
    let messages = body.messages.as_deref_mut().unwrap_or_default();
    let chars = message::chars(messages) + body.system.0.chars().count() as u64;
    let prompt = message::last_user(messages);
    let mut earlier = message::others(messages);
    if !body.system.0.is_empty() {
        earlier.insert(0, body.system.0);
    }
    let ask = Ask {
        prompt,
        earlier,
        model: body.model.unwrap_or_default().0,
        input_tokens: message::tokens_of_chars(chars),
        max_output: body.max_tokens,
        stream: (body.stream == Some(true)).then_some(StreamForm {
            usage: true,
            sse: true,
        }),
        ..Ask::default()
    };
    Parsed { ask, problem }
}

fn bad_version(version: Option<&[u8]>) -> Option<ApiError> {
    match version {
        None => Some(ApiError::invalid("anthropic-version: header is required")),
        Some(version) if !VERSIONS.contains(&version) => {
            let version = String::from_utf8_lossy(version);
            let message = format!("anthropic-version: \"{version}\" is not a valid version");
            Some(ApiError::invalid(message))
        }
        Some(_) => None,
    }
}

fn problem(newest: bool, body: &Body<'_>) -> Option<ApiError> {
    let required = |name| Some(ApiError::invalid(format!("{name}: Field required")));
    if body.model.as_ref().is_none_or(|model| model.0.is_empty()) {
        return required("model");
    }
    if body.max_tokens.is_none() {
        return required("max_tokens");
    }
    let Some(messages) = &body.messages else {
        return required("messages");
    };
    if messages.is_empty() {
        return Some(ApiError::invalid(
            "messages: at least one message is required",
        ));
    }
    for message in messages {
        match &*message.role.0 {
            "user" | "assistant" => {}
            "system" if newest => {}
            "system" => {
                return Some(ApiError::invalid(
                    "messages: Unexpected role \"system\". The Messages API accepts a top-level \
                     `system` parameter, not \"system\" as an input message role.",
                ));
            }
            role => {
                let message = format!("messages: Unexpected role \"{role}\".");
                return Some(ApiError::invalid(message));
            }
        }
    }
    if newest
        && [&body.temperature, &body.top_p, &body.top_k]
            .iter()
            .any(|p| p.is_some())
    {
        return Some(ApiError::invalid(
            "temperature, top_p and top_k: Extra inputs are not permitted",
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_differ_in_roles_and_sampling() {
        let message = |version: Option<&[u8]>, role: &str, more: &str| {
            let body = format!(
                r#"{{"model":"m","max_tokens":5,{more}"messages":[{{"role":"{role}","content":"x"}}]}}"#
            );
            parse(version, body.as_bytes())
                .problem
                .map(|problem| problem.message)
        };
        let old = Some(&b"2023-06-01"[..]);
        assert_eq!(message(old, "user", r#""temperature":1,"#), None);
        assert!(
            message(old, "system", "")
                .unwrap()
                .contains("Unexpected role \"system\"")
        );
        assert_eq!(message(Some(NEWEST), "system", ""), None);
        assert!(message(Some(NEWEST), "user", r#""top_p":1,"#).is_some());
        assert!(
            message(None, "user", "")
                .unwrap()
                .contains("header is required")
        );
    }
}
