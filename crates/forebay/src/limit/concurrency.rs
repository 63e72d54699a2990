//! How many attempts may be in flight.

use super::{LimitedBy, Refusal};
use crate::config::Concurrency;

/// A count of attempts in flight and its limit.
#[derive(Debug)]
pub struct InFlightLimit {
    limit: usize,
    in_flight: usize,
}

impl InFlightLimit {
    /// Nothing in flight, and the limit that the setting starts with.
    pub fn new(concurrency: Concurrency) -> InFlightLimit {
        let limit = match concurrency {
            Concurrency::Fixed(n) => n.get(),
            Concurrency::Auto { max } => max.get().min(20),
            Concurrency::Rule(rule) => rule().limit(),
        };
        InFlightLimit {
            limit,
            in_flight: 0,
        }
    }

    /// Takes another setting; attempts in flight beyond its limit go on.
    pub fn change(&mut self, concurrency: Concurrency) {
        self.limit = match concurrency {
            Concurrency::Auto { max } => self.limit.min(max.get()),
            Concurrency::Fixed(_) | Concurrency::Rule(_) => InFlightLimit::new(concurrency).limit,
        };
    }

    /// Whether there is room for one more.
    ///
    /// # Errors
    /// A refusal until something settles.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.in_flight < self.limit {
            Ok(())
        } else {
            Err(Refusal {
                by: LimitedBy::Concurrency,
                until: None,
            })
        }
    }

    /// Takes a place.
    pub fn take(&mut self) {
        self.in_flight += 1;
    }

    /// Gives a place back.
    pub fn give_back(&mut self) {
        debug_assert!(self.in_flight > 0, "a permit was settled twice");
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Attempts in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The most attempts that may be in flight.
    pub fn limit(&self) -> usize {
        self.limit
    }
}
