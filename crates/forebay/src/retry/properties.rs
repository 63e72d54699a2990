//! What retries promise, over random failures, waits and clocks.

use std::time::Duration;

use proptest::prelude::*;

use super::budget::{PER_SECOND, PER_SUCCESS};
use super::*;
use crate::outcome::{Disposition, Phase};

const KINDS: [FailureKind; 15] = [
    FailureKind::RateLimited,
    FailureKind::QuotaExhausted,
    FailureKind::Overloaded,
    FailureKind::ServerError,
    FailureKind::Connect,
    FailureKind::Timeout {
        phase: Phase::FirstChunk,
    },
    FailureKind::Truncated,
    FailureKind::Malformed,
    FailureKind::BadRequest,
    FailureKind::ContextLength,
    FailureKind::ContentFiltered,
    FailureKind::Auth,
    FailureKind::NotFound,
    FailureKind::InvalidItem,
    FailureKind::Cancelled,
];

fn any_failure() -> impl Strategy<Value = Failure> {
    let wait = prop::option::of(prop_oneof![
        any::<u64>().prop_map(Duration::from_nanos),
        Just(Duration::MAX),
        Just(Duration::ZERO),
    ]);
    let word = prop::option::of(any::<bool>());
    (0..KINDS.len(), wait, word, 0u16..4).prop_map(|(kind, retry_after, should_retry, code)| {
        Failure {
            retry_after,
            should_retry,
            status: (code > 0).then_some(400 + code),
            ..Failure::new(KINDS[kind], "")
        }
    })
}

proptest! {
    /// Retries are at most what successes and time pay for, and the first ten; and whoever is
    /// told a time gets one then.
    #[test]
    fn retries_are_paid_for(
        steps in prop::collection::vec((0u64..40, 0u8..6), 1..600),
    ) {
        let mut budget = Budget::default();
        let (mut now, mut taken, mut earned) = (Duration::ZERO, 0.0, PER_SECOND);
        for (ms, what) in steps {
            now += Duration::from_millis(ms);
            match what {
                0 => {
                    budget.success();
                    earned += PER_SUCCESS;
                }
                1 if taken > 0.0 => {
                    budget.give_back();
                    taken -= 1.0;
                }
                2 => if let Err(later) = budget.take(now) {
                    prop_assert!(later > now && later <= now + Duration::from_millis(101));
                    now = later;
                    prop_assert!(budget.take(now).is_ok());
                    taken += 1.0;
                } else {
                    taken += 1.0;
                },
                _ => taken += f64::from(u8::from(budget.take(now).is_ok())),
            }
            prop_assert!(taken <= earned + now.as_secs_f64() * PER_SECOND + 1e-6);
        }
    }

    /// Whatever an item's attempts end with, it ends: after a bounded number of attempts that
    /// count or of refusals within an hour, and no wait is beyond the longest.
    #[test]
    fn every_item_ends(
        failures in prop::collection::vec(any_failure(), 1..20),
        seed in any::<u64>(),
        max_attempts in 1u32..10,
        max_wait in 0u64..1_000,
    ) {
        let settings = RetrySettings {
            max_attempts,
            max_wait: Duration::from_secs(max_wait),
            ..RetrySettings::default()
        };
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut tries = Tries::default();
        let mut last = None;
        for failure in failures.iter().cycle().take(4_000) {
            let stale = failure.kind == FailureKind::Truncated && rng.bool();
            count(&mut tries, failure, stale, false);
            match decide(&settings, failure, &tries, stale, &mut rng) {
                Decision::GiveUp => {
                    last = Some(failure);
                    break;
                }
                Decision::Retry { after, .. } => {
                    prop_assert!(after <= settings.max_wait.max(LONGEST_WAIT), "{after:?}");
                    tries.age += after.max(Duration::from_secs(1));
                }
            }
        }
        prop_assert!(last.is_some(), "never ends: {tries:?}");
        prop_assert!(tries.charged <= max_attempts);
        prop_assert!(tries.ambiguous <= MAX_AMBIGUOUS + 1 || tries.ambiguous <= max_attempts);
    }

    /// What cannot succeed is tried once unless the provider says otherwise.
    #[test]
    fn what_cannot_succeed_is_tried_once(failure in any_failure()) {
        let settings = RetrySettings::default();
        let mut tries = Tries::default();
        count(&mut tries, &failure, false, false);
        let mut rng = fastrand::Rng::with_seed(1);
        let decision = decide(&settings, &failure, &tries, false, &mut rng);
        let stays = failure.kind.disposition() == Disposition::Permanent
            && failure.kind != FailureKind::Auth
            && failure.should_retry != Some(true);
        prop_assert!(!stays || decision == Decision::GiveUp);
    }

    /// Once something has succeeded, only refused keys and missing models stop a run; at most
    /// twenty items are ever set aside at its start; and failures of different kinds never are.
    #[test]
    fn early_stops_are_rare_and_few_items_wait_for_one(
        failures in prop::collection::vec(any_failure(), 1..200),
        success_at in 0usize..200,
    ) {
        let mut stop = EarlyStop::default();
        let (mut aside, mut any_success) = (0u32, false);
        for (n, failure) in failures.iter().enumerate() {
            if n == success_at {
                stop.success();
                (aside, any_success) = (0, true);
            }
            match stop.item_failed(failure) {
                Verdict::Record => aside = 0,
                Verdict::SetAside => aside += 1,
                Verdict::Stop(_) => {
                    let fatal = matches!(failure.kind, FailureKind::Auth | FailureKind::NotFound);
                    prop_assert!(!any_success || fatal, "{failure:?}");
                    return Ok(());
                }
            }
            let auth = failures.iter().filter(|one| one.kind == FailureKind::Auth).count();
            prop_assert!(aside as usize <= 20 + auth, "{aside} are set aside");
        }
    }
}
