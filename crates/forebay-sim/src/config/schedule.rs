//! What changes over time: capacity, outages, another tenant.

use std::time::Duration;

use serde::Deserialize;

use super::duration;

/// A step of capacity: from this time on, all limits are this many times the configured ones.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When, since the simulator started.
    #[serde(with = "duration")]
    pub at: Duration,
    /// The factor; 0 admits nothing.
    pub factor: f64,
}

/// A time in which nothing is answered as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// When it begins, since the simulator started.
    #[serde(with = "duration")]
    pub from: Duration,
    /// When it ends.
    #[serde(with = "duration")]
    pub until: Duration,
    /// What happens to requests that arrive in between. Default: status 503.
    #[serde(default)]
    pub what: OutageKind,
}

/// What happens to requests in an outage.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutageKind {
    /// This error status.
    Status(u16),
    /// The connection is reset.
    Reset,
    /// No answer ever comes.
    Stall,
}

impl Default for OutageKind {
    fn default() -> Self {
        OutageKind::Status(503)
    }
}

/// Another client of the same account, which takes from the same buckets, whatever is left.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tenant {
    /// Its requests per minute.
    pub rpm: f64,
    /// The tokens of each, half of them output.
    #[serde(default)]
    pub tokens: f64,
    /// When it begins. Default: at once.
    #[serde(default, with = "duration")]
    pub from: Duration,
    /// When it ends. Default: never.
    #[serde(default = "never", with = "duration")]
    pub until: Duration,
}

fn never() -> Duration {
    Duration::MAX
}
