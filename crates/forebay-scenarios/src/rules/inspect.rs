//! The adaptive connections of Inspect AI: doubling until the first refusal, then a twentieth more
//! for each round without one, and a fifth less for each episode of refusals.

use std::time::Duration;

use forebay::config::{AttemptEnd, LimitRule};
use forebay::outcome::Signal;

// All of them are the defaults of `AdaptiveConcurrency` in Inspect AI.
const START: usize = 20;
const LEAST: usize = 10;
const MOST: usize = 100;
const DECREASE: f64 = 0.8;
const GROWTH: f64 = 0.05;
/// The time between two cuts, in which it does not grow either. There it also lasts as long as a
/// longer `retry-after`, which a rule does not see here.
const COOLDOWN: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Debug)]
pub(super) struct Inspect {
    limit: usize,
    successes: usize,
    refused: bool,
    cooldown_until: Duration,
}

impl Default for Inspect {
    fn default() -> Inspect {
        Inspect {
            limit: START,
            successes: 0,
            refused: false,
            cooldown_until: Duration::ZERO,
        }
    }
}

impl Inspect {
    fn grow(&mut self) {
        self.successes = 0;
        let next = if self.refused {
            let more = (self.limit as f64 * GROWTH).round() as usize;
            up_to_five(self.limit + more.max(1))
        } else {
            self.limit * 2
        };
        self.limit = next.min(MOST);
    }
}

impl LimitRule for Inspect {
    fn limit(&self) -> usize {
        self.limit
    }

    fn ended(&mut self, end: &AttemptEnd) {
        let cools_down = end.now < self.cooldown_until;
        match end.signal {
            Signal::Ignore => {}
            Signal::Success if cools_down => {}
            Signal::Success => {
                self.successes += 1;
                if self.successes >= self.limit {
                    self.grow();
                }
            }
            Signal::Overload => {
                self.successes = 0;
                self.refused = true;
                if !cools_down {
                    let cut = (self.limit as f64 * DECREASE) as usize;
                    self.limit = down_to_five(cut).max(LEAST);
                    self.cooldown_until = end.now + COOLDOWN;
                }
            }
        }
    }
}

/// Numbers from ten on are multiples of five.
fn up_to_five(n: usize) -> usize {
    if n < 10 { n } else { n.next_multiple_of(5) }
}

fn down_to_five(n: usize) -> usize {
    if n < 10 { n } else { n - n % 5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_then_falls_once_per_episode_and_grows_in_small_steps() {
        let mut rule = Inspect::default();
        let end = |second, signal| AttemptEnd {
            now: Duration::from_secs(second),
            sent_at: Duration::ZERO,
            in_flight: 1,
            signal,
        };
        (0..60).for_each(|_| rule.ended(&end(1, Signal::Success)));
        assert_eq!(rule.limit(), 80);
        (0..9).for_each(|_| rule.ended(&end(2, Signal::Overload)));
        assert_eq!(rule.limit(), 60);
        (0..500).for_each(|_| rule.ended(&end(16, Signal::Success)));
        assert_eq!(rule.limit(), 60, "it cools down");
        (0..60).for_each(|_| rule.ended(&end(17, Signal::Success)));
        assert_eq!(rule.limit(), 65);
        (0..9_999).for_each(|_| rule.ended(&end(18, Signal::Success)));
        assert_eq!(rule.limit(), 100);
    }
}
