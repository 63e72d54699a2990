//! A rate of requests that is learnt from refusals alone.
//!
//! A refusal says that the provider's bucket was empty at that moment. Between two such moments it
//! let through what it regained, whatever its size is: the requests that were taken, over the time,
//! are its rate. Owns that estimate, and the growth with which more is tried from time to time.
//! Never paces before anything was refused.

use std::collections::VecDeque;
use std::time::Duration;

use super::rates::CLOCK_GRAIN_S;
use super::{LimitedBy, Refusal};

/// Requests taken between refusals that make an estimate; fewer are noise.
const ENOUGH: f64 = 10.0;
/// Requests after which older refusals are forgotten: capacity may have changed.
const PLENTY: f64 = 60.0;
/// What is left of the rate after a refusal that no estimate follows from yet.
const CUT: f64 = 0.7;
/// Requests taken since the last refusal below which the rate is far too high.
const HARDLY_ANY: f64 = 3.0;
/// Requests taken between refusals, on average, that are too many for a rate that is too high; more
/// have to be while refusals count as chance. And the weight of the newest in the average.
const MANY: f64 = 10.0;
const MANY_BY_CHANCE: f64 = 13.0;
const APART_WEIGHT: f64 = 0.25;
/// Refusals below the estimate, each after many that were taken, that do not show that further ones
/// come by chance.
const EARLY_IN_A_ROW: u32 = 3;
/// A rate this much above the estimate has outgrown it: the bucket was full meanwhile, and what was
/// taken says nothing of what it regains.
const OUTGROWN: f64 = 1.15;
/// The share of the time since a refusal in which the rate has to be what limited, for what was
/// taken meanwhile to measure it.
const PACED_SHARE: f64 = 0.5;
/// What is left of a rate that has outgrown its estimate and is refused.
const BACK: f64 = 0.9;
/// The share of the estimate with which it goes on after a refusal.
const START: f64 = 0.95;
/// How fast more is tried: at three periods after a refusal, 2.6 times the estimate.
const GROWTH: f64 = 0.2;
/// The shortest time from a refusal until more than the estimate is tried.
const SHORTEST_PERIOD_S: f64 = 10.0;
/// The longest, so that more capacity is noticed.
const LONGEST_PERIOD_S: f64 = 300.0;
/// Requests per refused one: what is tried may cost two in a hundred.
const REQUESTS_PER_REFUSAL: f64 = 50.0;
/// The share of time that waiting for the provider may take.
const WAITING_SHARE: f64 = 0.03;
/// How much of the time between two requests may be missing: late timers, and no more, since some
/// providers let one request through at a time.
const AHEAD: f64 = 0.5;
/// The same in seconds, between these: what timers are late, and what counts by the second.
const LEAST_AHEAD_S: f64 = 0.005;
const MOST_AHEAD_S: f64 = 0.1;
/// The shortest time over which the first requests are counted.
const SHORTEST_TIME_S: f64 = 0.1;
/// The period while the rate is a guess: a second refusal measures it.
const GUESS_PERIOD_S: f64 = 2.0;
/// The least first guess: what was taken before the first refusal may have been nothing yet.
const LEAST_GUESS_PER_S: f64 = 1.0;
/// The slowest rate, so that a run never stands still for longer than half a minute.
const SLOWEST_PER_S: f64 = 1.0 / 30.0;

/// A rate of requests and how it came about.
#[derive(Debug, Default)]
pub(super) struct Pace {
    rate: Option<Rate>,
    refusals: VecDeque<Empty>,
    /// Attempts refused so far.
    refused: u64,
    first_sent: Option<Duration>,
    /// Refusals in a row that came too early to be about the rate.
    early: u32,
    /// Requests taken between refusals, as a running mean.
    apart: f64,
}

/// A moment at which nothing was left.
#[derive(Debug, Clone, Copy)]
struct Empty {
    at: Duration,
    /// The number of the attempt that was refused.
    number: u64,
    /// Attempts refused until then, this one included.
    refused: u64,
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    /// Requests per second that were taken.
    per_s: f64,
    /// Whether they are measured between refusals.
    is_measured: bool,
    /// Seconds since the last refusal in which the rate was what limited.
    grown_s: f64,
    period_s: f64,
    /// The time up to which the rate is used up, in seconds.
    used_until_s: f64,
    held_back_s: Option<f64>,
}

impl Rate {
    fn now(&self) -> f64 {
        let x = self.grown_s / self.period_s;
        let share = if x < 1.0 {
            1.0 - (1.0 - START) * (1.0 - x).powi(3)
        } else {
            1.0 + GROWTH * (x - 1.0).powi(3)
        };
        (self.per_s * share).max(SLOWEST_PER_S)
    }
}

impl Pace {
    /// A rate that an earlier session learnt, if it can be one.
    pub(super) fn known(per_s: Option<f64>) -> Pace {
        let per_s = per_s.filter(|per_s| per_s.is_finite() && *per_s > 0.0);
        Pace {
            rate: per_s.map(|per_s| Rate {
                per_s,
                is_measured: true,
                grown_s: 0.0,
                period_s: SHORTEST_PERIOD_S,
                used_until_s: 0.0,
                held_back_s: None,
            }),
            ..Pace::default()
        }
    }

    /// Requests per second, once something was refused.
    pub(super) fn per_s(&self) -> Option<f64> {
        self.rate.map(|rate| rate.now())
    }

    /// Whether a request may be sent now.
    ///
    /// # Errors
    /// When the next one may.
    pub(super) fn check(&mut self, now: Duration) -> Result<(), Refusal> {
        let Some(rate) = &mut self.rate else {
            return Ok(());
        };
        let now_s = now.as_secs_f64();
        let ahead = (AHEAD / rate.now()).clamp(LEAST_AHEAD_S, MOST_AHEAD_S);
        let ready = rate.used_until_s - ahead;
        if ready <= now_s + CLOCK_GRAIN_S {
            return Ok(());
        }
        // Only time in which more would have been sent tells that the rate is kept well.
        let gap = 2.0 / rate.now() + 1.0;
        if let Some(before) = rate.held_back_s {
            rate.grown_s += (now_s - before).clamp(0.0, gap);
        }
        rate.held_back_s = Some(now_s);
        Err(Refusal {
            by: LimitedBy::Rpm,
            until: Some(Duration::from_secs_f64(ready)),
        })
    }

    /// Notes a request that is sent.
    pub(super) fn charge(&mut self, now: Duration, utilization: f64) {
        self.first_sent.get_or_insert(now);
        if let Some(rate) = &mut self.rate {
            let unit = 1.0 / (rate.now() * utilization);
            rate.used_until_s = rate.used_until_s.max(now.as_secs_f64()) + unit;
        }
    }

    /// Notes a refusal, for whatever reason.
    pub(super) fn refused(&mut self) {
        self.refused += 1;
    }

    /// Learns from the refusal of the attempt of this number, which was sent at a time: the rate
    /// is what limits. `costs` is how long the provider wants to be left alone, and `None` when
    /// only growth is too fast; `told` a rate that the provider tells.
    pub(super) fn cut(
        &mut self,
        (sent_at, number): (Duration, u64),
        costs: Option<Duration>,
        told: Option<f64>,
    ) {
        let before = self.refusals.back().copied();
        let since = self.refused - before.map_or(0, |before| before.refused);
        self.refusals.push_back(Empty {
            at: sent_at,
            number,
            refused: self.refused,
        });
        // Where a limit is told, others who use the same key take what is missing.
        if told.is_none() && self.is_chance() {
            return;
        }
        let has_outgrown = self.has_outgrown(sent_at);
        if has_outgrown {
            self.refusals.drain(..self.refusals.len() - 1);
        }
        let hardly_any = before.is_some_and(|before| self.taken_since(&before) < HARDLY_ANY);
        let measured = self.measure(if hardly_any { ENOUGH } else { PLENTY });
        let measured = measured.filter(|_| !hardly_any);
        let guess = match self.rate {
            Some(rate) if has_outgrown && !hardly_any => rate.now() * BACK,
            Some(rate) => rate.now() * CUT,
            None => self.so_far(sent_at, number).max(LEAST_GUESS_PER_S) * CUT,
        };
        let told = told.filter(|told| *told <= guess && !hardly_any);
        let per_s = measured.or(told).unwrap_or(guess);
        let period_s = match (measured.or(told), costs) {
            (None, _) => GUESS_PERIOD_S,
            (_, None) => SHORTEST_PERIOD_S,
            (Some(per_s), Some(costs)) => (REQUESTS_PER_REFUSAL * since as f64 / per_s)
                .max(costs.as_secs_f64() / WAITING_SHARE)
                .clamp(SHORTEST_PERIOD_S, LONGEST_PERIOD_S),
        };
        let used_until_s = self.rate.map_or(0.0, |rate| rate.used_until_s);
        self.rate = Some(Rate {
            per_s: per_s.max(SLOWEST_PER_S),
            is_measured: measured.is_some(),
            grown_s: 0.0,
            period_s,
            used_until_s,
            held_back_s: None,
        });
    }

    /// Whether the last refusal came by chance: several in a row came below the estimate, with many
    /// taken between them. What a real limit refuses comes above it, or all at once.
    fn is_chance(&mut self) -> bool {
        let before = self.refusals.iter().rev().nth(1).copied();
        let (Some(rate), Some(before)) = (self.rate, before) else {
            return false;
        };
        let taken = self.taken_since(&before).min(PLENTY);
        self.apart += APART_WEIGHT * (taken - self.apart);
        let is_early = rate.grown_s < rate.period_s;
        let by_chance = self.early >= EARLY_IN_A_ROW;
        let many = if by_chance { MANY_BY_CHANCE } else { MANY };
        self.early = match self.apart >= many && (is_early || by_chance) {
            true => self.early + 1,
            false => 0,
        };
        self.early > EARLY_IN_A_ROW
    }

    /// Whether the bucket was full since the last refusal, so that what was taken says nothing of
    /// what it regains: the rate has grown well beyond the estimate, or was not what limited.
    fn has_outgrown(&self, now: Duration) -> bool {
        let (Some(rate), Some(last)) = (self.rate, self.refusals.iter().rev().nth(1)) else {
            return false;
        };
        let seconds = now.saturating_sub(last.at).as_secs_f64();
        rate.now() > OUTGROWN * rate.per_s || rate.grown_s < PACED_SHARE * seconds - GUESS_PERIOD_S
    }

    /// Whether the rate was measured, rather than guessed.
    pub(super) fn is_measured(&self) -> bool {
        self.rate.is_some_and(|rate| rate.is_measured)
    }

    /// Requests taken per second between refusals, the last ones of so many requests, once there were
    /// enough.
    fn measure(&mut self, over: f64) -> Option<f64> {
        let last = *self.refusals.back()?;
        while self.refusals.len() > 2 && self.taken_since(&self.refusals[1]) >= over {
            self.refusals.pop_front();
        }
        let first = self.refusals.front()?;
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let taken = self.taken_since(first);
        (taken >= ENOUGH && seconds > 0.0).then(|| taken / seconds)
    }

    /// Requests taken between a refusal and the last one.
    fn taken_since(&self, from: &Empty) -> f64 {
        let Some(last) = self.refusals.back() else {
            return 0.0;
        };
        let sent = last.number.saturating_sub(from.number) as f64;
        (sent - (last.refused - from.refused) as f64).max(0.0)
    }

    /// Requests per second since the start.
    fn so_far(&self, sent_at: Duration, number: u64) -> f64 {
        let first = self.first_sent.unwrap_or(sent_at);
        let seconds = sent_at
            .saturating_sub(first)
            .as_secs_f64()
            .max(SHORTEST_TIME_S);
        (number.saturating_sub(self.refused) as f64 / seconds).max(SLOWEST_PER_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bucket that regains `per_s` and holds `size`; sends for `seconds` as fast as the pace
    /// lets, from the given time on. Returns what was taken and what was refused.
    struct Bucket {
        per_s: f64,
        size: f64,
        level: f64,
        at: f64,
        sent: u64,
    }

    impl Bucket {
        fn new(per_s: f64, size: f64) -> Bucket {
            Bucket {
                per_s,
                size,
                level: size,
                at: 0.0,
                sent: 0,
            }
        }

        fn run(&mut self, pace: &mut Pace, until: f64) -> (u64, u64) {
            let (mut taken, mut refused) = (0, 0);
            let mut now = self.at;
            while now < until {
                let time = Duration::from_secs_f64(now);
                if let Err(refusal) = pace.check(time) {
                    now = refusal.until.unwrap().as_secs_f64() + 1e-6;
                    continue;
                }
                pace.charge(time, 1.0);
                self.sent += 1;
                self.level = (self.level + (now - self.at) * self.per_s).min(self.size);
                self.at = now;
                if self.level >= 1.0 {
                    self.level -= 1.0;
                    taken += 1;
                } else {
                    refused += 1;
                    pace.refused();
                    pace.cut((time, self.sent), Some(Duration::ZERO), None);
                }
                // Unpaced, a hundred a second are wanted.
                now += 0.01;
            }
            (taken, refused)
        }
    }

    #[test]
    fn nothing_is_paced_before_a_refusal() {
        let mut pace = Pace::default();
        let mut bucket = Bucket::new(1_000.0, 1_000.0);
        assert_eq!(bucket.run(&mut pace, 10.0).1, 0);
        assert_eq!(pace.per_s(), None);
    }

    #[test]
    fn the_rate_is_found_whatever_the_bucket_holds() {
        // A bucket of one request takes no two that come a moment too close.
        for (size, least) in [(1.0, 0.9), (2.0, 0.96), (20.0, 0.96), (1_200.0, 0.96)] {
            let mut pace = Pace::default();
            let mut bucket = Bucket::new(20.0, size);
            bucket.run(&mut pace, 120.0);
            let (taken, refused) = bucket.run(&mut pace, 420.0);
            assert!(
                taken as f64 >= least * 300.0 * 20.0,
                "{size}: {taken} taken"
            );
            let share = refused as f64 / taken as f64;
            assert!(share <= 0.02, "{size}: {refused} refused of {taken}");
            assert!(pace.is_measured());
        }
    }

    #[test]
    fn refusals_by_chance_do_not_slow_down_for_long() {
        let mut pace = Pace::default();
        let (mut now, mut sent, mut seconds) = (0.0, 0u64, Vec::new());
        let mut rng = fastrand::Rng::with_seed(1);
        while now < 600.0 {
            let time = Duration::from_secs_f64(now);
            if let Err(refusal) = pace.check(time) {
                now = refusal.until.unwrap().as_secs_f64() + 1e-6;
                continue;
            }
            pace.charge(time, 1.0);
            sent += 1;
            if rng.u8(..25) == 0 {
                pace.refused();
                pace.cut((time, sent), Some(Duration::ZERO), None);
            }
            seconds.push(now as u64);
            now += 0.01;
        }
        let late = seconds.iter().filter(|second| **second >= 300).count();
        // Without telling chance, a tenth is left.
        assert!(late > 300 * 30, "{late} of 30,000 that are wanted");
    }

    #[test]
    fn more_capacity_is_found() {
        let mut pace = Pace::default();
        let mut bucket = Bucket::new(8.0, 8.0);
        bucket.run(&mut pace, 100.0);
        bucket.per_s = 40.0;
        bucket.run(&mut pace, 160.0);
        let (taken, _) = bucket.run(&mut pace, 220.0);
        assert!(taken as f64 >= 0.9 * 60.0 * 40.0, "{taken}");
    }

    #[test]
    fn less_capacity_is_found() {
        let mut pace = Pace::default();
        let mut bucket = Bucket::new(40.0, 40.0);
        bucket.run(&mut pace, 100.0);
        bucket.per_s = 8.0;
        bucket.size = 8.0;
        let (_, refused) = bucket.run(&mut pace, 130.0);
        assert!(refused <= 30, "{refused}");
        let (taken, refused) = bucket.run(&mut pace, 190.0);
        assert!(taken as f64 >= 0.9 * 60.0 * 8.0, "{taken}");
        assert!(refused <= 15, "{refused}");
    }
}
