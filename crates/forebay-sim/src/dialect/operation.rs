//! What calls ask a model to do, and which dialect's code does it.
//!
//! Owns the choice between operations. Never decides whether a request fails; `plan` does.

use serde::{Deserialize, Serialize};

use super::{
    ApiError, Around, Completion, Dialect, Frames, Parsed, Step, StreamForm, anthropic, gemini,
    openai, write_json,
};

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
