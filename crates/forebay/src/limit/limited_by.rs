//! Words for what limits a run.

/// What limits a run at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitedBy {
    /// Attempts in flight, as many as the user allows.
    Concurrency,
    /// Attempts in flight, while it is still found out how many are served well.
    Ramp,
    /// Attempts in flight: the provider refuses more, or is no faster with more.
    Saturated,
    /// Requests per second.
    Rps,
    /// Requests per minute.
    Rpm,
    /// Tokens per minute.
    Tpm,
    /// Input tokens per minute.
    Itpm,
    /// Output tokens per minute.
    Otpm,
    /// Requests per day.
    Rpd,
    /// The provider asked to wait, or a retry waits.
    Backoff,
    /// The endpoint is down.
    Outage,
    /// The cap on cost.
    Cost,
    /// The input is slower than the endpoint.
    Input,
}

impl LimitedBy {
    /// All of them, in the order of the enum.
    pub const ALL: [LimitedBy; 13] = [
        LimitedBy::Concurrency,
        LimitedBy::Ramp,
        LimitedBy::Saturated,
        LimitedBy::Rps,
        LimitedBy::Rpm,
        LimitedBy::Tpm,
        LimitedBy::Itpm,
        LimitedBy::Otpm,
        LimitedBy::Rpd,
        LimitedBy::Backoff,
        LimitedBy::Outage,
        LimitedBy::Cost,
        LimitedBy::Input,
    ];

    /// The stable name, as progress and summary show it.
    pub fn label(self) -> &'static str {
        match self {
            LimitedBy::Concurrency => "concurrency",
            LimitedBy::Ramp => "ramp-up",
            LimitedBy::Saturated => "provider saturated",
            LimitedBy::Rps => "rps",
            LimitedBy::Rpm => "rpm",
            LimitedBy::Tpm => "tpm",
            LimitedBy::Itpm => "itpm",
            LimitedBy::Otpm => "otpm",
            LimitedBy::Rpd => "rpd",
            LimitedBy::Backoff => "backoff",
            LimitedBy::Outage => "outage",
            LimitedBy::Cost => "cost",
            LimitedBy::Input => "input",
        }
    }
}
