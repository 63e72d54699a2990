//! An hour of provider time: long runs in paused time, the same each time.

use std::time::Duration;

use forebay::config::{EngineSettings, Limits};
use forebay_sim::{Config, Faults, Latency};

use crate::harness::{Ended, Scenario, fixed, prompts};

/// 20,000 items at 340 a minute, against a provider that fails in several ways at times.
async fn hour(seed: u64) -> Ended {
    let scenario = Scenario {
        prompts: prompts(20_000),
        settings: EngineSettings {
            concurrency: fixed(64),
            limits: Limits {
                rpm: Some(340.0),
                ..Limits::default()
            },
            seed,
            ..EngineSettings::default()
        },
        ..Scenario::default()
    };
    let sim = Config {
        seed,
        latency: Latency::LogNormal {
            median: Duration::from_secs(2),
            sigma: 0.6,
        },
        faults: Faults {
            error_rate: vec![(500, 0.01), (503, 0.002)],
            reset: 0.002,
            cut: 0.002,
            ..Faults::default()
        },
        limits: forebay_sim::Limits {
            rpm: Some(360),
            burst: Duration::from_secs(10),
            ..forebay_sim::Limits::default()
        },
        ..scenario.sim.clone()
    };
    Scenario { sim, ..scenario }.run().await
}

#[tokio::test(start_paused = true)]
async fn an_hour_with_20_000_items_and_one_seed_is_the_same_twice() {
    let first = hour(7).await;
    assert_eq!(first.summary.ok, 20_000);
    let hours = first.wall.as_secs_f64() / 3600.0;
    assert!((0.97..1.1).contains(&hours), "{hours} h");
    let faults = first.sim.stats();
    assert!(faults.errors > 100 && faults.dropped > 30, "{faults:?}");
    let second = hour(7).await;
    let (first, second) = (first.sim.log(), second.sim.log());
    assert_eq!(first.len(), second.len());
    let differ = first.iter().zip(&second).position(|(a, b)| a != b);
    assert_eq!(differ, None, "the first record that differs");
}
