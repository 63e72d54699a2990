//! Gemini, as its Developer API speaks.
//!
//! Owns this dialect's bodies and messages. Never knows the others'.
//! The wordings are those of generativelanguage.googleapis.com.

mod answer;
mod error;
mod many;
mod models;
mod request;
mod stream;

use serde::Serialize;

pub(super) use answer::{completion, headers, token_count};
pub(super) use error::{bad_key, error, refusal};
pub(super) use models::{model, models, no_model};
pub(super) use request::{Want, parse};
pub(super) use stream::frames;

/// Writes a body as this provider does: over many lines.
pub(super) fn write(body: &mut Vec<u8>, value: &impl Serialize) {
    body.clear();
    // Writing plain structs to a Vec cannot fail.
    let _ = serde_json::to_writer_pretty(&mut *body, value);
    body.push(b'\n');
}
