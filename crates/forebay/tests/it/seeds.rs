//! Runs that begin with what a server tells of itself.

use std::time::Duration;

use forebay::catalogue::Seed;
use forebay::endpoint::Endpoint;
use forebay::engine::Command;
use forebay::transport::{Connector, MemoryConnector};
use forebay_sim::{Config, Profile, Sim};

use crate::harness::{Ended, Scenario, prompts};

/// A run against a ready-made profile, whose endpoint is known to tell of itself so.
async fn run(scenario: Scenario, profile: &str, seed: Seed) -> Ended {
    let endpoint = Endpoint {
        seed,
        ..scenario.endpoint()
    };
    let scenario = Scenario {
        sim: Config {
            keep_log: true,
            log_prompts: true,
            answers: forebay_sim::Answers::Echo,
            ..Profile::named(profile).unwrap().config
        },
        ..scenario
    };
    let sim = Sim::new(scenario.sim.clone());
    let server = sim.clone();
    let connector = MemoryConnector::new(move |pipe| {
        let server = server.clone();
        tokio::spawn(async move { server.serve_connection(pipe).await });
    });
    let connector = Connector::Memory(connector);
    scenario.run_at(endpoint, sim, connector).await
}

#[tokio::test(start_paused = true)]
async fn a_run_begins_with_the_slots_of_the_server() {
    let sent_at_once = async |seed| {
        let scenario = Scenario {
            prompts: prompts(100),
            orders: vec![(Duration::from_millis(20), Command::Abort)],
            ..Scenario::default()
        };
        run(scenario, "llama-cpp", seed).await.sim.stats().received
    };
    assert_eq!(sent_at_once(Seed::LlamaProps).await, 4);
    assert_eq!(sent_at_once(Seed::InFlight(7)).await, 7);
    let unknown = sent_at_once(Seed::None).await;
    assert!(unknown > 4, "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_looked_at_disturbs_nothing() {
    let scenario = Scenario {
        prompts: prompts(2_000),
        ..Scenario::default()
    };
    let ended = run(scenario, "vllm", Seed::VllmMetrics).await;
    assert_eq!(ended.summary.ok, 2_000);
    assert_eq!(ended.sim.stats().received, 2_000, "pages are no calls");
}
