//! Conversations gone on with and caps raised, in every dialect.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::endpoint::BaseUrl;
use crate::outcome::{FinishReason, Reply};

fn endpoint(dialect: Dialect) -> Endpoint {
    Endpoint {
        name: "x".into(),
        dialect,
        base_url: BaseUrl::parse("http://localhost/v1").unwrap(),
        key: None,
        headers: Vec::new(),
        token_field: TokenField::MaxTokens,
        rate_headers: crate::catalogue::RateHeaders::Unknown,
        seed: crate::catalogue::Seed::None,
        http: crate::endpoint::HttpVersion::Auto,
    }
}

fn encoded(body: &Value) -> Encoded {
    Encoded {
        path: "/x".into(),
        body: Bytes::from(body.to_string()),
        stream: true,
        ..Encoded::default()
    }
}

fn reply(text: &str) -> Reply {
    Reply {
        text: Some(text.into()),
        tool_calls: None,
        parsed: None,
        embedding: None,
        finish_reason: FinishReason::Stop,
        model: None,
        usage: None,
    }
}

fn asked_again(dialect: Dialect, body: &Value, text: &str) -> Option<Value> {
    let again = follow_up(&endpoint(dialect), &encoded(body), &reply(text), "no")?;
    assert_eq!((&*again.path, again.stream), ("/x", true));
    Some(serde_json::from_slice(&again.body).unwrap())
}

#[test]
fn each_dialect_goes_on_with_its_conversation() {
    let user = json!({"role": "user", "content": "hi"});
    let turns = [
        user.clone(),
        json!({"role": "assistant", "content": "{\"a\":1}"}),
        json!({"role": "user", "content": "no"}),
    ];
    for (dialect, name) in [
        (Dialect::Chat, "messages"),
        (Dialect::Anthropic, "messages"),
        (Dialect::Responses, "input"),
    ] {
        let body = json!({"model": "m", name: [user], "temperature": 0.5});
        let again = asked_again(dialect, &body, "{\"a\":1}").unwrap();
        assert_eq!(again[name], json!(turns), "{dialect:?}");
        assert_eq!(
            (&again["model"], &again["temperature"]),
            (&json!("m"), &json!(0.5))
        );
    }
    let again = asked_again(Dialect::Responses, &json!({"input": "hi"}), "{\"a\":1}").unwrap();
    assert_eq!(again["input"], json!(turns));
    let contents = |text: &str, role: &str| json!({"role": role, "parts": [{"text": text}]});
    let all = json!([
        contents("hi", "user"),
        contents("x", "model"),
        contents("no", "user")
    ]);
    for given in [json!([contents("hi", "user")]), contents("hi", "user")] {
        let again = asked_again(Dialect::Gemini, &json!({"contents": given}), "x").unwrap();
        assert_eq!(again["contents"], all);
    }
}

#[test]
fn an_answer_without_text_is_left_out() {
    let body = json!({"messages": [{"role": "user", "content": "hi"}]});
    let again = asked_again(Dialect::Anthropic, &body, " \n").unwrap();
    assert_eq!(again["messages"].as_array().unwrap().len(), 2);
    assert_eq!(
        again["messages"][1],
        json!({"role": "user", "content": "no"})
    );
}

#[test]
fn a_body_without_a_conversation_cannot_go_on() {
    for body in [
        json!({}),
        json!([]),
        json!({"messages": "hi"}),
        json!({"prompt": "hi"}),
    ] {
        assert_eq!(asked_again(Dialect::Chat, &body, "x"), None, "{body}");
    }
    assert_eq!(
        asked_again(Dialect::Embeddings, &json!({"input": "hi"}), "x"),
        None
    );
}

fn raised(
    dialect: Dialect,
    body: &Value,
    used: Option<u64>,
    most: Option<u64>,
) -> Option<(Value, u64)> {
    let (again, cap) = raise_cap(&endpoint(dialect), &encoded(body), used, most)?;
    Some((serde_json::from_slice(&again.body).unwrap(), cap))
}

#[test]
fn the_cap_is_raised_where_the_dialect_has_it() {
    for (dialect, body, after) in [
        (
            Dialect::Chat,
            json!({"max_tokens": 5, "n": 1}),
            json!({"max_tokens": 10, "n": 1}),
        ),
        (
            Dialect::Chat,
            json!({"max_completion_tokens": 5}),
            json!({"max_completion_tokens": 10}),
        ),
        (
            Dialect::Chat,
            json!({"n": 1}),
            json!({"n": 1, "max_tokens": 14}),
        ),
        (Dialect::Chat, json!({}), json!({"max_tokens": 14})),
        (
            Dialect::Responses,
            json!({"max_output_tokens": 5}),
            json!({"max_output_tokens": 10}),
        ),
        (
            Dialect::Anthropic,
            json!({"max_tokens": 5}),
            json!({"max_tokens": 10}),
        ),
        (
            Dialect::Gemini,
            json!({"generationConfig": {"maxOutputTokens": 5, "topK": 1}}),
            json!({"generationConfig": {"maxOutputTokens": 10, "topK": 1}}),
        ),
        (
            Dialect::Gemini,
            json!({}),
            json!({"generationConfig": {"maxOutputTokens": 14}}),
        ),
    ] {
        let (raised, cap) = raised(dialect, &body, Some(7), None).unwrap();
        assert_eq!(raised, after, "{dialect:?}");
        assert!(cap == 10 || cap == 14);
    }
}

#[test]
fn the_cap_never_passes_what_the_model_can_write() {
    let body = json!({"max_tokens": 6});
    let cap = |most| raised(Dialect::Chat, &body, None, most).map(|(_, cap)| cap);
    assert_eq!(cap(None), Some(12));
    assert_eq!(cap(Some(8)), Some(8));
    assert_eq!(cap(Some(6)), None);
    assert_eq!(raised(Dialect::Chat, &json!({}), None, None), None);
    assert_eq!(raised(Dialect::Embeddings, &body, Some(3), None), None);
}

proptest! {
    /// Whatever the texts are, the body stays JSON, and its other members keep their bytes.
    #[test]
    fn a_body_gone_on_with_is_json(text in "\\PC*", said in "\\PC*", model in "[a-z]{1,9}") {
        let body = format!(
            "{{ \"model\":\"{model}\" ,\"messages\": [ {} ],\"top_p\": 1.50 }}",
            json!({"role": "user", "content": text})
        );
        let request = Encoded { path: "/".into(), body: body.into(), ..Encoded::default() };
        let endpoint = endpoint(Dialect::Chat);
        let again = follow_up(&endpoint, &request, &reply(&said), &text).unwrap();
        let bytes = std::str::from_utf8(&again.body).unwrap();
        let end = r#","top_p": 1.50 }"#;
        prop_assert!(bytes.ends_with(end));
        let json: Value = serde_json::from_str(bytes).unwrap();
        let messages = json["messages"].as_array().unwrap();
        prop_assert_eq!(&messages[0]["content"], &text);
        prop_assert_eq!(&messages.last().unwrap()["content"], &text);
        prop_assert_eq!(&json["model"], &model);
        let third = follow_up(&endpoint, &again, &reply("x"), "y").unwrap();
        let json: Value = serde_json::from_slice(&third.body).unwrap();
        prop_assert!(json["messages"].as_array().unwrap().len() >= messages.len() + 2);
    }
}
