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

/// How near to the greatest goodput a smaller number has to come to be the best one: what is equal
/// within noise is had with fewer refusals.
const EQUAL: f64 = 0.995;

/// Finds the number of [`GRID`] with the greatest mean goodput over the seeds, or the smallest that
/// equals it.
///
/// Every second number is tried with the first seed, two at a time from the smallest on, until two
/// bring no more; then the best of them and its neighbours with all seeds.
pub fn best(scenario: &Scenario, seeds: &[u64]) -> Best {
    let first = &seeds[..seeds.len().min(1)];
    let coarse: Vec<usize> = (1..GRID.len()).step_by(2).collect();
    let mut found = BTreeMap::new();
    for pair in coarse.chunks(2) {
        let before = greatest(&found);
        found.extend(try_all(scenario, first, pair));
        if greatest(&found) <= before / EQUAL {
            break;
        }
    }
    let near = GRID.iter().position(|n| *n == winner(&found)).unwrap_or(0);
    let fine: Vec<usize> = (near.saturating_sub(1)..=near + 1)
        .filter(|at| *at < GRID.len())
        .collect();
    let mut found = try_all(scenario, seeds, &fine);
    let n = winner(&found);
    let traces = found.remove(&n).unwrap_or_default();
    Best { n, traces }
}

fn try_all(scenario: &Scenario, seeds: &[u64], places: &[usize]) -> BTreeMap<usize, Vec<Trace>> {
    // The largest numbers take longest, as most of their requests are refused.
    let runs: Vec<(usize, u64)> = places
        .iter()
        .rev()
        .flat_map(|at| seeds.iter().map(|seed| (GRID[*at], *seed)))
        .collect();
    let traces = job::all(&runs, |(n, seed)| run(scenario, Rule::Fixed(*n), *seed));
    let mut found: BTreeMap<usize, Vec<Trace>> = BTreeMap::new();
    for ((n, _), trace) in runs.iter().zip(traces) {
        found.entry(*n).or_default().push(trace);
    }
    found
}

fn mean(traces: &[Trace]) -> f64 {
    traces.iter().map(rows_per_s).sum::<f64>() / traces.len().max(1) as f64
}

fn greatest(found: &BTreeMap<usize, Vec<Trace>>) -> f64 {
    found
        .values()
        .map(|traces| mean(traces))
        .fold(0.0, f64::max)
}

fn winner(found: &BTreeMap<usize, Vec<Trace>>) -> usize {
    let greatest = greatest(found);
    let equals = |(_, traces): &(&usize, &Vec<Trace>)| mean(traces) >= greatest * EQUAL;
    found.iter().find(equals).map_or(GRID[0], |(n, _)| *n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_of_equals_wins() {
        let trace = |per_s: f64| Trace {
            ok: vec![(1..=100).map(|n| f64::from(n) / per_s).collect()],
            rows: 100,
            ..Trace::default()
        };
        let found = [(8, 10.0), (16, 19.98), (32, 20.0), (64, 12.0)];
        let found = found.map(|(n, per_s)| (n, vec![trace(per_s)]));
        assert_eq!(winner(&found.into()), 16);
    }
}
