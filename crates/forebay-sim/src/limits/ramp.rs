//! How fast the load may grow.
//!
//! Owns the count of one window and the allowance that follows from the last one. Never reads a
//! clock.

use std::time::Duration;

use crate::config::Ramp;

/// The windows of a ramp.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    ramp: Ramp,
    /// The number of the window that is being counted.
    window: u64,
    admitted: u64,
    allowance: u64,
}

impl Windows {
    pub(super) fn new(ramp: Ramp) -> Windows {
        Windows {
            ramp,
            window: 0,
            admitted: 0,
            allowance: ramp.start.max(1),
        }
    }

    /// Counts a request that would be admitted, or says when to come again.
    pub(super) fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        let length = self.ramp.window.max(Duration::from_millis(1));
        let window = (now.as_nanos() / length.as_nanos()) as u64;
        if window > self.window {
            let last = match window - self.window {
                1 => self.admitted as f64 * self.ramp.growth,
                _ => 0.0,
            };
            self.allowance = (last as u64).max(self.ramp.start.max(1));
            self.window = window;
            self.admitted = 0;
        }
        if self.admitted >= self.allowance {
            let into = Duration::from_nanos((now.as_nanos() % length.as_nanos()) as u64);
            return Err(length - into);
        }
        self.admitted += 1;
        Ok(())
    }

    /// Takes back a request that was not admitted after all.
    pub(super) fn give_back(&mut self) {
        self.admitted = self.admitted.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_grows_by_the_factor_and_no_faster() {
        let mut windows = Windows::new(Ramp {
            start: 10,
            growth: 1.5,
            window: Duration::from_secs(60),
        });
        let mut admitted = |minute: u64| {
            let at = Duration::from_secs(60 * minute + 12);
            (0..1000).filter(|_| windows.admit(at).is_ok()).count()
        };
        assert_eq!([0, 1, 2].map(&mut admitted), [10, 15, 22]);
        // Nothing was asked for in between, so it begins again.
        assert_eq!(admitted(9), 10);
        assert_eq!(
            windows.admit(Duration::from_secs(552)),
            Err(Duration::from_secs(48))
        );
    }
}
