//! The wire dialects: what each provider accepts, answers and complains about.
//!
//! Owns the choice between dialects and the words they share. Never decides whether a request
//! fails; `plan` does.

mod anthropic;
mod frames;
mod gemini;
mod message;
mod openai;

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::config::RateHeaders;
use crate::http::{Head, Input, Output, param};
use crate::limits::{Levels, Refusal};
use crate::script::Oddity;

pub(crate) use anthropic::{
    BatchList, BatchObject, BatchRequest, Counts, DeletedBatch, Outcome, batch_id, batch_time,
    read_batch,
};
pub(crate) use frames::Frames;
pub(crate) use message::tokens;
pub(crate) use openai::{
    BatchEndpoint, BatchLine, BatchLines, BatchStatus, BatchUsage, DeletedFile, Errors, FileObject,
    LineOutcome, ListObject, OpenAiBatch, RequestCounts, openai_id, read_lines,
};

/// A provider's way of speaking: its keys, errors, ids and rate headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dialect {
    /// OpenAI, and what is compatible with it.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// Gemini, as its Developer API speaks.
    #[serde(rename = "gemini")]
    Gemini,
}

/// What a call asks a model to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /v1/chat/completions`.
    ChatCompletions,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/messages/count_tokens`.
    CountTokens,
    /// `POST /v1beta/models/NAME:generateContent`.
    GenerateContent,
    /// `POST /v1beta/models/NAME:streamGenerateContent`.
    StreamGenerateContent,
    /// `POST /v1beta/models/NAME:countTokens`.
    GeminiCountTokens,
}

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ask<'a> {
    pub(crate) model: Cow<'a, str>,
    /// The last user message.
    pub(crate) prompt: Cow<'a, str>,
    /// The texts that stand before it: instructions and earlier messages.
    pub(crate) earlier: Vec<Cow<'a, str>>,
    pub(crate) input_tokens: u64,
    /// The request's cap on output tokens.
    pub(crate) max_output: Option<u64>,
    /// How a streamed answer is wanted; `None`: in one piece.
    pub(crate) stream: Option<StreamForm>,
    /// The function that the answer is to call.
    pub(crate) function: Option<Cow<'a, str>>,
    /// The JSON Schema that the text, or the function's arguments, is to keep to.
    pub(crate) schema: Option<&'a str>,
    /// The text ends before any of these.
    pub(crate) stop: Vec<Cow<'a, str>>,
    pub(crate) details: Details,
}

/// How a streamed answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamForm {
    /// Whether a chunk of its own tells the usage (OpenAI chat).
    pub(crate) usage: bool,
    /// Server-sent events; else one JSON array (Gemini without `alt=sse`).
    pub(crate) sse: bool,
}

/// What only one operation asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Details {
    #[default]
    None,
    /// Embeddings.
    Embeddings {
        /// A number for each input, from its text.
        inputs: Vec<u64>,
        dimensions: usize,
        /// Base64 of little-endian floats; else numbers.
        base64: bool,
    },
    /// More than one choice of a chat completion.
    Choices(u32),
    /// What a response repeats of its request.
    Response(Box<openai::Echo>),
    /// Gemini's generation.
    Gemini {
        /// The candidates wanted, at least 1.
        candidates: u32,
        /// The tokens that the model thinks before it answers.
        thoughts: u64,
    },
}

/// A request's body, with the first thing that is wrong with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parsed<'a> {
    pub(crate) ask: Ask<'a>,
    pub(crate) problem: Option<ApiError>,
}

/// What a dialect's parser may look at besides the body.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Around<'a> {
    pub(crate) anthropic_version: Option<&'a [u8]>,
    /// The model in the path.
    pub(crate) model: Option<&'a str>,
    pub(crate) query: &'a str,
}

/// What an answer says.
#[derive(Clone, Debug)]
pub(crate) struct Completion<'a> {
    pub(crate) id: u64,
    /// Since the Unix epoch.
    pub(crate) wall: Duration,
    pub(crate) model: String,
    /// The text; the arguments as JSON if a function is called.
    pub(crate) text: Cow<'a, str>,
    /// The function that is called.
    pub(crate) function: Option<String>,
    pub(crate) input_tokens: u64,
    /// The part of the input tokens that a cache saved.
    pub(crate) cached_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) end: End,
    /// The sequence that ended the text.
    pub(crate) stop_sequence: Option<String>,
    /// What is wrong with it on purpose.
    pub(crate) oddity: Option<Oddity>,
    pub(crate) details: Details,
}

impl Details {
    /// The details with the inputs of embeddings under a seed.
    pub(crate) fn seeded(&self, seed: u64) -> Details {
        let mut details = self.clone();
        if let Details::Embeddings { inputs, .. } = &mut details {
            for input in inputs {
                *input = xxh3_64_with_seed(&input.to_le_bytes(), seed);
            }
        }
        details
    }
}

impl Completion<'_> {
    /// The status that the answer tells: an error's own, even inside a 200.
    pub(crate) fn told_status(&self) -> u16 {
        match self.oddity {
            Some(Oddity::ErrorInside(status) | Oddity::ErrorAfter { status, .. }) => status,
            _ => 200,
        }
    }
}

/// Why a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is complete.
    Stop,
    /// The token cap cut it.
    Length,
    /// A filter held it back.
    Filtered,
    /// The model refused.
    Refused,
}

/// A step of a streamed answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'t> {
    /// Before the first token.
    Open,
    /// The next piece of the text.
    Text(&'t str),
    /// After the last token: the end's reason, the usage and the terminator.
    Close,
    /// Instead of all that would follow.
    Error(&'t ApiError),
}

/// An error as a dialect's body tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    /// Empty: the dialect's own for the status.
    pub(crate) kind: Cow<'static, str>,
    pub(crate) code: Option<Cow<'static, str>>,
    pub(crate) param: Option<&'static str>,
    /// Empty: the dialect's own for the status.
    pub(crate) message: Cow<'static, str>,
    pub(crate) headers: Vec<(String, String)>,
    /// How long to wait, where the body tells it (Gemini).
    pub(crate) retry_after: Option<Duration>,
    /// The quota that is used up, where the body tells it (Gemini).
    pub(crate) quota: Option<Box<Quota>>,
}

/// A quota in an error's body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quota {
    pub(crate) metric: &'static str,
    pub(crate) id: &'static str,
    pub(crate) limit: u64,
    pub(crate) model: String,
}

impl ApiError {
    /// The dialect's own error for a status.
    pub(crate) fn of(status: u16) -> ApiError {
        ApiError {
            status,
            ..ApiError::default()
        }
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError {
            kind: "invalid_request_error".into(),
            message: message.into(),
            ..ApiError::of(400)
        }
    }
}

impl Operation {
    /// Whose words it speaks.
    pub fn dialect(self) -> Dialect {
        match self {
            Operation::ChatCompletions | Operation::Responses | Operation::Embeddings => {
                Dialect::OpenAi
            }
            Operation::Messages | Operation::CountTokens => Dialect::Anthropic,
            Operation::GenerateContent
            | Operation::StreamGenerateContent
            | Operation::GeminiCountTokens => Dialect::Gemini,
        }
    }

    /// Whether it makes a model generate text; else it only reads.
    pub(crate) fn generates(self) -> bool {
        match self {
            Operation::ChatCompletions
            | Operation::Responses
            | Operation::Messages
            | Operation::GenerateContent
            | Operation::StreamGenerateContent => true,
            Operation::Embeddings | Operation::CountTokens | Operation::GeminiCountTokens => false,
        }
    }

    /// Whether it counts against the account's limits and takes the back end's time.
    pub(crate) fn is_metered(self) -> bool {
        self.generates() || self == Operation::Embeddings
    }

    /// Parses and validates a body.
    pub(crate) fn parse<'a>(self, around: Around<'a>, body: &'a [u8]) -> Parsed<'a> {
        match self {
            Operation::ChatCompletions => openai::parse(body),
            Operation::Messages => {
                anthropic::parse(around.anthropic_version, anthropic::Want::Answer, body)
            }
            Operation::CountTokens => {
                anthropic::parse(around.anthropic_version, anthropic::Want::Count, body)
            }
            Operation::GenerateContent => gemini::parse(around, gemini::Want::Answer, body),
            Operation::StreamGenerateContent => gemini::parse(around, gemini::Want::Stream, body),
            Operation::GeminiCountTokens => gemini::parse(around, gemini::Want::Count, body),
            Operation::Responses => openai::parse_response(body),
            Operation::Embeddings => openai::parse_embeddings(body),
        }
    }

    /// Writes an answer's body in one piece.
    pub(crate) fn completion(self, body: &mut Vec<u8>, completion: &Completion<'_>) {
        match self {
            Operation::ChatCompletions => write_json(body, &openai::completion(completion)),
            Operation::Messages => write_json(body, &anthropic::completion(completion)),
            Operation::CountTokens => write_json(body, &anthropic::token_count(completion)),
            Operation::GenerateContent | Operation::StreamGenerateContent => {
                gemini::write(body, &gemini::completion(completion));
            }
            Operation::GeminiCountTokens => gemini::write(body, &gemini::token_count(completion)),
            Operation::Responses => write_json(body, &openai::response(completion)),
            Operation::Embeddings => write_json(body, &openai::embeddings(completion)),
        }
    }

    /// Writes the body of an answer with status 200 that is an error.
    pub(crate) fn error_inside(
        self,
        form: Option<StreamForm>,
        body: &mut Vec<u8>,
        completion: &Completion<'_>,
        status: u16,
    ) {
        let error = ApiError::of(status);
        match self {
            Operation::Responses => write_json(body, &openai::failed(completion, &error)),
            Operation::ChatCompletions
            | Operation::Embeddings
            | Operation::Messages
            | Operation::CountTokens
            | Operation::GenerateContent
            | Operation::StreamGenerateContent
            | Operation::GeminiCountTokens => {
                self.dialect().error_in(form, body, &error, completion.id);
            }
        }
    }

    /// Writes the frames of one step of a streamed answer.
    pub(crate) fn frames(
        self,
        frames: &mut Frames,
        completion: &Completion<'_>,
        form: StreamForm,
        step: Step<'_>,
    ) {
        match self {
            Operation::ChatCompletions => openai::frames(frames, completion, step, form.usage),
            Operation::Messages => anthropic::frames(frames, completion, step),
            // The first of the two is streamed only where nobody asked for it.
            Operation::GenerateContent | Operation::StreamGenerateContent => {
                gemini::frames(frames, completion, form, step);
            }
            Operation::Responses => openai::response_frames(frames, completion, step),
            Operation::Embeddings | Operation::CountTokens | Operation::GeminiCountTokens => {}
        }
    }
}

impl Dialect {
    /// Guesses the dialect of a request to a path that belongs to none.
    pub(crate) fn guess(head: &Head) -> Dialect {
        match (head.anthropic_version, head.x_api_key, head.x_goog_api_key) {
            (None, None, None) => Dialect::OpenAi,
            (None, None, Some(_)) => Dialect::Gemini,
            (Some(_), _, _) | (_, Some(_), _) => Dialect::Anthropic,
        }
    }

    /// Checks the key; any nonempty one passes when none is required.
    pub(crate) fn check_key(
        self,
        head: &Head,
        input: &Input,
        required: Option<&str>,
    ) -> Option<ApiError> {
        let key = match self {
            Dialect::OpenAi => head.bearer,
            Dialect::Anthropic => head.x_api_key.or(head.bearer),
            Dialect::Gemini => head.x_goog_api_key.or(head.bearer),
        };
        let query = match (self, key) {
            (Dialect::Gemini, None) => param(input.text(head.query), "key"),
            _ => None,
        };
        let query = query.as_deref().unwrap_or_default().as_bytes();
        let key = key.map_or(query, |span| input.bytes(span));
        let missing = key.is_empty();
        if !missing && required.is_none_or(|required| required.as_bytes() == key) {
            return None;
        }
        Some(match self {
            Dialect::OpenAi => openai::bad_key(missing),
            Dialect::Anthropic => anthropic::bad_key(missing),
            Dialect::Gemini => gemini::bad_key(missing),
        })
    }

    /// Writes an error's body.
    pub(crate) fn error(self, body: &mut Vec<u8>, error: &ApiError, id: u64) {
        match self {
            Dialect::OpenAi => write_json(body, &openai::error(error)),
            Dialect::Anthropic => write_json(body, &anthropic::error(error, id)),
            Dialect::Gemini => gemini::write(body, &gemini::error(error)),
        }
    }

    /// Writes an error's body in place of an answer of this form.
    pub(crate) fn error_in(
        self,
        form: Option<StreamForm>,
        body: &mut Vec<u8>,
        error: &ApiError,
        id: u64,
    ) {
        self.error(body, error, id);
        if form.is_some_and(|form| !form.sse) {
            body.insert(0, b'[');
            body.extend_from_slice(b"\n]\n");
        }
    }

    /// Writes a page of models; the next begins at this place, if there is one.
    pub(crate) fn models(self, body: &mut Vec<u8>, models: &[String], next: Option<usize>) {
        match self {
            Dialect::OpenAi => write_json(body, &openai::models(models)),
            Dialect::Anthropic => write_json(body, &anthropic::models(models, next)),
            Dialect::Gemini => gemini::write(body, &gemini::models(models, next)),
        }
    }

    /// Writes one model.
    pub(crate) fn model(self, body: &mut Vec<u8>, model: &str) {
        match self {
            Dialect::OpenAi => write_json(body, &openai::model(model)),
            Dialect::Anthropic => write_json(body, &anthropic::model(model)),
            Dialect::Gemini => gemini::write(body, &gemini::model(model)),
        }
    }

    /// The error for a model that is not there.
    pub(crate) fn no_model(self, name: &str) -> ApiError {
        ApiError {
            message: match self {
                Dialect::OpenAi => format!("The model '{name}' does not exist").into(),
                Dialect::Anthropic => format!("model: {name}").into(),
                Dialect::Gemini => gemini::no_model(name).into(),
            },
            ..ApiError::of(404)
        }
    }

    /// What is wrong with the version that Anthropic's clients name.
    pub(crate) fn bad_anthropic_version(version: Option<&[u8]>) -> Option<ApiError> {
        anthropic::bad_version(version)
    }

    /// Turns a refusal into this dialect's 429, which tells a wait or none.
    pub(crate) fn refusal(
        self,
        refusal: &Refusal,
        model: &str,
        told: Option<Duration>,
    ) -> ApiError {
        match self {
            Dialect::OpenAi => openai::refusal(refusal, model, told),
            Dialect::Anthropic => anthropic::refusal(refusal, told),
            Dialect::Gemini => gemini::refusal(refusal, model, told),
        }
    }

    /// Says that a prompt is longer than the model can ever hold.
    pub(crate) fn too_long(self, tokens: u64, longest: u64) -> ApiError {
        let message = match self {
            Dialect::OpenAi => format!(
                "This model's maximum context length is {longest} tokens. However, your messages \
                 resulted in {tokens} tokens. Please reduce the length of the messages."
            ),
            Dialect::Anthropic => {
                format!("prompt is too long: {tokens} tokens > {longest} maximum")
            }
            Dialect::Gemini => format!(
                "The input token count ({tokens}) exceeds the maximum number of tokens allowed \
                 ({longest})."
            ),
        };
        let openai = self == Dialect::OpenAi;
        ApiError {
            param: openai.then_some("messages"),
            code: openai.then(|| "context_length_exceeded".into()),
            ..ApiError::invalid(message)
        }
    }

    /// Adds the headers every answer has.
    pub(crate) fn headers(self, output: &mut Output, id: u64, took: Duration) {
        match self {
            Dialect::OpenAi => openai::headers(output, id, took),
            Dialect::Anthropic => anthropic::headers(output, id),
            Dialect::Gemini => gemini::headers(output, took),
        }
    }

    /// Adds the rate headers, in the way that is configured.
    pub(crate) fn rate_headers(
        self,
        output: &mut Output,
        levels: &Levels,
        style: RateHeaders,
        wall: Duration,
    ) {
        match self {
            _ if style == RateHeaders::None => {}
            Dialect::OpenAi => openai::rate_headers(output, levels, style),
            Dialect::Anthropic => anthropic::rate_headers(output, levels, wall),
            // Gemini tells no rates in headers.
            Dialect::Gemini => {}
        }
    }
}

pub(crate) fn write_json(body: &mut Vec<u8>, value: &impl Serialize) {
    body.clear();
    // Writing plain structs to a Vec cannot fail.
    let _ = serde_json::to_writer(body, value);
}

/// A prefix and a number as an id of base-62 digits, as long as the real ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id<'a> {
    prefix: &'a str,
    number: u64,
}

impl std::fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut id = [b'0'; 24];
        // Two odd multipliers, so that both halves differ from one number to the next.
        let halves = [0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93];
        for (half, multiplier) in id.chunks_mut(12).zip(halves) {
            let mut rest = (self.number ^ multiplier).wrapping_mul(multiplier);
            rest ^= rest >> 32;
            for digit in half {
                *digit = DIGITS[(rest % 62) as usize];
                rest /= 62;
            }
        }
        f.write_str(self.prefix)?;
        f.write_str(std::str::from_utf8(&id).unwrap_or_default())
    }
}

impl Serialize for Id<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn request_id(id: u64) -> Id<'static> {
    Id {
        prefix: "req_",
        number: !id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<String> =
            (0..10_000).map(|id| request_id(id).to_string()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 28));
    }
}
