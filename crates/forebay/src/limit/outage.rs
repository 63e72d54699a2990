//! Noticing that an endpoint is down, and that it is back.
//!
//! Open when more than half of the recent attempts failed in a way that speaks of the endpoint
//! rather than of the request. While open, one probe at a time is let through, at growing
//! distances; the first that succeeds closes.

use std::collections::VecDeque;
use std::time::Duration;

use super::{LimitedBy, Refusal};

/// The fewest attempts that can tell an outage.
const FEWEST: usize = 20;
/// Recent attempts looked at, per attempt in flight: about three latencies' worth.
const WINDOW_PER_IN_FLIGHT: usize = 3;
/// The most attempts looked at.
const MOST: usize = 3_000;
/// Distance of the first probe; doubled up to [`LONGEST_DISTANCE`].
const FIRST_DISTANCE: Duration = Duration::from_secs(1);
/// The longest distance of two probes, so that a recovery is noticed soon.
const LONGEST_DISTANCE: Duration = Duration::from_secs(20);

/// The health of an endpoint.
#[derive(Debug)]
pub struct Outage {
    window: usize,
    recent: VecDeque<bool>,
    failures: usize,
    first_failure: Option<Duration>,
    any_success: bool,
    down: Option<Down>,
    rng: fastrand::Rng,
}

#[derive(Debug)]
struct Down {
    since: Duration,
    distance: Duration,
    next_probe: Duration,
    probing: bool,
}

impl Outage {
    /// A healthy endpoint with this many attempts in flight.
    pub fn new(in_flight_limit: usize, seed: u64) -> Outage {
        Outage {
            window: window(in_flight_limit),
            recent: VecDeque::new(),
            failures: 0,
            first_failure: None,
            any_success: false,
            down: None,
            rng: fastrand::Rng::with_seed(seed ^ 0x646f_776e),
        }
    }

    /// Looks at as many attempts as this limit on those in flight asks for.
    pub fn fit(&mut self, in_flight_limit: usize) {
        self.window = window(in_flight_limit);
        while self.recent.len() > self.window {
            let oldest = self.recent.pop_front().unwrap_or(false);
            self.failures -= usize::from(oldest);
        }
    }

    /// Whether an attempt may be made now; `true` when it would be a probe.
    ///
    /// # Errors
    /// A refusal until the next probe is due, or until the probe under way has settled.
    pub fn check(&self, now: Duration) -> Result<bool, Refusal> {
        let Some(down) = &self.down else {
            return Ok(false);
        };
        let refuse = |until| {
            Err(Refusal {
                by: LimitedBy::Outage,
                until,
            })
        };
        if down.probing {
            refuse(None)
        } else if now < down.next_probe {
            refuse(Some(down.next_probe))
        } else {
            Ok(true)
        }
    }

    /// Notes that a probe is under way.
    pub fn probe_sent(&mut self) {
        if let Some(down) = &mut self.down {
            down.probing = true;
        }
    }

    /// Notes a success. While down, only a probe's success counts.
    pub fn success(&mut self, probe: bool) {
        if self.down.is_some() && !probe {
            return;
        }
        self.any_success = true;
        if self.down.take().is_some() {
            self.recent.clear();
            self.failures = 0;
        }
        self.note(false);
    }

    /// Notes a failure that speaks of the endpoint.
    pub fn failure(&mut self, now: Duration, probe: bool) {
        if let Some(down) = &mut self.down {
            if probe {
                down.probing = false;
                down.distance = (down.distance * 2).min(LONGEST_DISTANCE);
                down.next_probe = now + down.distance.mul_f64(0.75 + 0.25 * self.rng.f64());
            }
            return;
        }
        self.first_failure.get_or_insert(now);
        self.note(true);
        let enough = if self.any_success {
            self.window
        } else {
            FEWEST
        };
        if self.recent.len() >= enough && self.failures * 2 > self.recent.len() {
            self.down = Some(Down {
                since: now,
                distance: FIRST_DISTANCE,
                next_probe: now + FIRST_DISTANCE,
                probing: false,
            });
        }
    }

    /// Notes an end that says nothing about the endpoint's health.
    pub fn neutral(&mut self, probe: bool) {
        // The endpoint answered: a refused or rejected probe still shows that it is back.
        if probe {
            self.success(true);
        }
    }

    /// Notes that nobody waits for an attempt any more: a probe tells nothing then, and another one
    /// may go.
    pub fn abandoned(&mut self, probe: bool) {
        if let Some(down) = self.down.as_mut().filter(|_| probe) {
            down.probing = false;
        }
    }

    /// Since when the endpoint has been down, while it is.
    pub fn since(&self) -> Option<Duration> {
        let down = self.down.as_ref()?;
        if self.any_success {
            Some(down.since)
        } else {
            self.first_failure
        }
    }

    fn note(&mut self, failed: bool) {
        self.recent.push_back(failed);
        self.failures += usize::from(failed);
        if self.recent.len() > self.window {
            let oldest = self.recent.pop_front().unwrap_or(false);
            self.failures -= usize::from(oldest);
        }
    }
}

fn window(in_flight_limit: usize) -> usize {
    in_flight_limit
        .saturating_mul(WINDOW_PER_IN_FLIGHT)
        .clamp(FEWEST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn down() -> Outage {
        let mut outage = Outage::new(20, 1);
        for _ in 0..FEWEST {
            outage.failure(s(1), false);
        }
        assert_eq!(outage.since(), Some(s(1)));
        outage
    }

    #[test]
    fn twenty_failures_and_no_success_are_an_outage() {
        let outage = down();
        assert_eq!(outage.check(s(1)).unwrap_err().until, Some(s(2)));
    }

    #[test]
    fn a_third_of_failures_is_not_an_outage() {
        let mut outage = Outage::new(20, 1);
        for n in 0..1_000 {
            if n % 3 == 0 {
                outage.failure(s(n), false);
            } else {
                outage.success(false);
            }
        }
        assert_eq!(outage.since(), None);
    }

    #[test]
    fn one_probe_at_a_time_until_one_succeeds() {
        let mut outage = down();
        assert_eq!(outage.check(s(2)), Ok(true));
        outage.probe_sent();
        assert_eq!(outage.check(s(2)).unwrap_err().until, None);
        outage.failure(s(3), true);
        let again = outage.check(s(3)).unwrap_err().until.unwrap();
        assert!(again > s(4) && again <= s(5), "{again:?}");
        outage.probe_sent();
        outage.success(true);
        assert_eq!(outage.check(s(6)), Ok(false));
        assert_eq!(outage.since(), None);
    }

    #[test]
    fn late_answers_of_older_requests_do_not_end_an_outage() {
        let mut outage = down();
        outage.success(false);
        assert!(outage.since().is_some());
    }
}
