//! The short version of the scenarios against the ranges of their files.
//!
//! Owns what a fault of a scenario is. Never widens a range.

use crate::job;
use crate::rules::Rule;
use crate::run::{Trace, run};
use crate::scenario::Scenario;
use crate::score::{Reference, Score, rows_per_s};

/// The seed of the short version.
pub const SEED: u64 = 1;

/// How far the stated goodput of the best number may be off, as a share: the files round it.
const ROUNDED: f64 = 0.002;

const HINT: &str = "run: cargo run --release -p forebay-scenarios -- optimum --write";

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
///
/// The best number runs too where it takes at most so many requests for a row; elsewhere what the
/// file states of it is believed.
pub fn check(scenarios: &[Scenario], most_requests: u64) -> Vec<Checked> {
    let shorts: Vec<Scenario> = scenarios.iter().map(Scenario::short).collect();
    let own = shorts.iter().map(|short| (short, Rule::Auto));
    let best = shorts.iter().filter_map(|short| {
        let rows = (short.workload.rows * short.client.clients) as u64;
        let stated = short.short.optimum.as_ref()?;
        let is_cheap = stated.requests <= rows.saturating_mul(most_requests);
        is_cheap.then_some((short, Rule::Fixed(short.short.best?)))
    });
    let runs: Vec<(&Scenario, Rule)> = own.chain(best).collect();
    let traces = job::all(&runs, |(short, rule)| run(short, *rule, SEED));
    let (own, best) = traces.split_at(shorts.len());
    let mut checked: Vec<Checked> = shorts.iter().zip(own).map(of_own).collect();
    for ((short, _), trace) in runs[shorts.len()..].iter().zip(best) {
        let one = checked.iter_mut().find(|one| one.name == short.name);
        let fault = optimum(short, rows_per_s(trace));
        one.into_iter()
            .for_each(|one| one.faults.extend(fault.clone()));
    }
    checked
}

/// Judges Forebay's own rule by what the file states of the best number.
fn of_own((short, trace): (&Scenario, &Trace)) -> Checked {
    let stated = short.short.optimum.as_ref();
    let score = Score::of(trace, &stated.map(Reference::stated).unwrap_or_default());
    let faults = match stated {
        Some(_) => ranges(short, &score),
        None => vec![format!("no optimum is stated; {HINT}")],
    };
    Checked {
        name: short.name.clone(),
        score,
        faults,
    }
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
    let stated = scenario.short.optimum.as_ref()?.rows_per_s;
    let off = (measured / stated - 1.0).abs() > ROUNDED;
    off.then(|| format!("the best number gives {measured:.4} rows/s, not {stated}; {HINT}"))
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
            short.rows = 1
            short.optimum = { rows-per-s = 10.0, latency = 1.0, phases = [], requests = 1 }
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
