//! What the account may use, and how clients are told.

use std::time::Duration;

use serde::Deserialize;

use super::duration;

/// What the account may use, over all models and dialects together.
///
/// Each limit is a token bucket that refills continuously and starts full.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Requests per minute. Default `None`.
    pub rpm: Option<u64>,
    /// Requests per second; its bucket holds one second, and only the headers `PerSecond`
    /// tell of it. Default `None`.
    pub rps: Option<f64>,
    /// Requests per day; its bucket holds a day. Default `None`.
    pub rpd: Option<u64>,
    /// Input and output tokens per minute. Default `None`.
    ///
    /// OpenAI charges the input and the request's token cap up front and corrects at the end;
    /// Anthropic charges the input up front and the output at the end.
    pub tpm: Option<u64>,
    /// Input and output tokens per day, charged like `tpm`; its bucket holds a day. Default `None`.
    pub tpd: Option<u64>,
    /// Input tokens per minute, charged up front. Default `None`.
    pub itpm: Option<u64>,
    /// Output tokens per minute, charged at the end; may run into debt. Default `None`.
    pub otpm: Option<u64>,
    /// The requests served at the same time; one more is rejected. Default `None`.
    pub max_in_flight: Option<usize>,
    /// The refill a per-minute bucket holds. Default 60 s: a full minute.
    ///
    /// Providers that enforce 60 requests per minute as one each second hold less.
    #[serde(with = "duration")]
    pub burst: Duration,
    /// Whether rejected, invalid and failed requests consume too. Default `false`.
    pub count_failed: bool,
    /// How fast the load may grow. Default `None`: at once.
    pub ramp: Option<Ramp>,
    /// Which rate headers answers carry. Default: the dialect's.
    pub headers: RateHeaders,
    /// Which `retry-after` rejections carry. Default: the true one.
    pub retry_after: RetryAfter,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            rpm: None,
            rps: None,
            rpd: None,
            tpm: None,
            tpd: None,
            itpm: None,
            otpm: None,
            max_in_flight: None,
            burst: Duration::from_secs(60),
            count_failed: false,
            ramp: None,
            headers: RateHeaders::default(),
            retry_after: RetryAfter::default(),
        }
    }
}

/// How fast the load may grow: in each window at most so many requests, or the last window's
/// admitted ones times a factor if those are more.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ramp {
    /// The requests that any window admits; at least 1.
    pub start: u64,
    /// The growth from one window to the next, as a factor above 1.
    pub growth: f64,
    /// The length of a window.
    #[serde(with = "duration")]
    pub window: Duration,
}

/// Which rate headers answers carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateHeaders {
    /// Those of the dialect.
    #[default]
    Dialect,
    /// None.
    None,
    /// OpenAI: times in whole seconds without a unit, as Azure has them.
    WholeSeconds,
    /// OpenAI: those of requests tell the day, as Groq has them.
    PerDay,
    /// OpenAI: those of a day's requests and tokens and of a minute's tokens, which their names
    /// say, times in seconds with a fraction, as Cerebras has them.
    DayAndMinute,
    /// OpenAI: `x-ratelimit-*` and `x-tokenlimit-*` of a second, as Together has them. Without
    /// `rps`, a minute's limits are told as a sixtieth; true of what `burst = "1s"` holds.
    PerSecond,
    /// Limits and what remains as -1, times as 0: what Azure's Responses API was seen to send.
    Unknown,
    /// Limits and what remains are this many times the true ones.
    Scaled(f64),
}

/// Which `retry-after` rejections carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfter {
    /// The time after which the request fits.
    #[default]
    True,
    /// None.
    None,
    /// The true time times this: below 1 is too short, above 1 exaggerated.
    Scaled(f64),
    /// Always this, whatever is true.
    Fixed(#[serde(with = "duration")] Duration),
}

impl RetryAfter {
    /// What is told of a true wait.
    pub(crate) fn told(self, wait: Duration) -> Option<Duration> {
        match self {
            RetryAfter::True => Some(wait),
            RetryAfter::None => None,
            RetryAfter::Fixed(told) => Some(told),
            RetryAfter::Scaled(factor) => {
                let seconds = wait.as_secs_f64() * factor.max(0.0);
                Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
            }
        }
    }
}
