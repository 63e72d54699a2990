//! The optimum of the short version, found and written into the scenario files.
//!
//! Owns the lines of a file that the command writes. Never touches the others.

use std::fmt::Write as _;

use crate::check::SEED;
use crate::scenario::{Optimum, Scenario};
use crate::score::Reference;
use crate::search;

/// The lines that the command writes.
const OWN: [&str; 2] = ["best =", "optimum ="];

/// The best fixed number of a scenario's short version, and what it reaches.
pub fn find(scenario: &Scenario) -> Option<(usize, Optimum)> {
    let short = scenario.short();
    let best = search::best(&short, &[SEED]);
    let trace = best.traces.first()?;
    Some((best.n, Reference::of(&short, trace).state(trace.sent)))
}

/// A scenario's text with this in its table `[short]`; nothing when it has none.
pub fn with(text: &str, n: usize, optimum: &Optimum) -> Option<String> {
    let mut out = String::new();
    let mut inside = false;
    let mut found = false;
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[short]";
        }
        if inside && OWN.iter().any(|own| line.starts_with(own)) {
            continue;
        }
        let _ = writeln!(out, "{line}");
        if inside && line.starts_with("rows =") {
            found = true;
            let _ = writeln!(
                out,
                "best = {n}\noptimum = {{ rows-per-s = {:?}, latency = {:?}, phases = {:?}, \
                 requests = {} }}",
                optimum.rows_per_s, optimum.latency, optimum.phases, optimum.requests
            );
        }
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_written_once_and_the_other_lines_stay() {
        let text = "about = \"A.\"\n[workload]\nrows = 5\n[short]\nrows = 5\n[backend]\n";
        let optimum = Optimum {
            rows_per_s: 1.5,
            latency: 2.0,
            phases: vec![[0.0, 60.0, 1.75]],
            requests: 7,
        };
        let first = with(text, 8, &optimum).unwrap();
        let read = Scenario::parse("x", &first).unwrap();
        assert_eq!(
            (read.short.best, read.short.optimum),
            (Some(8), Some(optimum.clone()))
        );
        assert_eq!(with(&first, 8, &optimum).unwrap(), first);
        assert_eq!(first.lines().count(), text.lines().count() + 2);
        assert_eq!(with("about = \"A.\"\n", 8, &optimum), None);
    }
}
