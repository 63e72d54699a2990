//! Reads and validates a chat completion request.
//!
//! Owns what this dialect rejects with 400. Never sees the key.

use serde::Deserialize;

use crate::dialect::message::{self, Message, Text};
use crate::dialect::{ApiError, Ask, Parsed, StreamForm};

/// Models that reject `max_tokens`.
const REASONING: [&str; 4] = ["o1", "o3", "o4", "gpt-5"];

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    messages: Option<Vec<Message<'a>>>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

pub(in crate::dialect) fn parse(body: &[u8]) -> Parsed<'_> {
    let mut body: Body<'_> = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => {
            return Parsed {
                problem: Some(malformed(&error)),
                ..Parsed::default()
            };
        }
    };
    let problem = problem(&body);
    let messages = body.messages.as_deref_mut().unwrap_or_default();
    let input_tokens = message::tokens_of_chars(message::chars(messages));
    let ask = Ask {
        prompt: message::last_user(messages),
        earlier: message::others(messages),
        model: body.model.unwrap_or_default().0,
        input_tokens,
        max_output: body.max_completion_tokens.or(body.max_tokens),
        stream: (body.stream == Some(true)).then(|| StreamForm {
            usage: body
                .stream_options
                .is_some_and(|options| options.include_usage == Some(true)),
            sse: true,
        }),
        ..Ask::default()
    };
    Parsed { ask, problem }
}

fn malformed(error: &serde_json::Error) -> ApiError {
    if error.is_data() {
        return ApiError::invalid(format!("Invalid request body: {error}"));
    }
    ApiError::invalid(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't \
         using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was \
         sent was not valid JSON.)",
    )
}

fn problem(body: &Body<'_>) -> Option<ApiError> {
    let model = body.model.as_ref().map_or("", |model| &model.0);
    if model.is_empty() {
        return Some(ApiError::invalid("you must provide a model parameter"));
    }
    let Some(messages) = &body.messages else {
        return Some(ApiError {
            param: Some("messages"),
            code: Some("missing_required_parameter".into()),
            ..ApiError::invalid("Missing required parameter: 'messages'.")
        });
    };
    if messages.is_empty() {
        return Some(ApiError {
            param: Some("messages"),
            code: Some("empty_array".into()),
            ..ApiError::invalid(
                "Invalid 'messages': empty array. Expected an array with minimum length 1, but \
                 got an empty array instead.",
            )
        });
    }
    if body.max_tokens.is_some() && REASONING.iter().any(|name| model.starts_with(name)) {
        return Some(ApiError {
            param: Some("max_tokens"),
            code: Some("unsupported_parameter".into()),
            ..ApiError::invalid(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                 'max_completion_tokens' instead.",
            )
        });
    }
    if body.max_completion_tokens.or(body.max_tokens) == Some(0) {
        return Some(ApiError {
            param: Some("max_tokens"),
            code: Some("integer_below_min_value".into()),
            ..ApiError::invalid(
                "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but \
                 got 0 instead.",
            )
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_models_reject_max_tokens() {
        let code = |model: &str, field: &str| {
            let body = format!(
                r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}],"{field}":5}}"#
            );
            parse(body.as_bytes()).problem.map(|problem| problem.code)
        };
        assert_eq!(
            code("o3-mini", "max_tokens"),
            Some(Some("unsupported_parameter".into()))
        );
        assert_eq!(
            code("gpt-5", "max_tokens"),
            Some(Some("unsupported_parameter".into()))
        );
        assert_eq!(code("gpt-5", "max_completion_tokens"), None);
        assert_eq!(code("gpt-4o", "max_tokens"), None);
    }
}
