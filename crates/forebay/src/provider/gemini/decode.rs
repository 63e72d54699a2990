//! Reads answers of the Gemini generateContent dialect.

use crate::outcome::Outcome;
use crate::provider::errors::Context;

/// Reads an answer with a status from 200 to 299.
pub(in crate::provider) fn decode(context: &Context<'_>) -> Outcome {
    Err(context.without_answer("this dialect cannot be read yet", None))
}
