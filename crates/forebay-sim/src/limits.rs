//! Enforces the account's limits: token buckets and the cap on requests in flight.
//!
//! Owns the buckets behind one lock, which exists only when a bucket is configured. Never
//! writes a header or a body; the dialects tell clients what this module decides.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bucket::Bucket;
use crate::config::Limits;

/// The quantity a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meter {
    /// `rpm`.
    Requests,
    /// `rps`.
    RequestsPerSecond,
    /// `tpm`.
    Tokens,
    /// `itpm`.
    InputTokens,
    /// `otpm`.
    OutputTokens,
}

/// Why a request was not admitted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// A bucket is too empty; the request fits after `wait`.
    Exhausted {
        meter: Meter,
        limit: u64,
        used: u64,
        requested: u64,
        wait: Duration,
    },
    /// The request costs more than a whole minute gives.
    TooLarge {
        meter: Meter,
        limit: u64,
        requested: u64,
    },
    /// Too many requests are being served.
    InFlight { limit: usize },
}

/// What a request took when it was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// Its input tokens.
    pub(crate) input: u64,
    /// The tokens taken from `tpm` up front.
    pub(crate) reserved: u64,
}

/// A bucket as rate headers show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    /// Per minute.
    pub(crate) limit: u64,
    /// What is left of `limit`.
    pub(crate) remaining: u64,
    /// The time until the bucket is full.
    pub(crate) until_full: Duration,
}

/// All buckets that rate headers show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Levels {
    pub(crate) requests: Option<Level>,
    pub(crate) tokens: Option<Level>,
    pub(crate) input: Option<Level>,
    pub(crate) output: Option<Level>,
}

/// One limit with its bucket.
#[derive(Debug)]
struct Gauge {
    meter: Meter,
    /// As configured; per second for `rps`, else per minute.
    limit: f64,
    bucket: Bucket,
}

/// Enforces one account's limits.
#[derive(Debug)]
pub(crate) struct Limiter {
    gauges: Option<Mutex<Vec<Gauge>>>,
    max_in_flight: Option<usize>,
    in_flight: AtomicUsize,
    count_failed: bool,
    pub(crate) headers: bool,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Limiter {
        let per_minute = |meter, limit: Option<u64>| {
            limit.map(|limit| {
                let per_second = limit as f64 / 60.0;
                let capacity = per_second * limits.burst.as_secs_f64();
                Gauge {
                    meter,
                    limit: limit as f64,
                    bucket: Bucket::new(per_second, capacity),
                }
            })
        };
        let per_second = limits.rps.map(|rps| Gauge {
            meter: Meter::RequestsPerSecond,
            limit: rps,
            bucket: Bucket::new(rps, rps),
        });
        let gauges: Vec<Gauge> = [
            per_second,
            per_minute(Meter::Requests, limits.rpm),
            per_minute(Meter::Tokens, limits.tpm),
            per_minute(Meter::InputTokens, limits.itpm),
            per_minute(Meter::OutputTokens, limits.otpm),
        ]
        .into_iter()
        .flatten()
        .collect();
        Limiter {
            gauges: (!gauges.is_empty()).then(|| Mutex::new(gauges)),
            max_in_flight: limits.max_in_flight,
            in_flight: AtomicUsize::new(0),
            count_failed: limits.count_failed,
            headers: limits.headers,
        }
    }

    /// Admits a request and takes its charge, or says why not and takes nothing but what
    /// `count_failed` asks for.
    ///
    /// An admitted request holds a place in flight until [`Limiter::leave`].
    pub(crate) fn admit(&self, charge: Charge, now: Duration) -> Result<(), Refusal> {
        self.enter()?;
        let Some(mut gauges) = self.lock(now) else {
            return Ok(());
        };
        if let Some(refusal) = refusal(&gauges, charge) {
            drop(gauges);
            self.leave();
            self.count_invalid(now);
            return Err(refusal);
        }
        for gauge in gauges.iter_mut() {
            gauge.bucket.take(gauge.meter.up_front(charge));
        }
        Ok(())
    }

    /// Corrects a charge to the tokens really used.
    pub(crate) fn settle(&self, charge: Charge, output: u64, now: Duration) {
        for gauge in self
            .lock(now)
            .iter_mut()
            .flat_map(|gauges| gauges.iter_mut())
        {
            match gauge.meter {
                Meter::Tokens => {
                    let actual = (charge.input + output) as f64;
                    gauge.bucket.take(actual - charge.reserved as f64);
                }
                Meter::OutputTokens => gauge.bucket.take(output as f64),
                Meter::Requests | Meter::RequestsPerSecond | Meter::InputTokens => {}
            }
        }
    }

    /// Gives a failed request's charge back, unless failed requests count.
    pub(crate) fn settle_failed(&self, charge: Charge, now: Duration) {
        if self.count_failed {
            return;
        }
        for gauge in self
            .lock(now)
            .iter_mut()
            .flat_map(|gauges| gauges.iter_mut())
        {
            gauge.bucket.take(-gauge.meter.up_front(charge));
        }
    }

    /// Takes one request if rejected and invalid requests count; never into debt.
    pub(crate) fn count_invalid(&self, now: Duration) {
        if !self.count_failed {
            return;
        }
        for gauge in self
            .lock(now)
            .iter_mut()
            .flat_map(|gauges| gauges.iter_mut())
        {
            if matches!(gauge.meter, Meter::Requests | Meter::RequestsPerSecond) {
                gauge.bucket.take_at_most(1.0);
            }
        }
    }

    /// Gives a place in flight back.
    pub(crate) fn leave(&self) {
        if self.max_in_flight.is_some() {
            self.in_flight.fetch_sub(1, Relaxed);
        }
    }

    /// Reads what rate headers show.
    pub(crate) fn levels(&self, now: Duration) -> Levels {
        let mut levels = Levels::default();
        for gauge in self.lock(now).iter().flat_map(|gauges| gauges.iter()) {
            match gauge.meter {
                Meter::Requests => levels.requests = Some(gauge.level()),
                Meter::Tokens => levels.tokens = Some(gauge.level()),
                Meter::InputTokens => levels.input = Some(gauge.level()),
                Meter::OutputTokens => levels.output = Some(gauge.level()),
                Meter::RequestsPerSecond => {}
            }
        }
        levels
    }

    /// Takes a place in flight.
    fn enter(&self) -> Result<(), Refusal> {
        let Some(limit) = self.max_in_flight else {
            return Ok(());
        };
        let entered = self
            .in_flight
            .fetch_update(Relaxed, Relaxed, |n| (n < limit).then_some(n + 1));
        entered.map_or(Err(Refusal::InFlight { limit }), |_| Ok(()))
    }

    fn lock(&self, now: Duration) -> Option<MutexGuard<'_, Vec<Gauge>>> {
        let mut gauges = self
            .gauges
            .as_ref()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for gauge in gauges.iter_mut() {
            gauge.bucket.refill(now);
        }
        Some(gauges)
    }
}

impl Meter {
    /// What a charge takes from this meter's bucket when a request is admitted.
    fn up_front(self, charge: Charge) -> f64 {
        match self {
            Meter::Requests | Meter::RequestsPerSecond => 1.0,
            Meter::Tokens => charge.reserved as f64,
            Meter::InputTokens => charge.input as f64,
            Meter::OutputTokens => 0.0,
        }
    }
}

impl Gauge {
    fn level(&self) -> Level {
        Level {
            limit: self.limit as u64,
            remaining: (self.limit - self.bucket.used() + 1e-6).max(0.0) as u64,
            until_full: self.bucket.until_full(),
        }
    }
}

/// The refusal with the longest wait, if any bucket refuses.
fn refusal(gauges: &[Gauge], charge: Charge) -> Option<Refusal> {
    let mut worst: Option<(Duration, Refusal)> = None;
    for gauge in gauges {
        // An output bucket in debt admits nothing until it holds a token.
        let requested = gauge.meter.up_front(charge).max(1.0);
        let tokens = !matches!(gauge.meter, Meter::Requests | Meter::RequestsPerSecond);
        if tokens && requested > gauge.limit {
            return Some(Refusal::TooLarge {
                meter: gauge.meter,
                limit: gauge.limit as u64,
                requested: requested as u64,
            });
        }
        let wait = gauge.bucket.wait(requested);
        if wait
            > worst
                .as_ref()
                .map_or(Duration::ZERO, |(longest, _)| *longest)
        {
            let refusal = Refusal::Exhausted {
                meter: gauge.meter,
                limit: gauge.limit as u64,
                used: (gauge.limit - gauge.bucket.level()).max(0.0).ceil() as u64,
                requested: requested as u64,
                wait,
            };
            worst = Some((wait, refusal));
        }
    }
    worst.map(|(_, refusal)| refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;
    const SMALL: Charge = Charge {
        input: 10,
        reserved: 110,
    };

    #[test]
    fn a_refused_request_takes_nothing() {
        let limiter = Limiter::new(&Limits {
            rpm: Some(60),
            tpm: Some(150),
            ..Limits::default()
        });
        assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
        let refused = limiter.admit(SMALL, NOW);
        let Err(Refusal::Exhausted {
            meter,
            used,
            requested,
            wait,
            ..
        }) = refused
        else {
            panic!("expected a refusal, got {refused:?}");
        };
        assert_eq!((meter, used, requested), (Meter::Tokens, 110, 110));
        assert_eq!(wait, Duration::from_secs(28));
        assert_eq!(limiter.levels(NOW).requests.unwrap().remaining, 59);
    }

    #[test]
    fn rejected_requests_count_when_told() {
        let limiter = Limiter::new(&Limits {
            rpm: Some(2),
            count_failed: true,
            ..Limits::default()
        });
        let second = |s| Duration::from_secs(s);
        assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
        assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
        assert!(limiter.admit(SMALL, second(20)).is_err());
        assert!(limiter.admit(SMALL, second(40)).is_err());
        assert_eq!(limiter.admit(SMALL, second(70)), Ok(()));
    }

    #[test]
    fn settling_corrects_to_the_tokens_used() {
        let limiter = Limiter::new(&Limits {
            tpm: Some(150),
            otpm: Some(20),
            ..Limits::default()
        });
        assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
        limiter.settle(SMALL, 25, NOW);
        let levels = limiter.levels(NOW);
        assert_eq!(levels.tokens.unwrap().remaining, 115);
        assert_eq!(levels.output.unwrap().remaining, 0);
        let refused = limiter.admit(SMALL, NOW);
        assert!(matches!(
            refused,
            Err(Refusal::Exhausted {
                meter: Meter::OutputTokens,
                ..
            })
        ));
    }

    #[test]
    fn failed_requests_get_their_charge_back() {
        let limiter = Limiter::new(&Limits {
            rpm: Some(1),
            tpm: Some(150),
            ..Limits::default()
        });
        assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
        limiter.settle_failed(SMALL, NOW);
        assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    }

    #[test]
    fn a_request_above_the_limit_is_too_large() {
        let limiter = Limiter::new(&Limits {
            tpm: Some(100),
            ..Limits::default()
        });
        let refused = limiter.admit(SMALL, NOW);
        assert!(matches!(
            refused,
            Err(Refusal::TooLarge { requested: 110, .. })
        ));
    }

    #[test]
    fn places_in_flight_are_given_back() {
        let limiter = Limiter::new(&Limits {
            max_in_flight: Some(1),
            ..Limits::default()
        });
        assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
        assert_eq!(
            limiter.admit(SMALL, NOW),
            Err(Refusal::InFlight { limit: 1 })
        );
        limiter.leave();
        assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    }
}
