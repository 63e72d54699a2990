//! All rates of an endpoint, reserved together.

use std::time::Duration;

use super::bucket::Bucket;
use super::{LimitedBy, Need, Refusal};
use crate::config::Limits;
use crate::outcome::Usage;

const MINUTE_S: f64 = 60.0;
/// Times closer than this count as equal, so that a caller who waits until the given time is
/// not refused again for a rounding error.
pub(super) const CLOCK_GRAIN_S: f64 = 1e-6;
const DAY: Duration = Duration::from_secs(86_400);

/// The units that a bucket counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Request,
    InputToken,
    OutputToken,
    AnyToken,
}

impl Unit {
    fn of(self, input: u64, output: u64) -> f64 {
        match self {
            Unit::Request => 1.0,
            Unit::InputToken => input as f64,
            Unit::OutputToken => output as f64,
            Unit::AnyToken => (input + output) as f64,
        }
    }
}

/// What was charged when an attempt was admitted.
#[derive(Debug, Clone, Copy)]
pub struct Reservation {
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    /// Output tokens that the provider charges when the request arrives.
    pub(super) reserved_output: u64,
    /// How often the limits had been changed by then.
    pub(super) changes: u32,
}

/// Requests and tokens per second, minute and day.
#[derive(Debug)]
pub struct Rates {
    buckets: Vec<Rate>,
    day: DayWindow,
    /// How often the limits were changed.
    changes: u32,
}

/// One rate.
#[derive(Debug)]
struct Rate {
    by: LimitedBy,
    unit: Unit,
    bucket: Bucket,
    /// The change that made it: earlier reservations are no charge of its bucket.
    since: u32,
}

/// Requests of one day, counted from the first one.
///
/// Daily limits are budgets, not paces: they are not spread over the day. Requests are counted
/// without a limit too, for one that is set later.
#[derive(Debug)]
struct DayWindow {
    limit: Option<u64>,
    used: u64,
    started: Option<Duration>,
}

impl Rates {
    /// Full buckets for these limits.
    pub fn new(limits: &Limits) -> Rates {
        let rate = |(by, unit, per_s)| Rate {
            by,
            unit,
            bucket: Bucket::new(per_s),
            since: 0,
        };
        Rates {
            buckets: per_second(limits).map(rate).collect(),
            day: DayWindow {
                limit: limits.rpd,
                used: 0,
                started: None,
            },
            changes: 0,
        }
    }

    /// Takes other limits; what was used of a rate that stays limited stays used.
    pub fn change(&mut self, now: Duration, limits: &Limits) {
        self.changes += 1;
        let now_s = now.as_secs_f64();
        let earlier = std::mem::take(&mut self.buckets);
        let rate = |(by, unit, per_s)| match earlier.iter().find(|rate| rate.by == by) {
            Some(rate) => Rate {
                by,
                unit,
                bucket: rate.bucket.at_rate(now_s, per_s),
                since: rate.since,
            },
            None => Rate {
                by,
                unit,
                bucket: Bucket::new(per_s),
                since: self.changes,
            },
        };
        self.buckets = per_second(limits).map(rate).collect();
        self.day.limit = limits.rpd;
    }

    /// Charges every bucket for one request, or none of them.
    ///
    /// # Errors
    /// The bucket that is ready last, and when.
    pub fn reserve(&mut self, now: Duration, need: &Need) -> Result<Reservation, Refusal> {
        let now_s = now.as_secs_f64();
        let mut last: Option<(f64, LimitedBy)> = None;
        for rate in &self.buckets {
            let ready = rate.bucket.ready_at_s();
            if ready > now_s + CLOCK_GRAIN_S && last.is_none_or(|(latest, _)| ready > latest) {
                last = Some((ready, rate.by));
            }
        }
        if let Some((ready, by)) = last {
            return Err(Refusal {
                by,
                until: Some(Duration::from_secs_f64(ready)),
            });
        }
        self.day.take(now)?;
        for rate in &mut self.buckets {
            let units = rate.unit.of(need.input_tokens, need.output_tokens);
            rate.bucket.charge(now_s, units);
        }
        Ok(Reservation {
            input_tokens: need.input_tokens,
            output_tokens: need.output_tokens,
            reserved_output: need.reserved_output,
            changes: self.changes,
        })
    }

    /// Corrects the charge to what was really used; without usage the charge stands for the
    /// input and is given back for the output.
    pub fn settle(&mut self, reservation: Reservation, usage: Option<&Usage>) {
        let (input, output) = match usage {
            Some(usage) => (usage.input_tokens, usage.output_tokens),
            None => (reservation.input_tokens, 0),
        };
        for rate in self.charged(&reservation) {
            if rate.unit != Unit::Request {
                let was = reservation.units(rate.unit);
                rate.bucket.correct(rate.unit.of(input, output) - was);
            }
        }
    }

    /// Gives back everything: the request was never sent.
    pub fn release(&mut self, reservation: Reservation) {
        for rate in self.charged(&reservation) {
            rate.bucket.correct(-reservation.units(rate.unit));
        }
        self.day.used = self.day.used.saturating_sub(1);
    }

    /// The rates that a reservation was charged to.
    fn charged(&mut self, reservation: &Reservation) -> impl Iterator<Item = &mut Rate> {
        let changes = reservation.changes;
        let rates = self.buckets.iter_mut();
        rates.filter(move |rate| rate.since <= changes)
    }

    /// Counts requests of earlier sessions against the daily limit.
    pub fn add_earlier_requests(&mut self, requests: u64) {
        self.day.used += requests;
        self.day.started.get_or_insert(Duration::ZERO);
    }
}

impl Reservation {
    fn units(&self, unit: Unit) -> f64 {
        unit.of(self.input_tokens, self.output_tokens)
    }
}

/// The limits that are paced, as units a second.
fn per_second(limits: &Limits) -> impl Iterator<Item = (LimitedBy, Unit, f64)> {
    let rates = [
        (limits.rps, LimitedBy::Rps, Unit::Request, 1.0),
        (limits.rpm, LimitedBy::Rpm, Unit::Request, MINUTE_S),
        (limits.tpm, LimitedBy::Tpm, Unit::AnyToken, MINUTE_S),
        (limits.itpm, LimitedBy::Itpm, Unit::InputToken, MINUTE_S),
        (limits.otpm, LimitedBy::Otpm, Unit::OutputToken, MINUTE_S),
    ];
    let rates = rates.into_iter();
    rates.filter_map(|(limit, by, unit, seconds)| limit.map(|limit| (by, unit, limit / seconds)))
}

impl DayWindow {
    fn take(&mut self, now: Duration) -> Result<(), Refusal> {
        let mut started = *self.started.get_or_insert(now);
        while now >= started + DAY {
            started += DAY;
            self.started = Some(started);
            self.used = 0;
        }
        if self.limit.is_some_and(|limit| self.used >= limit) {
            return Err(Refusal {
                by: LimitedBy::Rpd,
                until: Some(started + DAY),
            });
        }
        self.used += 1;
        Ok(())
    }
}
