//! The limit on attempts in flight that finds itself.
//!
//! ```text
//! Opening ──answer──► Climbing ──refused above what was taken before──► Capped
//!    half a second,      │ rounds: the knee, or ×2 while refusals tell       │ grows: slowly near
//!    up to 64            ◄──────── it was the rate, not the level ───────────┘ the cap, then fast
//! ```
//! Owns how the limit moves. Never judges what a refusal is about; the [`Limiter`](super::Limiter)
//! does.

use std::time::Duration;

use super::LimitedBy;
use super::knee::Knee;
use crate::config::Learnt;

/// Attempts in flight at the very start.
const START: f64 = 16.0;
/// Attempts in flight that are reached without any answer. Refusals come back within a round trip
/// and answers do not, so silence speaks for the level; a list of fifty items is in flight at once.
const OPEN: f64 = 64.0;
/// The time in which the limit doubles while nothing is known: a few round trips.
const DOUBLING_S: f64 = 0.25;
/// What is left of a level that was refused.
const BELOW_CAP: f64 = 0.98;
/// What is left of the limit when too many attempts fail.
const CUT: f64 = 0.8;
/// The dip of the limit right after a refusal, on the way back to the cap.
const DIP: f64 = 0.04;
/// How fast more is tried beyond the cap: at three periods, 2.6 times as much.
const GROWTH: f64 = 0.2;
/// The shortest time until more than the cap is tried.
const SHORTEST_PERIOD_S: f64 = 10.0;
/// The longest, so that more capacity is noticed.
const LONGEST_PERIOD_S: f64 = 300.0;
/// The same in latencies: a level shows whether it holds after some.
const LATENCIES_PER_PERIOD: f64 = 2.0;
/// Answers per refused attempt: what is tried may cost two in a hundred.
const ANSWERS_PER_REFUSAL: f64 = 50.0;
/// The share of a limit from which on it counts as used.
pub(super) const FULL: f64 = 0.9;
/// Weight of the newest answer in the running mean of latencies.
const WEIGHT: f64 = 1.0 / 16.0;

/// The limit and how it moves.
#[derive(Debug)]
pub(super) struct Level {
    max: f64,
    limit: f64,
    phase: Phase,
    knee: Knee,
    /// Whether the endpoint refuses what is too much, so that nothing has to be guessed.
    refuses: bool,
    /// Mean latency of answers, in seconds.
    latency_s: Option<f64>,
    /// Up to when growth is settled, in seconds.
    grown_at_s: f64,
    is_full: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Opening { since: Option<Duration> },
    Climbing,
    Capped(Cap),
}

#[derive(Debug, Clone, Copy)]
struct Cap {
    /// The level that was refused.
    at: f64,
    /// The limit before it was.
    before: f64,
    period_s: f64,
    grown_s: f64,
}

impl Level {
    /// Nothing is known but what an earlier session learnt.
    pub(super) fn new(max: usize, learnt: &Learnt) -> Level {
        let max = max as f64;
        let known = learnt.in_flight.filter(|level| *level >= 1.0);
        Level {
            max,
            limit: known.unwrap_or(START).min(max),
            phase: match known {
                Some(_) => Phase::Climbing,
                None => Phase::Opening { since: None },
            },
            knee: Knee::new(),
            refuses: learnt.refuses,
            latency_s: None,
            grown_at_s: 0.0,
            is_full: false,
        }
    }

    /// Attempts that may be in flight.
    pub(super) fn limit(&self) -> usize {
        (self.limit as usize).max(1)
    }

    /// The limit for the next session.
    pub(super) fn learnt(&self) -> Option<f64> {
        (!matches!(self.phase, Phase::Opening { .. })).then_some(self.limit)
    }

    /// Whether the endpoint was seen to refuse.
    pub(super) fn refuses(&self) -> bool {
        self.refuses
    }

    /// Changes the most attempts that are ever tried.
    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max as f64;
        self.limit = self.limit.min(self.max);
        self.knee.restart();
    }

    /// What it means that as many are in flight as may be.
    pub(super) fn limited_by(&self) -> LimitedBy {
        if self.limit >= self.max {
            return LimitedBy::Concurrency;
        }
        match self.phase {
            Phase::Opening { .. } => LimitedBy::Ramp,
            Phase::Climbing if !self.knee.is_found() => LimitedBy::Ramp,
            Phase::Climbing | Phase::Capped(_) => LimitedBy::Saturated,
        }
    }

    /// When the limit has grown by one, while it grows with time alone.
    pub(super) fn opens_at(&self, now: Duration) -> Option<Duration> {
        match self.phase {
            Phase::Opening { since } if self.limit < OPEN.min(self.max) => {
                let next = (self.limit.floor() + 1.0) / START;
                let wait = Duration::try_from_secs_f64(next.log2() * DOUBLING_S).ok()?;
                Some(since.unwrap_or(now).saturating_add(wait).max(now))
            }
            _ => None,
        }
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Duration) {
        let now_s = now.as_secs_f64();
        let passed = (now_s - self.grown_at_s).max(0.0);
        self.grown_at_s = now_s;
        match &mut self.phase {
            Phase::Opening { since } => {
                let since = *since.get_or_insert(now);
                let doublings = now.saturating_sub(since).as_secs_f64() / DOUBLING_S;
                self.limit = (START * doublings.min(10.0).exp2()).min(OPEN).min(self.max);
            }
            Phase::Climbing => {}
            Phase::Capped(cap) => {
                // Only a level that is used tells whether it holds.
                if self.is_full {
                    cap.grown_s += passed.min(cap.period_s / 4.0);
                }
                self.limit = cap.limit().clamp(1.0, self.max);
            }
        }
    }

    /// Notes an attempt that is sent.
    pub(super) fn sent(&mut self, now: Duration, in_flight: usize) {
        self.is_full = in_flight as f64 >= FULL * self.limit;
        self.knee.sent(now, self.is_full);
    }

    /// Learns from an answer.
    pub(super) fn answered(&mut self, sent_at: Duration, now: Duration, output_tokens: u64) {
        let latency = now.saturating_sub(sent_at).as_secs_f64();
        let mean = self.latency_s.get_or_insert(latency);
        *mean += WEIGHT * (latency - *mean);
        match self.phase {
            Phase::Opening { .. } => {
                self.phase = Phase::Climbing;
                self.knee.restart();
            }
            Phase::Climbing => {
                let times = (sent_at, now);
                let Some(next) = self.knee.answered(times, output_tokens, self.limit) else {
                    return;
                };
                if self.refuses {
                    self.limit *= 2.0;
                    self.knee.rise_again();
                } else {
                    self.limit = next;
                }
                self.limit = self.limit.clamp(1.0, self.max);
            }
            Phase::Capped(_) => {}
        }
    }

    /// Mean latency of answers, in seconds; 0 before the first one.
    pub(super) fn latency_s(&self) -> f64 {
        self.latency_s.unwrap_or(0.0)
    }

    /// Goes below a level that was refused, itself included in it. `refusals` were counted since
    /// the last one.
    pub(super) fn capped(&mut self, in_flight: usize, refusals: u64) {
        self.refuses = true;
        let at = (in_flight.saturating_sub(1) as f64 * BELOW_CAP).max(1.0);
        let latency = self.latency_s.unwrap_or(0.0);
        let per_s = at / latency.max(0.05);
        let period_s = (LATENCIES_PER_PERIOD * latency)
            .max(ANSWERS_PER_REFUSAL * refusals as f64 / per_s)
            .clamp(SHORTEST_PERIOD_S, LONGEST_PERIOD_S);
        self.cut(at.min(self.limit), period_s);
    }

    /// Takes some back: too many attempts fail.
    pub(super) fn cut_back(&mut self, in_flight: usize) {
        let at = (self.limit.min(in_flight as f64) * CUT).max(1.0);
        let period_s = (LATENCIES_PER_PERIOD * self.latency_s.unwrap_or(0.0))
            .clamp(SHORTEST_PERIOD_S, LONGEST_PERIOD_S);
        self.cut(at, period_s);
    }

    fn cut(&mut self, at: f64, period_s: f64) {
        // Cuts that follow on each other are one, and taken back as one.
        let before = match self.phase {
            Phase::Capped(cap) if cap.grown_s < cap.period_s => cap.before,
            _ => self.limit,
        };
        let cap = Cap {
            at,
            before,
            period_s,
            grown_s: 0.0,
        };
        self.limit = cap.limit().clamp(1.0, self.max);
        self.phase = Phase::Capped(cap);
        self.knee.restart();
    }

    /// Notes that the endpoint refuses what is too fast.
    pub(super) fn rate_is_refused(&mut self) {
        self.refuses = true;
    }

    /// Takes the last cuts back: they were about something else.
    pub(super) fn uncut(&mut self) {
        if let Phase::Capped(cap) = self.phase {
            self.limit = cap.before.clamp(1.0, self.max);
            self.phase = Phase::Climbing;
            self.knee.rise_again();
        }
    }
}

impl Cap {
    fn limit(&self) -> f64 {
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
        level.capped(41, 1);
        assert_eq!(level.limit(), 37);
        assert_eq!(level.limited_by(), LimitedBy::Saturated);
        let mut now = 1.0;
        while level.limit() <= 41 {
            level.sent(s(now), level.limit());
            now += 0.1;
            level.tick(s(now));
            assert!(now < 60.0);
        }
        assert!(now > 15.0, "{now}");
    }

    #[test]
    fn a_level_that_is_not_used_does_not_grow() {
        let mut level = Level::new(2_000, &Learnt::default());
        level.capped(11, 1);
        let before = level.limit();
        for n in 0..1_000 {
            level.sent(s(n as f64), 5);
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
