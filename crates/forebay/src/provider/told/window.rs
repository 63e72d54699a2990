//! What a limit is for, a minute or a day, by how fast it comes back.
//!
//! Owns the arithmetic. Never knows a provider: the usual window is an argument.

use super::reset::Reset;
use super::{DAY, HOUR, MINUTE, SECOND};

/// How far the numbers may be off from a window that providers are known to have, as a factor.
///
/// Servers round what is left and the time; a minute and a day are a factor of 1,440 apart.
const AGREES: f64 = 3.0;

/// The same for windows that are rare: a second and an hour.
const FITS_WELL: f64 = 1.5;

/// The least share that the last unit used can have come back already: a server that says 59 of 60
/// has regained between nothing and nearly all of the one that was taken.
const LEAST_USED: f64 = 1.0 / 50.0;

/// How often a limit can have been used when nothing is left, as some run into debt: OpenAI charges
/// the answer's real length, Anthropic output tokens as they are made.
const MOST_DEBT: f64 = 10.0;

/// The window of a limit, in seconds; `None` when it cannot be told. The reset is read when it is
/// needed.
///
/// A bucket that holds `limit` and regains what was used in `reset` is for
/// `limit · reset / used` seconds. The provider's usual window counts if that agrees with it, else
/// a minute or a day, whichever alone agrees, else an hour or a second if that fits well and is no
/// faster than usual. When nothing was used, or the numbers agree with nothing, the usual window
/// counts.
pub(super) fn recognise(
    limit: f64,
    remaining: Option<f64>,
    reset: impl FnOnce() -> Option<Reset>,
    usual: Option<f64>,
) -> Option<f64> {
    let Some(remaining) = remaining.filter(|remaining| *remaining < limit) else {
        return usual;
    };
    let Some(reset) = reset().filter(|reset| reset.most > 0.0) else {
        return usual;
    };
    let used = limit - remaining;
    let span = Span::of(limit, used, reset, remaining <= 0.0);
    if let Some(usual) = usual.filter(|usual| span.agrees(*usual, AGREES)) {
        return Some(usual);
    }
    match (span.agrees(MINUTE, AGREES), span.agrees(DAY, AGREES)) {
        (true, false) => Some(MINUTE),
        (false, true) => Some(DAY),
        (true, true) => None,
        (false, false) if span.is_narrow && reset.refills => {
            let rare = [HOUR, SECOND].into_iter();
            // Resets in milliseconds are noisy: none makes a provider's usual rate a faster one.
            let mut slower = rare.filter(|window| usual.is_none_or(|usual| *window > usual));
            let fitting = slower.find(|window| span.agrees(*window, FITS_WELL));
            fitting.or(usual)
        }
        (false, false) => usual,
    }
}

/// The windows that explain what a server says, in seconds.
struct Span {
    least: f64,
    most: f64,
    /// Whether both ends are near each other.
    is_narrow: bool,
}

impl Span {
    fn of(limit: f64, used: f64, reset: Reset, is_empty: bool) -> Span {
        let least_used = (used - 1.0).max(used * LEAST_USED);
        let most = limit * reset.most / least_used;
        let mut least = limit * reset.least / used;
        let is_narrow = most <= 2.0 * least && !is_empty;
        if is_empty {
            least /= MOST_DEBT;
        }
        // The end of a fixed window says only that the window is not shorter.
        if !reset.refills {
            least = least.min(reset.least);
        }
        Span {
            least,
            most,
            is_narrow,
        }
    }

    fn agrees(&self, window: f64, factor: f64) -> bool {
        self.least <= window * factor && window <= self.most * factor
    }
}
