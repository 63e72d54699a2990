//! The configuration of a simulated provider: plain structs with defaults.
//!
//! Owns the numbers a user may choose. Never acts on them and never reads a clock.

mod batches;
pub(crate) mod duration;
mod limits;
mod schedule;

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::batching::Batching;
use crate::connection::Http2;
use crate::faults::Rules;
use crate::script::Script;

pub use batches::Batches;
pub use limits::{Limits, Ramp, RateHeaders, RetryAfter};
pub use schedule::{Outage, OutageKind, Step, Tenant};

/// Everything a [`Sim`](crate::Sim) is told when it starts.
///
/// The default is a healthy provider for a demonstration: log-normal latency with a median of
/// 400 ms and a sigma of 0.4, plausible answers, no limits, no faults, any nonempty key, no log.
#[derive(Clone)]
pub struct Config {
    /// Seeds latencies, faults, ids and texts; the same seed gives the same run. Default 0.
    pub seed: u64,
    /// The time between a request's last byte and its answer.
    pub latency: Latency,
    /// The time that the network takes for the way to the provider and back, on top of all else,
    /// for refusals too. It passes before the request arrives. Default 0.
    pub network: Duration,
    /// A back end that batches continuously and gives answers their time in place of `latency`.
    /// Default `None`.
    pub batching: Option<Batching>,
    /// What the answers say. Default [`Answers::Plausible`].
    pub answers: Answers,
    /// How long answers are. Default [`OutputLength::AsWritten`].
    pub output_length: OutputLength,
    /// The output tokens that each frame of a streamed answer brings; at least 1. Default 1.
    pub chunk_tokens: u64,
    /// What the account may use. Default: no limits.
    pub limits: Limits,
    /// Changes of capacity, in order of time. Default: none.
    pub capacity: Vec<Step>,
    /// Outages. Default: none.
    pub outages: Vec<Outage>,
    /// Another client of the same account. Default: none.
    pub tenant: Option<Tenant>,
    /// How batches are worked off.
    pub batches: Batches,
    /// Faults drawn by probability. Default: none.
    pub faults: Faults,
    /// Rules by which faults strike, asked after the script. Default: none.
    pub rules: Rules,
    /// HTTP/2 for clients that speak it. Default: 100 streams per connection, no faults.
    pub http2: Http2,
    /// Decides each request by code; asked before anything else is. Default `None`.
    pub script: Option<Script>,
    /// The only accepted key. Default `None`: any nonempty key passes.
    pub required_key: Option<String>,
    /// The names `GET /v1/models` lists; any model is served. Default `sim-small`, `sim-large`.
    pub models: Vec<String>,
    /// Receives the log as JSON lines, at most about 50 ms late. Default `None`.
    pub log_file: Option<Arc<File>>,
    /// Whether [`Sim::log`](crate::Sim::log) keeps the log in memory. Default `false`.
    pub keep_log: bool,
    /// Whether request records hold the prompt's text. Default `false`.
    pub log_prompts: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            seed: 0,
            latency: Latency::default(),
            network: Duration::ZERO,
            batching: None,
            answers: Answers::default(),
            output_length: OutputLength::default(),
            chunk_tokens: 1,
            limits: Limits::default(),
            capacity: Vec::new(),
            outages: Vec::new(),
            tenant: None,
            batches: Batches::default(),
            faults: Faults::default(),
            rules: Rules::default(),
            http2: Http2::default(),
            script: None,
            required_key: None,
            models: vec!["sim-small".to_owned(), "sim-large".to_owned()],
            log_file: None,
            keep_log: false,
            log_prompts: false,
        }
    }
}

impl fmt::Debug for Config {
    /// Shows every field except the script's code and the required key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("seed", &self.seed)
            .field("latency", &self.latency)
            .field("network", &self.network)
            .field("batching", &self.batching)
            .field("answers", &self.answers)
            .field("output_length", &self.output_length)
            .field("chunk_tokens", &self.chunk_tokens)
            .field("limits", &self.limits)
            .field("capacity", &self.capacity)
            .field("outages", &self.outages)
            .field("tenant", &self.tenant)
            .field("batches", &self.batches)
            .field("faults", &self.faults)
            .field("rules", &self.rules)
            .field("http2", &self.http2)
            .field("script", &self.script.is_some())
            .field("required_key", &self.required_key.is_some())
            .field("models", &self.models)
            .field("log_file", &self.log_file)
            .field("keep_log", &self.keep_log)
            .field("log_prompts", &self.log_prompts)
            .finish()
    }
}

/// The time between a request's last byte and its answer.
///
/// Only normal answers wait; rejections and errors are sent at once.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Latency {
    /// No wait at all: the counterpart of a load generator.
    Zero,
    /// The same wait each time.
    Fixed(#[serde(with = "duration")] Duration),
    /// A log-normal wait.
    LogNormal {
        /// Half of the waits are shorter.
        #[serde(with = "duration")]
        median: Duration,
        /// The standard deviation of the logarithm; 0 is constant, 0.4 is a calm provider.
        sigma: f64,
    },
    /// A wait that grows with the answer.
    PerToken {
        /// The time until the first output token.
        #[serde(with = "duration")]
        first: Duration,
        /// The time each output token adds.
        #[serde(with = "duration", rename = "per-output-token")]
        per_output_token: Duration,
    },
}

impl Default for Latency {
    /// Log-normal, median 400 ms, sigma 0.4: short enough for a demonstration to end soon.
    fn default() -> Self {
        Latency::LogNormal {
            median: Duration::from_millis(400),
            sigma: 0.4,
        }
    }
}

/// What the answers say.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answers {
    /// A label, an extract or prose, as the prompt asks; the same prompt gets the same answer.
    #[default]
    Plausible,
    /// The last user message.
    Echo,
    /// Always this text: the cheapest.
    Fixed(String),
}

/// How long answers are.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputLength {
    /// As long as the text happens to be.
    #[default]
    AsWritten,
    /// As many tokens as the last number in the prompt says, if there is one. The usage counts
    /// them; the text stays as it is, as that of a model does which thinks without saying so.
    Asked,
    /// A log-normal number of tokens, fixed by the prompt; shorter plausible texts are padded to
    /// it.
    LogNormal {
        /// Half of the answers are shorter, in tokens of four characters.
        median: f64,
        /// The standard deviation of the logarithm; 0 is constant.
        sigma: f64,
    },
}

/// Faults drawn by probability, at most one for each request.
///
/// Probabilities are between 0 and 1 and should add up to at most 1. They strike requests that
/// the limits admitted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Faults {
    /// Error statuses with their probabilities, sent at once in the dialect's own body form.
    #[serde(rename = "errors")]
    pub error_rate: Vec<(u16, f64)>,
    /// The probability that the connection is reset before the answer's first byte.
    pub reset: f64,
    /// The probability that the answer is cut at a random byte and the connection closed.
    pub cut: f64,
    /// The probability that the answer never comes.
    pub stall: f64,
}
