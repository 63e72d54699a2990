//! Counts how often each request body was received, and numbers the different ones.
//!
//! Owns two numbers for each body's key. Never keeps a body.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Enough shards that two cores seldom meet on one.
const SHARDS: usize = 16;

/// The number of times each key was received.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    shards: [Mutex<HashMap<u128, Sighting>>; SHARDS],
    rows: AtomicU64,
}

/// What is known of a body that was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// How often it was received, from 1.
    pub(crate) seen: u32,
    /// Its number among the different bodies, from 1.
    pub(crate) row: u64,
}

impl Seen {
    /// Counts a key.
    pub(crate) fn count(&self, key: u128) -> Sighting {
        let shard = &self.shards[key as usize % SHARDS];
        let mut sightings = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let sighting = sightings.entry(key).or_insert_with(|| Sighting {
            seen: 0,
            row: self.rows.fetch_add(1, Relaxed) + 1,
        });
        sighting.seen += 1;
        *sighting
    }
}

#[cfg(test)]
mod tests {
    use super::Seen;

    #[test]
    fn each_key_has_its_own_count_and_number() {
        let seen = Seen::default();
        let counts = [1, 17, 1].map(|key| {
            let sighting = seen.count(key);
            (sighting.seen, sighting.row)
        });
        assert_eq!(counts, [(1, 1), (1, 2), (2, 1)]);
    }
}
