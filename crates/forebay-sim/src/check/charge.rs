//! Which failed attempts count against the maximum and the retry budget, as the journal shows.
//!
//! Owns the rules of `docs/reference/rows.md` about what is counted. Where the journal cannot
//! show it, an attempt is taken not to count, so that nobody is accused wrongly.

use std::collections::VecDeque;

/// The fewest ends by which a client may take an endpoint to be down.
const FEWEST: usize = 20;

/// Whether an attempt counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Charge {
    /// Against the item's maximum.
    pub(super) counts: bool,
    /// Against the retry budget.
    pub(super) spends: bool,
}

/// Notices stretches in which the endpoint may count as down: then failures that speak of the
/// endpoint count for no item.
///
/// A stretch begins when more than half of twenty ends in a row failed so, and is over when
/// twenty in a row succeeded; ends that say nothing about the endpoint are left out. Clients
/// notice outages later than that, and their ends sooner.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    recent: VecDeque<bool>,
    failures: usize,
    down: bool,
}

impl Stretch {
    /// Notes an attempt that is tried again or left pending.
    pub(super) fn failed(&mut self, kind: &str, billed: bool) -> Charge {
        if is_wanting(kind) {
            // The endpoint did its work, and what follows has bounds of its own.
            self.note(false);
            return Charge {
                counts: false,
                spends: false,
            };
        }
        let endpoint = speaks_of_the_endpoint(kind);
        if endpoint {
            self.note(true);
        }
        // A reused connection that was closed before the answer is tried again once for free;
        // it is recorded like a cut answer that cannot have been billed.
        let stale = kind == "truncated" && !billed;
        let exempt = stale || (endpoint && self.down);
        Charge {
            counts: !exempt && !matches!(kind, "rate_limited" | "auth" | "cancelled"),
            spends: !exempt && !matches!(kind, "rate_limited" | "cancelled"),
        }
    }

    /// Notes an attempt that ended its item; tells whether it counts.
    pub(super) fn ended(&mut self, ok: bool, kind: &str) -> bool {
        let endpoint = !ok && speaks_of_the_endpoint(kind);
        if ok || endpoint || is_wanting(kind) {
            self.note(endpoint);
        }
        !(endpoint && self.down || matches!(kind, "rate_limited" | "auth"))
    }

    fn note(&mut self, failure: bool) {
        self.recent.push_back(failure);
        self.failures += usize::from(failure);
        if self.recent.len() > FEWEST {
            let first = self.recent.pop_front().unwrap_or_default();
            self.failures -= usize::from(first);
        }
        if self.failures * 2 > FEWEST {
            self.down = true;
        } else if self.failures == 0 {
            self.down = false;
        }
    }
}

/// Whether a failure of this kind is a whole answer that would not do.
pub(super) fn is_wanting(kind: &str) -> bool {
    matches!(kind, "schema_mismatch" | "length")
}

/// Whether a failure of this kind says something about the endpoint rather than the request.
fn speaks_of_the_endpoint(kind: &str) -> bool {
    kind.starts_with("timeout_")
        || matches!(
            kind,
            "server_error" | "connect" | "overloaded" | "truncated"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_stale_connections_and_outages_count_for_nobody() {
        let mut stretch = Stretch::default();
        let counts = |charge: Charge| (charge.counts, charge.spends);
        assert_eq!(counts(stretch.failed("server_error", false)), (true, true));
        assert_eq!(
            counts(stretch.failed("rate_limited", false)),
            (false, false)
        );
        assert_eq!(counts(stretch.failed("auth", false)), (false, true));
        assert_eq!(counts(stretch.failed("truncated", false)), (false, false));
        assert_eq!(counts(stretch.failed("truncated", true)), (true, true));
        let wanting = stretch.failed("schema_mismatch", false);
        assert_eq!(counts(wanting), (false, false));
        for _ in 0..20 {
            stretch.failed("server_error", false);
        }
        assert_eq!(
            counts(stretch.failed("server_error", false)),
            (false, false)
        );
        assert_eq!(counts(stretch.failed("malformed", true)), (true, true));
        for _ in 0..20 {
            assert!(stretch.ended(true, ""));
        }
        assert_eq!(counts(stretch.failed("overloaded", false)), (true, true));
    }
}
