//! Whether the targets are met.
//!
//! Owns what is aimed at. Never rounds a miss away: the median of the seeds is compared as it is.

use super::{Worst, median};
use crate::rules::{FIXED, Rule};
use crate::score::Score;
use crate::suite::Judged;

/// One target over the scenarios that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is aimed at.
    pub what: &'static str,
    /// How many scenarios meet it.
    pub met: usize,
    /// The names of those that do not.
    pub missed: Vec<String>,
}

/// What is aimed at, and how far it is reached.
pub fn targets(judged: &[Judged]) -> Vec<Target> {
    let changes = |judged: &Judged| !judged.scenario.changes().is_empty();
    let told = |judged: &Judged| judged.scenario.tells_limits();
    let goodput = |least: f64| move |judged: &Judged| of(judged, |score| score.goodput) >= least;
    let as_aimed = |judged: &Judged| goodput(judged.scenario.least_goodput())(judged);
    let few =
        |judged: &Judged| of(judged, |score| score.rejected) <= judged.scenario.most_rejected();
    let mut all = vec![
        target(
            judged,
            "goodput at least 0.95 of the best number's, where headers tell the limits",
            |j| told(j) && !changes(j),
            as_aimed,
        ),
        target(
            judged,
            "goodput at least 0.90, where they do not",
            |j| !told(j) && !changes(j),
            as_aimed,
        ),
        target(
            judged,
            "goodput at least 0.85 where the back end changes",
            changes,
            as_aimed,
        ),
        target(
            judged,
            "goodput at least 0.80 everywhere",
            |_| true,
            goodput(0.80),
        ),
        target(
            judged,
            "at most 1 % refused, where headers tell the limits",
            told,
            few,
        ),
        target(
            judged,
            "at most 3 % refused, where they do not",
            |j| !told(j),
            few,
        ),
        target(
            judged,
            "converged within 30 s or six mean latencies",
            converges,
            is_quick,
        ),
        target(
            judged,
            "two clients share within 10 %",
            |j| j.scenario.client.clients > 1,
            |j| of(j, |score| score.fairness.unwrap_or_default()) >= 0.9,
        ),
        target(
            judged,
            "at most 20 % of what runs is queued at a server that batches",
            |j| j.scenario.is_self_hosted(),
            |j| of(j, |score| score.queue.unwrap_or_default()) <= 0.2,
        ),
    ];
    all.push(fixed_fall(judged));
    all
}

/// The median of a statistic of Forebay's own rule.
fn of(judged: &Judged, value: fn(&Score) -> f64) -> f64 {
    median(judged.scores(Rule::Auto).iter().map(value))
}

fn converges(judged: &Judged) -> bool {
    let mut best = judged.best_scores.iter();
    best.any(|score| score.converged_s.is_some())
}

fn is_quick(judged: &Judged) -> bool {
    let after = of(judged, |score| score.converged_s.unwrap_or(f64::INFINITY));
    after <= (6.0 * judged.latency).max(30.0)
}

/// Every fixed number of the table is below 0.6 somewhere.
fn fixed_fall(judged: &[Judged]) -> Target {
    let least = |n: usize| {
        let medians = judged.iter().map(|judged| {
            median(
                judged
                    .scores(Rule::Fixed(n))
                    .iter()
                    .map(|score| score.goodput),
            )
        });
        Worst::Least.of(medians)
    };
    let missed: Vec<String> = FIXED
        .into_iter()
        .filter(|n| least(*n) >= 0.6)
        .map(|n| Rule::Fixed(n).to_string())
        .collect();
    Target {
        what: "every fixed number below 0.6 in at least one scenario",
        met: FIXED.len() - missed.len(),
        missed,
    }
}

fn target(
    judged: &[Judged],
    what: &'static str,
    concerns: impl Fn(&Judged) -> bool,
    is_met: impl Fn(&Judged) -> bool,
) -> Target {
    let (met, missed): (Vec<&Judged>, Vec<&Judged>) = judged
        .iter()
        .filter(|judged| concerns(judged))
        .partition(|judged| is_met(judged));
    Target {
        what,
        met: met.len(),
        missed: missed
            .iter()
            .map(|judged| judged.scenario.name.clone())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn a_miss_is_named() {
        let text = "about = 'A.'\nworkload.rows = 1\nshort.rows = 1\nbackend = {}";
        let judged = |name: &str, goodput| {
            let score = Score {
                goodput,
                rejected: 0.02,
                ..Score::default()
            };
            Judged {
                scenario: Scenario::parse(name, text).unwrap(),
                best: 8,
                best_scores: vec![score],
                latency: 1.0,
                rules: vec![(Rule::Auto, vec![score])],
                drawn: None,
            }
        };
        let all = targets(&[judged("good", 0.91), judged("bad", 0.89)]);
        let named = |what: &str| all.iter().find(|t| t.what.starts_with(what)).unwrap();
        let without = named("goodput at least 0.90");
        assert_eq!(
            (without.met, without.missed.clone()),
            (1, vec!["bad".to_owned()])
        );
        assert_eq!(named("goodput at least 0.80").met, 2);
        assert_eq!(named("at most 3 %").met, 2);
        assert_eq!(named("at most 1 %").met, 0, "no headers tell the limits");
    }
}
