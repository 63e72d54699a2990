//! All rates of an endpoint, reserved together.

use std::time::Duration;

use super::bucket::Bucket;
use super::{LimitedBy, Need, Refusal};
use crate::config::Limits;
use crate::outcome::Usage;

const MINUTE_S: f64 = 60.0;
/// Times closer than this count as equal, so that a caller who waits until the given time is
/// not refused again for a rounding error.
const CLOCK_GRAIN_S: f64 = 1e-6;
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
    input_tokens: u64,
    output_tokens: u64,
}

/// Requests and tokens per second, minute and day.
#[derive(Debug)]
pub struct Rates {
    buckets: Vec<(LimitedBy, Unit, Bucket)>,
    day: Option<DayWindow>,
}

/// Requests of one day, counted from the first one.
///
/// Daily limits are budgets, not paces: they are not spread over the day.
#[derive(Debug)]
struct DayWindow {
    limit: u64,
    used: u64,
    started: Option<Duration>,
}

impl Rates {
    /// Full buckets for these limits.
    pub fn new(limits: &Limits) -> Rates {
        let per_second = [(limits.rps, LimitedBy::Rps, Unit::Request, 1.0)];
        let per_minute = [
            (limits.rpm, LimitedBy::Rpm, Unit::Request, MINUTE_S),
            (limits.tpm, LimitedBy::Tpm, Unit::AnyToken, MINUTE_S),
            (limits.itpm, LimitedBy::Itpm, Unit::InputToken, MINUTE_S),
            (limits.otpm, LimitedBy::Otpm, Unit::OutputToken, MINUTE_S),
        ];
        let buckets = per_second
            .into_iter()
            .chain(per_minute)
            .filter_map(|(limit, by, unit, seconds)| {
                limit.map(|limit| (by, unit, Bucket::new(limit / seconds)))
            })
            .collect();
        Rates {
            buckets,
            day: limits.rpd.map(|limit| DayWindow {
                limit,
                used: 0,
                started: None,
            }),
        }
    }

    /// Charges every bucket for one request, or none of them.
    ///
    /// # Errors
    /// The bucket that is ready last, and when.
    pub fn reserve(&mut self, now: Duration, need: &Need) -> Result<Reservation, Refusal> {
        let now_s = now.as_secs_f64();
        let mut last: Option<(f64, LimitedBy)> = None;
        for (by, _, bucket) in &self.buckets {
            let ready = bucket.ready_at_s();
            if ready > now_s + CLOCK_GRAIN_S && last.is_none_or(|(latest, _)| ready > latest) {
                last = Some((ready, *by));
            }
        }
        if let Some((ready, by)) = last {
            return Err(Refusal {
                by,
                until: Some(Duration::from_secs_f64(ready)),
            });
        }
        if let Some(day) = &mut self.day {
            day.take(now)?;
        }
        for (_, unit, bucket) in &mut self.buckets {
            bucket.charge(now_s, unit.of(need.input_tokens, need.output_tokens));
        }
        Ok(Reservation {
            input_tokens: need.input_tokens,
            output_tokens: need.output_tokens,
        })
    }

    /// Corrects the charge to what was really used; without usage the charge stands for the
    /// input and is given back for the output.
    pub fn settle(&mut self, reservation: Reservation, usage: Option<&Usage>) {
        let (input, output) = match usage {
            Some(usage) => (usage.input_tokens, usage.output_tokens),
            None => (reservation.input_tokens, 0),
        };
        for (_, unit, bucket) in &mut self.buckets {
            if *unit != Unit::Request {
                let was = unit.of(reservation.input_tokens, reservation.output_tokens);
                bucket.correct(unit.of(input, output) - was);
            }
        }
    }

    /// Gives back everything: the request was never sent.
    pub fn release(&mut self, reservation: Reservation) {
        for (_, unit, bucket) in &mut self.buckets {
            bucket.correct(-unit.of(reservation.input_tokens, reservation.output_tokens));
        }
        if let Some(day) = &mut self.day {
            day.used = day.used.saturating_sub(1);
        }
    }

    /// Counts requests of earlier sessions against the daily limit.
    pub fn add_earlier_requests(&mut self, requests: u64) {
        if let Some(day) = &mut self.day {
            day.used += requests;
            day.started.get_or_insert(Duration::ZERO);
        }
    }
}

impl DayWindow {
    fn take(&mut self, now: Duration) -> Result<(), Refusal> {
        let mut started = *self.started.get_or_insert(now);
        while now >= started + DAY {
            started += DAY;
            self.started = Some(started);
            self.used = 0;
        }
        if self.used >= self.limit {
            return Err(Refusal {
                by: LimitedBy::Rpd,
                until: Some(started + DAY),
            });
        }
        self.used += 1;
        Ok(())
    }
}
