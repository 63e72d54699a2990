//! What becomes of a request: a [`Reply`] or a [`Failure`].
//!
//! Owns the closed list of failure kinds and the three questions that the engine asks of one.
//! Never retries, waits or prints; it only names.

use std::fmt;
use std::time::Duration;

use serde_json::value::RawValue;

/// The terminal result of an item.
pub type Outcome = Result<Reply, Failure>;

/// A finished answer of a provider, in neutral terms.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The answer's text; `None` when the answer holds only tool calls.
    pub text: Option<String>,
    /// Tool calls in the provider's own JSON, when there are any.
    pub tool_calls: Option<Box<RawValue>>,
    /// The answer as JSON, when a schema was asked for and it fits.
    pub parsed: Option<Box<RawValue>>,
    /// The vector, when an embedding was asked for.
    pub embedding: Option<Vec<f32>>,
    /// Why the provider stopped writing.
    pub finish_reason: FinishReason,
    /// The model that answered, as the provider names it (often a dated snapshot).
    pub model: Option<String>,
    /// Tokens used; `None` when the provider did not say.
    pub usage: Option<Usage>,
}

/// Why a provider stopped writing an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The answer is complete.
    Stop,
    /// The token limit cut the answer.
    Length,
    /// The model asks for tool results.
    ToolCalls,
    /// The provider named no reason.
    Unknown,
    /// A reason that Forebay does not know, as the provider wrote it.
    Other(String),
}

impl FinishReason {
    /// The reason as rows show it.
    pub fn as_str(&self) -> &str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::Unknown => "unknown",
            FinishReason::Other(reason) => reason,
        }
    }
}

/// Tokens of one answer, normalised over providers.
///
/// `input_tokens` always includes cached and cache-written tokens, and `output_tokens` always
/// includes reasoning tokens, whatever the provider's own counting is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input_tokens: u64,
    /// All output tokens, reasoning included.
    pub output_tokens: u64,
    /// Input tokens that were read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Input tokens that were written to the provider's cache (five minutes, or the only kind).
    pub cache_write_tokens: u64,
    /// Input tokens that were written to the provider's one-hour cache.
    pub cache_write_1h_tokens: u64,
    /// Output tokens that were spent on reasoning.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// Adds another answer's tokens to this sum; a sum beyond all numbers stays at the largest.
    pub fn add(&mut self, other: &Usage) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        add(&mut self.cached_input_tokens, other.cached_input_tokens);
        add(&mut self.cache_write_tokens, other.cache_write_tokens);
        add(&mut self.cache_write_1h_tokens, other.cache_write_1h_tokens);
        add(&mut self.reasoning_tokens, other.reasoning_tokens);
    }
}

/// Why an attempt, and in the end an item, did not succeed.
///
/// A failure is data of one item and never stops a run by itself. Its message holds no key, no
/// URL and no prompt.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// The HTTP status, when a provider answered.
    pub status: Option<u16>,
    /// The provider's own error code or type.
    pub provider_code: Option<String>,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// The provider's explicit word on retrying (`x-should-retry`), when it gave one.
    pub should_retry: Option<bool>,
    /// Attempts made for the item, this one included.
    pub attempts: u32,
    /// One line for people: what, where, value.
    pub message: String,
    /// Tokens that were billed all the same (a filtered answer, say).
    pub usage: Option<Box<Usage>>,
    /// Whether the provider had begun to write the answer: a part of it had come.
    pub answer_began: bool,
}

impl Failure {
    /// A failure of this kind with a message; everything else is absent.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        Failure {
            kind,
            status: None,
            provider_code: None,
            retry_after: None,
            should_retry: None,
            attempts: 0,
            message: message.into(),
            usage: None,
            answer_began: false,
        }
    }

    /// Whether the provider may have billed the attempt though no answer arrived whole.
    ///
    /// What was written before an error in the middle of a stream is billed by some providers.
    pub fn may_have_been_billed(&self) -> bool {
        if self.answer_began {
            return true;
        }
        match self.kind {
            FailureKind::Timeout { phase } => phase.after_send(),
            FailureKind::Truncated | FailureKind::Malformed => true,
            FailureKind::RateLimited
            | FailureKind::QuotaExhausted
            | FailureKind::Overloaded
            | FailureKind::ServerError
            | FailureKind::Connect
            | FailureKind::BadRequest
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
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind.label())?;
        if let Some(status) = self.status {
            write!(f, " (HTTP {status})")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Failure {}

/// The closed list of what can go wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The provider refuses because a rate limit is used up for now.
    RateLimited,
    /// The key's quota, credit or spend limit is used up; waiting does not help.
    QuotaExhausted,
    /// The provider has no capacity at the moment (503, 529, `slow_down`).
    Overloaded,
    /// The provider failed inside (500, 502, 504, 52x).
    ServerError,
    /// No connection came about; the request was never sent.
    Connect,
    /// A deadline passed.
    Timeout {
        /// What the attempt was waiting for.
        phase: Phase,
    },
    /// The connection ended before the answer was whole.
    Truncated,
    /// What arrived is no HTTP, is too large, cannot be unpacked or understood, or is empty.
    Malformed,
    /// The provider rejects this request (400, 413, 422).
    BadRequest,
    /// The request is longer than the model's context.
    ContextLength,
    /// A content filter or a refusal.
    ContentFiltered,
    /// The token limit cut the answer, where that counts as a failure.
    Length,
    /// The answer does not fit the JSON Schema that was asked for.
    SchemaMismatch,
    /// The key is missing, wrong, or not allowed to do this (401, 403).
    Auth,
    /// The model or the path does not exist (404).
    NotFound,
    /// The input itself is unusable; nothing was sent.
    InvalidItem,
    /// The run was stopped while the attempt was under way.
    Cancelled,
}

/// What an attempt was waiting for when its deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Name resolution, TCP and TLS.
    Connect,
    /// Writing the request, and the first byte of the answer.
    FirstChunk,
    /// The next byte of the answer.
    BetweenChunks,
    /// The end of the answer.
    Total,
}

impl Phase {
    /// Whether the provider may have received the request by then.
    pub fn after_send(self) -> bool {
        match self {
            Phase::Connect => false,
            Phase::FirstChunk | Phase::BetweenChunks | Phase::Total => true,
        }
    }
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The same request will fail again.
    Permanent,
    /// The same request may succeed later.
    Temporary,
}

/// What an attempt's end says about the endpoint's load; exactly one per permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The endpoint did its work.
    Success,
    /// The endpoint says that it has too much to do.
    Overload,
    /// The end says nothing about load.
    Ignore,
}

impl FailureKind {
    /// Whether the same request may succeed later.
    pub fn disposition(self) -> Disposition {
        match self {
            FailureKind::RateLimited
            | FailureKind::Overloaded
            | FailureKind::ServerError
            | FailureKind::Connect
            | FailureKind::Timeout { .. }
            | FailureKind::Truncated
            | FailureKind::Malformed => Disposition::Temporary,
            FailureKind::QuotaExhausted
            | FailureKind::BadRequest
            | FailureKind::ContextLength
            | FailureKind::ContentFiltered
            | FailureKind::Length
            | FailureKind::SchemaMismatch
            | FailureKind::Auth
            | FailureKind::NotFound
            | FailureKind::InvalidItem
            | FailureKind::Cancelled => Disposition::Permanent,
        }
    }

    /// What this failure tells the limiter.
    pub fn signal(self) -> Signal {
        match self {
            FailureKind::RateLimited | FailureKind::Overloaded => Signal::Overload,
            FailureKind::BadRequest
            | FailureKind::ContextLength
            | FailureKind::ContentFiltered
            | FailureKind::Length
            | FailureKind::SchemaMismatch => Signal::Success,
            FailureKind::QuotaExhausted
            | FailureKind::ServerError
            | FailureKind::Connect
            | FailureKind::Timeout { .. }
            | FailureKind::Truncated
            | FailureKind::Malformed
            | FailureKind::Auth
            | FailureKind::NotFound
            | FailureKind::InvalidItem
            | FailureKind::Cancelled => Signal::Ignore,
        }
    }

    /// Whether the endpoint itself looks unwell; many of these make an outage.
    pub fn is_outage_sign(self) -> bool {
        match self {
            FailureKind::ServerError | FailureKind::Connect | FailureKind::Overloaded => true,
            FailureKind::Timeout { .. } | FailureKind::Truncated => true,
            FailureKind::RateLimited
            | FailureKind::QuotaExhausted
            | FailureKind::Malformed
            | FailureKind::BadRequest
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

    /// Whether a whole answer came and was found wanting: it is billed like any other.
    pub fn is_answer(self) -> bool {
        match self {
            FailureKind::Length | FailureKind::SchemaMismatch => true,
            FailureKind::RateLimited
            | FailureKind::QuotaExhausted
            | FailureKind::Overloaded
            | FailureKind::ServerError
            | FailureKind::Connect
            | FailureKind::Timeout { .. }
            | FailureKind::Truncated
            | FailureKind::Malformed
            | FailureKind::BadRequest
            | FailureKind::ContextLength
            | FailureKind::ContentFiltered
            | FailureKind::Auth
            | FailureKind::NotFound
            | FailureKind::InvalidItem
            | FailureKind::Cancelled => false,
        }
    }

    /// The stable name of the kind, as rows, journal and summary show it.
    pub fn label(self) -> &'static str {
        match self {
            FailureKind::RateLimited => "rate_limited",
            FailureKind::QuotaExhausted => "quota_exhausted",
            FailureKind::Overloaded => "overloaded",
            FailureKind::ServerError => "server_error",
            FailureKind::Connect => "connect",
            FailureKind::Timeout { phase } => match phase {
                Phase::Connect => "timeout_connect",
                Phase::FirstChunk => "timeout_first_chunk",
                Phase::BetweenChunks => "timeout_between_chunks",
                Phase::Total => "timeout_total",
            },
            FailureKind::Truncated => "truncated",
            FailureKind::Malformed => "malformed",
            FailureKind::BadRequest => "bad_request",
            FailureKind::ContextLength => "context_length",
            FailureKind::ContentFiltered => "content_filtered",
            FailureKind::Length => "length",
            FailureKind::SchemaMismatch => "schema_mismatch",
            FailureKind::Auth => "auth",
            FailureKind::NotFound => "not_found",
            FailureKind::InvalidItem => "invalid_item",
            FailureKind::Cancelled => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_shown_with_its_kind_status_and_message() {
        let mut failure = Failure::new(FailureKind::RateLimited, "limit reached");
        assert_eq!(failure.to_string(), "rate_limited: limit reached");
        failure.status = Some(429);
        assert_eq!(
            failure.to_string(),
            "rate_limited (HTTP 429): limit reached"
        );
    }

    #[test]
    fn only_what_reached_the_provider_may_have_been_billed() {
        let billed = |kind| Failure::new(kind, "").may_have_been_billed();
        assert!(billed(FailureKind::Truncated));
        assert!(billed(FailureKind::Timeout {
            phase: Phase::FirstChunk
        }));
        assert!(!billed(FailureKind::Timeout {
            phase: Phase::Connect
        }));
        assert!(!billed(FailureKind::Connect));
        let mut overloaded = Failure::new(FailureKind::Overloaded, "");
        assert!(!overloaded.may_have_been_billed());
        overloaded.answer_began = true;
        assert!(overloaded.may_have_been_billed(), "in the middle of it");
        assert!(!billed(FailureKind::RateLimited));
    }
}
