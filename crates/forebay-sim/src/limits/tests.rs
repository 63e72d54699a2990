//! Limits in plain numbers.

use super::*;
use crate::config::{Limits, Ramp, Step, Tenant};

fn limiter(limits: Limits) -> Limiter {
    Limiter::new(&Config {
        limits,
        ..Config::default()
    })
}

const NOW: Duration = Duration::ZERO;
const SMALL: Charge = Charge {
    input: 10,
    reserved: 110,
};

#[test]
fn a_refused_request_takes_nothing() {
    let limiter = limiter(Limits {
        rpm: Some(60),
        tpm: Some(150),
        ..Limits::default()
    });
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    let refused = limiter.admit(SMALL, NOW);
    let Err(Refusal::Exhausted {
        meter,
        used,
        requested,
        wait,
        ..
    }) = refused
    else {
        panic!("expected a refusal, got {refused:?}");
    };
    assert_eq!((meter, used, requested), (Meter::Tokens, 110, 110));
    assert_eq!(wait, Duration::from_secs(28));
    assert_eq!(limiter.levels(NOW).requests.unwrap().remaining, 59);
}

#[test]
fn rejected_requests_count_when_told() {
    let limiter = limiter(Limits {
        rpm: Some(2),
        count_failed: true,
        ..Limits::default()
    });
    let second = |s| Duration::from_secs(s);
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    assert!(limiter.admit(SMALL, second(20)).is_err());
    assert!(limiter.admit(SMALL, second(40)).is_err());
    assert_eq!(limiter.admit(SMALL, second(70)), Ok(()));
}

#[test]
fn settling_corrects_to_the_tokens_used() {
    let limiter = limiter(Limits {
        tpm: Some(150),
        otpm: Some(20),
        ..Limits::default()
    });
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    limiter.settle(SMALL, 25, NOW);
    let levels = limiter.levels(NOW);
    assert_eq!(levels.tokens.unwrap().remaining, 115);
    assert_eq!(levels.output.unwrap().remaining, 0);
    let refused = limiter.admit(SMALL, NOW);
    assert!(matches!(
        refused,
        Err(Refusal::Exhausted {
            meter: Meter::OutputTokens,
            ..
        })
    ));
}

#[test]
fn failed_requests_get_their_charge_back() {
    let limiter = limiter(Limits {
        rpm: Some(1),
        tpm: Some(150),
        ..Limits::default()
    });
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    limiter.settle_failed(SMALL, NOW);
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
}

#[test]
fn a_request_above_the_limit_is_too_large() {
    let limiter = limiter(Limits {
        tpm: Some(100),
        ..Limits::default()
    });
    let refused = limiter.admit(SMALL, NOW);
    assert!(matches!(
        refused,
        Err(Refusal::TooLarge { requested: 110, .. })
    ));
}

#[test]
fn places_in_flight_are_given_back() {
    let limiter = limiter(Limits {
        max_in_flight: Some(1),
        ..Limits::default()
    });
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    assert_eq!(
        limiter.admit(SMALL, NOW),
        Err(Refusal::InFlight { limit: 1 })
    );
    limiter.leave();
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
}

#[test]
fn a_day_refuses_like_a_minute() {
    let limiter = limiter(Limits {
        rpd: Some(2),
        ..Limits::default()
    });
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    let wait = limiter.admit(SMALL, NOW).unwrap_err().wait();
    assert_eq!(wait, Some(Duration::from_secs(43_200)));
    assert_eq!(limiter.levels(NOW).requests_per_day.unwrap().remaining, 0);
}

#[test]
fn capacity_and_tenant_change_what_is_admitted() {
    let second = Duration::from_secs;
    let limiter = Limiter::new(&Config {
        limits: Limits {
            rpm: Some(600),
            burst: second(1),
            ..Limits::default()
        },
        capacity: vec![Step {
            at: second(60),
            factor: 0.5,
        }],
        tenant: Some(Tenant {
            rpm: 180.0,
            tokens: 0.0,
            from: second(120),
            until: second(180),
        }),
        ..Config::default()
    });
    let admitted = |from: u64| {
        (from * 100..(from + 10) * 100)
            .filter(|at| limiter.admit(SMALL, Duration::from_millis(at * 10)).is_ok())
            .inspect(|_| limiter.leave())
            .count()
    };
    // 10, then 5, then 2 a second, each with what the bucket held at the beginning.
    assert_eq!(admitted(10), 109);
    assert_eq!(admitted(70), 54);
    assert_eq!(admitted(130), 24);
    assert_eq!(admitted(190), 54);
}

#[test]
fn a_ramp_refuses_with_its_own_reason() {
    let limiter = limiter(Limits {
        ramp: Some(Ramp {
            start: 1,
            growth: 2.0,
            window: Duration::from_secs(60),
        }),
        ..Limits::default()
    });
    assert_eq!(limiter.admit(SMALL, NOW), Ok(()));
    let refused = limiter.admit(SMALL, Duration::from_secs(20));
    let wait = Duration::from_secs(40);
    assert_eq!(refused, Err(Refusal::Ramp { wait }));
}
