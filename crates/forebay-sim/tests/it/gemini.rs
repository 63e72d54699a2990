use forebay_sim::{Action, Batching, Config, Limits, Oddity, Sim};
use serde_json::{Value, json};

use crate::client::{Answer, Client, quick, raw_post, scripted};

const KEY: &str = "x-goog-api-key: k\r\n";
const PLAIN: &str = "/v1beta/models/m:generateContent";
const EVENTS: &str = "/v1beta/models/m:streamGenerateContent?alt=sse";
const ARRAY: &str = "/v1beta/models/m:streamGenerateContent";

fn ask(path: &str, prompt: &str) -> String {
    let body = format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{prompt}"}}]}}]}}"#);
    raw_post(path, KEY, &body)
}

async fn one(config: Config, request: String) -> Answer {
    Client::connect(&Sim::new(config)).ask(request).await
}

async fn odd(oddity: Oddity, path: &str) -> Answer {
    let sim = scripted(move |_| Action::Odd(oddity.clone()));
    Client::connect(&sim).ask(ask(path, "abcd")).await
}

fn data(answer: &Answer) -> Vec<Value> {
    let events = answer.events();
    let data = events
        .iter()
        .map(|data| serde_json::from_str(data).unwrap());
    data.collect()
}

#[tokio::test(start_paused = true)]
async fn content_has_every_field() {
    let answer = one(quick(), ask(PLAIN, "hello there")).await;
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/json; charset=UTF-8"));
    let json = answer.json();
    let expected = json!({
        "candidates": [{"content": {"parts": [{"text": "hello there"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 3, "totalTokenCount": 6,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}]},
        "modelVersion": "m", "responseId": json["responseId"],
    });
    assert_eq!(json, expected);
    assert!(
        answer.body.starts_with(b"{\n  \"candidates\": ["),
        "over many lines"
    );
    // This provider tells no rates in headers.
    assert!(
        !answer
            .headers
            .iter()
            .any(|(name, _)| name.contains("ratelimit"))
    );
}

/// A client writes the colon of a name so that it is not taken for that of the verb.
#[tokio::test(start_paused = true)]
async fn names_of_models_may_be_percent_encoded() {
    let path = "/v1beta/models/fault-503%3A1:generateContent";
    let sim = Sim::new(quick());
    let mut client = Client::connect(&sim);
    assert_eq!(client.ask(ask(path, "abcd")).await.status, 503);
    assert_eq!(client.ask(ask(path, "abcd")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn streams_are_events_without_a_terminator() {
    let answer = one(quick(), ask(EVENTS, "eight ch")).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let id = data(&answer)[0]["responseId"].clone();
    let part = |text: &str, finish: &str, usage: &str| {
        format!(
            r#"data: {{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}],"role":"model"}},{finish}"index":0}}],"usageMetadata":{{"promptTokenCount":2,{usage},"promptTokensDetails":[{{"modality":"TEXT","tokenCount":2}}]}},"modelVersion":"m","responseId":{id}}}"#
        )
    };
    let expected = [
        part("eigh", "", r#""totalTokenCount":2"#),
        part("t ch", "", r#""totalTokenCount":2"#),
        part(
            "",
            r#""finishReason":"STOP","#,
            r#""candidatesTokenCount":2,"totalTokenCount":4"#,
        ),
        String::new(),
    ];
    assert_eq!(
        String::from_utf8(answer.body).unwrap(),
        expected.join("\n\n")
    );
}

#[tokio::test(start_paused = true)]
async fn without_alt_sse_a_stream_is_one_array() {
    let events = data(&one(quick(), ask(EVENTS, "twelve chars")).await);
    let answer = one(quick(), ask(ARRAY, "twelve chars")).await;
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/json; charset=UTF-8"));
    assert_eq!(answer.json(), Value::Array(events));
    let text = String::from_utf8(answer.body).unwrap();
    assert!(
        text.starts_with("[{\n") && text.ends_with("\n}\n]\n"),
        "{text}"
    );
    assert_eq!(text.matches("\n},\r\n{\n").count(), 3);
}

#[tokio::test(start_paused = true)]
async fn errors_stand_in_an_array_where_one_was_asked_for() {
    for (path, wrapped) in [(PLAIN, false), (EVENTS, false), (ARRAY, true)] {
        for inside in [false, true] {
            let sim = scripted(move |_| match inside {
                true => Action::Odd(Oddity::ErrorInside(503)),
                false => Action::status(503),
            });
            let answer = Client::connect(&sim).ask(ask(path, "x")).await;
            assert_eq!(answer.status, if inside { 200 } else { 503 });
            let json = answer.json();
            let error = if wrapped {
                &json[0]["error"]
            } else {
                &json["error"]
            };
            assert_eq!(error["code"], 503, "{path} {json}");
            assert_eq!(error["status"], "UNAVAILABLE");
        }
    }
    let error = Oddity::ErrorAfter {
        tokens: 1,
        status: 503,
    };
    let json = odd(error.clone(), ARRAY).await.json();
    assert_eq!(
        json[0]["candidates"][0]["content"]["parts"][0]["text"],
        "abcd"
    );
    assert_eq!(
        (&json[1]["error"]["code"], json.as_array().unwrap().len()),
        (&json!(503), 2)
    );
    let answer = odd(error, EVENTS).await;
    let text = String::from_utf8(answer.body).unwrap();
    let (_, raw) = text.split_once("\n\n").unwrap();
    assert!(
        raw.starts_with("{\n  \"error\": {\n    \"code\": 503,\n"),
        "{raw}"
    );
}

#[tokio::test(start_paused = true)]
async fn odd_content_is_odd_in_its_own_way() {
    let text = |text: &str| json!({"parts": [{"text": text}], "role": "model"});
    for (oddity, content, reason) in [
        (Oddity::NullContent, json!({"role": "model"}), "STOP"),
        (Oddity::EmptyText, text(""), "STOP"),
        (Oddity::Refused, json!(null), "SAFETY"),
        (Oddity::Length, text("abcd"), "MAX_TOKENS"),
        (Oddity::NoUsage, text("abcd"), "STOP"),
    ] {
        let json = odd(oddity.clone(), PLAIN).await.json();
        let candidate = &json["candidates"][0];
        assert_eq!(candidate["content"], content, "{oddity:?}");
        assert_eq!(candidate["finishReason"], reason, "{oddity:?}");
        assert_eq!(candidate["safetyRatings"].is_array(), reason == "SAFETY");
        let missing = json.get("usageMetadata").is_none();
        assert_eq!(missing, oddity == Oddity::NoUsage);
        for path in [EVENTS, ARRAY] {
            let answer = odd(oddity.clone(), path).await;
            let parts = match path {
                EVENTS => data(&answer),
                _ => answer.json().as_array().unwrap().clone(),
            };
            let whole: String = parts.iter().filter_map(part_text).collect();
            assert_eq!(
                whole,
                content["parts"][0]["text"].as_str().unwrap_or(""),
                "{oddity:?}"
            );
            assert_eq!(
                parts.last().unwrap()["candidates"][0]["finishReason"],
                reason
            );
        }
    }
    for (oddity, blocked) in [
        (Oddity::NoChoices, json!(null)),
        (Oddity::Filtered, json!("SAFETY")),
    ] {
        let plain = odd(oddity.clone(), PLAIN).await.json();
        let streamed = data(&odd(oddity.clone(), EVENTS).await);
        assert_eq!(streamed.len(), 1);
        for json in [&plain, &streamed[0]] {
            assert_eq!(json.get("candidates"), None, "{oddity:?}");
            assert_eq!(json["promptFeedback"]["blockReason"], blocked);
            assert_eq!(json["usageMetadata"]["totalTokenCount"], 1);
        }
    }
}

fn part_text(part: &Value) -> Option<String> {
    let text = part["candidates"][0]["content"]["parts"][0]["text"].as_str()?;
    Some(text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_lack_its_end() {
    let parts = data(&odd(Oddity::NoFinish, EVENTS).await);
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0]["candidates"][0].get("finishReason"), None);
    // Well formed: the array ends, the reason is missing.
    assert_eq!(odd(Oddity::NoFinish, ARRAY).await.json()[0], parts[0]);
    let open = odd(Oddity::NoTerminator, ARRAY).await;
    assert!(String::from_utf8(open.body).unwrap().ends_with("\n}"));
}

#[tokio::test(start_paused = true)]
async fn functions_json_and_candidates_are_as_asked_for() {
    let mut client = Client::connect(&Sim::new(quick()));
    let with = |path: &str, more: &str| {
        let body = format!(r#"{{"contents":[{{"parts":[{{"text":"abcdefgh"}}]}}],{more}}}"#);
        raw_post(path, KEY, &body)
    };
    let function = r#""tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"n":{"type":"INTEGER"}}}}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}"#;
    let json = client.ask(with(PLAIN, function)).await.json();
    let call = &json["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!(call["name"], "f");
    assert!(call["args"]["n"].is_i64());
    let parts = data(&client.ask(with(EVENTS, function)).await);
    assert_eq!(
        &parts[0]["candidates"][0]["content"]["parts"][0]["functionCall"],
        call
    );
    assert_eq!(parts.len(), 1, "a call comes in one piece");

    let schema = r#""generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"BOOLEAN"}}"#;
    let json = client.ask(with(PLAIN, schema)).await.json();
    assert!(["true", "false"].contains(&&*part_text(&json).unwrap()));

    let more = r#""generation_config":{"candidate_count":2,"max_output_tokens":1,"thinking_config":{"thinking_budget":8}}"#;
    let json = client.ask(with(PLAIN, more)).await.json();
    let candidates = json["candidates"].as_array().unwrap();
    assert_eq!((candidates.len(), &candidates[1]["index"]), (2, &json!(1)));
    assert_eq!(candidates[1]["finishReason"], "MAX_TOKENS");
    let usage = &json["usageMetadata"];
    assert_eq!(
        (&usage["candidatesTokenCount"], &usage["thoughtsTokenCount"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(usage["totalTokenCount"], 6);
}

#[tokio::test(start_paused = true)]
async fn keys_are_taken_from_the_header_or_the_query() {
    let sim = Sim::new(Config {
        required_key: Some("right".to_owned()),
        ..quick()
    });
    let mut client = Client::connect(&sim);
    let body = r#"{"contents":[{"parts":[{"text":"x"}]}]}"#;
    for (path, headers, status, word) in [
        (PLAIN.to_owned(), "x-goog-api-key: right\r\n", 200, ""),
        (format!("{PLAIN}?key=right"), "", 200, ""),
        (format!("{PLAIN}?key=wrong"), "", 400, "INVALID_ARGUMENT"),
        (PLAIN.to_owned(), KEY, 400, "INVALID_ARGUMENT"),
        (PLAIN.to_owned(), "", 403, "PERMISSION_DENIED"),
    ] {
        let answer = client.ask(raw_post(&path, headers, body)).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, error["status"].as_str().unwrap_or("")),
            (status, word)
        );
        if status == 400 {
            assert_eq!(error["details"][0]["reason"], "API_KEY_INVALID");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn limits_are_told_in_the_errors_details() {
    let sim = Sim::new(Config {
        limits: Limits {
            rpm: Some(2),
            ..Limits::default()
        },
        ..quick()
    });
    let mut client = Client::connect(&sim);
    for _ in 0..2 {
        assert_eq!(client.ask(ask(PLAIN, "x")).await.status, 200);
    }
    let answer = client.ask(ask(PLAIN, "x")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, None));
    let error = &answer.json()["error"];
    assert_eq!(error["status"], "RESOURCE_EXHAUSTED");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .ends_with("\nPlease retry in 30s.")
    );
    let kinds = ["QuotaFailure", "Help", "RetryInfo"];
    for (detail, kind) in error["details"].as_array().unwrap().iter().zip(kinds) {
        assert_eq!(
            detail["@type"],
            format!("type.googleapis.com/google.rpc.{kind}")
        );
    }
    assert_eq!(error["details"][2]["retryDelay"], "30s");
    let violation = &error["details"][0]["violations"][0];
    assert_eq!(
        violation["quotaId"],
        "GenerateRequestsPerMinutePerProjectPerModel"
    );
    assert_eq!(violation["quotaValue"], "2");
    // Counting is free, whatever is used up.
    let count = client
        .ask(ask("/v1beta/models/m:countTokens", "abcdefgh"))
        .await;
    assert_eq!(count.json()["totalTokens"], 2);
    // A script's code that names a period is a quota's id.
    let sim = scripted(|_| Action::Error {
        status: 429,
        kind: "".into(),
        code: Some("GenerateRequestsPerDayPerProjectPerModel-FreeTier".into()),
        message: String::new(),
        headers: Vec::new(),
    });
    let json = Client::connect(&sim).ask(ask(PLAIN, "x")).await.json();
    let violation = &json["error"]["details"][0]["violations"][0];
    assert!(violation["quotaId"].as_str().unwrap().contains("PerDay"));
}

#[tokio::test(start_paused = true)]
async fn what_is_invalid_is_told() {
    let mut client = Client::connect(&Sim::new(quick()));
    for (body, expected) in [
        ("{", "Invalid JSON payload received."),
        ("{}", "contents is not specified"),
        (
            r#"{"contents":[{"role":"assistant","parts":[{"text":"x"}]}]}"#,
            "valid role: user, model",
        ),
        (
            r#"{"contents":[{"role":"user","parts":[]}]}"#,
            "parts must not be empty",
        ),
        (
            r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"maxOutputTokens":0}}"#,
            "must be positive",
        ),
        (
            r#"{"contents":[{"parts":[{"text":"x"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}}"#,
            "without function_declarations",
        ),
    ] {
        let answer = client.ask(raw_post(PLAIN, KEY, body)).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["status"]),
            (400, &json!("INVALID_ARGUMENT")),
            "{body}"
        );
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn models_have_pages_and_pages_of_their_own() {
    let mut client = Client::connect(&Sim::new(quick()));
    let mut get = async |path: &str| {
        let answer = client
            .ask(format!("GET {path} HTTP/1.1\r\n{KEY}\r\n"))
            .await;
        (answer.status, answer.json())
    };
    let (_, page) = get("/v1beta/models?pageSize=1").await;
    assert_eq!(page["models"][0]["name"], "models/sim-small");
    let token = page["nextPageToken"].as_str().unwrap().to_owned();
    let (_, page) = get(&format!("/v1beta/models?pageSize=1&pageToken={token}")).await;
    assert_eq!(page["models"][0]["name"], "models/sim-large");
    assert_eq!(page.get("nextPageToken"), None);
    // The newest clients leave out `beta`; the key's header tells whose words are wanted.
    for path in ["/v1beta/models/sim-large", "/v1/models/sim-large"] {
        assert_eq!(get(path).await.1["name"], "models/sim-large");
    }
    let (status, error) = get("/v1beta/models/nothing").await;
    assert_eq!(
        (status, &error["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_cache_saved_is_part_of_the_prompts_tokens() {
    let sim = Sim::new(Config {
        batching: Some(Batching::default()),
        ..quick()
    });
    let mut client = Client::connect(&sim);
    let prompt = "prompt. ".repeat(50);
    let first = client.ask(ask(PLAIN, &prompt)).await.json();
    assert_eq!(first["usageMetadata"].get("cachedContentTokenCount"), None);
    let usage = client.ask(ask(PLAIN, &prompt)).await.json()["usageMetadata"].clone();
    let cached = usage["cachedContentTokenCount"].as_u64().unwrap();
    assert!((80..100).contains(&cached), "{cached}");
    assert_eq!(usage["promptTokenCount"], 100);
}
