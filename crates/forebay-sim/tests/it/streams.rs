//! Streamed answers: true frames, in order, when they are due, and torn as told.

use std::time::Duration;

use forebay_sim::{Action, Config, Dialect, DropReason, Event, Latency, Oddity, Shape, Sim};
use serde_json::Value;

use crate::client::{Client, post, quick, scripted};

/// A streamed chat completion with one user message, and its usage.
fn stream(prompt: &str) -> String {
    let body = format!(
        r#"{{"model":"m","stream":true,"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    );
    post(Dialect::OpenAi, &body)
}

fn text(events: &[String]) -> String {
    let delta = |event: &String| {
        let chunk: Value = serde_json::from_str(event).ok()?;
        let text = chunk["choices"][0]["delta"]["content"].as_str()?;
        Some(text.to_owned())
    };
    events.iter().filter_map(delta).collect()
}

#[tokio::test(start_paused = true)]
async fn chat_chunks_come_in_order_and_end_with_done() {
    let sim = Sim::new(quick());
    let mut client = Client::connect(&sim);
    let answer = client.ask(stream("twelve chars")).await;
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/event-stream; charset=utf-8"));
    let events = answer.events();
    assert_eq!(text(&events), "twelve chars");
    let json = |at: usize| serde_json::from_str::<Value>(&events[at]).unwrap();
    assert_eq!(json(0)["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(json(4)["choices"][0]["finish_reason"], "stop");
    assert_eq!(json(4)["usage"], Value::Null);
    assert_eq!(json(5)["choices"], Value::Array(Vec::new()));
    assert_eq!(json(5)["usage"]["completion_tokens"], 3);
    assert_eq!(events[6], "[DONE]");
    assert_eq!(events.len(), 7);
    // The connection is good for another request.
    assert_eq!(client.ask(stream("again")).await.status, 200);
    assert_eq!(sim.stats().answered_ok, 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_come_when_they_are_due() {
    let sim = Sim::new(Config {
        latency: Latency::PerToken {
            first: Duration::from_millis(200),
            per_output_token: Duration::from_millis(10),
        },
        ..quick()
    });
    let mut client = Client::connect(&sim);
    client.send(stream("sixteen letters.")).await;
    let begun = tokio::time::Instant::now();
    client.read_until(b"\"role\":\"assistant\"").await;
    assert_eq!(begun.elapsed().as_millis(), 200);
    client.read_until(b"\"content\":\"sixt\"").await;
    assert_eq!(begun.elapsed().as_millis(), 210);
    client.read_until(b"[DONE]").await;
    assert_eq!(begun.elapsed().as_millis(), 240);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_cut_after_any_number_of_bytes_or_frames() {
    let sim = Sim::new(quick());
    let mut client = Client::connect(&sim);
    client.send(stream("twelve chars")).await;
    client.read_until(b"0\r\n\r\n").await;
    let whole = client.unread().len();
    // The last chunk, of no bytes, takes five; a client may have its answer without it.
    let told = whole - 5;
    for cut in (0..told - 2).step_by(7).chain(told..whole) {
        let shape = Shape {
            cut_after: Some(cut),
            ..Shape::default()
        };
        let sim = scripted(move |_| Action::Shaped(shape.clone()));
        let mut client = Client::connect(&sim);
        client.send(stream("twelve chars")).await;
        assert_eq!(client.rest().await.len(), cut);
        let log = sim.log();
        let reason = match cut < told {
            true => DropReason::Cut,
            false => DropReason::Unended,
        };
        assert_eq!(log[1].reason, Some(reason), "{cut} of {whole}");
    }
    let sim = scripted(|_| {
        Action::Shaped(Shape {
            cut_after_frames: Some(2),
            ..Shape::default()
        })
    });
    let mut client = Client::connect(&sim);
    client.send(stream("twelve chars")).await;
    let bytes = client.rest().await;
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("data: ").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_middle_is_told_and_logged_as_one() {
    let sim = scripted(|_| {
        Action::Odd(Oddity::ErrorAfter {
            tokens: 1,
            status: 503,
        })
    });
    let mut client = Client::connect(&sim);
    let answer = client.ask(stream("twelve chars")).await;
    assert_eq!(answer.status, 200);
    let events = answer.events();
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "server_is_overloaded");
    assert_eq!(text(&events), "twel");
    let log = sim.log();
    assert_eq!((log[1].event, log[1].status), (Event::Answer, Some(503)));
}

#[tokio::test(start_paused = true)]
async fn comments_alone_never_end_and_comments_before_an_answer_do() {
    let every = Duration::from_secs(5);
    let sim = scripted(move |call| match call.seen {
        1 => Action::Odd(Oddity::CommentsOnly(every)),
        _ => Action::Odd(Oddity::Comments(every)),
    });
    let mut client = Client::connect(&sim);
    client.send(stream("x")).await;
    let waited = tokio::time::timeout(Duration::from_secs(3600), client.answer()).await;
    assert!(waited.is_err(), "comments only");
    let mut client = Client::connect(&sim);
    let answer = client.ask(stream("x")).await;
    assert_eq!(answer.events().last().unwrap(), "[DONE]");
}
