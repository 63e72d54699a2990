//! Whole requests, and the files of other tools in both directions.

use serde_json::{Value, json};

use crate::harness::{Folder, column};
use crate::server::Server;
use crate::simulator::Simulator;

/// Lines of three dialects, and three that cannot go through.
const BATCH: &str = r#"{"custom_id": "chat", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "h\u00e9llo"}], "max_tokens": 20}}
{"custom_id":"resp","method":"POST","url":"/v1/responses","body":{"model":"gpt-4o-mini","input":"say hi"}}
{"custom_id":"two","method":"POST","url":"/v1/embeddings","body":{"model":"gpt-4o-mini","input":["a","b"],"dimensions":3}}
{"custom_id":"url","method":"POST","url":"/v1/moderations","body":{"model":"gpt-4o-mini","input":"a"}}
{"custom_id":"empty","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4o-mini","messages":[]}}
{"text":"no line of a batch"}
"#;

fn ids(rows: &[Value]) -> Vec<String> {
    column(rows, "custom_id")
}

/// The rows without what differs from run to run.
fn without_time(rows: &[Value]) -> Vec<Value> {
    let mut rows = rows.to_vec();
    for row in &mut rows {
        for name in [
            "id",
            "created",
            "created_at",
            "request_id",
            "system_fingerprint",
        ] {
            for place in ["", "/response", "/response/body"] {
                if let Some(Value::Object(object)) = row.pointer_mut(place) {
                    object.remove(name);
                }
            }
        }
    }
    rows.sort_by_key(|row| row["custom_id"].to_string());
    rows
}

#[test]
fn a_batch_file_becomes_an_output_and_an_error_file() {
    let folder = Folder::with("batch.jsonl", BATCH);
    let run = ["run", "batch.jsonl", "-m", "sim/any", "-o", "out.jsonl"];
    folder.forebay(&run).ends(1);
    let output = folder.rows("out.jsonl");
    assert_eq!(ids(&output), ["chat", "resp", "two"]);
    for row in &output {
        assert!(
            row["id"].as_str().unwrap().starts_with("batch_req_"),
            "{row}"
        );
        assert_eq!(
            (&row["response"]["status_code"], &row["error"]),
            (&json!(200), &Value::Null)
        );
        assert!(
            row["response"]["request_id"]
                .as_str()
                .unwrap()
                .starts_with("req_"),
            "{row}"
        );
    }
    assert_eq!(output[0]["response"]["body"]["object"], "chat.completion");
    assert_eq!(output[1]["response"]["body"]["object"], "response");
    assert_eq!(
        output[2]["response"]["body"]["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let errors = folder.rows("out.jsonl.errors.jsonl");
    assert_eq!(ids(&errors), ["url", "empty", "item-5"]);
    assert_eq!(errors[0]["response"], Value::Null);
    assert_eq!(
        errors[0]["error"]["message"],
        "line 4 of batch.jsonl: the url \"/v1/moderations\" is none of /v1/chat/completions, \
         /v1/responses, /v1/embeddings"
    );
    assert_eq!(errors[1]["response"]["status_code"], 400);
    assert!(errors[1]["response"]["body"]["error"]["message"].is_string());
    assert_eq!(errors[1]["error"], Value::Null);
    assert_eq!(errors[2]["error"]["code"], "invalid_item");
}

#[test]
fn rows_that_grow_are_the_same_lines() {
    let folder = Folder::with("batch.jsonl", BATCH);
    let run = |more: &[&str]| {
        let all = [&["run", "batch.jsonl", "--provider", "sim", "-q"], more].concat();
        folder.forebay(&all).ends(1)
    };
    run(&["-o", "in.jsonl"]);
    run(&["-o", "done.jsonl", "--order", "completed"]);
    let [first, second] = ["in.jsonl", "done.jsonl"].map(|name| without_time(&folder.rows(name)));
    assert_eq!(ids(&first), ids(&second));
    let errors = ["in", "done"].map(|name| folder.read(&format!("{name}.jsonl.errors.jsonl")));
    assert_eq!(errors[0].lines().count(), errors[1].lines().count());
    // On standard output, where there is no second file, all lines are in the one.
    let printed = run(&["--output-format", "openai-batch"]).rows();
    assert_eq!(printed.len(), 6);
    // Rows of Forebay's own are one flag away.
    let rows = run(&["--order", "input"]).rows();
    assert_eq!(
        ids(&rows),
        ["chat", "resp", "two", "url", "empty", "item-5"]
    );
    assert!(
        rows[0]["output"].is_string() && rows[0].get("raw").is_none(),
        "{}",
        rows[0]
    );
}

#[test]
fn bodies_arrive_byte_for_byte_where_their_url_says() {
    let server = Server::start();
    let folder = Folder::with("batch.jsonl", BATCH.lines().next().unwrap());
    for (base, path) in [("/v1", "/v1"), ("", "/v1"), ("/openai/v1/", "/openai/v1")] {
        let base = server.url(base);
        let run = [
            "run",
            "batch.jsonl",
            "--base-url",
            &base,
            "-o",
            "out.jsonl",
            "--fresh",
        ];
        folder.forebay(&run).env("OPENAI_API_KEY", "k").ends(0);
        let received = server.next();
        assert_eq!(received.path(), format!("{path}/chat/completions"));
        let body = r#"{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "h\u00e9llo"}], "max_tokens": 20}"#;
        assert_eq!(String::from_utf8(received.bytes).unwrap(), body);
    }
    // The answer comes back as it was sent, and without a header it has no name.
    let row = &folder.rows("out.jsonl")[0]["response"];
    assert_eq!(
        (&row["body"]["id"], &row["request_id"]),
        (&json!("c"), &json!(""))
    );
}

#[test]
fn a_run_goes_on_and_sends_failed_requests_again() {
    let line = |n: u32, model: &str| {
        format!(
            r#"{{"custom_id":"{n}","method":"POST","url":"/v1/chat/completions","body":{{"model":"{model}","messages":[{{"role":"user","content":"{n}"}}]}}}}"#
        ) + "\n"
    };
    let failing: String = (0..3).map(|n| line(n, "fault-503:1")).collect();
    let folder = Folder::with("batch.jsonl", failing);
    let run = [
        "run",
        "batch.jsonl",
        "--provider",
        "sim",
        "-o",
        "out.jsonl",
        "--max-attempts",
        "1",
    ];
    folder
        .forebay(&[&run[..], &["--limit", "2"]].concat())
        .ends(1);
    assert!(folder.rows("out.jsonl").is_empty());
    let errors = folder.rows("out.jsonl.errors.jsonl");
    assert_eq!(ids(&errors), ["0", "1"]);
    assert_eq!(errors[0]["response"]["status_code"], 503);
    let again = [
        "run",
        "batch.jsonl",
        "--provider",
        "sim",
        "-o",
        "out.jsonl",
        "--retry-failed",
    ];
    folder.forebay(&again).ends(0);
    let mut done = ids(&folder.rows("out.jsonl"));
    done.sort();
    assert_eq!(done, ["0", "1", "2"]);
    assert!(!folder.has("out.jsonl.errors.jsonl"));
}

#[test]
fn what_does_not_fit_a_batch_file_is_refused() {
    let folder = Folder::with("batch.jsonl", BATCH);
    let twice = BATCH.lines().next().unwrap();
    folder.write("twice.jsonl", format!("{twice}\n{twice}\n"));
    folder.write("plain.jsonl", "{\"text\":\"x\"}\n");
    for (arguments, why) in [
        (
            &["batch.jsonl", "-m", "sim/x", "-p", "{{ body }}"][..],
            "--prompt cannot go with an OpenAI Batch file",
        ),
        (
            &["batch.jsonl", "-m", "gpt-4o", "-o", "o.jsonl"],
            "--model gpt-4o does not change the requests, which name gpt-4o-mini",
        ),
        (
            &["batch.jsonl", "--provider", "anthropic", "-o", "o.jsonl"],
            "anthropic cannot take an OpenAI Batch file",
        ),
        (
            &["twice.jsonl", "-m", "sim/x"],
            "both have the key \"chat\" (counted from 0)\n hint: give each line a custom_id",
        ),
        (
            &["batch.jsonl", "plain.jsonl", "-m", "sim/x"],
            "batch.jsonl is an OpenAI Batch file and plain.jsonl is a file of items",
        ),
        (
            &[
                "plain.jsonl",
                "-m",
                "sim/x",
                "--raw-requests",
                "--temperature",
                "1",
            ],
            "--temperature cannot go with --raw-requests",
        ),
        (
            &["plain.jsonl", "-m", "sim/x", "--output-format", "cookbook"],
            "--output-format cookbook needs the requests of a cookbook input",
        ),
        (
            &[
                "plain.jsonl",
                "-m",
                "sim/x",
                "--output-format",
                "anthropic-batch",
            ],
            "--output-format anthropic-batch cannot hold answers in the dialect openai",
        ),
        (
            &[
                "plain.jsonl",
                "-m",
                "sim/x",
                "--request_url",
                "http://h/v1/embeddings",
            ],
            "--request_url is a flag of the cookbook's script",
        ),
    ] {
        let all = [&["run"], arguments].concat();
        let run = folder
            .forebay(&all)
            .env("ANTHROPIC_API_KEY", "k")
            .env("OPENAI_API_KEY", "k");
        run.ends(2).says(&[why]);
    }
    let piped = folder.forebay(&["run", "-", "-m", "sim/x"]).stdin(BATCH);
    piped
        .ends(2)
        .says(&["stdin is an OpenAI Batch file", "--format openai-batch"]);
    let piped = [
        "run",
        "-",
        "--provider",
        "openai",
        "--format",
        "openai-batch",
    ];
    let capped = [&piped[..], &["--max-cost", "1"]].concat();
    let capped = folder.forebay(&capped).env("OPENAI_API_KEY", "k");
    capped
        .stdin(BATCH)
        .ends(2)
        .says(&["--max-cost cannot be kept", "name it with --model NAME"]);
    let piped = ["run", "-", "-m", "sim/x", "--format", "openai-batch"];
    assert_eq!(folder.forebay(&piped).stdin(BATCH).ends(1).rows().len(), 6);
}

/// A row has one vector at the most, but what was paid for is kept.
#[test]
fn vectors_of_a_list_of_texts_are_in_the_providers_body() {
    let line = r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":["x","y"]}}"#;
    let folder = Folder::with("batch.jsonl", format!("{line}\n"));
    let run = ["run", "batch.jsonl", "-m", "sim/any", "-o", "own.csv", "-q"];
    folder.forebay(&run).ends(0);
    let run = ["run", "batch.jsonl", "-m", "sim/any", "-q"];
    let rows = folder.forebay(&run).ends(0).rows();
    assert_eq!(rows[0]["raw"]["data"].as_array().unwrap().len(), 2);
    assert!(folder.read("own.csv").contains("\"\"embedding\"\""));
}

#[test]
fn raw_requests_are_bodies_of_their_dialect() {
    let lines = concat!(
        r#"{"model":"claude-x","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
        "\n",
        r#"{"max_tokens":9,"messages":[]}"#,
        "\n",
        r#"{"model":"claude-y","max_tokens":9,"messages":[]}"#,
        "\n",
        r#"{"model":"claude-x","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#,
        "\n",
    );
    let folder = Folder::with("in.jsonl", lines);
    let run = [
        "run",
        "in.jsonl",
        "--raw-requests",
        "-m",
        "sim/claude-x",
        "--order",
        "input",
        "--raw",
    ];
    let rows = folder.forebay(&run).ends(1).rows();
    assert_eq!(rows[0]["raw"]["type"], "message");
    assert_eq!(
        (&rows[0]["http_status"], rows[0]["request_id"].is_string()),
        (&json!(200), true)
    );
    for (row, why) in [(1, "the request names no model"), (2, "another model")] {
        let message = rows[row]["error"]["message"].as_str().unwrap();
        assert!(
            message.contains(why) && message.contains("in.jsonl"),
            "{message}"
        );
    }
    assert!(rows[3]["time_to_first_chunk_s"].is_number(), "{}", rows[3]);
    assert_eq!(rows[3]["output"], rows[0]["output"]);
    // The caps that stand in the bodies are the run's.
    let dry = [&run[..], &["--dry-run"]].concat();
    let told = folder.forebay(&dry).ends(0).stdout;
    assert!(told.contains("at most 18 as the requests say"), "{told}");
}

#[test]
fn a_cap_on_cost_counts_what_each_body_allows() {
    let body = |tokens: u32| {
        format!(
            r#"{{"model":"gpt-4o-mini","max_tokens":{tokens},"messages":[{{"role":"user","content":"hi"}}]}}"#
        )
    };
    let folder = Folder::with("in.jsonl", format!("{}\n{}\n", body(10), body(10_000)));
    // 10,000 tokens at 0.60 dollars a million are 0.006.
    let run = [
        "run",
        "in.jsonl",
        "--raw-requests",
        "-m",
        "sim/x",
        "-c",
        "1",
        "--max-cost",
        "0.003",
        "-q",
    ];
    let ended = folder.forebay(&run).ends(4);
    assert_eq!(ended.rows().len(), 1);
}

#[test]
fn anthropic_lines_have_their_results_in_one_file() {
    let lines = concat!(
        r#"{"custom_id":"a","params":{"model":"claude-x","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}}"#,
        "\n",
        r#"{"custom_id":"b","params":{"model":"claude-x","max_tokens":9,"messages":[]}}"#,
        "\n",
        r#"{"custom_id":"c","params":7}"#,
        "\n",
    );
    let folder = Folder::with("in.jsonl", lines);
    folder
        .forebay(&["run", "in.jsonl", "--provider", "sim", "-o", "out.jsonl"])
        .ends(1);
    let rows = folder.rows("out.jsonl");
    assert_eq!(ids(&rows), ["a", "b", "c"]);
    assert_eq!(rows[0]["result"]["type"], "succeeded");
    assert_eq!(rows[0]["result"]["message"]["type"], "message");
    for row in &rows[1..] {
        assert_eq!(row["result"]["type"], "errored");
        assert_eq!(row["result"]["error"]["type"], "error");
        assert_eq!(
            row["result"]["error"]["error"]["type"],
            "invalid_request_error"
        );
    }
    assert!(!folder.has("out.jsonl.errors.jsonl"));
}

#[test]
fn the_cookbooks_command_line_works_as_it_is() {
    let sim = Simulator::quick();
    let lines = concat!(
        r#"{"model": "text-embedding-3-small", "input": "a", "dimensions": 2, "metadata": {"row": 1}}"#,
        "\n",
        r#"{"model": "text-embedding-3-small", "input": ""}"#,
        "\n",
    );
    let folder = Folder::with("in.jsonl", lines);
    let url = format!("http://127.0.0.1:{}/v1/embeddings", sim.port());
    #[rustfmt::skip]
    let run = [
        "run", "--format", "cookbook", "--requests_filepath", "in.jsonl", "--request_url", &url,
        "--max_requests_per_minute", "1500", "--max_tokens_per_minute", "6250000",
        "--token_encoding_name", "cl100k_base", "--max_attempts", "5", "--logging_level", "20",
        "--api_key", "sk-secret-of-mine",
    ];
    let ended = folder.forebay(&run).ends(1);
    ended.says(&[
        "--token_encoding_name and --logging_level have no effect here",
        "a key on the command line can be seen",
    ]);
    ended.keeps_quiet_about("sk-secret");
    let text = folder.read("in_results.jsonl");
    assert!(!text.contains("sk-secret"), "{text}");
    let mut rows: Vec<Value> = crate::harness::rows(&text);
    rows.sort_by_key(|row| row.as_array().map(Vec::len));
    assert_eq!(
        rows[0][0],
        json!({"model": "text-embedding-3-small", "input": ""})
    );
    assert!(
        rows[0][1][0].as_str().unwrap().contains("error"),
        "{}",
        rows[0]
    );
    assert_eq!(
        rows[1][0],
        json!({"model": "text-embedding-3-small", "input": "a", "dimensions": 2})
    );
    assert_eq!(rows[1][1]["object"], "list");
    assert_eq!(rows[1][2], json!({"row": 1}));
}
