//! What happens after a failed attempt.
//!
//! Owns the decision to try again, the wait before it, the budget that retries spend from, and
//! the signs that a whole run should stop. Never waits or sends; waits are served by the
//! delayed queue, which holds no permit.

mod budget;
mod early_stop;

use std::time::Duration;

pub use budget::Budget;
pub use early_stop::{EarlyStop, Verdict};

use crate::config::RetrySettings;
use crate::outcome::{Failure, FailureKind};

/// First upper bound of a random wait; doubled per try. The official SDKs' value.
const BASE_WAIT: Duration = Duration::from_millis(500);
/// The largest upper bound of a random wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Retries of failures after which the provider may have billed: generation calls have no
/// idempotency key, so each of these may be paid again.
const MAX_AMBIGUOUS: u32 = 2;
/// How long rows may be refused for rate while others succeed.
const MAX_REFUSED_AGE: Duration = Duration::from_secs(3600);
/// Refused keys per item before its failure is its own (another item's success in between).
const MAX_AUTH: u32 = 2;

/// What was tried for an item so far, the failed attempt included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// Attempts of any kind, as rows show them.
    pub attempts: u32,
    /// Attempts that count against the maximum.
    pub charged: u32,
    /// Refusals for rate.
    pub refused: u32,
    /// Failures after which the provider may have billed.
    pub ambiguous: u32,
    /// Refused keys.
    pub auth: u32,
    /// Closings of a reused connection before any byte of the answer.
    pub stale: u32,
    /// Time since the first attempt.
    pub age: Duration,
}

/// What to do with an item after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this wait.
    Retry {
        /// The wait.
        after: Duration,
        /// Whether the retry spends from the budget.
        spends: bool,
    },
    /// The failure is the item's outcome.
    GiveUp,
}

/// Counts a failed attempt.
///
/// `stale` says that a reused connection was closed before any byte of the answer came;
/// `outage` that the endpoint is known to be down, so that nothing is the item's fault.
pub fn count(tries: &mut Tries, failure: &Failure, stale: bool, outage: bool) {
    tries.attempts += 1;
    tries.stale += u32::from(stale);
    if is_free(tries, stale) {
        return;
    }
    match failure.kind {
        FailureKind::RateLimited => tries.refused += 1,
        FailureKind::Auth => tries.auth += 1,
        _ => {
            tries.charged += u32::from(!outage);
            tries.ambiguous += u32::from(failure.may_have_been_billed());
        }
    }
}

/// Decides whether and when an item is tried again, after [`count`] counted the attempt.
pub fn decide(
    settings: &RetrySettings,
    failure: &Failure,
    tries: &Tries,
    stale: bool,
    rng: &mut fastrand::Rng,
) -> Decision {
    if is_free(tries, stale) {
        return Decision::Retry {
            after: Duration::ZERO,
            spends: false,
        };
    }
    if !worth_trying(settings, failure, tries) {
        return Decision::GiveUp;
    }
    let refused = failure.kind == FailureKind::RateLimited;
    let n = if refused {
        tries.refused
    } else {
        tries.charged
    };
    let own = full_jitter(n.saturating_sub(1), rng);
    // A wait beyond the longest parks the endpoint; the item itself only has to step back.
    let asked = failure
        .retry_after
        .filter(|wait| *wait <= settings.max_wait);
    Decision::Retry {
        after: asked.unwrap_or(own),
        spends: !refused,
    }
}

/// The first closed connection that an item meets is nobody's fault, whatever came before.
fn is_free(tries: &Tries, stale: bool) -> bool {
    stale && tries.stale == 1
}

fn worth_trying(settings: &RetrySettings, failure: &Failure, tries: &Tries) -> bool {
    let attempts_left = tries.charged < settings.max_attempts;
    match failure.kind {
        // Never worth it, whatever the provider says: the key or the input is the matter.
        FailureKind::QuotaExhausted | FailureKind::InvalidItem | FailureKind::Cancelled => false,
        FailureKind::Auth => tries.auth < MAX_AUTH,
        FailureKind::RateLimited => {
            failure.should_retry != Some(false) && tries.age < MAX_REFUSED_AGE
        }
        FailureKind::Overloaded | FailureKind::ServerError | FailureKind::Connect => {
            attempts_left && failure.should_retry != Some(false)
        }
        FailureKind::Timeout { .. } | FailureKind::Truncated | FailureKind::Malformed => {
            attempts_left && failure.should_retry != Some(false) && tries.ambiguous <= MAX_AMBIGUOUS
        }
        FailureKind::BadRequest
        | FailureKind::ContextLength
        | FailureKind::ContentFiltered
        | FailureKind::Length
        | FailureKind::SchemaMismatch
        | FailureKind::NotFound => attempts_left && failure.should_retry == Some(true),
    }
}

/// A random wait between nothing and a bound that doubles per try.
///
/// Source: "Exponential Backoff And Jitter", AWS Architecture Blog; full jitter needs the least
/// total work.
fn full_jitter(doublings: u32, rng: &mut fastrand::Rng) -> Duration {
    let bound = BASE_WAIT.saturating_mul(2u32.saturating_pow(doublings.min(16)));
    bound.min(LONGEST_WAIT).mul_f64(rng.f64())
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Phase;

    fn retries_of(failure: &Failure) -> u32 {
        let settings = RetrySettings::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let mut tries = Tries::default();
        for n in 0..1_000 {
            count(&mut tries, failure, false, false);
            tries.age += Duration::from_secs(10);
            if decide(&settings, failure, &tries, false, &mut rng) == Decision::GiveUp {
                return n;
            }
        }
        panic!("never gives up");
    }

    #[test]
    fn each_kind_is_retried_as_often_as_it_is_worth() {
        let phase = Phase::FirstChunk;
        for (kind, retries) in [
            (FailureKind::ServerError, 4),
            (FailureKind::Overloaded, 4),
            (FailureKind::Connect, 4),
            (FailureKind::Timeout { phase }, 2),
            (FailureKind::Truncated, 2),
            (FailureKind::Malformed, 2),
            (FailureKind::RateLimited, 359),
            (FailureKind::BadRequest, 0),
            (FailureKind::ContextLength, 0),
            (FailureKind::ContentFiltered, 0),
            (FailureKind::NotFound, 0),
            (FailureKind::QuotaExhausted, 0),
            (FailureKind::InvalidItem, 0),
        ] {
            assert_eq!(retries_of(&Failure::new(kind, "")), retries, "{kind:?}");
        }
    }

    #[test]
    fn the_providers_word_beats_the_kind() {
        let mut failure = Failure::new(FailureKind::ServerError, "");
        failure.should_retry = Some(false);
        assert_eq!(retries_of(&failure), 0);
        let mut failure = Failure::new(FailureKind::BadRequest, "");
        failure.should_retry = Some(true);
        assert_eq!(retries_of(&failure), 4);
        let mut failure = Failure::new(FailureKind::QuotaExhausted, "");
        failure.should_retry = Some(true);
        assert_eq!(retries_of(&failure), 0);
    }

    #[test]
    fn an_asked_wait_is_kept_and_an_absurd_one_is_not_slept() {
        let settings = RetrySettings::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let mut failure = Failure::new(FailureKind::RateLimited, "");
        let tries = Tries {
            attempts: 1,
            refused: 1,
            ..Tries::default()
        };
        failure.retry_after = Some(Duration::from_secs(7));
        let Decision::Retry { after, spends } =
            decide(&settings, &failure, &tries, false, &mut rng)
        else {
            panic!("a refusal for rate is retried")
        };
        assert_eq!((after, spends), (Duration::from_secs(7), false));
        failure.retry_after = Some(Duration::MAX);
        let Decision::Retry { after, .. } = decide(&settings, &failure, &tries, false, &mut rng)
        else {
            panic!("a refusal for rate is retried")
        };
        assert!(after <= BASE_WAIT);
    }

    #[test]
    fn a_stale_connection_is_retried_at_once_and_once_for_free() {
        let settings = RetrySettings::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let mut tries = Tries::default();
        let failure = Failure::new(FailureKind::Truncated, "");
        count(&mut tries, &failure, true, false);
        assert_eq!((tries.charged, tries.attempts), (0, 1));
        let free = Decision::Retry {
            after: Duration::ZERO,
            spends: false,
        };
        assert_eq!(decide(&settings, &failure, &tries, true, &mut rng), free);
        count(&mut tries, &failure, true, false);
        assert_eq!(tries.charged, 1);
        assert_ne!(decide(&settings, &failure, &tries, true, &mut rng), free);
    }

    #[test]
    fn a_stale_connection_is_free_after_other_failures_too() {
        let settings = RetrySettings::default();
        let mut rng = fastrand::Rng::with_seed(1);
        let mut tries = Tries::default();
        for kind in [FailureKind::ServerError, FailureKind::RateLimited] {
            count(&mut tries, &Failure::new(kind, ""), false, false);
        }
        let failure = Failure::new(FailureKind::Truncated, "");
        count(&mut tries, &failure, true, false);
        assert_eq!((tries.charged, tries.attempts), (1, 3));
        let free = Decision::Retry {
            after: Duration::ZERO,
            spends: false,
        };
        assert_eq!(decide(&settings, &failure, &tries, true, &mut rng), free);
    }

    #[test]
    fn an_outage_burns_no_attempts() {
        let mut tries = Tries::default();
        let failure = Failure::new(FailureKind::ServerError, "");
        count(&mut tries, &failure, false, true);
        assert_eq!((tries.attempts, tries.charged), (1, 0));
    }
}
