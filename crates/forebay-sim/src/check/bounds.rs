//! What a run was told to keep to, and what is known of it from outside.

use std::time::Duration;

/// Which sessions log and results cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sessions {
    /// All that the journal has.
    #[default]
    All,
    /// The last one only: earlier rows are known from the journal.
    Last,
}

/// What to judge by; what is absent is not checked.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// Items in the input; the journal tells it too, once the input was counted.
    pub items: Option<u64>,
    /// Items without a row, by the run's own word.
    pub pending: Option<u64>,
    /// The most attempts that count, per item.
    pub max_attempts: Option<u32>,
    /// Whether the retry budget of `forebay` applies.
    pub retry_budget: bool,
    /// The most requests in flight.
    pub max_in_flight: Option<u64>,
    /// How much earlier than its record in the log an answer may have been read; 0 in paused
    /// time.
    pub slack: Duration,
    /// The command's exit code.
    pub exit_code: Option<i32>,
    /// How long a session may take.
    pub within: Option<Duration>,
    /// Values that must not stand anywhere.
    pub secrets: Vec<String>,
    /// The endpoint's name, if the journal does not tell it.
    pub endpoint: Option<String>,
    /// Whether failed rows may be sent again by later sessions.
    pub retry_failed: bool,
    /// Whether the log may hold requests of others.
    pub shared_log: bool,
    /// Which sessions log and results cover.
    pub sessions: Sessions,
}
