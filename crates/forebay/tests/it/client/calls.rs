//! One call: what it gives, how it fails, what is left when it is given up.

use super::*;
use forebay::FailureKind;
use forebay::client::CallEvent;
use forebay::config::Limits;
use forebay_sim::{Action, Call};
use std::sync::{Arc, Mutex};

#[tokio::test(start_paused = true)]
async fn a_call_gives_text_tokens_and_cost() {
    let sim = Sim::new(config());
    let client = client(&sim);
    for model in [GPT, CLAUDE, GEMINI] {
        let request = client.chat(model).system("Be brief.").user("hello");
        let reply = request.max_tokens(50).send().await.unwrap();
        assert_eq!(reply.text, "hello");
        assert!(reply.usage.unwrap().input_tokens > 0);
        assert!(reply.cost.unwrap() > forebay::money::Usd::ZERO, "{model}");
        assert_eq!((reply.attempts, reply.duration.as_millis()), (1, 500));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_made_again_and_told() {
    let sim = Sim::new(config());
    let client = client(&sim);
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let request = client.chat("openai/fault-503:2").user("hello");
    let request = request.on_event(move |event| {
        sink.lock().unwrap().push(match event {
            CallEvent::AttemptFailedWillRetry { failure, .. } => failure.kind.label().to_owned(),
            CallEvent::Replied { reply, .. } => reply.text.clone(),
            other => panic!("{other:?}"),
        });
    });
    let reply = request.send().await.unwrap();
    assert_eq!(reply.attempts, 3);
    assert_eq!(*told.lock().unwrap(), ["overloaded", "overloaded", "hello"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_succeed_fails_at_once() {
    let sim = Sim::new(config());
    let client = client(&sim);
    for (model, kind) in [
        (
            "openai/fault-400-context-length",
            FailureKind::ContextLength,
        ),
        ("openai/fault-401", FailureKind::Auth),
        ("nobody/knows", FailureKind::InvalidItem),
        ("sim/gpt-4o", FailureKind::InvalidItem),
        ("mistral/large", FailureKind::InvalidItem),
    ] {
        let failure = client.chat(model).user("hello").send().await.unwrap_err();
        assert_eq!(failure.kind, kind, "{model}: {failure}");
        assert!(!failure.to_string().contains("hello"));
    }
}

#[tokio::test(start_paused = true)]
async fn limits_hold_for_all_clones_and_tasks() {
    let sim = Sim::new(config());
    let client = builder(&sim).concurrency(4).build().unwrap();
    let began = Instant::now();
    let calls = (0..40).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.chat(GPT).user(format!("n{n}")).send().await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(load(&sim), (40, 4));
    assert_eq!(seconds(began), 5.0);
}

#[tokio::test(start_paused = true)]
async fn calls_are_admitted_in_their_order() {
    let sim = Sim::new(config());
    let client = builder(&sim).concurrency(1).build().unwrap();
    let calls: Vec<_> = (0..10)
        .map(|n| client.chat(GPT).user(format!("n{n}")).send())
        .collect();
    futures_util::future::join_all(calls).await;
    let prompts: Vec<_> = sim.log().into_iter().filter_map(|r| r.prompt).collect();
    let expected: Vec<_> = (0..10).map(|n| format!("n{n}")).collect();
    assert_eq!(prompts, expected);
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let sim = Sim::new(config());
    let limits = Limits {
        rpm: Some(60.0),
        ..Limits::default()
    };
    let client = builder(&sim).limits(limits).build().unwrap();
    let began = Instant::now();
    let calls = (0..30).map(|n| client.chat(GPT).user(format!("n{n}")).send());
    futures_util::future::join_all(calls).await;
    assert!((28.0..31.0).contains(&seconds(began)), "{began:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_gives_its_place_back() {
    let sim = Sim::new(config());
    let client = builder(&sim).concurrency(1).build().unwrap();
    let wait = Duration::from_millis(100);
    for _ in 0..5 {
        // One in flight, one that waits for it.
        let in_flight = client.chat(GPT).user("a").send();
        let waiting = client.chat(GPT).user("b").send();
        let both = futures_util::future::join(in_flight, waiting);
        assert!(tokio::time::timeout(wait, both).await.is_err());
        assert_eq!(client.calls_under_way(), 0);
    }
    let began = Instant::now();
    client.chat(GPT).user("c").send().await.unwrap();
    assert_eq!(seconds(began), 0.5);
}

#[tokio::test(start_paused = true)]
async fn retries_hold_no_place_and_go_first() {
    let sim = Sim::new(config());
    let client = builder(&sim).concurrency(1).build().unwrap();
    let failing = client.chat("openai/fault-500:1").user("again").send();
    let others = (0..4).map(|n| {
        client
            .chat("openai/fault-500:1")
            .user(format!("n{n}"))
            .send()
    });
    let (again, others) =
        futures_util::future::join(failing, futures_util::future::join_all(others)).await;
    assert_eq!(again.unwrap().attempts, 2);
    assert!(
        others
            .iter()
            .all(|reply| reply.as_ref().unwrap().attempts == 2)
    );
    assert_eq!(load(&sim), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_calls_and_takes_no_more() {
    let sim = Sim::new(config());
    let client = client(&sim);
    let other = client.clone();
    let call = tokio::spawn(async move { other.chat(GPT).user("a").send().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    client.close().await;
    assert_eq!(seconds(began), 0.4);
    assert_eq!(call.await.unwrap().unwrap().text, "a");
    let failure = client.chat(GPT).user("b").send().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Cancelled);
}

/// An answer that does not fit the schema is asked for again; all answers are on the reply's bill.
#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_fit_is_asked_for_again() {
    let schema = r#"{"type":"object","properties":{"label":{"const":"bug"}},"required":["label"]}"#;
    let mut config = config();
    config.script = Some(Arc::new(|call: &Call<'_>| {
        Action::AnswerText(match call.answers {
            0 => r#"{"label":"a cat"}"#.into(),
            _ => r#"{"label":"bug"}"#.into(),
        })
    }));
    for model in [GPT, CLAUDE, GEMINI] {
        let sim = Sim::new(config.clone());
        let ask = || {
            client(&sim)
                .chat(model)
                .user("It crashes.")
                .schema("ticket", schema)
        };
        let reply = ask().send().await.unwrap();
        let label: serde_json::Value = reply.json().unwrap();
        assert_eq!(
            (label["label"].as_str(), reply.attempts),
            (Some("bug"), 2),
            "{model}"
        );
        let told: u64 = sim
            .log()
            .iter()
            .filter(|r| r.status.is_some())
            .map(|r| r.output_tokens)
            .sum();
        assert_eq!(reply.usage.unwrap().output_tokens, told);
        let failure = ask().schema_retries(0).send().await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.attempts),
            (FailureKind::SchemaMismatch, 1)
        );
        assert!(failure.usage.is_some());
    }
    let sim = Sim::new(config);
    let failure = client(&sim)
        .chat(GPT)
        .user("x")
        .schema("ticket", "[]")
        .send()
        .await;
    let failure = failure.unwrap_err();
    assert!(
        failure.message.contains("not a JSON Schema"),
        "{}",
        failure.message
    );
    assert!(sim.log().is_empty());
}
