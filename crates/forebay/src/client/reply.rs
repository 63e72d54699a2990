//! A reply as a program gets it.

use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::engine::Answered;
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, FinishReason, Usage};
use crate::transport::Timings;

/// A finished answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The answer's text; empty when it holds only tool calls.
    pub text: String,
    /// Tool calls in the provider's own JSON, as an array, when there are any.
    pub tool_calls: Option<Box<RawValue>>,
    /// The answer as JSON, as the model wrote it, when a schema was asked for.
    pub parsed: Option<Box<RawValue>>,
    /// Why the provider stopped writing.
    pub finish_reason: FinishReason,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// Tokens used, by answers that did not fit a schema too; `None` when the provider did not say.
    pub usage: Option<Usage>,
    /// What it cost; `None` when the price or the usage is not known.
    pub cost: Option<Usd>,
    /// Attempts made, this one included.
    pub attempts: u32,
    /// Duration of the attempt that succeeded.
    pub duration: Duration,
    /// From its start to the first content, when the answer was streamed.
    pub time_to_first_chunk: Option<Duration>,
    /// How long the steps of that attempt took: to an open connection, and to the answer's head.
    pub timings: Timings,
    /// The name that the provider gave the exchange, which its support asks for.
    pub request_id: Option<String>,
    /// The provider's own body, for what has no member here; of a streamed answer, the body that
    /// it would have had in one piece.
    pub raw: Bytes,
}

impl Reply {
    pub(super) fn new(answered: Answered, parsed: Option<Box<RawValue>>) -> Reply {
        let (reply, request_id) = (answered.reply, answered.request_id);
        Reply {
            text: reply.text.unwrap_or_default(),
            tool_calls: reply.tool_calls,
            parsed,
            finish_reason: reply.finish_reason,
            model: reply.model,
            usage: reply.usage,
            cost: answered.cost,
            attempts: answered.attempts,
            duration: answered.duration,
            time_to_first_chunk: answered.first_chunk,
            timings: answered.timings,
            request_id,
            raw: answered.raw,
        }
    }

    /// The answer as JSON of this type.
    ///
    /// # Errors
    /// A failure of the kind [`SchemaMismatch`](FailureKind::SchemaMismatch) when it is not.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let json = self.parsed.as_ref().map_or(&*self.text, |json| json.get());
        serde_json::from_str(json).map_err(|error| {
            // The error's own words may quote the answer.
            let place = format!("line {} column {}", error.line(), error.column());
            let what = format!("the answer is not JSON of the type asked for, at {place}");
            Failure::new(FailureKind::SchemaMismatch, what)
        })
    }
}
