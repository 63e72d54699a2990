//! What a refusal for load is about: the level, the rate, or nothing that can be helped.
//!
//! ```text
//! a told limit is used up ────────────► it paces already, nothing is learnt
//! refused above all that was taken ───► the level: a cap on what is in flight
//! refused at a level that was taken ──► 429: the rate.   503, 529: chance, unless it is often
//! ```
//! Owns that judgement. Never limits by itself.

use std::collections::VecDeque;
use std::time::Duration;

use super::failing::Means;
use super::{Limiter, Permit};
use crate::outcome::{Failure, FailureKind};
use crate::told::Meter;

/// How long a cut of the level may turn out to have been about the rate.
const SECOND_THOUGHTS: Duration = Duration::from_secs(10);

/// The codes of refusals because the load grows too fast: OpenAI's and Anthropic's.
const GROWTH_CODES: [&str; 2] = ["slow_down", "ramp_limit_exceeded"];

/// Refusals by chance that make a server one that does so, among so many attempts.
const ENOUGH_NOISE: usize = 2;
const NOISE_MEMORY: u64 = 1_000;

/// What refusals have taught so far.
#[derive(Debug, Default)]
pub(super) struct Lessons {
    /// When something was last cut; refusals of what was sent before belong to it.
    cut_at: Option<Duration>,
    /// When the level was last cut because of a 429.
    capped_at: Option<Duration>,
    /// Refusals since the last cut.
    refusals: u64,
    /// The last attempts that a busy server refused at a level that it takes otherwise.
    noise: VecDeque<u64>,
    /// What the refusal at hand says is used up.
    pub(super) named: Option<Meter>,
}

impl Lessons {
    /// Whether a server refuses some by chance, at levels that it takes otherwise.
    fn is_noisy(&mut self, number: u64) -> bool {
        while let Some(first) = self.noise.front()
            && (first + NOISE_MEMORY < number || self.noise.len() > ENOUGH_NOISE)
        {
            self.noise.pop_front();
        }
        self.noise.len() >= ENOUGH_NOISE
    }
}

impl Limiter {
    /// Learns from a refusal.
    pub(super) fn refused(&mut self, now: Duration, permit: &Permit, failure: &Failure) {
        if self.in_flight.is_ruled() {
            return self.hold.park(now, failure.retry_after);
        }
        let named = self.lessons.named.take();
        let wait = failure.retry_after;
        self.sent.not_taken(permit.number);
        self.sent.refused_after(now.saturating_sub(permit.sent_at));
        self.pace.refused();
        let is_explained = self.meters.explain(permit.reservation);
        let used_up = named.filter(|_| is_explained);
        self.meters.refused(permit.reservation, used_up, wait);
        self.lessons.refusals += 1;
        // While the endpoint is left alone, its refusals say nothing of how much it takes.
        if self.outage.since().is_some() {
            self.hold.ignore(permit.probe);
            return wait.into_iter().for_each(|wait| self.hold.ask(now, wait));
        }
        self.hold.overload(now, permit.sent_at, permit.probe, wait);
        if permit.probe {
            return;
        }
        let is_straggler = self.lessons.cut_at.is_some_and(|cut| permit.sent_at < cut);
        if is_straggler || is_explained {
            return;
        }
        let record = self.sent.record(now);
        let is_above = permit.in_flight > record;
        match failure.kind {
            _ if named == Some(Meter::InFlight) => self.cap(now, permit, false),
            _ if named.is_some() => {
                self.meters.contradicted(named);
                self.slow_down(now, permit, failure);
            }
            FailureKind::Overloaded if wait.is_some() => {
                self.slow_down(now, permit, failure);
            }
            FailureKind::Overloaded
                if is_above && record > 0 && !self.lessons.is_noisy(permit.number) =>
            {
                self.cap(now, permit, true);
            }
            FailureKind::Overloaded => {
                self.in_flight.rest(now);
                self.lessons.noise.push_back(permit.number);
                if !is_above && self.lessons.is_noisy(permit.number) {
                    self.uncap();
                }
                self.failed_of_load(now);
            }
            // One at a time is no level.
            _ if is_above && permit.in_flight > 1 && self.may_be_the_level(permit) => {
                self.lessons.capped_at = Some(now);
                self.cap(now, permit, false);
            }
            _ => self.slow_down(now, permit, failure),
        }
    }

    /// Learns from an attempt that ended in another way.
    pub(super) fn broke(&mut self, now: Duration, permit: &Permit, failure: &Failure) {
        self.sent.not_taken(permit.number);
        self.hold.ignore(permit.probe);
        if self.in_flight.is_ruled() {
            return self.hold.park(now, failure.retry_after);
        }
        if let Some(wait) = failure.retry_after {
            self.hold.ask(now, wait);
        }
        self.lessons.named = None;
        let is_down = permit.probe || self.outage.since().is_some();
        // What was sent before a cut says nothing of whether it helped.
        let is_straggler = self.lessons.cut_at.is_some_and(|cut| permit.sent_at < cut);
        match failure.kind {
            FailureKind::ServerError | FailureKind::Timeout { .. } if !is_down && !is_straggler => {
                self.failed_of_load(now);
            }
            _ => {}
        }
    }

    /// The endpoint is back: what was cut when it went down was about that.
    pub(super) fn recovered(&mut self, now: Duration) {
        self.failing.restart(now);
        if let Some(level) = self.in_flight.found() {
            level.uncut();
        }
    }

    /// A rate that is known already explains a refusal at a level that nothing holds back from.
    fn may_be_the_level(&mut self, permit: &Permit) -> bool {
        let is_paced = self.pace.per_s().is_some();
        let level = self.in_flight.found();
        level.is_some_and(|level| !is_paced || permit.in_flight >= level.limit())
    }

    fn cap(&mut self, now: Duration, permit: &Permit, is_busy: bool) {
        let refusals = std::mem::take(&mut self.lessons.refusals);
        self.lessons.cut_at = Some(now);
        if let Some(level) = self.in_flight.found() {
            level.capped(permit.in_flight, refusals, is_busy);
        }
    }

    /// Refusals come by chance: a ceiling that one of them made is none.
    fn uncap(&mut self) {
        if let Some(level) = self.in_flight.found() {
            level.uncut_if_busy();
        }
    }

    fn slow_down(&mut self, now: Duration, permit: &Permit, failure: &Failure) {
        // A load that grows too fast is let through as slowly as it has to be: waiting costs
        // nothing, and not growing does.
        let code = failure.provider_code.as_deref();
        let is_growth = code.is_some_and(|code| GROWTH_CODES.contains(&code));
        let wait = failure.retry_after.unwrap_or_default();
        let told = self.meters.requests_per_s();
        let which = (permit.sent_at, permit.number);
        self.pace.cut(which, (!is_growth).then_some(wait), told);
        self.lessons.refusals = 0;
        self.lessons.cut_at = Some(now);
        let capped_at = self.lessons.capped_at.take();
        let was_rash = capped_at.is_some_and(|at| now < at + SECOND_THOUGHTS);
        if let Some(level) = self.in_flight.found() {
            level.rate_is_refused();
            if was_rash {
                level.uncut();
            }
        }
    }

    fn failed_of_load(&mut self, now: Duration) {
        let in_flight = self.in_flight.in_flight();
        let Some(level) = self.in_flight.found() else {
            return;
        };
        match self.failing.failed(now, level.latency_s()) {
            Means::Nothing => {}
            Means::TooMuch => {
                self.lessons.cut_at = Some(now);
                level.cut_back(in_flight);
            }
            Means::Anyway => level.uncut(),
        }
    }
}
