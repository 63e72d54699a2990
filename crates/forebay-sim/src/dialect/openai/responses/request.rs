//! Reads and validates a request for a response.
//!
//! Owns what is rejected with 400, and what a response repeats of its request.

use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::message::{self, Content, Message, Text};
use crate::dialect::openai::request::{below, malformed, missing, named};
use crate::dialect::openai::tools::{self, FormatAt};
use crate::dialect::{Ask, Details, Parsed, StreamForm};

/// The least cap on output tokens; OpenAI API reference.
const LEAST_OUTPUT: u64 = 16;

/// Where the form of the text is asked for.
const FORMAT: FormatAt = FormatAt {
    param: "text.format",
    name: "text.format.name",
};

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<Input<'a>>,
    #[serde(borrow, default)]
    instructions: Content<'a>,
    max_output_tokens: Option<u64>,
    stream: Option<bool>,
    #[serde(borrow)]
    text: Option<Words<'a>>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Words<'a> {
    #[serde(borrow)]
    format: Option<&'a RawValue>,
}

/// What a response repeats of its request.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Echo {
    pub(super) instructions: Option<Raw>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) metadata: Option<Raw>,
    pub(super) parallel_tool_calls: Option<bool>,
    pub(super) previous_response_id: Option<String>,
    pub(super) reasoning: Option<Raw>,
    pub(super) store: Option<bool>,
    pub(super) temperature: Option<f64>,
    pub(super) text: Option<Raw>,
    pub(super) tool_choice: Option<Raw>,
    pub(super) tools: Option<Raw>,
    pub(super) top_p: Option<f64>,
    pub(super) truncation: Option<Raw>,
}

/// A JSON text as it came, but on one line: an event of a stream has no line breaks in it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(from = "Box<RawValue>")]
pub(super) struct Raw(Box<RawValue>);

impl From<Box<RawValue>> for Raw {
    fn from(json: Box<RawValue>) -> Raw {
        if !json.get().contains(['\n', '\r']) {
            return Raw(json);
        }
        // Line breaks stand between values only, where a space will do.
        let line = json.get().replace(['\n', '\r'], " ");
        Raw(RawValue::from_string(line).unwrap_or(json))
    }
}

impl PartialEq for Raw {
    fn eq(&self, other: &Raw) -> bool {
        self.0.get() == other.0.get()
    }
}

/// A string, or items of which those with content count.
struct Input<'a>(Vec<Message<'a>>);

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, default)]
    role: Text<'a>,
    #[serde(borrow, default)]
    content: Content<'a>,
    /// What a function gave back.
    #[serde(borrow, default)]
    output: Content<'a>,
}

pub(in crate::dialect) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let mut body: Body<'_> = match serde_json::from_slice(bytes) {
        Ok(body) => body,
        Err(error) => return malformed(&error),
    };
    // What was read once can be read again.
    let echo = serde_json::from_slice(bytes).unwrap_or_default();
    let mut problem = named(body.model.as_ref())
        .err()
        .map(|problem| *problem)
        .or_else(|| match (&body.input, body.max_output_tokens) {
            (None, _) => Some(missing("input")),
            (Some(_), Some(got)) if got < LEAST_OUTPUT => {
                Some(below("max_output_tokens", LEAST_OUTPUT, got))
            }
            (Some(_), _) => None,
        });
    let chosen = tools::chosen(body.tools, body.tool_choice).unwrap_or_else(|error| {
        problem.get_or_insert(*error);
        None
    });
    let format = body.text.as_ref().and_then(|text| text.format);
    let says_json = || says_json(&body);
    let text_schema = tools::text_schema(format, FORMAT, says_json).unwrap_or_else(|error| {
        problem.get_or_insert(*error);
        None
    });
    let (function, schema) = match chosen {
        Some(chosen) => (Some(chosen.name), chosen.parameters),
        None => (None, text_schema),
    };
    let messages = body
        .input
        .as_mut()
        .map_or(&mut [][..], |input| &mut input.0);
    let chars = message::chars(messages)
        + body.instructions.0.chars().count() as u64
        + body.tools.map_or(0, |tools| tools.get().len() as u64);
    let answers = message::answers(messages);
    let prompt = message::last_user(messages);
    let mut earlier = message::others(messages);
    if !body.instructions.0.is_empty() {
        earlier.insert(0, body.instructions.0);
    }
    let ask = Ask {
        prompt,
        earlier,
        answers,
        model: body.model.unwrap_or_default().0,
        input_tokens: message::tokens_of_chars(chars),
        max_output: body.max_output_tokens,
        stream: (body.stream == Some(true)).then_some(StreamForm {
            usage: true,
            sse: true,
        }),
        function,
        schema,
        stop: Vec::new(),
        details: Details::Response(Box::new(echo)),
    };
    Parsed { ask, problem }
}

fn says_json(body: &Body<'_>) -> bool {
    let says = |text: &str| text.to_ascii_lowercase().contains("json");
    let mut messages = body.input.iter().flat_map(|input| &input.0);
    says(&body.instructions.0) || messages.any(|message| says(&message.content.0))
}

impl<'de: 'a, 'a> Deserialize<'de> for Input<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputVisitor).map(Input)
    }
}

struct InputVisitor;

impl<'de> Visitor<'de> for InputVisitor {
    type Value = Vec<Message<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of input items")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(vec![user(Content(text.into()))])
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(vec![user(Content(text.to_owned().into()))])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut messages = Vec::new();
        while let Some(item) = items.next_element::<Item<'de>>()? {
            messages.push(Message {
                role: item.role,
                content: match item.output.0.is_empty() {
                    true => item.content,
                    false => item.output,
                },
            });
        }
        Ok(messages)
    }
}

fn user(content: Content<'_>) -> Message<'_> {
    Message {
        role: Text("user".into()),
        content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_a_string_or_items() {
        let prompt = |input: &str| {
            let body = format!(r#"{{"model":"m","instructions":"Be brief.","input":{input}}}"#);
            let parsed = parse(body.as_bytes());
            assert_eq!(parsed.problem, None);
            let earlier: Vec<String> = parsed.ask.earlier.iter().map(|e| e.to_string()).collect();
            (parsed.ask.prompt.to_string(), earlier)
        };
        assert_eq!(
            prompt(r#""say\nit""#),
            ("say\nit".into(), vec!["Be brief.".into()])
        );
        let items = r#"[{"role":"developer","content":"d"},{"role":"user","content":[{"type":"input_text","text":"u"}]},{"type":"function_call_output","call_id":"c","output":"o"}]"#;
        let earlier = ["Be brief.", "d", "o"].map(str::to_owned).to_vec();
        assert_eq!(prompt(items), ("u".into(), earlier));
    }
}
