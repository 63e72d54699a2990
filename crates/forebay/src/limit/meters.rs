//! Limits that the provider tells, kept as it keeps them.
//!
//! Each limit is a bucket of which the provider says how large it is, how fast it fills and what is
//! left. While plenty is left, nothing is paced; the last two seconds' worth are given out in
//! proportion to what is left, so that others who use the same key are made room for, and two
//! clients come to equal shares. Owns that. Never learns from refusals alone; [`Pace`] does.
//!
//! [`Pace`]: super::pace::Pace

use std::time::Duration;

use super::rates::{CLOCK_GRAIN_S, Reservation};
use super::{LearntRates, LimitedBy, Need, Refusal};
use crate::told::{self, Level, Told};

/// Seconds' worth of a limit that are given out in proportion to what is left: some two.
///
/// Shorter than the shortest window after which a bucket per minute was seen to refuse, and
/// several times the age of what a header tells.
const LOW_S: f64 = 2.2;
/// The same as a share of what the bucket holds, at the most.
const LOW_SHARE: f64 = 0.25;
/// What a bucket holds that refuses though plenty should be left, in seconds: the shortest windows
/// that were seen are of one second.
const SHORT_WINDOW_S: f64 = 1.0;
/// How long a limit is believed in that is told by refusals only, in seconds.
const BELIEVED_S: f64 = 15.0;
/// The same at the most, and the share of time that waits for the provider may take.
const MOST_BELIEVED_S: f64 = 600.0;
const WAITING_SHARE: f64 = 0.03;
/// The same in charges: a slow limit lets nothing through for longer than that.
const BELIEVED_TURNS: f64 = 2.0;
/// How fast more is tried after that: at three times as long, 2.6 times as much.
const GROWTH: f64 = 0.2;
/// How much more at the most.
const MOST_GROWTH: f64 = 10.0;
/// The least share of a limit's rate that is used while anything is left.
const LEAST_SHARE: f64 = 0.05;
/// How much more than its estimate a request may have been, in tokens.
const ROUGHLY: f64 = 1.5;
/// Differences of a told limit that are no change, but rounding.
const SAME_LIMIT: f64 = 0.001;
/// The meters, in the order of [`LimitedBy`].
const METERS: [LimitedBy; 5] = [
    LimitedBy::Rpm,
    LimitedBy::Rpd,
    LimitedBy::Tpm,
    LimitedBy::Itpm,
    LimitedBy::Otpm,
];

/// What was left in each meter; `NAN` where there was none.
pub(super) type Levels = [f32; METERS.len()];

/// All limits that an endpoint tells.
#[derive(Debug)]
pub(super) struct Meters {
    meters: [Option<Meter>; METERS.len()],
    /// The share of each limit that may be used.
    pub(super) utilization: f64,
}

#[derive(Debug, Clone, Copy)]
struct Meter {
    by: LimitedBy,
    limit: f64,
    /// What the bucket really holds: less than the limit where short windows are enforced.
    capacity: f64,
    per_s: f64,
    level: f64,
    /// What the provider said is left of a limit that it charges when answers end, in shares of
    /// what is low; it knows nothing of what is in flight, so that it only slows down.
    seen: f64,
    /// When the provider last told of it, in seconds.
    told_s: f64,
    /// How long that is believed, in seconds.
    believed_s: f64,
    /// What is left of the share that may be used, whatever others leave.
    own: f64,
    /// Up to when the level is settled, in seconds.
    at_s: f64,
    /// When the next charge is let through while little is left, in seconds.
    next_s: f64,
    /// How long the limit takes to regain the last charge, in seconds.
    turn_s: f64,
}

impl Meters {
    /// Nothing is told yet.
    pub(super) fn new(utilization: f64) -> Meters {
        Meters {
            meters: [None; METERS.len()],
            utilization,
        }
    }

    /// Whether all meters let a charge through now.
    ///
    /// # Errors
    /// The meter that is ready last, and when.
    pub(super) fn check(&mut self, now: Duration, need: &Need) -> Result<(), Refusal> {
        let now_s = now.as_secs_f64();
        let mut last: Option<(f64, LimitedBy)> = None;
        for meter in self.meters.iter_mut().flatten() {
            meter.advance(now_s, self.utilization);
            let ready = meter.ready_at_s(now_s, meter.units(need), self.utilization);
            if ready > now_s + CLOCK_GRAIN_S && last.is_none_or(|(latest, _)| ready > latest) {
                last = Some((ready, meter.by));
            }
        }
        match last {
            None => Ok(()),
            Some((ready, by)) => Err(Refusal {
                by,
                until: Duration::try_from_secs_f64(ready).ok(),
            }),
        }
    }

    /// Charges all meters.
    pub(super) fn charge(&mut self, now: Duration, need: &Need) {
        let now_s = now.as_secs_f64();
        for meter in self.meters.iter_mut().flatten() {
            meter.charge(now_s, meter.units(need), self.utilization);
        }
    }

    /// What is left in each.
    pub(super) fn levels(&self) -> Levels {
        self.meters
            .map(|meter| meter.map_or(f32::NAN, |meter| meter.level as f32))
    }

    /// Corrects a charge to the tokens that were really used, or gives it back.
    pub(super) fn settle(&mut self, was: Reservation, used: (u64, u64)) {
        let was = needed(was);
        let used = Need {
            input_tokens: used.0,
            output_tokens: used.1,
            reserved_output: used.1,
            worst_cost: None,
        };
        for meter in self.meters.iter_mut().flatten() {
            meter.settle(meter.units(&was), meter.units(&used));
        }
    }

    /// Takes in what an answer tells to an attempt with this reservation, before which these
    /// levels held.
    pub(super) fn told(&mut self, now: Duration, (sent, was): (&Levels, Reservation), told: &Told) {
        let now_s = now.as_secs_f64();
        let was = needed(was);
        let levels = [
            told.requests,
            told.requests_per_day,
            told.tokens,
            told.input_tokens,
            told.output_tokens,
        ];
        for meter in self.meters.iter_mut().flatten() {
            meter.advance(now_s, self.utilization);
        }
        let believed = self
            .meters
            .map(|meter| meter.map_or(0.0, |meter| meter.level));
        for (n, told) in levels.iter().enumerate() {
            let Some(told) = told else { continue };
            match &mut self.meters[n] {
                Some(meter) => {
                    meter.told_s = now_s;
                    meter.told((f64::from(sent[n]), meter.units(&was)), told);
                }
                None => {
                    let mut meter = Meter::new(METERS[n], now_s, told);
                    meter.turn_s = meter.units(&was) / meter.per_s;
                    self.meters[n] = Some(meter);
                }
            }
        }
        // A refusal is looked at the moment before it is told: what it says is left is left.
        if let Some(n) = told.refused.and_then(place)
            && let Some(meter) = &mut self.meters[n]
        {
            let left = levels[n].and_then(|level| level.remaining);
            let units = meter.units(&was);
            if believed[n] >= (2.0 * units).max(LOW_SHARE * meter.capacity) {
                meter.holds_less();
            }
            meter.level = meter.level.min(left.unwrap_or(0.0));
        }
    }

    /// Whether what is left explains that a request of this size is refused.
    pub(super) fn explain(&self, was: Reservation) -> bool {
        let was = needed(was);
        let mut meters = self.meters.iter().flatten();
        meters.any(|meter| {
            let roughly = if meter.counts_tokens() { ROUGHLY } else { 1.0 };
            meter.level < roughly * meter.units(&was)
        })
    }

    /// Notes how long a refusal of a request asks to wait: what is tried may not cost too much, and
    /// the limit that it names, if any, takes as long to regain what the request needs.
    pub(super) fn refused(
        &mut self,
        was: Reservation,
        named: Option<told::Meter>,
        wait: Option<Duration>,
    ) {
        let wait_s = wait.unwrap_or_default().as_secs_f64();
        let believed_s = (wait_s / WAITING_SHARE).clamp(BELIEVED_S, MOST_BELIEVED_S);
        for meter in self.meters.iter_mut().flatten() {
            meter.believed_s = believed_s;
        }
        let meter = named.and_then(place).and_then(|n| self.meters[n].as_mut());
        if let Some(meter) = meter
            && wait_s > 0.0
        {
            let left = meter.units(&needed(was)) - wait_s * meter.per_s;
            meter.level = meter.level.min(left.max(-meter.limit));
        }
    }

    /// Learns from a refusal that names a limit of which enough should be left: its bucket does not
    /// hold as much as the limit says.
    pub(super) fn contradicted(&mut self, named: Option<told::Meter>) {
        let meter = named.and_then(place).map(|n| &mut self.meters[n]);
        if let Some(Some(meter)) = meter {
            meter.holds_less();
            meter.level = meter.level.min(0.0);
        }
    }

    /// Requests per second that the provider tells.
    pub(super) fn requests_per_s(&self) -> Option<f64> {
        self.meters[0].map(|meter| meter.per_s)
    }

    /// The rates that are told, per minute.
    pub(super) fn rates(&self) -> LearntRates {
        let rate = |n: usize| self.meters[n].map(|meter| meter.per_s * 60.0 * self.utilization);
        LearntRates {
            rpm: rate(0),
            tpm: rate(2),
            itpm: rate(3),
            otpm: rate(4),
            told: self.meters.iter().any(Option::is_some),
        }
    }
}

/// Where the meter is that a refusal names.
fn place(named: told::Meter) -> Option<usize> {
    match named {
        told::Meter::Requests => Some(0),
        told::Meter::RequestsPerDay => Some(1),
        told::Meter::Tokens => Some(2),
        told::Meter::InputTokens => Some(3),
        told::Meter::OutputTokens => Some(4),
        told::Meter::TokensPerDay | told::Meter::InFlight => None,
    }
}

fn needed(was: Reservation) -> Need {
    Need {
        input_tokens: was.input_tokens,
        output_tokens: was.output_tokens,
        reserved_output: was.reserved_output,
        worst_cost: None,
    }
}

impl Meter {
    fn new(by: LimitedBy, now_s: f64, told: &Level) -> Meter {
        Meter {
            by,
            limit: told.limit,
            capacity: told.limit,
            per_s: told.per_s,
            level: told.remaining.unwrap_or(told.limit),
            seen: 1.0,
            told_s: now_s,
            believed_s: BELIEVED_S,
            own: told.limit,
            at_s: now_s,
            next_s: now_s,
            turn_s: 0.0,
        }
    }

    /// What a request is on this meter.
    fn units(&self, need: &Need) -> f64 {
        match self.by {
            LimitedBy::Tpm => (need.input_tokens + need.reserved_output) as f64,
            LimitedBy::Itpm => need.input_tokens as f64,
            LimitedBy::Otpm => need.output_tokens as f64,
            _ => 1.0,
        }
    }

    /// Whether what a request is on this meter is an estimate.
    fn counts_tokens(&self) -> bool {
        !matches!(self.by, LimitedBy::Rpm | LimitedBy::Rpd)
    }

    /// Whether the provider counts what was really used, when the answer is written.
    fn is_charged_at_the_end(&self) -> bool {
        self.by == LimitedBy::Otpm
    }

    /// Believes from now on that the bucket holds no more than a short window's worth.
    fn holds_less(&mut self) {
        if self.by != LimitedBy::Rpd {
            let window = (SHORT_WINDOW_S * self.per_s).max(1.0);
            self.capacity = self.capacity.min(window);
        }
    }

    /// What it regains in a second. A limit that nobody has told again for a while may have become
    /// more: it is tried how much. Nobody can tell again while it is waited for.
    fn rate(&self, now_s: f64) -> f64 {
        if self.by == LimitedBy::Rpd {
            return self.per_s;
        }
        let believed_s = self.believed_s.max(BELIEVED_TURNS * self.turn_s);
        let x = (now_s - self.told_s) / believed_s;
        self.per_s * (1.0 + GROWTH * (x - 1.0).max(0.0).powi(3)).min(MOST_GROWTH)
    }

    fn advance(&mut self, now_s: f64, utilization: f64) {
        let regained = (now_s - self.at_s).max(0.0) * self.rate(now_s);
        self.level = (self.level + regained).min(self.capacity);
        self.own = (self.own + regained * utilization).min(self.capacity * utilization);
        self.at_s = self.at_s.max(now_s);
    }

    /// What may be used of what is left.
    fn usable(&self, utilization: f64) -> f64 {
        let usable = self.level - (1.0 - utilization) * self.capacity;
        // The whole of a limit is what the provider says is left, and no count of one's own.
        if utilization < 1.0 {
            usable.min(self.own)
        } else {
            usable
        }
    }

    /// The level below which charges are paced.
    fn low(&self, units: f64) -> f64 {
        let seconds = (LOW_S * self.per_s).min(LOW_SHARE * self.capacity);
        seconds.max(units.min(LOW_SHARE * self.capacity))
    }

    fn ready_at_s(&self, now_s: f64, units: f64, utilization: f64) -> f64 {
        let usable = self.usable(utilization);
        let is_budget = self.by == LimitedBy::Rpd;
        if usable >= self.low(units) + units && self.seen >= 1.0 && !is_budget {
            return now_s;
        }
        // A charge that is larger than the bucket has to wait until the bucket is full.
        let needed = units.min(self.capacity * utilization);
        let filled = now_s + ((needed - usable) / self.rate(now_s)).max(0.0);
        // A limit per day is a budget, no pace.
        if is_budget {
            filled
        } else {
            filled.max(self.next_s)
        }
    }

    fn charge(&mut self, now_s: f64, units: f64, utilization: f64) {
        let usable = self.usable(utilization);
        let low = self.low(units);
        if usable < low + units || self.seen < 1.0 {
            let share = (usable / low).min(self.seen).clamp(LEAST_SHARE, 1.0) * utilization;
            self.next_s = self.next_s.max(now_s) + units / (self.rate(now_s) * share);
        }
        self.turn_s = units / self.per_s;
        self.own -= units;
        self.level -= units;
    }

    fn settle(&mut self, was: f64, used: f64) {
        self.own += was - used;
        self.level += was - used;
    }

    /// The provider may have looked at any time between sending and now, and may have counted the
    /// request's own `units` or not. Only what lies outside of all levels that were thought right
    /// in between tells of somebody else's use, or of a wrong guess.
    fn told(&mut self, (sent, units): (f64, f64), told: &Level) {
        if (told.limit - self.limit).abs() > SAME_LIMIT * self.limit {
            self.level = self.level.min(told.limit);
            self.capacity *= told.limit / self.limit;
            self.limit = told.limit;
        }
        self.per_s = told.per_s;
        let Some(remaining) = told.remaining else {
            return;
        };
        if self.is_charged_at_the_end() {
            self.seen = (remaining / self.low(units)).min(1.0);
            return;
        }
        let sent = if sent.is_nan() { self.level } else { sent };
        let low = self.level.min(sent) - units;
        let high = self.level.max(sent) + units;
        if remaining < low {
            self.level += remaining - low;
        } else if remaining > high {
            self.level += remaining - high;
        }
        self.level = self.level.clamp(-self.limit, self.capacity);
    }
}

#[cfg(test)]
mod tests;
