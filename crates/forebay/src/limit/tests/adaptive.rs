//! What a limiter that finds its limits promises, whatever an endpoint does.

use std::num::NonZeroUsize;
use std::time::Duration;

use proptest::prelude::*;

use super::used;
use crate::config::{Concurrency, EngineSettings, Learnt};
use crate::limit::{Limiter, Need, Permit};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, Phase};
use crate::told::{Level, Told};

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn auto(max: usize) -> EngineSettings {
    EngineSettings {
        concurrency: Concurrency::Auto {
            max: NonZeroUsize::new(max).unwrap(),
        },
        ..EngineSettings::default()
    }
}

/// Sends as much as the limiter lets at this moment.
fn fill(limiter: &mut Limiter, now: Duration) -> Vec<Permit> {
    let mut permits = Vec::new();
    while let Ok(permit) = limiter.admit(now, &Need::default()) {
        permits.push(permit);
    }
    permits
}

fn any_learnt() -> impl Strategy<Value = Learnt> {
    let odd = || {
        prop::option::of(prop::sample::select(vec![
            f64::NAN,
            f64::INFINITY,
            -1.0,
            0.0,
            0.5,
            1.0,
            30.0,
            1e9,
        ]))
    };
    (odd(), odd(), any::<bool>()).prop_map(|(in_flight, requests_per_s, refuses)| Learnt {
        in_flight,
        requests_per_s,
        refuses,
    })
}

fn any_settings() -> impl Strategy<Value = EngineSettings> {
    let share = prop::sample::select(vec![0.01, 0.3, 0.5, 0.9, 1.0]);
    (1usize..300, any::<bool>(), share, any_learnt()).prop_map(|(n, is_fixed, share, learnt)| {
        let mut settings = auto(n);
        if is_fixed {
            settings.concurrency = Concurrency::Fixed(NonZeroUsize::new(n).unwrap());
        }
        settings.target_utilization = share;
        settings.learnt = learnt;
        settings
    })
}

fn any_told(rng: &mut fastrand::Rng) -> Told {
    let mut level = |seconds: f64| {
        let limit = 10f64.powf(6.0 * rng.f64() - 1.0);
        let remaining = (limit * 1.5 * rng.f64()).floor().min(limit);
        (rng.u8(..4) == 0).then_some(Level {
            limit,
            per_s: limit / seconds,
            remaining: rng.bool().then_some(remaining),
        })
    };
    Told {
        requests: level(60.0),
        requests_per_day: None,
        tokens: level(60.0),
        input_tokens: level(60.0),
        output_tokens: level(1.0),
        ..Told::default()
    }
}

fn any_failure(rng: &mut fastrand::Rng) -> Failure {
    let kind = match rng.u8(..8) {
        0 | 1 => FailureKind::RateLimited,
        2 => FailureKind::Overloaded,
        3 => FailureKind::ServerError,
        4 => FailureKind::Timeout {
            phase: Phase::Total,
        },
        5 => FailureKind::Connect,
        6 => FailureKind::BadRequest,
        _ => FailureKind::Cancelled,
    };
    let may_ask = matches!(
        kind,
        FailureKind::RateLimited | FailureKind::Overloaded | FailureKind::ServerError
    );
    let asks = may_ask && rng.u8(..4) == 0;
    Failure {
        retry_after: asks.then(|| s(100.0 * rng.f64().powi(4))),
        ..Failure::new(kind, "")
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever answers tell and however attempts end: a refusal always says when to ask again,
    /// later than now, unless something is in flight; nobody sends before an asked wait is over;
    /// no place is lost, and none is given out twice.
    #[test]
    fn nothing_hangs_and_asked_waits_are_kept(
        settings in any_settings(),
        seed in any::<u64>(),
        badness in 0u8..10,
        latency_ms in 1u64..20_000,
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut limiter = Limiter::new(&settings);
        let most = match settings.concurrency {
            Concurrency::Fixed(n) => n.get(),
            Concurrency::Auto { max } => max.get(),
            Concurrency::Rule(_) => unreachable!("no rule is made"),
        };
        let mut flying: Vec<(Duration, Permit)> = Vec::new();
        let mut now = Duration::ZERO;
        let mut asked_until = Duration::ZERO;
        for _ in 0..3_000 {
            while let Some(at) = flying.iter().position(|(due, _)| *due <= now) {
                let (_, permit) = flying.swap_remove(at);
                if rng.u8(..4) == 0 {
                    limiter.told(now, &permit, &any_told(&mut rng));
                }
                if rng.u8(..10) >= badness {
                    let usage = used(rng.u64(..5_000), rng.u64(..5_000));
                    let usage = rng.bool().then_some(&usage);
                    limiter.success(now, permit, usage, Usd::ZERO);
                } else if rng.u8(..8) == 0 {
                    limiter.abandon(now, permit);
                } else {
                    let failure = any_failure(&mut rng);
                    if let Some(wait) = failure.retry_after {
                        asked_until = asked_until.max(now + wait);
                    }
                    limiter.failed(now, permit, &failure, None);
                }
            }
            let need = Need {
                input_tokens: rng.u64(..2_000),
                output_tokens: rng.u64(..1_000),
                ..Need::default()
            };
            match limiter.admit(now, &need) {
                Ok(permit) => {
                    prop_assert!(now >= asked_until, "{now:?} before {asked_until:?}");
                    let due = now + Duration::from_millis(rng.u64(1..=latency_ms));
                    flying.push((due, permit));
                }
                Err(refusal) => {
                    prop_assert!(refusal.until.is_none_or(|until| until > now), "{now:?} {refusal:?}");
                    let ends = flying.iter().map(|(due, _)| *due).min();
                    let next = [refusal.until, ends].into_iter().flatten().min();
                    prop_assert!(next.is_some(), "{refusal:?} for ever");
                    now = now.max(next.unwrap());
                }
            }
            prop_assert_eq!(limiter.in_flight(), flying.len());
            prop_assert!(flying.len() <= most && limiter.limit() <= most);
        }
    }
}

/// A wait that comes with a late refusal is kept, though what was sent after an earlier refusal
/// is taken meanwhile.
#[test]
fn an_asked_wait_is_kept_when_others_are_taken() {
    let mut limiter = super::limiter(crate::config::Limits::default(), 10);
    let first = limiter.admit(s(0.0), &Need::default()).unwrap();
    let late = limiter.admit(s(0.0), &Need::default()).unwrap();
    let refused = Failure::new(FailureKind::Overloaded, "");
    limiter.failed(s(0.1), first, &refused, None);
    let taken = limiter.admit(s(1.2), &Need::default()).unwrap();
    let asks = Failure {
        retry_after: Some(s(30.0)),
        ..refused
    };
    limiter.failed(s(1.3), late, &asks, None);
    limiter.success(s(2.0), taken, None, Usd::ZERO);
    assert!(limiter.admit(s(31.2), &Need::default()).is_err());
    assert!(limiter.admit(s(35.0), &Need::default()).is_ok());
}

/// Attempts that all run into the same timeout are one sign of too much load: those of before the
/// cut do not tell that the cut made no difference.
#[test]
fn a_burst_of_timeouts_cuts_once_and_stays_cut() {
    let mut limiter = Limiter::new(&auto(2_000));
    let mut burst = vec![limiter.admit(s(0.0), &Need::default()).unwrap()];
    burst.extend(fill(&mut limiter, s(0.6)));
    assert_eq!(burst.len(), 64);
    let phase = Phase::Total;
    let failure = Failure::new(FailureKind::Timeout { phase }, "");
    for permit in burst {
        limiter.failed(s(60.6), permit, &failure, None);
    }
    assert!(limiter.limit() < 64, "{}", limiter.limit());
}

/// A share of what an endpoint takes is found as the whole is.
#[test]
fn a_share_of_an_endpoint_without_limits_grows() {
    let mut settings = auto(2_000);
    settings.target_utilization = 0.5;
    let mut limiter = Limiter::new(&settings);
    let mut now = 0.0;
    for _ in 0..40 {
        let permits = fill(&mut limiter, s(now));
        now += 1.0;
        for permit in permits {
            limiter.success(s(now), permit, Some(&used(10, 100)), Usd::ZERO);
        }
    }
    assert!(limiter.limit() >= 500, "{}", limiter.limit());
}

/// A call that its caller gives up tells nothing of an endpoint that is down.
#[test]
fn an_abandoned_probe_does_not_end_an_outage() {
    let mut limiter = Limiter::new(&auto(2_000));
    let mut now = 0.0;
    let failure = Failure::new(FailureKind::Connect, "");
    while limiter.down_since().is_none() {
        let permit = limiter.admit(s(now), &Need::default()).unwrap();
        now += 0.1;
        limiter.failed(s(now), permit, &failure, None);
    }
    for _ in 0..3 {
        now += 100.0;
        let probe = limiter.admit(s(now), &Need::default()).unwrap();
        limiter.abandon(s(now), probe);
        assert!(limiter.down_since().is_some());
    }
    let probe = limiter.admit(s(now + 100.0), &Need::default()).unwrap();
    limiter.success(s(now + 101.0), probe, None, Usd::ZERO);
    assert!(limiter.down_since().is_none());
}

/// What a journal holds may be anything; a run begins with what makes sense of it.
#[test]
fn a_learnt_rate_that_cannot_be_is_none() {
    for per_s in [f64::NAN, f64::INFINITY, -3.0, 0.0] {
        let mut settings = auto(2_000);
        settings.learnt.requests_per_s = Some(per_s);
        let limiter = Limiter::new(&settings);
        assert_eq!(limiter.learnt_rates().rpm, None, "{per_s}");
    }
}

/// An hour of refusals is over soon after the endpoint takes requests again.
#[test]
fn an_hour_of_refusals_ends() {
    let mut limiter = Limiter::new(&auto(2_000));
    let refused = Failure::new(FailureKind::RateLimited, "");
    let mut now = s(0.0);
    let mut sent = 0;
    let mut send_until = |end: f64, is_up: bool| {
        sent = 0;
        while now < s(end) {
            match limiter.admit(now, &Need::default()) {
                Ok(permit) => {
                    now += s(0.01);
                    sent += 1;
                    match is_up {
                        true => limiter.success(now, permit, None, Usd::ZERO),
                        false => limiter.failed(now, permit, &refused, None),
                    }
                }
                Err(refusal) => now = refusal.until.unwrap() + Duration::from_millis(1),
            }
        }
        sent
    };
    let refusals = send_until(3_600.0, false);
    assert!(refusals < 300, "{refusals}");
    // A probe after a minute at the latest, and then more and more.
    let taken = send_until(3_800.0, true);
    assert!(taken > 1_000, "{taken}");
}

/// A limit per hour that is used up is waited for, however long nobody tells of it.
#[test]
fn a_slow_limit_is_kept_while_it_is_waited_for() {
    let mut limiter = Limiter::new(&auto(2_000));
    let told = Told {
        requests: Some(Level {
            limit: 12.0,
            per_s: 12.0 / 3_600.0,
            remaining: Some(0.0),
        }),
        ..Told::default()
    };
    let mut now = s(0.0);
    let mut sent = Vec::new();
    while now < s(7_200.0) {
        if let Ok(permit) = limiter.admit(now, &Need::default()) {
            sent.push(now);
            limiter.told(now, &permit, &told);
            limiter.success(now, permit, None, Usd::ZERO);
        }
        now += s(0.5);
    }
    let least = sent.windows(2).map(|two| two[1] - two[0]).min().unwrap();
    assert!(least >= s(290.0), "{least:?}");
    assert!(sent.len() >= 20, "{}", sent.len());
}

/// What the limit grew to since a cut is not lost when the cut is taken back.
#[test]
fn an_outage_does_not_bring_an_old_limit_back() {
    let mut limiter = Limiter::new(&auto(2_000));
    let capped = Failure::new(FailureKind::RateLimited, "");
    let failure = Failure::new(FailureKind::Connect, "");
    let first = limiter.admit(s(0.0), &Need::default()).unwrap();
    let mut burst = fill(&mut limiter, s(0.6));
    let last = burst.pop().unwrap();
    limiter.success(s(0.7), first, None, Usd::ZERO);
    limiter.failed(s(0.7), last, &capped, None);
    let mut now = 2.0;
    for permit in burst {
        limiter.success(s(now), permit, None, Usd::ZERO);
    }
    while limiter.limit() < 300 {
        let permits = fill(&mut limiter, s(now));
        now += 1.0;
        for permit in permits {
            limiter.success(s(now), permit, None, Usd::ZERO);
        }
        assert!(now < 1_000.0, "{}", limiter.limit());
    }
    while limiter.down_since().is_none() {
        let permits = fill(&mut limiter, s(now));
        now += 0.1;
        for permit in permits {
            limiter.failed(s(now), permit, &failure, None);
        }
    }
    let probe = limiter.admit(s(now + 100.0), &Need::default()).unwrap();
    limiter.success(s(now + 101.0), probe, None, Usd::ZERO);
    assert!(limiter.down_since().is_none());
    assert!(limiter.limit() >= 250, "{}", limiter.limit());
}

/// A server that refuses everything is asked a few times in a second, however few may be in flight
/// and however soon it answers.
#[test]
fn a_busy_server_is_not_hammered() {
    for (n, most) in [(1, 10), (20, 60)] {
        for kind in [FailureKind::Overloaded, FailureKind::RateLimited] {
            for mut limiter in [
                Limiter::new(&auto(n)),
                super::limiter(crate::config::Limits::default(), n),
            ] {
                let (mut now, mut sent) = (s(0.0), 0);
                while now < s(60.0) {
                    match limiter.admit(now, &Need::default()) {
                        Ok(permit) => {
                            sent += 1;
                            now += s(0.001);
                            limiter.failed(now, permit, &Failure::new(kind, ""), None);
                        }
                        Err(refusal) => now = refusal.until.unwrap(),
                    }
                }
                assert!(sent <= most, "{sent} {kind:?} at {n}");
            }
        }
    }
}

/// A machine that slept for hours goes on as before.
#[test]
fn a_jump_of_the_clock_changes_nothing() {
    let mut limiter = Limiter::new(&auto(2_000));
    let mut now = 0.0;
    let mut limits = Vec::new();
    for turn in 0..60 {
        let permits = fill(&mut limiter, s(now));
        assert!(!permits.is_empty());
        now += if turn == 40 { 30_000.0 } else { 1.0 };
        for (n, permit) in permits.into_iter().enumerate() {
            if n >= 100 {
                let refused = Failure::new(FailureKind::RateLimited, "");
                limiter.failed(s(now - 0.9), permit, &refused, None);
            } else {
                limiter.success(s(now), permit, Some(&used(10, 100)), Usd::ZERO);
            }
        }
        limits.push(limiter.limit());
    }
    assert!(
        limits[41..].iter().all(|limit| (50..200).contains(limit)),
        "{limits:?}"
    );
}

/// Where more is always faster, the most that the user allows is what is used.
#[test]
fn the_users_most_is_used() {
    let mut limiter = Limiter::new(&auto(64));
    let (mut now, mut sum) = (0.0, 0);
    for turn in 0..200 {
        let permits = fill(&mut limiter, s(now));
        if turn >= 20 {
            sum += permits.len();
        }
        now += 1.0;
        for permit in permits {
            limiter.success(s(now), permit, Some(&used(10, 100)), Usd::ZERO);
        }
    }
    let mean = sum as f64 / 180.0;
    // A fifth less is tried from time to time.
    assert!(mean >= 0.95 * 64.0, "{mean}");
}
