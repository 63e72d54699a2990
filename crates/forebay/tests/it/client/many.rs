//! Batches and fan-out: order, bounds, and failures that stay their own.

use super::*;
use forebay::FailureKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A simulator that takes 10 ms for each word of its answer, which is the prompt.
fn by_length() -> Config {
    Config {
        latency: Latency::PerToken {
            first: Duration::from_millis(10),
            per_output_token: Duration::from_millis(10),
        },
        ..config()
    }
}

fn words(n: usize) -> String {
    vec!["one"; n].join(" ")
}

#[tokio::test(start_paused = true)]
async fn replies_come_in_order_or_as_they_complete() {
    let sim = Sim::new(by_length());
    let client = client(&sim);
    let prompts = [words(30), words(10), words(20)];
    let requests = || prompts.clone().map(|text| client.chat(GPT).user(text));
    let mut ordered = Vec::new();
    let mut replies = client.batch(requests()).ordered();
    while let Some(reply) = replies.next().await {
        ordered.push(reply.unwrap().text);
    }
    assert_eq!(ordered, prompts);
    let mut completed = Vec::new();
    let mut replies = client.batch(requests()).as_completed();
    while let Some((index, reply)) = replies.next().await {
        assert_eq!(reply.unwrap().text, prompts[index]);
        completed.push(index);
    }
    assert_eq!(completed, [1, 2, 0]);
    assert_eq!(texts(client.batch(requests()).collect().await), prompts);
}

#[tokio::test(start_paused = true)]
async fn one_slow_request_holds_up_no_other() {
    let sim = Sim::new(by_length());
    let client = client(&sim);
    let began = Instant::now();
    client.chat(GPT).user(words(500)).send().await.unwrap();
    let alone = seconds(began);
    let began = Instant::now();
    let lengths = (0..200).map(|n| if n == 0 { 500 } else { 9 });
    let requests = lengths.map(|n| client.chat(GPT).user(words(n)));
    let replies = client.batch(requests).concurrency(13).ordered();
    let replies: Vec<_> = futures_util::StreamExt::collect(replies).await;
    assert_eq!(replies.len(), 200);
    // Twelve places for the others: they are long done when the slow one comes.
    assert_eq!(seconds(began), alone);
}

#[tokio::test(start_paused = true)]
async fn failures_are_kept_per_request() {
    let sim = Sim::new(config());
    let client = client(&sim);
    let models = [GPT, "openai/fault-400", CLAUDE];
    let requests = models.map(|model| client.chat(model).user("x"));
    let replies = client.batch(requests).collect().await;
    assert_eq!(replies[0].as_ref().unwrap().text, "x");
    let failure = replies[1].as_ref().unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadRequest);
    assert_eq!(replies[2].as_ref().unwrap().text, "x");
}

#[tokio::test(start_paused = true)]
async fn requests_are_made_as_they_are_needed() {
    let sim = Sim::new(Config {
        keep_log: false,
        ..config()
    });
    let client = client(&sim);
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let endless = (0u64..).map(|n| {
        counter.fetch_add(1, Ordering::Relaxed);
        client.chat(GPT).user(format!("n{n}"))
    });
    let mut replies = client.batch(endless).concurrency(8).ordered();
    for n in 0..500 {
        assert_eq!(replies.next().await.unwrap().unwrap().text, format!("n{n}"));
        let ahead = made.load(Ordering::Relaxed) - n;
        assert!(ahead <= 8 * 16, "{ahead} requests ahead");
    }
    drop(replies);
    assert_eq!(client.calls_under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn fan_out_takes_as_long_as_the_slowest() {
    let sim = Sim::new(config());
    let client = client(&sim);
    let began = Instant::now();
    let models = [GPT, "openai/fault-400", CLAUDE];
    let answers = client.fan_out(models, client.prompt("hi")).await;
    assert_eq!(seconds(began), 0.5);
    let names: Vec<_> = answers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, models);
    assert!(answers[0].1.is_ok() && answers[1].1.is_err() && answers[2].1.is_ok());
}

#[test]
fn threads_share_a_blocking_client() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let sim = Sim::new(Config {
        latency: Latency::Fixed(Duration::from_millis(2)),
        ..config()
    });
    let (handle, server) = (runtime.handle().clone(), sim.clone());
    let pipes = Connector::Memory(MemoryConnector::new(move |pipe| {
        let server = server.clone();
        handle.spawn(async move { server.serve_connection(pipe).await });
    }));
    let settings = builder(&sim).connector(pipes).concurrency(3);
    let client = forebay::blocking::Client::new(settings).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let client = client.clone();
            scope.spawn(move || {
                for n in 0..10 {
                    let text = format!("{thread}-{n}");
                    let reply = client.chat(GPT).user(&*text).send().unwrap();
                    assert_eq!(reply.text, text);
                }
            });
        }
    });
    let (received, most) = load(&sim);
    assert!(received == 40 && most <= 3, "{received} {most}");
    // Inside of an async runtime it blocks, but does not panic.
    let inside = client.clone();
    let reply = runtime.block_on(async move { inside.chat(GPT).user("in").send() });
    assert_eq!(reply.unwrap().text, "in");
    let pieces: Vec<_> = client.chat(GPT).user("a b c").stream().collect();
    assert!(pieces.iter().all(Result::is_ok) && !pieces.is_empty());
    client.close();
    assert!(client.chat(GPT).user("late").send().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_its_own_size_keeps_within_the_clients_limits() {
    let sim = Sim::new(config());
    let client = builder(&sim).concurrency(5).build().unwrap();
    let requests = || (0..20).map(|n| client.chat(GPT).user(format!("n{n}")));
    let both = futures_util::future::join(
        client.batch(requests()).concurrency(20).collect(),
        client.batch(requests()).concurrency(2).collect(),
    );
    let (wide, narrow) = both.await;
    assert_eq!((texts(wide).len(), texts(narrow).len()), (20, 20));
    assert_eq!(load(&sim), (40, 5));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_slow_holds_up_no_reply() {
    let sim = Sim::new(config());
    let client = client(&sim);
    let asker = client.clone();
    let slow = futures_util::stream::unfold(0, move |n| {
        let request = asker.chat(GPT).user(format!("n{n}"));
        async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Some((request, n + 1))
        }
    });
    let began = Instant::now();
    let mut replies = client.batch_stream(slow).ordered();
    for n in 0..3 {
        let reply = replies.next().await.unwrap().unwrap();
        let came = f64::from(n + 1) * 3.0 + 0.5;
        assert_eq!((reply.text, seconds(began)), (format!("n{n}"), came));
    }
}
