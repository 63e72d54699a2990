//! How many items there are, by a fast pass over the files.
//!
//! Owns counting. Never decodes a record, and never touches a stream.

use std::sync::atomic::{AtomicBool, Ordering};

use super::format::Format;
use super::place::Place;

/// Records between two looks at the stop flag: some tens of microseconds.
const STEP: u64 = 1024;

/// Counts the items of a source beside it, on another thread say.
#[derive(Debug, Clone)]
pub struct Counter {
    pub(super) places: Vec<Place>,
    pub(super) offset: u64,
    pub(super) limit: Option<u64>,
}

impl Counter {
    /// The number of items that the source yields; `None` once `stop` is set, or when a file
    /// cannot be read to its end.
    pub fn count(&self, stop: &AtomicBool) -> Option<u64> {
        let enough = self.limit.map(|limit| self.offset.saturating_add(limit));
        let enough = enough.unwrap_or(u64::MAX);
        let mut n: u64 = 0;
        for place in &self.places {
            if let Some(rows) = place.n_rows() {
                n = n.saturating_add(rows).min(enough);
                continue;
            }
            let mut splitter = place.splitter().ok()?;
            if place.format == Format::Csv {
                splitter.next().ok()?;
            }
            while n < enough && splitter.next().ok()?.is_some() {
                n += 1;
                if n.is_multiple_of(STEP) && stop.load(Ordering::Relaxed) {
                    return None;
                }
            }
        }
        Some(n.saturating_sub(self.offset))
    }
}
