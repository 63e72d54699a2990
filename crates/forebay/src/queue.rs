//! Items that wait for a permit: fresh ones in order, retries by time.
//!
//! Bounded on both sides: [`Queue::wants_fresh`] is false while either part is full, so that
//! memory follows what is in flight and not what is read. A waiting retry holds no permit, and
//! goes before fresh items once it is due.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// Retries kept at the least before fresh items have to wait.
const FEWEST_RETRIES: usize = 1_000;
/// Retries kept per attempt that may be in flight.
const RETRIES_PER_IN_FLIGHT: usize = 4;

/// A bounded queue of fresh and delayed entries.
#[derive(Debug)]
pub struct Queue<T> {
    fresh: VecDeque<T>,
    retries: BinaryHeap<Delayed<T>>,
    max_fresh: usize,
    max_retries: usize,
    /// The most entries that hang together.
    pack: usize,
    sequence: u64,
}

#[derive(Debug)]
struct Delayed<T> {
    due: Duration,
    sequence: u64,
    entry: T,
}

impl<T> Queue<T> {
    /// An empty queue for this many attempts in flight.
    pub fn new(in_flight_limit: usize) -> Queue<T> {
        let mut queue = Queue {
            fresh: VecDeque::new(),
            retries: BinaryHeap::new(),
            max_fresh: 0,
            max_retries: 0,
            pack: 1,
            sequence: 0,
        };
        queue.bound_for(in_flight_limit);
        queue
    }

    /// The same queue for entries that may hang together, as many as this in one: so many fresh
    /// ones have room, and fewer retries, each of which may be as many entries.
    #[must_use]
    pub fn with_packs_of(mut self, most: usize) -> Queue<T> {
        self.pack = most.max(1);
        self.bound_for(self.max_fresh);
        self
    }

    /// Bounds it for this many attempts in flight; what waits beyond the bound stays.
    pub fn bound_for(&mut self, in_flight_limit: usize) {
        let fresh = in_flight_limit.max(64);
        let retries = FEWEST_RETRIES.max(in_flight_limit.saturating_mul(RETRIES_PER_IN_FLIGHT));
        self.max_retries = (retries / self.pack).max(fresh);
        self.max_fresh = fresh.max(self.pack);
    }

    /// Whether another fresh entry may be put in.
    pub fn wants_fresh(&self) -> bool {
        self.fresh.len() < self.max_fresh && self.retries.len() < self.max_retries
    }

    /// Puts a fresh entry at the end.
    pub fn push_fresh(&mut self, entry: T) {
        self.fresh.push_back(entry);
    }

    /// Puts a fresh entry back in front.
    pub fn put_back(&mut self, entry: T) {
        self.fresh.push_front(entry);
    }

    /// Puts an entry back that is due at a time.
    pub fn push_retry(&mut self, due: Duration, entry: T) {
        self.sequence += 1;
        self.retries.push(Delayed {
            due,
            sequence: self.sequence,
            entry,
        });
    }

    /// The retry that is due, if there is one.
    pub fn due_retry(&mut self, now: Duration) -> Option<&T> {
        self.retries
            .peek()
            .filter(|retry| retry.due <= now)
            .map(|retry| &retry.entry)
    }

    /// The first fresh entry.
    pub fn first_fresh(&self) -> Option<&T> {
        self.fresh.front()
    }

    /// Takes the retry that is due first.
    pub fn pop_retry(&mut self) -> Option<T> {
        self.retries.pop().map(|retry| retry.entry)
    }

    /// Takes the first fresh entry.
    pub fn pop_fresh(&mut self) -> Option<T> {
        self.fresh.pop_front()
    }

    /// When the next retry is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.retries.peek().map(|retry| retry.due)
    }

    /// Entries that wait.
    pub fn len(&self) -> usize {
        self.fresh.len() + self.retries.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes everything out, retries first.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.retries
            .drain()
            .map(|retry| retry.entry)
            .chain(self.fresh.drain(..))
    }
}

impl<T> PartialEq for Delayed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Delayed<T> {}

impl<T> PartialOrd for Delayed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reversed, so that the heap gives the earliest first, and the older of two at one time.
impl<T> Ord for Delayed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.sequence).cmp(&(self.due, self.sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_retries_come_by_time_and_then_by_age() {
        let s = Duration::from_secs;
        let mut queue = Queue::new(1);
        queue.push_retry(s(3), "late");
        queue.push_retry(s(1), "first");
        queue.push_retry(s(1), "second");
        assert_eq!(queue.due_retry(s(0)), None);
        assert_eq!(queue.next_due(), Some(s(1)));
        assert_eq!(queue.due_retry(s(1)), Some(&"first"));
        assert_eq!(queue.pop_retry(), Some("first"));
        assert_eq!(queue.pop_retry(), Some("second"));
        assert_eq!(queue.pop_retry(), Some("late"));
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut queue = Queue::new(1);
        let mut fresh = 0;
        while queue.wants_fresh() {
            queue.push_fresh(fresh);
            fresh += 1;
        }
        assert_eq!(fresh, 64);
        queue.drain().for_each(drop);
        for n in 0..FEWEST_RETRIES {
            queue.push_retry(Duration::ZERO, n);
        }
        assert!(!queue.wants_fresh());
    }

    #[test]
    fn the_bound_follows_the_attempts_in_flight() {
        let mut queue = Queue::new(1);
        for n in 0..64 {
            queue.push_fresh(n);
        }
        assert!(!queue.wants_fresh());
        queue.bound_for(200);
        assert!(queue.wants_fresh());
        queue.bound_for(2);
        assert!(!queue.wants_fresh());
        assert_eq!(queue.drain().count(), 64, "nothing is thrown away");
    }
}
