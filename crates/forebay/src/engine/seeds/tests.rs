//! Servers that tell of themselves, and those that do not, in paused time.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use forebay_sim::{Profile, Sim};
use tokio::time::Instant;

use super::*;
use crate::catalogue::endpoint_of;
use crate::config::Timeouts;
use crate::endpoint::ApiKey;
use crate::transport::{Connector, MemoryConnector};

fn endpoint(provider: &str, url: &str) -> Endpoint {
    endpoint_of(provider, Some(ApiKey::new("k").unwrap()), Some(url)).unwrap()
}

fn profile(name: &str) -> Sim {
    Sim::new(Profile::named(name).unwrap().config)
}

fn to(sim: &Sim) -> Transport {
    let sim = sim.clone();
    over(MemoryConnector::new(move |pipe| {
        let server = sim.clone();
        tokio::spawn(async move { server.serve_connection(pipe).await });
    }))
}

fn over(connector: MemoryConnector) -> Transport {
    let url = endpoint("vllm", "http://sim.local/v1").base_url;
    Transport::new(url, Connector::Memory(connector), Timeouts::default()).unwrap()
}

/// Holds a connection open and never says anything.
fn keep_silent(pipe: tokio::io::DuplexStream) {
    tokio::spawn(async move {
        let _open = pipe;
        std::future::pending::<()>().await;
    });
}

async fn told(transport: &Transport, provider: &str) -> Option<f64> {
    let endpoint = endpoint(provider, "http://sim.local/v1");
    let settings = EngineSettings::default();
    begin(transport, &endpoint, &settings, None).await.in_flight
}

fn learnt(in_flight: f64) -> Learnt {
    Learnt {
        in_flight: Some(in_flight),
        ..Learnt::default()
    }
}

#[tokio::test(start_paused = true)]
async fn slots_are_asked_for() {
    assert_eq!(
        told(&to(&profile("llama-cpp")), "llama.cpp").await,
        Some(4.0)
    );
    // Another server at that address.
    assert_eq!(told(&to(&profile("vllm")), "llama.cpp").await, None);
    assert_eq!(told(&to(&profile("healthy")), "llama.cpp").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_holds_a_run_up_for_two_seconds_at_most() {
    let began = Instant::now();
    let silent = over(MemoryConnector::new(keep_silent));
    assert_eq!(told(&silent, "llama.cpp").await, None);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    let gone = over(MemoryConnector::new(drop));
    assert_eq!(told(&gone, "llama.cpp").await, None);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn the_settings_count_before_the_journal_and_that_before_the_server() {
    let transport = to(&profile("llama-cpp"));
    let endpoint = endpoint("llama.cpp", "http://sim.local/v1");
    let nothing = EngineSettings::default();
    let said = EngineSettings {
        learnt: learnt(9.0),
        ..EngineSettings::default()
    };
    let begin = |settings, earlier| begin(&transport, &endpoint, settings, earlier);
    assert_eq!(begin(&nothing, None).await, learnt(4.0));
    assert_eq!(begin(&nothing, Some(learnt(3.0))).await, learnt(3.0));
    assert_eq!(begin(&said, Some(learnt(3.0))).await, learnt(9.0));
    let fixed = EngineSettings {
        concurrency: Concurrency::Fixed(7.try_into().unwrap()),
        ..EngineSettings::default()
    };
    assert_eq!(begin(&fixed, None).await, Learnt::default());
}

#[tokio::test(start_paused = true)]
async fn a_documented_number_holds_at_the_providers_own_address() {
    let transport = to(&profile("healthy"));
    let settings = EngineSettings::default();
    let own = endpoint("deepseek", "https://api.deepseek.com");
    let other = endpoint("deepseek", "http://localhost:1/v1");
    assert_eq!(
        begin(&transport, &own, &settings, None).await,
        learnt(500.0)
    );
    let elsewhere = begin(&transport, &other, &settings, None).await;
    assert_eq!(elsewhere, Learnt::default());
}

/// Looks for a minute, and tells what was seen when.
async fn watch(transport: &Transport, provider: &str) -> Vec<(u64, ServerQueue)> {
    let endpoint = endpoint(provider, "http://sim.local/v1");
    let began = Instant::now();
    let mut seen = Vec::new();
    let Some(mut watch) = Watch::new(transport, &endpoint, &EngineSettings::default()) else {
        return seen;
    };
    while began.elapsed() < Duration::from_secs(60) {
        let queue = poll_fn(|cx| Poll::Ready(watch.poll(began.elapsed(), cx))).await;
        seen.extend(queue.map(|queue| (began.elapsed().as_secs(), queue)));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_looked_at_every_few_seconds() {
    let sim = profile("vllm");
    let transport = to(&sim);
    let seen = watch(&transport, "vllm").await;
    assert!((18..=20).contains(&seen.len()), "{seen:?}");
    assert!(
        seen.iter()
            .all(|(_, queue)| *queue == ServerQueue::default())
    );
    assert_eq!(watch(&transport, "llama.cpp").await, []);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_never_comes_is_looked_for_three_times() {
    let looked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&looked);
    let transport = over(MemoryConnector::new(move |pipe| {
        count.fetch_add(1, Ordering::Relaxed);
        keep_silent(pipe);
    }));
    assert_eq!(watch(&transport, "vllm").await, []);
    assert_eq!(looked.load(Ordering::Relaxed), 3);
}
