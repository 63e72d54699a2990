//! The short version of the scenarios against the ranges of their files.
//!
//! Owns what a fault of a scenario is. Never widens a range.

use crate::job;
use crate::rules::Rule;
use crate::run::run;
use crate::scenario::Scenario;
use crate::score::{Reference, Score, rows_per_s};

/// The seed of the short version.
pub const SEED: u64 = 1;

/// How far the stated goodput of the best number may be off, as a share: the files round it.
const ROUNDED: f64 = 0.002;

/// What one scenario's short version gave.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The scenario's name.
    pub name: String,
    /// The statistics of Forebay's own rule.
    pub score: Score,
    /// What is not as the file says.
    pub faults: Vec<String>,
}

/// Checks scenarios, all of them at the same time.
pub fn check(scenarios: &[Scenario]) -> Vec<Checked> {
    let shorts: Vec<Scenario> = scenarios.iter().map(Scenario::short).collect();
    let runs: Vec<(&Scenario, Rule)> = shorts
        .iter()
        .flat_map(|short| {
            let best = Rule::Fixed(short.short.best.unwrap_or(Rule::LEAST));
            [(short, Rule::Auto), (short, best)]
        })
        .collect();
    let traces = job::all(&runs, |(short, rule)| run(short, *rule, SEED));
    let pairs = shorts.iter().zip(traces.chunks(2));
    pairs
        .map(|(short, traces)| {
            let reference = Reference::of(short, &traces[1]);
            let score = Score::of(&traces[0], &reference);
            let mut faults = ranges(short, &score);
            faults.extend(optimum(short, rows_per_s(&traces[1])));
            Checked {
                name: short.name.clone(),
                score,
                faults,
            }
        })
        .collect()
}

/// What lies outside of a scenario's ranges.
fn ranges(scenario: &Scenario, score: &Score) -> Vec<String> {
    let faults = scenario.ranges.iter().filter_map(|(name, [least, most])| {
        let value = match score.named(name) {
            Ok(Some(value)) => value,
            Ok(None) => return Some(format!("{name} was never there to be measured")),
            Err(unknown) => return Some(unknown),
        };
        let fits = (*least..=*most).contains(&value);
        (!fits).then(|| format!("{name} is {value:.4}, outside of {least} to {most}"))
    });
    faults.collect()
}

/// What is wrong with the stated optimum.
fn optimum(scenario: &Scenario, measured: f64) -> Option<String> {
    let hint = "run: cargo run --release -p forebay-scenarios -- optimum --write";
    let Some(stated) = scenario.short.optimum else {
        return Some(format!("no optimum is stated; {hint}"));
    };
    let off = (measured / stated - 1.0).abs() > ROUNDED;
    off.then(|| format!("the best number gives {measured:.4} rows/s, not {stated}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_a_fault_and_so_is_what_is_not_there() {
        let text = r#"
            about = "A."
            backend = {}
            workload.rows = 1
            short = { rows = 1, optimum = 10.0 }
            ranges = { goodput = [0.9, 1.1], rejected = [0.0, 0.01], fairness = [0.9, 1.0], x = [0, 1] }
        "#;
        let scenario = Scenario::parse("x", text).unwrap();
        let score = Score {
            goodput: 0.85,
            rejected: 0.01,
            ..Score::default()
        };
        assert_eq!(
            ranges(&scenario, &score),
            [
                "fairness was never there to be measured",
                "goodput is 0.8500, outside of 0.9 to 1.1",
                "no statistic is called \"x\"",
            ]
        );
        assert_eq!(optimum(&scenario, 10.01), None);
        assert!(optimum(&scenario, 10.1).is_some());
    }
}
