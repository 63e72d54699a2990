//! The client without async: batches, threads of other runtimes, and panics that stay their own.

use super::*;
use forebay::FailureKind;
use forebay::blocking;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

/// A runtime for the simulator, and a client of it.
fn start(latency: Latency) -> (Runtime, blocking::Client, Sim) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let sim = Sim::new(Config {
        latency,
        ..config()
    });
    let (handle, server) = (runtime.handle().clone(), sim.clone());
    let pipes = Connector::Memory(MemoryConnector::new(move |pipe| {
        let server = server.clone();
        handle.spawn(async move { server.serve_connection(pipe).await });
    }));
    let client = blocking::Client::new(builder(&sim).connector(pipes)).unwrap();
    (runtime, client, sim)
}

#[test]
fn batches_have_the_same_names() {
    let (_runtime, client, sim) = start(Latency::Zero);
    let texts: Vec<_> = (0..50).map(|n| format!("n{n}")).collect();
    let requests = || -> Vec<_> {
        let requests = texts.iter().map(|text| client.chat(GPT).user(text));
        requests.collect()
    };
    assert_eq!(super::texts(client.batch(requests()).collect()), texts);
    let ordered = client.batch(requests()).concurrency(3).ordered();
    assert_eq!(super::texts(ordered.collect()), texts);
    let ended = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ended);
    let batch = client.batch(requests()).on_event(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let mut seen = Vec::new();
    for (index, reply) in batch.as_completed() {
        assert_eq!(reply.unwrap().text, texts[index]);
        seen.push(index);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    assert_eq!((ended.load(Ordering::Relaxed), load(&sim).0), (50, 150));
    let vectors = client.embed("text-embedding-3-small", ["a", "b"]).unwrap();
    assert_eq!(vectors.vectors.len(), 2);
}

#[test]
fn an_endless_batch_stops_with_its_iterator() {
    let (_runtime, client, _) = start(Latency::Zero);
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let maker = client.clone();
    let endless = (0u64..).map(move |n| {
        counter.fetch_add(1, Ordering::Relaxed);
        maker.chat(GPT).user(format!("n{n}"))
    });
    let mut replies = client.batch(endless).concurrency(4).as_completed();
    for _ in 0..100 {
        replies.next().unwrap().1.unwrap();
    }
    drop(replies);
    // Closing waits for the calls that the dropped iterator has left to end.
    assert_eq!(client.close(), 0);
    // A hundred that were taken, four that waited to be, four under way, one being handed over.
    assert!(made.load(Ordering::Relaxed) <= 120, "{made:?}");
}

#[test]
fn it_works_in_the_threads_of_another_runtime() {
    let (runtime, client, _) = start(Latency::Zero);
    let text = runtime.block_on(async move {
        let inside = tokio::task::spawn_blocking(move || {
            let reply = client.chat(GPT).user("a").send().unwrap();
            let stream = client.chat(GPT).user("b c d").stream();
            let more = stream.finish().unwrap();
            // The last handle ends in here.
            drop(client);
            reply.text + &more.text
        });
        inside.await.unwrap()
    });
    assert_eq!(text, "ab c d");
}

#[test]
fn a_panic_of_the_programs_own_stays_in_its_thread() {
    let (_runtime, client, _) = start(Latency::Zero);
    let maker = client.clone();
    let requests = (0..5).map(move |n| match n {
        3 => panic!("no more requests"),
        n => maker.chat(GPT).user(format!("n{n}")),
    });
    let batch = client.batch(requests).concurrency(1);
    let panic = catch_unwind(AssertUnwindSafe(|| batch.collect())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"no more requests"));
    assert_eq!(client.chat(GPT).user("x").send().unwrap().text, "x");
}

#[test]
fn failures_are_data_there_too() {
    let (_runtime, client, _) = start(Latency::Zero);
    let failure = client.chat("llama3").user("x").send().unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidItem);
    let answers = client.fan_out([GPT, "openai/fault-400"], client.prompt("hi"));
    assert!(answers[0].1.is_ok() && answers[1].1.is_err());
    let mut stream = client.chat("openai/fault-400").user("x").stream();
    assert!(stream.next().unwrap().is_err() && stream.next().is_none());
}
