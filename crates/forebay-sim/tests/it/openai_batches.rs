use std::collections::BTreeSet;
use std::time::Duration;

use forebay_sim::{Action, Batches, Config, Latency, Limits, Sim};
use serde_json::{Value, json};
use tokio::io::DuplexStream;

use crate::client::{Answer, Client, quick, raw_post, scripted};

const KEY: &str = "authorization: Bearer k\r\n";
const CHAT: &str = "/v1/chat/completions";

struct Api {
    client: Client<DuplexStream>,
}

impl Api {
    fn of(sim: &Sim) -> Api {
        let client = Client::connect(sim);
        Api { client }
    }

    async fn send(&mut self, method: &str, path: &str) -> Answer {
        let request = format!("{method} /v1/{path} HTTP/1.1\r\n{KEY}\r\n");
        self.client.ask(request).await
    }

    async fn get(&mut self, path: &str) -> Value {
        self.send("GET", path).await.json()
    }

    async fn upload_as(&mut self, purpose: &str, name: &str, content: &str) -> Answer {
        let part = |head: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
        };
        let purpose = part("name=\"purpose\"", purpose);
        let file = part(&format!("name=\"file\"; filename=\"{name}\""), content);
        let kind = "content-type: multipart/form-data; boundary=b\r\n";
        let body = format!("{purpose}{file}--b--\r\n");
        let request = raw_post("/v1/files", &format!("{KEY}{kind}"), &body);
        self.client.ask(request).await
    }

    async fn upload(&mut self, content: &str) -> String {
        let answer = self.upload_as("batch", "in.jsonl", content).await;
        assert_eq!(answer.status, 200);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn create_with(&mut self, fields: Value) -> Answer {
        let request = raw_post("/v1/batches", KEY, &fields.to_string());
        self.client.ask(request).await
    }

    /// Uploads a file and begins a batch of it.
    async fn begin(&mut self, content: &str, endpoint: &str) -> String {
        let file = self.upload(content).await;
        let fields = json!({"input_file_id": file, "endpoint": endpoint, "completion_window": "24h",
            "metadata": {"run_id": "run-1"}});
        let batch = self.create_with(fields).await.json();
        assert_eq!(batch["status"], "validating");
        batch["id"].as_str().unwrap().to_owned()
    }

    async fn batch(&mut self, id: &str) -> Value {
        self.get(&format!("batches/{id}")).await
    }

    /// The lines of a batch's file; none if there is no file.
    async fn lines(&mut self, batch: &Value, file: &str) -> Vec<Value> {
        let Some(id) = batch[file].as_str() else {
            return Vec::new();
        };
        let content = self.send("GET", &format!("files/{id}/content")).await;
        let text = String::from_utf8(content.body).unwrap();
        let parse = |line: &str| serde_json::from_str(line).unwrap();
        text.lines().map(parse).collect()
    }
}

/// One line for each of these prompts, which are the ids as well.
fn lines(prompts: impl IntoIterator<Item = String>) -> String {
    let line = |prompt: String| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": prompt}]});
        let line = json!({"custom_id": prompt, "method": "POST", "url": CHAT, "body": body});
        format!("{line}\n")
    };
    prompts.into_iter().map(line).collect()
}

fn rows(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("r-{n}"))
}

fn ids(lines: &[Value]) -> Vec<String> {
    let id = |line: &Value| line["custom_id"].as_str().unwrap().to_owned();
    lines.iter().map(id).collect()
}

fn counts(batch: &Value) -> [u64; 3] {
    let count = |name: &str| batch["request_counts"][name].as_u64().unwrap();
    ["total", "completed", "failed"].map(count)
}

async fn wait(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Echoes, and takes ten seconds for it; 64 at a time.
fn slow() -> Config {
    Config {
        latency: Latency::Fixed(Duration::from_secs(10)),
        ..quick()
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_lives_from_validating_to_completed() {
    let sim = Sim::new(Config {
        limits: Limits {
            rpm: Some(1),
            ..Limits::default()
        },
        ..slow()
    });
    let mut api = Api::of(&sim);
    let id = api.begin(&lines(rows(100)), CHAT).await;
    let created = api.batch(&id).await["created_at"].as_u64().unwrap();
    wait(0.5).await;
    assert_eq!(api.batch(&id).await["status"], "validating");
    wait(1.0).await;
    let batch = api.batch(&id).await;
    assert_eq!(
        (&batch["status"], counts(&batch)),
        (&json!("in_progress"), [100, 0, 0])
    );
    wait(10.0).await;
    assert_eq!(counts(&api.batch(&id).await), [100, 64, 0]);
    wait(10.0).await;
    assert_eq!(api.batch(&id).await["status"], "finalizing");
    wait(1.0).await;
    let batch = api.batch(&id).await;
    assert_eq!(
        (&batch["status"], counts(&batch)),
        (&json!("completed"), [100, 100, 0])
    );
    let after = |name: &str| batch[name].as_u64().unwrap() - created;
    assert_eq!(
        [
            "in_progress_at",
            "finalizing_at",
            "completed_at",
            "expires_at"
        ]
        .map(after),
        [1, 21, 22, 24 * 3600]
    );
    assert_eq!(batch["metadata"], json!({"run_id": "run-1"}));
    assert_eq!(
        (&batch["model"], &batch["error_file_id"]),
        (&json!("m"), &Value::Null)
    );
    // A token for r-0 to r-99.
    assert_eq!(batch["usage"]["output_tokens"], 100);
    let output = api.lines(&batch, "output_file_id").await;
    let found = ids(&output);
    assert_ne!(found, rows(100).collect::<Vec<_>>(), "in no order");
    assert_eq!(
        found.iter().cloned().collect::<BTreeSet<_>>(),
        rows(100).collect()
    );
    for line in &output {
        assert_eq!(
            (&line["error"], &line["response"]["status_code"]),
            (&Value::Null, &json!(200))
        );
        let message = &line["response"]["body"]["choices"][0]["message"];
        assert_eq!(message["content"], line["custom_id"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_files() {
    let mut files = Vec::new();
    for _ in 0..2 {
        let sim = Sim::new(Config {
            latency: Latency::default(),
            seed: 7,
            ..quick()
        });
        let mut api = Api::of(&sim);
        let id = api.begin(&lines(rows(50)), CHAT).await;
        wait(60.0).await;
        let batch = api.batch(&id).await;
        files.push(ids(&api.lines(&batch, "output_file_id").await));
    }
    assert_eq!(files[0].len(), 50);
    assert_eq!(files[0], files[1]);
}

#[tokio::test(start_paused = true)]
async fn each_line_is_in_exactly_one_file() {
    let sim = scripted(|call| match call.prompt {
        "r-1" => Action::status(500),
        "r-2" => Action::Reset,
        "r-3" => Action::Reply {
            status: 502,
            headers: Vec::new(),
            body: b"<html>\nbad".to_vec(),
        },
        _ => Action::Answer,
    });
    let mut api = Api::of(&sim);
    let id = api.begin(&lines(rows(6)), CHAT).await;
    wait(5.0).await;
    let batch = api.batch(&id).await;
    assert_eq!(
        (&batch["status"], counts(&batch)),
        (&json!("completed"), [6, 3, 3])
    );
    let output = ids(&api.lines(&batch, "output_file_id").await);
    let errors = api.lines(&batch, "error_file_id").await;
    let sorted = |mut ids: Vec<String>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(sorted(output), ["r-0", "r-4", "r-5"]);
    assert_eq!(sorted(ids(&errors)), ["r-1", "r-2", "r-3"]);
    for line in errors {
        let (response, error) = (&line["response"], &line["error"]);
        match line["custom_id"].as_str().unwrap() {
            "r-1" => assert_eq!(response["body"]["error"]["type"], "server_error"),
            "r-2" => assert_eq!(
                (response, &error["code"]),
                (&Value::Null, &json!("request_timeout"))
            ),
            _ => assert_eq!(
                (&response["status_code"], &response["body"]),
                (&json!(502), &json!("<html>\nbad"))
            ),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_batch_finishes_what_was_begun() {
    let sim = Sim::new(slow());
    let mut api = Api::of(&sim);
    let id = api.begin(&lines(rows(100)), CHAT).await;
    wait(5.0).await;
    let cancelled = api.send("POST", &format!("batches/{id}/cancel")).await;
    assert_eq!(
        (cancelled.status, &cancelled.json()["status"]),
        (200, &json!("cancelling"))
    );
    wait(7.0).await;
    let batch = api.batch(&id).await;
    assert_eq!(
        (&batch["status"], counts(&batch)),
        (&json!("cancelled"), [100, 64, 36])
    );
    assert_eq!(api.lines(&batch, "output_file_id").await.len(), 64);
    let errors = api.lines(&batch, "error_file_id").await;
    assert_eq!(errors.len(), 36);
    assert_eq!(
        (&errors[0]["response"], &errors[0]["error"]["code"]),
        (&Value::Null, &json!("batch_cancelled"))
    );
    let again = api.send("POST", &format!("batches/{id}/cancel")).await;
    assert_eq!(again.status, 409);
    assert_eq!(
        again.json()["error"]["message"],
        "Cannot cancel a batch with status 'cancelled'."
    );
}

#[tokio::test(start_paused = true)]
async fn an_expired_batch_returns_what_is_done() {
    let sim = Sim::new(Config {
        batches: Batches {
            expires_after: Duration::from_secs(16),
            ..Batches::default()
        },
        ..slow()
    });
    let mut api = Api::of(&sim);
    let id = api.begin(&lines(rows(100)), CHAT).await;
    wait(17.0).await;
    let batch = api.batch(&id).await;
    assert_eq!(
        (&batch["status"], counts(&batch)),
        (&json!("expired"), [100, 64, 36])
    );
    assert_eq!(batch["expired_at"], batch["expires_at"]);
    assert_eq!(api.lines(&batch, "output_file_id").await.len(), 64);
    let errors = api.lines(&batch, "error_file_id").await;
    assert_eq!(
        errors[0]["error"],
        json!({"code": "batch_expired",
            "message": "This request could not be executed before the completion window expired."})
    );
}

#[tokio::test(start_paused = true)]
async fn lines_go_missing_only_when_told_to() {
    let sim = Sim::new(Config {
        batches: Batches {
            missing: 0.3,
            ..Batches::default()
        },
        ..quick()
    });
    let mut api = Api::of(&sim);
    let id = api.begin(&lines(rows(1000)), CHAT).await;
    wait(5.0).await;
    let batch = api.batch(&id).await;
    let found = api.lines(&batch, "output_file_id").await.len();
    assert_eq!(counts(&batch), [1000, 1000, 0]);
    assert!((600..800).contains(&found), "{found}");
}

#[tokio::test(start_paused = true)]
async fn a_bad_file_fails_and_says_where() {
    let good = lines(rows(1));
    let changed = |from: &str, to: &str| lines([format!("x-{from}")]).replace(from, to);
    let content = [
        good.clone(),
        "{nonsense\n".to_owned(),
        good.clone(),
        "\n".to_owned(),
        changed("POST", "GET"),
        changed(CHAT, "/v1/embeddings"),
        changed("\"m\"", "\"n\""),
        changed("\"method\"", "\"verb\""),
    ]
    .concat();
    let sim = Sim::new(quick());
    let mut api = Api::of(&sim);
    let id = api.begin(&content, CHAT).await;
    wait(2.0).await;
    let batch = api.batch(&id).await;
    assert_eq!(
        (&batch["status"], counts(&batch)),
        (&json!("failed"), [0, 0, 0])
    );
    assert!(batch["failed_at"].is_u64() && batch["in_progress_at"].is_null());
    let errors = batch["errors"]["data"].as_array().unwrap();
    let told = |error: &Value| {
        (
            error["line"].as_u64().unwrap(),
            error["code"].as_str().unwrap().to_owned(),
        )
    };
    let expected = [
        (2, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "invalid_json_line"),
        (5, "invalid_method"),
        (6, "mismatched_url"),
        (7, "mismatched_model"),
        (8, "missing_required_parameter"),
    ];
    let expected = expected.map(|(line, code)| (line, code.to_owned()));
    assert_eq!(errors.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(sim.stats().received, 0);
}

#[tokio::test(start_paused = true)]
async fn too_many_lines_fail() {
    let sim = Sim::new(quick());
    let mut api = Api::of(&sim);
    let line = |n: usize| {
        format!("{{\"custom_id\":\"{n}\",\"method\":\"POST\",\"url\":\"{CHAT}\",\"body\":{{}}}}\n")
    };
    let id = api
        .begin(&(0..50_001).map(line).collect::<String>(), CHAT)
        .await;
    wait(2.0).await;
    let batch = api.batch(&id).await;
    assert_eq!(
        (&batch["status"], &batch["errors"]["data"][0]["code"]),
        (&json!("failed"), &json!("too_many_requests"))
    );
}

#[tokio::test(start_paused = true)]
async fn files_are_listed_read_and_deleted() {
    let sim = Sim::new(quick());
    let mut api = Api::of(&sim);
    let answer = api
        .upload_as("batch", "in.jsonl", "{}\r\n\n{}")
        .await
        .json();
    let id = answer["id"].as_str().unwrap();
    let created = answer["created_at"].as_u64().unwrap();
    assert_eq!(
        answer,
        json!({"object": "file", "id": id, "purpose": "batch", "filename": "in.jsonl", "bytes": 7,
            "created_at": created, "expires_at": created + 30 * 24 * 3600, "status": "processed",
            "status_details": null})
    );
    let content = api.send("GET", &format!("files/{id}/content")).await;
    assert_eq!(content.body, b"{}\r\n\n{}");
    assert_eq!(
        content.header("content-type"),
        Some("application/octet-stream")
    );
    let other = api.upload("x").await;
    let listed = api.get("files?purpose=batch&limit=1").await;
    assert_eq!(
        (&listed["data"][0]["id"], &listed["has_more"]),
        (&json!(other), &json!(true))
    );
    let next = api.get(&format!("files?after={other}")).await;
    assert_eq!(
        (&next["data"][0]["id"], &next["has_more"]),
        (&json!(id), &json!(false))
    );
    let deleted = api.send("DELETE", &format!("files/{id}")).await;
    assert_eq!(
        deleted.json(),
        json!({"id": id, "object": "file", "deleted": true})
    );
    let gone = api.send("GET", &format!("files/{id}")).await;
    assert_eq!(
        (gone.status, &gone.json()["error"]["param"]),
        (404, &json!("id"))
    );
    // After thirty days the other is gone as well.
    wait(30.0 * 24.0 * 3600.0).await;
    assert_eq!(api.send("GET", &format!("files/{other}")).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn bad_uploads_and_batches_are_rejected() {
    let sim = Sim::new(quick());
    let mut api = Api::of(&sim);
    for (purpose, name, content, message) in [
        (
            "batch",
            "in.txt",
            "{}",
            "Invalid file format for Batch API. Must be .jsonl",
        ),
        ("batch", "in.jsonl", "", "File is empty."),
        ("other", "in.jsonl", "{}", "'other' is not one of"),
    ] {
        let answer = api.upload_as(purpose, name, content).await;
        let told = answer.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(answer.status == 400 && told.starts_with(message), "{told}");
    }
    let form = raw_post("/v1/files", KEY, "{}");
    assert_eq!(api.client.ask(form).await.status, 400);
    let file = api.upload("{}").await;
    let good = json!({"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"});
    for (field, value) in [
        ("input_file_id", json!("file-none")),
        ("endpoint", json!("/v1/images")),
        ("completion_window", json!("48h")),
        ("metadata", json!({"a": 1})),
    ] {
        let mut fields = good.clone();
        fields[field] = value;
        let answer = api.create_with(fields).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["param"]),
            (400, &json!(field))
        );
    }
    let none = api.send("GET", "batches/batch_none").await;
    assert_eq!(
        none.json()["error"]["message"],
        "No batch found with id 'batch_none'."
    );
    assert_eq!(none.status, 404);
}

#[tokio::test(start_paused = true)]
async fn responses_and_embeddings_are_worked_off_too() {
    let sim = Sim::new(quick());
    let mut api = Api::of(&sim);
    for (endpoint, body, object) in [
        (
            "/v1/responses",
            json!({"model": "m", "input": "x"}),
            "response",
        ),
        (
            "/v1/embeddings",
            json!({"model": "m", "input": "x", "dimensions": 2}),
            "list",
        ),
    ] {
        let line = json!({"custom_id": "a", "method": "POST", "url": endpoint, "body": body});
        let id = api.begin(&line.to_string(), endpoint).await;
        wait(3.0).await;
        let batch = api.batch(&id).await;
        let output = api.lines(&batch, "output_file_id").await;
        assert_eq!(output[0]["response"]["body"]["object"], object);
        assert_eq!(batch["usage"]["input_tokens"], 1);
    }
}
