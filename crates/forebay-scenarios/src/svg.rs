//! Panels of lines over one axis of time, as SVG.
//!
//! Owns the geometry and the colours, for light and dark pages. Never measures anything. The same
//! numbers give the same bytes: every coordinate is rounded to a tenth.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 56.0;
/// Room on the right for the names of the lines.
const RIGHT: f64 = 132.0;
const TOP: f64 = 50.0;
const PANEL: f64 = 120.0;
const GAP: f64 = 40.0;
const BOTTOM: f64 = 46.0;
/// The distance of two names of lines.
const NAME: f64 = 17.0;
/// Ticks of an axis, about.
const TICKS: f64 = 5.0;

const STYLE: &str = "\
.paper{fill:#ffffff}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d1d9e0}.shade{fill:#fff1e5}\
.a{stroke:#0969da}.b{stroke:#cf222e}.c{stroke:#8c959f}\
.ta{fill:#0969da}.tb{fill:#cf222e}.tc{fill:#6e7781}\
@media(prefers-color-scheme:dark){\
.paper{fill:#0d1117}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#2f3742}.shade{fill:#33240f}\
.a{stroke:#4493f8}.b{stroke:#f85149}.c{stroke:#6e7681}\
.ta{fill:#4493f8}.tb{fill:#f85149}.tc{fill:#9198a1}}\
text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}\
.title{font-size:15px;font-weight:600}.name{font-weight:600}\
.grid{stroke-width:1}.line{fill:none;stroke-width:1.6;stroke-linejoin:round}";

/// One line: its name, its colour (`a`, `b` or `c`), and its points.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What it shows.
    pub label: &'static str,
    /// Its colour: `a`, `b` or `c`.
    pub class: &'static str,
    /// Places on the two axes.
    pub points: Vec<(f64, f64)>,
}

/// One panel; what is above its top is cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What its lines show, with the unit.
    pub title: &'static str,
    /// The greatest value.
    pub top: f64,
    /// The lines, the last one in front.
    pub lines: Vec<Line>,
}

/// Panels above each other over one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What is shown.
    pub title: String,
    /// The axis that the panels share.
    pub axis: &'static str,
    /// The greatest value on it.
    pub end: f64,
    /// Where on it something changes.
    pub marks: Vec<f64>,
    /// The panels, from the top down.
    pub panels: Vec<Panel>,
}

impl Plot {
    /// Draws everything.
    pub fn svg(&self) -> String {
        let count = self.panels.len() as f64;
        let height = TOP + count * PANEL + (count - 1.0) * GAP + BOTTOM;
        let mut out = String::new();
        let title = escaped(&self.title);
        let _ = writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n\
             <style>{STYLE}</style>\n\
             <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>"
        );
        text(&mut out, (LEFT, 20.0), "title ink", "start", &title);
        for (at, panel) in self.panels.iter().enumerate() {
            self.panel(&mut out, panel, TOP + at as f64 * (PANEL + GAP));
        }
        let middle = ((LEFT + WIDTH - RIGHT) / 2.0, height - 10.0);
        text(&mut out, middle, "soft", "middle", self.axis);
        out.push_str("</svg>\n");
        out
    }

    fn panel(&self, out: &mut String, panel: &Panel, top: f64) {
        let (bottom, right) = (top + PANEL, WIDTH - RIGHT);
        let x = |value| scale(value, self.end, LEFT, right);
        let y = |value| scale(value, panel.top, bottom, top);
        text(out, (LEFT, top - 9.0), "ink name", "start", panel.title);
        for tick in ticks(self.end) {
            rule(out, "grid", (x(tick), top), (x(tick), bottom));
            let at = (x(tick), bottom + 15.0);
            text(out, at, "soft", "middle", &tick.to_string());
        }
        for tick in ticks(panel.top) {
            rule(out, "grid", (LEFT, y(tick)), (right, y(tick)));
            let at = (LEFT - 7.0, y(tick) + 4.0);
            text(out, at, "soft", "end", &tick.to_string());
        }
        for mark in self.marks.iter().filter(|mark| **mark < self.end) {
            rule(out, "c", (x(*mark), top), (x(*mark), bottom));
        }
        for (nth, line) in panel.lines.iter().enumerate() {
            let points = line.points.iter();
            let points: Vec<_> = points.map(|&(a, b)| (x(a), y(b))).collect();
            curve(out, line.class, &points);
            let at = (right + 10.0, top + 12.0 + nth as f64 * NAME);
            text(
                out,
                at,
                &format!("name t{}", line.class),
                "start",
                line.label,
            );
        }
    }
}

/// Where a value lies between two places; beyond the end it stays there.
fn scale(value: f64, end: f64, from: f64, to: f64) -> f64 {
    from + (to - from) * (value / end.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
}

/// Round numbers from zero to an end, about five of them.
fn ticks(end: f64) -> Vec<f64> {
    let rough = (end / TICKS).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|n| n * power >= rough);
    let step = step.unwrap_or(10.0) * power;
    let count = (end / step + 1e-9) as usize;
    // Powers below one are no exact numbers.
    let rounded = |value: f64| (value * 1e6).round() / 1e6;
    (0..=count).map(|n| rounded(n as f64 * step)).collect()
}

fn escaped(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

fn text(out: &mut String, at: (f64, f64), class: &str, anchor: &str, words: &str) {
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{words}</text>",
        at.0, at.1
    );
}

fn rule(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        out,
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn curve(out: &mut String, class: &str, points: &[(f64, f64)]) {
    let joined: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let joined = joined.join(" ");
    let _ = writeln!(
        out,
        "<polyline class=\"line {class}\" points=\"{joined}\"/>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(100.0), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(7.0), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(ticks(0.3), [0.0, 0.1, 0.2, 0.3]);
        assert_eq!(ticks(1234.0).len(), 3);
    }

    #[test]
    fn a_drawing_names_its_lines_and_cuts_what_is_above() {
        let line = Line {
            label: "limit",
            class: "a",
            points: vec![(0.0, 0.0), (10.0, 500.0)],
        };
        let plot = Plot {
            title: "Less < more".into(),
            axis: "seconds",
            end: 10.0,
            marks: vec![5.0, 50.0],
            panels: vec![Panel {
                title: "In flight",
                top: 100.0,
                lines: vec![line],
            }],
        };
        let svg = plot.svg();
        assert!(svg.contains("Less &lt; more") && svg.contains(">limit</text>"));
        assert!(svg.contains("points=\"56.0,170.0 628.0,50.0\""), "{svg}");
        assert_eq!(svg.matches("<line class=\"c\"").count(), 1);
        assert_eq!(svg, plot.svg());
    }
}
