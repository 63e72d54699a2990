//! Writes requests of the Gemini generateContent dialect.

use crate::item::Request;
use crate::outcome::Failure;
use crate::provider::body::invalid;

/// Writes a request.
pub(in crate::provider) fn encode(_: &Request) -> Result<Vec<u8>, Failure> {
    Err(invalid("this dialect cannot be written yet"))
}
