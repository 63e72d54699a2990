//! A record of a row against the row in it.
//!
//! Owns what both say of the outcome, the tokens and the cost. Never knows the log.

use super::charge::is_wanting;
use super::facts::Earlier;
use super::journal::Record;
use super::report::{Invariant, Report};
use super::row::Row;

/// A record and the row in it must say the same; the row tells what earlier attempts of its item
/// were billed for as well.
pub(super) fn agree(
    record: &Record<'_>,
    row: &Row<'_>,
    earlier: Option<Earlier>,
    place: &str,
    report: &mut Report,
) {
    let mut differ = |what: String| report.violated(Invariant::OneRow, place, what);
    if record.ok != Some(row.ok) {
        differ(format!(
            "the record says ok={:?}, its row {}",
            record.ok, row.ok
        ));
    }
    if record.kind != row.kind {
        differ(format!(
            "the record says {:?}, its row {:?}",
            record.kind, row.kind
        ));
    }
    if row.ok && !row.answered && !record.copy {
        differ("an ok row without an answer".into());
    }
    if record.copy || (record.u.is_none() && earlier.is_none()) {
        return;
    }
    let earlier = earlier.unwrap_or_default();
    let usage = earlier.usage_with(record.u);
    if usage != row.usage {
        differ(format!(
            "the records say tokens {usage:?}, the row {:?}",
            row.usage
        ));
    }
    let is_answer = row.ok || is_wanting(record.kind.unwrap_or_default());
    let untold = match record.u {
        Some(_) => record.c.is_none(),
        None => record.billed || is_answer,
    };
    let known = !earlier.unknown && !untold;
    let cost = known.then(|| earlier.cost.saturating_add(record.c.unwrap_or_default()));
    if cost != row.cost {
        differ(format!(
            "the records say {cost:?} pico-dollars, the row {:?}",
            row.cost
        ));
    }
}
