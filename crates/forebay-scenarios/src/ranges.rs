//! Ranges that follow what was measured, and only ever get narrower.
//!
//! Owns the margins and the table `[ranges]` of a file. Never widens a range: who has to does it by
//! hand, in a change of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::scenario::Scenario;
use crate::score::Score;

/// Ranges by the name of their statistic.
pub type Ranges = BTreeMap<String, [f64; 2]>;

/// What a share may lose where it is below its target: the noise of a change that does no harm.
const MARGIN: f64 = 0.03;
/// The most goodput there is: a number cannot do so badly that three times as much says something.
const MOST_GOODPUT: f64 = 3.0;
/// The least fairness of two clients aimed at.
const FAIR: f64 = 0.9;
/// The longest queue aimed at, as a share of what runs.
const QUEUE: f64 = 0.2;
/// What a share may gain where it is above its target, as a factor and on top.
const GAIN: (f64, f64) = (1.25, 0.003);
/// What times may gain, as a factor and on top.
const LONGER: (f64, f64) = (1.5, 10.0);

/// The ranges of a scenario after a measurement: its targets where they are met, and else what was
/// measured, with a margin.
pub fn narrowed(scenario: &Scenario, score: &Score) -> Ranges {
    let mut ranges = scenario.ranges.clone();
    let mut at_least = |name: &str, value: f64, target: f64, most: f64| {
        let least = ((value - MARGIN).max(0.0) * 100.0).floor() / 100.0;
        let least = if value >= target { target } else { least };
        let range = ranges.entry(name.to_owned()).or_insert([0.0, most]);
        range[0] = range[0].max(least);
    };
    at_least(
        "goodput",
        score.goodput,
        scenario.least_goodput(),
        MOST_GOODPUT,
    );
    if let Some(fairness) = score.fairness {
        at_least("fairness", fairness, FAIR, 1.0);
    }
    let mut at_most = |name: &str, value: f64, target: f64, (times, more): (f64, f64)| {
        let most = ((value * times + more) * 1000.0).ceil() / 1000.0;
        let most = if value <= target { target } else { most };
        let range = ranges.entry(name.to_owned()).or_insert([0.0, most]);
        range[1] = range[1].min(most);
    };
    at_most("rejected", score.rejected, scenario.most_rejected(), GAIN);
    at_most("wasted", score.wasted, 0.01, GAIN);
    at_most("failed", score.failed, 0.0, GAIN);
    at_most("oldest-s", score.oldest_s, 0.0, LONGER);
    if let Some(queue) = score.queue {
        at_most("queue", queue, QUEUE, GAIN);
    }
    if let Some(seconds) = score.converged_s {
        at_most("converged-s", seconds, 30.0, LONGER);
    }
    if let Some(seconds) = score.recovered_s {
        at_most("recovered-s", seconds, 60.0, LONGER);
    }
    ranges
}

/// A scenario's text with these ranges as its last table.
pub fn with(text: &str, ranges: &Ranges) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[ranges]";
        }
        if !inside {
            let _ = writeln!(out, "{line}");
        }
    }
    out.push_str("[ranges]\n");
    for (name, [least, most]) in ranges {
        let _ = writeln!(out, "{name} = [{least:?}, {most:?}]");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_gets_narrower_and_never_wider() {
        let text = "about = \"A.\"\nbackend = {}\nworkload.rows = 1\nshort.rows = 1\n";
        let score = |goodput, rejected| Score {
            goodput,
            rejected,
            ..Score::default()
        };
        let first = Scenario::parse("x", text).unwrap();
        let ranges = narrowed(&first, &score(0.853, 0.004));
        assert_eq!(ranges["goodput"], [0.82, 3.0], "below its target");
        assert_eq!(ranges["rejected"], [0.0, 0.03], "its target");
        let text = with(text, &ranges);
        let second = Scenario::parse("x", &text).unwrap();
        assert_eq!(second.ranges, ranges);
        assert_eq!(narrowed(&second, &score(0.5, 0.9)), ranges);
        let better = narrowed(&second, &score(1.0, 0.0));
        assert_eq!(better["goodput"], [0.9, 3.0]);
        assert_eq!(with(&text, &better).matches("[ranges]").count(), 1);
    }
}
