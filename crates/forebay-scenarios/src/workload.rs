//! The rows of a run: how many, and how long their answers are.
//!
//! Owns the drawing of lengths. Never knows a provider.

use std::f64::consts::TAU;

use serde::Deserialize;

/// What is sent to the back end.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Workload {
    /// Rows of each client.
    pub rows: usize,
    /// Output tokens of the answers.
    #[serde(default)]
    pub lengths: Lengths,
    /// Whether the shortest answers come first. Default: no order.
    #[serde(default)]
    pub sorted: bool,
    /// Characters of each prompt, at the least. Default: what the number in it takes.
    #[serde(default)]
    pub prompt: usize,
}

/// Output tokens of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Lengths {
    /// The same each time.
    Equal(u64),
    /// Log-normal.
    LogNormal {
        /// Half of the answers are shorter.
        median: f64,
        /// The standard deviation of the logarithm.
        sigma: f64,
    },
    /// One of two lengths.
    Bimodal {
        /// Of most answers.
        short: u64,
        /// Of the others.
        long: u64,
        /// The share of the others.
        share: f64,
    },
}

impl Default for Lengths {
    /// A short classification with its reason.
    fn default() -> Lengths {
        Lengths::Equal(100)
    }
}

/// The longest answer, in tokens: eight thousand is a common cap of today's models.
const LONGEST: f64 = 8192.0;

impl Workload {
    /// The prompts of one client; each ends with the tokens that its answer takes.
    pub fn prompts(&self, seed: u64, client: usize) -> Vec<String> {
        // Far apart, so that no two clients of neighbouring seeds draw the same.
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(1_000_003) + client as u64);
        let mut lengths: Vec<u64> = (0..self.rows)
            .map(|_| self.lengths.draw(&mut rng))
            .collect();
        if self.sorted {
            lengths.sort_unstable();
        }
        let prompt = |(row, tokens): (usize, u64)| {
            let text = format!("client {client} row {row} answers in {tokens}");
            let missing = self.prompt.saturating_sub(text.len());
            "word ".repeat(missing.div_ceil(5)) + &text
        };
        lengths.into_iter().enumerate().map(prompt).collect()
    }
}

impl Lengths {
    fn draw(self, rng: &mut fastrand::Rng) -> u64 {
        match self {
            Lengths::Equal(tokens) => tokens,
            Lengths::LogNormal { median, sigma } => {
                // Box-Muller, first half; 1 - u keeps the logarithm finite.
                let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
                let normal = radius * (TAU * rng.f64()).cos();
                (median * (sigma * normal).exp()).clamp(1.0, LONGEST) as u64
            }
            Lengths::Bimodal { short, long, share } => {
                if rng.f64() < share {
                    long
                } else {
                    short
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(lengths: Lengths) -> Workload {
        Workload {
            rows: 2_000,
            lengths,
            sorted: false,
            prompt: 0,
        }
    }

    fn lengths(workload: &Workload) -> Vec<u64> {
        let prompts = workload.prompts(1, 0);
        let last = |prompt: &String| prompt.rsplit(' ').next().unwrap().parse().unwrap();
        prompts.iter().map(last).collect()
    }

    #[test]
    fn lengths_are_as_named_and_the_same_for_the_same_seed() {
        assert_eq!(lengths(&workload(Lengths::Equal(7))), vec![7; 2_000]);
        let median = 200.0;
        let drawn = workload(Lengths::LogNormal { median, sigma: 0.5 });
        assert_eq!(drawn.prompts(3, 0), drawn.prompts(3, 0));
        assert_ne!(drawn.prompts(3, 0), drawn.prompts(3, 1));
        let below = lengths(&drawn).iter().filter(|n| **n < 200).count();
        assert!((900..1_100).contains(&below), "{below}");
        let two = workload(Lengths::Bimodal {
            short: 10,
            long: 500,
            share: 0.2,
        });
        let long = lengths(&two).iter().filter(|n| **n == 500).count();
        assert!((320..480).contains(&long), "{long}");
    }

    #[test]
    fn sorted_rows_begin_with_the_shortest_and_prompts_are_padded() {
        let sorted = Workload {
            sorted: true,
            prompt: 100,
            ..workload(Lengths::LogNormal {
                median: 200.0,
                sigma: 1.0,
            })
        };
        assert!(lengths(&sorted).is_sorted());
        assert!(sorted.prompts(1, 0).iter().all(|p| p.len() >= 100));
    }
}
