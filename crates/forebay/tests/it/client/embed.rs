//! Embeddings: one vector per text, in the texts' order, whatever travels together.

use super::*;
use forebay::FailureKind;
use forebay_sim::Action;
use std::sync::Arc;

const MODEL: &str = "text-embedding-3-small";

fn texts(n: usize) -> impl Iterator<Item = String> {
    (0..n).map(|n| format!("text {n}"))
}

#[tokio::test(start_paused = true)]
async fn each_text_has_its_vector_whatever_it_travels_with() {
    let sim = Sim::new(config());
    let client = client(&sim);
    let began = Instant::now();
    let all = client.embed(MODEL, texts(230)).await.unwrap();
    assert_eq!(seconds(began), 0.5);
    assert_eq!((all.vectors.len(), load(&sim).0), (230, 3));
    assert!(all.usage.unwrap().input_tokens >= 230);
    assert!(all.cost.unwrap() > forebay::money::Usd::ZERO);
    for n in [0, 99, 100, 229] {
        let one = client.embed(MODEL, [format!("text {n}")]).await.unwrap();
        assert_eq!(one.vectors, [all.vectors[n].clone()], "text {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_texts_are_no_request() {
    let sim = Sim::new(config());
    let none = client(&sim).embed(MODEL, texts(0)).await.unwrap();
    assert!(none.vectors.is_empty() && load(&sim).0 == 0);
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_or_told() {
    let sim = Sim::new(Config {
        script: crate::harness::first_tries(2, |_| Action::status(503)),
        ..config()
    });
    let vectors = client(&sim).embed(MODEL, texts(3)).await.unwrap().vectors;
    assert_eq!((vectors.len(), load(&sim).0), (3, 3));
    let sim = Sim::new(Config {
        script: Some(Arc::new(|_| Action::status(400))),
        ..config()
    });
    let client = client(&sim);
    let failure = client.embed(MODEL, texts(3)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadRequest);
    let failure = client.embed(CLAUDE, texts(3)).await.unwrap_err();
    assert!(
        failure.message.contains("anthropic makes no embeddings"),
        "{failure}"
    );
    assert_eq!(client.calls_under_way(), 0);
}
