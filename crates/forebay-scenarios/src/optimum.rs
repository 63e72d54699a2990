//! The optimum of the short version, found and written into the scenario files.
//!
//! Owns the two lines of a file that a command writes. Never touches the others.

use std::fmt::Write as _;

use crate::check::SEED;
use crate::scenario::Scenario;
use crate::score::rows_per_s;
use crate::search;

/// The best fixed number of a scenario's short version, and its rows per second.
pub fn find(scenario: &Scenario) -> (usize, f64) {
    let best = search::best(&scenario.short(), &[SEED]);
    (best.n, best.traces.first().map_or(0.0, rows_per_s))
}

/// A scenario's text with these numbers in its table `[short]`; nothing when it has none.
pub fn with(text: &str, (n, rows_per_s): (usize, f64)) -> Option<String> {
    let mut out = String::new();
    let mut inside = false;
    let mut found = false;
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[short]";
        }
        if inside && (line.starts_with("best =") || line.starts_with("optimum =")) {
            continue;
        }
        let _ = writeln!(out, "{line}");
        if inside && line.starts_with("rows =") {
            found = true;
            let _ = writeln!(out, "best = {n}\noptimum = {rows_per_s:.4}");
        }
    }
    found.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_lines_are_written_once_and_the_others_stay() {
        let text = "about = \"A.\"\n[short]\nrows = 5\n[backend]\nrows = 5\n";
        let first = with(text, (8, 1.5)).unwrap();
        let expected =
            "about = \"A.\"\n[short]\nrows = 5\nbest = 8\noptimum = 1.5000\n[backend]\nrows = 5\n";
        assert_eq!(first, expected);
        assert_eq!(with(&first, (8, 1.5)).unwrap(), expected);
        assert_eq!(with("about = \"A.\"\n", (8, 1.5)), None);
    }
}
