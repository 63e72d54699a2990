use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use forebay_sim::{Action, Config, Dialect, DropReason, Event, Latency, Oddity, Shape, Sim};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::client::{Client, body, post, quick, say, scripted};

fn events(sim: &Sim) -> Vec<(Event, u64, Option<u16>, Option<DropReason>)> {
    let fields = |r: &forebay_sim::LogRecord| (r.event, r.seq, r.status, r.reason);
    sim.log().iter().map(fields).collect()
}

#[tokio::test(start_paused = true)]
async fn requests_and_answers_are_logged_in_order() {
    let sim = scripted(|call| Action::Answer.after(Duration::from_secs(call.seq)));
    let mut client = Client::connect(&sim);
    client.ask(say("hello")).await;
    client.ask(say("hello")).await;
    let log = sim.log();
    assert_eq!(
        events(&sim),
        [
            (Event::Request, 1, None, None),
            (Event::Answer, 1, Some(200), None),
            (Event::Request, 2, None, None),
            (Event::Answer, 2, Some(200), None),
        ]
    );
    assert_eq!((log[1].t_s, log[3].t_s), (1.0, 3.0));
    assert_eq!((log[1].seen, log[3].seen), (1, 2));
    assert_eq!((log[3].connection, &*log[3].model), (1, "m"));
    assert_eq!(
        (
            log[0].input_tokens,
            log[0].output_tokens,
            log[1].output_tokens
        ),
        (2, 0, 2)
    );
    assert!(log[0].key.len() == 32 && log[0].key == log[3].key);
    assert!(log.iter().all(|record| record.prompt.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_was_not_answered() {
    let latency = Latency::Fixed(Duration::from_secs(5));
    let sim = Sim::new(Config { latency, ..quick() });
    let mut client = Client::connect(&sim);
    client.send(say("hello")).await;
    sleep(Duration::from_secs(2)).await;
    drop(client);
    sleep(Duration::from_millis(1)).await;
    let gone = (Event::Dropped, 1, None, Some(DropReason::ClientGone));
    assert_eq!(events(&sim), [(Event::Request, 1, None, None), gone]);
    assert_eq!(sim.log()[1].t_s, 2.0);
    assert_eq!((sim.stats().dropped, sim.stats().in_flight), (1, 0));
}

/// Otherwise the judge would count it as in flight beside the one that takes its place.
#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_a_drip_is_gone_at_once() {
    let sim = scripted(|_| {
        Action::Shaped(Shape {
            drip: Some((1, Duration::from_secs(10))),
            ..Shape::default()
        })
    });
    let streamed = body("hello", 9).replacen('{', "{\"stream\":true,", 1);
    for (n, request) in [say("hello"), post(Dialect::OpenAi, &streamed)]
        .iter()
        .enumerate()
    {
        let mut client = Client::connect(&sim);
        client.send(request).await;
        sleep(Duration::from_secs(25)).await;
        let left = sim.since_start();
        drop(client);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(events(&sim)[2 * n + 1].3, Some(DropReason::ClientGone));
        assert_eq!(sim.log()[2 * n + 1].t_s, left.as_secs_f64());
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_stream_is_spoilt_as_a_stream() {
    let sim = scripted(|_| Action::Odd(Oddity::NoFinish));
    Client::connect(&sim).ask(say("hello")).await;
    assert!(sim.log().iter().all(|record| !record.spoiled));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_logged_after_its_last_byte() {
    let sim = Sim::new(quick());
    let (mut client, server) = tokio::io::duplex(16);
    let serving = tokio::spawn({
        let sim = sim.clone();
        async move { sim.serve_connection(server).await }
    });
    client.write_all(say("hello").as_bytes()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(events(&sim).len(), 1);
    let mut some = [0; 100];
    client.read_exact(&mut some).await.unwrap();
    drop(client);
    serving.await.unwrap();
    assert_eq!(events(&sim)[1].3, Some(DropReason::ClientGone));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_connection_is_logged_as_dropped() {
    let latency = Latency::Fixed(Duration::from_secs(5));
    let sim = Sim::new(Config { latency, ..quick() });
    let (mut client, server) = tokio::io::duplex(4096);
    client.write_all(say("hello").as_bytes()).await.unwrap();
    let second = Duration::from_secs(1);
    assert!(
        tokio::time::timeout(second, sim.serve_connection(server))
            .await
            .is_err()
    );
    assert_eq!(events(&sim)[1].3, Some(DropReason::Stopped));
}

#[tokio::test(start_paused = true)]
async fn the_file_holds_the_same_log() {
    let path = std::env::temp_dir().join(format!("forebay-sim-log-{}.jsonl", std::process::id()));
    let sim = Sim::new(Config {
        log_file: Some(Arc::new(File::create(&path).unwrap())),
        log_prompts: true,
        ..quick()
    });
    let mut client = Client::connect(&sim);
    client.ask(say("hello")).await;
    sim.flush_log().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let log: Vec<Value> = sim
        .log()
        .iter()
        .map(|r| serde_json::to_value(r).unwrap())
        .collect();
    assert_eq!(lines, log);
    assert_eq!(
        (&lines[0]["event"], &lines[0]["prompt"]),
        (&"request".into(), &"hello".into())
    );
    assert_eq!(
        (&lines[1]["event"], &lines[1]["status"]),
        (&"answer".into(), &200.into())
    );
    assert_eq!(lines[1]["dialect"], "openai");
    assert!(lines[1].get("prompt").is_none() && lines[1].get("reason").is_none());
}
