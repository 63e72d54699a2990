//! Limits that change under way, by plain numbers.

use std::num::NonZeroUsize;

use super::super::{LimitedBy, Need, Permit};
use super::*;
use crate::config::{Change, LimitChanges};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, Usage};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn some(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn limiter(limits: Limits) -> Limiter {
    Limiter::new(&EngineSettings {
        concurrency: Concurrency::Fixed(some(100)),
        limits,
        ..EngineSettings::default()
    })
}

fn rates(limits: LimitChanges) -> Tuning {
    Tuning {
        limits,
        ..Tuning::default()
    }
}

/// Admits until something refuses; what refused, and until when.
fn fill(limiter: &mut Limiter, now: Duration) -> (Vec<Permit>, LimitedBy, Option<Duration>) {
    let need = Need {
        input_tokens: 100,
        ..Need::default()
    };
    let mut permits = Vec::new();
    loop {
        match limiter.admit(now, &need) {
            Ok(permit) => permits.push(permit),
            Err(refusal) => return (permits, refusal.by, refusal.until),
        }
    }
}

#[test]
fn a_lower_limit_gives_nothing_up_and_admits_nothing_until_there_is_room() {
    let mut limiter = limiter(Limits::default());
    let (mut permits, by, _) = fill(&mut limiter, s(0));
    assert_eq!((permits.len(), by), (100, LimitedBy::Concurrency));
    limiter.tune(
        s(1),
        &Tuning {
            concurrency: Some(Concurrency::Fixed(some(2))),
            ..Tuning::default()
        },
    );
    let in_force = limiter.in_force();
    assert_eq!((in_force.limit, in_force.in_flight), (2, 100));
    while let Some(permit) = permits.pop() {
        assert!(limiter.in_flight() < 2 || fill(&mut limiter, s(1)).0.is_empty());
        limiter.success(s(1), permit, None, Usd::ZERO);
    }
    assert_eq!(fill(&mut limiter, s(1)).0.len(), 2);
}

#[test]
fn a_higher_limit_and_a_lifted_rate_hold_at_once() {
    let mut limiter = limiter(Limits {
        rps: Some(10.0),
        ..Limits::default()
    });
    assert_eq!(fill(&mut limiter, s(0)).0.len(), 6);
    limiter.tune(
        s(0),
        &Tuning {
            concurrency: Some(Concurrency::Fixed(some(120))),
            ..rates(LimitChanges {
                rps: Some(Change::Lift),
                ..LimitChanges::default()
            })
        },
    );
    let (permits, by, _) = fill(&mut limiter, s(0));
    assert_eq!((permits.len(), by), (114, LimitedBy::Concurrency));
    assert_eq!(limiter.in_force().limits, Limits::default());
}

#[test]
fn what_was_used_of_a_rate_stays_used() {
    // Six thousand tokens at ten a second are ten minutes of debt.
    let mut limiter = limiter(Limits {
        tpm: Some(600.0),
        ..Limits::default()
    });
    let need = Need {
        input_tokens: 6_000,
        ..Need::default()
    };
    let permit = limiter.admit(s(0), &need).unwrap();
    let to = |tpm| {
        rates(LimitChanges {
            tpm: Some(Change::To(tpm)),
            ..LimitChanges::default()
        })
    };
    limiter.tune(s(100), &to(6_000.0));
    let until = fill(&mut limiter, s(100)).2.unwrap();
    // The five thousand that are still owed take fifty seconds at a hundred a second.
    assert_eq!(until, Duration::from_millis(149_500));
    // What the answer did not take is given back at the new rate.
    let usage = Usage {
        input_tokens: 3_000,
        ..Usage::default()
    };
    limiter.success(s(101), permit, Some(&usage), Usd::ZERO);
    let until = fill(&mut limiter, s(101)).2.unwrap();
    assert_eq!(until, Duration::from_millis(119_500));
}

#[test]
fn reservations_from_before_a_limit_are_none_of_its_charges() {
    let mut limiter = limiter(Limits::default());
    let need = Need {
        input_tokens: 100_000,
        ..Need::default()
    };
    let early = limiter.admit(s(0), &need).unwrap();
    limiter.tune(
        s(1),
        &rates(LimitChanges {
            tpm: Some(Change::To(6_000.0)),
            ..LimitChanges::default()
        }),
    );
    let small = Need {
        input_tokens: 200,
        ..Need::default()
    };
    let _late = limiter.admit(s(1), &small).unwrap();
    let failure = Failure::new(FailureKind::Connect, "refused");
    limiter.failed(s(1), early, &failure, None);
    assert_eq!(fill(&mut limiter, s(1)).1, LimitedBy::Tpm);
}

#[test]
fn requests_of_a_day_count_whatever_the_limit_was_then() {
    let mut limiter = limiter(Limits {
        rpd: Some(50),
        ..Limits::default()
    });
    limiter.add_earlier_requests(10);
    let rpd = |change| {
        rates(LimitChanges {
            rpd: Some(change),
            ..LimitChanges::default()
        })
    };
    let (first, by, _) = fill(&mut limiter, s(0));
    assert_eq!((first.len(), by), (40, LimitedBy::Rpd));
    limiter.tune(s(1), &rpd(Change::Lift));
    let (second, by, _) = fill(&mut limiter, s(1));
    assert_eq!((second.len(), by), (60, LimitedBy::Concurrency));
    limiter.tune(s(2), &rpd(Change::To(110)));
    for permit in first.into_iter().chain(second) {
        limiter.success(s(2), permit, None, Usd::ZERO);
    }
    let (third, by, until) = fill(&mut limiter, s(2));
    assert_eq!(
        (third.len(), by, until),
        (0, LimitedBy::Rpd, Some(s(86_400)))
    );
    limiter.tune(s(3), &rpd(Change::To(111)));
    assert_eq!(fill(&mut limiter, s(3)).0.len(), 1);
}

#[test]
fn a_limit_that_finds_itself_begins_where_the_fixed_one_was() {
    let mut limiter = limiter(Limits::default());
    let to = |concurrency| Tuning {
        concurrency: Some(concurrency),
        ..Tuning::default()
    };
    for (setting, limit) in [
        (Concurrency::DEFAULT, 100),
        (Concurrency::Auto { max: some(30) }, 30),
        (Concurrency::Fixed(some(45)), 45),
        (Concurrency::Auto { max: some(40) }, 40),
    ] {
        limiter.tune(s(1), &to(setting));
        assert_eq!(limiter.in_force().limit, limit, "{setting:?}");
        let (permits, _, _) = fill(&mut limiter, s(1));
        assert_eq!(permits.len(), limit, "{setting:?}");
        for permit in permits {
            limiter.success(s(1), permit, None, Usd::ZERO);
        }
    }
}

#[test]
fn nothing_that_is_not_named_changes() {
    let limits = Limits {
        rpm: Some(600.0),
        rpd: Some(7),
        ..Limits::default()
    };
    let mut limiter = limiter(limits);
    limiter.tune(
        s(1),
        &Tuning {
            target_utilization: Some(0.5),
            ..Tuning::default()
        },
    );
    let in_force = limiter.in_force();
    assert_eq!(in_force.limits, limits);
    assert_eq!(in_force.limit, 100);
    assert_eq!(in_force.target_utilization, 0.5);
}
