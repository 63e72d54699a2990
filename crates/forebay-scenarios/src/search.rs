//! The best fixed number of a scenario: what a person who tunes by hand ends at.
//!
//! Owns the search. Never caches what it found.

use std::collections::BTreeMap;

use crate::job;
use crate::rules::{GRID, Rule};
use crate::run::{Trace, run};
use crate::scenario::Scenario;
use crate::score::rows_per_s;

/// The best fixed number of a scenario and its traces.
#[derive(Clone, Debug)]
pub struct Best {
    /// The number.
    pub n: usize,
    /// Its traces, by seed in order.
    pub traces: Vec<Trace>,
}

/// How much better a larger number has to be than a smaller one: what is equal within noise is
/// had with fewer refusals.
const WORTH: f64 = 1.002;

/// Finds the number of [`GRID`] with the greatest mean goodput over the seeds.
///
/// Every second number is tried first, and then the neighbours of the best of them.
pub fn best(scenario: &Scenario, seeds: &[u64]) -> Best {
    let mut found: BTreeMap<usize, Vec<Trace>> = BTreeMap::new();
    let coarse: Vec<usize> = (1..GRID.len()).step_by(2).collect();
    try_all(scenario, seeds, &coarse, &mut found);
    let near = GRID.iter().position(|n| *n == winner(&found)).unwrap_or(0);
    let fine: Vec<usize> = [near.checked_sub(1), Some(near + 1)]
        .into_iter()
        .flatten()
        .filter(|at| *at < GRID.len())
        .collect();
    try_all(scenario, seeds, &fine, &mut found);
    let n = winner(&found);
    let traces = found.remove(&n).unwrap_or_default();
    Best { n, traces }
}

fn try_all(
    scenario: &Scenario,
    seeds: &[u64],
    places: &[usize],
    found: &mut BTreeMap<usize, Vec<Trace>>,
) {
    // The largest numbers take longest, as most of their requests are refused.
    let runs: Vec<(usize, u64)> = places
        .iter()
        .rev()
        .flat_map(|at| seeds.iter().map(|seed| (GRID[*at], *seed)))
        .collect();
    let traces = job::all(&runs, |(n, seed)| run(scenario, Rule::Fixed(*n), *seed));
    for ((n, _), trace) in runs.iter().zip(traces) {
        found.entry(*n).or_default().push(trace);
    }
}

fn winner(found: &BTreeMap<usize, Vec<Trace>>) -> usize {
    let mut best = (0, 0.0);
    for (n, traces) in found {
        let mean = traces.iter().map(rows_per_s).sum::<f64>() / traces.len().max(1) as f64;
        if mean > best.1 * WORTH {
            best = (*n, mean);
        }
    }
    best.0
}
