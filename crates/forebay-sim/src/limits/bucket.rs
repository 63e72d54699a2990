//! A token bucket as plain arithmetic, with `now` as an argument.
//!
//! Owns one level and its refill. Never reads a clock and never locks.

use std::time::Duration;

/// Rounding slack, in tokens: far below one token, far above the error of an `f64` level.
const SLACK: f64 = 1e-6;

/// A level that refills continuously up to a capacity.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    capacity: f64,
    level: f64,
    at: Duration,
}

impl Bucket {
    /// Starts full at time zero; the capacity is at least one token.
    pub(crate) fn new(per_second: f64, capacity: f64) -> Bucket {
        let capacity = capacity.max(1.0);
        Bucket {
            per_second,
            capacity,
            level: capacity,
            at: Duration::ZERO,
        }
    }

    /// Moves to a later time; an earlier one changes nothing.
    ///
    /// Others take `drain` per second meanwhile, as far as there is anything; they are never the
    /// reason for a debt.
    pub(crate) fn refill(&mut self, now: Duration, drain: f64) {
        let passed = now.saturating_sub(self.at);
        let gained = passed.as_secs_f64() * (self.per_second - drain);
        let floor = self.level.min(0.0);
        self.level = (self.level + gained).max(floor).min(self.capacity);
        self.at = self.at.max(now);
    }

    /// Changes the rate and the capacity; what is above the new capacity is lost.
    pub(crate) fn resize(&mut self, per_second: f64, capacity: f64) {
        self.per_second = per_second;
        self.capacity = capacity.max(1.0);
        self.level = self.level.min(self.capacity);
    }

    /// How long until a cost fits; zero if it fits now.
    ///
    /// A cost above the capacity fits when the bucket is full, and leaves it in debt.
    pub(crate) fn wait(&self, cost: f64) -> Duration {
        let missing = cost.min(self.capacity) - self.level;
        if missing <= SLACK {
            return Duration::ZERO;
        }
        seconds(missing / self.per_second)
    }

    /// Takes a cost, into debt if need be; a negative cost gives back.
    pub(crate) fn take(&mut self, cost: f64) {
        self.level = (self.level - cost).min(self.capacity);
    }

    /// Takes a cost as far as the level goes, never into debt.
    pub(crate) fn take_at_most(&mut self, cost: f64) {
        self.level -= cost.min(self.level.max(0.0));
    }

    /// The tokens there are; negative in debt.
    pub(crate) fn level(&self) -> f64 {
        self.level
    }

    /// The tokens missing to the full bucket.
    pub(crate) fn used(&self) -> f64 {
        self.capacity - self.level
    }

    /// How long until the bucket is full, if nothing is taken.
    pub(crate) fn until_full(&self) -> Duration {
        seconds(self.used() / self.per_second)
    }
}

/// A duration that is never a panic: too long becomes the longest.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn refill_stops_at_the_capacity() {
        let mut bucket = Bucket::new(1.0, 60.0);
        bucket.take(60.0);
        bucket.refill(s(10.0), 0.0);
        assert_eq!(bucket.level(), 10.0);
        bucket.refill(s(500.0), 0.0);
        assert_eq!(bucket.level(), 60.0);
        assert_eq!(bucket.until_full(), Duration::ZERO);
    }

    #[test]
    fn others_take_what_there_is_and_no_more() {
        let mut bucket = Bucket::new(1.0, 10.0);
        bucket.refill(s(4.0), 2.0);
        assert_eq!(bucket.level(), 6.0);
        bucket.refill(s(100.0), 2.0);
        assert_eq!(bucket.level(), 0.0);
        bucket.refill(s(104.0), 0.5);
        assert_eq!(bucket.level(), 2.0);
        bucket.resize(4.0, 1.0);
        assert_eq!(bucket.level(), 1.0);
    }

    #[test]
    fn wait_and_time_until_full_differ() {
        let mut bucket = Bucket::new(2.0, 120.0);
        bucket.take(120.0);
        assert_eq!(bucket.wait(1.0), s(0.5));
        assert_eq!(bucket.until_full(), s(60.0));
    }

    #[test]
    fn a_cost_above_the_capacity_fits_when_full_and_leaves_debt() {
        let mut bucket = Bucket::new(1.0, 10.0);
        assert_eq!(bucket.wait(25.0), Duration::ZERO);
        bucket.take(25.0);
        assert_eq!(bucket.level(), -15.0);
        assert_eq!(bucket.wait(1.0), s(16.0));
    }

    #[test]
    fn an_earlier_now_changes_nothing() {
        let mut bucket = Bucket::new(1.0, 10.0);
        bucket.take(10.0);
        bucket.refill(s(5.0), 0.0);
        bucket.refill(s(2.0), 0.0);
        bucket.refill(s(5.0), 0.0);
        assert_eq!(bucket.level(), 5.0);
    }

    #[test]
    fn giving_back_stops_at_the_capacity_and_taking_at_most_at_zero() {
        let mut bucket = Bucket::new(1.0, 10.0);
        bucket.take(-5.0);
        assert_eq!(bucket.level(), 10.0);
        bucket.take_at_most(25.0);
        assert_eq!(bucket.level(), 0.0);
    }

    #[test]
    fn a_bucket_without_refill_waits_for_ever() {
        let mut bucket = Bucket::new(0.0, 1.0);
        bucket.take(1.0);
        assert_eq!(bucket.wait(1.0), Duration::MAX);
    }
}
