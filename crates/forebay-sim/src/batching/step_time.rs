//! How long a step takes.
//!
//! Owns the published polynomials and the reading of tables. Never sleeps.

use std::time::Duration;

use super::config::StepTime;

/// The least time of a step in milliseconds: published with the polynomials.
const LEAST: f64 = 1.0;

/// The longest step in milliseconds, against tables that were never measured: an hour.
const LONGEST: f64 = 3_600_000.0;

/// What one step computes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Work {
    /// Tokens of prompts, and of answers whose KV was given up.
    pub(super) prefill: u64,
    /// Sequences that get one token more.
    pub(super) decoding: u64,
    /// The share of the KV blocks in use.
    pub(super) kv_usage: f64,
}

impl StepTime {
    /// The time of a step.
    ///
    /// One forward pass computes prefill and decode together, and the published polynomials
    /// measure each alone. The sum for a step that does both is our reading.
    pub(super) fn of(&self, work: Work) -> Duration {
        let milliseconds = match self {
            StepTime::Published => prefill(work.prefill) + decode(work),
            StepTime::Table {
                decode,
                prefill: per_tokens,
            } => {
                let decode = share(work.decoding, interpolate(decode, work.decoding));
                decode + share(work.prefill, interpolate(per_tokens, work.prefill))
            }
        };
        let milliseconds = match milliseconds.is_nan() {
            true => LEAST,
            false => milliseconds.clamp(LEAST, LONGEST),
        };
        Duration::from_secs_f64(milliseconds / 1000.0)
    }
}

/// The published time of so many tokens of prefill, in milliseconds.
fn prefill(tokens: u64) -> f64 {
    let n = tokens as f64;
    share(tokens, 4.21e-7 * n * n + 1.518e-2 * n + 16.5)
}

/// The published time of decoding, in milliseconds.
fn decode(work: Work) -> f64 {
    let p = work.kv_usage;
    share(
        work.decoding,
        (-25.74 * p * p + 54.01 * p + 5.74).max(LEAST),
    )
}

/// Nothing costs nothing.
fn share(amount: u64, cost: f64) -> f64 {
    if amount == 0 { 0.0 } else { cost }
}

/// Reads a table of rising points.
fn interpolate(points: &[(u64, f64)], at: u64) -> f64 {
    let next = points.partition_point(|point| point.0 < at);
    let (Some(low), Some(high)) = (
        points.get(next.saturating_sub(1)),
        points.get(next).or(points.last()),
    ) else {
        return 0.0;
    };
    if high.0 <= low.0 {
        return high.1;
    }
    let part = (at.max(low.0) - low.0) as f64 / (high.0 - low.0) as f64;
    low.1 + part * (high.1 - low.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(step_time: &StepTime, prefill: u64, decoding: u64, kv_usage: f64) -> f64 {
        let work = Work {
            prefill,
            decoding,
            kv_usage,
        };
        step_time.of(work).as_secs_f64() * 1000.0
    }

    fn close(got: f64, expected: f64) {
        assert!(
            (got - expected).abs() < 1e-5,
            "{got} instead of {expected} ms"
        );
    }

    #[test]
    fn the_published_polynomials_by_hand() {
        let published = StepTime::Published;
        close(milliseconds(&published, 1000, 0, 0.5), 0.421 + 15.18 + 16.5);
        close(milliseconds(&published, 0, 1, 0.0), 5.74);
        close(milliseconds(&published, 0, 200, 1.0), 34.01);
        close(milliseconds(&published, 0, 200, 0.5), 5.74 + 27.005 - 6.435);
        close(milliseconds(&published, 1000, 3, 1.0), 32.101 + 34.01);
    }

    #[test]
    fn a_table_is_read_between_its_points_and_stays_beyond_them() {
        let table = StepTime::Table {
            decode: vec![(1, 6.0), (11, 16.0)],
            prefill: vec![(0, 10.0), (100, 30.0)],
        };
        close(milliseconds(&table, 0, 1, 0.0), 6.0);
        close(milliseconds(&table, 0, 6, 0.0), 11.0);
        close(milliseconds(&table, 0, 500, 0.0), 16.0);
        close(milliseconds(&table, 50, 0, 0.0), 20.0);
        close(milliseconds(&table, 50, 11, 0.0), 36.0);
    }

    #[test]
    fn no_table_makes_a_step_free_or_endless() {
        let of = |points: Vec<(u64, f64)>| StepTime::Table {
            decode: points,
            prefill: Vec::new(),
        };
        close(milliseconds(&of(Vec::new()), 0, 1, 0.0), 1.0);
        close(milliseconds(&of(vec![(1, -3.0)]), 0, 1, 0.0), 1.0);
        close(milliseconds(&of(vec![(1, f64::NAN)]), 0, 1, 0.0), 1.0);
        close(
            milliseconds(&of(vec![(1, f64::INFINITY)]), 0, 1, 0.0),
            LONGEST,
        );
        close(milliseconds(&of(vec![(5, 2.0), (5, 4.0)]), 0, 9, 0.0), 4.0);
    }
}
