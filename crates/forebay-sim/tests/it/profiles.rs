//! Profiles shape what a client sees: outages, headers, waits, growth.

use std::time::Duration;

use forebay_sim::{Dialect, Profile, Sim};
use tokio::time::advance;

use crate::client::{Client, body, post, say};

/// A simulator of a profile, without latency.
fn sim(toml: &str) -> Sim {
    let toml = format!("latency = \"zero\"\nanswers = \"echo\"\n{toml}");
    Sim::new(Profile::parse("test", &toml).expect("a profile").config)
}

#[test]
fn the_example_of_the_documents_is_a_profile() {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/profiles.md"
    );
    let page = std::fs::read_to_string(page).expect("the page");
    let example = page.split("```").nth(1).expect("an example");
    let toml = example.strip_prefix("toml\n").expect("TOML");
    let config = Profile::parse("page", toml).expect("a profile").config;
    assert_eq!(config.limits.rpd, Some(10_000));
    assert!(config.tenant.is_some() && config.outages.len() == 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_begins_and_ends_when_told() {
    let sim = sim("[[outages]]\nfrom = \"1m\"\nuntil = \"6m\"\nwhat = { status = 529 }\n");
    let mut client = Client::connect(&sim);
    let mut statuses = Vec::new();
    for wait in [0, 59, 1, 299, 1] {
        advance(Duration::from_secs(wait)).await;
        statuses.push(client.ask(say("x")).await.status);
    }
    assert_eq!(statuses, [200, 200, 529, 529, 200]);
}

#[tokio::test(start_paused = true)]
async fn rate_headers_are_told_as_configured() {
    for (headers, limit, remaining, reset) in [
        ("\"dialect\"", "60", "59", "1s"),
        ("\"whole-seconds\"", "60", "59", "1"),
        ("\"per-day\"", "200", "199", "7m12s"),
        ("\"unknown\"", "-1", "-1", "0"),
        ("{ scaled = 4.0 }", "240", "236", "1s"),
    ] {
        let sim = sim(&format!(
            "[limits]\nrpm = 60\nrpd = 200\nheaders = {headers}\n"
        ));
        let answer = Client::connect(&sim).ask(say("x")).await;
        let told = ["limit", "remaining", "reset"].map(|name| {
            answer
                .header(&format!("x-ratelimit-{name}-requests"))
                .map(str::to_owned)
        });
        let expected = [limit, remaining, reset].map(|text| Some(text.to_owned()));
        assert_eq!(told, expected, "{headers}");
    }
}

/// The rate headers of a first answer.
async fn told(limits: &str) -> Vec<(String, String)> {
    let sim = sim(&format!("[limits]\n{limits}"));
    let answer = Client::connect(&sim).ask(say("x")).await;
    let lines = answer.headers.into_iter();
    lines.filter(|(name, _)| name.contains("limit")).collect()
}

fn lines(text: &str) -> Vec<(String, String)> {
    let pairs = text.lines().map(|line| line.split_once(": ").unwrap());
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn names_can_say_what_limits_are_for() {
    assert_eq!(
        told("rpm = 30\nrpd = 14400\nheaders = \"day-and-minute\"").await,
        lines(
            "x-ratelimit-limit-requests-day: 14400
             x-ratelimit-remaining-requests-day: 14399
             x-ratelimit-reset-requests-day: 6.000000"
        )
    );
    let tokens = told("tpm = 60000\ntpd = 1000000\nheaders = \"day-and-minute\"").await;
    let names: Vec<&str> = tokens.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names[0], "x-ratelimit-limit-tokens-minute");
    assert_eq!(names[3], "x-ratelimit-limit-tokens-day");
    assert_eq!(names.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn limits_can_be_told_by_the_second() {
    let first = told("rps = 10.0\nrpm = 6000\nheaders = \"per-second\"").await;
    let of_requests = lines(
        "x-ratelimit-limit: 10
         x-ratelimit-remaining: 9
         x-ratelimit-reset: 0.100000",
    );
    assert_eq!(first, of_requests);
    let by_minute = told("rpm = 600\ntpm = 60000\nburst = \"1s\"\nheaders = \"per-second\"").await;
    assert_eq!(by_minute[..3], of_requests);
    assert_eq!(
        by_minute[3],
        ("x-tokenlimit-limit".to_owned(), "1000".to_owned())
    );
    assert_eq!(by_minute.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn waits_can_be_too_short_or_exaggerated() {
    for (choice, told) in [
        ("scaled = 0.5", "30"),
        ("scaled = 10.0", "600"),
        ("fixed = \"20s\"", "20"),
    ] {
        let toml = format!("[limits]\nrpm = 1\nretry-after = {{ {choice} }}\n");
        let sim = sim(&toml);
        let mut client = Client::connect(&sim);
        assert_eq!(client.ask(say("x")).await.status, 200);
        let refused = client.ask(say("x")).await;
        assert_eq!(refused.header("retry-after"), Some(told));
    }
}

#[tokio::test(start_paused = true)]
async fn growth_that_is_too_fast_has_a_word_of_its_own_in_each_dialect() {
    let sim = sim("[limits]\nramp = { start = 1, growth = 2.0, window = \"1m\" }\n");
    let mut client = Client::connect(&sim);
    assert_eq!(client.ask(say("x")).await.status, 200);
    let refused = client.ask(say("x")).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["code"], "slow_down");
    let refused = client.ask(post(Dialect::Anthropic, &body("x", 5))).await;
    assert_eq!(
        refused.json()["error"]["details"]["error_code"],
        "ramp_limit_exceeded"
    );
    assert_eq!(refused.header("retry-after"), Some("60"));
}

#[tokio::test(start_paused = true)]
async fn a_second_tenant_takes_its_part() {
    let sim = sim(
        "[limits]\nrpm = 600\nburst = \"1s\"\n[tenant]\nrpm = 300.0\nfrom = \"1m\"\nuntil = \"2m\"\n",
    );
    let mut client = Client::connect(&sim);
    let mut admitted = [0; 2];
    for count in &mut admitted {
        for _ in 0..600 {
            *count += usize::from(client.ask(say("x")).await.status == 200);
            advance(Duration::from_millis(100)).await;
        }
    }
    assert!(
        admitted[0] >= 599 && (300..=311).contains(&admitted[1]),
        "{admitted:?}"
    );
}
