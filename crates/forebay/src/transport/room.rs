//! Room for answers that are much larger than answers are.
//!
//! Owns how many of them may be in memory at once. A server that sends without end is cut off at
//! the largest answer, but many such answers at once would still fill the memory. Never holds up
//! an answer of an ordinary size.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::connection::MAX_BODY;

/// The largest ordinary answer: some ten thousand tokens take up a few hundred kilobytes, and a
/// hundred vectors of 3,072 numbers 1.6 MB.
const ORDINARY: usize = 2 << 20;
/// Memory for larger answers: four of the largest, or more of those that tell a smaller length.
const ROOM: usize = 4 * MAX_BODY;
/// What room is measured in.
const UNIT: usize = 1 << 20;

/// Memory for large answers.
#[derive(Debug)]
pub(super) struct Room {
    units: Semaphore,
}

impl Room {
    pub(super) fn new() -> Room {
        Room {
            units: Semaphore::new(ROOM / UNIT),
        }
    }

    /// Waits for room for a large answer of this length, or of any when it does not tell;
    /// `None` never comes, as nobody closes the room.
    pub(super) async fn place(&self, length: Option<usize>) -> Option<SemaphorePermit<'_>> {
        let bytes = length.unwrap_or(MAX_BODY).min(MAX_BODY);
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        self.units.acquire_many(units).await.ok()
    }
}

/// Whether an answer of which so much has arrived needs room to become larger.
pub(super) fn is_large(arrived: usize) -> bool {
    arrived > ORDINARY
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// How many such answers are read at once.
    fn at_once(length: Option<usize>) -> usize {
        let room = Room::new();
        let mut held = Vec::new();
        while let Some(place) = room.place(length).now_or_never() {
            held.push(place);
        }
        let n = held.len();
        held.pop();
        assert!(room.place(length).now_or_never().is_some());
        n
    }

    #[test]
    fn few_large_answers_are_read_at_once() {
        assert!(!is_large(1 << 20) && is_large(3 << 20));
        assert_eq!(at_once(None), 4);
        assert_eq!(at_once(Some(usize::MAX)), 4);
        assert_eq!(at_once(Some(16 << 20)), 16);
        assert_eq!(at_once(Some((16 << 20) + 1)), 15);
    }
}
