//! The page of all scenarios and rules.
//!
//! Owns the page's words and its verdict on the targets. Never runs anything.

mod targets;

use std::fmt::Write as _;

use crate::rules::Rule;
use crate::score::Score;
use crate::suite::Judged;

pub use targets::{Target, targets};

/// Writes the page.
pub fn page(judged: &[Judged], seeds: usize) -> String {
    let mut out = String::new();
    let _ = write!(out, "{}", INTRODUCTION.replace("SEEDS", &seeds.to_string()));
    out.push_str("\n## Targets\n\n");
    out.push_str("| target | met in | missed in |\n|---|--:|---|\n");
    for target in targets(judged) {
        let of = target.met + target.missed.len();
        let missed = match target.missed.is_empty() {
            true => "none".to_owned(),
            false => target.missed.join(", "),
        };
        let _ = writeln!(
            out,
            "| {} | {} of {of} | {missed} |",
            target.what, target.met
        );
    }
    out.push_str("\n## Forebay's own rule\n\n");
    own(&mut out, judged);
    out.push_str("\n## Goodput of all rules\n\n");
    out.push_str("As a share of the best fixed number's, median and (worst) of the seeds.\n\n");
    compared(&mut out, judged, |score| score.goodput, Worst::Least);
    out.push_str("\n## Refused requests of all rules\n\n");
    out.push_str("As a share of those sent, median and (worst) of the seeds, in percent.\n\n");
    compared(
        &mut out,
        judged,
        |score| score.rejected * 100.0,
        Worst::Greatest,
    );
    out.push_str("\n## The scenarios\n\n");
    for judged in judged {
        let scenario = &judged.scenario;
        let path = format!("../../scenarios/{}.toml", scenario.name);
        let _ = writeln!(out, "- [{}]({path}): {}", scenario.name, scenario.about);
    }
    out
}

const INTRODUCTION: &str = "\
# Scenarios

How `--concurrency auto` does on every kind of provider, beside numbers and rules that people use.
Each line is a file in `scenarios/`: a simulated back end, the rows that are sent to it, and the ranges that tests hold its short version to.
A run is the production engine against the simulator's HTTP server in paused time; SEEDS seeds each.
This page is what a command writes:

```sh
cargo run --release -p forebay-scenarios -- pages
```

- **best** is the fixed number of attempts in flight with the greatest goodput, found by search for each scenario: the optimum of a person who tunes by hand. Under a fixed number and under the rules of others each item waits by itself, as in most scripts.
- **goodput** is the rows that succeeded per second until 95 % of the rows had ended, times the share of rows that succeeded; as a share of the best number's. A run that sends more than 25 requests for each row is stopped there and counts as 0.
- **refused** are the requests that got a 429, 503 or 529, as a share of all.
- **converged** is the time after which goodput was within a tenth of the best number's for three windows in a row; a window is as long as a mean latency, and at least five seconds. `never` means that there was no such time; `·` that the best number has none either, or that there is nothing to measure.
- **recovered** is the same after a change of the back end, the longest of all changes.
- **wasted** are the tokens that the provider bills for answers that became no row, as a share of all.
- **oldest** is the longest time from reading a row to its end.
- **failed** are the rows without an answer in the end, as a share of all.
- **fair** is the rows of the slower of two clients over those of the faster one, while both were at work.
- **queue** is what waits at a server that batches over what runs there, both averaged over time.
";

fn own(out: &mut String, judged: &[Judged]) {
    out.push_str(
        "Median and (worst) of the seeds.\n\n\
         | scenario | best | rows/s | goodput | refused % | converged s | recovered s | wasted % | \
         oldest s | failed % | fair | queue |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for judged in judged {
        let scores = judged.scores(Rule::Auto);
        let best = &judged.best_scores;
        let (least, most) = (Worst::Least, Worst::Greatest);
        let converges = best.iter().any(|score| score.converged_s.is_some());
        let recovers = best.iter().any(|score| score.recovered_s.is_some());
        let cells = [
            judged.best.to_string(),
            format!("{:.2}", median(best.iter().map(|score| score.rows_per_s))),
            pair(scores, |score| score.goodput, least, 2),
            pair(scores, |score| score.rejected * 100.0, most, 1),
            time(scores, |score| score.converged_s, converges),
            time(scores, |score| score.recovered_s, recovers),
            pair(scores, |score| score.wasted * 100.0, most, 1),
            pair(scores, |score| score.oldest_s, most, 0),
            pair(scores, |score| score.failed * 100.0, most, 1),
            ratio(scores, |score| score.fairness, least),
            ratio(scores, |score| score.queue, most),
        ];
        let _ = writeln!(out, "| {} | {} |", judged.scenario.name, cells.join(" | "));
    }
}

fn compared(out: &mut String, judged: &[Judged], value: fn(&Score) -> f64, worst: Worst) {
    let rules: Vec<Rule> = judged.first().map_or(Vec::new(), |first| {
        first.rules.iter().map(|(rule, _)| *rule).collect()
    });
    let names: Vec<String> = rules.iter().map(Rule::to_string).collect();
    let _ = writeln!(out, "| scenario | {} |", names.join(" | "));
    let _ = writeln!(out, "|---|{}", "--:|".repeat(rules.len()));
    let digits = if worst == Worst::Least { 2 } else { 1 };
    for judged in judged {
        let cells = rules
            .iter()
            .map(|rule| pair(judged.scores(*rule), value, worst, digits));
        let cells: Vec<String> = cells.collect();
        let _ = writeln!(out, "| {} | {} |", judged.scenario.name, cells.join(" | "));
    }
    let all = rules.iter().map(|rule| {
        let medians = judged
            .iter()
            .map(|judged| median(judged.scores(*rule).iter().map(value)));
        format!("**{:.digits$}**", worst.of(medians))
    });
    let _ = writeln!(
        out,
        "| **worst median** | {} |",
        all.collect::<Vec<_>>().join(" | ")
    );
}

/// Which end of a statistic is the bad one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worst {
    Least,
    Greatest,
}

impl Worst {
    pub(crate) fn of(self, values: impl Iterator<Item = f64>) -> f64 {
        match self {
            Worst::Least => values.fold(f64::INFINITY, f64::min),
            Worst::Greatest => values.fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// The median of some numbers, the lower one of two in the middle; zero of none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or_default()
}

fn pair(scores: &[Score], value: fn(&Score) -> f64, worst: Worst, digits: usize) -> String {
    let middle = median(scores.iter().map(value));
    let worst = worst.of(scores.iter().map(value));
    format!("{middle:.digits$} ({worst:.digits$})")
}

fn time(scores: &[Score], value: fn(&Score) -> Option<f64>, is_measured: bool) -> String {
    if !is_measured {
        return "·".to_owned();
    }
    let shown = |value: f64| match value.is_finite() {
        true => format!("{value:.0}"),
        false => "never".to_owned(),
    };
    let all = || {
        scores
            .iter()
            .map(|score| value(score).unwrap_or(f64::INFINITY))
    };
    format!(
        "{} ({})",
        shown(median(all())),
        shown(Worst::Greatest.of(all()))
    )
}

fn ratio(scores: &[Score], value: fn(&Score) -> Option<f64>, worst: Worst) -> String {
    let all: Vec<f64> = scores.iter().filter_map(value).collect();
    if all.is_empty() {
        return "·".to_owned();
    }
    let middle = median(all.iter().copied());
    format!("{middle:.2} ({:.2})", worst.of(all.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_show_the_middle_and_the_worst() {
        let score = |goodput, converged_s| Score {
            goodput,
            converged_s,
            ..Score::default()
        };
        let scores = [
            score(0.9, Some(10.0)),
            score(0.7, None),
            score(1.0, Some(20.0)),
        ];
        assert_eq!(pair(&scores, |s| s.goodput, Worst::Least, 2), "0.90 (0.70)");
        assert_eq!(time(&scores, |s| s.converged_s, true), "20 (never)");
        assert_eq!(time(&scores, |s| s.converged_s, false), "·");
        assert_eq!(ratio(&scores, |s| s.fairness, Worst::Least), "·");
    }
}
