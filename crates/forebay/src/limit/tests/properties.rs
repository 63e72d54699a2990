//! What the limiter promises, over random limits, requests, ends and clocks.

use std::time::Duration;

use proptest::prelude::*;

use super::{limiter, used};
use crate::config::{Limits, RetrySettings};
use crate::limit::hold::Hold;
use crate::limit::{Limiter, Need, Permit};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, Phase};

/// What a bucket lets through ahead of time, in seconds, and what rounding may add to that.
const BURST_S: f64 = super::super::bucket::BURST_S + 1e-3;

/// One rate as it is seen from outside: what was charged, when, and what was given back.
struct Meter {
    per_s: f64,
    /// Charges less what was given back, before the newest charge.
    net: f64,
    /// The least of net charges less what time allowed, over all times of charges.
    floor: f64,
    largest: f64,
    /// The most that any window had beyond its due.
    worst: f64,
}

impl Meter {
    fn new(per_s: f64) -> Meter {
        Meter {
            per_s,
            net: 0.0,
            floor: f64::INFINITY,
            largest: 0.0,
            worst: f64::NEG_INFINITY,
        }
    }

    /// Notes a charge, and looks at every window that ends with it.
    fn charge(&mut self, now: Duration, units: f64) {
        let due = now.as_secs_f64() * self.per_s;
        self.floor = self.floor.min(self.net - due);
        self.net += units;
        self.largest = self.largest.max(units);
        let over = self.net - due - self.floor;
        let allowed = self.per_s * BURST_S + self.largest;
        self.worst = self.worst.max(over - allowed);
    }

    fn give_back(&mut self, units: f64) {
        self.net -= units;
    }

    fn is_kept(&self) -> bool {
        self.worst <= 1e-6 * (1.0 + self.net.abs())
    }
}

/// What a rate counts of input and output tokens.
type Unit = fn(u64, u64) -> f64;

/// The meters of a limiter: requests, input, output and all tokens.
struct Meters([Option<(Meter, Unit)>; 5]);

impl Meters {
    fn new(limits: &Limits) -> Meters {
        let one: Unit = |_, _| 1.0;
        let meter = |limit: Option<f64>, seconds: f64, unit: Unit| {
            limit.map(|limit| (Meter::new(limit / seconds), unit))
        };
        Meters([
            meter(limits.rps, 1.0, one),
            meter(limits.rpm, 60.0, one),
            meter(limits.tpm, 60.0, |input, output| (input + output) as f64),
            meter(limits.itpm, 60.0, |input, _| input as f64),
            meter(limits.otpm, 60.0, |_, output| output as f64),
        ])
    }

    fn charge(&mut self, now: Duration, need: &Need) {
        for (meter, unit) in self.0.iter_mut().flatten() {
            meter.charge(now, unit(need.input_tokens, need.output_tokens));
        }
    }

    /// Corrects what was charged to what was used; `None` when it was never sent.
    fn settle(&mut self, need: &Need, used: Option<(u64, u64)>) {
        for (meter, unit) in self.0.iter_mut().flatten() {
            let was = unit(need.input_tokens, need.output_tokens);
            let is = used.map_or(0.0, |(input, output)| unit(input, output));
            meter.give_back(was - is);
        }
    }

    fn are_kept(&self) -> bool {
        self.0.iter().flatten().all(|(meter, _)| meter.is_kept())
    }
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let some = |from: f64, to: f64| prop::option::of(from..to);
    let tokens = || prop::option::of(1_000.0..500_000.0);
    (
        some(0.5, 200.0),
        some(10.0, 6_000.0),
        tokens(),
        tokens(),
        tokens(),
    )
        .prop_map(|(rps, rpm, tpm, itpm, otpm)| Limits {
            rps,
            rpm,
            tpm,
            itpm,
            otpm,
            rpd: None,
        })
}

/// One attempt in flight.
struct Flying {
    due: Duration,
    permit: Permit,
    need: Need,
}

/// Ends an attempt in a random way, and tells the meters what that gives back.
fn end(
    limiter: &mut Limiter,
    meters: &mut Meters,
    now: Duration,
    flying: Flying,
    rng: &mut fastrand::Rng,
) {
    let Flying { permit, need, .. } = flying;
    match rng.u8(..8) {
        0..=3 => {
            // Anything from nothing to twice the estimate.
            let output = rng.u64(..=2 * need.output_tokens);
            let input = rng.u64(..=2 * need.input_tokens);
            meters.settle(&need, Some((input, output)));
            limiter.success(now, permit, Some(&used(input, output)), Usd::ZERO);
        }
        4 => {
            meters.settle(&need, None);
            let failure = Failure::new(FailureKind::Cancelled, "");
            limiter.failed(now, permit, &failure, None);
        }
        5 => {
            meters.settle(&need, None);
            let failure = Failure::new(FailureKind::Connect, "");
            limiter.failed(now, permit, &failure, None);
        }
        6 => {
            meters.settle(&need, Some((need.input_tokens, 0)));
            let phase = Phase::Total;
            let failure = Failure::new(FailureKind::Timeout { phase }, "");
            limiter.failed(now, permit, &failure, None);
        }
        _ => {
            meters.settle(&need, Some((need.input_tokens, 0)));
            limiter.success(now, permit, None, Usd::ZERO);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In any window of `w` seconds, what is charged less what is given back is at most the rate
    /// times `w` and half a second, and one request: for all rates at once, whatever requests
    /// need and however they end. (Requests that are never sent are taken out whole.)
    #[test]
    fn no_window_sees_more_than_promised(
        limits in any_limits(),
        seed in any::<u64>(),
        in_flight in 1usize..200,
        latency_ms in 1u64..20_000,
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut limiter = limiter(limits, in_flight);
        let mut meters = Meters::new(&limits);
        let mut flying: Vec<Flying> = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..4_000 {
            while let Some(at) = flying.iter().position(|one| one.due <= now) {
                let one = flying.swap_remove(at);
                end(&mut limiter, &mut meters, now, one, &mut rng);
            }
            let need = Need {
                input_tokens: rng.u64(1..2_000),
                output_tokens: rng.u64(1..1_000),
                ..Need::default()
            };
            match limiter.admit(now, &need) {
                Ok(permit) => {
                    meters.charge(now, &need);
                    let due = now + Duration::from_millis(rng.u64(..=latency_ms));
                    flying.push(Flying { due, permit, need });
                }
                Err(refusal) => {
                    let ends = flying.iter().map(|one| one.due).min();
                    let next = [refusal.until, ends].into_iter().flatten().min();
                    prop_assert!(next.is_some(), "{refusal:?} for ever");
                    now = now.max(next.unwrap()) + Duration::from_micros(rng.u64(..1_000));
                }
            }
            prop_assert!(limiter.in_flight() == flying.len() && flying.len() <= in_flight);
        }
        prop_assert!(meters.are_kept());
    }

    /// A rate that limits is used to at least 98 %, whatever requests need, when there are enough
    /// of them and their needs are known.
    #[test]
    fn a_rate_that_limits_is_used(
        which in 0usize..5,
        rate in 0.5f64..50.0,
        mean in 2u64..500,
        seed in any::<u64>(),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        // So that about `rate` requests a second fit.
        let minute = 60.0 * rate * mean as f64;
        let mut limits = Limits::default();
        match which {
            0 => limits.rps = Some(rate),
            1 => limits.rpm = Some(60.0 * rate),
            2 => limits.tpm = Some(2.0 * minute),
            3 => limits.itpm = Some(minute),
            _ => limits.otpm = Some(minute),
        }
        let mut limiter = limiter(limits, 10_000);
        let seconds = 60.0f64.max(400.0 / rate);
        let end = Duration::from_secs_f64(seconds);
        let (mut now, mut units) = (Duration::ZERO, 0.0);
        while now < end {
            let need = Need {
                input_tokens: rng.u64(1..2 * mean),
                output_tokens: rng.u64(1..2 * mean),
                ..Need::default()
            };
            match limiter.admit(now, &need) {
                Ok(permit) => {
                    let (input, output) = (need.input_tokens, need.output_tokens);
                    units += [1, 1, input + output, input, output][which] as f64;
                    limiter.success(now, permit, Some(&used(input, output)), Usd::ZERO);
                }
                Err(refusal) => now = refusal.until.unwrap() + Duration::from_micros(900),
            }
        }
        let per_s = [rate, rate, minute / 30.0, minute / 60.0, minute / 60.0][which];
        let share = units / (per_s * seconds);
        prop_assert!(share >= 0.98, "{share}");
    }

    /// Whatever waits are asked for, in whatever order, nobody is held longer than the longest
    /// wait and its jitter: what asks for more parks, and says until when.
    #[test]
    fn no_hold_is_longer_than_the_longest_wait(
        asked in prop::collection::vec((0u64..100, prop::option::of(any::<f64>()), 0u8..4), 1..60),
        max_wait in 1u64..1_000,
    ) {
        let max_wait = Duration::from_secs(max_wait);
        let mut hold = Hold::new(max_wait, 1);
        let mut now = Duration::ZERO;
        let own = Duration::from_secs(61);
        for (step, wait, what) in asked {
            now += Duration::from_secs(step);
            let wait = wait.and_then(|wait| Duration::try_from_secs_f64(wait.abs()).ok());
            match (what, wait) {
                (0, _) => hold.taken(now, now, true),
                (1, Some(wait)) => hold.ask(now, wait),
                (2, wait) => hold.overload(now, Duration::ZERO, false, wait),
                (_, wait) => hold.overload(now, now, true, wait),
            }
            let Err(refusal) = hold.check(now) else { continue };
            let until = refusal.until.expect("no probe is under way");
            match hold.parked_until(now) {
                Some(parked) => prop_assert_eq!(parked, until),
                None => prop_assert!(until <= now + max_wait.max(own) + Duration::from_secs(1)),
            }
        }
    }

    /// The cap on cost holds whatever attempts cost, and all of it can be used.
    #[test]
    fn the_cap_on_cost_holds_and_is_used(
        seed in any::<u64>(),
        cap in 1i128..1_000_000,
        steps in 1usize..400,
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let settings = crate::config::EngineSettings {
            concurrency: crate::config::Concurrency::Fixed(20.try_into().unwrap()),
            max_cost: Some(Usd::from_picos(cap)),
            retry: RetrySettings::default(),
            ..Default::default()
        };
        let mut limiter = Limiter::new(&settings);
        let (mut spent, mut flying) = (0, Vec::new());
        for _ in 0..steps {
            let worst = i128::from(rng.u64(..1_000));
            let need = Need { worst_cost: Some(Usd::from_picos(worst)), ..Need::default() };
            let reserved: i128 = flying.iter().map(|(_, worst)| worst).sum();
            match limiter.admit(Duration::ZERO, &need) {
                Ok(permit) => flying.push((permit, worst)),
                Err(_) => prop_assert!(flying.len() == 20 || spent + reserved + worst > cap),
            }
            prop_assert!(spent + flying.iter().map(|(_, worst)| worst).sum::<i128>() <= cap);
            if flying.is_empty() || rng.bool() {
                continue;
            }
            let (permit, worst) = flying.swap_remove(rng.usize(..flying.len()));
            let cost = i128::from(rng.u64(..=worst as u64));
            let billed = match rng.u8(..3) {
                0 => {
                    limiter.success(Duration::ZERO, permit, None, Usd::from_picos(cost));
                    cost
                }
                1 => {
                    // Perhaps billed, so taken for the worst.
                    let failure = Failure::new(FailureKind::Malformed, "");
                    limiter.failed(Duration::ZERO, permit, &failure, None);
                    worst
                }
                _ => {
                    let failure = Failure::new(FailureKind::Cancelled, "");
                    limiter.failed(Duration::ZERO, permit, &failure, None);
                    0
                }
            };
            spent += billed;
        }
        for (permit, _) in flying {
            limiter.success(Duration::ZERO, permit, None, Usd::ZERO);
        }
        let rest = Need { worst_cost: Some(Usd::from_picos(cap - spent)), ..Need::default() };
        prop_assert!(limiter.admit(Duration::ZERO, &rest).is_ok(), "the rest can be used");
    }
}
