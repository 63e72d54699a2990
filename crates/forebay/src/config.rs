//! Numbers that a run is started with.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::answers::Answers;
use crate::money::Usd;
use crate::schema::SchemaCheck;

/// Rates that the user allows an endpoint; `None` leaves a rate unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Requests per second.
    pub rps: Option<f64>,
    /// Requests per minute.
    pub rpm: Option<f64>,
    /// Input and output tokens per minute.
    pub tpm: Option<f64>,
    /// Input tokens per minute.
    pub itpm: Option<f64>,
    /// Output tokens per minute.
    pub otpm: Option<f64>,
    /// Requests per day.
    pub rpd: Option<u64>,
}

/// How many attempts may be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concurrency {
    /// This many, whatever happens.
    Fixed(NonZeroUsize),
}

impl Concurrency {
    /// Attempts in flight when the user names no number.
    pub const DEFAULT: Concurrency = Concurrency::Fixed(NonZeroUsize::new(20).unwrap());
}

/// Deadlines of one attempt.
///
/// Defaults: those of the failure review in `docs/decisions/0003-deadlines.md`; the official
/// SDKs' 600 seconds are a deadline between bytes and leave a dripping server undetected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution, TCP and TLS together. Default 10 s.
    pub connect: Duration,
    /// From the start of sending to the first byte of the answer. Default 600 s.
    pub first_byte: Duration,
    /// Between two reads of the answer. Default 120 s.
    pub idle: Duration,
    /// The whole attempt. Default 1800 s.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(600),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(1800),
        }
    }
}

/// How failed attempts are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySettings {
    /// Attempts that count, per item; refusals for rate do not count. Default 5, at least 1.
    pub max_attempts: u32,
    /// The longest wait a provider may ask for; beyond it the endpoint is parked and the run
    /// stops once nothing else can be done. Default 120 s, as in OpenAI's SDK.
    pub max_wait: Duration,
    /// How long an outage may last before the run stops. Default 1 h; 30 s at most while
    /// nothing has ever succeeded.
    pub max_outage: Duration,
}

impl Default for RetrySettings {
    fn default() -> RetrySettings {
        RetrySettings {
            max_attempts: 5,
            max_wait: Duration::from_secs(120),
            max_outage: Duration::from_secs(3600),
        }
    }
}

/// What becomes of answers that the cap on output tokens cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnLength {
    /// They are answers; their finish reason says that they were cut.
    #[default]
    Ok,
    /// They are failures of the kind `length`.
    Error,
    /// They are asked for again with twice the room, up to what the model can write and three
    /// times at the most, and are failures after that.
    Retry,
}

impl OnLength {
    /// All of them, in the order in which they are shown.
    pub const ALL: [OnLength; 3] = [OnLength::Ok, OnLength::Error, OnLength::Retry];

    /// The name in flags and configuration.
    pub fn name(self) -> &'static str {
        match self {
            OnLength::Ok => "ok",
            OnLength::Error => "error",
            OnLength::Retry => "retry",
        }
    }
}

/// How many texts of an embeddings run travel in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// The most texts of one request. Default 100: their vectors of 3,072 numbers are 1.6 MB, an
    /// answer of an ordinary size; requests are then few enough that more texts in each save no
    /// time, and a text that the provider rejects is alone after seven halvings. OpenAI takes 2,048.
    pub max_inputs: NonZeroUsize,
    /// The most estimated tokens of one request; a longer text travels alone. Default 100,000:
    /// OpenAI takes 300,000, and estimates may be wrong by a factor of two or three.
    pub max_tokens: u64,
}

impl Default for Packing {
    fn default() -> Packing {
        Packing {
            max_inputs: NonZeroUsize::new(100).unwrap_or(NonZeroUsize::MIN),
            max_tokens: 100_000,
        }
    }
}

/// Everything the engine needs to know besides endpoint, items and outputs.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// How many attempts may be in flight.
    pub concurrency: Concurrency,
    /// Rates that the user allows.
    pub limits: Limits,
    /// Deadlines of one attempt.
    pub timeouts: Timeouts,
    /// How failed attempts are tried again.
    pub retry: RetrySettings,
    /// The most that the run may cost, earlier sessions included.
    pub max_cost: Option<Usd>,
    /// Whether identical requests in flight are sent once.
    pub dedup: bool,
    /// How long attempts in flight may go on after the first interrupt. Default 30 s.
    pub grace: Duration,
    /// Seed of every random choice (jitter).
    pub seed: u64,
    /// Keep the provider's own body in the row.
    pub raw: bool,
    /// The most output tokens of an answer, as the requests say.
    pub max_tokens: Option<u32>,
    /// What becomes of cut answers. With a schema, one that does not fit is a failure in any case.
    pub on_length: OnLength,
    /// What answers have to fit, and how often one that does not is asked for again.
    pub schema: Option<SchemaCheck>,
    /// How items travel together, when the requests ask for embeddings; `None` sends each item's
    /// request by itself.
    pub embed: Option<Packing>,
    /// Where good answers are kept for the next time the same is asked. Default: nowhere.
    pub answers: Option<Arc<dyn Answers>>,
}

impl Default for EngineSettings {
    fn default() -> EngineSettings {
        EngineSettings {
            concurrency: Concurrency::DEFAULT,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            retry: RetrySettings::default(),
            max_cost: None,
            dedup: false,
            grace: Duration::from_secs(30),
            seed: 0,
            raw: false,
            max_tokens: None,
            on_length: OnLength::default(),
            schema: None,
            embed: None,
            answers: None,
        }
    }
}
