//! The OpenAI responses dialect.

use super::body::invalid;
use super::errors::Context;
use crate::item::Request;
use crate::outcome::{Failure, Outcome};

/// Writes a request.
pub(super) fn encode(_: &Request) -> Result<Vec<u8>, Failure> {
    Err(invalid("this dialect cannot be written yet"))
}

/// Reads an answer with a status from 200 to 299.
pub(super) fn decode(context: &Context<'_>) -> Outcome {
    Err(context.without_answer("this dialect cannot be read yet", None))
}
