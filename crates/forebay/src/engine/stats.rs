//! Numbers of a running engine that others may read at any time.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::limit::LimitedBy;
use crate::money::Usd;

/// Picos per stored unit: a micro-dollar fits large sums into 64 bits.
const PICOS_PER_MICRO: i128 = 1_000_000;

/// Counters that the engine writes once per turn and reporters read.
#[derive(Debug, Default)]
pub struct Stats {
    ok: AtomicU64,
    failed: AtomicU64,
    kept: AtomicU64,
    read: AtomicU64,
    items: AtomicU64,
    in_flight: AtomicU64,
    limit: AtomicU64,
    waiting: AtomicU64,
    retries: AtomicU64,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    cost_micros: AtomicI64,
    limited_by: AtomicU64,
}

/// What the numbers were at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Snapshot {
    /// Items that succeeded in this session.
    pub ok: u64,
    /// Items that failed in this session.
    pub failed: u64,
    /// Rows kept from earlier sessions.
    pub kept: u64,
    /// Items read so far.
    pub read: u64,
    /// Items in the input, once they are counted.
    pub items: Option<u64>,
    /// Attempts in flight.
    pub in_flight: u64,
    /// The most attempts that may be in flight.
    pub limit: u64,
    /// Items read that wait for a permit.
    pub waiting: u64,
    /// Attempts after the first of an item.
    pub retries: u64,
    /// Input tokens of this session.
    pub input_tokens: u64,
    /// Output tokens of this session.
    pub output_tokens: u64,
    /// Cost of this session, to the micro-dollar.
    pub cost: Usd,
    /// What limits the run now.
    pub limited_by: Option<LimitedBy>,
}

impl Stats {
    pub(super) fn publish(&self, now: &Snapshot) {
        self.ok.store(now.ok, Relaxed);
        self.failed.store(now.failed, Relaxed);
        self.kept.store(now.kept, Relaxed);
        self.read.store(now.read, Relaxed);
        self.in_flight.store(now.in_flight, Relaxed);
        self.limit.store(now.limit, Relaxed);
        self.waiting.store(now.waiting, Relaxed);
        self.retries.store(now.retries, Relaxed);
        self.input_tokens.store(now.input_tokens, Relaxed);
        self.output_tokens.store(now.output_tokens, Relaxed);
        let micros = i64::try_from(now.cost.picos() / PICOS_PER_MICRO).unwrap_or(i64::MAX);
        self.cost_micros.store(micros, Relaxed);
        let by = now
            .limited_by
            .and_then(|by| LimitedBy::ALL.iter().position(|known| *known == by));
        self.limited_by
            .store(by.map_or(0, |n| n as u64 + 1), Relaxed);
    }

    /// Says how many items the input has.
    pub fn set_items(&self, items: u64) {
        self.items.store(items.saturating_add(1), Relaxed);
    }

    /// What the numbers are now.
    pub fn snapshot(&self) -> Snapshot {
        let by = self.limited_by.load(Relaxed).checked_sub(1);
        Snapshot {
            ok: self.ok.load(Relaxed),
            failed: self.failed.load(Relaxed),
            kept: self.kept.load(Relaxed),
            read: self.read.load(Relaxed),
            items: self.items.load(Relaxed).checked_sub(1),
            in_flight: self.in_flight.load(Relaxed),
            limit: self.limit.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            retries: self.retries.load(Relaxed),
            input_tokens: self.input_tokens.load(Relaxed),
            output_tokens: self.output_tokens.load(Relaxed),
            cost: Usd::from_picos(i128::from(self.cost_micros.load(Relaxed)) * PICOS_PER_MICRO),
            limited_by: by.and_then(|n| LimitedBy::ALL.get(n as usize).copied()),
        }
    }
}
