//! What a refusal says of limits, in words.
//!
//! Owns the sentences of the providers. Never decides whether an answer is a refusal.

use super::super::Answer;
use crate::outcome::Failure;
use crate::told::Told;

/// What a refusal tells.
pub(super) fn read(_answer: &Answer<'_>, _failure: &Failure) -> Words {
    Words(Told::default())
}

/// Limits by words.
pub(super) struct Words(Told);

impl Words {
    /// Fills in what is not told yet.
    pub(super) fn fill(self, told: &mut Told) {
        let Words(words) = self;
        let Told {
            requests,
            requests_per_day,
            tokens,
            tokens_per_day,
            input_tokens,
            output_tokens,
            refused,
        } = words;
        told.requests = told.requests.or(requests);
        told.requests_per_day = told.requests_per_day.or(requests_per_day);
        told.tokens = told.tokens.or(tokens);
        told.tokens_per_day = told.tokens_per_day.or(tokens_per_day);
        told.input_tokens = told.input_tokens.or(input_tokens);
        told.output_tokens = told.output_tokens.or(output_tokens);
        told.refused = told.refused.or(refused);
    }
}
