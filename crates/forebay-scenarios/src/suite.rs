//! A scenario under several rules and seeds, each judged by the best fixed number.
//!
//! Owns the order of the runs. Never prints.

use crate::job;
use crate::rules::Rule;
use crate::run::{Trace, run};
use crate::scenario::Scenario;
use crate::score::{Reference, Score};
use crate::search::{self, Best};

/// What came of a scenario.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The scenario.
    pub scenario: Scenario,
    /// The best fixed number.
    pub best: usize,
    /// Its own scores, by seed.
    pub best_scores: Vec<Score>,
    /// Mean latency of its answers, in seconds.
    pub latency: f64,
    /// The rules and their scores, by seed.
    pub rules: Vec<(Rule, Vec<Score>)>,
    /// A run of Forebay's own rule, if it ran, and one of the best fixed number: the first seed's.
    pub drawn: Option<(Trace, Trace)>,
}

impl Judged {
    /// The scores of a rule; none when it did not run.
    pub fn scores(&self, rule: Rule) -> &[Score] {
        let found = self.rules.iter().find(|(ran, _)| *ran == rule);
        found.map_or(&[], |(_, scores)| scores)
    }
}

/// Runs a scenario under these rules with these seeds; without a best number it searches for one.
pub fn judge(scenario: &Scenario, rules: &[Rule], seeds: &[u64], best: Option<usize>) -> Judged {
    let best = match best {
        Some(n) => Best {
            n,
            traces: job::all(seeds, |seed| run(scenario, Rule::Fixed(n), *seed)),
        },
        None => search::best(scenario, seeds),
    };
    let references: Vec<Reference> = best
        .traces
        .iter()
        .map(|trace| Reference::of(scenario, trace))
        .collect();
    let score = |at: usize, trace: &Trace| Score::of(trace, &references[at]);
    let runs: Vec<(Rule, usize)> = rules
        .iter()
        .flat_map(|rule| (0..seeds.len()).map(|at| (*rule, at)))
        .collect();
    let ran = job::all(&runs, |(rule, at)| match rule {
        Rule::Fixed(n) if *n == best.n => (score(*at, &best.traces[*at]), None),
        _ => {
            let trace = run(scenario, *rule, seeds[*at]);
            let is_drawn = *rule == Rule::Auto && *at == 0;
            (score(*at, &trace), is_drawn.then_some(trace))
        }
    });
    let (scores, drawn): (Vec<Score>, Vec<Option<Trace>>) = ran.into_iter().unzip();
    let drawn = drawn.into_iter().flatten().next();
    let of_rule = scores.chunks(seeds.len().max(1)).map(<[Score]>::to_vec);
    Judged {
        scenario: scenario.clone(),
        best: best.n,
        best_scores: (0..seeds.len())
            .map(|at| score(at, &best.traces[at]))
            .collect(),
        latency: references.iter().map(|r| r.latency).sum::<f64>() / seeds.len().max(1) as f64,
        rules: rules.iter().copied().zip(of_rule).collect(),
        drawn: drawn.zip(best.traces.into_iter().next()),
    }
}
