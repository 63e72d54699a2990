//! How many attempts may be in flight.

use std::collections::VecDeque;
use std::time::Duration;

use super::level::Level;
use super::{LimitedBy, Refusal};
use crate::config::{AttemptEnd, Concurrency, Learnt, LimitRule};

/// How long a place stays empty after an attempt that was refused in it for no known reason.
const REST: Duration = Duration::from_secs(1);

/// A count of attempts in flight and its limit.
#[derive(Debug)]
pub struct InFlightLimit {
    in_flight: usize,
    /// Places that stay empty, and until when.
    resting: VecDeque<Duration>,
    limit: Limit,
}

#[derive(Debug)]
enum Limit {
    Fixed(usize),
    Found(Box<Level>),
    Rule(Box<dyn LimitRule>),
}

impl InFlightLimit {
    /// Nothing in flight, and the limit that the setting starts with.
    pub fn new(concurrency: Concurrency, learnt: &Learnt) -> InFlightLimit {
        InFlightLimit {
            in_flight: 0,
            resting: VecDeque::new(),
            limit: match concurrency {
                Concurrency::Fixed(n) => Limit::Fixed(n.get()),
                Concurrency::Auto { max } => Limit::Found(Box::new(Level::new(max.get(), learnt))),
                Concurrency::Rule(rule) => Limit::Rule(rule()),
            },
        }
    }

    /// Takes another setting; attempts in flight beyond its limit go on. A limit that finds itself
    /// begins where the earlier one was.
    pub fn change(&mut self, concurrency: Concurrency) {
        if let (Limit::Found(level), Concurrency::Auto { max }) = (&mut self.limit, concurrency) {
            return level.set_max(max.get());
        }
        let learnt = Learnt {
            in_flight: Some(self.limit() as f64),
            ..Learnt::default()
        };
        self.limit = InFlightLimit::new(concurrency, &learnt).limit;
    }

    /// Whether there is room for one more, of a share of the limit.
    ///
    /// # Errors
    /// A refusal until something settles, or a place has rested.
    pub fn check(&mut self, now: Duration, utilization: f64) -> Result<(), Refusal> {
        if let Limit::Found(level) = &mut self.limit {
            level.tick(now);
        }
        while self.resting.front().is_some_and(|until| *until <= now) {
            self.resting.pop_front();
        }
        let limit = match &self.limit {
            Limit::Fixed(n) => *n,
            Limit::Found(level) => (level.limit() as f64 * utilization).ceil() as usize,
            Limit::Rule(rule) => rule.limit().max(1),
        };
        let room = limit.saturating_sub(self.resting.len());
        if self.in_flight < room {
            return Ok(());
        }
        let by = match &self.limit {
            Limit::Found(level) => level.limited_by(),
            Limit::Fixed(_) | Limit::Rule(_) => LimitedBy::Concurrency,
        };
        let opens = match &self.limit {
            Limit::Found(level) => level.grows_at(now),
            Limit::Fixed(_) | Limit::Rule(_) => None,
        };
        let rested = self.resting.front().copied();
        Err(Refusal {
            by,
            until: [opens, rested].into_iter().flatten().min(),
        })
    }

    /// Takes a place of a share of the limit; how many are taken then.
    pub fn take(&mut self, now: Duration, utilization: f64) -> usize {
        self.in_flight += 1;
        if let Limit::Found(level) = &mut self.limit {
            level.sent(now, self.in_flight as f64 / utilization);
        }
        self.in_flight
    }

    /// Gives a place back.
    pub fn give_back(&mut self) {
        debug_assert!(self.in_flight > 0, "a permit was settled twice");
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Leaves a place empty for a while.
    pub(super) fn rest(&mut self, now: Duration) {
        self.resting.push_back(now + REST);
    }

    /// The limit that finds itself, when it is one.
    pub(super) fn found(&mut self) -> Option<&mut Level> {
        match &mut self.limit {
            Limit::Found(level) => Some(level.as_mut()),
            Limit::Fixed(_) | Limit::Rule(_) => None,
        }
    }

    /// Whether somebody else's rule says how many may be in flight.
    pub(super) fn is_ruled(&self) -> bool {
        matches!(self.limit, Limit::Rule(_))
    }

    /// Tells somebody else's rule of an end.
    pub(super) fn tell_rule(&mut self, end: &AttemptEnd) {
        if let Limit::Rule(rule) = &mut self.limit {
            rule.ended(end);
        }
    }

    /// What the next session may start with.
    pub(super) fn learnt(&self) -> (Option<f64>, bool) {
        match &self.limit {
            Limit::Found(level) => (level.learnt(), level.refuses()),
            Limit::Fixed(_) | Limit::Rule(_) => (None, false),
        }
    }

    /// Attempts in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The most attempts that may be in flight now.
    pub fn limit(&self) -> usize {
        match &self.limit {
            Limit::Fixed(n) => *n,
            Limit::Found(level) => level.limit(),
            Limit::Rule(rule) => rule.limit().max(1),
        }
    }
}
