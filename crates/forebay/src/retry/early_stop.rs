//! Signs that a whole run should stop rather than fail row by row.

use crate::event::StopReason;
use crate::outcome::{Failure, FailureKind};

/// Refused keys or unknown models in a row that stop a run.
const FATAL_IN_A_ROW: u32 = 3;
/// First items that must all fail the same way to stop a run.
const SAME_FAILURES: u32 = 20;

/// What a terminal failure means for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is this item's outcome, and so are those that were set aside.
    Record,
    /// Set it aside: it may turn out to be everyone's failure.
    SetAside,
    /// Stop the run; this item and those set aside stay pending.
    Stop(StopReason),
}

/// Watches the first outcomes and the fatal kinds.
#[derive(Debug, Default)]
pub struct EarlyStop {
    any_success: bool,
    /// A success in this session.
    is_known_good: bool,
    auth_in_a_row: u32,
    not_found_in_a_row: u32,
    /// The failure that every item so far ended with, and how many did.
    same: Option<(Sameness, u32)>,
    mixed: bool,
}

/// What makes two failures the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sameness {
    kind: FailureKind,
    status: Option<u16>,
    provider_code: Option<String>,
}

impl EarlyStop {
    /// Nothing seen in this session; `any_success` says whether earlier ones succeeded, so
    /// that a few last items that cannot succeed do not keep a run from ending.
    pub fn new(any_success: bool) -> EarlyStop {
        EarlyStop {
            any_success,
            ..EarlyStop::default()
        }
    }

    /// Notes an item that succeeded; those set aside are then ordinary failures.
    pub fn success(&mut self) {
        self.any_success = true;
        self.is_known_good = true;
        self.auth_in_a_row = 0;
        self.not_found_in_a_row = 0;
    }

    /// Whether any item has succeeded.
    pub fn any_success(&self) -> bool {
        self.any_success
    }

    /// Looks at an attempt that failed, before it is retried.
    pub fn attempt_failed(&mut self, failure: &Failure) -> Option<StopReason> {
        match failure.kind {
            FailureKind::QuotaExhausted => Some(StopReason::Quota),
            FailureKind::Auth => {
                self.auth_in_a_row += 1;
                (self.auth_in_a_row >= FATAL_IN_A_ROW).then_some(StopReason::Auth)
            }
            // A host that does not exist or proves to be another one is a typo, not an outage.
            FailureKind::Connect if !self.is_known_good && is_misdirected(failure) => {
                Some(StopReason::Outage)
            }
            _ => None,
        }
    }

    /// Looks at a failure that would become an item's outcome.
    pub fn item_failed(&mut self, failure: &Failure) -> Verdict {
        match failure.kind {
            // About the item itself, whatever the others do; and a filtered answer was paid for.
            FailureKind::InvalidItem
            | FailureKind::ContentFiltered
            | FailureKind::ContextLength => return Verdict::Record,
            // The key was refused again and nothing has succeeded since: it is gone.
            FailureKind::Auth if self.any_success && self.auth_in_a_row > 1 => {
                return Verdict::Stop(StopReason::Auth);
            }
            _ => {}
        }
        if failure.kind == FailureKind::NotFound {
            // A model may also vanish in the middle of a run.
            self.not_found_in_a_row += 1;
            if self.not_found_in_a_row >= FATAL_IN_A_ROW {
                return Verdict::Stop(StopReason::NotFound);
            }
            if self.any_success {
                return Verdict::SetAside;
            }
        }
        if self.any_success || self.mixed {
            return Verdict::Record;
        }
        let this = Sameness {
            kind: failure.kind,
            status: failure.status,
            provider_code: failure.provider_code.clone(),
        };
        let count = match &mut self.same {
            None => {
                self.same = Some((this, 1));
                1
            }
            Some((same, count)) if *same == this => {
                *count += 1;
                *count
            }
            Some(_) => {
                self.mixed = true;
                return Verdict::Record;
            }
        };
        match failure.kind {
            FailureKind::Auth => Verdict::SetAside,
            kind if count >= SAME_FAILURES => Verdict::Stop(same_failure(kind)),
            _ => Verdict::SetAside,
        }
    }

    /// Looks at the end of the input: what was set aside, when nothing ever succeeded.
    ///
    /// Some means that everything failed because the endpoint cannot be used, so that the items
    /// stay pending.
    pub fn input_ended(&self) -> Option<StopReason> {
        if self.any_success || self.mixed {
            return None;
        }
        let (same, _) = self.same.as_ref()?;
        match same.kind {
            FailureKind::Auth => Some(StopReason::Auth),
            FailureKind::NotFound => Some(StopReason::NotFound),
            FailureKind::Connect => Some(StopReason::Outage),
            _ => None,
        }
    }
}

fn is_misdirected(failure: &Failure) -> bool {
    matches!(
        failure.provider_code.as_deref(),
        Some("dns" | "certificate" | "proxy_login" | "proxy_refused" | "http_1_1_required")
    )
}

fn same_failure(kind: FailureKind) -> StopReason {
    if kind.is_outage_sign() {
        StopReason::Outage
    } else {
        StopReason::SameFailure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind, status: u16) -> Failure {
        Failure {
            status: Some(status),
            ..Failure::new(kind, "")
        }
    }

    #[test]
    fn three_refused_keys_in_a_row_stop() {
        let mut stop = EarlyStop::default();
        let auth = failure(FailureKind::Auth, 401);
        assert_eq!(stop.attempt_failed(&auth), None);
        assert_eq!(stop.attempt_failed(&auth), None);
        stop.success();
        assert_eq!(stop.attempt_failed(&auth), None);
        assert_eq!(stop.attempt_failed(&auth), None);
        assert_eq!(stop.attempt_failed(&auth), Some(StopReason::Auth));
    }

    #[test]
    fn twenty_equal_failures_at_the_start_stop() {
        let mut stop = EarlyStop::default();
        let bad = failure(FailureKind::BadRequest, 400);
        for _ in 1..SAME_FAILURES {
            assert_eq!(stop.item_failed(&bad), Verdict::SetAside);
        }
        assert_eq!(
            stop.item_failed(&bad),
            Verdict::Stop(StopReason::SameFailure)
        );
    }

    #[test]
    fn different_failures_or_a_success_do_not_stop() {
        let mut stop = EarlyStop::default();
        stop.item_failed(&failure(FailureKind::BadRequest, 400));
        let other = failure(FailureKind::BadRequest, 422);
        assert_eq!(stop.item_failed(&other), Verdict::Record);
        assert_eq!(stop.input_ended(), None);
        let mut stop = EarlyStop::default();
        stop.success();
        let bad = failure(FailureKind::BadRequest, 400);
        for _ in 0..100 {
            assert_eq!(stop.item_failed(&bad), Verdict::Record);
        }
    }

    #[test]
    fn an_unknown_model_stops_after_three_or_at_the_end() {
        let mut stop = EarlyStop::default();
        let missing = failure(FailureKind::NotFound, 404);
        assert_eq!(stop.item_failed(&missing), Verdict::SetAside);
        assert_eq!(stop.input_ended(), Some(StopReason::NotFound));
        stop.item_failed(&missing);
        assert_eq!(
            stop.item_failed(&missing),
            Verdict::Stop(StopReason::NotFound)
        );
    }

    #[test]
    fn a_model_that_vanishes_later_stops_too_and_a_single_miss_does_not() {
        let mut stop = EarlyStop::new(true);
        let missing = failure(FailureKind::NotFound, 404);
        assert_eq!(stop.item_failed(&missing), Verdict::SetAside);
        stop.success();
        assert_eq!(stop.item_failed(&missing), Verdict::SetAside);
        assert_eq!(stop.item_failed(&missing), Verdict::SetAside);
        assert_eq!(
            stop.item_failed(&missing),
            Verdict::Stop(StopReason::NotFound)
        );
        assert_eq!(stop.input_ended(), None);
    }

    #[test]
    fn a_host_that_does_not_exist_stops_unless_something_succeeded_in_this_session() {
        let mut nowhere = Failure::new(FailureKind::Connect, "");
        nowhere.provider_code = Some("dns".into());
        for earlier in [false, true] {
            let mut stop = EarlyStop::new(earlier);
            let stopped = stop.attempt_failed(&nowhere);
            assert_eq!(stopped, Some(StopReason::Outage));
            stop.success();
            assert_eq!(stop.attempt_failed(&nowhere), None);
        }
    }

    #[test]
    fn failures_of_items_themselves_never_stop_a_run() {
        for kind in [
            FailureKind::InvalidItem,
            FailureKind::ContentFiltered,
            FailureKind::ContextLength,
        ] {
            let mut stop = EarlyStop::default();
            for _ in 0..100 {
                let verdict = stop.item_failed(&Failure::new(kind, ""));
                assert_eq!(verdict, Verdict::Record, "{kind:?}");
            }
        }
    }

    #[test]
    fn a_key_that_is_revoked_at_the_very_end_leaves_the_item_pending() {
        let mut stop = EarlyStop::new(true);
        let auth = failure(FailureKind::Auth, 401);
        stop.attempt_failed(&auth);
        stop.attempt_failed(&auth);
        assert_eq!(stop.item_failed(&auth), Verdict::Stop(StopReason::Auth));
    }
}
