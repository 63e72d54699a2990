//! The engine in paused time.

use std::future::Future;
use std::pin::pin;

use tokio::task::JoinSet;

use super::*;

const PROMPT: Prompt<'static> = Prompt {
    tokens: 1000,
    text: "",
};

fn engine(config: Batching) -> Engine {
    Engine::new(Batching {
        prefix_cache: false,
        ..config
    })
}

fn submit(engine: &Engine, output: u64) -> Sequence {
    engine.submit(PROMPT, output, Finish::Stop).unwrap()
}

/// Polls once, as a task that is given up afterwards would have.
async fn poll_once(future: impl Future<Output = ()>) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

#[tokio::test(start_paused = true)]
async fn tokens_come_when_their_steps_end() {
    let engine = engine(Batching::default());
    let begun = Instant::now();
    let mut sequence = submit(&engine, 3);
    sequence.reach(0).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    sequence.reach(1).await;
    // 32.101 ms by the polynomial, and tokio's timer counts whole milliseconds.
    assert_eq!(begun.elapsed(), Duration::from_millis(33));
    sequence.reach(1).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(33));
    // Twice 6.153 ms, with 63 of 8192 blocks in use: 44.408 ms in all.
    sequence.reach(99).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(45));
    assert_eq!(engine.metrics().count(Finish::Stop), 1);
}

#[tokio::test(start_paused = true)]
async fn steps_follow_each_other_without_a_gap_from_the_timer() {
    let engine = engine(Batching {
        step_time: super::super::StepTime::Table {
            decode: vec![(1, 1.5)],
            prefill: Vec::new(),
        },
        ..Batching::default()
    });
    let begun = Instant::now();
    submit(&engine, 1001).reach(1001).await;
    // The first step, without decoding, takes the least: 1 ms.
    assert_eq!(begun.elapsed(), Duration::from_millis(1501));
}

#[tokio::test(start_paused = true)]
async fn giving_up_a_wait_loses_nothing() {
    let engine = engine(Batching::default());
    let mut sequence = submit(&engine, 2);
    assert!(!poll_once(sequence.reach(1)).await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(poll_once(sequence.reach(2)).await);
}

#[tokio::test(start_paused = true)]
async fn the_driving_task_is_there_only_while_there_is_work() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let engine = engine(Batching::default());
    assert_eq!(tasks(), 0);
    for _ in 0..3 {
        let mut sequence = submit(&engine, 5);
        assert_eq!(tasks(), 1);
        sequence.reach(5).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(tasks(), 0);
    }
    let sequence = submit(&engine, 5000);
    drop(submit(&engine, 5000));
    assert_eq!(tasks(), 1);
    drop((sequence, engine));
    // The step under way ends, and with it the task.
    tokio::time::sleep(Duration::from_millis(1)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(tasks(), 0);
}

#[test]
fn an_engine_outlives_the_runtime_that_drove_it() {
    let engine = engine(Batching::default());
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let kept = runtime().block_on(async { submit(&engine, 50) });
    drop(kept);
    runtime().block_on(async { submit(&engine, 50).reach(50).await });
    assert_eq!(engine.metrics().count(Finish::Stop), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_sequence_frees_its_blocks_and_its_place() {
    let engine = engine(Batching {
        max_num_seqs: 1,
        max_num_queued_reqs: Some(2),
        ..Batching::default()
    });
    let mut first = submit(&engine, 50);
    let mut second = submit(&engine, 50);
    first.reach(1).await;
    let metrics = engine.metrics();
    assert_eq!((metrics.running, metrics.waiting), (1, 1));
    assert!(metrics.kv_usage > 0.0);
    let refused = engine.submit(PROMPT, 1, Finish::Stop);
    assert_eq!(refused.unwrap_err(), Refused::QueueFull);
    drop(first);
    second.reach(1).await;
    drop(second);
    let metrics = engine.metrics();
    assert_eq!((metrics.running, metrics.waiting), (0, 0));
    assert_eq!((metrics.kv_usage, metrics.count(Finish::Abort)), (0.0, 2));
}

#[tokio::test(start_paused = true)]
async fn the_cache_and_the_figures_are_told() {
    let engine = Engine::new(Batching::default());
    let text = "a long document ".repeat(100);
    let prompt = Prompt {
        tokens: 400,
        text: &text,
    };
    for cached in [0, 384] {
        let mut sequence = engine.submit(prompt, 2, Finish::Length).unwrap();
        sequence.reach(1).await;
        assert_eq!(sequence.cached_tokens(), cached);
        sequence.reach(2).await;
    }
    let mut text = String::new();
    engine.write_metrics(&mut text, "m");
    for line in [
        "vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"m\"} 384.0",
        "vllm:generation_tokens_total{engine=\"0\",model_name=\"m\"} 4.0",
        "vllm:request_success_total{engine=\"0\",finished_reason=\"length\",model_name=\"m\"} 2.0",
    ] {
        assert!(
            text.lines().any(|got| got == line),
            "{line} is not in\n{text}"
        );
    }
    let refused = engine.submit(
        Prompt {
            tokens: 40_000,
            text: "",
        },
        1,
        Finish::Stop,
    );
    assert_eq!(refused.unwrap_err(), Refused::TooLong { longest: 32_768 });
}

/// Keeps clients busy that give up now and then, and tells when each of them ended.
async fn storm(seed: u64) -> (Vec<(usize, Duration)>, Metrics) {
    let engine = engine(Batching {
        kv_blocks: 1024,
        max_num_seqs: 32,
        ..Batching::default()
    });
    let begun = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..300 {
        let engine = engine.clone();
        let mut rng = fastrand::Rng::with_seed(seed + client as u64);
        clients.spawn(async move {
            tokio::time::sleep(Duration::from_millis(rng.u64(..20_000))).await;
            let mut sequence = submit(&engine, rng.u64(1..300));
            let patience = Duration::from_millis(rng.u64(..30_000));
            let _ = tokio::time::timeout(patience, sequence.reach(300)).await;
            (client, begun.elapsed())
        });
    }
    let mut ends = Vec::new();
    while let Some(end) = clients.join_next().await {
        ends.push(end.unwrap());
    }
    (ends, engine.metrics())
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_clients_leaves_nothing_behind_and_repeats_itself() {
    let (ends, metrics) = storm(1).await;
    assert_eq!(
        (metrics.running, metrics.waiting, metrics.kv_usage),
        (0, 0, 0.0)
    );
    let [stopped, aborted] = [Finish::Stop, Finish::Abort].map(|finish| metrics.count(finish));
    assert_eq!(stopped + aborted, 300);
    assert!(
        stopped > 20 && aborted > 20 && metrics.preemptions > 0,
        "{metrics:?}"
    );
    assert_eq!(storm(1).await, (ends, metrics));
}
