//! Admission: who may make an attempt now.
//!
//! Owns every limit of one endpoint and model: rates, attempts in flight, backoff, outage and
//! money. One call reserves over all of them at once; one of three verbs settles.
//! Never sleeps and never reads a clock: `now` is the time since the engine started.
//!
//! ```text
//! admit(now, need) ─► Permit ─► attempt ─► success | overload | ignore
//!        └─► Refusal: until when, or until something settles, and what limits
//! ```

mod bucket;
mod concurrency;
mod estimate;
mod hold;
mod outage;
mod rates;
mod spend;
mod tune;

use std::time::Duration;

pub use concurrency::InFlightLimit;
pub use estimate::{Estimate, Estimator, Sketch, input_tokens_of};
pub use hold::Hold;
pub use outage::Outage;
pub use rates::{Rates, Reservation};
pub use spend::Spend;
pub use tune::InForce;

use crate::config::{EngineSettings, Learnt};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, Phase, Usage};
use crate::told::Told;

/// What an attempt is going to need.
#[derive(Debug, Clone, Copy, Default)]
pub struct Need {
    /// Input tokens, estimated.
    pub input_tokens: u64,
    /// Output tokens, estimated.
    pub output_tokens: u64,
    /// Output tokens that the provider charges when the request arrives: its cap, where it charges
    /// that, and the estimate otherwise.
    pub reserved_output: u64,
    /// The most that the attempt can cost; `None` when there is no price.
    pub worst_cost: Option<Usd>,
}

/// The right to make one attempt. Settle it with exactly one of the limiter's three verbs.
#[derive(Debug)]
#[must_use = "a permit that is not settled keeps its place in flight"]
pub struct Permit {
    reservation: Reservation,
    worst_cost: Usd,
    sent_at: Duration,
    probe: bool,
}

impl Permit {
    /// When the attempt was admitted.
    pub fn sent_at(&self) -> Duration {
        self.sent_at
    }
}

/// Why no attempt may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What limits.
    pub by: LimitedBy,
    /// When to ask again; `None` when only a settled permit can change the answer.
    pub until: Option<Duration>,
}

/// What limits a run at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitedBy {
    /// Attempts in flight, as many as the user allows.
    Concurrency,
    /// Attempts in flight, while it is still found out how many are served well.
    Ramp,
    /// Attempts in flight: the provider refuses more, or is no faster with more.
    Saturated,
    /// Requests per second.
    Rps,
    /// Requests per minute.
    Rpm,
    /// Tokens per minute.
    Tpm,
    /// Input tokens per minute.
    Itpm,
    /// Output tokens per minute.
    Otpm,
    /// Requests per day.
    Rpd,
    /// The provider asked to wait, or a retry waits.
    Backoff,
    /// The endpoint is down.
    Outage,
    /// The cap on cost.
    Cost,
    /// The input is slower than the endpoint.
    Input,
}

impl LimitedBy {
    /// All of them, in the order of the enum.
    pub const ALL: [LimitedBy; 13] = [
        LimitedBy::Concurrency,
        LimitedBy::Ramp,
        LimitedBy::Saturated,
        LimitedBy::Rps,
        LimitedBy::Rpm,
        LimitedBy::Tpm,
        LimitedBy::Itpm,
        LimitedBy::Otpm,
        LimitedBy::Rpd,
        LimitedBy::Backoff,
        LimitedBy::Outage,
        LimitedBy::Cost,
        LimitedBy::Input,
    ];

    /// The stable name, as progress and summary show it.
    pub fn label(self) -> &'static str {
        match self {
            LimitedBy::Concurrency => "concurrency",
            LimitedBy::Ramp => "ramp-up",
            LimitedBy::Saturated => "provider saturated",
            LimitedBy::Rps => "rps",
            LimitedBy::Rpm => "rpm",
            LimitedBy::Tpm => "tpm",
            LimitedBy::Itpm => "itpm",
            LimitedBy::Otpm => "otpm",
            LimitedBy::Rpd => "rpd",
            LimitedBy::Backoff => "backoff",
            LimitedBy::Outage => "outage",
            LimitedBy::Cost => "cost",
            LimitedBy::Input => "input",
        }
    }
}

/// Rates that were learnt and hold now, per minute; `None` where nothing is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LearntRates {
    /// Requests per minute.
    pub rpm: Option<f64>,
    /// Tokens per minute, input and output together.
    pub tpm: Option<f64>,
    /// Input tokens per minute.
    pub itpm: Option<f64>,
    /// Output tokens per minute.
    pub otpm: Option<f64>,
    /// Whether the provider tells them; else its refusals showed them.
    pub told: bool,
}

/// Every limit of one endpoint and model.
#[derive(Debug)]
pub struct Limiter {
    in_flight: InFlightLimit,
    rates: Rates,
    hold: Hold,
    outage: Outage,
    spend: Spend,
    set: tune::Set,
}

impl Limiter {
    /// A limiter for these settings; nothing is used up yet.
    pub fn new(settings: &EngineSettings) -> Limiter {
        let in_flight = InFlightLimit::new(settings.concurrency);
        Limiter {
            outage: Outage::new(in_flight.limit(), settings.seed),
            in_flight,
            rates: Rates::new(&settings.limits),
            hold: Hold::new(settings.retry.max_wait, settings.seed),
            spend: Spend::new(settings.max_cost),
            set: tune::Set::of(settings),
        }
    }

    /// Reserves over all limits at once, or says what refuses and until when.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing is reserved then.
    pub fn admit(&mut self, now: Duration, need: &Need) -> Result<Permit, Refusal> {
        self.in_flight.check()?;
        let probe = self.outage.check(now)? | self.hold.check(now)?;
        self.spend.check(need.worst_cost)?;
        let reservation = self.rates.reserve(now, need)?;
        self.in_flight.take();
        if probe {
            self.outage.probe_sent();
            self.hold.probe_sent();
        }
        let worst_cost = need.worst_cost.unwrap_or_default();
        self.spend.reserve(worst_cost);
        Ok(Permit {
            reservation,
            worst_cost,
            sent_at: now,
            probe,
        })
    }

    /// Takes in what an answer tells of the account's limits, before its permit is settled.
    pub fn told(&mut self, _now: Duration, _permit: &Permit, _told: &Told) {}

    /// What was learnt so far, for the next session.
    pub fn learnt(&self) -> Learnt {
        Learnt::default()
    }

    /// The rates that hold now and were not set by the user, as far as any are known.
    pub fn learnt_rates(&self) -> LearntRates {
        LearntRates::default()
    }

    /// Settles: the endpoint did its work and used this much.
    pub fn success(&mut self, now: Duration, permit: Permit, usage: Option<&Usage>, cost: Usd) {
        self.rates.settle(permit.reservation, usage);
        self.in_flight.give_back();
        self.spend.settle(permit.worst_cost, cost);
        self.hold.success(now, permit.sent_at, permit.probe);
        self.outage.success(permit.probe);
    }

    /// Settles: the endpoint has too much to do, and may have said how long to wait.
    ///
    /// The reservation stays charged: providers count refused requests too.
    ///
    /// A stream that ends so in the middle may have been billed, and is charged at the worst.
    pub fn overload(&mut self, now: Duration, permit: Permit, failure: &Failure) {
        self.in_flight.give_back();
        let billed = billed(&permit, failure);
        self.spend.settle(permit.worst_cost, billed);
        self.rates.settle(permit.reservation, None);
        self.hold
            .overload(now, permit.sent_at, permit.probe, failure.retry_after);
        self.note_health(now, permit.probe, failure.kind);
    }

    /// Settles: the end says nothing about load.
    ///
    /// What was never sent is given back whole; what may have been billed stays on the bill, at
    /// its cost when that is known and at the worst otherwise.
    pub fn ignore(&mut self, now: Duration, permit: Permit, failure: &Failure, cost: Option<Usd>) {
        self.in_flight.give_back();
        let billed = cost.unwrap_or_else(|| billed(&permit, failure));
        self.spend.settle(permit.worst_cost, billed);
        match failure.kind {
            FailureKind::Connect
            | FailureKind::Cancelled
            | FailureKind::Timeout {
                phase: Phase::Connect,
            } => self.rates.release(permit.reservation),
            _ => self.rates.settle(permit.reservation, None),
        }
        self.hold.ignore(permit.probe);
        if let Some(wait) = failure.retry_after {
            self.hold.ask(now, wait);
        }
        self.note_health(now, permit.probe, failure.kind);
    }

    /// Settles as [`ignore`](Limiter::ignore) does: nobody waits for the attempt any more.
    ///
    /// It may have reached the provider, so all that was reserved stays charged.
    pub fn abandon(&mut self, permit: Permit) {
        self.in_flight.give_back();
        self.spend.settle(permit.worst_cost, permit.worst_cost);
        self.rates.settle(permit.reservation, None);
        self.hold.ignore(permit.probe);
        self.outage.neutral(permit.probe);
    }

    fn note_health(&mut self, now: Duration, probe: bool, kind: FailureKind) {
        if kind.is_outage_sign() {
            self.outage.failure(now, probe);
        } else {
            self.outage.neutral(probe);
        }
    }

    /// Attempts in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.in_flight()
    }

    /// The most attempts that may be in flight.
    pub fn limit(&self) -> usize {
        self.in_flight.limit()
    }

    /// Since when the endpoint has been down, while it is.
    pub fn down_since(&self) -> Option<Duration> {
        self.outage.since()
    }

    /// Until when the provider wants no request at all, when that is too long to wait for.
    pub fn parked_until(&self, now: Duration) -> Option<Duration> {
        self.hold.parked_until(now)
    }

    /// Counts what earlier sessions of the run cost against the cap.
    pub fn add_earlier_cost(&mut self, cost: Usd) {
        self.spend.add(cost);
    }

    /// Counts requests of earlier sessions against the daily limit.
    pub fn add_earlier_requests(&mut self, requests: u64) {
        self.rates.add_earlier_requests(requests);
    }
}

/// What a failed attempt of unknown cost is charged: all that it can have cost, or nothing.
fn billed(permit: &Permit, failure: &Failure) -> Usd {
    match failure.may_have_been_billed() {
        true => permit.worst_cost,
        false => Usd::ZERO,
    }
}

#[cfg(test)]
mod tests;
