//! Limits that are changed while attempts are in flight, and all limits at a moment.
//!
//! Owns what the user set, and the way from one setting to the next: what was used stays used, and
//! nothing in flight is given up. Never checks a number; whoever takes it from the user does.

use std::time::Duration;

use super::{LearntRates, Limiter};
use crate::config::{Concurrency, EngineSettings, Limits, Tuning};

/// What limits at a moment, as set and as found out.
#[derive(Debug, Clone, Copy)]
pub struct InForce {
    /// How the attempts in flight are limited.
    pub concurrency: Concurrency,
    /// The most attempts that may be in flight now.
    pub limit: usize,
    /// Attempts in flight; for a while more than `limit`, after that was lowered.
    pub in_flight: usize,
    /// Rates that the user set.
    pub limits: Limits,
    /// The share of what the provider allows that may be used.
    pub target_utilization: f64,
    /// Rates that were learnt and hold.
    pub learnt: LearntRates,
}

/// What the user set.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) concurrency: Concurrency,
    pub(super) limits: Limits,
    pub(super) target_utilization: f64,
}

impl Set {
    pub(super) fn of(settings: &EngineSettings) -> Set {
        Set {
            concurrency: settings.concurrency,
            limits: settings.limits,
            target_utilization: settings.target_utilization,
        }
    }
}

impl Limiter {
    /// Changes limits. Attempts in flight go on, and what they and earlier ones used of a rate or
    /// a day stays used.
    pub fn tune(&mut self, now: Duration, tuning: &Tuning) {
        if let Some(concurrency) = tuning.concurrency {
            self.set.concurrency = concurrency;
            self.in_flight.change(concurrency);
        }
        let limits = self.set.limits.changed(&tuning.limits);
        if limits != self.set.limits {
            self.set.limits = limits;
            self.rates.change(now, &limits);
        }
        if let Some(share) = tuning.target_utilization {
            self.set.target_utilization = share;
            self.meters.utilization = share;
        }
    }

    /// All limits as they are now.
    pub fn in_force(&self) -> InForce {
        InForce {
            concurrency: self.set.concurrency,
            limit: self.limit(),
            in_flight: self.in_flight(),
            limits: self.set.limits,
            target_utilization: self.set.target_utilization,
            learnt: self.learnt_rates(),
        }
    }
}

#[cfg(test)]
mod tests;
