//! What holds at which time: the capacity's factor and what another tenant takes.
//!
//! Owns the arithmetic of the times at which something changes. Never reads a clock.

use std::time::Duration;

use crate::config::{Step, Tenant};

/// Capacity and tenant over time.
#[derive(Clone, Debug, Default)]
pub(super) struct OverTime {
    steps: Vec<Step>,
    tenant: Option<Tenant>,
}

/// What holds until the next change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Now {
    /// Of all limits.
    pub(super) factor: f64,
    /// What the tenant takes: requests and tokens per second.
    pub(super) requests: f64,
    pub(super) tokens: f64,
}

impl OverTime {
    pub(super) fn new(steps: &[Step], tenant: Option<Tenant>) -> OverTime {
        let mut steps = steps.to_vec();
        steps.sort_by_key(|step| step.at);
        OverTime { steps, tenant }
    }

    /// What holds at a time.
    pub(super) fn at(&self, now: Duration) -> Now {
        let step = self.steps.iter().rev().find(|step| step.at <= now);
        let tenant = self
            .tenant
            .filter(|tenant| (tenant.from..tenant.until).contains(&now));
        let requests = tenant.map_or(0.0, |tenant| tenant.rpm.max(0.0) / 60.0);
        Now {
            factor: step.map_or(1.0, |step| step.factor.max(0.0)),
            requests,
            tokens: tenant.map_or(0.0, |tenant| requests * tenant.tokens.max(0.0)),
        }
    }

    /// The next time after this one at which something changes.
    pub(super) fn next_change(&self, after: Duration) -> Option<Duration> {
        let steps = self.steps.iter().map(|step| step.at);
        let tenant = self.tenant.iter().flat_map(|t| [t.from, t.until]);
        steps.chain(tenant).filter(|at| *at > after).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_tenants_come_and_go() {
        let s = Duration::from_secs;
        let over_time = OverTime::new(
            &[
                Step {
                    at: s(60),
                    factor: 0.5,
                },
                Step {
                    at: s(30),
                    factor: 2.0,
                },
            ],
            Some(Tenant {
                rpm: 120.0,
                tokens: 10.0,
                from: s(40),
                until: s(50),
            }),
        );
        let factors = [0, 30, 59, 60].map(|at| over_time.at(s(at)).factor);
        assert_eq!(factors, [1.0, 2.0, 2.0, 0.5]);
        assert_eq!(over_time.at(s(40)).tokens, 20.0);
        assert_eq!(over_time.at(s(50)).requests, 0.0);
        let changes = [0, 30, 40, 50, 60].map(|at| over_time.next_change(s(at)));
        let expected = [Some(s(30)), Some(s(40)), Some(s(50)), Some(s(60)), None];
        assert_eq!(changes, expected);
    }
}
