//! Counters that cost one atomic step each.
//!
//! Owns the counting. Never locks and never keeps anything about a single request.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A reading of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests received in full on a dialect's path.
    pub received: u64,
    /// Answers with a 2xx status that were fully written.
    pub answered_ok: u64,
    /// Answers with status 429 that were fully written.
    pub rejected: u64,
    /// Answers with any other status that were fully written.
    pub errors: u64,
    /// Requests whose answer was not fully written.
    pub dropped: u64,
    /// Requests received and neither answered nor dropped yet.
    pub in_flight: u64,
    /// The highest value `in_flight` has had.
    pub max_in_flight: u64,
    /// Connections opened.
    pub connections: u64,
    /// Input and output tokens of all answers that were begun, those included that nobody waited
    /// for: what a provider bills.
    pub tokens: u64,
}

/// The live counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    received: AtomicU64,
    answered_ok: AtomicU64,
    rejected: AtomicU64,
    errors: AtomicU64,
    dropped: AtomicU64,
    in_flight: AtomicU64,
    max_in_flight: AtomicU64,
    connections: AtomicU64,
    tokens: AtomicU64,
}

impl Counters {
    /// Counts a connection and numbers it, from 1.
    pub(crate) fn connection(&self) -> u64 {
        self.connections.fetch_add(1, Relaxed) + 1
    }

    /// Counts a request and numbers it, from 1.
    pub(crate) fn received(&self) -> u64 {
        let in_flight = self.in_flight.fetch_add(1, Relaxed) + 1;
        if in_flight > self.max_in_flight.load(Relaxed) {
            self.max_in_flight.fetch_max(in_flight, Relaxed);
        }
        self.received.fetch_add(1, Relaxed) + 1
    }

    /// Counts an answer that was fully written.
    pub(crate) fn answered(&self, status: u16) {
        let counter = match status {
            200..=299 => &self.answered_ok,
            429 => &self.rejected,
            _ => &self.errors,
        };
        counter.fetch_add(1, Relaxed);
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Counts a request whose answer was not fully written.
    pub(crate) fn dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Counts the tokens of an answer that is over.
    pub(crate) fn tokens(&self, tokens: u64) {
        self.tokens.fetch_add(tokens, Relaxed);
    }

    /// Reads all counters, one after the other.
    pub(crate) fn read(&self) -> Stats {
        Stats {
            received: self.received.load(Relaxed),
            answered_ok: self.answered_ok.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            errors: self.errors.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            max_in_flight: self.max_in_flight.load(Relaxed),
            connections: self.connections.load(Relaxed),
            tokens: self.tokens.load(Relaxed),
        }
    }
}
