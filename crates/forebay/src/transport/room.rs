//! Room for answers that are much larger than answers are.
//!
//! Owns how many of them may be in memory at once. A server that sends without end is cut off at
//! the largest answer, but many such answers at once would still fill the memory. Never holds up
//! an answer of an ordinary size.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The largest ordinary answer: some ten thousand tokens take up a few hundred kilobytes.
const ORDINARY: usize = 2 << 20;
/// Larger answers that are read at once; each has at most 64 MiB.
const PLACES: usize = 4;

/// Places for large answers.
#[derive(Debug)]
pub(super) struct Room {
    places: Semaphore,
}

impl Room {
    pub(super) fn new() -> Room {
        Room {
            places: Semaphore::new(PLACES),
        }
    }

    /// Waits for a place for a large answer; `None` never comes, as nobody closes the room.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }
}

/// Whether an answer of which so much has arrived needs a place to become larger.
pub(super) fn is_large(arrived: usize) -> bool {
    arrived > ORDINARY
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn few_large_answers_are_read_at_once() {
        assert!(!is_large(1 << 20) && is_large(3 << 20));
        let room = Room::new();
        let mut held: Vec<_> = (0..PLACES).map(|_| room.place().now_or_never()).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(room.place().now_or_never().is_none());
        held.pop();
        assert!(room.place().now_or_never().is_some());
    }
}
