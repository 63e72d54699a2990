//! The time of a run: that in which the process ran.
//!
//! A process that is stopped by a terminal, or a machine that is put to sleep, must not find on
//! waking that every deadline has passed. Owns the finding of such gaps; never waits.

use std::time::Duration;

use tokio::time::Instant;

use super::driver::HEARTBEAT;

/// A longer time between two looks is no busy turn: the engine looks once a heartbeat at least.
const ASLEEP: Duration = Duration::from_secs(2);

/// Time since the start of a run, without the gaps.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    looked: Instant,
    slept: Duration,
}

impl Clock {
    pub(super) fn start() -> Clock {
        let now = Instant::now();
        Clock {
            started: now,
            looked: now,
            slept: Duration::ZERO,
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.slept)
    }

    /// The instant of a time of this clock, as far as is known now.
    pub(super) fn instant(&self, at: Duration) -> Instant {
        self.started + self.slept + at
    }

    /// Looks at the time; how long the process had slept, if it had.
    pub(super) fn look(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let passed = now - std::mem::replace(&mut self.looked, now);
        if passed < ASLEEP {
            return None;
        }
        let slept = passed - HEARTBEAT;
        self.slept += slept;
        Some(slept)
    }
}
