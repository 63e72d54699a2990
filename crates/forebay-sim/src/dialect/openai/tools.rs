//! Reads what a request says of functions and of the form of its text.
//!
//! Owns the choice of the function that an answer has to call and of the schema that it has to
//! keep to. Never writes a call.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::ApiError;
use crate::dialect::message::Text;

/// The schema of a text of which no more is known than that it is a JSON object.
const ANY_OBJECT: &str = r#"{"type":"object","properties":{"answer":{"type":"string"}}}"#;

/// A function that has to be called.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    pub(super) name: Cow<'a, str>,
    /// The JSON Schema of its parameters.
    pub(super) parameters: Option<&'a str>,
}

/// A tool, as chat completions (with `function`) or responses (without) describe it.
#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    function: Option<Function<'a>>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
}

/// The function that an answer has to call, if it has to call one.
pub(super) fn chosen<'a>(
    tools: Option<&'a RawValue>,
    choice: Option<&'a RawValue>,
) -> Result<Option<Chosen<'a>>, Box<ApiError>> {
    let Some(choice) = choice.map(RawValue::get).filter(|raw| *raw != "null") else {
        return Ok(None);
    };
    let tools: Vec<Tool<'a>> = match tools {
        Some(tools) => serde_json::from_str::<Option<_>>(tools.get())
            .map_err(|error| bad("tools", format!("Invalid value for 'tools': {error}")))?
            .unwrap_or_default(),
        None => Vec::new(),
    };
    let mut functions = tools.into_iter().map(|tool| match tool.function {
        Some(function) => (function.name.0, function.parameters),
        None => (tool.name.0, tool.parameters),
    });
    let found = match word(choice) {
        Some("none" | "auto") => return Ok(None),
        Some("required") => functions.next(),
        Some(other) => {
            let message = format!(
                "Invalid value: '{other}'. Supported values are: 'none', 'auto', and 'required'."
            );
            return Err(bad("tool_choice", message));
        }
        None => {
            let named: Tool<'a> = serde_json::from_str(choice)
                .map_err(|error| bad("tool_choice", format!("Invalid 'tool_choice': {error}")))?;
            let name = named.function.map_or(named.name, |function| function.name);
            let found = functions.find(|(known, _)| *known == name.0);
            if found.is_none() {
                let name = name.0;
                let message = format!("Tool choice '{name}' not found in 'tools' parameter.");
                return Err(bad("tool_choice", message));
            }
            found
        }
    };
    let Some((name, parameters)) = found else {
        let message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when \
                       'tools' are specified.";
        return Err(bad("tool_choice", message.to_owned()));
    };
    let parameters = parameters.map(RawValue::get);
    Ok(Some(Chosen { name, parameters }))
}

/// The text of a JSON string without escapes.
fn word(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// How a text is to be written: chat completions keep name and schema one level deeper.
#[derive(Deserialize)]
struct Format<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    json_schema: Option<Schema<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Schema<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
}

/// Where a request has the form of its text, in its errors' words.
#[derive(Clone, Copy)]
pub(super) struct FormatAt {
    pub(super) param: &'static str,
    pub(super) name: &'static str,
}

/// The schema that a text has to keep to, if it has to keep to one.
///
/// `says_json` tells whether the messages say that they want JSON, which a text that is only to
/// be some object needs.
pub(super) fn text_schema<'a>(
    format: Option<&'a RawValue>,
    at: FormatAt,
    says_json: impl FnOnce() -> bool,
) -> Result<Option<&'a str>, Box<ApiError>> {
    let Some(format) = format.map(RawValue::get).filter(|raw| *raw != "null") else {
        return Ok(None);
    };
    let format: Format<'a> = serde_json::from_str(format)
        .map_err(|error| bad(at.param, format!("Invalid '{}': {error}", at.param)))?;
    match &*format.kind.0 {
        "text" => Ok(None),
        "json_object" if says_json() => Ok(Some(ANY_OBJECT)),
        "json_object" => {
            let message = format!(
                "'messages' must contain the word 'json' in some form, to use '{}' of type \
                 'json_object'.",
                at.param
            );
            Err(bad("messages", message))
        }
        "json_schema" => {
            let Schema { name, schema } = format.json_schema.unwrap_or(Schema {
                name: format.name,
                schema: format.schema,
            });
            if name.is_none_or(|name| name.0.is_empty()) {
                let message = format!("Missing required parameter: '{}'.", at.name);
                return Err(coded("missing_required_parameter", at.name, message));
            }
            Ok(Some(schema.map_or(ANY_OBJECT, RawValue::get)))
        }
        kind => {
            let message = format!(
                "Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', \
                 and 'text'."
            );
            Err(coded("invalid_value", at.param, message))
        }
    }
}

fn bad(param: &'static str, message: String) -> Box<ApiError> {
    Box::new(ApiError {
        param: Some(param),
        ..ApiError::invalid(message)
    })
}

/// The same with a code.
fn coded(code: &'static str, param: &'static str, message: String) -> Box<ApiError> {
    Box::new(ApiError {
        code: Some(code.into()),
        ..*bad(param, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Option<&RawValue> {
        Some(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn tools_are_described_in_two_ways_and_chosen_in_four() {
        let chat = r#"[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}},{"type":"function","function":{"name":"g"}}]"#;
        let responses = r#"[{"type":"function","name":"f","parameters":{"type":"object"}},{"type":"function","name":"g"}]"#;
        for tools in [chat, responses] {
            let name = |choice: &str| {
                let chosen = chosen(raw(tools), raw(choice)).map_err(|error| error.param)?;
                let parameters = |chosen: &Chosen<'_>| chosen.parameters.map(str::to_owned);
                Ok(chosen.map(|chosen| (chosen.name.to_string(), parameters(&chosen))))
            };
            let f = Some(("f".to_owned(), Some(r#"{"type":"object"}"#.to_owned())));
            assert_eq!(name(r#""required""#), Ok(f));
            assert_eq!(name(r#""auto""#), Ok(None));
            let g = Ok(Some(("g".to_owned(), None)));
            assert_eq!(name(r#"{"type":"function","name":"g"}"#), g);
            assert_eq!(name(r#"{"type":"function","function":{"name":"g"}}"#), g);
            assert_eq!(
                name(r#"{"type":"function","name":"h"}"#),
                Err(Some("tool_choice"))
            );
            assert_eq!(name(r#""perhaps""#), Err(Some("tool_choice")));
        }
        assert!(chosen(None, raw(r#""required""#)).is_err());
        assert!(chosen(raw("[]"), None).unwrap().is_none());
    }
}
