//! `--embed`: many texts in a request, and a row, an error and a record for each.

use forebay_sim::check::Bounds;
use serde_json::Value;

use crate::harness::{Folder, column, in_input_order, items, rows};
use crate::judge::{judge, usual};
use crate::server::Server;
use crate::simulator::{Simulator, events};

const TICKETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/tickets.txt");
const MODEL: [&str; 2] = ["-m", "text-embedding-3-small"];

/// The numbers of a row's embedding.
fn numbers(row: &Value) -> Vec<f64> {
    let list = row["embedding"].as_array().unwrap().iter();
    list.map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn every_ticket_has_its_vector_in_every_format() {
    let folder = Folder::new();
    let run = |output: &str| {
        let fixed = ["run", TICKETS, "--embed", "--dimensions", "4", "-q", "-o"];
        let model = ["-m", "sim/text-embedding-3-small"];
        let arguments = [&fixed[..], &[output], &model].concat();
        folder.forebay(&arguments).ends(0);
    };
    run("out.jsonl");
    let lines = folder.rows("out.jsonl");
    assert_eq!(lines.len(), 500);
    for row in &lines {
        let length: f64 = numbers(row).iter().map(|n| n * n).sum();
        assert!((length - 1.0).abs() < 1e-5, "{row}");
        assert!(row["output"].is_null() && row["error"].is_null(), "{row}");
        // The shortest decimals of 4 bytes: no more than nine digits.
        let text = row["embedding"].to_string();
        assert!(text.len() < 4 * 14, "{text}");
    }
    run("out.csv");
    let table = folder.read("out.csv");
    assert!(table.starts_with("custom_id,index,text,output,embedding,"));
    for row in &lines {
        let cell = format!("\"{}\"", row["embedding"]);
        assert!(table.contains(&cell), "{cell}");
    }
}

#[test]
fn one_bad_text_among_many_is_one_error_row() {
    let folder = Folder::with(
        "in.txt",
        items(300) + &"x".repeat(40_000) + "\n" + &items(99),
    );
    let mut sim = Simulator::quick();
    let flags = [
        "in.txt",
        "--embed",
        "-o",
        "out.jsonl",
        "--keep-journal",
        "-q",
    ];
    let arguments = [&flags[..], &MODEL, &["--dimensions", "8"]].concat();
    sim.run_without_model(&folder, &arguments).ends(1);
    let failed = folder.rows("out.jsonl.errors.jsonl");
    assert_eq!(column(&failed, "index"), ["300"]);
    assert_eq!(failed[0]["error"]["kind"], "context_length");
    let bounds = Bounds {
        items: Some(400),
        exit_code: Some(1),
        ..usual()
    };
    judge(&folder, &mut [&mut sim], "out.jsonl", &bounds);
    let status = folder.forebay(&["status", "out.jsonl", "--json"]).ends(0);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    // Attempts are requests, however many texts travel in each.
    let requests = events(&sim.records(), "request");
    assert_eq!(status["total"]["attempts"], requests, "{status}");
    assert!(requests < 100, "{requests}");
}

#[test]
fn a_killed_run_goes_on_with_packs_of_another_size() {
    let folder = Folder::with("in.txt", items(600));
    let mut sim = Simulator::slow("60ms");
    let run = |sim: &Simulator, batch: &str| {
        let flags = [
            "in.txt",
            "--embed",
            "-o",
            "out.jsonl",
            "--keep-journal",
            "-q",
        ];
        let more = ["-c", "2", "--dimensions", "8", "--embed-batch", batch];
        sim.run_without_model(&folder, &[&flags[..], &MODEL, &more].concat())
    };
    let first = run(&sim, "50").start();
    sim.wait_for_answers(4);
    assert!(first.kill());
    let second = run(&sim, "7").start();
    sim.wait_for_answers(16);
    assert!(second.kill());
    run(&sim, "2048").ends(0);
    let rows = in_input_order(folder.rows("out.jsonl"));
    assert_eq!(rows.len(), 600);
    // The simulator's numbers depend on the text alone.
    let alone = Folder::with("in.txt", items(600));
    let flags = [
        "in.txt",
        "--embed",
        "-o",
        "out.jsonl",
        "--embed-batch",
        "1",
        "-q",
    ];
    let quick = Simulator::quick();
    let arguments = [&flags[..], &MODEL, &["--dimensions", "8"]].concat();
    quick.run_without_model(&alone, &arguments).ends(0);
    let others = in_input_order(alone.rows("out.jsonl"));
    for (row, other) in rows.iter().zip(&others) {
        assert_eq!(row["embedding"], other["embedding"], "{row}");
    }
    let bounds = Bounds {
        items: Some(600),
        exit_code: Some(0),
        ..usual()
    };
    judge(&folder, &mut [&mut sim], "out.jsonl", &bounds);
}

#[test]
fn another_length_of_vectors_is_another_run() {
    let folder = Folder::with("in.txt", items(3));
    let sim = Simulator::quick();
    let run = |more: &[&str]| {
        let flags = ["in.txt", "-o", "out.jsonl", "--keep-journal", "-q"];
        sim.run_without_model(&folder, &[&flags[..], &MODEL, more].concat())
    };
    run(&["--embed", "--dimensions", "8"]).ends(0);
    run(&["--embed", "--dimensions", "8", "--embed-batch", "2"]).ends(0);
    run(&["--embed", "--dimensions", "9"])
        .ends(2)
        .says(&["dimensions"]);
    run(&[]).ends(2).says(&["openai-embeddings"]);
}

#[test]
fn gemini_is_asked_where_it_speaks_openais_way() {
    let (server, folder) = (Server::start(), Folder::with("in.txt", "hello\n"));
    let url = server.url("/v1beta/openai");
    let flags = ["run", "in.txt", "--embed", "-q", "--max-attempts", "1"];
    let to = ["-m", "gemini-embedding-001", "--base-url", &url];
    folder
        .forebay(&[&flags[..], &to].concat())
        .env("GEMINI_API_KEY", "any-key")
        .ends(1);
    let received = server.next();
    assert_eq!(received.path(), "/v1beta/openai/embeddings");
    assert_eq!(received.header("authorization"), ["Bearer any-key"]);
    assert_eq!(received.body["input"], "hello");
    assert_eq!(received.body["encoding_format"], "base64");
}

#[test]
fn what_makes_no_sense_is_refused_and_both_are_named() {
    let folder = Folder::with("in.txt", "hello\n");
    let refused = |arguments: &[&str], words: &[&str]| {
        let all = [&["run", "in.txt"], arguments].concat();
        let ended = folder.forebay(&all).env("OPENAI_API_KEY", "k");
        ended.env("ANTHROPIC_API_KEY", "k").ends(2).says(words);
    };
    for (flag, value) in [
        ("--system", "x"),
        ("--max-tokens", "5"),
        ("--temperature", "0"),
        ("--stream", "on"),
        ("--schema", "in.txt"),
        ("--tools", "in.txt"),
        ("--top-p", "0.5"),
        ("--stop", "x"),
        ("--seed", "1"),
        ("--on-length", "error"),
        ("--dialect", "gemini"),
    ] {
        let arguments = ["--embed", MODEL[0], MODEL[1], flag, value];
        refused(&arguments, &["'--embed'", flag]);
    }
    refused(&["--embed", "--raw", "-m", MODEL[1]], &["--embed", "--raw"]);
    refused(&["--dimensions", "5", "-m", MODEL[1]], &["--embed"]);
    let param = ["--embed", "--param", "input=1", "-m", MODEL[1]];
    refused(&param, &["--param input", "--embed"]);
    let many = ["--embed", "--embed-batch", "3000", "-m", MODEL[1]];
    refused(&many, &["from 1 to 2048"]);
    let anthropic = ["--embed", "-m", "claude-sonnet-4-5"];
    refused(&anthropic, &["--embed", "anthropic", "no embeddings"]);
}

#[test]
fn unusable_texts_are_rows_and_a_dry_run_counts_requests() {
    let folder = Folder::with(
        "in.jsonl",
        "{\"text\":\"\"}\n{\"text\":\"a\"}\n{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}\n",
    );
    let flags = [
        "run",
        "in.jsonl",
        "--embed",
        "-m",
        "sim/text-embedding-3-small",
        "-q",
    ];
    let ended = folder.forebay(&flags).ends(1);
    let rows = in_input_order(rows(&ended.stdout));
    assert_eq!(rows[0]["error"]["kind"], "invalid_item");
    assert_eq!(rows[1]["embedding"].as_array().unwrap().len(), 1536);
    assert_eq!(rows[2]["error"]["kind"], "invalid_item");
    folder.write("many.txt", items(250));
    let dry = [
        "run",
        "many.txt",
        "--embed",
        "--dry-run",
        "-m",
        "sim/text-embedding-3-small",
    ];
    let ended = folder.forebay(&dry).ends(0);
    assert!(
        ended.stdout.contains("about 3 of at most 100 texts"),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("output tokens"), "{}", ended.stdout);
}

#[test]
fn the_cap_on_cost_needs_no_longest_answer() {
    let folder = Folder::with("in.txt", items(20));
    let flags = [
        "run",
        "in.txt",
        "--embed",
        "-m",
        "sim/text-embedding-3-small",
        "-q",
    ];
    let capped = [&flags[..], &["--max-cost", "0.01"]].concat();
    folder.forebay(&capped).ends(0);
    let tight = [&flags[..], &["--max-cost", "0.000000001"]].concat();
    let ended = folder.forebay(&tight).ends(4);
    ended.says(&["cost"]);
}

#[test]
fn defaults_about_answers_are_left_out() {
    let folder = Folder::with("in.txt", items(2));
    let defaults = "[run]\nsystem = \"Be brief.\"\nmax-tokens = 5\ntemperature = 0.0\n";
    folder.write("forebay.toml", defaults);
    let flags = [
        "run",
        "in.txt",
        "--embed",
        "-m",
        "sim/text-embedding-3-small",
        "-q",
    ];
    folder.forebay(&flags).ends(0);
}
