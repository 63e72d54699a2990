//! How large and how old a cache may become.

use std::time::Duration;

/// Bounds of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheLimits {
    /// The most bytes of answers, as they are stored; the least recently used go first.
    /// Default 1 GB.
    pub max_bytes: u64,
    /// The age from which an answer is not used any more. Default 30 days.
    pub max_age: Duration,
}

impl Default for CacheLimits {
    /// Some hundred thousand answers, for as long as a project is tried out.
    fn default() -> CacheLimits {
        CacheLimits {
            max_bytes: 1_000_000_000,
            max_age: Duration::from_secs(30 * 86_400),
        }
    }
}
