//! A histogram with fixed bounds, as Prometheus counts and prints it.
//!
//! Owns counts per bucket, their number and their sum. Never keeps a single value.

use std::fmt::Write as _;
use std::time::Duration;

/// Durations counted into buckets by their upper bounds in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// One more than bounds: the last bucket has none.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// An empty histogram over rising bounds.
    pub(super) fn new(bounds: &'static [f64]) -> Histogram {
        Histogram {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    /// Counts a duration so many times.
    pub(super) fn observe(&mut self, duration: Duration, times: u64) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.partition_point(|&bound| bound < seconds);
        self.counts[bucket] += times;
        self.sum += seconds * times as f64;
    }

    /// How many durations were counted.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Appends the lines of the text format, with these labels in front of the bound.
    pub(super) fn write(&self, out: &mut String, name: &str, labels: &str) {
        let mut below = 0;
        for (count, bound) in self.counts.iter().zip(self.bounds) {
            below += count;
            let _ = writeln!(
                out,
                "{name}_bucket{{le=\"{bound:?}\",{labels}}} {:?}",
                below as f64
            );
        }
        let all = self.count() as f64;
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\",{labels}}} {all:?}");
        let _ = writeln!(out, "{name}_count{{{labels}}} {all:?}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {:?}", self.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_belongs_below_it_and_buckets_add_up() {
        let mut histogram = Histogram::new(&[0.5, 1.0]);
        histogram.observe(Duration::from_millis(500), 2);
        histogram.observe(Duration::from_millis(501), 1);
        histogram.observe(Duration::from_secs(9), 1);
        let mut text = String::new();
        histogram.write(&mut text, "t", "m=\"x\"");
        let expected = "t_bucket{le=\"0.5\",m=\"x\"} 2.0\n\
                        t_bucket{le=\"1.0\",m=\"x\"} 3.0\n\
                        t_bucket{le=\"+Inf\",m=\"x\"} 4.0\n\
                        t_count{m=\"x\"} 4.0\n\
                        t_sum{m=\"x\"} 10.501\n";
        assert_eq!(text, expected);
    }
}
