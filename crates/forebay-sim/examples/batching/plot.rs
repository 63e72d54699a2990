//! Panels of lines over one shared axis, both logarithmic, as SVG.
//!
//! Owns the geometry and the colours, for light and dark pages. Never measures anything. The
//! same numbers give the same bytes: every coordinate is rounded to a tenth.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 64.0;
/// Room on the right for the names of the lines.
const RIGHT: f64 = 188.0;
const TOP: f64 = 56.0;
const PANEL: f64 = 210.0;
const GAP: f64 = 48.0;
const BOTTOM: f64 = 52.0;

/// The least distance of two names of lines.
const NAME: f64 = 16.0;

const STYLE: &str = "\
.paper{fill:#ffffff}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d1d9e0}.shade{fill:#fff1e5}\
.a{stroke:#0969da}.b{stroke:#cf222e}.c{stroke:#8250df}\
.ta{fill:#0969da}.tb{fill:#cf222e}.tc{fill:#8250df}\
@media(prefers-color-scheme:dark){\
.paper{fill:#0d1117}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#2f3742}.shade{fill:#33240f}\
.a{stroke:#4493f8}.b{stroke:#f85149}.c{stroke:#ab7df8}\
.ta{fill:#4493f8}.tb{fill:#f85149}.tc{fill:#ab7df8}}\
text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif}\
.title{font-size:15px;font-weight:600}.name{font-weight:600}\
.grid{stroke-width:1}.line{fill:none;stroke-width:2;stroke-linejoin:round}.dot{stroke:none}";

/// One line: its name, its colour (`a`, `b` or `c`), and its points.
pub(crate) struct Line {
    pub(crate) label: &'static str,
    pub(crate) class: &'static str,
    pub(crate) points: Vec<(f64, f64)>,
}

/// One panel: its ticks, of which the first and the last are its bounds.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) ticks: Vec<f64>,
    pub(crate) lines: Vec<Line>,
}

/// Panels above each other over one axis.
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) axis: &'static str,
    pub(crate) ticks: Vec<f64>,
    /// From where on the panels are shaded, and why.
    pub(crate) shaded: Option<(f64, &'static str)>,
    pub(crate) panels: Vec<Panel>,
}

impl Plot {
    /// Draws everything.
    pub(crate) fn svg(&self) -> String {
        let count = self.panels.len() as f64;
        let height = TOP + count * PANEL + (count - 1.0) * GAP + BOTTOM;
        let mut out = String::new();
        let _ = writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">\n\
             <style>{STYLE}</style>\n\
             <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>",
            self.title
        );
        text(&mut out, (LEFT, 24.0), "title ink", "start", self.title);
        for (at, panel) in self.panels.iter().enumerate() {
            let top = TOP + at as f64 * (PANEL + GAP);
            self.panel(&mut out, panel, top);
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        let at = (middle, height - 12.0);
        text(&mut out, at, "soft", "middle", self.axis);
        out.push_str("</svg>\n");
        out
    }

    fn x(&self, value: f64) -> f64 {
        scale(&self.ticks, value, LEFT, WIDTH - RIGHT)
    }

    fn panel(&self, out: &mut String, panel: &Panel, top: f64) {
        let (bottom, right) = (top + PANEL, WIDTH - RIGHT);
        if let Some((from, why)) = self.shaded {
            let x = self.x(from);
            let width = right - x;
            let _ = writeln!(
                out,
                "<rect class=\"shade\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
                 height=\"{PANEL:.1}\"/>"
            );
            text(out, (right - 6.0, bottom - 8.0), "soft", "end", why);
        }
        text(out, (LEFT, top - 10.0), "ink name", "start", panel.title);
        for &tick in &self.ticks {
            let x = self.x(tick);
            rule(out, (x, top), (x, bottom));
            text(out, (x, bottom + 16.0), "soft", "middle", &tick.to_string());
        }
        let y = |value| scale(&panel.ticks, value, bottom, top);
        for &tick in &panel.ticks {
            rule(out, (LEFT, y(tick)), (right, y(tick)));
            let at = (LEFT - 8.0, y(tick) + 4.0);
            text(out, at, "soft", "end", &tick.to_string());
        }
        let mut lowest = f64::NEG_INFINITY;
        for line in &panel.lines {
            let points = line.points.iter();
            let points: Vec<_> = points.map(|&(a, b)| (self.x(a), y(b))).collect();
            curve(out, line.class, &points);
            let Some(&(x, y)) = points.last() else {
                continue;
            };
            // Names are told from the top down, and never over each other.
            let y = (y + 4.0).max(lowest + NAME);
            lowest = y;
            let class = format!("name t{}", line.class);
            text(out, (x + 10.0, y), &class, "start", line.label);
        }
    }
}

/// Where a value lies between two places, by the logarithm within the outermost ticks.
fn scale(ticks: &[f64], value: f64, from: f64, to: f64) -> f64 {
    let [low, high] = [ticks[0], ticks[ticks.len() - 1]].map(f64::ln);
    from + (to - from) * ((value.ln() - low) / (high - low)).clamp(0.0, 1.0)
}

fn text(out: &mut String, at: (f64, f64), class: &str, anchor: &str, words: &str) {
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{words}</text>",
        at.0, at.1
    );
}

fn rule(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        out,
        "<line class=\"grid\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
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
    for (x, y) in points {
        let _ = writeln!(
            out,
            "<circle class=\"dot t{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>"
        );
    }
}
