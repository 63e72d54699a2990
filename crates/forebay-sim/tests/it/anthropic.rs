use forebay_sim::{Action, Batching, Config, Dialect, Limits, Oddity, Sim};
use serde_json::{Value, json};

use crate::client::{Answer, Client, post, quick, raw_post, scripted};

const HEADERS: &str = "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n";
const NEWEST: &str = "authorization: Bearer k\r\nanthropic-version: 2026-10-21\r\n";
const TOOL: &str = r#""tools":[{"name":"weather","input_schema":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":7}}}}],"#;

/// A request for a message, with more fields before the messages.
fn ask(prompt: &str, more: &str) -> String {
    let body = format!(
        r#"{{"model":"m","max_tokens":100,{more}"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    );
    post(Dialect::Anthropic, &body)
}

fn streamed(prompt: &str) -> String {
    ask(prompt, r#""stream":true,"#)
}

/// The names of the events, and their data.
fn events(answer: &Answer) -> (Vec<String>, Vec<Value>) {
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("event: "));
    let names: Vec<String> = names.map(str::to_owned).collect();
    let data: Vec<Value> = answer
        .events()
        .iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let told: Vec<&str> = data
        .iter()
        .filter_map(|data| data["type"].as_str())
        .collect();
    assert_eq!(names, told, "each event's name is its type");
    (names, data)
}

async fn one(config: Config, request: String) -> Answer {
    Client::connect(&Sim::new(config)).ask(request).await
}

async fn odd(oddity: Oddity, request: String) -> Answer {
    let sim = scripted(move |_| Action::Odd(oddity.clone()));
    Client::connect(&sim).ask(request).await
}

#[tokio::test(start_paused = true)]
async fn a_message_is_streamed_byte_for_byte() {
    let sim = Sim::new(quick());
    let mut client = Client::connect(&sim);
    let answer = client.ask(streamed("eight ch")).await;
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/event-stream; charset=utf-8"));
    let (_, data) = events(&answer);
    let id = data[0]["message"]["id"].as_str().unwrap();
    assert!(id.starts_with("msg_01"), "{id}");
    let usage = |output| {
        format!(
            r#"{{"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0}},"output_tokens":{output},"service_tier":"standard"}}"#
        )
    };
    let expected = [
        format!(
            r#"event: message_start
data: {{"type":"message_start","message":{{"id":"{id}","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{}}}}}"#,
            usage(1)
        ),
        r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#
            .to_owned(),
        "event: ping\ndata: {\"type\":\"ping\"}".to_owned(),
        r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"eigh"}}"#
            .to_owned(),
        r#"event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"t ch"}}"#
            .to_owned(),
        r#"event: content_block_stop
data: {"type":"content_block_stop","index":0}"#
            .to_owned(),
        format!(
            r#"event: message_delta
data: {{"type":"message_delta","delta":{{"stop_reason":"end_turn","stop_sequence":null,"stop_details":null}},"usage":{}}}"#,
            usage(2)
        ),
        "event: message_stop\ndata: {\"type\":\"message_stop\"}".to_owned(),
        String::new(),
    ];
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!(text, expected.join("\n\n"));
    // The connection is good for another request.
    assert_eq!(client.ask(streamed("again")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_tools_arguments_come_whole_or_in_fragments() {
    let mut client = Client::connect(&Sim::new(quick()));
    let any = format!(r#"{TOOL}"tool_choice":{{"type":"any"}},"#);
    let plain = client.ask(ask("rain?", &any)).await.json();
    let call = &plain["content"][0];
    assert_eq!(plain["stop_reason"], "tool_use");
    assert_eq!(
        (&call["type"], &call["name"]),
        (&json!("tool_use"), &json!("weather"))
    );
    assert!((1..=7).contains(&call["input"]["days"].as_i64().unwrap()));
    let named = format!(r#"{TOOL}"stream":true,"tool_choice":{{"type":"tool","name":"weather"}},"#);
    let answer = client.ask(ask("rain?", &named)).await;
    let (_, data) = events(&answer);
    let block = json!({"type": "tool_use", "id": data[1]["content_block"]["id"], "name": "weather", "input": {}});
    assert_eq!(data[1]["content_block"], block);
    let fragments = data
        .iter()
        .filter_map(|data| data["delta"]["partial_json"].as_str());
    let arguments: Value = serde_json::from_str(&fragments.collect::<String>()).unwrap();
    assert_eq!(arguments, call["input"]);
    assert_eq!(data[data.len() - 2]["delta"]["stop_reason"], "tool_use");
    // Only a choice that forces one calls a tool.
    let auto = client.ask(ask(
        "rain?",
        &format!(r#"{TOOL}"tool_choice":{{"type":"auto"}},"#),
    ));
    assert_eq!(auto.await.text(), "rain?");
}

#[tokio::test(start_paused = true)]
async fn a_stop_sequence_ends_the_text_and_is_told() {
    let stop = r#""stop_sequences":["zzz","o t"],"#;
    let json = one(quick(), ask("hello there", stop)).await.json();
    assert_eq!(json["content"][0]["text"], "hell");
    assert_eq!(
        (&json["stop_reason"], &json["stop_sequence"]),
        (&json!("stop_sequence"), &json!("o t"))
    );
}

#[tokio::test(start_paused = true)]
async fn odd_messages_are_odd_in_their_own_way() {
    for (oddity, content, reason) in [
        (Oddity::NoChoices, json!([]), "end_turn"),
        (Oddity::NullContent, json!(null), "end_turn"),
        (
            Oddity::EmptyText,
            json!([{"type": "text", "text": ""}]),
            "end_turn",
        ),
        (Oddity::Filtered, json!([]), "refusal"),
        (
            Oddity::Refused,
            json!([{"type": "text", "text": "abcd"}]),
            "refusal",
        ),
        (
            Oddity::Length,
            json!([{"type": "text", "text": "abcd"}]),
            "max_tokens",
        ),
        (
            Oddity::NoUsage,
            json!([{"type": "text", "text": "abcd"}]),
            "end_turn",
        ),
        // What only a stream can be is not odd in one piece.
        (
            Oddity::NoFinish,
            json!([{"type": "text", "text": "abcd"}]),
            "end_turn",
        ),
    ] {
        let answer = odd(oddity.clone(), ask("abcd", "")).await;
        let json = answer.json();
        assert_eq!(
            (answer.status, &json["content"]),
            (200, &content),
            "{oddity:?}"
        );
        assert_eq!(json["stop_reason"], reason, "{oddity:?}");
        assert_eq!(json.get("usage").is_none(), oddity == Oddity::NoUsage);
        let details = &json["stop_details"]["type"];
        assert_eq!(*details == "refusal", reason == "refusal", "{oddity:?}");
    }
    let answer = odd(Oddity::ErrorInside(529), ask("abcd", "")).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (200, &json!("overloaded_error"))
    );
    let answer = odd(Oddity::OtherModel("other".to_owned()), ask("abcd", "")).await;
    assert_eq!(answer.json()["model"], "other");
}

#[tokio::test(start_paused = true)]
async fn odd_streams_are_odd_in_their_own_way() {
    let whole = "start block ping delta stop end over";
    let bare = "start ping end over";
    for (oddity, expected, reason) in [
        (Oddity::NoUsage, whole, Some("end_turn")),
        (Oddity::NoChoices, bare, Some("end_turn")),
        (Oddity::NullContent, bare, Some("end_turn")),
        (
            Oddity::EmptyText,
            "start block ping stop end over",
            Some("end_turn"),
        ),
        (Oddity::Filtered, bare, Some("refusal")),
        (Oddity::Refused, whole, Some("refusal")),
        (Oddity::Length, whole, Some("max_tokens")),
        (Oddity::NoFinish, "start block ping delta stop", None),
        (
            Oddity::NoTerminator,
            "start block ping delta stop end",
            Some("end_turn"),
        ),
        (
            Oddity::ErrorAfter {
                tokens: 1,
                status: 529,
            },
            "start block ping delta error",
            None,
        ),
    ] {
        let answer = odd(oddity.clone(), streamed("abcd")).await;
        let (names, data) = events(&answer);
        let short = names.iter().map(|name| match name.as_str() {
            "message_start" => "start",
            "content_block_start" => "block",
            "content_block_delta" => "delta",
            "content_block_stop" => "stop",
            "message_delta" => "end",
            "message_stop" => "over",
            other => other,
        });
        assert_eq!(short.collect::<Vec<_>>().join(" "), expected, "{oddity:?}");
        let end = data.iter().find(|data| data["type"] == "message_delta");
        let told = end.and_then(|end| end["delta"]["stop_reason"].as_str());
        assert_eq!(told, reason, "{oddity:?}");
        let usage = end.is_some_and(|end| !end["usage"].is_null());
        assert_eq!(
            usage,
            reason.is_some() && oddity != Oddity::NoUsage,
            "{oddity:?}"
        );
        if names.last().unwrap() == "error" {
            let error = data.last().unwrap();
            assert_eq!(error["error"]["type"], "overloaded_error");
            assert_eq!(error["request_id"], answer.header("request-id").unwrap());
        }
    }
    // An error in place of an answer is no stream.
    let answer = odd(Oddity::ErrorInside(500), streamed("abcd")).await;
    assert_eq!(answer.json()["error"]["type"], "api_error");
}

#[tokio::test(start_paused = true)]
async fn each_status_has_its_type_and_the_requests_id() {
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (408, "timeout_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ] {
        let sim = scripted(move |_| Action::status(status));
        let answer = Client::connect(&sim).ask(ask("x", "")).await;
        let json = answer.json();
        assert_eq!((answer.status, &json["type"]), (status, &json!("error")));
        assert_eq!(json["error"]["type"], kind);
        assert_eq!(json["request_id"], answer.header("request-id").unwrap());
        assert_eq!(json["error"].get("details"), None);
    }
    let sim = scripted(|_| Action::Error {
        status: 429,
        kind: "".into(),
        code: Some("ramp_limit_exceeded".into()),
        message: String::new(),
        headers: Vec::new(),
    });
    let json = Client::connect(&sim).ask(ask("x", "")).await.json();
    assert_eq!(
        json["error"]["details"]["error_code"],
        "ramp_limit_exceeded"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_or_too_many_is_rejected() {
    let mut client = Client::connect(&Sim::new(quick()));
    // Blanks are no JSON; only their number tells which complaint comes first.
    let most = 32 * 1024 * 1024;
    for (len, status, kind) in [
        (most, 400, "invalid_request_error"),
        (most + 1, 413, "request_too_large"),
    ] {
        let answer = client.ask(post(Dialect::Anthropic, &" ".repeat(len))).await;
        let json = answer.json();
        assert_eq!(
            (answer.status, &json["error"]["type"]),
            (status, &json!(kind))
        );
    }
    let messages = vec![r#"{"role":"user","content":""}"#; 100_001].join(",");
    let body = format!(r#"{{"model":"m","max_tokens":5,"messages":[{messages}]}}"#);
    assert_eq!(
        client.ask(post(Dialect::Anthropic, &body)).await.status,
        400
    );
}

#[tokio::test(start_paused = true)]
async fn the_newest_version_takes_less() {
    let document = r#"{"role":"assistant","content":[{"type":"document","source":{}}]}"#;
    let cited = r#"{"role":"user","content":[{"type":"text","text":"x","citations":[]}]}"#;
    let system = r#"{"role":"system","content":"x"}"#;
    let mut client = Client::connect(&Sim::new(quick()));
    for (message, more, older, newest) in [
        (document, "", 200, 400),
        (cited, "", 200, 400),
        (system, "", 400, 200),
        (
            cited,
            r#""tools":[],"tool_choice":{"type":"any"},"#,
            400,
            400,
        ),
    ] {
        let body = format!(r#"{{"model":"m","max_tokens":5,{more}"messages":[{message}]}}"#);
        for (headers, status) in [(HEADERS, older), (NEWEST, newest)] {
            let answer = client.ask(raw_post("/v1/messages", headers, &body)).await;
            assert_eq!(answer.status, status, "{headers} {body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn counting_tokens_is_free_and_needs_no_cap() {
    let sim = Sim::new(Config {
        limits: Limits {
            rpm: Some(1),
            ..Limits::default()
        },
        ..quick()
    });
    let mut client = Client::connect(&sim);
    let body = r#"{"model":"m","system":"abcd","messages":[{"role":"user","content":"abcdefgh"}]}"#;
    for _ in 0..3 {
        let answer = client
            .ask(raw_post("/v1/messages/count_tokens", HEADERS, body))
            .await;
        assert_eq!(answer.json(), json!({"input_tokens": 3}));
    }
    let answer = client
        .ask(raw_post("/v1/messages/count_tokens", HEADERS, "{}"))
        .await;
    assert_eq!(answer.status, 400);
}

#[tokio::test(start_paused = true)]
async fn models_have_pages_and_pages_of_their_own() {
    let sim = Sim::new(Config {
        models: ["a", "b/c", "d"].map(str::to_owned).to_vec(),
        ..quick()
    });
    let mut client = Client::connect(&sim);
    let mut get = async |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\n{HEADERS}\r\n");
        let answer = client.ask(request).await;
        (answer.status, answer.json())
    };
    let ids = |page: &Value| -> Vec<String> {
        let models = page["data"].as_array().unwrap().iter();
        models
            .map(|model| model["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, page) = get("/v1/models?limit=2").await;
    assert_eq!(
        (ids(&page), &page["has_more"]),
        (vec!["a".into(), "b/c".into()], &json!(true))
    );
    let (_, page) = get("/v1/models?limit=2&after_id=b%2Fc").await;
    assert_eq!(
        (ids(&page), &page["has_more"]),
        (vec!["d".into()], &json!(false))
    );
    let (_, page) = get("/v1/models?before_id=d&limit=1").await;
    assert_eq!(
        (ids(&page), &page["has_more"]),
        (vec!["b/c".into()], &json!(true))
    );
    let (_, model) = get("/v1/models/b/c").await;
    assert_eq!(
        (&model["id"], &model["type"]),
        (&json!("b/c"), &json!("model"))
    );
    let (status, error) = get("/v1/models/x").await;
    assert_eq!(
        (status, &error["error"]["type"]),
        (404, &json!("not_found_error"))
    );
    assert_eq!(get("/v1/models?limit=0").await.0, 400);
}

#[tokio::test(start_paused = true)]
async fn what_a_cache_saved_is_told_apart_from_the_input() {
    let sim = Sim::new(Config {
        batching: Some(Batching::default()),
        ..quick()
    });
    let mut client = Client::connect(&sim);
    let prompt = "prompt. ".repeat(50);
    client.ask(ask(&prompt, "")).await;
    let json = client.ask(ask(&prompt, "")).await.json();
    let (_, data) = events(&client.ask(streamed(&prompt)).await);
    for usage in [&json["usage"], &data[0]["message"]["usage"]] {
        let cached = usage["cache_read_input_tokens"].as_u64().unwrap();
        assert!((80..100).contains(&cached), "{cached}");
        assert_eq!(usage["input_tokens"], 100 - cached);
    }
}
