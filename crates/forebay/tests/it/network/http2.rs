//! The same over HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forebay::endpoint::{Endpoint, HttpVersion};
use forebay::transport::{Connector, MemoryConnector};
use forebay_sim::{Action, Latency, Shape, Sim};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::sockets::{net, on_loopback, quick};
use crate::harness::{Ended, Scenario, first_tries, fixed, prompts};

/// Items that are answered half a second after they came, at so many at once.
fn scenario(n: usize, at_once: usize) -> Scenario {
    let mut scenario = Scenario {
        prompts: prompts(n),
        ..Scenario::default()
    };
    scenario.settings.concurrency = fixed(at_once);
    scenario
}

fn h2(mut endpoint: Endpoint) -> Endpoint {
    endpoint.http = HttpVersion::Http2;
    endpoint
}

/// Runs over pipes in paused time, with a server that knows of HTTP/2 beforehand.
async fn run(scenario: Scenario) -> Ended {
    let sim = Sim::new(scenario.sim.clone());
    let server = sim.clone();
    let pipes = MemoryConnector::new(move |pipe| {
        let server = server.clone();
        tokio::spawn(async move { server.serve_connection(pipe).await });
    });
    let endpoint = h2(scenario.endpoint());
    scenario
        .run_at(endpoint, sim, Connector::Memory(pipes))
        .await
}

fn attempts(ended: &Ended) -> Vec<u64> {
    let attempts = ended.rows.iter().map(|row| row["attempts"].as_u64());
    attempts.map(Option::unwrap).collect()
}

/// All went well at the first attempt, as the rows and the summary tell.
fn all_well(ended: &Ended) {
    assert_eq!(ended.summary.failed, 0);
    assert_eq!(ended.summary.failed_attempts, []);
    assert!(attempts(ended).iter().all(|attempts| *attempts == 1));
    assert_eq!(ended.summary.maybe_billed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_opens_a_connection_for_each_hundred_requests() {
    let ended = run(scenario(1_000, 250)).await;
    all_well(&ended);
    let stats = ended.sim.stats();
    assert_eq!((stats.connections, stats.max_in_flight), (3, 250));
}

#[tokio::test(start_paused = true)]
async fn thousands_in_flight_take_no_longer_than_one() {
    let ended = run(scenario(2_000, 2_000)).await;
    all_well(&ended);
    let stats = ended.sim.stats();
    assert_eq!((stats.connections, stats.max_in_flight), (20, 2_000));
    assert!(ended.wall < Duration::from_secs(1), "{:?}", ended.wall);
}

#[tokio::test(start_paused = true)]
async fn more_connections_are_opened_where_the_server_allows_fewer_streams() {
    let mut scenario = scenario(300, 60);
    scenario.sim.http2.max_streams = 10;
    let ended = run(scenario).await;
    all_well(&ended);
    let stats = ended.sim.stats();
    assert_eq!(stats.max_in_flight, 60);
    // What was refused over the first is sent elsewhere before it is known how much that is.
    assert!((6..=12).contains(&stats.connections), "{stats:?}");
}

/// Fault 5: a stream that the server refuses to look at is sent again, and costs nothing.
#[tokio::test(start_paused = true)]
async fn a_refused_stream_costs_no_attempt() {
    let mut scenario = scenario(300, 50);
    scenario.sim.http2.refuse_every = 7;
    let ended = run(scenario).await;
    all_well(&ended);
    assert_eq!(ended.sim.stats().received, 300);
}

/// Faults 5, 26: a server that refuses every stream is one that has too much to do.
#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_all_streams_is_overloaded() {
    let mut scenario = scenario(4, 1);
    scenario.sim.http2.refuse_every = 1;
    scenario.settings.retry.max_attempts = 2;
    scenario.settings.retry.max_outage = Duration::from_secs(60);
    let ended = run(scenario).await;
    assert_eq!(ended.summary.ok, 0);
    assert_eq!(ended.sim.stats().received, 0);
    assert_eq!(ended.summary.maybe_billed, 0);
    let labels = ended
        .summary
        .failed_attempts
        .iter()
        .map(|(kind, _)| kind.label());
    assert_eq!(labels.collect::<Vec<_>>(), ["overloaded"]);
}

/// Fault 5: what a `GOAWAY` says was not looked at goes to another connection and costs nothing.
#[tokio::test(start_paused = true)]
async fn what_a_server_that_goes_away_has_not_looked_at_costs_no_attempt() {
    let mut scenario = scenario(300, 50);
    scenario.sim.http2.go_away_after = 20;
    let ended = run(scenario).await;
    all_well(&ended);
    let stats = ended.sim.stats();
    assert_eq!(stats.received, 300);
    assert!(stats.connections >= 15, "{stats:?}");
}

/// Faults 6, 7: a stream that is reset costs an attempt, and the others of its connection nothing.
#[tokio::test(start_paused = true)]
async fn a_reset_strikes_one_stream() {
    for action in [
        Action::Reset,
        Action::CutAfter(0),
        Action::CutAfter(400),
        Action::Shaped(Shape {
            cut_body: Some(0.5),
            ..Shape::default()
        }),
    ] {
        let mut scenario = scenario(100, 100);
        let struck = action.clone();
        scenario.sim.script = first_tries(1, move |call| match call.prompt.ends_with('7') {
            true => struck.clone(),
            false => Action::Answer,
        });
        let ended = run(scenario).await;
        assert_eq!((ended.summary.ok, ended.summary.failed), (100, 0));
        let twice = attempts(&ended).iter().filter(|n| **n == 2).count();
        assert_eq!(twice, 10, "{action:?}");
        let [(kind, 10)] = ended.summary.failed_attempts[..] else {
            panic!("{:?}", ended.summary.failed_attempts)
        };
        assert_eq!(kind.label(), "truncated");
        assert_eq!(ended.summary.maybe_billed, 10, "{action:?}");
        assert_eq!(ended.sim.stats().connections, 1, "{action:?}");
    }
}

/// Fault 8: a stream that ends before its end is cut, wherever that is.
#[tokio::test(start_paused = true)]
async fn a_streamed_answer_that_is_cut_is_asked_for_again() {
    for frames in 0..6 {
        let mut scenario = scenario(5, 5);
        scenario.stream = true;
        scenario.sim.script = first_tries(1, move |_| {
            Action::Shaped(Shape {
                cut_after_frames: Some(frames),
                ..Shape::default()
            })
        });
        let ended = run(scenario).await;
        assert_eq!((ended.summary.ok, ended.summary.failed), (5, 0));
        assert_eq!(attempts(&ended), [2; 5], "after {frames} frames");
        assert_eq!(ended.sim.stats().connections, 1);
    }
}

/// Fault 10: an answer that never begins ends by its deadline and resets its stream only.
#[tokio::test(start_paused = true)]
async fn a_stalled_stream_ends_by_its_deadline() {
    let mut scenario = scenario(50, 50);
    scenario.settings.timeouts.first_byte = Duration::from_secs(20);
    scenario.sim.script = first_tries(1, |call| match call.prompt.ends_with('3') {
        true => Action::Stall,
        false => Action::Answer,
    });
    let ended = run(scenario).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (50, 0));
    assert_eq!(
        ended.summary.failed_attempts[0].0.label(),
        "timeout_first_chunk"
    );
    assert_eq!(ended.summary.failed_attempts[0].1, 5);
    assert_eq!(ended.summary.maybe_billed, 5);
    let stats = ended.sim.stats();
    assert_eq!((stats.connections, stats.in_flight), (1, 0));
}

/// Faults 11, 13: what comes too slowly ends by its deadline over HTTP/2 too.
#[tokio::test(start_paused = true)]
async fn a_stalled_body_ends_by_its_deadline() {
    let mut scenario = scenario(10, 10);
    scenario.settings.timeouts.idle = Duration::from_secs(20);
    scenario.sim.script = first_tries(1, |_| {
        Action::Shaped(Shape {
            stall_body: Some(0.5),
            ..Shape::default()
        })
    });
    let ended = run(scenario).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0));
    assert_eq!(
        ended.summary.failed_attempts[0].0.label(),
        "timeout_between_chunks"
    );
    assert_eq!(ended.sim.stats().connections, 1);
}

/// Fault 29: bytes that are no HTTP reset the stream, or are told from an answer.
#[tokio::test(start_paused = true)]
async fn an_answer_that_lies_about_its_length_is_none() {
    let mut scenario = scenario(5, 5);
    scenario.sim.script = first_tries(1, |_| Action::Reply {
        status: 200,
        headers: vec![("content-length".into(), "9999".into())],
        body: b"{}".to_vec(),
    });
    let ended = run(scenario).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (5, 0));
    assert_eq!(attempts(&ended), [2; 5]);
}

/// Fault 33: a head that is larger than any is none.
#[tokio::test(start_paused = true)]
async fn a_head_beyond_the_cap_is_no_answer() {
    let mut scenario = scenario(5, 5);
    scenario.sim.script = first_tries(1, |_| Action::Reply {
        status: 200,
        headers: vec![("x-filler".into(), "a".repeat(80_000))],
        body: b"{}".to_vec(),
    });
    let ended = run(scenario).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (5, 0));
    assert_eq!(attempts(&ended), [2; 5]);
    assert_eq!(ended.summary.failed_attempts[0].0.label(), "malformed");
}

/// Carries bytes between two pipes until it is told to lose them.
async fn carry(mut from: DuplexStream, mut to: DuplexStream, is_lost: Arc<AtomicBool>) {
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    loop {
        let (n, to_server) = tokio::select! {
            n = from.read(&mut up) => (n, true),
            n = to.read(&mut down) => (n, false),
        };
        let Ok(n @ 1..) = n else { return };
        let sent = match (is_lost.load(Ordering::Relaxed), to_server) {
            (true, _) => Ok(()),
            (false, true) => to.write_all(&up[..n]).await,
            (false, false) => from.write_all(&down[..n]).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Fault 57: a connection on which nothing answers any more is given up long before an answer is
/// late.
#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_noticed_by_its_silence() {
    let mut scenario = scenario(10, 10);
    scenario.sim.latency = Latency::Fixed(Duration::from_secs(200));
    scenario.settings.timeouts.first_byte = Duration::from_secs(600);
    let sim = Sim::new(scenario.sim.clone());
    let is_lost = Arc::new(AtomicBool::new(false));
    let (server, lost) = (sim.clone(), Arc::clone(&is_lost));
    let is_first = AtomicBool::new(true);
    let pipes = MemoryConnector::new(move |pipe| {
        let lost = match is_first.swap(false, Ordering::Relaxed) {
            true => Arc::clone(&lost),
            false => Arc::default(),
        };
        tokio::spawn(carry(pipe, server.connect(), lost));
    });
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        is_lost.store(true, Ordering::Relaxed);
    });
    let endpoint = h2(scenario.endpoint());
    let ended = scenario
        .run_at(endpoint, sim, Connector::Memory(pipes))
        .await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0));
    assert_eq!(attempts(&ended), [2; 10]);
    // A minute until it is asked, twenty seconds for the answer, and the second attempt.
    let wall = ended.wall.as_secs();
    assert!((280..300).contains(&wall), "{wall} s");
}

/// Fault 5: an idle connection that the server has dropped without a word costs no attempt.
#[tokio::test(start_paused = true)]
async fn a_stale_connection_costs_no_attempt_over_http2_either() {
    let mut scenario = scenario(2, 1);
    let sim = Sim::new(scenario.sim.clone());
    let server = sim.clone();
    let is_first = AtomicBool::new(true);
    let pipes = MemoryConnector::new(move |pipe| {
        let other = server.connect();
        match is_first.swap(false, Ordering::Relaxed) {
            true => tokio::spawn(answer_once(pipe, other, server.clone())),
            false => tokio::spawn(carry(pipe, other, Arc::default())),
        };
    });
    // No attempt may be charged at all.
    scenario.settings.retry.max_attempts = 1;
    scenario.settings.limits.rps = Some(0.5);
    let endpoint = h2(scenario.endpoint());
    let ended = scenario
        .run_at(endpoint, sim, Connector::Memory(pipes))
        .await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (2, 0));
    assert_eq!(ended.summary.maybe_billed, 0);
    assert_eq!(ended.summary.failed_attempts[0].0.label(), "truncated");
    assert_eq!(ended.sim.stats().connections, 2);
}

/// Carries bytes until one request was answered, and hangs up when more come.
async fn answer_once(mut client: DuplexStream, mut server: DuplexStream, sim: Sim) {
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    let mut answered = false;
    loop {
        tokio::select! {
            n = client.read(&mut up) => {
                let Ok(n @ 1..) = n else { return };
                // Frames of the client's own housekeeping are short.
                if answered && n > 60 {
                    return;
                }
                if server.write_all(&up[..n]).await.is_err() {
                    return;
                }
            }
            n = server.read(&mut down) => {
                let Ok(n @ 1..) = n else { return };
                if client.write_all(&down[..n]).await.is_err() {
                    return;
                }
                answered = sim.stats().answered_ok > 0;
            }
        }
    }
}

/// Fault 33: an answer without end is given up over HTTP/2 too, and fills no memory before.
#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let mut scenario = quick(2);
    scenario.settings.concurrency = fixed(2);
    scenario.sim.script = first_tries(1, |_| Action::Endless(forebay_sim::Endless::Body));
    let (endpoint, sim) = on_loopback(&scenario).await;
    let ended = scenario.run_at(h2(endpoint), sim, net()).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (2, 0));
    assert_eq!(ended.summary.failed_attempts[0].0.label(), "malformed");
}

#[tokio::test]
async fn prior_knowledge_works_over_sockets() {
    let mut scenario = quick(500);
    scenario.settings.concurrency = fixed(150);
    let (endpoint, sim) = on_loopback(&scenario).await;
    let ended = scenario.run_at(h2(endpoint), sim, net()).await;
    all_well(&ended);
    assert!(ended.sim.stats().connections <= 2);
}
