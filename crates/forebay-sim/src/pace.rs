//! When the tokens of an answer come into being.
//!
//! Owns the waiting for them. Never knows what they say, and never writes them.

use tokio::time::Instant;

use crate::batching::Sequence;
use crate::latency::Timing;

/// The back end's side of one answer; dropping it gives the answer up.
#[derive(Debug)]
pub(crate) enum Pace {
    /// Tokens come at times that were drawn when the request arrived.
    Timed(Instant, Timing),
    /// Tokens come with the steps of an engine that batches.
    Batched(Sequence),
}

impl Pace {
    /// An answer that begins now and takes its times from a draw.
    pub(crate) fn timed(timing: Timing) -> Pace {
        Pace::Timed(Instant::now(), timing)
    }

    /// Waits until this many output tokens exist; 0 waits for the answer's beginning.
    ///
    /// Cancel safe.
    pub(crate) async fn reach(&mut self, tokens: u64) {
        match self {
            Pace::Timed(begun, timing) => {
                let wait = timing.at(tokens);
                if !wait.is_zero() {
                    tokio::time::sleep(wait.saturating_sub(begun.elapsed())).await;
                }
            }
            // An answer begins with its first token.
            Pace::Batched(sequence) => sequence.reach(tokens.max(1)).await,
        }
    }

    /// The input tokens that a cache saved; known once the first token exists.
    pub(crate) fn cached_tokens(&self) -> u64 {
        match self {
            Pace::Timed(..) => 0,
            Pace::Batched(sequence) => sequence.cached_tokens(),
        }
    }
}
