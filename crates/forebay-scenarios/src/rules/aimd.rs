//! Additive increase and multiplicative decrease, as in Netflix's concurrency-limits.

use std::time::Duration;

use forebay::config::{AttemptEnd, LimitRule};
use forebay::outcome::Signal;

// All of them are the defaults of `AIMDLimit` in that library.
const INITIAL: usize = 20;
const LEAST: usize = 20;
const MOST: usize = 200;
const BACKOFF: f64 = 0.9;
/// A longer latency counts as a refusal.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One more for each success while at least half of the limit is used; a tenth less for each
/// refusal.
#[derive(Debug)]
pub(super) struct Aimd(usize);

impl Default for Aimd {
    fn default() -> Aimd {
        Aimd(INITIAL)
    }
}

impl LimitRule for Aimd {
    fn limit(&self) -> usize {
        self.0
    }

    fn ended(&mut self, end: &AttemptEnd) {
        let latency = end.now.saturating_sub(end.sent_at);
        let next = match end.signal {
            Signal::Ignore => return,
            Signal::Success if latency <= TIMEOUT => {
                self.0 + usize::from(end.in_flight * 2 >= self.0)
            }
            Signal::Success | Signal::Overload => (self.0 as f64 * BACKOFF) as usize,
        };
        self.0 = next.clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_by_one_and_falls_by_a_tenth() {
        let end = |signal, seconds: u64, in_flight| AttemptEnd {
            now: Duration::from_secs(100 + seconds),
            sent_at: Duration::from_secs(100),
            in_flight,
            signal,
        };
        let mut rule = Aimd(100);
        rule.ended(&end(Signal::Success, 1, 50));
        assert_eq!(rule.limit(), 101);
        rule.ended(&end(Signal::Success, 1, 10));
        assert_eq!(rule.limit(), 101);
        rule.ended(&end(Signal::Overload, 1, 50));
        assert_eq!(rule.limit(), 90);
        rule.ended(&end(Signal::Success, 6, 50));
        assert_eq!(rule.limit(), 81);
        (0..100).for_each(|_| rule.ended(&end(Signal::Overload, 1, 50)));
        assert_eq!(rule.limit(), 20);
        (0..300).for_each(|_| rule.ended(&end(Signal::Success, 1, 200)));
        assert_eq!(rule.limit(), 200);
    }
}
