//! Reads and validates a chat completion request.
//!
//! Owns what this dialect rejects with 400. Never sees the key.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::tools::{self, FormatAt};
use crate::dialect::message::{self, Message, Text};
use crate::dialect::{ApiError, Ask, Details, Parsed, StreamForm};

/// Models that reject `max_tokens`.
const REASONING: [&str; 4] = ["o1", "o3", "o4", "gpt-5"];

/// The most choices of one answer; OpenAI API reference.
const MOST_CHOICES: u32 = 128;

/// The most stop sequences; OpenAI API reference.
const MOST_STOPS: usize = 4;

/// Where the form of the text is asked for.
const FORMAT: FormatAt = FormatAt {
    param: "response_format",
    name: "response_format.json_schema.name",
};

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    messages: Option<Vec<Message<'a>>>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<u32>,
    #[serde(borrow)]
    stop: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl<'a> Body<'a> {
    /// Whether any message says "JSON".
    fn says_json(&self) -> bool {
        let says = |message: &Message<'_>| {
            let text = &message.content.0;
            text.to_ascii_lowercase().contains("json")
        };
        self.messages.iter().flatten().any(says)
    }

    fn stops(&self) -> Result<Vec<Cow<'a, str>>, Box<ApiError>> {
        let Some(stop) = self.stop else {
            return Ok(Vec::new());
        };
        let stops = serde_json::from_str::<Option<Text<'a>>>(stop.get())
            .map(Vec::from_iter)
            .or_else(|_| serde_json::from_str::<Vec<Text<'a>>>(stop.get()));
        match stops {
            Ok(stops) if stops.len() <= MOST_STOPS => {
                Ok(stops.into_iter().map(|stop| stop.0).collect())
            }
            Ok(_) | Err(_) => Err(Box::new(ApiError {
                param: Some("stop"),
                ..ApiError::invalid(format!(
                    "Invalid 'stop': expected a string or an array of at most {MOST_STOPS} \
                     strings."
                ))
            })),
        }
    }
}

pub(in crate::dialect) fn parse(body: &[u8]) -> Parsed<'_> {
    let mut body: Body<'_> = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => return malformed(&error),
    };
    let mut problem = problem(&body);
    // Kept apart, so that the first problem stays the one that is told.
    let mut note = |error: Box<ApiError>| {
        problem.get_or_insert(*error);
    };
    let chosen = tools::chosen(body.tools, body.tool_choice).unwrap_or_else(|error| {
        note(error);
        None
    });
    let text_schema = tools::text_schema(body.response_format, FORMAT, || body.says_json())
        .unwrap_or_else(|error| {
            note(error);
            None
        });
    let stop = body.stops().unwrap_or_else(|error| {
        note(error);
        Vec::new()
    });
    let (function, schema) = match chosen {
        Some(chosen) => (Some(chosen.name), chosen.parameters),
        None => (None, text_schema),
    };
    let messages = body.messages.as_deref_mut().unwrap_or_default();
    let tool_chars = body.tools.map_or(0, |tools| tools.get().len() as u64);
    let input_tokens = message::tokens_of_chars(message::chars(messages) + tool_chars);
    let ask = Ask {
        answers: message::answers(messages),
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
        function,
        schema,
        stop,
        details: match body.n {
            None | Some(0 | 1) => Details::None,
            Some(n) => Details::Choices(n),
        },
    };
    Parsed { ask, problem }
}

/// A body that is not JSON, or not of the right types.
pub(super) fn malformed<'a>(error: &serde_json::Error) -> Parsed<'a> {
    let problem = match error.is_data() {
        true => ApiError::invalid(format!("Invalid request body: {error}")),
        false => ApiError::invalid(NO_JSON),
    };
    Parsed {
        problem: Some(problem),
        ..Parsed::default()
    }
}

/// What OpenAI says of a body that is not JSON.
const NO_JSON: &str = "We could not parse the JSON body of your request. (HINT: This likely means you aren't \
         using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was \
         sent was not valid JSON.)";

/// The model, or the problem that there is none.
pub(super) fn named<'m>(model: Option<&'m Text<'_>>) -> Result<&'m str, Box<ApiError>> {
    match model.map_or("", |model| &model.0) {
        "" => Err(Box::new(ApiError::invalid(
            "you must provide a model parameter",
        ))),
        model => Ok(model),
    }
}

/// The problem that a parameter is missing.
pub(super) fn missing(param: &'static str) -> ApiError {
    ApiError {
        param: Some(param),
        code: Some("missing_required_parameter".into()),
        ..ApiError::invalid(format!("Missing required parameter: '{param}'."))
    }
}

/// The problem that a parameter is below its least value.
pub(super) fn below(param: &'static str, least: u64, got: u64) -> ApiError {
    ApiError {
        param: Some(param),
        code: Some("integer_below_min_value".into()),
        ..ApiError::invalid(format!(
            "Invalid '{param}': integer below minimum value. Expected a value >= {least}, but got \
             {got} instead."
        ))
    }
}

fn problem(body: &Body<'_>) -> Option<ApiError> {
    let model = match named(body.model.as_ref()) {
        Ok(model) => model,
        Err(problem) => return Some(*problem),
    };
    let Some(messages) = &body.messages else {
        return Some(missing("messages"));
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
        return Some(below("max_tokens", 1, 0));
    }
    match body.n {
        Some(0) => Some(below("n", 1, 0)),
        Some(n) if n > MOST_CHOICES => Some(ApiError {
            param: Some("n"),
            code: Some("integer_above_max_value".into()),
            ..ApiError::invalid(format!(
                "Invalid 'n': integer above maximum value. Expected a value <= {MOST_CHOICES}, \
                 but got {n} instead."
            ))
        }),
        None | Some(_) => None,
    }
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
