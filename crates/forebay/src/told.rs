//! What a provider tells of an account's limits: in the headers of its answers, or in the words of
//! a refusal.
//!
//! Owns the neutral form. Never reads a header; a provider's profile does.

/// Limits as one answer tells them; what it does not tell is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Told {
    /// Requests, per second, minute or hour.
    pub requests: Option<Level>,
    /// Requests per day.
    pub requests_per_day: Option<Level>,
    /// Input and output tokens together, per second, minute or hour.
    pub tokens: Option<Level>,
    /// Input and output tokens together, per day.
    pub tokens_per_day: Option<Level>,
    /// Input tokens, per minute.
    pub input_tokens: Option<Level>,
    /// Output tokens, per minute.
    pub output_tokens: Option<Level>,
    /// What a refusal says is used up; `None` when nothing was refused, or nobody knows why.
    pub refused: Option<Meter>,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meter {
    /// Requests, per second, minute or hour.
    Requests,
    /// Requests per day.
    RequestsPerDay,
    /// Input and output tokens together.
    Tokens,
    /// Tokens of any kind per day.
    TokensPerDay,
    /// Input tokens.
    InputTokens,
    /// Output tokens.
    OutputTokens,
    /// Requests at the same time.
    InFlight,
}

/// One limit and how much of it is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// What a full bucket holds, as told: the limit per minute, say. Above 0.
    pub limit: f64,
    /// What the bucket regains in a second: the limit over the seconds that it is for. Above 0.
    pub per_s: f64,
    /// What is left; `None` when the provider does not say.
    pub remaining: Option<f64>,
}

impl Told {
    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        *self == Told::default()
    }
}
