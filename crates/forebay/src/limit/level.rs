//! The limit on attempts in flight that finds itself.
//!
//! ```text
//!          opens with time, then in rounds (the knee)
//! target ───────────────────────────────────────────► limit = the lower of both
//! ceiling ──────────────────────────────────────────►
//!          a level that was refused; grows slowly near it, then fast
//! ```
//! Owns how the limit moves. Never judges what a refusal is about; the [`Limiter`](super::Limiter)
//! does.

use std::time::Duration;

use super::LimitedBy;
use super::knee::{Knee, Place};
use crate::config::Learnt;

/// Attempts in flight at the very start.
const START: f64 = 16.0;
/// Attempts in flight that are reached without any answer. Refusals come back within a round trip
/// and answers do not, so silence speaks for the level; a list of fifty items is in flight at once.
const OPEN: f64 = 64.0;
/// The time in which the limit doubles while nothing is known: a few round trips.
const DOUBLING_S: f64 = 0.25;
/// The time in which the limit doubles on its way to a higher target, in latencies: refusals of
/// the first that are too much come back before the last are sent.
const LATENCIES_PER_DOUBLING: f64 = 0.15;
/// The same at the most.
const SLOWEST_DOUBLING_S: f64 = 0.6;
/// The shortest time until it is looked again: timers have a millisecond's grain.
const TIMER_GRAIN_S: f64 = 0.001;
/// The least that is in flight at once after nothing could be sent for a while.
const RESUMED: f64 = 4.0;
/// What is left of a level that was refused.
const BELOW_CAP: f64 = 0.98;
/// What is left of the limit when too many attempts fail.
const CUT: f64 = 0.8;
/// The dip of the limit right after a refusal, on the way back to the cap.
const DIP: f64 = 0.03;
/// How fast more is tried beyond the cap: at three periods, 2.6 times as much.
const GROWTH: f64 = 0.2;
/// A refusal within this of an earlier one's level confirms that it is a cap.
const SAME_CAP: f64 = 0.15;
/// The shortest time until more than a confirmed cap is tried.
const SHORTEST_PERIOD_S: f64 = 10.0;
/// The same while a second refusal has to tell whether it was the level at all.
const GUESS_PERIOD_S: f64 = 2.0;
/// The longest, so that more capacity is noticed, or this many latencies.
const LONGEST_PERIOD_S: f64 = 300.0;
const MOST_LATENCIES_PER_PERIOD: f64 = 3.0;
/// The same in latencies: a level shows whether it holds after some.
const LATENCIES_PER_PERIOD: f64 = 2.0;
/// Answers per refused attempt: what is tried may cost one in a hundred.
const ANSWERS_PER_REFUSAL: f64 = 100.0;
/// Refusals that count at the most: more come at once when capacity falls, not when more is tried.
const MOST_REFUSALS: u64 = 4;
/// The share of a limit from which on it counts as used.
const FULL: f64 = 0.9;
/// The share of the level aimed at from which on attempts count for it: what is sent from there on
/// spends nearly all of its time at the level.
const NEARLY: f64 = 0.5;
/// Weight of the newest answer in the running mean of latencies.
const WEIGHT: f64 = 1.0 / 16.0;
/// Waiting at a server, over what runs there, that is no harm, and that is too much.
const SOME_WAIT: f64 = 0.1;
const TOO_MANY_WAIT: f64 = 0.5;

/// The limit and how it moves.
#[derive(Debug)]
pub(super) struct Level {
    max: f64,
    limit: f64,
    /// Where the limit is going, as far as no ceiling is in the way.
    target: f64,
    ceiling: Option<Ceiling>,
    /// Since when the limit opens with time alone; `None` when it does not any more.
    opening: Option<Option<Duration>>,
    knee: Knee,
    /// Whether the endpoint refuses what is too much, so that nothing has to be guessed.
    refuses: bool,
    /// Mean latency of answers, in seconds.
    latency_s: Option<f64>,
    /// Up to when growth is settled, in seconds.
    settled_s: f64,
    is_full: bool,
}

/// A level that was refused.
#[derive(Debug, Clone, Copy)]
struct Ceiling {
    /// What was refused, a little less.
    at: f64,
    /// The target before the first of the refusals that led here.
    before: f64,
    period_s: f64,
    /// Seconds in which the limit was used since.
    grown_s: f64,
    /// Whether a server that has too much to do refused, which may queue as well.
    is_busy: bool,
}

impl Level {
    /// Nothing is known but what an earlier session learnt.
    pub(super) fn new(max: usize, learnt: &Learnt) -> Level {
        let max = max as f64;
        let known = learnt.in_flight.filter(|level| *level >= 1.0);
        let start = known.unwrap_or(START).min(max);
        Level {
            max,
            limit: start,
            target: start,
            ceiling: known.filter(|_| learnt.refuses).map(|at| Ceiling {
                at,
                before: at,
                period_s: SHORTEST_PERIOD_S,
                grown_s: 0.0,
                is_busy: false,
            }),
            opening: known.is_none().then_some(None),
            knee: Knee::new(),
            refuses: learnt.refuses,
            latency_s: None,
            settled_s: 0.0,
            is_full: false,
        }
    }

    /// Attempts that may be in flight.
    pub(super) fn limit(&self) -> usize {
        (self.limit as usize).max(1)
    }

    /// The limit for the next session.
    pub(super) fn learnt(&self) -> Option<f64> {
        self.opening.is_none().then_some(self.limit)
    }

    /// Whether the endpoint was seen to refuse.
    pub(super) fn refuses(&self) -> bool {
        self.refuses
    }

    /// Mean latency of answers, in seconds; 0 before the first one.
    pub(super) fn latency_s(&self) -> f64 {
        self.latency_s.unwrap_or(0.0)
    }

    /// Changes the most attempts that are ever tried.
    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max as f64;
        self.move_limit(0.0);
        self.knee.restart();
    }

    /// What it means that as many are in flight as may be.
    pub(super) fn limited_by(&self) -> LimitedBy {
        if self.limit >= self.max {
            LimitedBy::Concurrency
        } else if self.is_at_ceiling() || self.knee.is_found() {
            LimitedBy::Saturated
        } else {
            LimitedBy::Ramp
        }
    }

    /// When the limit has grown by one, while it grows with time alone.
    pub(super) fn grows_at(&self, now: Duration) -> Option<Duration> {
        let aim = match self.opening {
            Some(_) => OPEN.min(self.max),
            None => self.target.min(self.max),
        };
        if self.limit >= aim || self.is_at_ceiling() {
            return None;
        }
        let doublings = ((self.limit.floor() + 1.0) / self.limit).log2();
        let wait = (doublings * self.doubling_s()).max(TIMER_GRAIN_S);
        Some(now.saturating_add(Duration::try_from_secs_f64(wait).ok()?))
    }

    fn doubling_s(&self) -> f64 {
        match self.opening {
            Some(_) => DOUBLING_S,
            None => {
                let latencies = LATENCIES_PER_DOUBLING * self.latency_s();
                latencies.clamp(DOUBLING_S, SLOWEST_DOUBLING_S)
            }
        }
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Duration) {
        let now_s = now.as_secs_f64();
        if let Some(None) = self.opening {
            self.opening = Some(Some(now));
            self.settled_s = now_s;
        }
        let passed = (now_s - self.settled_s).max(0.0);
        self.settled_s = self.settled_s.max(now_s);
        if self.opening.is_some() {
            self.target = OPEN;
        }
        let latency_s = self.latency_s();
        // Only a level that is used tells whether it holds.
        if let Some(ceiling) = self.ceiling.as_mut().filter(|_| self.is_full) {
            ceiling.grown_s += passed.min(latency_s.max(1.0));
        }
        self.move_limit(passed);
    }

    /// Goes on after nothing could be sent for a while: from what is in flight, not all at once.
    pub(super) fn resume(&mut self, now: Duration, in_flight: usize) {
        self.settled_s = now.as_secs_f64();
        self.limit = self.limit.min((in_flight as f64).max(RESUMED));
        self.knee.restart();
    }

    fn move_limit(&mut self, passed_s: f64) {
        let grown = self.limit * (passed_s / self.doubling_s()).min(16.0).exp2();
        let ceiling = self.ceiling.map_or(f64::INFINITY, |ceiling| ceiling.now());
        self.limit = self.target.min(grown).min(ceiling).min(self.max).max(1.0);
    }

    /// How many should be in flight, as far as may be.
    fn aim(&self) -> f64 {
        match self.is_at_ceiling() {
            true => self.limit,
            false => self.target.min(self.max),
        }
    }

    fn is_at_ceiling(&self) -> bool {
        self.ceiling
            .is_some_and(|ceiling| ceiling.now() <= self.target.min(self.max))
    }

    /// Notes an attempt that is sent, and how much of the limit is used then.
    pub(super) fn sent(&mut self, now: Duration, in_flight: f64) {
        self.is_full = in_flight >= FULL * self.limit;
        let aim = self.aim();
        let nearly = if self.knee.is_quick() { NEARLY } else { 1.0 };
        let is_there = self.limit >= nearly * aim;
        self.knee.sent(now, self.is_full && is_there, aim);
    }

    /// Learns from an answer.
    pub(super) fn answered(&mut self, sent_at: Duration, now: Duration, output_tokens: u64) {
        let latency = now.saturating_sub(sent_at).as_secs_f64();
        let mean = self.latency_s.get_or_insert(latency);
        *mean += WEIGHT * (latency - *mean);
        if self.opening.take().is_some() {
            self.target = self.limit;
        }
        let at_ceiling = self.is_at_ceiling();
        if at_ceiling && !self.ceiling.is_some_and(|ceiling| ceiling.is_busy) {
            // Refusals tell all there is to know.
            return self.knee.restart();
        }
        let times = (sent_at, now);
        let place = Place {
            limit: self.limit,
            is_there: self.limit >= self.aim(),
            may_rise: !at_ceiling,
        };
        let next = self.knee.answered(times, output_tokens, place);
        let Some(next) = next else { return };
        // Growth begins now, however long ago anything was sent.
        self.settled_s = now.as_secs_f64();
        let is_told = self.refuses && self.ceiling.is_none_or(|ceiling| !ceiling.is_busy);
        if is_told {
            self.knee.rise_again();
            self.target = self.limit * 2.0;
        } else {
            self.target = next;
        }
        self.target = self.target.clamp(1.0, self.max);
    }

    /// Goes below a level that was refused, itself included in it. `refusals` were counted since
    /// the last one; a busy server may queue besides.
    pub(super) fn capped(&mut self, in_flight: usize, refusals: u64, is_busy: bool) {
        self.refuses = true;
        let at = (in_flight.saturating_sub(1) as f64 * BELOW_CAP).max(1.0);
        let is_confirmed = self
            .ceiling
            .is_some_and(|ceiling| (at / ceiling.at - 1.0).abs() <= SAME_CAP);
        let latency = self.latency_s();
        let per_s = at / latency.max(0.05);
        let period_s = if is_confirmed {
            (LATENCIES_PER_PERIOD * latency)
                .max(ANSWERS_PER_REFUSAL * refusals.min(MOST_REFUSALS) as f64 / per_s)
                .max(SHORTEST_PERIOD_S)
                .min(LONGEST_PERIOD_S.max(MOST_LATENCIES_PER_PERIOD * latency))
        } else {
            GUESS_PERIOD_S.max(latency)
        };
        self.cut(at.min(self.limit), period_s, is_busy);
    }

    /// Takes some back: too many attempts fail.
    pub(super) fn cut_back(&mut self, in_flight: usize) {
        let at = (self.limit.min(in_flight as f64) * CUT).max(1.0);
        let period_s =
            (LATENCIES_PER_PERIOD * self.latency_s()).clamp(SHORTEST_PERIOD_S, LONGEST_PERIOD_S);
        self.cut(at, period_s, true);
    }

    fn cut(&mut self, at: f64, period_s: f64, is_busy: bool) {
        // Cuts that follow on each other are one, and taken back as one.
        let before = match self.ceiling {
            Some(ceiling) if ceiling.grown_s < ceiling.period_s => ceiling.before,
            _ => self.limit,
        };
        if self.opening.take().is_some() {
            self.target = OPEN;
        }
        self.ceiling = Some(Ceiling {
            at,
            before,
            period_s,
            grown_s: 0.0,
            is_busy,
        });
        // What the ceiling hides may be tried once it is gone.
        self.target = self.target.max(before);
        self.move_limit(0.0);
        self.knee.restart();
    }

    /// Takes the last cuts back: they were about something else. What was reached since is kept.
    pub(super) fn uncut(&mut self) {
        if let Some(ceiling) = self.ceiling.take() {
            self.target = ceiling.before.max(self.limit).clamp(1.0, self.max);
            self.limit = self.target;
            self.knee.rise_again();
        }
    }

    /// The same, unless a limit of the account was what refused.
    pub(super) fn uncut_if_busy(&mut self) {
        if self.ceiling.is_some_and(|ceiling| ceiling.is_busy) {
            self.uncut();
            self.refuses = false;
        }
    }

    /// Notes that the endpoint refuses what is too fast.
    pub(super) fn rate_is_refused(&mut self) {
        self.refuses = true;
    }

    /// Takes in what a server says of its queue, and how many of its requests are ours.
    pub(super) fn queue_seen(&mut self, in_flight: usize, running: f64, waiting: f64) {
        if running < 1.0 || waiting <= SOME_WAIT * running {
            return;
        }
        let most = if waiting > TOO_MANY_WAIT * running {
            // As many less as wait, of which others may own some.
            (in_flight as f64 - waiting).max(in_flight as f64 * CUT)
        } else {
            self.limit
        };
        self.opening = None;
        self.target = self.target.min(most).clamp(1.0, self.max);
        self.move_limit(0.0);
        self.knee.restart();
    }
}

impl Ceiling {
    fn now(&self) -> f64 {
        let x = self.grown_s / self.period_s;
        if x < 1.0 {
            self.at * (1.0 - DIP * (1.0 - x).powi(3))
        } else {
            self.at * (1.0 + GROWTH * (x - 1.0).powi(3)) + (x - 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn silence_opens_up_to_sixty_four() {
        let mut level = Level::new(2_000, &Learnt::default());
        level.tick(s(1.0));
        assert_eq!(level.limit(), 16);
        level.tick(s(1.3));
        assert_eq!(level.limit(), 36);
        level.tick(s(9.0));
        assert_eq!(level.limit(), 64);
        assert_eq!(level.limited_by(), LimitedBy::Ramp);
    }

    #[test]
    fn a_refused_level_is_gone_below_and_tried_again_later() {
        let learnt = Learnt {
            in_flight: Some(60.0),
            ..Learnt::default()
        };
        let mut level = Level::new(2_000, &learnt);
        level.capped(41, 1, false);
        assert_eq!(level.limit(), 38);
        assert_eq!(level.limited_by(), LimitedBy::Saturated);
        let mut now = 1.0;
        let mut until_more = || {
            let began = now;
            while level.limit() <= 41 {
                level.sent(s(now), level.limit() as f64);
                now += 0.1;
                level.tick(s(now));
                assert!(now < 90.0);
            }
            level.capped(41, 1, false);
            now - began
        };
        // A second refusal tells whether it is a cap.
        let (first, second) = (until_more(), until_more());
        assert!((2.0..10.0).contains(&first), "{first}");
        assert!(second > 15.0, "{second}");
    }

    #[test]
    fn a_level_that_is_not_used_does_not_grow() {
        let mut level = Level::new(2_000, &Learnt::default());
        level.capped(11, 1, false);
        let before = level.limit();
        for n in 0..1_000 {
            level.sent(s(n as f64), 5.0);
            level.tick(s(n as f64));
        }
        assert_eq!(level.limit(), before);
    }

    #[test]
    fn what_was_learnt_is_where_it_starts() {
        let learnt = Learnt {
            in_flight: Some(120.0),
            ..Learnt::default()
        };
        assert_eq!(Level::new(2_000, &learnt).limit(), 120);
        assert_eq!(Level::new(100, &learnt).limit(), 100);
    }
}
