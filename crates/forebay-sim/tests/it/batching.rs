//! A back end that batches: its answers, its refusals, and the figures it publishes.

use std::time::Duration;

use forebay_sim::{Answers, Batching, Config, Dialect, Sim};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::client::{Answer, Client, body, post, quick, say};

/// A simulator whose every answer has 100 tokens.
fn batching(batching: Batching) -> Sim {
    Sim::new(Config {
        answers: Answers::Fixed("word".repeat(100)),
        batching: Some(batching),
        ..quick()
    })
}

async fn figures(sim: &Sim) -> String {
    let request = "GET /metrics HTTP/1.1\r\nhost: sim\r\n\r\n";
    let answer = Client::connect(sim).ask(request).await;
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    String::from_utf8(answer.body).unwrap()
}

/// The value of a figure by its name and first labels.
fn figure(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// How long so many clients wait, each for one answer, all at once.
async fn together(clients: usize) -> Duration {
    let sim = batching(Batching::default());
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for number in 0..clients {
        let mut client = Client::connect(&sim);
        asking.spawn(async move {
            let prompt = format!("{number:>8}").repeat(200);
            assert_eq!(client.ask(say(&prompt)).await.status, 200);
        });
    }
    asking.join_all().await;
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn answers_take_longer_together_but_far_less_than_one_after_the_other() {
    let [alone, many] = [together(1).await, together(64).await];
    // 400 tokens of prefill, and 99 steps at a hair above 5.74 ms.
    assert!((590..620).contains(&alone.as_millis()), "{alone:?}");
    assert!(many > alone * 2 && many < alone * 8, "{alone:?} {many:?}");
}

#[tokio::test(start_paused = true)]
async fn the_usage_tells_what_the_prefix_cache_held() {
    let sim = batching(Batching::default());
    let mut client = Client::connect(&sim);
    let rules = "These are the rules of the house, and they are long. ".repeat(20);
    let chat = |question: &str| {
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"system","content":"{rules}"}},{{"role":"user","content":"{question}"}}]}}"#
        );
        post(Dialect::OpenAi, &body)
    };
    let cached = |answer: Answer| {
        answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(cached(client.ask(chat("May I?")).await), 0);
    // 1060 characters in common are 16 blocks of 64, and a little.
    assert_eq!(cached(client.ask(chat("Must I?")).await), 256);

    let message = post(
        Dialect::Anthropic,
        &body(&rules.replace("house", "place"), 100),
    );
    for (cached, computed) in [(0, 265), (256, 9)] {
        let usage = &client.ask(&message).await.json()["usage"];
        assert_eq!(usage["cache_read_input_tokens"], cached);
        assert_eq!(usage["input_tokens"], computed);
    }
    let figures = figures(&sim).await;
    assert_eq!(figure(&figures, "vllm:prefix_cache_hits_total"), 512.0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_a_503_and_what_can_never_fit_a_400() {
    let sim = batching(Batching {
        max_num_queued_reqs: Some(1),
        max_model_len: 300,
        ..Batching::default()
    });
    let mut first = Client::connect(&sim);
    first.send(say("hello")).await;
    sleep(Duration::from_millis(50)).await;
    let mut second = Client::connect(&sim);
    let refused = second.ask(say("hello")).await;
    assert_eq!(refused.status, 503);
    assert_eq!(first.answer().await.unwrap().status, 200);
    assert_eq!(second.ask(say("hello")).await.status, 200);

    let long = "long".repeat(300);
    let refused = second.ask(say(&long)).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["code"], "context_length_exceeded");
    let refused = second
        .ask(post(Dialect::Anthropic, &body(&long, 100)))
        .await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["message"]),
        (400, &"prompt is too long: 300 tokens > 300 maximum".into())
    );
    // An answer that has no room ends where the room does.
    let cut = second.ask(say(&"long".repeat(260))).await.json();
    assert_eq!(cut["usage"]["completion_tokens"], 40);
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_leaves_its_place_and_its_blocks() {
    let sim = batching(Batching {
        max_num_seqs: 2,
        ..Batching::default()
    });
    let stream = body("a streamed answer", 100).replace("{\"model", "{\"stream\":true,\"model");
    let mut streaming = Client::connect(&sim);
    streaming.send(post(Dialect::OpenAi, &stream)).await;
    streaming.read_until(b"word").await;
    let mut waiting: Vec<_> = (0..4).map(|_| Client::connect(&sim)).collect();
    for client in &mut waiting {
        client.send(say("hello")).await;
    }
    sleep(Duration::from_millis(100)).await;
    let busy = figures(&sim).await;
    assert_eq!(figure(&busy, "vllm:num_requests_running"), 2.0);
    assert_eq!(figure(&busy, "vllm:num_requests_waiting"), 3.0);
    assert!(figure(&busy, "vllm:kv_cache_usage_perc") > 0.0);

    drop((streaming, waiting));
    sleep(Duration::from_millis(100)).await;
    let idle = figures(&sim).await;
    for name in [
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:kv_cache_usage_perc",
        "vllm:request_success_total{engine=\"0\",finished_reason=\"stop\"",
    ] {
        assert_eq!(figure(&idle, name), 0.0, "{name}");
    }
    let aborted = "vllm:request_success_total{engine=\"0\",finished_reason=\"abort\"";
    assert_eq!(figure(&idle, aborted), 5.0);
}

#[tokio::test(start_paused = true)]
async fn only_an_engine_has_figures() {
    let sim = Sim::new(quick());
    let request = "GET /metrics HTTP/1.1\r\nhost: sim\r\n\r\n";
    assert_eq!(Client::connect(&sim).ask(request).await.status, 404);
    let sim = batching(Batching::default());
    let request = "POST /metrics HTTP/1.1\r\nhost: sim\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(Client::connect(&sim).ask(request).await.status, 405);
}
