//! Draws the time an answer takes.
//!
//! Owns the arithmetic of latencies and of log-normal numbers. Never sleeps.

use std::f64::consts::TAU;
use std::time::Duration;

use crate::config::Latency;

/// The longest wait drawn: an hour is beyond any provider's patience.
const LONGEST: f64 = 3600.0;

impl Latency {
    /// Draws the wait for an answer of so many output tokens.
    pub(crate) fn draw(&self, rng: &mut fastrand::Rng, output_tokens: u64) -> Duration {
        match *self {
            Latency::Zero => Duration::ZERO,
            Latency::Fixed(wait) => wait,
            Latency::LogNormal { median, sigma } => {
                let wait = log_normal(rng, median.as_secs_f64(), sigma);
                Duration::from_secs_f64(wait.min(LONGEST))
            }
            Latency::PerToken {
                first,
                per_output_token,
            } => first + per_output_token.saturating_mul(output_tokens as u32),
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
        assert_eq!(latency.draw(&mut rng, 30), Duration::from_millis(500));
    }
}
