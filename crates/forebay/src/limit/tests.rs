//! The limiter as a whole, by plain numbers and by properties.

mod adaptive;
mod properties;

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::config::{Concurrency, Limits};

fn limiter(limits: Limits, in_flight: usize) -> Limiter {
    Limiter::new(&EngineSettings {
        concurrency: Concurrency::Fixed(in_flight.try_into().unwrap()),
        limits,
        ..EngineSettings::default()
    })
}

fn used(input: u64, output: u64) -> Usage {
    Usage {
        input_tokens: input,
        output_tokens: output,
        ..Usage::default()
    }
}

/// An overload in the middle of a stream is charged against the cap on cost, another one is not.
#[test]
fn an_overload_after_content_is_charged() {
    for (answer_began, fits) in [(false, true), (true, false)] {
        let mut limiter = Limiter::new(&EngineSettings {
            max_cost: Some(Usd::from_picos(150)),
            ..EngineSettings::default()
        });
        let need = Need {
            worst_cost: Some(Usd::from_picos(100)),
            ..Need::default()
        };
        let permit = limiter.admit(Duration::ZERO, &need).unwrap();
        let failure = Failure {
            answer_began,
            ..Failure::new(FailureKind::Overloaded, "")
        };
        limiter.failed(Duration::ZERO, permit, &failure, None);
        let later = Duration::from_secs(3_600);
        assert_eq!(limiter.admit(later, &need).is_ok(), fits, "{answer_began}");
    }
}

/// Sends for `seconds` as fast as the limiter lets, each answer taking `latency`; returns when
/// each request was sent.
fn send_for(limiter: &mut Limiter, seconds: u64, latency: Duration) -> Vec<Duration> {
    let end = Duration::from_secs(seconds);
    let (mut now, mut sent, mut flying) = (Duration::ZERO, Vec::new(), VecDeque::new());
    while now < end {
        while flying.front().is_some_and(|(due, _)| *due <= now) {
            let (_, permit) = flying.pop_front().unwrap();
            limiter.success(now, permit, None, Usd::ZERO);
        }
        match limiter.admit(now, &Need::default()) {
            Ok(permit) => {
                sent.push(now);
                flying.push_back((now + latency, permit));
            }
            Err(refusal) => {
                let settled = flying.front().map(|(due, _)| *due);
                // Timers of the runtime have a millisecond's grain and fire late.
                now = [refusal.until, settled]
                    .into_iter()
                    .flatten()
                    .min()
                    .unwrap()
                    + Duration::from_micros(900);
            }
        }
    }
    sent
}

fn most_in_a_minute(sent: &[Duration]) -> usize {
    let minute = Duration::from_secs(60);
    (0..sent.len())
        .map(|first| {
            sent[first..]
                .iter()
                .take_while(|at| **at - sent[first] < minute)
                .count()
        })
        .max()
        .unwrap_or(0)
}

#[test]
fn requests_per_minute_are_kept_and_used() {
    let limits = Limits {
        rpm: Some(600.0),
        ..Limits::default()
    };
    let sent = send_for(&mut limiter(limits, 100), 180, Duration::from_millis(700));
    // Half a second's worth of burst and the request that empties it.
    assert!(
        most_in_a_minute(&sent) <= 600 + 6,
        "{}",
        most_in_a_minute(&sent)
    );
    assert!(sent.len() as f64 >= 0.98 * 1_800.0, "{}", sent.len());
}

#[test]
fn the_latest_of_several_rates_refuses() {
    let limits = Limits {
        rps: Some(10.0),
        rpm: Some(60.0),
        ..Limits::default()
    };
    let mut limiter = limiter(limits, 100);
    let _first = limiter.admit(Duration::ZERO, &Need::default()).unwrap();
    let refusal = limiter.admit(Duration::ZERO, &Need::default()).unwrap_err();
    assert_eq!(
        (refusal.by, refusal.until),
        (LimitedBy::Rpm, Some(Duration::from_millis(500)))
    );
}

#[test]
fn a_day_is_a_budget_and_not_a_pace() {
    let limits = Limits {
        rpd: Some(3),
        ..Limits::default()
    };
    let mut limiter = limiter(limits, 100);
    limiter.add_earlier_requests(1);
    let _a = limiter.admit(Duration::ZERO, &Need::default()).unwrap();
    let _b = limiter.admit(Duration::ZERO, &Need::default()).unwrap();
    let refusal = limiter
        .admit(Duration::from_secs(5), &Need::default())
        .unwrap_err();
    assert_eq!(refusal.by, LimitedBy::Rpd);
    assert_eq!(refusal.until, Some(Duration::from_secs(86_400)));
}

#[test]
fn what_was_never_sent_is_given_back() {
    let limits = Limits {
        rpm: Some(60.0),
        ..Limits::default()
    };
    let mut limiter = limiter(limits, 1);
    for _ in 0..10 {
        let permit = limiter.admit(Duration::ZERO, &Need::default()).unwrap();
        let failure = Failure::new(FailureKind::Connect, "refused");
        limiter.failed(Duration::ZERO, permit, &failure, None);
    }
    assert_eq!(limiter.in_flight(), 0);
}

proptest! {
    /// Tokens: whatever answers really use, no minute sees more than the limit, the burst and
    /// what the estimates of the requests in flight were short of; and the limit is used.
    #[test]
    fn tokens_per_minute_are_kept_and_used(seed in 0u64..1_000, mean in 20u64..400) {
        let limits = Limits { tpm: Some(60_000.0), ..Limits::default() };
        let mut limiter = limiter(limits, 50);
        let mut estimator = Estimator::default();
        let request = Sketch { guess: 50.0, ..Sketch::default() };
        let mut rng = fastrand::Rng::with_seed(seed);
        let latency = Duration::from_millis(900);
        let end = Duration::from_secs(240);
        let mut now = Duration::ZERO;
        let mut flying: VecDeque<(Duration, Permit, Estimate, u64)> = VecDeque::new();
        let mut log: Vec<(Duration, u64)> = Vec::new();
        while now < end {
            while flying.front().is_some_and(|(due, ..)| *due <= now) {
                let (_, permit, estimate, tokens) = flying.pop_front().unwrap();
                let usage = used(50, tokens);
                estimator.learn(&estimate, &usage);
                limiter.success(now, permit, Some(&usage), Usd::ZERO);
            }
            let estimate = estimator.estimate(&request);
            let need = Need {
                input_tokens: estimate.input_tokens,
                output_tokens: estimate.output_tokens,
                reserved_output: estimate.output_tokens,
                worst_cost: None,
            };
            match limiter.admit(now, &need) {
                Ok(permit) => {
                    let tokens = rng.u64(1..mean * 2);
                    log.push((now, 50 + tokens));
                    flying.push_back((now + latency, permit, estimate, tokens));
                }
                Err(refusal) => {
                    let settled = flying.front().map(|(due, ..)| *due);
                    now = [refusal.until, settled].into_iter().flatten().min().unwrap()
                        + Duration::from_micros(900);
                }
            }
        }
        let minute = Duration::from_secs(60);
        let steady: u64 = log.iter().filter(|(at, _)| *at >= minute).map(|(_, n)| n).sum();
        // 50 in flight of 0.9 s each limit the smallest answers, not the tokens.
        let possible = (180.0 * 1_000.0_f64).min(180.0 * (50.0 / 0.901) * (50 + mean) as f64);
        prop_assert!(steady as f64 >= 0.98 * possible, "{steady} of {possible}");
        for first in 0..log.len() {
            let window: u64 = log[first..].iter()
                .take_while(|(at, _)| *at - log[first].0 < minute).map(|(_, n)| n).sum();
            // Half a second of burst, one request, and at most 50 estimates short by a mean.
            let most = 60_000 + 500 + (50 + 2 * mean) + 50 * mean;
            prop_assert!(window <= most, "{window} > {most}");
        }
    }

    /// Permits come back whatever the ends are.
    #[test]
    fn permits_always_come_back(ends in prop::collection::vec(0u8..4, 1..400)) {
        let mut limiter = limiter(Limits::default(), 7);
        let mut now = Duration::ZERO;
        let mut held = VecDeque::new();
        for end in ends {
            now += Duration::from_millis(10);
            if let Ok(permit) = limiter.admit(now, &Need::default()) {
                held.push_back(permit);
            } else {
                now += Duration::from_secs(61);
            }
            prop_assert!(limiter.in_flight() <= 7);
            if held.len() < 7 && end != 0 {
                continue;
            }
            let Some(permit) = held.pop_front() else { continue };
            let failure = |kind| Failure::new(kind, "");
            match end {
                0 => limiter.success(now, permit, None, Usd::ZERO),
                1 => limiter.failed(now, permit, &failure(FailureKind::RateLimited), None),
                2 => limiter.failed(now, permit, &failure(FailureKind::Truncated), None),
                _ => limiter.failed(now, permit, &failure(FailureKind::Cancelled), None),
            }
        }
        for permit in held {
            limiter.success(now, permit, None, Usd::ZERO);
        }
        prop_assert_eq!(limiter.in_flight(), 0);
    }
}
