//! OpenAI chat completions.
//!
//! Owns this dialect's bodies, messages and headers. Never knows Anthropic's.
//! The wordings are those of api.openai.com.

mod answer;
mod error;
mod rate;
mod request;
mod stream;

pub(super) use answer::{completion, headers, model, models};
pub(super) use error::{bad_key, error};
pub(super) use rate::{rate_headers, refusal};
pub(super) use request::parse;
pub(super) use stream::frames;
