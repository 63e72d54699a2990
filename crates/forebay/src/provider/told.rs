//! What an answer tells of the account's limits: its headers, and the words of a refusal.
//!
//! Owns the profiles of the providers' rate headers. Never limits anything.

use http::HeaderMap;

use super::Answer;
use crate::endpoint::Endpoint;
use crate::outcome::Failure;
use crate::told::Told;

/// What an answer tells of the account's limits: by its headers, and by its words when it refuses.
pub fn told(endpoint: &Endpoint, answer: &Answer<'_>, _failure: Option<&Failure>) -> Option<Told> {
    told_in_headers(endpoint, answer.headers)
}

/// What the headers of an answer tell of the account's limits.
pub fn told_in_headers(_endpoint: &Endpoint, _headers: &HeaderMap) -> Option<Told> {
    None
}
