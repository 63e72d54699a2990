//! What the engine tells while it runs: a closed list of past-tense facts.
//!
//! Reporters consume events; the engine never calls a reporter for anything else. Events hold
//! no prompts, answers or keys.

use std::time::Duration;

use crate::limit::{InForce, LimitedBy};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, Usage};

/// One fact about a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A finished row of an earlier session was kept.
    RowKept {
        /// Whether its item had succeeded.
        ok: bool,
    },
    /// An attempt failed and its item waits for another one.
    AttemptFailedWillRetry {
        /// The item's key.
        id: &'a str,
        /// What happened.
        failure: &'a Failure,
        /// The wait before the next attempt.
        after: Duration,
    },
    /// An item ended and its row is recorded.
    RowFinished(&'a Finished<'a>),
    /// The endpoint went down; probes follow.
    OutageBegan,
    /// The endpoint is back.
    OutageEnded {
        /// How long it was down.
        lasted: Duration,
    },
    /// The run admits no more items.
    StopBegan(&'a StopReason),
    /// The list of attempts in flight, as asked for, and what limits them.
    InFlightListed(&'a [InFlight], &'a InForce),
    /// Limits were changed, as asked for; also told when the change changes nothing.
    LimitsTuned {
        /// What held before.
        was: &'a InForce,
        /// What holds now.
        now: &'a InForce,
    },
}

/// The end of an item.
#[derive(Debug)]
pub struct Finished<'a> {
    /// The item's key.
    pub id: &'a str,
    /// Why it failed, if it did.
    pub failure: Option<&'a Failure>,
    /// Whether the token limit cut its answer.
    pub cut: bool,
    /// Tokens that were billed.
    pub usage: Option<Usage>,
    /// What it cost, when that is known.
    pub cost: Option<Usd>,
    /// Duration of the attempt that ended it, when one was made.
    pub duration: Option<Duration>,
    /// Attempts made.
    pub attempts: u32,
}

/// One attempt in flight.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// The item's key.
    pub id: String,
    /// Which attempt of the item it is, from 1.
    pub attempt: u32,
    /// How long it has been under way.
    pub age: Duration,
}

/// Why a run ended before its input did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The key is refused.
    Auth,
    /// The key's quota or credit is used up.
    Quota,
    /// The model or path does not exist.
    NotFound,
    /// The first items all failed in the same way.
    SameFailure,
    /// The cap on cost is reached.
    Cost,
    /// The endpoint was down for too long.
    Outage,
    /// The provider, or a limit per day, wants a longer wait than the run accepts.
    RateLimited {
        /// How much longer.
        wait: Duration,
    },
    /// The user interrupted; attempts in flight were finished.
    Interrupted,
    /// Nobody reads the output any more.
    OutputClosed,
    /// A file could not be written.
    Io {
        /// What and where.
        message: String,
    },
}

impl StopReason {
    /// The stable name, as journal and summary show it.
    pub fn label(&self) -> &'static str {
        match self {
            StopReason::Auth => "auth",
            StopReason::Quota => "quota",
            StopReason::NotFound => "not_found",
            StopReason::SameFailure => "same_failure",
            StopReason::Cost => "cost",
            StopReason::Outage => "outage",
            StopReason::RateLimited { .. } => "rate_limited",
            StopReason::Interrupted => "interrupted",
            StopReason::OutputClosed => "output_closed",
            StopReason::Io { .. } => "io",
        }
    }
}

/// What a finished engine run amounts to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Items that succeeded in this session.
    pub ok: u64,
    /// Items that failed in this session.
    pub failed: u64,
    /// Rows kept from earlier sessions: succeeded, failed.
    pub kept: (u64, u64),
    /// Items read but not finished: the rest of the input is not counted.
    pub pending: u64,
    /// Items read from the input.
    pub items: u64,
    /// Whether the input was read to its end.
    pub input_ended: bool,
    /// Why the run ended early, if it did.
    pub stopped: Option<StopReason>,
    /// An example for the stop: the failure that decided it.
    pub stop_example: Option<Failure>,
    /// Tokens of this session.
    pub usage: Usage,
    /// Cost of this session, as far as it is known.
    pub cost: Usd,
    /// Answers whose cost is not known.
    pub cost_unknown: u64,
    /// Items that were answered by answers from earlier.
    pub recalled: u64,
    /// What those answers had cost, as far as it is known.
    pub saved: Usd,
    /// HTTP exchanges made.
    pub attempts: u64,
    /// Failed attempts by kind, those that were retried and those that were not.
    pub failed_attempts: Vec<(FailureKind, u64)>,
    /// Attempts that may have been billed without an answer.
    pub maybe_billed: u64,
    /// Items answered by another's identical request.
    pub shared: u64,
    /// Time spent limited by each cause, largest first.
    pub limited: Vec<(LimitedBy, Duration)>,
    /// What limited at the end; `None` when no engine ran.
    pub in_force: Option<InForce>,
    /// How long the engine ran.
    pub wall: Duration,
}
