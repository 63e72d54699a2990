//! The wire dialects: what each provider accepts, answers and complains about.
//!
//! Owns the choice between dialects and the words they share. Never decides whether a request
//! fails; `plan` does.

mod anthropic;
mod frames;
mod gemini;
mod id;
mod message;
mod openai;
mod operation;
mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::RateHeaders;
use crate::http::{Head, Input, Output, param};
use crate::limits::{Levels, Refusal};

pub(crate) use anthropic::{
    BatchList, BatchObject, BatchRequest, Counts, DeletedBatch, Outcome, batch_id, batch_time,
    read_batch,
};
pub(crate) use frames::Frames;
pub(crate) use id::Id;
pub(crate) use message::tokens;
pub(crate) use openai::{
    BatchEndpoint, BatchLine, BatchLines, BatchStatus, BatchUsage, DeletedFile, Errors, FileObject,
    LineOutcome, ListObject, OpenAiBatch, RequestCounts, input_keys, openai_id, read_lines,
};

pub use operation::Operation;
pub(crate) use words::{
    ApiError, Around, Ask, Completion, Details, End, Parsed, Quota, Step, StreamForm,
};

use id::request_id;

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
