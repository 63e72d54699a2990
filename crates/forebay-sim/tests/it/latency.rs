use std::time::Duration;

use forebay_sim::{Answers, Config, Dialect, Latency, Limits, OutputLength, Sim};
use tokio::time::Instant;

use crate::client::{Client, body, post, quick, say};

async fn waits(latency: Latency, requests: usize) -> Vec<Duration> {
    let answers = Answers::Fixed("x".repeat(400));
    let mut client = Client::connect(&Sim::new(Config {
        latency,
        answers,
        ..quick()
    }));
    let mut waits = Vec::new();
    for n in 0..requests {
        let start = Instant::now();
        assert_eq!(client.ask(say(&n.to_string())).await.status, 200);
        waits.push(start.elapsed());
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn zero_fixed_and_per_token_are_exact() {
    assert_eq!(waits(Latency::Zero, 1).await, [Duration::ZERO]);
    let second = Duration::from_secs(1);
    assert_eq!(waits(Latency::Fixed(second), 2).await, [second, second]);
    let per_token = Latency::PerToken {
        first: Duration::from_millis(250),
        per_output_token: Duration::from_millis(20),
    };
    assert_eq!(waits(per_token, 1).await, [Duration::from_millis(2250)]);
}

#[tokio::test(start_paused = true)]
async fn the_default_spreads_around_400_ms() {
    let mut waits = waits(Latency::default(), 501).await;
    waits.sort();
    let median = waits[250].as_secs_f64();
    assert!((0.36..0.44).contains(&median), "{median}");
    assert!(waits[0] < Duration::from_millis(250) && waits[500] > Duration::from_millis(700));
}

#[tokio::test(start_paused = true)]
async fn the_answer_tells_how_long_it_took() {
    let latency = Latency::Fixed(Duration::from_millis(1234));
    let mut client = Client::connect(&Sim::new(Config { latency, ..quick() }));
    let answer = client.ask(say("x")).await;
    assert_eq!(answer.header("openai-processing-ms"), Some("1234"));
}

#[tokio::test(start_paused = true)]
async fn the_network_takes_its_time_for_refusals_too() {
    let sim = Sim::new(Config {
        latency: Latency::Fixed(Duration::from_millis(500)),
        network: Duration::from_millis(30),
        limits: Limits {
            rpm: Some(1),
            ..Limits::default()
        },
        ..quick()
    });
    let mut client = Client::connect(&sim);
    let start = Instant::now();
    assert_eq!(client.ask(say("x")).await.status, 200);
    assert_eq!(start.elapsed(), Duration::from_millis(530));
    assert_eq!(client.ask(say("x")).await.status, 429);
    assert_eq!(start.elapsed(), Duration::from_millis(560));
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_as_long_as_its_prompt_asks_and_is_billed_so() {
    let sim = Sim::new(Config {
        latency: Latency::PerToken {
            first: Duration::ZERO,
            per_output_token: Duration::from_millis(10),
        },
        answers: Answers::Fixed("ok".to_owned()),
        output_length: OutputLength::Asked,
        ..quick()
    });
    let mut client = Client::connect(&sim);
    let start = Instant::now();
    let answer = client
        .ask(post(Dialect::OpenAi, &body("row 3: 250", 500)))
        .await
        .json();
    assert_eq!(start.elapsed(), Duration::from_millis(2500));
    assert_eq!(answer["usage"]["completion_tokens"], 250);
    let input = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(sim.stats().tokens, input + 250);
    assert_eq!(sim.queue(), None);
}
