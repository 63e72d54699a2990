//! How many attempts in flight a server that refuses nothing is really faster with.
//!
//! Servers of one's own put into a queue what they cannot run. Then more in flight only waits
//! longer. By Little's law the throughput at a limit L is X = L / τ, with τ the time that an attempt
//! takes; τ is taken per output token, since long answers take long whatever the load is. What
//! counts is how much X grows when L does: as much while there is room, not at all beyond the knee,
//! and it falls where a cache overflows. Owns the search for the least L of which X is the highest.
//! Never looks at refusals.
//!
//! ```text
//! rising: L doubles while X grows ─► settling ─► narrowing: halfway between too few and enough
//!    ▲                                                       │ within a fifth
//!    └────── more is faster ◄── probing ◄── resting ◄────────┘
//!                               a quarter more, a fifth less, in turn
//! ```
//! On the way up, time matters: what is sent while the limit still grows counts already, so that the
//! next step may follow after one answer's time. A queue that is only filling looks better then than
//! it is; so a step that was hardly worth it is looked at a second time, with attempts whose whole
//! life ran at the limit, and so is the level that is gone back to.

use std::time::Duration;

/// Output tokens that the fixed part of an attempt is worth: network and prompt.
const FIXED_TOKENS: f64 = 20.0;
/// Throughput that counts as the same, as a share of the highest: a median of some dozens of
/// attempts is no surer than that.
const SAME: f64 = 0.93;
/// The growth of throughput with which a doubled limit is worth another doubling.
const WORTH: f64 = 1.15;
/// The same at first sight, while queues may still be filling.
const WORTH_AT_ONCE: f64 = 1.65;
/// The growth with which a doubled limit is worth four times as much: throughput follows.
const FOLLOWS: f64 = 1.8;
/// What is left of a measured throughput for comparison, a round later: servers change.
const FADING: f64 = 0.98;
/// Attempts that make a round, between these by the limit, and on the way up: a median needs some,
/// few are enough, and before the knee is found time matters more.
const FEWEST: usize = 16;
const MOST: usize = 96;
const MOST_RISING: usize = 64;
/// Rounds without a change after the knee was found.
const REST: u32 = 4;
/// Too few and enough are close when their ratio is below this.
const CLOSE: f64 = 1.2;
/// Steps of the probing: more, and less.
const MORE: f64 = 1.25;
const LESS: f64 = 0.8;

/// The search for the knee.
#[derive(Debug)]
pub(super) struct Knee {
    /// The attempts of this round.
    round: Option<Round>,
    /// Their times per output token, of those that were answered.
    times: Vec<f64>,
    state: State,
}

/// The attempts that are looked at: the first that were sent since as many were in flight as may be.
///
/// Half of them have to be answered. The first answers of all that are under way would be the short
/// ones, and the more so the more are under way.
#[derive(Debug)]
struct Round {
    since: Duration,
    /// When the last of them was sent, so far.
    until: Duration,
    attempts: usize,
    size: usize,
    /// Answers of later attempts, and how many of those mean that the others were not answered.
    later: usize,
    too_late: usize,
}

/// Where the limit is while answers come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Attempts that may be in flight.
    pub(super) limit: f64,
    /// Whether that is as many as should be, rather than on the way there.
    pub(super) is_there: bool,
    /// Whether there may be more; else it is looked at from here on down.
    pub(super) may_rise: bool,
}

/// A limit and the throughput that was measured at it.
#[derive(Debug, Clone, Copy)]
struct At {
    limit: f64,
    throughput: f64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Each round has more in flight than the one before.
    Rising {
        before: Option<At>,
        too_few: Option<f64>,
        /// Whether this one is looked at a second time.
        again: bool,
    },
    /// More was not worth it, or is refused: how fast it is here. What was measured here on the way
    /// up, and what more was like.
    Settling {
        too_few: Option<f64>,
        looked: Option<(At, At)>,
    },
    /// The knee is between too few and enough.
    Narrowing { too_few: Option<f64>, enough: At },
    /// The knee is found; rounds until something else is tried.
    Resting {
        rounds: u32,
        found: At,
        more_next: bool,
    },
    /// Something else is tried.
    Probing { found: At, is_more: bool },
}

impl Knee {
    /// Nothing is known.
    pub(super) fn new() -> Knee {
        Knee {
            round: None,
            times: Vec::new(),
            state: State::Rising {
                before: None,
                too_few: None,
                again: false,
            },
        }
    }

    /// Begins the round anew: the limit has changed, or was not used.
    pub(super) fn restart(&mut self) {
        self.round = None;
        self.times.clear();
    }

    /// Whether a knee was found: more in flight would not be faster.
    pub(super) fn is_found(&self) -> bool {
        !matches!(self.state, State::Rising { .. })
    }

    /// Whether attempts count that are sent before the limit is where it should be.
    pub(super) fn is_quick(&self) -> bool {
        matches!(self.state, State::Rising { again: false, .. })
    }

    /// Notes an attempt that is sent, whether that makes as many as may be in flight, and how many
    /// those are.
    pub(super) fn sent(&mut self, now: Duration, is_full: bool, limit: f64) {
        let most = if self.is_quick() { MOST_RISING } else { MOST };
        match &mut self.round {
            Some(round) if round.attempts < round.size => {
                round.until = now;
                round.attempts += 1;
            }
            None if is_full => {
                let size = (limit as usize).clamp(FEWEST, most);
                self.round = Some(Round {
                    since: now,
                    until: now,
                    attempts: 1,
                    size,
                    later: 0,
                    too_late: 2 * size.max(limit as usize),
                });
            }
            _ => {}
        }
    }

    /// Learns from an answer; the next limit, when a round is over.
    pub(super) fn answered(
        &mut self,
        (sent_at, now): (Duration, Duration),
        output_tokens: u64,
        place: Place,
    ) -> Option<f64> {
        let round = self.round.as_mut()?;
        if sent_at > round.until {
            round.later += 1;
            if round.later >= round.too_late {
                // Most of its attempts were not answered at all.
                self.restart();
            }
            return None;
        }
        if sent_at < round.since {
            return None;
        }
        let seconds = now.saturating_sub(sent_at).as_secs_f64();
        self.times
            .push(seconds / (output_tokens as f64 + FIXED_TOKENS));
        if self.times.len() < round.size / 2 {
            return None;
        }
        if !place.is_there {
            // Answers are faster than the limit grows.
            self.restart();
            return None;
        }
        let limit = place.limit;
        let median = median(&mut self.times);
        self.restart();
        let here = At {
            limit,
            throughput: limit / median.max(f64::MIN_POSITIVE),
        };
        match self.state {
            State::Rising {
                before, too_few, ..
            } if !place.may_rise => {
                let rose = before.filter(|before| before.limit * MORE < limit);
                let too_few = rose.map(|before| before.limit).or(too_few);
                Some(self.settle(too_few, None, limit))
            }
            _ => Some(self.step(here)),
        }
    }

    fn step(&mut self, here: At) -> f64 {
        match self.state {
            State::Rising {
                before: Some(before),
                too_few,
                again,
            } => self.rise(before, too_few, here, again),
            State::Rising { too_few, .. } => {
                self.rise_to(Some(here), too_few);
                here.limit * 2.0
            }
            State::Settling { too_few, looked } => match looked {
                // It only had looked slower.
                Some((_, beyond)) if growth(here, beyond) >= WORTH => {
                    self.rise_to(Some(here), too_few);
                    beyond.limit
                }
                Some((before, _)) => self.narrow(too_few, here.mean(before)),
                None => self.narrow(too_few, here),
            },
            State::Narrowing { too_few, enough } => {
                if here.throughput >= SAME * enough.throughput {
                    self.narrow(too_few, here.as_good_as(enough))
                } else {
                    self.narrow(Some(here.limit), enough)
                }
            }
            State::Resting {
                rounds,
                found,
                more_next,
            } => {
                let found = here.as_good_as(At {
                    throughput: found.throughput * FADING,
                    ..found
                });
                if rounds > 0 {
                    self.rest(found, rounds - 1, more_next);
                    return found.limit;
                }
                self.state = State::Probing {
                    found,
                    is_more: more_next,
                };
                found.limit * if more_next { MORE } else { LESS }
            }
            State::Probing { found, is_more } => {
                if is_more && here.throughput * SAME >= found.throughput {
                    // There is room again: the quick way up.
                    self.rise_to(Some(here), Some(found.limit));
                    return here.limit * 2.0;
                }
                let is_enough = !is_more && here.throughput >= SAME * found.throughput;
                let found = if is_enough {
                    here.as_good_as(found)
                } else {
                    found
                };
                self.rest(found, REST, !is_more);
                found.limit
            }
        }
    }

    fn rise(&mut self, before: At, too_few: Option<f64>, here: At, again: bool) -> f64 {
        if here.limit <= before.limit {
            // More may not be in flight, and all of it was worth it.
            let found = here.as_good_as(before);
            self.rest(found, REST, false);
            return found.limit;
        }
        let growth = growth(before, here);
        let worth = if again { WORTH } else { WORTH_AT_ONCE };
        if growth >= worth {
            self.rise_to(Some(here), Some(before.limit));
            return here.limit * if growth >= FOLLOWS { 4.0 } else { 2.0 };
        }
        if here.throughput < SAME * before.throughput {
            return self.settle(too_few, Some((before, here)), before.limit);
        }
        if again && before.throughput >= SAME * here.throughput {
            // The same: the highest throughput may be between both.
            return self.settle(too_few, None, (before.limit * here.limit).sqrt());
        }
        if again {
            return self.narrow(Some(before.limit), here);
        }
        self.state = State::Rising {
            before: Some(before),
            too_few,
            again: true,
        };
        here.limit
    }

    fn rise_to(&mut self, before: Option<At>, too_few: Option<f64>) {
        self.state = State::Rising {
            before,
            too_few,
            again: false,
        };
    }

    fn settle(&mut self, too_few: Option<f64>, looked: Option<(At, At)>, limit: f64) -> f64 {
        self.state = State::Settling { too_few, looked };
        limit
    }

    /// The next limit to look at between too few and enough; half of enough while nothing is known
    /// to be too few.
    fn narrow(&mut self, too_few: Option<f64>, enough: At) -> f64 {
        let below = too_few.unwrap_or(enough.limit / 4.0).max(1.0);
        if enough.limit / below <= CLOSE || enough.limit - below <= 1.0 {
            self.rest(enough, REST, true);
            return enough.limit;
        }
        self.state = State::Narrowing { too_few, enough };
        (below * enough.limit).sqrt()
    }

    fn rest(&mut self, found: At, rounds: u32, more_next: bool) {
        self.state = State::Resting {
            rounds,
            found,
            more_next,
        };
    }

    /// Forgets what was found, as far as it is about more in flight.
    pub(super) fn rise_again(&mut self) {
        self.restart();
        self.rise_to(None, None);
    }
}

impl At {
    /// This limit, with the mean of both throughputs.
    fn mean(self, other: At) -> At {
        At {
            throughput: (self.throughput * other.throughput).sqrt(),
            ..self
        }
    }

    /// This limit, with the higher throughput of both.
    fn as_good_as(self, other: At) -> At {
        At {
            throughput: self.throughput.max(other.throughput),
            ..self
        }
    }
}

/// The growth of throughput for each doubling of the limit.
fn growth(before: At, here: At) -> f64 {
    let doublings = (here.limit / before.limit).log2();
    (here.throughput / before.throughput).powf(1.0 / doublings)
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds against a server whose attempts take this long with so many in flight; the limits.
    fn limits(time: impl Fn(f64) -> f64, rounds: usize) -> Vec<f64> {
        let mut knee = Knee::new();
        let (mut limit, mut limits) = (16.0, Vec::new());
        let mut now = Duration::ZERO;
        for _ in 0..rounds {
            (0..200).for_each(|_| knee.sent(now, true, limit));
            let place = Place {
                limit,
                is_there: true,
                may_rise: true,
            };
            let end = now + Duration::from_secs_f64(time(limit));
            let next = loop {
                if let Some(next) = knee.answered((now, end), 100, place) {
                    break next;
                }
            };
            limits.push(limit);
            (limit, now) = (next, end);
        }
        limits
    }

    #[test]
    fn a_server_that_is_never_slower_gets_more_and_more() {
        assert_eq!(limits(|_| 2.0, 4), [16.0, 32.0, 128.0, 512.0]);
    }

    #[test]
    fn the_end_of_a_server_s_places_is_found() {
        for places in [4.0_f64, 24.0, 64.0, 200.0] {
            let found = limits(|limit| 2.0 * (limit / places).max(1.0), 40);
            let rest = &found[20..];
            let mean = rest.iter().sum::<f64>() / rest.len() as f64;
            let share = mean / places;
            assert!((0.85..=1.35).contains(&share), "{places}: {rest:?}");
        }
    }

    const THERE: Place = Place {
        limit: 16.0,
        is_there: true,
        may_rise: true,
    };

    /// Sixteen attempts that are sent at once.
    fn sixteen() -> Knee {
        let mut knee = Knee::new();
        (0..16).for_each(|_| knee.sent(Duration::ZERO, true, 16.0));
        knee
    }

    #[test]
    fn a_round_is_over_when_half_of_its_attempts_are_answered() {
        let mut knee = sixteen();
        let (first, later) = (Duration::ZERO, Duration::from_millis(100));
        let end = Duration::from_secs(2);
        assert_eq!(knee.answered((later, end), 100, THERE), None);
        for _ in 0..7 {
            assert_eq!(knee.answered((first, end), 100, THERE), None);
        }
        assert_eq!(knee.answered((first, end), 100, THERE), Some(32.0));
    }

    #[test]
    fn a_round_whose_attempts_are_not_answered_makes_room_for_another() {
        let mut knee = sixteen();
        let later = Duration::from_millis(100);
        for _ in 0..32 {
            assert_eq!(knee.answered((later, later), 100, THERE), None);
        }
        (0..16).for_each(|_| knee.sent(later, true, 16.0));
        let ends = (0..8).map(|_| knee.answered((later, later * 2), 100, THERE));
        assert_eq!(ends.last(), Some(Some(32.0)));
    }

    #[test]
    fn answers_that_are_faster_than_the_limit_grows_tell_nothing() {
        let mut knee = sixteen();
        let on_the_way = Place {
            is_there: false,
            ..THERE
        };
        for _ in 0..8 {
            let times = (Duration::ZERO, Duration::from_millis(1));
            assert_eq!(knee.answered(times, 100, on_the_way), None);
        }
        assert!(knee.round.is_none());
    }

    #[test]
    fn a_step_that_seems_hardly_worth_it_is_looked_at_again() {
        // A half more at 32: enough, but not at first sight.
        let time = |limit: f64| 2.0 * (limit / 24.0).max(1.0);
        let found = limits(time, 4);
        assert_eq!(found[..3], [16.0, 32.0, 32.0]);
        assert!(found[3] > 32.0, "{found:?}");
    }

    #[test]
    fn a_cliff_is_not_stayed_on() {
        // Beyond 90, throughput halves.
        let time = |limit: f64| if limit > 90.0 { limit / 16.0 } else { 2.0 };
        let found = limits(time, 40);
        let beyond = found.iter().filter(|limit| **limit > 90.0).count();
        assert!(beyond <= 8, "{found:?}");
        let last = &found[10..];
        assert!(
            last.iter().sum::<f64>() / last.len() as f64 > 55.0,
            "{found:?}"
        );
    }
}
