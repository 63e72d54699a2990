//! What requests ask and answers say, in no dialect yet.
//!
//! Owns the words that all dialects share. Never reads or writes a body.

use std::borrow::Cow;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::openai;
use crate::script::Oddity;

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ask<'a> {
    pub(crate) model: Cow<'a, str>,
    /// The last user message.
    pub(crate) prompt: Cow<'a, str>,
    /// The texts that stand before it: instructions and earlier messages.
    pub(crate) earlier: Vec<Cow<'a, str>>,
    /// The model's own messages among them.
    pub(crate) answers: u32,
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
