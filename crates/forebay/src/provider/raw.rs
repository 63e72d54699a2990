//! A request body that somebody else wrote, sent as it is.
//!
//! Owns what has to be known of such a body: whether it asks for a stream, and the most that its
//! answer can be. Changes no byte of it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::invalid;
use super::{Encoded, head, template};
use crate::endpoint::{Dialect, Endpoint};
use crate::item::{Parameters, RawRequest, Request};
use crate::outcome::Failure;

/// The members of a body that matter here, whatever its dialect; each name has one meaning.
#[derive(Default, Deserialize)]
pub(super) struct Members<'a> {
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) system: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) instructions: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "systemInstruction")]
    pub(super) system_instruction: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) messages: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    n: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "generationConfig")]
    generation: Option<&'a RawValue>,
}

/// The part of a Gemini body that bounds its answer.
#[derive(Default, Deserialize)]
struct Generation<'a> {
    #[serde(borrow, default, rename = "maxOutputTokens")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "candidateCount")]
    candidates: Option<&'a RawValue>,
}

/// Takes a body as it is.
///
/// # Errors
/// When it is no JSON object.
pub(super) fn encode(
    endpoint: &Endpoint,
    request: &Request,
    raw: &RawRequest,
) -> Result<Encoded, Failure> {
    let text = raw.body.get();
    if !text.starts_with('{') {
        return Err(invalid("the request's body is no JSON object"));
    }
    let dialect = raw.dialect.unwrap_or(endpoint.dialect);
    let members = read(text);
    let path = match &raw.path {
        Some(path) => joined(&endpoint.base_url.path, path),
        None => head::path(endpoint, dialect, request),
    };
    let by_body = members.stream.is_some_and(|stream| stream.get() == "true");
    Ok(Encoded {
        path: path.into(),
        body: Bytes::copy_from_slice(text.as_bytes()),
        // Gemini's dialect says in the path whether the answer is a stream.
        stream: match dialect {
            Dialect::Gemini => request.shared.stream,
            _ => by_body,
        },
        dialect: Some(dialect),
        max_output: longest(dialect, &members),
        template: template::of_body(&members),
    })
}

/// A path below a base URL's, whose version stands once: `/v1` and `/v1/responses` are
/// `/v1/responses`, and so are nothing and `/v1/responses`.
fn joined(base: &str, path: &str) -> String {
    let rest = match path.strip_prefix("/v1/") {
        Some(rest) if !base.is_empty() => rest,
        _ => path.trim_start_matches('/'),
    };
    format!("{base}/{rest}")
}

/// The members of a body; none of them when it cannot be read so, as with a name that stands
/// twice, where the last one counts.
fn read(body: &str) -> Members<'_> {
    if let Ok(members) = serde_json::from_str(body) {
        return members;
    }
    let mut found = Members::default();
    for (name, value) in crate::fields::members(body).unwrap_or_default() {
        found.set(&name, value);
    }
    found
}

impl<'a> Members<'a> {
    fn set(&mut self, name: &str, value: &'a RawValue) {
        let member = match name {
            "stream" => &mut self.stream,
            "model" => &mut self.model,
            "system" => &mut self.system,
            "instructions" => &mut self.instructions,
            "systemInstruction" => &mut self.system_instruction,
            "messages" => &mut self.messages,
            "input" => &mut self.input,
            "max_tokens" => &mut self.max_tokens,
            "max_completion_tokens" => &mut self.max_completion_tokens,
            "max_output_tokens" => &mut self.max_output_tokens,
            "n" => &mut self.n,
            "generationConfig" => &mut self.generation,
            _ => return,
        };
        *member = Some(value);
    }
}

/// The most output tokens of the answers to requests with these parameters, when they say.
pub(super) fn most_output(dialect: Dialect, parameters: &Parameters) -> Option<u64> {
    let mut members = Members::default();
    for (name, value) in &parameters.extra {
        members.set(name, value);
    }
    let OutputBound { cap, choices } = bound(dialect, &members);
    let cap = cap.or(parameters.max_tokens.map(u64::from))?;
    Some(cap.saturating_mul(choices))
}

/// What bounds the output of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputBound {
    /// The cap on output tokens of each choice, when the body bears one.
    pub cap: Option<u64>,
    /// The choices that the body asks for.
    pub choices: u64,
}

/// Reads from a request's body what bounds its answer.
pub fn output_bound(dialect: Dialect, body: &[u8]) -> OutputBound {
    bound(
        dialect,
        &read(std::str::from_utf8(body).unwrap_or_default()),
    )
}

/// The most output tokens of the answer, of all its choices together, when the body says.
fn longest(dialect: Dialect, members: &Members<'_>) -> Option<u64> {
    let OutputBound { cap, choices } = bound(dialect, members);
    Some(cap?.saturating_mul(choices))
}

fn bound(dialect: Dialect, members: &Members<'_>) -> OutputBound {
    let number = |value: Option<&RawValue>| value?.get().parse::<u64>().ok();
    let choices = |value| number(value).unwrap_or(1).max(1);
    let (cap, choices) = match dialect {
        Dialect::Chat => {
            let caps = [members.max_completion_tokens, members.max_tokens];
            (
                caps.into_iter().filter_map(number).max(),
                choices(members.n),
            )
        }
        Dialect::Responses => (number(members.max_output_tokens), 1),
        Dialect::Embeddings => (Some(0), 1),
        Dialect::Anthropic => (number(members.max_tokens), 1),
        Dialect::Gemini => {
            let text = members.generation.map_or("{}", RawValue::get);
            let generation: Generation<'_> = serde_json::from_str(text).unwrap_or_default();
            let cap = number(generation.max_output_tokens);
            (cap, choices(generation.candidates))
        }
    };
    OutputBound { cap, choices }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{BaseUrl, TokenField};
    use crate::item::Content;

    fn endpoint(dialect: Dialect, base: &str) -> Endpoint {
        Endpoint {
            name: "x".into(),
            dialect,
            base_url: BaseUrl::parse(base).unwrap(),
            key: None,
            headers: Vec::new(),
            token_field: TokenField::MaxTokens,
            rate_headers: crate::catalogue::RateHeaders::Unknown,
            seed: crate::catalogue::Seed::None,
            http: crate::endpoint::HttpVersion::Auto,
        }
    }

    fn encoded(dialect: Dialect, of: Option<Dialect>, body: &str) -> Encoded {
        let raw = RawRequest {
            path: None,
            dialect: of,
            body: RawValue::from_string(body.into()).unwrap(),
        };
        let request = Request {
            shared: std::sync::Arc::default(),
            system: None,
            content: Content::Raw(raw),
        };
        super::super::encode(&endpoint(dialect, "http://h/v1"), &request).unwrap()
    }

    #[test]
    fn a_body_goes_as_it_is_to_the_path_of_its_dialect() {
        let body = "{ \"model\" : \"m\",\t\"n\":2, \"max_tokens\": 10 }";
        let sent = encoded(Dialect::Chat, None, body);
        assert_eq!(
            (&*sent.body, &*sent.path),
            (body.as_bytes(), "/v1/chat/completions")
        );
        assert_eq!(
            (sent.stream, sent.max_output, sent.dialect),
            (false, Some(20), Some(Dialect::Chat))
        );
        for (dialect, path) in [
            (Dialect::Responses, "/v1/responses"),
            (Dialect::Embeddings, "/v1/embeddings"),
            (Dialect::Chat, "/v1/chat/completions"),
        ] {
            let sent = encoded(Dialect::Chat, Some(dialect), body);
            assert_eq!((&*sent.path, sent.dialect), (path, Some(dialect)));
        }
    }

    #[test]
    fn what_bounds_an_answer_is_read_in_each_dialect() {
        use Dialect::{Anthropic, Chat, Embeddings, Gemini, Responses};
        for (dialect, body, most) in [
            (
                Chat,
                r#"{"max_tokens":5,"max_completion_tokens":9}"#,
                Some(9),
            ),
            (Chat, r#"{"max_tokens":"5"}"#, None),
            (Chat, r#"{"max_tokens":5,"n":3,"max_tokens":7}"#, Some(21)),
            (
                Responses,
                r#"{"max_output_tokens":8,"max_tokens":5}"#,
                Some(8),
            ),
            (Embeddings, r#"{"input":"x"}"#, Some(0)),
            (Anthropic, r#"{"max_tokens":6}"#, Some(6)),
            (
                Gemini,
                r#"{"generationConfig":{"maxOutputTokens":4,"candidateCount":2}}"#,
                Some(8),
            ),
            (Gemini, r#"{"generationConfig":7}"#, None),
        ] {
            assert_eq!(encoded(dialect, None, body).max_output, most, "{body}");
        }
    }

    #[test]
    fn choices_are_counted_with_and_without_a_cap() {
        let bound = |dialect, body: &str| {
            let OutputBound { cap, choices } = output_bound(dialect, body.as_bytes());
            (cap, choices)
        };
        assert_eq!(bound(Dialect::Chat, r#"{"n":4}"#), (None, 4));
        assert_eq!(
            bound(Dialect::Chat, r#"{"n":0,"max_tokens":9}"#),
            (Some(9), 1)
        );
        let gemini = r#"{"generationConfig":{"candidateCount":3,"maxOutputTokens":7}}"#;
        assert_eq!(bound(Dialect::Gemini, gemini), (Some(7), 3));
    }

    #[test]
    fn the_version_of_a_path_stands_once() {
        for (base, path, whole) in [
            ("/v1", "/v1/responses", "/v1/responses"),
            ("", "/v1/responses", "/v1/responses"),
            ("", "/responses", "/responses"),
            (
                "/openai/v1",
                "/v1/chat/completions",
                "/openai/v1/chat/completions",
            ),
            (
                "/openai/v1",
                "/chat/completions",
                "/openai/v1/chat/completions",
            ),
            ("/v4", "/v1/embeddings", "/v4/embeddings"),
        ] {
            assert_eq!(joined(base, path), whole, "{base} {path}");
        }
    }

    #[test]
    fn a_body_may_ask_for_a_stream() {
        assert!(encoded(Dialect::Chat, None, r#"{"stream":true}"#).stream);
        assert!(!encoded(Dialect::Chat, None, r#"{"stream":null}"#).stream);
        assert!(!encoded(Dialect::Gemini, None, r#"{"stream":true}"#).stream);
    }
}
