//! Lines for people, and lines of JSON.
//!
//! Owns how a score is printed. Never computes one.

use forebay_scenarios::Score;
use forebay_scenarios::suite::Judged;

/// The names of the columns.
pub(crate) const HEAD: &str = "scenario               rule        seed  goodput  rows/s  refused   conv    rec  \
                               wasted  oldest  failed   fair  queue";

/// Prints what came of a scenario, the best number first.
pub(crate) fn print(judged: &Judged, json: bool) {
    let best = (format!("best={}", judged.best), &judged.best_scores);
    let rules = judged
        .rules
        .iter()
        .map(|(rule, scores)| (rule.to_string(), scores));
    for (rule, scores) in std::iter::once(best).chain(rules) {
        for (at, score) in scores.iter().enumerate() {
            let line = match json {
                true => in_json((&judged.scenario.name, &rule, at + 1), score),
                false => in_words((&judged.scenario.name, &rule, at + 1), score),
            };
            println!("{line}");
        }
    }
}

fn in_json((scenario, rule, seed): (&str, &str, usize), score: &Score) -> String {
    let score = serde_json::to_string(score).unwrap_or_default();
    format!(r#"{{"scenario":"{scenario}","rule":"{rule}","seed":{seed},"score":{score}}}"#)
}

fn in_words((scenario, rule, seed): (&str, &str, usize), score: &Score) -> String {
    let some = |value: Option<f64>, digits: usize| {
        value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
    };
    format!(
        "{scenario:<22} {rule:<11} {seed:>4} {:>8.3} {:>7.2} {:>7.2}% {:>6} {:>6} {:>6.2}% \
         {:>6.0}s {:>6.2}% {:>6} {:>6}",
        score.goodput,
        score.rows_per_s,
        score.rejected * 100.0,
        some(score.converged_s, 0),
        some(score.recovered_s, 0),
        score.wasted * 100.0,
        score.oldest_s,
        score.failed * 100.0,
        some(score.fairness, 2),
        some(score.queue, 2),
    )
}
