//! Tests of writing, and of reading bytes that no provider sends.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, USER_AGENT};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::endpoint::{ApiKey, BaseUrl, Dialect, KeyHeader, TokenField};
use crate::item::{Content, Parameters};
use crate::outcome::FailureKind;

/// An endpoint with a key that no real one looks like.
pub(super) fn endpoint(dialect: Dialect) -> Endpoint {
    Endpoint {
        name: dialect.name().to_owned(),
        dialect,
        base_url: BaseUrl::parse("https://api.example.com/v1").unwrap(),
        key: Some(ApiKey::new("forebay-test-key-0123").unwrap()),
        headers: Vec::new(),
        token_field: TokenField::MaxCompletionTokens,
        rate_headers: crate::catalogue::RateHeaders::Unknown,
        seed: crate::catalogue::Seed::None,
        http: crate::endpoint::HttpVersion::Auto,
    }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn prompt(text: &str) -> Request {
    Request {
        shared: Arc::new(Parameters {
            model: "m".to_owned(),
            ..Parameters::default()
        }),
        system: None,
        content: Content::Prompt(text.to_owned()),
    }
}

/// The request with other parameters.
fn with(mut request: Request, change: impl FnOnce(&mut Parameters)) -> Request {
    change(Arc::make_mut(&mut request.shared));
    request
}

fn with_extra(request: Request, extra: &[(&str, &str)]) -> Request {
    with(request, |parameters| {
        let pairs = extra
            .iter()
            .map(|(name, json)| ((*name).to_owned(), raw(json)));
        parameters.extra = pairs.collect();
    })
}

fn with_system(mut request: Request, system: &str) -> Request {
    request.system = Some(system.to_owned());
    request
}

fn with_messages(mut request: Request, json: &str) -> Request {
    request.content = Content::Messages(raw(json));
    request
}

fn written(provider: Dialect, request: &Request) -> String {
    String::from_utf8(encode(&endpoint(provider), request).unwrap().body.to_vec()).unwrap()
}

fn refused(provider: Dialect, request: &Request) -> String {
    let failure = encode(&endpoint(provider), request).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidItem);
    failure.message
}

#[test]
fn heads_differ_by_dialect() {
    let openai = headers(&endpoint(Dialect::Chat));
    assert_eq!(openai[AUTHORIZATION], "Bearer forebay-test-key-0123");
    assert_eq!(openai["content-type"], "application/json");
    assert!(openai.get(HOST).is_none());
    let agent = openai[USER_AGENT].to_str().unwrap();
    assert!(agent.starts_with("forebay/"), "{agent}");
    let anthropic = headers(&endpoint(Dialect::Anthropic));
    assert_eq!(anthropic["x-api-key"], "forebay-test-key-0123");
    assert_eq!(anthropic["anthropic-version"], "2023-06-01");
    assert!(anthropic.get(AUTHORIZATION).is_none());
    for headers in [openai, anthropic] {
        assert!(!format!("{headers:?}").contains("test-key"));
    }
}

#[test]
fn base_urls_may_end_in_a_version_or_not() {
    for (base, openai, anthropic) in [
        ("http://h", "/chat/completions", "/v1/messages"),
        ("http://h/v1/", "/v1/chat/completions", "/v1/messages"),
        ("http://h/a/v1", "/a/v1/chat/completions", "/a/v1/messages"),
        ("http://h/a", "/a/chat/completions", "/a/v1/messages"),
    ] {
        for (provider, path) in [(Dialect::Chat, openai), (Dialect::Anthropic, anthropic)] {
            let mut endpoint = endpoint(provider);
            endpoint.base_url = BaseUrl::parse(base).unwrap();
            assert_eq!(
                super::head::path(&endpoint, endpoint.dialect, &prompt("")),
                path,
                "{base}"
            );
        }
    }
}

#[test]
fn the_endpoints_own_headers_replace_ours() {
    let mut endpoint = endpoint(Dialect::Anthropic);
    endpoint.key = endpoint.key.map(|key| key.sent_in(KeyHeader::Bearer));
    let pair = |name, value| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    endpoint.headers = vec![
        pair("anthropic-version", "2026-10-21"),
        pair("anthropic-beta", "a"),
        pair("anthropic-beta", "b"),
        pair("api-key", "hush-hush"),
    ];
    let headers = headers(&endpoint);
    assert_eq!(headers[AUTHORIZATION], "Bearer forebay-test-key-0123");
    assert!(headers.get("x-api-key").is_none());
    assert_eq!(headers["anthropic-version"], "2026-10-21");
    assert_eq!(headers.get_all("anthropic-beta").iter().count(), 2);
    assert!(!format!("{headers:?}").contains("hush"));
    endpoint.headers = vec![pair("authorization", "Token x")];
    assert_eq!(super::headers(&endpoint)[AUTHORIZATION], "Token x");
}

#[test]
fn a_prompt_becomes_messages() {
    let request = with_system(prompt("say \"hi\"\n"), "be brief");
    let request = with(request, |parameters| {
        parameters.max_tokens = Some(5);
        parameters.temperature = Some(0.5);
    });
    assert_eq!(
        written(Dialect::Chat, &request),
        r#"{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"say \"hi\"\n"}],"max_completion_tokens":5,"temperature":0.5}"#
    );
    assert_eq!(
        written(Dialect::Anthropic, &request),
        r#"{"model":"m","messages":[{"role":"user","content":"say \"hi\"\n"}],"max_tokens":5,"system":"be brief","temperature":0.5}"#
    );
    let mut older = endpoint(Dialect::Chat);
    older.token_field = TokenField::MaxTokens;
    let body = encode(&older, &request).unwrap();
    assert!(
        String::from_utf8(body.body.to_vec())
            .unwrap()
            .contains(r#""max_tokens":5"#)
    );
}

#[test]
fn only_anthropic_needs_a_token_cap() {
    let request = prompt("x");
    assert_eq!(
        written(Dialect::Chat, &request),
        r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#
    );
    assert_eq!(
        written(Dialect::Anthropic, &request),
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":4096}"#
    );
}

#[test]
fn messages_pass_verbatim_with_the_system_prompt_in_front() {
    let array = r#"[ {"role":"user", "content":"\u00e9"} ]"#;
    let request = with_messages(prompt(""), array);
    for provider in [Dialect::Chat, Dialect::Anthropic] {
        assert!(written(provider, &request).contains(array));
    }
    let request = with_system(request, "s");
    assert_eq!(
        written(Dialect::Chat, &request),
        r#"{"model":"m","messages":[{"role":"system","content":"s"}, {"role":"user", "content":"\u00e9"} ]}"#
    );
    let own = r#"[{"role":"developer","content":"own"},{"role":"user","content":"x"}]"#;
    let request = with_messages(request, own);
    assert!(written(Dialect::Chat, &request).contains(&format!("\"messages\":{own}}}")));
}

#[test]
fn anthropic_system_messages_are_lifted() {
    let array = r#"[{"role":"system","content":"a"}, {"role":"user", "content":[1.0]},
        {"role":"system","content":[{"type":"text","text":"b"},{"type":"text","text":"c"}]},{"content":2}]"#;
    let request = with_system(with_messages(prompt(""), array), "the run's");
    assert_eq!(
        written(Dialect::Anthropic, &request),
        r#"{"model":"m","messages":[{"role":"user", "content":[1.0]},{"content":2}],"max_tokens":4096,"system":"a\n\nb\n\nc"}"#
    );
    for (array, why) in [
        (
            r#"[{"role":"user"},{"role":"system","content":[{"type":"image"}]}]"#,
            "messages[1]",
        ),
        (
            r#"[{"role":"system","content":[{"type":"text","text":"a","cache_control":{}}]}]"#,
            "more than text",
        ),
        (r#"[{"role":"system"},{"role":"user"}]"#, "messages[0]"),
        (
            r#"[{"role":"system","content":"a"}]"#,
            "only system messages",
        ),
    ] {
        let message = refused(Dialect::Anthropic, &with_messages(prompt(""), array));
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn what_are_no_messages_is_refused() {
    for (json, why) in [
        ("{}", "not a JSON array"),
        ("\"x\"", "not a JSON array"),
        ("[ ]", "empty"),
        ("[1]", "messages[0] is not a JSON object"),
        (r#"[{"role":"user"},["role"]]"#, "messages[1]"),
    ] {
        let request = with_system(with_messages(prompt(""), json), "s");
        for provider in [Dialect::Chat, Dialect::Anthropic] {
            let message = refused(provider, &request);
            assert!(message.contains(why), "{message}");
        }
    }
}

#[test]
fn further_parameters_come_last_and_replace_ours() {
    let request = with(prompt("x"), |parameters| {
        parameters.max_tokens = Some(5);
        parameters.temperature = Some(1.0);
    });
    let request = with_extra(
        request,
        &[
            ("top_p", "0.1"),
            ("temperature", "0"),
            ("top_p", "0.2"),
            ("max_tokens", "9"),
            ("stream", "false"),
            ("a\"b", "{\"x\": [1]}"),
        ],
    );
    let tail = r#""temperature":0,"top_p":0.2,"max_tokens":9,"stream":false,"a\"b":{"x": [1]}}"#;
    for provider in [Dialect::Chat, Dialect::Anthropic] {
        let body = written(provider, &request);
        let members = crate::fields::members(&body).unwrap();
        assert_eq!(members.len(), 7, "{body}");
        assert!(body.ends_with(tail), "{body}");
    }
    let all = [("model", "\"n\""), ("messages", "[]"), ("system", "\"t\"")];
    let request = with_extra(with_system(prompt("x"), "s"), &all);
    assert_eq!(
        written(Dialect::Chat, &request),
        r#"{"model":"n","messages":[],"system":"t"}"#
    );
    let body = written(Dialect::Anthropic, &request);
    assert_eq!(
        body,
        r#"{"max_tokens":4096,"model":"n","messages":[],"system":"t"}"#
    );
}

#[test]
fn streaming_and_strange_temperatures_are_refused() {
    for provider in [Dialect::Chat, Dialect::Anthropic] {
        for value in ["true", "1", "\"yes\""] {
            let request = with_extra(prompt("x"), &[("stream", value)]);
            assert!(refused(provider, &request).contains("stream"));
        }
        let request = with(prompt("x"), |p| p.temperature = Some(f64::NAN));
        assert!(refused(provider, &request).contains("temperature"));
    }
}

#[test]
fn a_byte_order_mark_is_no_harm() {
    let body = b"\xef\xbb\xbf{\"choices\":[{\"message\":{\"content\":\"ok\"}}]}";
    let reply = decode_bytes(Dialect::Chat, 200, body).unwrap();
    assert_eq!(reply.text.as_deref(), Some("ok"));
}

#[test]
fn lists_and_odd_members_are_no_answers() {
    for body in [
        "[]",
        "[[]]",
        "[1]",
        "{}",
        "null",
        "3",
        r#"{"choices":3}"#,
        r#"{"choices":[null]}"#,
        r#"{"choices":[{"message":null}]}"#,
        r#"{"content":{}}"#,
        r#"{"content":[3]}"#,
        r#"{"content":null,"error":null}"#,
    ] {
        for provider in [Dialect::Chat, Dialect::Anthropic] {
            let failure = decode_bytes(provider, 200, body.as_bytes()).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Malformed, "{body}: {failure}");
        }
    }
}

#[test]
fn deep_nesting_is_survived() {
    let deep = "[".repeat(200_000);
    for body in [
        deep.clone(),
        format!("{{\"choices\":[{{\"message\":{{\"content\":{deep}"),
        format!("{{\"error\":{{\"details\":{deep}"),
    ] {
        for status in [200, 400] {
            assert!(decode_bytes(Dialect::Chat, status, body.as_bytes()).is_err());
        }
    }
}

fn decode_bytes(provider: Dialect, status: u16, body: &[u8]) -> Outcome {
    let answer = Answer {
        status,
        headers: &Headers::default(),
        body,
        now: SystemTime::UNIX_EPOCH,
    };
    decode(&endpoint(provider), &answer)
}

/// Bodies that are nearly right: a recorded one with some bytes changed and the end cut off.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    const SEEDS: [&[u8]; 5] = [
        include_bytes!("../../tests/data/openai/reply_tool_calls/body.json"),
        include_bytes!("../../tests/data/openai/429_google/body.json"),
        include_bytes!("../../tests/data/openai/422_fastapi/body.json"),
        include_bytes!("../../tests/data/anthropic/reply_tool_use/body.json"),
        include_bytes!("../../tests/data/anthropic/429_ramp/body.json"),
    ];
    let changes = proptest::collection::vec((any::<usize>(), any::<u8>()), 0..6);
    (0..SEEDS.len(), changes, 0_usize..40).prop_map(|(seed, changes, cut)| {
        let mut body = SEEDS[seed].to_vec();
        for (at, byte) in changes {
            let at = at % body.len();
            // Mostly characters that mean something in JSON.
            body[at] = *b"{}[],:\"\\0e-ntf ".get(usize::from(byte)).unwrap_or(&byte);
        }
        body.truncate(body.len() - cut.saturating_sub(20));
        body
    })
}

fn holds_what_failures_promise(outcome: &Outcome) -> bool {
    match outcome {
        Ok(_) => true,
        Err(failure) => {
            failure.message.chars().count() <= 500
                && !failure.message.contains(['\n', '\r'])
                && !failure.message.is_empty()
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_outcome(body in proptest::collection::vec(any::<u8>(), 0..200), status in 0_u16..1000) {
        for provider in [Dialect::Chat, Dialect::Anthropic] {
            prop_assert!(holds_what_failures_promise(&decode_bytes(provider, status, &body)));
        }
    }

    #[test]
    fn nearly_right_bodies_are_an_outcome(body in mutated(), status in prop::sample::select(vec![200_u16, 400, 429, 500])) {
        for provider in [Dialect::Chat, Dialect::Anthropic] {
            prop_assert!(holds_what_failures_promise(&decode_bytes(provider, status, &body)));
        }
    }

    #[test]
    fn any_prompt_is_written_as_json_that_holds_it(text in "\\PC{0,50}|.{0,50}", system in proptest::option::of(".{0,20}")) {
        let mut request = prompt(&text);
        request.system = system;
        for provider in [Dialect::Chat, Dialect::Anthropic] {
            let body: serde_json::Value = serde_json::from_str(&written(provider, &request)).unwrap();
            let last = body["messages"].as_array().unwrap().last().unwrap();
            prop_assert_eq!(last["content"].as_str(), Some(&*text));
        }
    }
}
