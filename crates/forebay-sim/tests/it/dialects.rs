use forebay_sim::{Answers, Config, Dialect, Sim};
use serde_json::json;

use crate::client::{Answer, Client, body, post, quick, raw_post, say};

async fn ask(config: Config, request: String) -> Answer {
    Client::connect(&Sim::new(config)).ask(request).await
}

fn error(answer: &Answer) -> (u16, String) {
    let json = answer.json();
    let error = &json["error"];
    let kind = error["type"].as_str().expect("a type");
    let code = error["code"].as_str().unwrap_or("-");
    (
        answer.status,
        format!(
            "{kind} {code}: {}",
            error["message"].as_str().expect("a message")
        ),
    )
}

#[tokio::test(start_paused = true)]
async fn openai_answers_have_every_field() {
    let answer = ask(quick(), say("hello there")).await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert!(json["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(json["object"], "chat.completion");
    assert!(json["created"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(json["model"], "m");
    assert_eq!(
        json["choices"][0],
        json!({"index": 0, "logprobs": null, "finish_reason": "stop", "message":
            {"role": "assistant", "content": "hello there", "refusal": null, "annotations": []}})
    );
    assert_eq!(json["usage"]["prompt_tokens"], 3);
    assert_eq!(json["usage"]["completion_tokens"], 3);
    assert_eq!(json["usage"]["total_tokens"], 6);
    assert_eq!(
        json["usage"]["completion_tokens_details"]["reasoning_tokens"],
        0
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    assert!(answer.header("date").unwrap().ends_with(" GMT"));
    assert_eq!(answer.header("x-ratelimit-limit-requests"), None);
}

#[tokio::test(start_paused = true)]
async fn anthropic_answers_have_every_field() {
    let answer = ask(quick(), post(Dialect::Anthropic, &body("hello there", 100))).await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert!(json["id"].as_str().unwrap().starts_with("msg_01"));
    assert_eq!(
        (&json["type"], &json["role"]),
        (&json!("message"), &json!("assistant"))
    );
    assert_eq!(
        json["content"],
        json!([{"type": "text", "text": "hello there"}])
    );
    assert_eq!(
        (&json["stop_reason"], &json["stop_sequence"]),
        (&json!("end_turn"), &json!(null))
    );
    assert_eq!(json["usage"]["input_tokens"], 3);
    assert_eq!(json["usage"]["output_tokens"], 3);
    assert_eq!(json["usage"]["cache_read_input_tokens"], 0);
    assert!(answer.header("request-id").unwrap().starts_with("req_"));
}

#[tokio::test(start_paused = true)]
async fn the_token_cap_cuts_and_says_so() {
    let long = "four and twenty blackbirds";
    let openai = ask(quick(), post(Dialect::OpenAi, &body(long, 2))).await;
    assert_eq!(openai.text(), "four and");
    assert_eq!(openai.json()["choices"][0]["finish_reason"], "length");
    assert_eq!(openai.json()["usage"]["completion_tokens"], 2);
    let anthropic = ask(quick(), post(Dialect::Anthropic, &body(long, 2))).await;
    assert_eq!(anthropic.json()["stop_reason"], "max_tokens");
    assert_eq!(anthropic.json()["usage"]["output_tokens"], 2);
}

#[tokio::test(start_paused = true)]
async fn paths_do_without_v1_and_models_are_listed() {
    let mut client = Client::connect(&Sim::new(quick()));
    let openai = raw_post(
        "/chat/completions?x=1",
        "authorization: Bearer k\r\n",
        &body("a", 5),
    );
    assert_eq!(client.ask(openai).await.text(), "a");
    let bearer = "authorization: Bearer k\r\nanthropic-version: 2026-10-21\r\n";
    assert_eq!(
        client
            .ask(raw_post("/messages", bearer, &body("b", 5)))
            .await
            .text(),
        "b"
    );
    let models = client
        .ask("GET /v1/models HTTP/1.1\r\nauthorization: Bearer k\r\n\r\n")
        .await;
    assert_eq!(models.json()["data"][0]["id"], "sim-small");
    let models = client
        .ask("GET /models HTTP/1.1\r\nx-api-key: k\r\nanthropic-version: 2023-06-01\r\n\r\n")
        .await;
    assert_eq!(models.json()["first_id"], "sim-small");
}

#[tokio::test(start_paused = true)]
async fn keys_are_checked() {
    let mut client = Client::connect(&Sim::new(quick()));
    let openai = client
        .ask(raw_post("/v1/chat/completions", "", &body("a", 5)))
        .await;
    let (status, text) = error(&openai);
    assert_eq!(status, 401);
    assert!(
        text.starts_with("invalid_request_error -: You didn't provide an API key"),
        "{text}"
    );
    let empty = "x-api-key: \r\nanthropic-version: 2023-06-01\r\n";
    let anthropic = client
        .ask(raw_post("/v1/messages", empty, &body("a", 5)))
        .await;
    let expected = (
        401,
        "authentication_error -: x-api-key header is required".to_owned(),
    );
    assert_eq!(error(&anthropic), expected);
    assert_eq!(anthropic.json()["type"], "error");
    assert_eq!(
        anthropic.json()["request_id"],
        anthropic.header("request-id").unwrap()
    );

    let required_key = Some("right".to_owned());
    let mut client = Client::connect(&Sim::new(Config {
        required_key,
        ..quick()
    }));
    let (status, text) = error(&client.ask(say("a")).await);
    assert_eq!(status, 401);
    assert!(
        text.starts_with("invalid_request_error invalid_api_key: "),
        "{text}"
    );
    let right = raw_post(
        "/v1/chat/completions",
        "Authorization: bearer right\r\n",
        &body("a", 5),
    );
    assert_eq!(client.ask(right).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn openai_rejects_what_is_invalid() {
    let mut client = Client::connect(&Sim::new(quick()));
    let user = r#"[{"role":"user","content":"x"}]"#;
    for (body, expected) in [
        ("{".to_owned(), "We could not parse the JSON body"),
        (
            r#"{"messages":[]}"#.to_owned(),
            "you must provide a model parameter",
        ),
        (
            r#"{"model":"m"}"#.to_owned(),
            "Missing required parameter: 'messages'.",
        ),
        (
            r#"{"model":"m","messages":[]}"#.to_owned(),
            "Invalid 'messages': empty array",
        ),
        (
            r#"{"model":"m","messages":"x"}"#.to_owned(),
            "Invalid request body: invalid type",
        ),
        (
            format!(r#"{{"model":"o3","max_tokens":5,"messages":{user}}}"#),
            "Unsupported parameter",
        ),
        (
            format!(r#"{{"model":"m","max_tokens":0,"messages":{user}}}"#),
            "Invalid 'max_tokens'",
        ),
    ] {
        let (status, text) = error(&client.ask(post(Dialect::OpenAi, &body)).await);
        assert_eq!(status, 400, "for {body}");
        assert!(text.contains(expected), "for {body}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn anthropic_rejects_what_is_invalid() {
    let mut client = Client::connect(&Sim::new(quick()));
    let user = r#"[{"role":"user","content":"x"}]"#;
    for (body, expected) in [
        ("nonsense".to_owned(), "The request body is not valid JSON"),
        (
            format!(r#"{{"max_tokens":5,"messages":{user}}}"#),
            "model: Field required",
        ),
        (
            format!(r#"{{"model":"m","messages":{user}}}"#),
            "max_tokens: Field required",
        ),
        (
            r#"{"model":"m","max_tokens":5}"#.to_owned(),
            "messages: Field required",
        ),
        (
            r#"{"model":"m","max_tokens":5,"messages":[{"role":"system","content":"x"}]}"#.into(),
            "Unexpected role \"system\"",
        ),
    ] {
        let (status, text) = error(&client.ask(post(Dialect::Anthropic, &body)).await);
        assert_eq!(status, 400, "for {body}");
        assert!(
            text.starts_with("invalid_request_error") && text.contains(expected),
            "{text}"
        );
    }
    let unversioned = raw_post("/v1/messages", "x-api-key: k\r\n", &body("x", 5));
    let (_, text) = error(&client.ask(unversioned).await);
    assert!(
        text.ends_with("anthropic-version: header is required"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn unknown_pages_and_methods_get_the_dialects_own_error() {
    let mut client = Client::connect(&Sim::new(quick()));
    let answer = client
        .ask(raw_post("/v1/nothing", "authorization: Bearer k\r\n", "{}"))
        .await;
    let expected = "invalid_request_error -: Invalid URL (POST /v1/nothing)".to_owned();
    assert_eq!(error(&answer), (404, expected));
    let answer = client.ask(raw_post("/v2", "x-api-key: k\r\n", "")).await;
    assert_eq!(answer.json()["error"]["type"], "not_found_error");
    let answer = client
        .ask("GET /v1/chat/completions HTTP/1.1\r\n\r\n")
        .await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert_eq!(
        client.ask("GET /health HTTP/1.1\r\n\r\n").await.json(),
        json!({"status": "ok"})
    );
}

#[tokio::test(start_paused = true)]
async fn plausible_answers_are_labels_when_labels_are_asked_for() {
    let config = Config {
        answers: Answers::Plausible,
        ..quick()
    };
    let mut client = Client::connect(&Sim::new(config));
    for (message, label) in [
        ("You charged my card twice, I want a refund.", "billing"),
        (
            "Mein Paket ist noch nicht angekommen, die Lieferung fehlt.",
            "shipping",
        ),
        ("I cannot log in with my password.", "account"),
    ] {
        let prompt = format!("Classify as billing, bug, account, shipping or other: {message}");
        assert_eq!(client.ask(say(&prompt)).await.text(), label);
    }
    let prose = client.ask(say("Tell me something.")).await.text();
    assert!(prose.ends_with('.'), "{prose}");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    let run = async |seed| {
        let config = Config {
            seed,
            answers: Answers::Plausible,
            ..quick()
        };
        let mut client = Client::connect(&Sim::new(config));
        let mut run = Vec::new();
        for n in 0..5 {
            let answer = client.ask(say(&format!("question {n}"))).await;
            run.push((answer.text(), answer.json()["id"].to_string()));
        }
        run
    };
    assert_eq!(run(3).await, run(3).await);
    assert_ne!(run(3).await, run(4).await);
}
