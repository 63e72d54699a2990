//! The budget that retries spend from, so that they never drown fresh items.

use std::time::Duration;

/// Retries that each success pays for. Source: Finagle's `RetryBudget`.
pub(super) const PER_SUCCESS: f64 = 0.2;
/// Retries that each second pays for, so that the last rows of a run are not stuck. Finagle's.
pub(super) const PER_SECOND: f64 = 10.0;
/// The most that is saved up: ten seconds' worth, Finagle's time to live.
const MOST: f64 = 100.0;

/// A bucket of retries.
#[derive(Debug)]
pub struct Budget {
    retries: f64,
    at: Duration,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            retries: PER_SECOND,
            at: Duration::ZERO,
        }
    }
}

impl Budget {
    /// Counts a success.
    pub fn success(&mut self) {
        self.retries = (self.retries + PER_SUCCESS).min(MOST);
    }

    /// Takes one retry, or says when there will be one.
    ///
    /// # Errors
    /// The time at which the next retry is paid for, if no success pays for it sooner.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.retries = (self.retries + passed * PER_SECOND).min(MOST);
        self.at = self.at.max(now);
        if self.retries < 1.0 {
            let missing = (1.0 - self.retries) / PER_SECOND;
            // Rounded up, so that asking again at that time is sure to succeed.
            return Err(now + Duration::from_secs_f64(missing) + Duration::from_micros(1));
        }
        self.retries -= 1.0;
        Ok(())
    }

    /// Gives a taken retry back: it was not used.
    pub fn give_back(&mut self) {
        self.retries = (self.retries + 1.0).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successes_and_time_pay_for_retries() {
        let mut budget = Budget::default();
        let now = Duration::from_secs(0);
        for _ in 0..10 {
            assert!(budget.take(now).is_ok());
        }
        let next = budget.take(now).unwrap_err();
        assert!(next <= Duration::from_millis(101), "{next:?}");
        for _ in 0..5 {
            budget.success();
        }
        assert!(budget.take(now).is_ok());
        assert!(budget.take(now + Duration::from_secs(1)).is_ok());
    }
}
