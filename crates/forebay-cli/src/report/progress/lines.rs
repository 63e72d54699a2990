//! A reading in words: the live line of a terminal, and lines for a log.
//!
//! Owns what is left out when the room is short. Never measures anything.

use std::time::Duration;

use forebay::limit::LimitedBy;

use super::Reading;
use crate::report::units;

/// Cells of the bar, at least and at most.
const CELLS: (usize, usize) = (4, 20);

/// How the live line is worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wording {
    /// With whole words and air.
    Full,
    /// As short as it can be read.
    Compact,
}

/// The live line: what matters most first, as much as fits.
pub(super) fn bar_line(reading: &Reading, width: usize) -> String {
    let full = bar_parts(reading, Wording::Full);
    let compact = bar_parts(reading, Wording::Compact);
    fitted(reading, full, "  ", width).unwrap_or_else(|| {
        let mut parts = compact;
        loop {
            if let Some(line) = fitted(reading, parts.clone(), " ", width) {
                return line;
            }
            if parts.len() == 1 {
                return parts.concat();
            }
            parts.pop();
        }
    })
}

/// The parts behind a bar that fills the room left, when there is enough of it.
fn fitted(reading: &Reading, parts: Vec<String>, gap: &str, width: usize) -> Option<String> {
    let text = parts.join(gap);
    let room = width.checked_sub(text.chars().count())?;
    let Some(items) = reading.items else {
        return Some(text);
    };
    let full = room
        .checked_sub(gap.len() + 2)
        .filter(|full| *full >= CELLS.0)?;
    Some(cells(reading.done, items, full.min(CELLS.1)) + gap + &text)
}

fn bar_parts(r: &Reading, wording: Wording) -> Vec<String> {
    let count = match wording {
        Wording::Full => units::count,
        Wording::Compact => |n: u64| n.to_string(),
    };
    let mut parts = vec![match r.items {
        Some(items) => format!("{}/{}", count(r.done), count(items)),
        None => format!("{} rows", count(r.done)),
    }];
    if r.failed > 0 {
        parts.push(format!("{} failed", count(r.failed)));
    }
    if let Some(eta) = duration_of(r.eta_s) {
        parts.push(format!("ETA {}", units::clock(eta)));
    }
    if let Some(rate) = r.rows_per_s {
        parts.push(format!("{} rows/s", units::rate(rate)));
    }
    parts.push(match (r.cost_usd, r.projected_cost_usd) {
        (None, _) => "cost unknown".into(),
        (Some(cost), Some(projected)) => {
            format!("{}→{}", units::dollars(cost), units::dollars(projected))
        }
        (Some(cost), None) => units::dollars(cost),
    });
    let by = r.limited_by.map(|by| format!(" {by}")).unwrap_or_default();
    parts.push(format!("{}/{}{by}", count(r.in_flight), count(r.limit)));
    if let Some(tokens) = r.tokens_per_s {
        let unit = match wording {
            Wording::Full => "tokens",
            Wording::Compact => "tok",
        };
        parts.push(format!("{} {unit}/s", units::short(tokens)));
    }
    for (rate, name) in r.learnt.known() {
        parts.push(format!("≤{} {name}", units::short(rate)));
    }
    parts
}

/// `[====>     ]` with so many cells.
fn cells(done: u64, items: u64, cells: usize) -> String {
    let share = if items == 0 {
        1.0
    } else {
        done as f64 / items as f64
    };
    let full = ((share * cells as f64) as usize).min(cells);
    let tip = if full < cells { ">" } else { "" };
    format!("[{:<cells$}]", "=".repeat(full) + tip)
}

/// A line for a log, with all words written out.
pub(super) fn plain_line(r: &Reading) -> String {
    let done = units::count(r.done);
    let mut parts = vec![match r.items {
        Some(items) if items > 0 => {
            let percent = r.done as f64 / items as f64 * 100.0;
            format!("{done} of {} done ({percent:.0} %)", units::count(items))
        }
        _ => format!("{done} done"),
    }];
    if r.failed > 0 {
        parts.push(format!("{} failed", units::count(r.failed)));
    }
    if let (Some(rows), Some(tokens)) = (r.rows_per_s, r.tokens_per_s) {
        parts.push(format!("{} rows/s", units::rate(rows)));
        parts.push(format!("{} tokens/s", units::count(tokens.round() as u64)));
    }
    parts.push(match (r.cost_usd, r.projected_cost_usd) {
        (None, _) => "cost unknown".into(),
        (Some(cost), Some(projected)) => {
            format!(
                "cost {} of {} projected",
                units::dollars(cost),
                units::dollars(projected)
            )
        }
        (Some(cost), None) => format!("cost {}", units::dollars(cost)),
    });
    let (in_flight, limit) = (units::count(r.in_flight), units::count(r.limit));
    parts.push(format!("{in_flight} of {limit} in flight"));
    match r.limited_by {
        Some(by) if by == LimitedBy::Saturated.label() => parts.push(by.to_owned()),
        Some(by) => parts.push(format!("limited by {by}")),
        None => {}
    }
    if let Some(rates) = r.learnt.text() {
        parts.push(format!("at most {rates}"));
    }
    if let Some(eta) = duration_of(r.eta_s) {
        parts.push(format!("ETA {}", units::duration(eta)));
    }
    format!("forebay: {}", parts.join(", "))
}

/// A time worth showing.
fn duration_of(seconds: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds.filter(|s| *s > 0.0)?).ok()
}
