//! Numbers of a running engine that others may read at any time.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::config::Limits;
use crate::limit::{LearntRates, LimitedBy};
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
    rates: [Rate; 5],
    rpd: AtomicU64,
    learnt: [Rate; 4],
    told: AtomicBool,
}

/// A rate above 0 as the bits of its number; 0 when there is none.
#[derive(Debug, Default)]
struct Rate(AtomicU64);

impl Rate {
    fn store(&self, rate: Option<f64>) {
        self.0.store(rate.map_or(0, f64::to_bits), Relaxed);
    }

    fn load(&self) -> Option<f64> {
        let bits = self.0.load(Relaxed);
        (bits != 0).then(|| f64::from_bits(bits))
    }
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
    /// Rates that the user set.
    pub limits: Limits,
    /// Rates that were learnt and hold.
    pub learnt: LearntRates,
}

impl Snapshot {
    /// The rates per minute that hold now, set or learnt: of two, the lower one.
    pub fn rates(&self) -> LearntRates {
        let lower = |set: Option<f64>, learnt: Option<f64>| match (set, learnt) {
            (Some(set), Some(learnt)) => Some(set.min(learnt)),
            (set, learnt) => set.or(learnt),
        };
        LearntRates {
            rpm: lower(self.limits.rpm, self.learnt.rpm),
            tpm: lower(self.limits.tpm, self.learnt.tpm),
            itpm: lower(self.limits.itpm, self.learnt.itpm),
            otpm: lower(self.limits.otpm, self.learnt.otpm),
            told: self.learnt.told,
        }
    }
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
        self.publish_rates(now);
    }

    fn publish_rates(&self, now: &Snapshot) {
        let Snapshot { limits, learnt, .. } = now;
        let set = [limits.rps, limits.rpm, limits.tpm, limits.itpm, limits.otpm];
        for (place, rate) in self.rates.iter().zip(set) {
            place.store(rate);
        }
        self.rpd.store(limits.rpd.unwrap_or(0), Relaxed);
        let known = [learnt.rpm, learnt.tpm, learnt.itpm, learnt.otpm];
        for (place, rate) in self.learnt.iter().zip(known) {
            place.store(rate);
        }
        self.told.store(learnt.told, Relaxed);
    }

    fn limits(&self) -> Limits {
        let [rps, rpm, tpm, itpm, otpm] = self.rates.each_ref().map(Rate::load);
        let rpd = self.rpd.load(Relaxed);
        Limits {
            rps,
            rpm,
            tpm,
            itpm,
            otpm,
            rpd: (rpd != 0).then_some(rpd),
        }
    }

    fn learnt(&self) -> LearntRates {
        let [rpm, tpm, itpm, otpm] = self.learnt.each_ref().map(Rate::load);
        LearntRates {
            rpm,
            tpm,
            itpm,
            otpm,
            told: self.told.load(Relaxed),
        }
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
            limits: self.limits(),
            learnt: self.learnt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read_again() {
        let now = Snapshot {
            limit: 7,
            limited_by: Some(LimitedBy::Saturated),
            limits: Limits {
                rpm: Some(900.5),
                rpd: Some(12),
                ..Limits::default()
            },
            learnt: LearntRates {
                rpm: Some(600.0),
                otpm: Some(0.25),
                told: true,
                ..LearntRates::default()
            },
            ..Snapshot::default()
        };
        let stats = Stats::default();
        stats.publish(&now);
        assert_eq!(stats.snapshot(), now);
        let rates = now.rates();
        assert_eq!(
            (rates.rpm, rates.tpm, rates.otpm),
            (Some(600.0), None, Some(0.25))
        );
    }
}
