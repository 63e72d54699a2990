//! Where calls go: names, endpoints of one's own, and what is refused before anything is sent.

use super::*;
use forebay::FailureKind;
use forebay::endpoint::{ApiKey, BaseUrl, Dialect, Endpoint, TokenField};

fn endpoint(name: &str, dialect: Dialect, url: &str) -> Endpoint {
    Endpoint {
        name: name.into(),
        dialect,
        base_url: BaseUrl::parse(url).unwrap(),
        key: Some(ApiKey::new("sim-key").unwrap()),
        headers: Vec::new(),
        token_field: TokenField::MaxTokens,
        rate_headers: forebay::catalogue::RateHeaders::Unknown,
        seed: forebay::catalogue::Seed::None,
        http: forebay::endpoint::HttpVersion::Auto,
    }
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_ones_own_are_called_by_their_names() {
    let sim = Sim::new(config());
    let client = Client::builder()
        .connector(connector(&sim))
        .endpoint(endpoint("sim", Dialect::Chat, "http://sim.local/v1"))
        .endpoint(endpoint("sim", Dialect::Anthropic, "http://sim.local"))
        .endpoint(endpoint("box", Dialect::Chat, "http://sim.local/v1"))
        .build()
        .unwrap();
    for (request, dialect) in [
        (client.chat("sim/gpt-4o"), forebay_sim::Dialect::OpenAi),
        (
            client.chat("sim/claude-haiku-4-5"),
            forebay_sim::Dialect::Anthropic,
        ),
        (client.chat("box/meta/llama"), forebay_sim::Dialect::OpenAi),
        (
            client.chat("meta/llama").endpoint("box"),
            forebay_sim::Dialect::OpenAi,
        ),
    ] {
        assert_eq!(request.user("x").send().await.unwrap().text, "x");
        assert_eq!(sim.log().last().unwrap().dialect, dialect);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_request_is_told_before_anything_is_sent() {
    let sim = Sim::new(config());
    let open = endpoint("open", Dialect::Chat, "http://api.example.com/v1");
    let client = builder(&sim).endpoint(open).build().unwrap();
    for (request, words) in [
        (client.chat("llama3"), "cannot tell which provider"),
        (client.chat("groq/llama"), ".key(\"groq\""),
        (client.chat("open/any"), "plain http"),
        (client.chat(GPT).endpoint("gruq"), "did you mean groq?"),
        (client.chat(GPT).schema("s", "{"), "not JSON"),
        (client.chat(GPT).param("top_k", "four"), "top_k"),
    ] {
        let failure = request.user("secret").send().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidItem, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
        assert!(!failure.message.contains("secret"), "{failure}");
    }
    assert_eq!(load(&sim).0, 0);
}

#[test]
fn what_is_wrong_with_a_client_is_told_when_it_is_built() {
    for (builder, words) in [
        (Client::builder().key("gruq", "k"), "gruq"),
        (
            Client::builder().key("groq", "a b"),
            "for groq: the API key",
        ),
        (Client::builder().base_url("openai", "nowhere"), "base URL"),
        (
            Client::builder().base_url("openai", "https://example.com/v1"),
            "OPENAI_API_KEY",
        ),
        (Client::builder().concurrency(0), "concurrency of 0"),
        (Client::builder().auto_concurrency(0), "concurrency of 0"),
        (
            Client::builder().target_utilization(0.0),
            "utilization of 0",
        ),
        (
            Client::builder().target_utilization(50.0),
            "utilization of 50",
        ),
        (
            Client::builder().target_utilization(f64::NAN),
            "utilization of NaN",
        ),
        (
            Client::builder().certificates(b"-----BEGIN CERTIFICATE-----\n?"),
            "certificate",
        ),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
        assert!(!error.contains("a b"), "{error}");
    }
}

#[test]
fn what_is_printed_of_a_client_holds_no_secret() {
    let mut own = endpoint("box", Dialect::Chat, "http://127.0.0.1:9000/v1");
    own.key = Some(ApiKey::new("hush-of-the-endpoint").unwrap());
    let gate = ("x-team-gate".parse().unwrap(), "hush-header".parse());
    own.headers.push((gate.0, gate.1.unwrap()));
    let shown_alone = format!("{own:?}");
    let builder = Client::builder()
        .key("openai", "hush-of-the-provider")
        .base_url("mistral", "https://me:hush-word@localhost/v1");
    let shown_builder = format!("{builder:?}");
    let builder = Client::builder()
        .key("openai", "hush-of-the-provider")
        .endpoint(own);
    let shown_both = format!("{builder:?}");
    let client = builder.build().unwrap();
    let request = client.chat("gpt-4o-mini").user("hush question");
    let shown = [
        shown_alone,
        shown_builder,
        shown_both,
        format!("{client:?}"),
        format!("{request:?}"),
    ];
    for shown in shown {
        assert!(!shown.contains("hush"), "{shown}");
    }
}
