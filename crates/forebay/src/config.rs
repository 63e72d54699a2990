//! Numbers that a run is started with.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::answers::Answers;
use crate::money::Usd;
use crate::outcome::Signal;
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

impl Limits {
    /// The same after a change.
    #[must_use]
    pub fn changed(self, changes: &LimitChanges) -> Limits {
        Limits {
            rps: changed(self.rps, changes.rps),
            rpm: changed(self.rpm, changes.rpm),
            tpm: changed(self.tpm, changes.tpm),
            itpm: changed(self.itpm, changes.itpm),
            otpm: changed(self.otpm, changes.otpm),
            rpd: changed(self.rpd, changes.rpd),
        }
    }
}

/// A change of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<T> {
    /// There is no limit any more.
    Lift,
    /// This is the limit now; above 0.
    To(T),
}

/// Changes of [`Limits`]; `None` leaves a limit as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LimitChanges {
    /// Requests per second.
    pub rps: Option<Change<f64>>,
    /// Requests per minute.
    pub rpm: Option<Change<f64>>,
    /// Input and output tokens per minute.
    pub tpm: Option<Change<f64>>,
    /// Input tokens per minute.
    pub itpm: Option<Change<f64>>,
    /// Output tokens per minute.
    pub otpm: Option<Change<f64>>,
    /// Requests per day.
    pub rpd: Option<Change<u64>>,
}

/// Changes of a run's limits while it goes on; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tuning {
    /// How many attempts may be in flight.
    pub concurrency: Option<Concurrency>,
    /// Rates that the user allows.
    pub limits: LimitChanges,
    /// The share of what the provider allows that may be used, above 0 and at most 1.
    pub target_utilization: Option<f64>,
}

fn changed<T>(limit: Option<T>, change: Option<Change<T>>) -> Option<T> {
    match change {
        None => limit,
        Some(Change::Lift) => None,
        Some(Change::To(to)) => Some(to),
    }
}

/// How many attempts may be in flight.
#[derive(Debug, Clone, Copy)]
pub enum Concurrency {
    /// This many, whatever happens.
    Fixed(NonZeroUsize),
    /// As many as the endpoint serves well, which is found out while requests are sent; never more
    /// than `max`.
    Auto {
        /// The most attempts in flight.
        max: NonZeroUsize,
    },
    /// As many as a rule of the caller's says, to be compared with [`Concurrency::Auto`]: no
    /// endpoint is held back and no rate is learnt, and each item waits by itself.
    Rule(fn() -> Box<dyn LimitRule>),
}

impl Concurrency {
    /// The most attempts in flight that are tried when the user names no number: far beyond what
    /// keys allow, and within what one machine's sockets do.
    pub const MOST: NonZeroUsize = NonZeroUsize::new(2_000).unwrap();
    /// How many attempts may be in flight when the user says nothing.
    pub const DEFAULT: Concurrency = Concurrency::Auto {
        max: Concurrency::MOST,
    };

    /// The same, with at most this many attempts in flight.
    #[must_use]
    pub fn at_most(self, most: NonZeroUsize) -> Concurrency {
        match self {
            Concurrency::Fixed(n) => Concurrency::Fixed(n.min(most)),
            Concurrency::Auto { max } => Concurrency::Auto { max: max.min(most) },
            Concurrency::Rule(rule) => Concurrency::Rule(rule),
        }
    }
}

/// A rule for the attempts in flight.
pub trait LimitRule: fmt::Debug + Send {
    /// How many may be in flight now; at least 1.
    fn limit(&self) -> usize;
    /// Learns from the end of an attempt.
    fn ended(&mut self, end: &AttemptEnd);
}

/// The end of an attempt, as a [`LimitRule`] sees it.
#[derive(Debug, Clone, Copy)]
pub struct AttemptEnd {
    /// When it ended, since the engine started.
    pub now: Duration,
    /// When it was sent.
    pub sent_at: Duration,
    /// Attempts in flight when it was sent, itself included.
    pub in_flight: usize,
    /// What it says of the endpoint's load.
    pub signal: Signal,
}

/// What was learnt of an endpoint's limits, in a form that can be kept and given to the next
/// session.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Learnt {
    /// Attempts in flight that the endpoint serves well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<f64>,
    /// Requests per second that it takes, found out by its refusals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_s: Option<f64>,
    /// Whether it has ever refused for load.
    pub refuses: bool,
}

impl Learnt {
    /// How much a number has to move to be news: less is the sawtooth of a limit that is probed.
    const NEWS: f64 = 0.1;

    /// Whether it says noticeably more or something else than `earlier`.
    pub fn is_news_to(&self, earlier: &Learnt) -> bool {
        let Learnt {
            in_flight,
            requests_per_s,
            refuses,
        } = self;
        let moved = |now: Option<f64>, then: Option<f64>| match (now, then) {
            (Some(now), Some(then)) => (now - then).abs() > Learnt::NEWS * then.abs(),
            (now, then) => now.is_some() != then.is_some(),
        };
        *refuses != earlier.refuses
            || moved(*in_flight, earlier.in_flight)
            || moved(*requests_per_s, earlier.requests_per_s)
    }
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
    /// The share of what the provider allows that may be used, above 0 and at most 1; for a key
    /// that others use too. It applies to what is learnt, not to `limits`. Default 1.
    pub target_utilization: f64,
    /// What is known of the endpoint before anything is sent. Default: nothing.
    pub learnt: Learnt,
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
            target_utilization: 1.0,
            learnt: Learnt::default(),
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
