//! Limits that are changed while a run goes on.

use std::time::Duration;

use forebay::config::{Change, Concurrency, LimitChanges, Limits, Tuning};
use forebay::engine::Command;
use forebay_sim::Latency;

use crate::harness::{Ended, Scenario, fixed, prompts};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn to(concurrency: Concurrency) -> Command {
    Command::Tune(Tuning {
        concurrency: Some(concurrency),
        ..Tuning::default()
    })
}

fn rps(change: Change<f64>) -> Command {
    let limits = LimitChanges {
        rps: Some(change),
        ..LimitChanges::default()
    };
    Command::Tune(Tuning {
        limits,
        ..Tuning::default()
    })
}

/// So many items, each half a second, so many at once; and orders at times.
async fn run(items: usize, in_flight: usize, orders: Vec<(Duration, Command)>) -> Ended {
    let mut scenario = Scenario {
        prompts: prompts(items),
        orders,
        ..Scenario::default()
    };
    scenario.settings.concurrency = fixed(in_flight);
    let ended = scenario.run().await;
    assert_eq!(ended.summary.ok, items as u64);
    assert_eq!(ended.summary.attempts, items as u64);
    assert_eq!(ended.summary.maybe_billed, 0);
    ended
}

#[tokio::test(start_paused = true)]
async fn a_higher_limit_is_used_at_once_and_items_are_read_ahead_for_it() {
    let ended = run(610, 2, vec![(ms(2_100), to(fixed(200)))]).await;
    // Ten items by then; the other six hundred in three rounds, or a fourth for what two began.
    assert!(ended.wall <= ms(4_700), "{:?}", ended.wall);
    let tuned = ended.events.iter().filter(|event| *event == "LimitsTuned");
    assert_eq!(tuned.count(), 1);
    assert_eq!(ended.stats.limit, 200);
    let in_force = ended.summary.in_force.unwrap();
    assert!(matches!(in_force.concurrency, Concurrency::Fixed(n) if n.get() == 200));
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_lets_what_is_in_flight_end() {
    let ended = run(150, 50, vec![(ms(600), to(fixed(3)))]).await;
    // A hundred are under way or done; the other fifty go by threes.
    assert!(ended.wall >= ms(9_300), "{:?}", ended.wall);
    assert!(ended.wall <= ms(9_700), "{:?}", ended.wall);
}

#[tokio::test(start_paused = true)]
async fn a_rate_holds_from_then_on_and_is_lifted_again() {
    let slow = rps(Change::To(2.0));
    let ended = run(60, 10, vec![(ms(1_100), slow)]).await;
    // Thirty at ten in half a second; thirty at two a second.
    assert!(ended.wall >= ms(14_500), "{:?}", ended.wall);
    assert!(ended.wall <= ms(16_500), "{:?}", ended.wall);
    assert_eq!(ended.stats.limits.rps, Some(2.0));
    let orders = vec![(ms(1_100), slow), (ms(6_100), rps(Change::Lift))];
    let ended = run(60, 10, orders).await;
    assert!(ended.wall <= ms(8_000), "{:?}", ended.wall);
    assert_eq!(ended.stats.limits, Limits::default());
}

/// Whatever is changed and when: every item has its row, and nothing is sent twice.
#[tokio::test(start_paused = true)]
async fn no_change_loses_or_doubles_an_item() {
    for seed in 0..12 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut orders = Vec::new();
        let mut at = Duration::ZERO;
        for _ in 0..rng.usize(1..12) {
            at += ms(rng.u64(0..1_500));
            orders.push((at, any(&mut rng)));
        }
        let mut scenario = Scenario {
            prompts: prompts(300),
            orders,
            ..Scenario::default()
        };
        scenario.settings.concurrency = setting(&mut rng);
        scenario.settings.seed = seed + 1;
        scenario.sim.latency = Latency::Fixed(ms(rng.u64(1..2_000)));
        let ended = scenario.run().await;
        assert_eq!(ended.summary.ok, 300, "seed {seed}");
        assert_eq!(ended.summary.attempts, 300, "seed {seed}");
    }
}

fn setting(rng: &mut fastrand::Rng) -> Concurrency {
    let n = rng.usize(1..200).try_into().unwrap();
    match rng.bool() {
        true => Concurrency::Fixed(n),
        false => Concurrency::Auto { max: n },
    }
}

fn any(rng: &mut fastrand::Rng) -> Command {
    let mut change = |least: f64| match rng.u8(0..4) {
        0 => Some(Change::Lift),
        1 => Some(Change::To(least * (1.0 + rng.f64() * 100.0))),
        _ => None,
    };
    let limits = LimitChanges {
        rps: change(1.0),
        rpm: change(60.0),
        tpm: change(1_000.0),
        itpm: change(1_000.0),
        otpm: change(1_000.0),
        rpd: None,
    };
    Command::Tune(Tuning {
        limits,
        concurrency: rng.bool().then(|| setting(rng)),
        target_utilization: rng.bool().then(|| 1.0 - rng.f64() * 0.9),
    })
}
