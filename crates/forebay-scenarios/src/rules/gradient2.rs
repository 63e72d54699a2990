//! Gradient2: the ratio of a long average of latencies to the newest one, as in Netflix's
//! concurrency-limits.

use forebay::config::{AttemptEnd, LimitRule};
use forebay::outcome::Signal;

// All of them are the defaults of `Gradient2Limit` in that library.
const INITIAL: f64 = 20.0;
const LEAST: f64 = 20.0;
const MOST: f64 = 200.0;
const SMOOTHING: f64 = 0.2;
/// Attempts that may queue at the server.
const QUEUE: f64 = 4.0;
/// Latencies in the long average.
const LONG_WINDOW: f64 = 600.0;
/// Latencies that the long average begins with as a plain mean.
const WARM_UP: u32 = 10;
/// The long average shrinks by this while it is more than twice the newest latency.
const DRIFT: f64 = 0.9;

/// Sees latencies only: a refusal is a short one.
#[derive(Debug)]
pub(super) struct Gradient2 {
    limit: f64,
    long: f64,
    seen: u32,
}

impl Default for Gradient2 {
    fn default() -> Gradient2 {
        Gradient2 {
            limit: INITIAL,
            long: 0.0,
            seen: 0,
        }
    }
}

impl LimitRule for Gradient2 {
    fn limit(&self) -> usize {
        self.limit as usize
    }

    fn ended(&mut self, end: &AttemptEnd) {
        if end.signal == Signal::Ignore {
            return;
        }
        let short = end.now.saturating_sub(end.sent_at).as_secs_f64().max(1e-6);
        if self.seen < WARM_UP {
            self.seen += 1;
            self.long += (short - self.long) / f64::from(self.seen);
        } else {
            self.long += (short - self.long) * 2.0 / (LONG_WINDOW + 1.0);
        }
        let long = self.long;
        if long / short > 2.0 {
            self.long *= DRIFT;
        }
        if (end.in_flight as f64) < self.limit / 2.0 {
            return;
        }
        let gradient = (long / short).clamp(0.5, 1.0);
        let next = self.limit * gradient + QUEUE;
        let smooth = self.limit * (1.0 - SMOOTHING) + next * SMOOTHING;
        self.limit = smooth.clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn equal_latencies_let_it_grow_and_longer_ones_shrink_it() {
        let end = |seconds: u64| AttemptEnd {
            now: Duration::from_secs(100 + seconds),
            sent_at: Duration::from_secs(100),
            in_flight: 1_000,
            signal: Signal::Success,
        };
        let mut rule = Gradient2::default();
        (0..50).for_each(|_| rule.ended(&end(2)));
        assert_eq!(rule.limit(), 60, "4 · 0.2 for each of fifty");
        rule.ended(&end(8));
        assert_eq!(rule.limit(), 54, "60 · (0.8 + 0.5 · 0.2) + 0.8");
        (0..400).for_each(|_| rule.ended(&end(2)));
        assert_eq!(rule.limit(), 200);
    }
}
