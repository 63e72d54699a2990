//! Reads and validates a request to generate content or to count its tokens.
//!
//! Owns what this dialect rejects with 400. Never sees the key. Names are taken in camel and
//! in snake case, and one thing where a list is wanted, as protobuf's JSON form has it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::many::Many;
use crate::dialect::message::{Text, tokens_of_chars};
use crate::dialect::{ApiError, Around, Ask, Details, Parsed, StreamForm};
use crate::http::param;

/// The share of its budget that a model thinks.
const THOUGHTS: u64 = 4;

/// What is asked of the contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Want {
    Answer,
    Stream,
    Count,
}

#[derive(Default, Deserialize)]
#[serde(
    default,
    bound = "'de: 'a",
    rename_all = "camelCase",
    expecting = "a JSON object"
)]
struct Body<'a> {
    contents: Many<Content<'a>>,
    #[serde(alias = "system_instruction")]
    system_instruction: Option<Content<'a>>,
    #[serde(alias = "generation_config")]
    generation_config: Option<GenerationConfig<'a>>,
    tools: Many<Tool<'a>>,
    #[serde(alias = "tool_config")]
    tool_config: Option<ToolConfig<'a>>,
    /// What `countTokens` takes in place of contents.
    #[serde(alias = "generate_content_request")]
    generate_content_request: Option<Box<Body<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Content<'a> {
    role: Option<Text<'a>>,
    parts: Many<Part<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a")]
struct Part<'a> {
    text: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a", rename_all = "camelCase")]
struct GenerationConfig<'a> {
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<i64>,
    #[serde(alias = "candidate_count")]
    candidate_count: Option<i64>,
    #[serde(alias = "stop_sequences")]
    stop_sequences: Option<Vec<Text<'a>>>,
    #[serde(alias = "response_mime_type")]
    response_mime_type: Option<Text<'a>>,
    #[serde(borrow, alias = "response_schema")]
    response_schema: Option<&'a RawValue>,
    #[serde(borrow, alias = "response_json_schema", alias = "_responseJsonSchema")]
    response_json_schema: Option<&'a RawValue>,
    #[serde(alias = "thinking_config")]
    thinking_config: Option<ThinkingConfig>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ThinkingConfig {
    #[serde(alias = "thinking_budget")]
    thinking_budget: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a", rename_all = "camelCase")]
struct Tool<'a> {
    #[serde(alias = "function_declarations")]
    function_declarations: Many<Function<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a", rename_all = "camelCase")]
struct Function<'a> {
    name: Text<'a>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    #[serde(borrow, alias = "parameters_json_schema")]
    parameters_json_schema: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a", rename_all = "camelCase")]
struct ToolConfig<'a> {
    #[serde(alias = "function_calling_config")]
    function_calling_config: Option<Calling<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound = "'de: 'a", rename_all = "camelCase")]
struct Calling<'a> {
    mode: Text<'a>,
    #[serde(alias = "allowed_function_names")]
    allowed_function_names: Option<Vec<Text<'a>>>,
}

pub(in crate::dialect) fn parse<'a>(around: Around<'a>, want: Want, bytes: &'a [u8]) -> Parsed<'a> {
    let mut body: Body<'a> = match serde_json::from_slice(bytes) {
        Ok(body) => body,
        Err(error) => {
            let message = format!("Invalid JSON payload received. {error}");
            return Parsed {
                problem: Some(ApiError::invalid(message)),
                ask: Ask {
                    model: Cow::Borrowed(around.model.unwrap_or_default()),
                    ..Ask::default()
                },
            };
        }
    };
    if let Some(inner) = body.generate_content_request.take() {
        body = *inner;
    }
    let problem = problem(want, &body);
    let input_tokens = tokens_of_chars(body.chars());
    let function = body.function();
    let schema = match function {
        Some(function) => function.parameters.or(function.parameters_json_schema),
        None => None,
    };
    let function = function.map(|function| function.name.0.clone());
    let answers = answers(&body.contents.0);
    let prompt = last_user(&mut body.contents.0);
    let earlier = body.texts();
    let config = body.generation_config.unwrap_or_default();
    let ask = Ask {
        model: Cow::Borrowed(around.model.unwrap_or_default()),
        prompt,
        earlier,
        answers,
        input_tokens,
        max_output: config.max_output_tokens.and_then(|n| u64::try_from(n).ok()),
        stream: (want == Want::Stream).then(|| StreamForm {
            usage: true,
            sse: param(around.query, "alt").as_deref() == Some("sse"),
        }),
        schema: schema.map(RawValue::get).or(match function {
            Some(_) => None,
            None => config.text_schema(),
        }),
        function,
        stop: config.stop_sequences().collect(),
        details: Details::Gemini {
            candidates: config.candidate_count.unwrap_or(1).clamp(1, 8) as u32,
            thoughts: config.thoughts(),
        },
    };
    Parsed { ask, problem }
}

impl<'a> Body<'a> {
    fn chars(&self) -> u64 {
        let contents = self.contents.0.iter().chain(&self.system_instruction);
        let parts = contents.flat_map(|content| &content.parts.0);
        let texts = parts.filter_map(|part| part.text.as_ref());
        texts.map(|text| text.0.chars().count() as u64).sum()
    }

    /// Takes all texts, the instruction's first.
    fn texts(&mut self) -> Vec<Cow<'a, str>> {
        let contents = self
            .system_instruction
            .iter_mut()
            .chain(&mut self.contents.0);
        let parts = contents.flat_map(|content| &mut content.parts.0);
        let texts = parts.filter_map(|part| part.text.take());
        texts.map(|text| text.0).collect()
    }

    fn calling(&self) -> Option<&Calling<'a>> {
        let calling = self
            .tool_config
            .as_ref()?
            .function_calling_config
            .as_ref()?;
        (*calling.mode.0 == *"ANY").then_some(calling)
    }

    /// The function that the answer has to call.
    fn function(&self) -> Option<&Function<'a>> {
        let allowed = self.calling()?.allowed_function_names.as_deref();
        let allowed = allowed.unwrap_or_default();
        let mut functions = self
            .tools
            .0
            .iter()
            .flat_map(|tool| &tool.function_declarations.0);
        functions.find(|function| allowed.is_empty() || allowed.contains(&function.name))
    }
}

impl<'a> GenerationConfig<'a> {
    /// The schema of an answer in JSON; any JSON will do if none is given.
    fn text_schema(&self) -> Option<&'a str> {
        let json = self.response_mime_type.as_ref()?.0 == "application/json";
        let schema = self.response_schema.or(self.response_json_schema);
        json.then(|| schema.map_or(r#"{"type":"object"}"#, RawValue::get))
    }

    fn stop_sequences(&self) -> impl Iterator<Item = Cow<'a, str>> {
        let sequences = self.stop_sequences.iter().flatten();
        sequences.map(|sequence| sequence.0.clone())
    }

    fn thoughts(&self) -> u64 {
        let budget = self
            .thinking_config
            .as_ref()
            .and_then(|config| config.thinking_budget);
        budget.map_or(0, |budget| u64::try_from(budget).unwrap_or(0) / THOUGHTS)
    }
}

/// The model's own contents.
fn answers(contents: &[Content<'_>]) -> u32 {
    let is_own = |content: &&Content<'_>| content.role.as_ref().is_some_and(|r| r.0 == "model");
    u32::try_from(contents.iter().filter(is_own).count()).unwrap_or(u32::MAX)
}

/// The last user's text; a content without a role is the user's.
fn last_user<'a>(contents: &mut [Content<'a>]) -> Cow<'a, str> {
    let user = |content: &&mut Content<'a>| {
        let role = content.role.as_ref();
        role.is_none_or(|role| role.0 == "user" || role.0.is_empty())
    };
    let Some(content) = contents.iter_mut().rev().find(user) else {
        return Cow::default();
    };
    let parts = content.parts.0.iter_mut();
    let mut texts = parts.filter_map(|part| part.text.take());
    let mut whole = texts.next().unwrap_or_default().0;
    for text in texts {
        whole.to_mut().push('\n');
        whole.to_mut().push_str(&text.0);
    }
    whole
}

fn problem(want: Want, body: &Body<'_>) -> Option<ApiError> {
    let invalid = |message: &str| Some(ApiError::invalid(message.to_owned()));
    if body.contents.0.is_empty() {
        return invalid(match want {
            Want::Answer | Want::Stream => {
                "* GenerateContentRequest.contents: contents is not specified\n"
            }
            Want::Count => "* CountTokensRequest.contents: contents is not specified\n",
        });
    }
    for (at, content) in body.contents.0.iter().enumerate() {
        let role = content.role.as_ref().map_or("", |role| &role.0);
        if !["", "user", "model", "function"].contains(&role) {
            return invalid("Please use a valid role: user, model.");
        }
        if content.parts.0.is_empty() {
            return Some(ApiError::invalid(format!(
                "* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty.\n"
            )));
        }
    }
    let config = body.generation_config.as_ref();
    if config.is_some_and(|c| c.max_output_tokens.is_some_and(|most| most < 1)) {
        return invalid("max_output_tokens must be positive.");
    }
    if config.is_some_and(|c| c.candidate_count.is_some_and(|n| !(1..=8).contains(&n))) {
        return invalid("Only values from 1 to 8 are supported for candidate_count.");
    }
    if body.calling().is_some() && body.function().is_none() {
        return invalid("Function calling config is set without function_declarations.");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &str) -> Ask<'_> {
        let around = Around {
            model: Some("m"),
            ..Around::default()
        };
        let parsed = parse(around, Want::Answer, body.as_bytes());
        assert_eq!(parsed.problem, None, "{body}");
        parsed.ask
    }

    #[test]
    fn camel_and_snake_case_and_single_things_are_taken() {
        let camel = ask(
            r#"{"systemInstruction":{"parts":[{"text":"abcd"}]},"contents":[{"role":"user","parts":[{"text":"a"},{"text":"b"}]}],
                "generationConfig":{"maxOutputTokens":9,"stopSequences":["x"],"candidateCount":2,"thinkingConfig":{"thinkingBudget":40}}}"#,
        );
        let snake = ask(
            r#"{"system_instruction":{"parts":{"text":"abcd"}},"contents":{"parts":[{"text":"a"},{"text":"b"}]},
                "generation_config":{"max_output_tokens":9,"stop_sequences":["x"],"candidate_count":2,"thinking_config":{"thinking_budget":40}}}"#,
        );
        assert_eq!(camel, snake);
        assert_eq!((&*camel.prompt, camel.input_tokens), ("a\nb", 2));
        assert_eq!(camel.max_output, Some(9));
    }

    #[test]
    fn functions_and_json_bring_their_schemas() {
        let called = ask(
            r#"{"contents":[{"parts":[{"text":"a"}]}],"tools":[{"functionDeclarations":[{"name":"f"},{"name":"g","parameters":{"type":"OBJECT"}}]}],
                "toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["g"]}}}"#,
        );
        assert_eq!(called.function.as_deref(), Some("g"));
        assert_eq!(called.schema, Some(r#"{"type":"OBJECT"}"#));
        let json = ask(
            r#"{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"STRING"}}}"#,
        );
        assert_eq!(
            (json.function, json.schema),
            (None, Some(r#"{"type":"STRING"}"#))
        );
    }
}
