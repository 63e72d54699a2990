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
mod failing;
mod hold;
mod knee;
mod level;
mod limited_by;
mod meters;
mod outage;
mod pace;
mod rates;
mod refused;
mod sent;
mod spend;
mod tune;

use std::time::Duration;

use failing::Failing;
use meters::{Levels, Meters};
use pace::Pace;
use refused::Lessons;
use sent::Sent;

pub use concurrency::InFlightLimit;
pub use estimate::{Estimate, Estimator, Sketch, input_tokens_of};
pub use hold::Hold;
pub use limited_by::LimitedBy;
pub use outage::Outage;
pub use rates::{Rates, Reservation};
pub use spend::Spend;
pub use tune::InForce;

use crate::config::{AttemptEnd, EngineSettings, Learnt};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, Phase, Signal, Usage};
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
    /// Its number among all attempts.
    number: u64,
    /// Attempts in flight when it was sent, itself included.
    in_flight: usize,
    /// What the provider had left then, as far as it is known.
    levels: Levels,
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
    /// Limits that the provider tells.
    meters: Meters,
    /// The rate that its refusals tell.
    pace: Pace,
    sent: Sent,
    failing: Failing,
    lessons: Lessons,
    set: tune::Set,
}

impl Limiter {
    /// A limiter for these settings; nothing is used up yet.
    pub fn new(settings: &EngineSettings) -> Limiter {
        let in_flight = InFlightLimit::new(settings.concurrency, &settings.learnt);
        Limiter {
            outage: Outage::new(in_flight.limit(), settings.seed),
            in_flight,
            rates: Rates::new(&settings.limits),
            hold: Hold::new(settings.retry.max_wait, settings.seed),
            spend: Spend::new(settings.max_cost),
            meters: Meters::new(settings.target_utilization),
            pace: Pace::known(settings.learnt.requests_per_s),
            sent: Sent::default(),
            failing: Failing::default(),
            lessons: Lessons::default(),
            set: tune::Set::of(settings),
        }
    }

    /// Reserves over all limits at once, or says what refuses and until when.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing is reserved then.
    pub fn admit(&mut self, now: Duration, need: &Need) -> Result<Permit, Refusal> {
        self.note_taken(now);
        let in_flight = self.in_flight.in_flight();
        self.in_flight.check(now, self.set.target_utilization)?;
        let probe = self.outage.check(now)? | self.hold.check(now)?;
        if let Some(level) = self.in_flight.found()
            && self.hold.has_ended(now)
        {
            level.resume(now, in_flight);
            self.in_flight.check(now, self.set.target_utilization)?;
        }
        self.spend.check(need.worst_cost)?;
        self.meters.check(now, need)?;
        self.pace.check(now)?;
        let reservation = self.rates.reserve(now, need)?;
        if probe {
            self.outage.probe_sent();
            self.hold.probe_sent(now + self.sent.patience());
        }
        let worst_cost = need.worst_cost.unwrap_or_default();
        self.spend.reserve(worst_cost);
        self.meters.charge(now, need);
        self.pace.charge(now, self.set.target_utilization);
        let in_flight = self.in_flight.take(now, self.set.target_utilization);
        Ok(Permit {
            reservation,
            worst_cost,
            sent_at: now,
            probe,
            number: self.sent.push(now, in_flight),
            in_flight,
            levels: self.meters.levels(),
        })
    }

    /// Takes in what an answer tells of the account's limits, before its permit is settled.
    pub fn told(&mut self, now: Duration, permit: &Permit, told: &Told) {
        if !self.in_flight.is_ruled() {
            let sent = (&permit.levels, permit.reservation);
            self.meters.told(now, sent, told);
            self.lessons.named = told.refused;
        }
    }

    /// Takes in how many requests a server works on and how many wait there, everybody's.
    pub fn queue_seen(&mut self, running: f64, waiting: f64) {
        let in_flight = self.in_flight.in_flight();
        if let Some(level) = self.in_flight.found() {
            level.queue_seen(in_flight, running, waiting);
        }
    }

    /// What was learnt so far, for the next session.
    pub fn learnt(&self) -> Learnt {
        let (in_flight, refuses) = self.in_flight.learnt();
        Learnt {
            in_flight,
            requests_per_s: self.pace.per_s().filter(|_| self.pace.is_measured()),
            refuses,
        }
    }

    /// The rates that hold now and were not set by the user, as far as any are known.
    pub fn learnt_rates(&self) -> LearntRates {
        let told = self.meters.rates();
        let learnt = self
            .pace
            .per_s()
            .map(|per_s| per_s * 60.0 * self.set.target_utilization);
        match learnt.filter(|learnt| told.rpm.is_none_or(|told| *learnt < told)) {
            None => told,
            rpm => LearntRates {
                rpm,
                told: false,
                ..told
            },
        }
    }

    /// Settles: the endpoint did its work and used this much.
    pub fn success(&mut self, now: Duration, permit: Permit, usage: Option<&Usage>, cost: Usd) {
        self.spend.settle(permit.worst_cost, cost);
        self.settle_tokens(&permit, usage);
        self.ended(now, &permit, Signal::Success);
        let output = usage.map_or(0, |usage| usage.output_tokens);
        if let Some(level) = self.in_flight.found() {
            level.answered(permit.sent_at, now, output);
        }
    }

    /// Settles: the attempt failed, and this is what it cost if that is known.
    ///
    /// What was never sent is given back whole. What may have been billed stays on the bill, at its
    /// cost when that is known and at the worst otherwise: an overload in the middle of a stream
    /// may have been billed as well. A reservation of requests stays charged, since providers count
    /// refused ones too.
    pub fn failed(&mut self, now: Duration, permit: Permit, failure: &Failure, cost: Option<Usd>) {
        let billed = cost.unwrap_or_else(|| billed(&permit, failure));
        self.spend.settle(permit.worst_cost, billed);
        let was_sent = !matches!(
            failure.kind,
            FailureKind::Connect
                | FailureKind::Cancelled
                | FailureKind::Timeout {
                    phase: Phase::Connect
                }
        );
        if was_sent {
            self.settle_tokens(&permit, failure.usage.as_deref());
        } else {
            self.rates.release(permit.reservation);
            self.meters.settle(permit.reservation, (0, 0));
        }
        let signal = failure.kind.signal();
        self.ended(now, &permit, signal);
        match signal {
            Signal::Success => {}
            Signal::Overload => self.refused(now, &permit, failure),
            Signal::Ignore => self.broke(now, &permit, failure),
        }
        if signal != Signal::Success {
            self.note_health(now, permit.probe, failure.kind);
        }
    }

    /// Settles as [`failed`](Limiter::failed) does: nobody waits for the attempt any more.
    ///
    /// It may have reached the provider, so all that was reserved stays charged.
    pub fn abandon(&mut self, now: Duration, permit: Permit) {
        self.give_back(now, &permit, Signal::Ignore);
        self.spend.settle(permit.worst_cost, permit.worst_cost);
        self.rates.settle(permit.reservation, None);
        self.sent.not_taken(permit.number);
        self.hold.ignore(permit.probe);
        self.outage.abandoned(permit.probe);
    }

    fn settle_tokens(&mut self, permit: &Permit, usage: Option<&Usage>) {
        self.rates.settle(permit.reservation, usage);
        let used = usage.map_or((permit.reservation.input_tokens, 0), |usage| {
            (usage.input_tokens, usage.output_tokens)
        });
        self.meters.settle(permit.reservation, used);
    }

    /// Gives the place in flight back.
    fn give_back(&mut self, now: Duration, permit: &Permit, signal: Signal) {
        self.in_flight.give_back();
        self.in_flight.tell_rule(&AttemptEnd {
            now,
            sent_at: permit.sent_at,
            in_flight: permit.in_flight,
            signal,
        });
    }

    /// What all ends but those of abandoned attempts have in common.
    fn ended(&mut self, now: Duration, permit: &Permit, signal: Signal) {
        self.give_back(now, permit, signal);
        self.outage.fit(self.in_flight.limit());
        if signal == Signal::Success {
            if self.sent.taken(now, permit.number, permit.in_flight) {
                self.failing.fine();
            }
            self.hold.taken(now, permit.sent_at, permit.probe);
            let was_down = self.outage.since().is_some();
            self.outage.success(permit.probe);
            if was_down && self.outage.since().is_none() {
                self.recovered(now);
            }
        }
    }

    /// Counts what was not refused in time as taken.
    fn note_taken(&mut self, now: Duration) {
        if let Some((n, sent_at)) = self.sent.settle(now) {
            (0..n).for_each(|_| self.failing.fine());
            self.hold.taken(now, sent_at, false);
        }
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
