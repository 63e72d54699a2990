use forebay_sim::{Action, Config, Event, Oddity, Sim};
use serde_json::{Value, json};

use crate::client::{Answer, Client, quick, raw_post, scripted};

const KEY: &str = "authorization: Bearer k\r\n";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const EMBEDDINGS: &str = "/v1/embeddings";

async fn ask(sim: &Sim, path: &str, body: Value) -> Answer {
    let request = raw_post(path, KEY, &body.to_string());
    Client::connect(sim).ask(request).await
}

/// Asks a simulator that answers oddly.
async fn odd(oddity: Oddity, path: &str, body: Value) -> (Answer, Sim) {
    let sim = scripted(move |_| Action::Odd(oddity.clone()));
    (ask(&sim, path, body).await, sim)
}

/// A chat completion of one user message, with more fields.
fn chat(more: Value) -> Value {
    let messages = json!([{"role": "user", "content": "hello there"}]);
    with(json!({"model": "m", "messages": messages}), more)
}

fn response(more: Value) -> Value {
    with(json!({"model": "m", "input": "hello there"}), more)
}

fn with(mut body: Value, more: Value) -> Value {
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    body
}

fn tools() -> Value {
    let parameters = json!({"type": "object", "properties": {"n": {"const": 12345678}}});
    json!([{"type": "function", "function": {"name": "f", "parameters": parameters}}])
}

/// The type of each event, with as many repeats as there are.
fn kinds(answer: &Answer) -> Vec<String> {
    let kind = |event: &String| {
        let event: Value = serde_json::from_str(event).unwrap();
        event["type"].as_str().unwrap().to_owned()
    };
    answer.events().iter().map(kind).collect()
}

fn json_events(answer: &Answer) -> Vec<Value> {
    let parse = |event: &String| serde_json::from_str(event).ok();
    answer.events().iter().filter_map(parse).collect()
}

fn error(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json()["error"].clone())
}

#[tokio::test(start_paused = true)]
async fn a_called_function_has_arguments_after_its_schema() {
    let sim = Sim::new(quick());
    for choice in [
        json!("required"),
        json!({"type": "function", "function": {"name": "f"}}),
    ] {
        let body = chat(json!({"tools": tools(), "tool_choice": choice}));
        let answer = ask(&sim, CHAT, body).await.json();
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(choice["message"]["content"], Value::Null);
        let call = &choice["message"]["tool_calls"][0];
        assert!(call["id"].as_str().unwrap().starts_with("call_"));
        assert_eq!(
            (&call["type"], &call["function"]),
            (
                &json!("function"),
                &json!({"name": "f", "arguments": r#"{"n":12345678}"#})
            )
        );
    }
    let auto = chat(json!({"tools": tools(), "tool_choice": "auto"}));
    assert_eq!(ask(&sim, CHAT, auto).await.text(), "hello there");
}

#[tokio::test(start_paused = true)]
async fn a_streamed_call_comes_in_fragments_under_one_index() {
    let sim = Sim::new(quick());
    let body = chat(json!({"tools": tools(), "tool_choice": "required", "stream": true}));
    let answer = ask(&sim, CHAT, body).await;
    let events = answer.events();
    let deltas: Vec<Value> = json_events(&answer)
        .iter()
        .map(|chunk| chunk["choices"][0]["delta"].clone())
        .collect();
    let id = deltas[0]["tool_calls"][0]["id"].clone();
    let fragment = |arguments: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
    assert_eq!(
        deltas,
        [
            json!({"role": "assistant", "content": null, "tool_calls": [{"index": 0, "id": id,
                "type": "function", "function": {"name": "f", "arguments": ""}}]}),
            fragment("{\"n\""),
            fragment(":123"),
            fragment("4567"),
            fragment("8}"),
            json!({}),
        ]
    );
    assert!(events[5].contains(r#""finish_reason":"tool_calls""#));
    assert_eq!(events[6], "[DONE]");
}

#[tokio::test(start_paused = true)]
async fn texts_keep_to_a_schema() {
    let sim = Sim::new(quick());
    let schema = json!({"type": "object", "properties": {"n": {"const": 7}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let answer = ask(&sim, CHAT, chat(json!({"response_format": format}))).await;
    assert_eq!(answer.text(), r#"{"n":7}"#);
    let flat = json!({"format": {"type": "json_schema", "name": "x", "schema": schema}});
    let answer = ask(&sim, RESPONSES, response(json!({"text": flat})))
        .await
        .json();
    assert_eq!(answer["output"][0]["content"][0]["text"], r#"{"n":7}"#);
    assert_eq!(answer["text"], flat);

    let nameless = json!({"type": "json_schema", "json_schema": {"schema": schema}});
    let (status, problem) =
        error(&ask(&sim, CHAT, chat(json!({"response_format": nameless}))).await);
    assert_eq!(
        (status, &problem["param"]),
        (400, &json!("response_format.json_schema.name"))
    );
    let object = json!({"response_format": {"type": "json_object"}});
    let (status, problem) = error(&ask(&sim, CHAT, chat(object)).await);
    assert_eq!(status, 400);
    assert_eq!(
        problem["message"],
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
         'json_object'."
    );
}

#[tokio::test(start_paused = true)]
async fn several_choices_are_several_times_the_output() {
    let sim = Sim::new(quick());
    let answer = ask(&sim, CHAT, chat(json!({"n": 2}))).await.json();
    assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
    assert_eq!(answer["choices"][1]["index"], 1);
    assert_eq!(answer["usage"]["completion_tokens"], 6);
    assert_eq!(sim.log()[1].output_tokens, 6);
    let streamed = ask(&sim, CHAT, chat(json!({"n": 2, "stream": true}))).await;
    let of = |index: u32| {
        let choices = json_events(&streamed);
        let texts = choices.iter().map(|chunk| chunk["choices"][0].clone());
        let own = texts.filter(|choice| choice["index"] == index);
        let text = own.map(|c| {
            c["delta"]["content"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        });
        text.collect::<String>()
    };
    assert_eq!([of(0), of(1)], ["hello there", "hello there"]);
    for (n, code) in [
        (0, "integer_below_min_value"),
        (129, "integer_above_max_value"),
    ] {
        let (status, problem) = error(&ask(&sim, CHAT, chat(json!({"n": n}))).await);
        assert_eq!((status, &problem["code"]), (400, &json!(code)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_ends_before_a_stop_sequence() {
    let sim = Sim::new(quick());
    for (stop, text) in [
        (json!(" "), "hello"),
        (json!(["x", "the"]), "hello "),
        (json!(null), "hello there"),
    ] {
        let answer = ask(&sim, CHAT, chat(json!({"stop": stop}))).await;
        assert_eq!(answer.text(), text);
        assert_eq!(answer.json()["choices"][0]["finish_reason"], "stop");
    }
    let (status, problem) =
        error(&ask(&sim, CHAT, chat(json!({"stop": ["a", "b", "c", "d", "e"]}))).await);
    assert_eq!((status, &problem["param"]), (400, &json!("stop")));
}

#[tokio::test(start_paused = true)]
async fn odd_chat_completions() {
    for (oddity, path, value) in [
        (Oddity::NoUsage, "/usage", None),
        (Oddity::NoChoices, "/choices", Some(json!([]))),
        (
            Oddity::NullContent,
            "/choices/0/message/content",
            Some(Value::Null),
        ),
        (
            Oddity::EmptyText,
            "/choices/0/message/content",
            Some(json!("")),
        ),
        (
            Oddity::Filtered,
            "/choices/0/finish_reason",
            Some(json!("content_filter")),
        ),
        (
            Oddity::Refused,
            "/choices/0/message/refusal",
            Some(json!("hello there")),
        ),
        (
            Oddity::Refused,
            "/choices/0/message/content",
            Some(Value::Null),
        ),
        (
            Oddity::Length,
            "/choices/0/finish_reason",
            Some(json!("length")),
        ),
        (Oddity::OtherModel("o".into()), "/model", Some(json!("o"))),
        (
            Oddity::ErrorInside(429),
            "/error/code",
            Some(json!("rate_limit_exceeded")),
        ),
    ] {
        let (answer, _) = odd(oddity.clone(), CHAT, chat(json!({}))).await;
        assert_eq!(answer.status, 200, "{oddity:?}");
        assert_eq!(answer.json().pointer(path), value.as_ref(), "{oddity:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn odd_chat_streams() {
    let body = || chat(json!({"stream": true, "stream_options": {"include_usage": true}}));
    for (oddity, chunks, done) in [
        // An opening, three pieces, an end, the usage.
        (Oddity::Length, 6, true),
        (Oddity::NoUsage, 5, true),
        (Oddity::NoChoices, 2, true),
        (Oddity::NullContent, 3, true),
        (Oddity::EmptyText, 3, true),
        (Oddity::Filtered, 3, true),
        (Oddity::Refused, 6, true),
        (Oddity::NoFinish, 4, false),
        (Oddity::NoTerminator, 5, false),
        (
            Oddity::ErrorAfter {
                tokens: 1,
                status: 500,
            },
            3,
            false,
        ),
    ] {
        let (answer, _) = odd(oddity.clone(), CHAT, body()).await;
        let events = answer.events();
        assert_eq!(
            events.len() - usize::from(done),
            chunks,
            "{oddity:?}: {events:#?}"
        );
        assert_eq!(events.last().unwrap() == "[DONE]", done, "{oddity:?}");
    }
    let (answer, _) = odd(Oddity::NoChoices, CHAT, body()).await;
    let choices = |chunk: &Value| chunk["choices"].as_array().unwrap().len();
    assert_eq!(json_events(&answer).iter().map(choices).sum::<usize>(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_response_has_every_field() {
    let sim = Sim::new(quick());
    let body = response(json!({"instructions": "Be brief.", "metadata": {"a": "b"}}));
    let mut answer = ask(&sim, RESPONSES, body).await.json();
    let fields = answer.as_object_mut().unwrap();
    assert!(
        fields
            .remove("id")
            .unwrap()
            .as_str()
            .unwrap()
            .starts_with("resp_")
    );
    assert!(fields.remove("created_at").unwrap().as_u64().unwrap() > 1_700_000_000);
    let item = fields["output"][0]["id"].take();
    assert!(item.as_str().unwrap().starts_with("msg_"));
    assert_eq!(
        answer,
        json!({"object": "response", "status": "completed", "background": false, "error": null,
            "incomplete_details": null, "instructions": "Be brief.", "max_output_tokens": null,
            "model": "m", "output": [{"type": "message", "id": null, "status": "completed",
                "role": "assistant", "content": [{"type": "output_text", "annotations": [],
                    "logprobs": [], "text": "hello there"}]}],
            "parallel_tool_calls": true, "previous_response_id": null,
            "reasoning": {"effort": null, "summary": null}, "service_tier": "default",
            "store": true, "temperature": 1.0, "text": {"format": {"type": "text"}},
            "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
            "usage": {"input_tokens": 5,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 8},
            "user": null, "metadata": {"a": "b"}})
    );
}

#[tokio::test(start_paused = true)]
async fn response_events_come_in_order_without_done() {
    let sim = Sim::new(quick());
    let answer = ask(&sim, RESPONSES, response(json!({"stream": true}))).await;
    assert_eq!(
        kinds(&answer),
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let text = String::from_utf8(answer.body.clone()).unwrap();
    assert!(text.starts_with("event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_"));
    let events = json_events(&answer);
    let item = &events[2]["item"]["id"];
    assert_eq!(
        events[4],
        json!({"type": "response.output_text.delta", "sequence_number": 4, "item_id": item,
            "output_index": 0, "content_index": 0, "delta": "hell", "logprobs": []})
    );
    assert_eq!(
        (
            &events[0]["response"]["status"],
            &events[0]["response"]["usage"]
        ),
        (&json!("in_progress"), &Value::Null)
    );
    assert_eq!(events[10]["response"]["usage"]["output_tokens"], 3);
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], at);
    }
}

#[tokio::test(start_paused = true)]
async fn a_called_function_has_events_of_its_own() {
    let sim = Sim::new(quick());
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]);
    let body =
        json!({"tools": tools, "tool_choice": {"type": "function", "name": "f"}, "stream": true});
    let answer = ask(&sim, RESPONSES, response(body)).await;
    assert_eq!(
        kinds(&answer)[2..],
        [
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let events = json_events(&answer);
    assert_eq!(events[4]["arguments"], "{}");
    let item = &events[5]["item"];
    assert_eq!(
        (&item["type"], &item["name"], &item["status"]),
        (&json!("function_call"), &json!("f"), &json!("completed"))
    );
}

#[tokio::test(start_paused = true)]
async fn odd_responses() {
    for (oddity, path, value) in [
        (Oddity::NoUsage, "/usage", json!(null)),
        (Oddity::NoChoices, "/output", json!([])),
        (Oddity::NullContent, "/output/0/content", json!([])),
        (Oddity::EmptyText, "/output/0/content/0/text", json!("")),
        (
            Oddity::Filtered,
            "/incomplete_details/reason",
            json!("content_filter"),
        ),
        (Oddity::Filtered, "/status", json!("incomplete")),
        (
            Oddity::Refused,
            "/output/0/content/0/refusal",
            json!("hello there"),
        ),
        (
            Oddity::Length,
            "/incomplete_details/reason",
            json!("max_output_tokens"),
        ),
        (
            Oddity::ErrorInside(500),
            "/error/code",
            json!("server_error"),
        ),
        (
            Oddity::ErrorInside(429),
            "/error/code",
            json!("rate_limit_exceeded"),
        ),
        (Oddity::ErrorInside(429), "/status", json!("failed")),
    ] {
        let (answer, _) = odd(oddity.clone(), RESPONSES, response(json!({}))).await;
        assert_eq!(answer.status, 200, "{oddity:?}");
        assert_eq!(answer.json().pointer(path), Some(&value), "{oddity:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn odd_response_streams_end_in_their_own_events() {
    for (oddity, last, count) in [
        (Oddity::Length, "response.incomplete", 11),
        (Oddity::Filtered, "response.incomplete", 5),
        (Oddity::NullContent, "response.completed", 5),
        (Oddity::NoChoices, "response.completed", 3),
        (Oddity::Refused, "response.completed", 11),
        (Oddity::NoFinish, "response.output_item.done", 10),
        (
            Oddity::ErrorAfter {
                tokens: 1,
                status: 500,
            },
            "response.failed",
            6,
        ),
        (
            Oddity::ErrorAfter {
                tokens: 1,
                status: 503,
            },
            "error",
            6,
        ),
    ] {
        let (answer, sim) = odd(oddity.clone(), RESPONSES, response(json!({"stream": true}))).await;
        let kinds = kinds(&answer);
        assert_eq!(
            (kinds.last().unwrap().as_str(), kinds.len()),
            (last, count),
            "{oddity:?}"
        );
        let told = match oddity {
            Oddity::ErrorAfter { status, .. } => Some(status),
            Oddity::NoFinish => None,
            _ => Some(200),
        };
        assert_eq!(sim.log()[1].status, told, "{oddity:?}");
    }
    let (answer, _) = odd(
        Oddity::ErrorAfter {
            tokens: 0,
            status: 503,
        },
        RESPONSES,
        response(json!({"stream": true})),
    )
    .await;
    let error = json_events(&answer).pop().unwrap();
    assert_eq!(
        (&error["code"], &error["sequence_number"]),
        (&json!("server_is_overloaded"), &json!(4))
    );
}

#[tokio::test(start_paused = true)]
async fn bad_responses_are_rejected() {
    let sim = Sim::new(quick());
    for (body, param, code) in [
        (json!({"model": "m"}), "input", "missing_required_parameter"),
        (
            response(json!({"max_output_tokens": 15})),
            "max_output_tokens",
            "integer_below_min_value",
        ),
        (
            response(json!({"text": {"format": {"type": "yaml"}}})),
            "text.format",
            "invalid_value",
        ),
    ] {
        let (status, problem) = error(&ask(&sim, RESPONSES, body).await);
        assert_eq!(
            (status, &problem["param"], &problem["code"]),
            (400, &json!(param), &json!(code))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn embeddings_are_fixed_by_seed_and_text() {
    let vector = async |seed: u64, input: Value| {
        let sim = Sim::new(Config { seed, ..quick() });
        let body = json!({"model": "m", "input": input, "dimensions": 3});
        let answer = ask(&sim, EMBEDDINGS, body).await.json();
        assert_eq!(
            (&answer["object"], &answer["data"][0]["object"]),
            (&json!("list"), &json!("embedding"))
        );
        answer["data"][0]["embedding"].clone()
    };
    let first = vector(1, json!("text")).await;
    assert_eq!(vector(1, json!(["text", "other"])).await, first);
    assert_ne!(vector(1, json!("other")).await, first);
    assert_ne!(vector(2, json!("text")).await, first);
    let numbers = first
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_f64().unwrap());
    let length = numbers.map(|number| number * number).sum::<f64>().sqrt();
    assert!((length - 1.0).abs() < 1e-6, "{length}");
}

#[tokio::test(start_paused = true)]
async fn embeddings_count_their_input_and_may_be_odd() {
    let sim = Sim::new(quick());
    let body = || json!({"model": "m", "input": ["12345678", "x"], "dimensions": 2});
    let answer = ask(&sim, EMBEDDINGS, body()).await.json();
    assert_eq!(
        answer["usage"],
        json!({"prompt_tokens": 3, "total_tokens": 3})
    );
    let log = sim.log();
    assert_eq!(
        (log[1].event, log[1].input_tokens, log[1].output_tokens),
        (Event::Answer, 3, 0)
    );
    for (oddity, path, value) in [
        (Oddity::NoUsage, "/usage", None),
        (Oddity::NoChoices, "/data", Some(json!([]))),
        (Oddity::NullContent, "/data/1/embedding", Some(Value::Null)),
        (Oddity::EmptyText, "/data/1/embedding", Some(json!([]))),
        (
            Oddity::ErrorInside(500),
            "/error/type",
            Some(json!("server_error")),
        ),
    ] {
        let (answer, _) = odd(oddity.clone(), EMBEDDINGS, body()).await;
        assert_eq!(answer.json().pointer(path), value.as_ref(), "{oddity:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn embeddings_have_caps() {
    let sim = Sim::new(quick());
    let ask = async |input: Value| {
        let body = json!({"model": "m", "input": input, "dimensions": 1});
        error(&ask(&sim, EMBEDDINGS, body).await)
    };
    assert_eq!(ask(json!(vec!["x"; 2048])).await.0, 200);
    let (status, problem) = ask(json!(vec!["x"; 2049])).await;
    assert_eq!(
        (status, &problem["code"]),
        (400, &json!("array_above_max_length"))
    );
    assert_eq!(ask(json!("x".repeat(8192 * 4))).await.0, 200);
    let (status, problem) = ask(json!("x".repeat(8192 * 4 + 1))).await;
    assert_eq!(status, 400);
    let message = problem["message"].as_str().unwrap();
    assert!(
        message.contains("8192 tokens, however you requested 8193 tokens"),
        "{message}"
    );
    let (status, problem) = ask(json!(vec!["x".repeat(8000 * 4); 38])).await;
    assert_eq!(
        (status, &problem["code"]),
        (400, &json!("max_tokens_per_request"))
    );
    assert_eq!(
        problem["message"],
        "Requested 304000 tokens, max 300000 tokens per request"
    );
}

#[tokio::test(start_paused = true)]
async fn any_model_is_told() {
    let sim = Sim::new(quick());
    let mut client = Client::connect(&sim);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\n{KEY}\r\n");
    let model = client.ask(get("/v1/models/ft:a/b")).await.json();
    assert_eq!(
        (&model["id"], &model["object"]),
        (&json!("ft:a/b"), &json!("model"))
    );
    let list = client.ask(get("/v1/models")).await.json();
    assert_eq!(list["data"][1]["id"], "sim-large");
}
