//! Limits that are told, by literals.

use super::*;
use crate::config::Limits;
use crate::limit::Rates;

const NONE: Levels = [f32::NAN; METERS.len()];

/// What an attempt without tokens was charged.
const FREE: Reservation = Reservation {
    input_tokens: 0,
    output_tokens: 0,
    reserved_output: 0,
    changes: 0,
};

fn told(limit: f64, remaining: f64) -> Told {
    Told {
        requests: Some(Level {
            limit,
            per_s: limit / 60.0,
            remaining: Some(remaining),
        }),
        ..Told::default()
    }
}

/// As if each answer told the limits again.
fn believe(meters: &mut Meters) {
    for meter in meters.meters.iter_mut().flatten() {
        meter.believed_s = f64::INFINITY;
    }
}

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Sends whenever it may, for some seconds; how many were sent.
fn send(meters: &mut Meters, from: f64, to: f64) -> usize {
    let (mut now, mut sent) = (from, 0);
    while now < to {
        match meters.check(s(now), &Need::default()) {
            Ok(()) => {
                meters.charge(s(now), &Need::default());
                sent += 1;
            }
            Err(refusal) => now = refusal.until.unwrap().as_secs_f64() + 1e-9,
        }
    }
    sent
}

#[test]
fn what_is_left_is_used_at_once_and_the_rest_at_the_rate() {
    let mut meters = Meters::new(1.0);
    meters.told(s(0.0), (&NONE, FREE), &told(600.0, 300.0));
    believe(&mut meters);
    let at_once = send(&mut meters, 0.0, 0.1);
    assert!((276..=281).contains(&at_once), "{at_once}");
    send(&mut meters, 0.1, 10.0);
    let steady = send(&mut meters, 10.0, 70.0);
    assert!((595..=605).contains(&steady), "{steady}");
}

#[test]
fn a_share_of_the_key_leaves_the_rest_to_others() {
    let mut meters = Meters::new(0.5);
    meters.told(s(0.0), (&NONE, FREE), &told(600.0, 600.0));
    believe(&mut meters);
    send(&mut meters, 0.0, 20.0);
    assert!(meters.meters[0].unwrap().level >= 300.0);
    let steady = send(&mut meters, 20.0, 80.0);
    assert!((290..=310).contains(&steady), "{steady}");
}

#[test]
fn use_by_others_slows_down_and_own_use_is_not_counted_twice() {
    let mut meters = Meters::new(1.0);
    meters.told(s(0.0), (&NONE, FREE), &told(600.0, 600.0));
    let before = meters.levels();
    for _ in 0..10 {
        meters.charge(s(0.0), &Need::default());
    }
    // Looked at after five of the ten: between what was thought then and now.
    meters.told(s(0.0), (&before, FREE), &told(600.0, 595.0));
    assert_eq!(meters.meters[0].unwrap().level, 590.0);
    meters.told(s(0.0), (&before, FREE), &told(600.0, 5.0));
    assert_eq!(meters.meters[0].unwrap().level, 6.0);
    assert!(meters.check(s(0.0), &Need::default()).is_ok());
    meters.charge(s(0.0), &Need::default());
    let refusal = meters.check(s(0.0), &Need::default()).unwrap_err();
    assert_eq!(refusal.by, LimitedBy::Rpm);
    assert!(refusal.until.unwrap() > s(0.2), "{refusal:?}");
}

#[test]
fn a_limit_that_nobody_tells_again_is_outgrown_until_somebody_does() {
    let mut meters = Meters::new(1.0);
    meters.told(s(0.0), (&NONE, FREE), &told(600.0, 0.0));
    let believed = send(&mut meters, 0.0, 15.0);
    assert!((120..=150).contains(&believed), "{believed}");
    let tried = send(&mut meters, 15.0, 60.0);
    assert!(tried > 600, "{tried}");
    meters.told(s(60.0), (&NONE, FREE), &told(600.0, 0.0));
    let believed = send(&mut meters, 60.0, 75.0);
    assert!((120..=150).contains(&believed), "{believed}");
}

#[test]
fn a_day_is_a_budget() {
    let mut meters = Meters::new(1.0);
    let day = Told {
        requests_per_day: Some(Level {
            limit: 200.0,
            per_s: 200.0 / 86_400.0,
            remaining: Some(3.0),
        }),
        ..Told::default()
    };
    meters.told(s(0.0), (&NONE, FREE), &day);
    assert_eq!(send(&mut meters, 0.0, 1.0), 3);
    let refusal = meters.check(s(1.0), &Need::default()).unwrap_err();
    assert_eq!(refusal.by, LimitedBy::Rpd);
}

#[test]
fn a_request_larger_than_the_bucket_goes_when_it_is_full() {
    let mut meters = Meters::new(1.0);
    let tokens = Told {
        tokens: Some(Level {
            limit: 6_000.0,
            per_s: 100.0,
            remaining: Some(1_000.0),
        }),
        ..Told::default()
    };
    meters.told(s(0.0), (&NONE, FREE), &tokens);
    let need = Need {
        input_tokens: 9_000,
        ..Need::default()
    };
    let refusal = meters.check(s(0.0), &need).unwrap_err();
    assert_eq!(refusal.until, Some(s(50.0)));
    assert!(meters.check(s(50.0), &need).is_ok());
    let reservation = Rates::new(&Limits::default())
        .reserve(s(50.0), &need)
        .unwrap();
    assert!(meters.explain(reservation), "9,000 of 6,000");
    meters.charge(s(50.0), &need);
    assert_eq!(meters.levels()[2], -3_000.0);
    meters.settle(reservation, (1_000, 0));
    assert_eq!(meters.levels()[2], 5_000.0);
}
