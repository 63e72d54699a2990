//! Enforces the account's limits: token buckets and the cap on requests in flight.
//!
//! Owns the buckets behind one lock, which exists only when a bucket is configured. Never
//! writes a header or a body; the dialects tell clients what this module decides.

mod bucket;
mod over_time;
mod ramp;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bucket::Bucket;
use over_time::OverTime;
use ramp::Windows;

use crate::config::{Config, RateHeaders, RetryAfter};

/// The quantity a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meter {
    /// `rpm`.
    Requests,
    /// `rps`.
    RequestsPerSecond,
    /// `rpd`.
    RequestsPerDay,
    /// `tpm`.
    Tokens,
    /// `tpd`.
    TokensPerDay,
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
    /// The load grows too fast; the next window begins after `wait`.
    Ramp { wait: Duration },
}

impl Refusal {
    /// The time after which the request fits, if there is one.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match *self {
            Refusal::Exhausted { wait, .. } | Refusal::Ramp { wait } => Some(wait),
            Refusal::TooLarge { .. } | Refusal::InFlight { .. } => None,
        }
    }
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
    /// Per second, minute or day.
    pub(crate) limit: u64,
    /// What is left of `limit`.
    pub(crate) remaining: u64,
    /// The time until the bucket is full.
    pub(crate) until_full: Duration,
}

impl Level {
    /// The level as the headers claim it.
    fn claimed(self, headers: RateHeaders) -> Level {
        let RateHeaders::Scaled(factor) = headers else {
            return self;
        };
        Level {
            limit: (self.limit as f64 * factor) as u64,
            remaining: (self.remaining as f64 * factor) as u64,
            ..self
        }
    }
}

/// All buckets that rate headers show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Levels {
    pub(crate) requests_per_second: Option<Level>,
    pub(crate) requests: Option<Level>,
    pub(crate) requests_per_day: Option<Level>,
    pub(crate) tokens: Option<Level>,
    pub(crate) tokens_per_day: Option<Level>,
    pub(crate) input: Option<Level>,
    pub(crate) output: Option<Level>,
}

/// One limit with its bucket.
#[derive(Debug)]
struct Gauge {
    meter: Meter,
    /// As configured, for the meter's time.
    configured: f64,
    /// What holds now.
    limit: f64,
    /// The part of the limit that the bucket holds.
    share: f64,
    bucket: Bucket,
}

/// The buckets and what changes them.
#[derive(Debug)]
struct Account {
    gauges: Vec<Gauge>,
    windows: Option<Windows>,
    over_time: OverTime,
    /// Up to when all of this is settled.
    at: Duration,
}

/// Enforces one account's limits.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// There only if something is to be counted.
    account: Option<Mutex<Account>>,
    max_in_flight: Option<usize>,
    in_flight: AtomicUsize,
    count_failed: bool,
    over_time: OverTime,
    pub(crate) headers: RateHeaders,
    pub(crate) retry_after: RetryAfter,
}

impl Limiter {
    pub(crate) fn new(config: &Config) -> Limiter {
        let limits = &config.limits;
        let minute = limits.burst.as_secs_f64() / 60.0;
        let whole = |limit: Option<u64>| limit.map(|limit| limit as f64);
        let gauges: Vec<Gauge> = [
            (Meter::RequestsPerSecond, limits.rps, 1.0),
            (Meter::Requests, whole(limits.rpm), minute),
            (Meter::RequestsPerDay, whole(limits.rpd), 1.0),
            (Meter::Tokens, whole(limits.tpm), minute),
            (Meter::TokensPerDay, whole(limits.tpd), 1.0),
            (Meter::InputTokens, whole(limits.itpm), minute),
            (Meter::OutputTokens, whole(limits.otpm), minute),
        ]
        .into_iter()
        .filter_map(|(meter, limit, share)| Some(Gauge::new(meter, limit?, share)))
        .collect();
        let over_time = OverTime::new(&config.capacity, config.tenant);
        let windows = limits.ramp.map(Windows::new);
        let counts = !gauges.is_empty() || windows.is_some();
        let account = Account {
            gauges,
            windows,
            over_time: over_time.clone(),
            at: Duration::ZERO,
        };
        Limiter {
            account: counts.then(|| Mutex::new(account)),
            max_in_flight: limits.max_in_flight,
            in_flight: AtomicUsize::new(0),
            count_failed: limits.count_failed,
            over_time,
            headers: limits.headers,
            retry_after: limits.retry_after,
        }
    }

    /// Admits a request and takes its charge, or says why not and takes nothing but what
    /// `count_failed` asks for.
    ///
    /// An admitted request holds a place in flight until [`Limiter::leave`].
    pub(crate) fn admit(&self, charge: Charge, now: Duration) -> Result<(), Refusal> {
        self.enter(now)?;
        let Some(mut account) = self.lock(now) else {
            return Ok(());
        };
        if let Some(refusal) = account.refusal(charge, now) {
            drop(account);
            self.leave();
            self.count_invalid(now);
            return Err(refusal);
        }
        for gauge in &mut account.gauges {
            gauge.bucket.take(gauge.meter.up_front(charge));
        }
        Ok(())
    }

    /// Corrects a charge to the tokens really used.
    pub(crate) fn settle(&self, charge: Charge, output: u64, now: Duration) {
        for gauge in self
            .lock(now)
            .iter_mut()
            .flat_map(|account| account.gauges.iter_mut())
        {
            match gauge.meter {
                Meter::Tokens | Meter::TokensPerDay => {
                    let actual = (charge.input + output) as f64;
                    gauge.bucket.take(actual - charge.reserved as f64);
                }
                Meter::OutputTokens => gauge.bucket.take(output as f64),
                Meter::Requests
                | Meter::RequestsPerSecond
                | Meter::RequestsPerDay
                | Meter::InputTokens => {}
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
            .flat_map(|account| account.gauges.iter_mut())
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
            .flat_map(|account| account.gauges.iter_mut())
        {
            if gauge.meter.counts_requests() {
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
        for gauge in self.lock(now).iter().flat_map(|account| &account.gauges) {
            let place = match gauge.meter {
                Meter::Requests => &mut levels.requests,
                Meter::RequestsPerDay => &mut levels.requests_per_day,
                Meter::Tokens => &mut levels.tokens,
                Meter::TokensPerDay => &mut levels.tokens_per_day,
                Meter::InputTokens => &mut levels.input,
                Meter::OutputTokens => &mut levels.output,
                Meter::RequestsPerSecond => &mut levels.requests_per_second,
            };
            *place = Some(gauge.level().claimed(self.headers));
        }
        levels
    }

    /// Takes a place in flight.
    fn enter(&self, now: Duration) -> Result<(), Refusal> {
        let Some(limit) = self.max_in_flight else {
            return Ok(());
        };
        let limit = (limit as f64 * self.over_time.at(now).factor) as usize;
        let entered = self
            .in_flight
            .fetch_update(Relaxed, Relaxed, |n| (n < limit).then_some(n + 1));
        entered.map_or(Err(Refusal::InFlight { limit }), |_| Ok(()))
    }

    fn lock(&self, now: Duration) -> Option<MutexGuard<'_, Account>> {
        let mut account = self
            .account
            .as_ref()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        account.advance(now);
        Some(account)
    }
}

impl Account {
    /// Moves all buckets to a later time, through all changes on the way.
    fn advance(&mut self, now: Duration) {
        loop {
            let next = self.over_time.next_change(self.at);
            let until = next.map_or(now, |next| next.min(now));
            let holds = self.over_time.at(self.at);
            for gauge in &mut self.gauges {
                gauge.scale(holds.factor);
                let drain = match gauge.meter {
                    Meter::Requests | Meter::RequestsPerSecond | Meter::RequestsPerDay => {
                        holds.requests
                    }
                    Meter::Tokens | Meter::TokensPerDay => holds.tokens,
                    Meter::InputTokens | Meter::OutputTokens => holds.tokens / 2.0,
                };
                gauge.bucket.refill(until, drain);
            }
            self.at = self.at.max(until);
            if until == now {
                let factor = self.over_time.at(self.at).factor;
                self.gauges.iter_mut().for_each(|gauge| gauge.scale(factor));
                return;
            }
        }
    }

    /// Why a request is refused, if it is: the ramp, or the bucket with the longest wait.
    fn refusal(&mut self, charge: Charge, now: Duration) -> Option<Refusal> {
        if let Some(windows) = &mut self.windows
            && let Err(wait) = windows.admit(now)
        {
            return Some(Refusal::Ramp { wait });
        }
        let refusal = refusal(&self.gauges, charge)?;
        if let Some(windows) = &mut self.windows {
            windows.give_back();
        }
        Some(refusal)
    }
}

impl Meter {
    /// Whether it counts requests; else it counts tokens.
    fn counts_requests(self) -> bool {
        match self {
            Meter::Requests | Meter::RequestsPerSecond | Meter::RequestsPerDay => true,
            Meter::Tokens | Meter::TokensPerDay | Meter::InputTokens | Meter::OutputTokens => false,
        }
    }

    /// The seconds that its limit is for.
    fn seconds(self) -> f64 {
        match self {
            Meter::RequestsPerSecond => 1.0,
            Meter::Requests | Meter::Tokens | Meter::InputTokens | Meter::OutputTokens => 60.0,
            Meter::RequestsPerDay | Meter::TokensPerDay => 86_400.0,
        }
    }

    /// What a charge takes from this meter's bucket when a request is admitted.
    fn up_front(self, charge: Charge) -> f64 {
        match self {
            Meter::Requests | Meter::RequestsPerSecond | Meter::RequestsPerDay => 1.0,
            Meter::Tokens | Meter::TokensPerDay => charge.reserved as f64,
            Meter::InputTokens => charge.input as f64,
            Meter::OutputTokens => 0.0,
        }
    }
}

impl Gauge {
    fn new(meter: Meter, limit: f64, share: f64) -> Gauge {
        let per_second = limit / meter.seconds();
        Gauge {
            meter,
            configured: limit,
            limit,
            share,
            bucket: Bucket::new(per_second, limit * share),
        }
    }

    /// Makes the limit this many times the configured one.
    fn scale(&mut self, factor: f64) {
        let limit = self.configured * factor;
        if limit != self.limit {
            self.limit = limit;
            self.bucket
                .resize(limit / self.meter.seconds(), limit * self.share);
        }
    }

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
        if !gauge.meter.counts_requests() && requested > gauge.limit {
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
mod tests;
