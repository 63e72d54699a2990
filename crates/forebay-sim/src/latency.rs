//! Draws the time an answer takes.
//!
//! Owns the arithmetic of latencies and of log-normal numbers. Never sleeps.

use std::f64::consts::TAU;
use std::time::Duration;

use crate::config::Latency;

/// The longest wait drawn: an hour is beyond any provider's patience.
const LONGEST: f64 = 3600.0;

/// The share of a whole latency that passes before the first token of a streamed answer: what
/// an answer of some tens of tokens shows at providers whose first token takes as long as ten.
const FIRST_SHARE: f64 = 0.25;

/// When the tokens of one answer come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Timing {
    /// The time before anything comes.
    pub(crate) first: Duration,
    /// The time each token adds.
    pub(crate) per_token: Duration,
}

impl Timing {
    /// When this many tokens are there.
    pub(crate) fn at(&self, tokens: u64) -> Duration {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        self.first
            .saturating_add(self.per_token.saturating_mul(tokens))
    }

    /// Spreads the time of a whole answer over its tokens.
    fn of_whole(whole: Duration, tokens: u64, stream: bool) -> Timing {
        if !stream || tokens == 0 {
            return Timing {
                first: whole,
                per_token: Duration::ZERO,
            };
        }
        let per_token = whole.mul_f64((1.0 - FIRST_SHARE) / tokens as f64);
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        Timing {
            first: whole.saturating_sub(per_token.saturating_mul(tokens)),
            per_token,
        }
    }
}

impl Latency {
    /// Draws the times of an answer of so many output tokens.
    ///
    /// A whole latency is the time of the last token; a streamed answer begins at a quarter of it.
    pub(crate) fn draw(&self, rng: &mut fastrand::Rng, tokens: u64, stream: bool) -> Timing {
        match *self {
            Latency::Zero => Timing::default(),
            Latency::Fixed(wait) => Timing::of_whole(wait, tokens, stream),
            Latency::LogNormal { median, sigma } => {
                let wait = log_normal(rng, median.as_secs_f64(), sigma);
                let whole = Duration::from_secs_f64(wait.min(LONGEST));
                Timing::of_whole(whole, tokens, stream)
            }
            Latency::PerToken {
                first,
                per_output_token,
            } => Timing {
                first,
                per_token: per_output_token,
            },
        }
    }
}

/// Draws a log-normal number; never negative and never not-a-number.
pub(crate) fn log_normal(rng: &mut fastrand::Rng, median: f64, sigma: f64) -> f64 {
    // Box-Muller, first half; 1 - u keeps the logarithm finite.
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    let normal = radius * (TAU * rng.f64()).cos();
    (median * (sigma * normal).exp()).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_normal_has_its_median_and_spread() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut drawn: Vec<f64> = (0..20_001)
            .map(|_| log_normal(&mut rng, 0.4, 0.5))
            .collect();
        drawn.sort_by(f64::total_cmp);
        assert!((drawn[10_000] - 0.4).abs() < 0.02, "{}", drawn[10_000]);
        // One sigma above the median: 0.4 * e^0.5 at the 84th percentile.
        assert!((drawn[16_827] - 0.6595).abs() < 0.04, "{}", drawn[16_827]);
    }

    #[test]
    fn per_token_grows_with_the_answer() {
        let latency = Latency::PerToken {
            first: Duration::from_millis(200),
            per_output_token: Duration::from_millis(10),
        };
        let mut rng = fastrand::Rng::with_seed(1);
        let timing = latency.draw(&mut rng, 30, false);
        assert_eq!(timing.at(30), Duration::from_millis(500));
        assert_eq!(timing.at(1), Duration::from_millis(210));
    }

    #[test]
    fn a_streamed_answer_ends_when_the_whole_one_would() {
        let latency = Latency::Fixed(Duration::from_millis(400));
        let mut rng = fastrand::Rng::with_seed(1);
        let timing = latency.draw(&mut rng, 30, true);
        assert_eq!(timing.at(0), Duration::from_millis(100));
        assert_eq!(timing.at(30), Duration::from_millis(400));
        let whole = latency.draw(&mut rng, 30, false);
        assert_eq!(whole.at(0), Duration::from_millis(400));
    }
}
