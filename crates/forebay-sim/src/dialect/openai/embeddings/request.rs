//! Reads and validates a request for embeddings.
//!
//! Owns what is rejected with 400. Never makes a vector.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use xxhash_rust::xxh3::xxh3_64;

use crate::dialect::message::{Text, tokens};
use crate::dialect::openai::request::{malformed, missing, named};
use crate::dialect::{ApiError, Ask, Details, Parsed};

/// The most inputs of a call; OpenAI API reference.
const MOST_INPUTS: usize = 2048;

/// The most tokens of an input; OpenAI API reference.
const MOST_TOKENS: u64 = 8192;

/// The most tokens of a call; OpenAI API reference.
const MOST_TOKENS_OF_ALL: u64 = 300_000;

/// The dimensions of `text-embedding-3-large`; OpenAI's embeddings guide.
const LARGE: usize = 3072;

/// The dimensions of the other models; OpenAI's embeddings guide.
const SMALL: usize = 1536;

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Body<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<Inputs<'a>>,
    #[serde(borrow)]
    encoding_format: Option<Text<'a>>,
    dimensions: Option<usize>,
}

/// All inputs of a call.
struct Inputs<'a> {
    list: Vec<Input>,
    /// The first one, if it is text.
    first: Text<'a>,
}

/// One input.
#[derive(Clone, Copy, Debug)]
struct Input {
    /// A number from its text or its tokens.
    hash: u64,
    tokens: u64,
}

pub(in crate::dialect) fn parse(body: &[u8]) -> Parsed<'_> {
    let body: Body<'_> = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) if error.to_string().starts_with(BAD_INPUT) => {
            return Parsed {
                problem: Some(bad_input()),
                ..Parsed::default()
            };
        }
        Err(error) => return malformed(&error),
    };
    let problem = problem(&body);
    let model = body.model.unwrap_or_default().0;
    let (list, first) = match body.input {
        Some(inputs) => (inputs.list, inputs.first),
        None => (Vec::new(), Text::default()),
    };
    let widest = widest(&model);
    let ask = Ask {
        prompt: first.0,
        model,
        input_tokens: list.iter().map(|input| input.tokens).sum(),
        details: Details::Embeddings {
            inputs: list.iter().map(|input| input.hash).collect(),
            dimensions: body.dimensions.unwrap_or(widest),
            base64: body.encoding_format.is_some_and(|form| form.0 == "base64"),
        },
        ..Ask::default()
    };
    Parsed { ask, problem }
}

fn widest(model: &str) -> usize {
    match model.contains("large") {
        true => LARGE,
        false => SMALL,
    }
}

fn problem(body: &Body<'_>) -> Option<ApiError> {
    let model = match named(body.model.as_ref()) {
        Ok(model) => model,
        Err(problem) => return Some(*problem),
    };
    let Some(inputs) = &body.input else {
        return Some(missing("input"));
    };
    let (count, list) = (inputs.list.len(), &inputs.list);
    if list.is_empty() || list.iter().any(|input| input.tokens == 0) {
        return Some(bad_input());
    }
    if count > MOST_INPUTS {
        let message = format!(
            "Invalid 'input': array too long. Expected an array with maximum length \
             {MOST_INPUTS}, but got an array with length {count} instead."
        );
        return of("input", "array_above_max_length", message);
    }
    if let Some(Input { tokens, .. }) = list.iter().find(|input| input.tokens > MOST_TOKENS) {
        return Some(ApiError::invalid(format!(
            "This model's maximum context length is {MOST_TOKENS} tokens, however you requested \
             {tokens} tokens ({tokens} in your prompt; 0 for the completion). Please reduce your \
             prompt; or completion length."
        )));
    }
    let all: u64 = list.iter().map(|input| input.tokens).sum();
    if all > MOST_TOKENS_OF_ALL {
        let message =
            format!("Requested {all} tokens, max {MOST_TOKENS_OF_ALL} tokens per request");
        return Some(ApiError {
            kind: "max_tokens_per_request".into(),
            code: Some("max_tokens_per_request".into()),
            ..ApiError::invalid(message)
        });
    }
    bad_form(body, model)
}

/// What is wrong with the form of the vectors.
fn bad_form(body: &Body<'_>, model: &str) -> Option<ApiError> {
    match &body.encoding_format {
        Some(form) if form.0 != "float" && form.0 != "base64" => {
            let message = format!(
                "Invalid value: '{}'. Supported values are: 'float' and 'base64'.",
                form.0
            );
            return of("encoding_format", "invalid_value", message);
        }
        Some(_) | None => {}
    }
    let widest = widest(model);
    let wrong = body
        .dimensions
        .filter(|dimensions| !(1..=widest).contains(dimensions));
    wrong.and_then(|dimensions| {
        let message = format!(
            "Invalid value for 'dimensions' = {dimensions}. Must be between 1 and {widest}."
        );
        of("dimensions", "invalid_value", message)
    })
}

/// A problem of one parameter.
fn of(param: &'static str, code: &'static str, message: String) -> Option<ApiError> {
    Some(ApiError {
        param: Some(param),
        code: Some(code.into()),
        ..ApiError::invalid(message)
    })
}

/// How the parser says that an input is none; seen only here.
const BAD_INPUT: &str = "not an input of embeddings";

fn bad_input() -> ApiError {
    ApiError {
        param: Some("input"),
        ..ApiError::invalid(
            "'$.input' is invalid. Please check the API reference: \
             https://platform.openai.com/docs/api-reference.",
        )
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Inputs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputsVisitor)
    }
}

struct InputsVisitor;

impl<'de> Visitor<'de> for InputsVisitor {
    type Value = Inputs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an array of strings, or an array of tokens")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Inputs {
            list: vec![Input::of_text(text)],
            first: Text(text.into()),
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Inputs {
            list: vec![Input::of_text(text)],
            first: Text(text.to_owned().into()),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut inputs = Inputs {
            list: Vec::new(),
            first: Text::default(),
        };
        let mut tokens = Vec::new();
        while let Some(item) = items.next_element::<Element<'de>>()? {
            match item {
                Element::Token(token) if inputs.list.is_empty() => tokens.push(token),
                Element::Text(text) if tokens.is_empty() => {
                    inputs.list.push(Input::of_text(&text.0));
                    if inputs.list.len() == 1 {
                        inputs.first = text;
                    }
                }
                Element::Tokens(list) if tokens.is_empty() => {
                    inputs.list.push(Input::of_tokens(&list));
                }
                Element::Token(_) | Element::Text(_) | Element::Tokens(_) => {
                    return Err(serde::de::Error::custom(BAD_INPUT));
                }
            }
        }
        if !tokens.is_empty() {
            inputs.list.push(Input::of_tokens(&tokens));
        }
        Ok(inputs)
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "not an input of embeddings")]
enum Element<'a> {
    Token(u32),
    Text(#[serde(borrow)] Text<'a>),
    Tokens(Vec<u32>),
}

impl Input {
    fn of_text(text: &str) -> Input {
        Input {
            hash: xxh3_64(text.as_bytes()),
            tokens: match text.is_empty() {
                true => 0,
                false => tokens(text),
            },
        }
    }

    fn of_tokens(tokens: &[u32]) -> Input {
        let bytes: Vec<u8> = tokens
            .iter()
            .flat_map(|token| token.to_le_bytes())
            .collect();
        Input {
            hash: xxh3_64(&bytes),
            tokens: tokens.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_texts_or_tokens_but_not_both() {
        let tokens = |input: &str| {
            let body = format!(r#"{{"model":"m","input":{input}}}"#);
            let parsed = parse(body.as_bytes());
            match (parsed.problem, parsed.ask.details) {
                (None, Details::Embeddings { inputs, .. }) => {
                    Some((inputs.len(), parsed.ask.input_tokens))
                }
                (problem, _) => {
                    assert_eq!(problem, Some(bad_input()), "{input}");
                    None
                }
            }
        };
        assert_eq!(tokens(r#""eight ch""#), Some((1, 2)));
        assert_eq!(tokens(r#"["eight ch","x"]"#), Some((2, 3)));
        assert_eq!(tokens("[1,2,3]"), Some((1, 3)));
        assert_eq!(tokens("[[1,2,3],[4]]"), Some((2, 4)));
        for bad in [
            r#""""#,
            "[]",
            r#"["x",""]"#,
            r#"["x",1]"#,
            "[1,[2]]",
            "[[]]",
            "[null]",
        ] {
            assert_eq!(tokens(bad), None, "{bad}");
        }
    }
}
