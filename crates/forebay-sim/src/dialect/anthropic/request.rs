//! Reads and validates a messages request, and one that only counts its tokens.
//!
//! Owns what this dialect rejects with 400. Never sees the key.

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dialect::message::{self, Content, Message, Text};
use crate::dialect::{ApiError, Ask, Parsed, StreamForm};

/// The version that allows system messages and takes no sampling parameters.
const NEWEST: &[u8] = b"2026-10-21";

/// All versions.
const VERSIONS: [&[u8]; 3] = [b"2023-01-01", b"2023-06-01", NEWEST];

/// The most bytes of a request; Anthropic's errors page.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The most messages of a request; Anthropic API reference.
const MOST_MESSAGES: usize = 100_000;

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
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
    #[serde(borrow, default)]
    stop_sequences: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    tools: Option<Vec<Tool<'a>>>,
    #[serde(borrow)]
    tool_choice: Option<ToolChoice<'a>>,
    #[serde(borrow)]
    output_config: Option<OutputConfig<'a>>,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow)]
    input_schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolChoice<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct OutputConfig<'a> {
    #[serde(borrow)]
    format: Option<Format<'a>>,
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
}

impl<'a> Body<'a> {
    /// The tool that the answer has to call.
    fn tool(&self) -> Option<&Tool<'a>> {
        let choice = self.tool_choice.as_ref()?;
        let mut tools = self.tools.iter().flatten();
        match &*choice.kind.0 {
            "any" => tools.next(),
            "tool" => tools.find(|tool| choice.name.as_ref() == Some(&tool.name)),
            _ => None,
        }
    }

    /// The schema that the answer's text has to keep to.
    fn text_schema(&self) -> Option<&'a RawValue> {
        self.output_config.as_ref()?.format.as_ref()?.schema
    }
}

/// What is asked of the messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect) enum Want {
    Answer,
    Count,
}

pub(in crate::dialect) fn parse<'a>(
    version: Option<&[u8]>,
    want: Want,
    bytes: &'a [u8],
) -> Parsed<'a> {
    if bytes.len() > MOST_BYTES {
        return Parsed {
            problem: Some(ApiError::of(413)),
            ..Parsed::default()
        };
    }
    let mut body: Body<'_> = match serde_json::from_slice(bytes) {
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
    let newest = version == Some(NEWEST);
    let problem = bad_version(version)
        .or_else(|| problem(newest, want, &body))
        .or_else(|| bad_tools(&body))
        .or_else(|| bad_parts(newest, bytes));
    let function = body.tool().map(|tool| tool.name.0.clone());
    let schema = match body.tool() {
        Some(tool) => tool.input_schema,
        None => body.text_schema(),
    };
    let messages = body.messages.as_deref_mut().unwrap_or_default();
    let tools = body.tools.iter().flatten();
    let tool_chars = tools.map(|tool| tool.input_schema.map_or(0, |schema| schema.get().len()));
    let chars = message::chars(messages)
        + body.system.0.chars().count() as u64
        + tool_chars.sum::<usize>() as u64;
    let answers = message::answers(messages);
    let prompt = message::last_user(messages);
    let mut earlier = message::others(messages);
    if !body.system.0.is_empty() {
        earlier.insert(0, body.system.0);
    }
    let ask = Ask {
        prompt,
        earlier,
        answers,
        model: body.model.unwrap_or_default().0,
        input_tokens: message::tokens_of_chars(chars),
        max_output: body.max_tokens,
        stream: (body.stream == Some(true) && want == Want::Answer).then_some(StreamForm {
            usage: true,
            sse: true,
        }),
        function,
        schema: schema.map(RawValue::get),
        stop: body
            .stop_sequences
            .unwrap_or_default()
            .into_iter()
            .map(|sequence| sequence.0)
            .collect(),
        ..Ask::default()
    };
    Parsed { ask, problem }
}

pub(in crate::dialect) fn bad_version(version: Option<&[u8]>) -> Option<ApiError> {
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

fn problem(newest: bool, want: Want, body: &Body<'_>) -> Option<ApiError> {
    let required = |name| Some(ApiError::invalid(format!("{name}: Field required")));
    if body.model.as_ref().is_none_or(|model| model.0.is_empty()) {
        return required("model");
    }
    if body.max_tokens.is_none() && want == Want::Answer {
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
    if messages.len() > MOST_MESSAGES {
        return Some(ApiError::invalid(format!(
            "messages: at most {MOST_MESSAGES} messages are allowed"
        )));
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

fn bad_tools(body: &Body<'_>) -> Option<ApiError> {
    let choice = body.tool_choice.as_ref()?;
    if body.tools.as_ref().is_none_or(Vec::is_empty) {
        return Some(ApiError::invalid(
            "tool_choice: may only be specified while providing tools",
        ));
    }
    match &*choice.kind.0 {
        "auto" | "none" => None,
        "any" | "tool" if body.tool().is_some() => None,
        "tool" => {
            let name = choice.name.as_ref().map_or("", |name| &name.0);
            let message = format!("tool_choice: Tool '{name}' not found in provided tools");
            Some(ApiError::invalid(message))
        }
        kind => Some(ApiError::invalid(format!(
            "tool_choice: Input tag '{kind}' found using 'type' does not match any of the \
             expected tags: 'auto', 'any', 'tool', 'none'"
        ))),
    }
}

/// What the newest version no longer takes in a message's parts.
fn bad_parts(newest: bool, bytes: &[u8]) -> Option<ApiError> {
    let has = |word: &str| memmem::find(bytes, word.as_bytes()).is_some();
    if !newest || !(has("\"document\"") || has("\"citations\"")) {
        return None;
    }
    let body: Value = serde_json::from_slice(bytes).ok()?;
    let messages = body["messages"].as_array()?;
    for (at, message) in messages.iter().enumerate() {
        let parts = message["content"].as_array().into_iter().flatten();
        for (part_at, part) in parts.enumerate() {
            let place = format!("messages.{at}.content.{part_at}");
            if message["role"] == "assistant" && part["type"] == "document" {
                return Some(ApiError::invalid(format!(
                    "{place}: `document` blocks are not permitted in assistant messages"
                )));
            }
            if message["role"] == "user" && part["type"] == "text" && !part["citations"].is_null() {
                return Some(ApiError::invalid(format!(
                    "{place}.text.citations: Extra inputs are not permitted"
                )));
            }
        }
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
            parse(version, Want::Answer, body.as_bytes())
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
