//! Counts how often each request body was received.
//!
//! Owns one number for each body's key. Never keeps a body.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Enough shards that two cores seldom meet on one.
const SHARDS: usize = 16;

/// The number of times each key was received.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    shards: [Mutex<HashMap<u128, u32>>; SHARDS],
}

impl Seen {
    /// Counts a key and returns how often it was received, from 1.
    pub(crate) fn count(&self, key: u128) -> u32 {
        let shard = &self.shards[key as usize % SHARDS];
        let mut counts = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_insert(0);
        *count += 1;
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn each_key_has_its_own_count() {
        let seen = Seen::default();
        assert_eq!([seen.count(1), seen.count(17), seen.count(1)], [1, 1, 2]);
    }
}
