//! What an answer tells of the account's limits: its headers, and the words of a refusal.
//!
//! Owns the profiles of the providers' rate headers, and what their refusals mean. Never limits
//! anything, never reads a clock, and never fails: what cannot be understood is absent.
//!
//! ```text
//! headers ─► names ─► (limit, remaining, reset) of each unit ─► window ─► Level
//! words of a refusal ─────────────────────────────────────────────────► Level, Meter
//! ```

mod headers;
mod reset;
mod window;
mod words;

#[cfg(test)]
mod tests;

use super::Answer;
use crate::endpoint::Endpoint;
use crate::headers::Headers;
use crate::outcome::{Failure, FailureKind};
use crate::told::Told;

/// A second, in seconds: what a window is measured in.
const SECOND: f64 = 1.0;
/// A minute, in seconds.
const MINUTE: f64 = 60.0;
/// An hour, in seconds.
const HOUR: f64 = 3_600.0;
/// A day, in seconds.
const DAY: f64 = 86_400.0;

/// The least limit that is believed; the slowest known is Together's, a few requests per second.
const LEAST_LIMIT: f64 = 0.01;
/// The largest limit that is believed: far above what any provider allows a day, and what larger
/// numbers stand for is no limit at all.
const MOST_LIMIT: f64 = 1e12;

/// What an answer tells of the account's limits: by its headers, and by its words when it refuses.
///
/// Words fill in only what the headers leave open.
pub fn told(endpoint: &Endpoint, answer: &Answer<'_>, failure: Option<&Failure>) -> Option<Told> {
    let mut told = headers::read(endpoint.rate_headers, answer.headers);
    if let Some(failure) = failure.filter(|failure| may_name_limits(failure)) {
        words::read(answer, failure).fill(&mut told);
    }
    (!told.is_empty()).then_some(told)
}

/// What the headers of an answer tell of the account's limits.
///
/// Nothing is allocated, and an answer without such headers costs a look at each header's name.
pub fn told_in_headers(endpoint: &Endpoint, headers: &Headers) -> Option<Told> {
    let told = headers::read(endpoint.rate_headers, headers);
    (!told.is_empty()).then_some(told)
}

/// Whether a failure's words may be about a limit.
fn may_name_limits(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::RateLimited | FailureKind::Overloaded | FailureKind::QuotaExhausted => true,
        // A request that is larger than a limit is told with the limit.
        FailureKind::BadRequest => failure.status == Some(429),
        FailureKind::ServerError
        | FailureKind::Connect
        | FailureKind::Timeout { .. }
        | FailureKind::Truncated
        | FailureKind::Malformed
        | FailureKind::ContextLength
        | FailureKind::ContentFiltered
        | FailureKind::Length
        | FailureKind::SchemaMismatch
        | FailureKind::Auth
        | FailureKind::NotFound
        | FailureKind::InvalidItem
        | FailureKind::Cancelled => false,
    }
}

/// A limit if it can be one.
fn believable(limit: f64) -> Option<f64> {
    (LEAST_LIMIT..=MOST_LIMIT).contains(&limit).then_some(limit)
}
