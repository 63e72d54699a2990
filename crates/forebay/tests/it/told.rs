//! What the simulated provider's answers tell of its limits, in every style of headers.
//!
//! The simulator shares no code with the library: each limit that is read must be one that it
//! enforces, whatever is left of it.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use forebay::catalogue::RateHeaders;
use forebay::config::Timeouts;
use forebay::endpoint::{Dialect, Endpoint};
use forebay::provider::{self, Answer};
use forebay::told::{Level, Meter, Told};
use forebay::transport::{Connector, MemoryConnector, Transport};
use forebay_sim::{Answers, Latency, Profile, Sim};

use crate::harness::Scenario;

const SECOND: f64 = 1.0;
const MINUTE: f64 = 60.0;
const DAY: f64 = 86_400.0;

/// A round: so many requests without a wait between them, so that buckets run empty.
const AT_ONCE: usize = 40;
/// Then one after each of these waits, so that they fill up.
const WAITS_MS: [u64; 6] = [3, 50, 400, 1_000, 7_000, 60_000];

/// A provider that is asked for a while.
struct Asked {
    endpoint: Endpoint,
    sim: Sim,
}

impl Asked {
    fn new(profile: Profile, dialect: Dialect, rate_headers: RateHeaders) -> Asked {
        Asked::with(profile, Latency::Zero, dialect, rate_headers)
    }

    fn with(
        profile: Profile,
        latency: Latency,
        dialect: Dialect,
        rate_headers: RateHeaders,
    ) -> Asked {
        let mut config = profile.config;
        config.latency = latency;
        config.answers = Answers::Echo;
        let scenario = Scenario {
            provider: dialect,
            ..Scenario::default()
        };
        Asked {
            endpoint: Endpoint {
                rate_headers,
                ..scenario.endpoint()
            },
            sim: Sim::new(config),
        }
    }

    fn ready_made(name: &str, dialect: Dialect, rate_headers: RateHeaders) -> Asked {
        Asked::new(Profile::named(name).unwrap(), dialect, rate_headers)
    }

    fn of(limits: &str, rate_headers: RateHeaders) -> Asked {
        let profile = Profile::parse("test", &format!("[limits]\n{limits}")).unwrap();
        Asked::new(profile, Dialect::Chat, rate_headers)
    }

    /// What each of so many rounds of answers tells.
    async fn told(&self, rounds: usize) -> Vec<Told> {
        let server = self.sim.clone();
        let connector = MemoryConnector::new(move |pipe| {
            let server = server.clone();
            tokio::spawn(async move { server.serve_connection(pipe).await });
        });
        let timeouts = Timeouts::default();
        let transport = Transport::new(
            self.endpoint.base_url.clone(),
            Connector::Memory(connector),
            timeouts,
        )
        .unwrap();
        let (path, body) = self.request();
        let call = transport
            .call(path, &provider::headers(&self.endpoint))
            .unwrap();
        let mut told = Vec::new();
        let round = || iter::repeat_n(0, AT_ONCE).chain(WAITS_MS);
        for wait in (0..rounds).flat_map(|_| round()) {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let answer = transport.exchange(&call, &body.into()).await.unwrap();
            told.push(self.read(&answer));
        }
        told
    }

    fn request(&self) -> (&'static str, &'static str) {
        match self.endpoint.dialect {
            Dialect::Chat | Dialect::Responses | Dialect::Embeddings => (
                "/v1/chat/completions",
                r#"{"model":"m","messages":[{"role":"user","content":"What?"}],"max_tokens":50}"#,
            ),
            Dialect::Anthropic => (
                "/v1/messages",
                r#"{"model":"m","messages":[{"role":"user","content":"What?"}],"max_tokens":50}"#,
            ),
            Dialect::Gemini => (
                "/v1beta/models/m:generateContent",
                r#"{"contents":[{"role":"user","parts":[{"text":"What?"}]}]}"#,
            ),
        }
    }

    fn read(&self, answer: &forebay::transport::Answer) -> Told {
        let answer = Answer {
            status: answer.status,
            headers: &answer.headers,
            body: &answer.body,
            now: answer.arrived,
        };
        let failure = provider::decode(&self.endpoint, &answer).err();
        let told = provider::told(&self.endpoint, &answer, failure.as_ref());
        assert_eq!(
            failure.is_some_and(|failure| failure.status == Some(429)),
            told.is_some_and(|told| told.refused.is_some()),
            "a refusal, and only that, says what refuses: {told:?}"
        );
        told.unwrap_or_default()
    }
}

/// All levels of an answer by name.
fn levels(told: &Told) -> [(&'static str, Option<Level>); 6] {
    [
        ("requests", told.requests),
        ("requests per day", told.requests_per_day),
        ("tokens", told.tokens),
        ("tokens per day", told.tokens_per_day),
        ("input tokens", told.input_tokens),
        ("output tokens", told.output_tokens),
    ]
}

/// Checks that every level that is told is one of these, given as name, limit and window, and that
/// each of them is told by at least this share of the answers.
fn check(told: &[Told], share: f64, want: &[(&str, f64, f64)]) {
    let all = told.iter().flat_map(levels);
    for (name, level) in all.filter_map(|(name, level)| Some((name, level?))) {
        let right = want.iter().any(|(known, limit, window)| {
            *known == name && *limit == level.limit && limit / window == level.per_s
        });
        assert!(right, "{name}: {level:?} is none of {want:?}");
        assert!(
            level.remaining.is_some_and(|left| left <= level.limit),
            "{level:?}"
        );
    }
    for (name, _, _) in want {
        let has = |told: &&Told| {
            levels(told)
                .iter()
                .any(|(known, level)| known == name && level.is_some())
        };
        let telling = told.iter().filter(has).count() as f64 / told.len() as f64;
        assert!(telling >= share, "{telling} of the answers tell {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_style_is_read_by_its_own_profile() {
    use RateHeaders::{Anthropic, PerMinute, Seconds};
    let minute = ("requests", 500.0, MINUTE);
    for (name, dialect, profile, want) in [
        (
            "openai-tier-1",
            Dialect::Chat,
            PerMinute,
            &[minute, ("tokens", 200_000.0, MINUTE)][..],
        ),
        (
            "azure",
            Dialect::Chat,
            Seconds,
            &[minute, ("tokens", 300_000.0, MINUTE)],
        ),
        (
            "anthropic-start",
            Dialect::Anthropic,
            Anthropic,
            &[
                ("requests", 1_000.0, MINUTE),
                ("input tokens", 2_000_000.0, MINUTE),
                ("output tokens", 400_000.0, MINUTE),
            ],
        ),
        // Lies are read as they are.
        (
            "lying-headers",
            Dialect::Chat,
            PerMinute,
            &[("requests", 1_200.0, MINUTE), ("tokens", 400_000.0, MINUTE)],
        ),
    ] {
        let asked = Asked::ready_made(name, dialect, profile);
        check(&asked.told(8).await, 1.0, want);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_day_and_of_a_minute_are_told_apart() {
    let day = ("requests per day", 1_000.0, DAY);
    let tokens = ("tokens", 8_000.0, MINUTE);
    let groq = Asked::ready_made("groq", Dialect::Chat, RateHeaders::RequestsPerDay);
    let told = groq.told(8).await;
    // Refusals tell the minute's requests, in words.
    check(&told, 0.01, &[day, tokens, ("requests", 30.0, MINUTE)]);
    let by_headers = |told: &&Told| told.requests_per_day.is_some() && told.tokens.is_some();
    assert_eq!(told.iter().filter(by_headers).count(), told.len());
    let cerebras = Asked::ready_made("cerebras", Dialect::Chat, RateHeaders::DayAndMinute);
    let told = cerebras.told(8).await;
    let want = [
        ("requests", 30.0, MINUTE),
        ("requests per day", 14_400.0, DAY),
        ("tokens", 60_000.0, MINUTE),
        ("tokens per day", 1_000_000.0, DAY),
    ];
    check(&told, 0.01, &want);
    let by_headers = |told: &&Told| by_headers(told) && told.tokens_per_day.is_some();
    assert_eq!(told.iter().filter(by_headers).count(), told.len());
}

#[tokio::test(start_paused = true)]
async fn a_day_is_told_from_a_minute_by_its_refill() {
    // OpenAI's profile takes requests as those of a minute, unless the numbers say otherwise.
    for profile in [RateHeaders::PerMinute, RateHeaders::Unknown] {
        let asked = Asked::ready_made("day-limit", Dialect::Chat, profile);
        let told = asked.told(8).await;
        let day = ("requests per day", 200.0, DAY);
        check(&told, 0.1, &[day, ("requests", 3.0, MINUTE)]);
        let of_day = told.iter().filter(|told| told.requests_per_day.is_some());
        assert!(of_day.count() >= told.len() * 9 / 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_a_profile_is_read_by_what_it_shows() {
    for (limits, want) in [
        (
            "rpm = 500\ntpm = 200000",
            &[("requests", 500.0, MINUTE), ("tokens", 200_000.0, MINUTE)][..],
        ),
        (
            "rpm = 500\nheaders = \"whole-seconds\"\nburst = \"10s\"",
            &[("requests", 500.0, MINUTE)],
        ),
        (
            "rpd = 2000\nheaders = \"per-day\"",
            &[("requests per day", 2_000.0, DAY)],
        ),
        (
            "rpd = 2000\ntpm = 9000\nheaders = \"day-and-minute\"",
            &[
                ("requests per day", 2_000.0, DAY),
                ("tokens", 9_000.0, MINUTE),
            ],
        ),
    ] {
        let told = Asked::of(limits, RateHeaders::Unknown).told(8).await;
        check(&told, 0.3, want);
    }
    let claude = Asked::ready_made("anthropic-start", Dialect::Anthropic, RateHeaders::Unknown);
    let want = [
        ("requests", 1_000.0, MINUTE),
        ("input tokens", 2_000_000.0, MINUTE),
        ("output tokens", 400_000.0, MINUTE),
    ];
    check(&claude.told(8).await, 1.0, &want);
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_second_are_read_by_together_s_profile() {
    let limits = "rpm = 600\ntpm = 120000\nburst = \"1s\"\nheaders = \"per-second\"";
    let told = Asked::of(limits, RateHeaders::PerSecond).told(5).await;
    let want = [("requests", 10.0, SECOND), ("tokens", 2_000.0, SECOND)];
    check(&told, 1.0, &want);
}

#[tokio::test(start_paused = true)]
async fn headers_that_say_unknown_tell_nothing() {
    for (headers, profile) in [
        ("unknown", RateHeaders::Seconds),
        ("none", RateHeaders::PerMinute),
    ] {
        let limits = format!("rpm = 500\ntpm = 200000\nheaders = \"{headers}\"");
        let told = Asked::of(&limits, profile).told(3).await;
        assert!(told.iter().all(Told::is_empty), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_say_what_is_used_up_in_every_dialect() {
    use Dialect::{Anthropic, Chat, Gemini};
    use Meter::{InputTokens, OutputTokens, Requests, RequestsPerDay, Tokens, TokensPerDay};
    for (limits, dialect, meter, (limit, window)) in [
        ("rpm = 2", Chat, Requests, (2.0, MINUTE)),
        ("rps = 2.0", Chat, Requests, (2.0, SECOND)),
        ("rpd = 2", Chat, RequestsPerDay, (2.0, DAY)),
        ("tpm = 70", Chat, Tokens, (70.0, MINUTE)),
        ("tpd = 70", Chat, TokensPerDay, (70.0, DAY)),
        ("rpm = 2", Anthropic, Requests, (2.0, MINUTE)),
        ("itpm = 60", Anthropic, InputTokens, (60.0, MINUTE)),
        ("otpm = 3", Anthropic, OutputTokens, (3.0, MINUTE)),
        ("rpm = 2", Gemini, Requests, (2.0, MINUTE)),
        ("rpd = 2", Gemini, RequestsPerDay, (2.0, DAY)),
        ("itpm = 60", Gemini, InputTokens, (60.0, MINUTE)),
    ] {
        let what = format!("{limits} {}", dialect.name());
        let toml = format!("[limits]\nheaders = \"none\"\n{limits}");
        let profile = Profile::parse("test", &toml).unwrap();
        let asked = Asked::new(profile, dialect, RateHeaders::Unknown);
        let told = asked.told(1).await;
        let refused: Vec<&Told> = told.iter().filter(|told| told.refused.is_some()).collect();
        assert!(!refused.is_empty(), "{what}");
        for told in refused {
            assert_eq!(told.refused, Some(meter), "{what}");
            let said = levels(told).into_iter().find_map(|(_, level)| level);
            let said = said.map(|level| (level.limit, level.per_s));
            assert_eq!(said, Some((limit, limit / window)), "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cap_on_requests_in_flight_is_told_from_a_rate() {
    for dialect in [Dialect::Chat, Dialect::Anthropic, Dialect::Gemini] {
        let mut profile = Profile::named("deepseek").unwrap();
        profile.config.limits.max_in_flight = Some(1);
        // The first request of all takes the only place for longer than the others last.
        let latency = Latency::Fixed(Duration::from_secs(500));
        let asked = Arc::new(Asked::with(profile, latency, dialect, RateHeaders::None));
        let first = Arc::clone(&asked);
        let first = tokio::spawn(async move { first.told(1).await });
        tokio::time::sleep(Duration::from_millis(1)).await;
        let want = Told {
            refused: Some(Meter::InFlight),
            ..Told::default()
        };
        assert!(asked.told(1).await.iter().all(|told| *told == want));
        first.abort();
    }
}
