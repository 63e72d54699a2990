//! What calls share: limits, outages, and what calls that are given up leave behind.

use super::*;
use forebay::FailureKind;
use forebay::config::{Limits, RetrySettings};
use forebay_sim::Action;
use futures_util::future::join_all;
use std::sync::Arc;

/// The times, in seconds, at which the simulator received requests.
fn arrivals(sim: &Sim) -> Vec<f64> {
    let log = sim.log().into_iter();
    log.filter(|record| record.event == Event::Request)
        .map(|record| record.t_s)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_given_up_in_flight_still_counts_for_the_rate() {
    let sim = Sim::new(config());
    let limits = Limits {
        rpm: Some(60.0),
        ..Limits::default()
    };
    let client = builder(&sim).limits(limits).build().unwrap();
    for n in 0..10 {
        let call = client.chat(GPT).user(format!("n{n}")).send();
        // Long enough to be admitted, too short for an answer.
        let wait = Duration::from_millis(1_200);
        let mut call = std::pin::pin!(call);
        let _ = tokio::time::timeout(wait, call.as_mut()).await;
    }
    let times = arrivals(&sim);
    for pair in times.windows(3) {
        assert!(pair[2] - pair[0] > 1.4, "three requests in {pair:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_given_up_while_it_waits_lets_the_next_one_pass() {
    let sim = Sim::new(config());
    let client = builder(&sim).concurrency(1).build().unwrap();
    let first = tokio::spawn(client.chat(GPT).user("first").send());
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(!has_all_permits(&client));
    let second = tokio::spawn(client.chat(GPT).user("second").send());
    tokio::time::sleep(Duration::from_millis(10)).await;
    let third = tokio::spawn(client.chat(GPT).user("third").send());
    tokio::time::sleep(Duration::from_millis(10)).await;
    let began = Instant::now();
    second.abort();
    assert_eq!(first.await.unwrap().unwrap().text, "first");
    assert_eq!(third.await.unwrap().unwrap().text, "third");
    assert_eq!(seconds(began), 0.97);
    assert_eq!(load(&sim), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn models_do_not_wait_for_each_other() {
    let sim = Sim::new(config());
    let client = builder(&sim).concurrency(1).build().unwrap();
    let began = Instant::now();
    let models = [GPT, "gpt-4o", CLAUDE];
    let calls = models.map(|model| client.chat(model).user("x").send());
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(seconds(began), 0.5);
}

#[tokio::test(start_paused = true)]
async fn a_name_with_and_without_its_provider_is_one_model() {
    let sim = Sim::new(config());
    let client = builder(&sim).concurrency(1).build().unwrap();
    let began = Instant::now();
    let calls = [
        client.chat(GPT).user("a").send(),
        client.chat(format!("openai/{GPT}")).user("b").send(),
        client.chat(GPT).endpoint("openai").user("c").send(),
    ];
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(seconds(began), 1.5);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_answers_is_waited_for_half_a_minute() {
    let sim = Sim::new(Config {
        script: Some(Arc::new(|_| Action::status(503))),
        ..config()
    });
    let client = client(&sim);
    let began = Instant::now();
    let calls = (0..200).map(|n| client.chat(GPT).user(format!("n{n}")).send());
    for outcome in join_all(calls).await {
        let failure = outcome.unwrap_err();
        assert!(
            matches!(
                failure.kind,
                FailureKind::ServerError | FailureKind::Overloaded
            ),
            "{failure}"
        );
    }
    assert!(seconds(began) < 45.0, "{}", seconds(began));
    assert!(load(&sim).0 < 100, "{:?}", load(&sim));
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_ends_loses_no_call() {
    let down = Duration::from_secs(10)..Duration::from_secs(25);
    let sim = Sim::new(Config {
        script: Some(Arc::new(move |call| {
            match down.contains(&call.since_start) {
                true => Action::status(502),
                false => Action::Answer,
            }
        })),
        ..config()
    });
    let retry = RetrySettings {
        max_attempts: 10,
        ..RetrySettings::default()
    };
    let client = builder(&sim).retry(retry).concurrency(5).build().unwrap();
    let calls = (0..400).map(|n| client.chat(GPT).user(format!("n{n}")).send());
    let failed = join_all(calls).await.iter().filter(|r| r.is_err()).count();
    assert_eq!(failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_is_told_to_all_who_wait() {
    let sim = Sim::new(Config {
        script: Some(Arc::new(|_| Action::Error {
            status: 429,
            kind: "".into(),
            code: None,
            message: String::new(),
            headers: vec![("retry-after".into(), "3600".into())],
        })),
        ..config()
    });
    let client = builder(&sim).concurrency(2).build().unwrap();
    let began = Instant::now();
    let calls = (0..20).map(|n| client.chat(GPT).user(format!("n{n}")).send());
    for outcome in join_all(calls).await {
        let failure = outcome.unwrap_err();
        assert_eq!(failure.kind, FailureKind::RateLimited);
        assert!(failure.retry_after.unwrap() > Duration::from_secs(3500));
    }
    assert!(seconds(began) < 5.0, "{}", seconds(began));
    assert_eq!(load(&sim).0, 2);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_were_billed_are_in_the_reply() {
    let sim = Sim::new(Config {
        script: crate::harness::first_tries(1, |_| Action::status(500)),
        ..config()
    });
    let client = client(&sim);
    let reply = client.chat(GPT).user("one two").send().await.unwrap();
    let once = client.chat(GPT).user("one two").send().await.unwrap();
    assert_eq!((reply.attempts, once.attempts), (2, 1));
    // The provider told no tokens of the failed attempt.
    assert_eq!((reply.usage, reply.cost), (once.usage, once.cost));
}

/// In real time: what several cores do to each other shows nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn limits_hold_on_many_cores_whoever_gives_up() {
    let sim = Sim::new(Config {
        latency: Latency::Fixed(Duration::from_millis(1)),
        ..config()
    });
    let client = builder(&sim).concurrency(7).build().unwrap();
    let calls: Vec<_> = (0..600)
        .map(|n| {
            let call = client.chat(GPT).user(format!("n{n}")).send();
            tokio::spawn(async move {
                match n % 3 {
                    0 => tokio::time::timeout(Duration::from_millis(n % 17), call)
                        .await
                        .ok(),
                    _ => Some(call.await),
                }
            })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        if let Some(reply) = call.await.unwrap() {
            assert_eq!(reply.unwrap().text, format!("n{n}"));
        }
    }
    assert_eq!(client.calls_under_way(), 0);
    assert!(has_all_permits(&client), "{client:?}");
    let requests = (0..7).map(|n| client.chat(GPT).user(format!("last {n}")));
    assert_eq!(texts(client.batch(requests).collect().await).len(), 7);
}
