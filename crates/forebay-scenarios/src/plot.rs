//! One drawing of a scenario: limit, in flight, goodput and refusals over time.
//!
//! Owns what is drawn, of one run of Forebay's own rule and one of the best fixed number. Never
//! writes a file.

use crate::run::Trace;
use crate::scenario::Scenario;
use crate::score::done_at;
use crate::svg::{Line, Panel, Plot};

/// Places along the axis of time, about: three dots of the drawing each.
const PLACES: f64 = 180.0;
/// Seconds in which rows are counted for a point of goodput, at the least.
const SHORTEST: f64 = 5.0;
/// How much room is left above the attempts in flight, as a factor.
const ROOM: f64 = 1.25;

/// Draws a run beside that of the best number.
pub fn draw(scenario: &Scenario, auto: &Trace, best: (usize, &Trace)) -> String {
    let end = done_at(auto).max(1.0);
    let step = (end / PLACES).max(1.0);
    let seen = |value: fn(&crate::run::Sample) -> f64| {
        let samples = auto.samples.iter().filter(|sample| sample.at <= end);
        let points = samples.map(|sample| (sample.at, value(sample)));
        thinned(&points.collect::<Vec<_>>(), step)
    };
    let in_flight = seen(|sample| sample.in_flight as f64);
    let rows = per_second(&auto.all_ok(), end, step);
    let wanted = per_second(&best.1.all_ok(), end.min(done_at(best.1)), step);
    let refused = per_second(&auto.refused, end, step);
    let line = |label, class, points| Line {
        label,
        class,
        points,
    };
    let top = |lines: &[&[(f64, f64)]]| {
        let values = lines
            .iter()
            .flat_map(|points| points.iter().map(|point| point.1));
        (values.fold(0.0, f64::max) * ROOM).max(1.0)
    };
    let panels = vec![
        Panel {
            title: "Attempts",
            top: top(&[&in_flight]),
            lines: vec![
                line("limit", "c", seen(|sample| sample.limit as f64)),
                line("in flight", "a", in_flight),
            ],
        },
        Panel {
            title: "Rows per second",
            top: top(&[&rows, &wanted]),
            lines: vec![line("best number", "c", wanted), line("forebay", "a", rows)],
        },
        Panel {
            title: "Refused requests per second",
            top: top(&[&refused]),
            lines: vec![line("refused", "b", refused)],
        },
    ];
    let plot = Plot {
        title: format!("{} (the best fixed number is {})", scenario.name, best.0),
        axis: "seconds",
        end,
        marks: scenario
            .changes()
            .iter()
            .map(|at| at.as_secs_f64())
            .collect(),
        panels,
    };
    plot.svg()
}

/// Events per second, counted around each place.
fn per_second(events: &[f64], end: f64, step: f64) -> Vec<(f64, f64)> {
    let window = step.max(SHORTEST);
    let places = (end / step) as usize;
    let rate = |place: usize| {
        let at = place as f64 * step;
        let (from, until) = ((at - window / 2.0).max(0.0), (at + window / 2.0).min(end));
        let count = events.partition_point(|t| *t < until) - events.partition_point(|t| *t < from);
        (at, count as f64 / (until - from).max(f64::MIN_POSITIVE))
    };
    (0..=places).map(rate).collect()
}

/// One point of each stretch of time: the first.
fn thinned(points: &[(f64, f64)], step: f64) -> Vec<(f64, f64)> {
    let mut next = 0.0;
    let mut kept = Vec::new();
    for point in points {
        if point.0 >= next {
            kept.push(*point);
            next = point.0 + step;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_counted_around_their_place() {
        let events: Vec<f64> = (0..100).map(|n| f64::from(n) / 10.0).collect();
        let rates = per_second(&events, 10.0, 1.0);
        assert_eq!(rates.len(), 11);
        assert!(
            rates.iter().all(|(_, rate)| (rate - 10.0).abs() < 0.5),
            "{rates:?}"
        );
        let kept = thinned(&[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)], 2.0);
        assert_eq!(kept, [(0.0, 1.0), (2.0, 3.0)]);
    }
}
