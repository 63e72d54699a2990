use std::time::Duration;

use forebay_sim::{
    Action, Answers, Config, Dialect, Latency, Limits, RateHeaders, RetryAfter, Sim,
};
use std::sync::Arc;
use tokio::time::{advance, sleep};

use crate::client::{Answer, Client, body, post, quick, say};

fn limited(limits: Limits) -> Sim {
    let answers = Answers::Fixed("x".repeat(40));
    Sim::new(Config {
        limits,
        answers,
        ..quick()
    })
}

fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"]
        .as_str()
        .expect("a message")
        .to_owned()
}

#[tokio::test(start_paused = true)]
async fn openai_tells_the_time_until_full_and_rejects_until_one_fits() {
    let mut client = Client::connect(&limited(Limits {
        rpm: Some(3),
        ..Limits::default()
    }));
    for remaining in ["2", "1", "0"] {
        let answer = client.ask(say("x")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("3"));
        assert_eq!(
            answer.header("x-ratelimit-remaining-requests"),
            Some(remaining)
        );
    }
    advance(Duration::from_millis(14_711)).await;
    let answer = client.ask(say("x")).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("6"));
    assert_eq!(answer.header("retry-after-ms"), Some("5289"));
    assert_eq!(answer.header("x-ratelimit-reset-requests"), Some("45.289s"));
    assert_eq!(answer.json()["error"]["type"], "requests");
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    let text = message(&answer);
    let expected = "Rate limit reached for m in organization org-sim on requests per min (RPM): \
                    Limit 3, Used 3, Requested 1. Please try again in 5.289s.";
    assert!(text.starts_with(expected), "{text}");
    sleep(Duration::from_millis(5289)).await;
    assert_eq!(client.ask(say("x")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn openai_charges_the_token_cap_and_corrects_it() {
    let limits = Limits {
        tpm: Some(600),
        ..Limits::default()
    };
    let answers = Answers::Fixed("x".repeat(40));
    let latency = Latency::Fixed(Duration::from_secs(1));
    let sim = Sim::new(Config {
        limits,
        answers,
        latency,
        ..quick()
    });
    let (mut first, mut second) = (Client::connect(&sim), Client::connect(&sim));
    first.send(post(Dialect::OpenAi, &body("1234", 500))).await;
    let rejected = second.ask(post(Dialect::OpenAi, &body("1234", 500))).await;
    assert_eq!(
        (rejected.status, rejected.header("retry-after-ms")),
        (429, Some("40200"))
    );
    assert_eq!(rejected.json()["error"]["type"], "tokens");
    // Charged 501 of 600 tokens, then corrected to 11 and refilled by 10 a second later.
    let answer = first.answer().await.unwrap();
    assert_eq!(answer.header("x-ratelimit-remaining-tokens"), Some("599"));
    assert_eq!(answer.header("x-ratelimit-reset-tokens"), Some("100ms"));
}

#[tokio::test(start_paused = true)]
async fn anthropic_charges_output_at_the_end_and_tells_rfc_3339() {
    let limits = Limits {
        rpm: Some(60),
        itpm: Some(600),
        otpm: Some(30),
        ..Limits::default()
    };
    let mut client = Client::connect(&limited(limits));
    let request = post(Dialect::Anthropic, &body("12345678", 9000));
    let answer = client.ask(&request).await;
    let header = |name: &str| answer.header(&format!("anthropic-ratelimit-{name}"));
    assert_eq!(header("requests-remaining"), Some("59"));
    assert_eq!(header("input-tokens-remaining"), Some("598"));
    assert_eq!(header("output-tokens-limit"), Some("30"));
    assert_eq!(header("output-tokens-remaining"), Some("20"));
    assert_eq!(header("tokens-remaining"), Some("20"));
    let reset = header("output-tokens-reset").unwrap();
    assert!(reset.ends_with('Z') && reset.len() == 20, "{reset}");
    for _ in 0..2 {
        assert_eq!(client.ask(&request).await.status, 200);
    }
    let rejected = client.ask(&request).await;
    assert_eq!(
        (rejected.status, rejected.header("retry-after")),
        (429, Some("2"))
    );
    assert_eq!(rejected.header("retry-after-ms"), None);
    assert_eq!(rejected.json()["error"]["type"], "rate_limit_error");
    let text = message(&rejected);
    assert!(
        text.contains("rate limit of 30 output tokens per minute"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_can_never_fit_says_so() {
    let mut client = Client::connect(&limited(Limits {
        tpm: Some(100),
        ..Limits::default()
    }));
    let answer = client.ask(post(Dialect::OpenAi, &body("1234", 500))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, None));
    let text = message(&answer);
    assert!(
        text.starts_with("Request too large for m") && text.contains("Requested 501"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn headers_can_be_withheld() {
    let limits = Limits {
        rpm: Some(1),
        headers: RateHeaders::None,
        retry_after: RetryAfter::None,
        ..Limits::default()
    };
    let mut client = Client::connect(&limited(limits));
    for status in [200, 429] {
        let answer = client.ask(say("x")).await;
        assert_eq!(answer.status, status);
        let rate = |(name, _): &&(String, String)| {
            name.starts_with("x-ratelimit") || name.starts_with("retry-after")
        };
        assert_eq!(answer.headers.iter().find(rate), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_burst_is_spread_over_the_minute() {
    let limits = Limits {
        rpm: Some(60),
        burst: Duration::from_secs(2),
        ..Limits::default()
    };
    let mut client = Client::connect(&limited(limits));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.ask(say("x")).await.status);
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    let answer = client.ask(say("x")).await;
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("58"));
    assert_eq!(answer.header("retry-after-ms"), Some("1000"));
}

#[tokio::test(start_paused = true)]
async fn requests_per_second_are_a_limit_of_their_own() {
    let mut client = Client::connect(&limited(Limits {
        rps: Some(2.0),
        ..Limits::default()
    }));
    for status in [200, 200, 429] {
        assert_eq!(client.ask(say("x")).await.status, status);
    }
    sleep(Duration::from_millis(500)).await;
    assert_eq!(client.ask(say("x")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn failed_requests_count_only_when_told() {
    for (count_failed, remaining) in [(false, "9"), (true, "7")] {
        let limits = Limits {
            rpm: Some(10),
            count_failed,
            ..Limits::default()
        };
        let config = Config {
            limits,
            faults: forebay_sim::Faults {
                error_rate: vec![(500, 1.0)],
                ..Default::default()
            },
            ..quick()
        };
        let failing = Sim::new(config.clone());
        let mut client = Client::connect(&failing);
        assert_eq!(client.ask(say("x")).await.status, 500);
        assert_eq!(client.ask(post(Dialect::OpenAi, "{")).await.status, 400);

        let sim = Sim::new(Config {
            faults: forebay_sim::Faults::default(),
            ..config
        });
        let mut client = Client::connect(&sim);
        for _ in 0..2 {
            assert_eq!(client.ask(post(Dialect::OpenAi, "{")).await.status, 400);
        }
        let answer = client.ask(say("x")).await;
        assert_eq!(
            answer.header("x-ratelimit-remaining-requests"),
            Some(remaining)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_capped() {
    let sim = Sim::new(Config {
        limits: Limits {
            max_in_flight: Some(1),
            ..Limits::default()
        },
        latency: Latency::Fixed(Duration::from_secs(1)),
        script: Some(Arc::new(|_| Action::Answer)),
        ..quick()
    });
    let (mut first, mut second) = (Client::connect(&sim), Client::connect(&sim));
    first.send(say("one")).await;
    let rejected = second.ask(say("two")).await;
    assert_eq!(rejected.status, 429);
    assert!(message(&rejected).contains("concurrent requests: Limit 1, Used 1"));
    assert_eq!(first.answer().await.unwrap().status, 200);
    second.send(say("two")).await;
    drop(second);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(first.ask(say("three")).await.status, 200);
}
