//! How batches are worked off.

use std::time::Duration;

use serde::Deserialize;

use super::duration;

/// How batches are worked off, OpenAI's and Anthropic's.
///
/// Their requests go the way of every other, with its latency, script and faults, but without
/// the account's limits.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Batches {
    /// The time until the first request of a batch is taken up. Default 1 s, which shows clients
    /// that wait.
    #[serde(with = "duration")]
    pub validating: Duration,
    /// The time between the last answer and the end. Default 1 s. OpenAI only.
    #[serde(with = "duration")]
    pub finalizing: Duration,
    /// The time after which a batch expires. Default 24 h, as at both providers.
    #[serde(with = "duration")]
    pub expires_after: Duration,
    /// Requests of one batch that are worked on at the same time; at least 1. Default 64.
    pub parallel: usize,
    /// The probability that a request is in neither of a batch's files. Default 0. OpenAI only.
    pub missing: f64,
}

impl Default for Batches {
    fn default() -> Self {
        Batches {
            validating: Duration::from_secs(1),
            finalizing: Duration::from_secs(1),
            expires_after: Duration::from_secs(24 * 60 * 60),
            parallel: 64,
            missing: 0.0,
        }
    }
}
