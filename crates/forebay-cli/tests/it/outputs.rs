//! Every form of output holds the same rows.

use serde_json::Value;

use crate::harness::{Folder, THREE, assert_all_ok, column, in_input_order, items};
use crate::simulator::Simulator;

const ITEMS: usize = 50;

/// A folder of many items and a simulator whose answers come in another order.
fn many() -> (Folder, Simulator) {
    let sim = Simulator::start(&["--latency", "10ms", "--sigma", "1"]);
    (Folder::with("in.txt", items(ITEMS)), sim)
}

#[test]
fn json_lines_hold_every_item_once_in_input_order() {
    let (folder, sim) = many();
    let ended = sim
        .run(&folder, &["in.txt", "-o", "out.jsonl", "-q"])
        .ends(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    let rows = folder.rows("out.jsonl");
    assert_all_ok(&rows, ITEMS);
    let members: Vec<_> = rows[0].as_object().unwrap().keys().cloned().collect();
    for name in [
        "custom_id",
        "index",
        "text",
        "output",
        "error",
        "model",
        "finish_reason",
        "usage",
        "cost_usd",
        "duration_s",
        "attempts",
    ] {
        assert!(members.iter().any(|member| member == name), "{members:?}");
    }
    assert_eq!(rows[7]["attempts"], 1);
    assert!(rows[7]["usage"]["output_tokens"].as_u64() > Some(0));
    assert!(rows[7]["cost_usd"].as_f64() > Some(0.0));
    assert_eq!(folder.names(), ["in.txt", "out.jsonl", "out.jsonl.journal"]);
}

#[test]
fn a_json_array() {
    let (folder, sim) = many();
    sim.run(&folder, &["in.txt", "-o", "out.json", "-q"])
        .ends(0);
    let rows: Vec<Value> = serde_json::from_str(&folder.read("out.json")).unwrap();
    assert_all_ok(&rows, ITEMS);
}

#[test]
fn comma_separated_values() {
    let folder = Folder::with(
        "in.csv",
        "name,text\n\"a, b\",\"say \"\"hi\"\"\"\nc,\"two\nlines\"\n",
    );
    let sim = Simulator::start(&["--latency", "0", "--answers", "echo"]);
    sim.run(&folder, &["in.csv", "-o", "out.csv", "-q"]).ends(0);
    let text = folder.read("out.csv");
    let header = text.lines().next().unwrap();
    assert!(
        header.starts_with("custom_id,index,name,text,output,error_kind,"),
        "{header}"
    );
    assert!(text.contains("\nitem-0,0,\"a, b\",\"say \"\"hi\"\"\",\"say \"\"hi\"\"\",,"));
    assert!(text.contains("\nitem-1,1,c,\"two\nlines\",\"two\nlines\",,"));
}

#[test]
fn standard_output_in_either_order() {
    let (folder, sim) = many();
    let completed = sim.run(&folder, &["in.txt", "-q"]).ends(0);
    let rows = completed.rows();
    assert_ne!(
        column(&rows, "text"),
        column(&in_input_order(rows.clone()), "text")
    );
    assert_all_ok(&in_input_order(rows), ITEMS);
    let named = ["in.txt", "-q", "-o", "-", "--order", "completed"];
    let rows = sim.run(&folder, &named).ends(0).rows();
    assert_all_ok(&in_input_order(rows), ITEMS);
    let ordered = ["in.txt", "-q", "--order", "input"];
    assert_all_ok(&sim.run(&folder, &ordered).ends(0).rows(), ITEMS);
    assert_eq!(folder.names(), ["in.txt"]);
}

#[test]
fn a_file_that_grows_as_rows_finish() {
    let (folder, sim) = many();
    let arguments = ["in.txt", "-o", "out.jsonl", "-q", "--order", "completed"];
    sim.run(&folder, &arguments).ends(0);
    let rows = folder.rows("out.jsonl");
    assert_ne!(
        column(&rows, "text"),
        column(&in_input_order(rows.clone()), "text")
    );
    assert_all_ok(&in_input_order(rows), ITEMS);
}

#[test]
fn rows_can_be_followed_while_the_run_goes_on() {
    // Two of three are answered; the third never is.
    let folder = Folder::with("in.txt", items(30));
    let mut sim = Simulator::start(&["--latency", "0", "--stall", "0.3"]);
    let run = sim
        .run(
            &folder,
            &[
                "in.txt",
                "-o",
                "out.jsonl",
                "-q",
                "--order",
                "completed",
                "-c",
                "30",
            ],
        )
        .start();
    sim.wait_for_requests(30);
    let answers = sim.records().iter().filter(|r| r.event == "answer").count();
    assert!((1..30).contains(&answers));
    // What is answered is in the file as soon as the run has read it; its end proves that the
    // run was told to go by nothing but the kill.
    let ended = {
        run.signal(rustix::process::Signal::INT);
        run.insist(rustix::process::Signal::INT)
    };
    ended.assert_code(130);
    assert_eq!(folder.rows("out.jsonl").len(), answers);
}

#[test]
fn the_provider_s_own_answer_is_kept_on_request() {
    let folder = Folder::with("in.txt", THREE);
    let sim = Simulator::quick();
    let rows = sim.run(&folder, &["in.txt", "-q", "--raw"]).ends(0).rows();
    for row in &rows {
        assert_eq!(row["raw"]["object"], "chat.completion");
        assert_eq!(
            row["raw"]["choices"][0]["message"]["content"],
            row["output"]
        );
    }
    let rows = sim.run(&folder, &["in.txt", "-q"]).ends(0).rows();
    assert!(rows[0].get("raw").is_none());
}

#[test]
fn files_are_their_owner_s_alone() {
    let folder = Folder::with("in.jsonl", "\"good\"\n[]\n");
    let sim = Simulator::quick();
    for (output, order) in [
        ("a.jsonl", "input"),
        ("b.jsonl", "completed"),
        ("c.json", "input"),
        ("d.csv", "input"),
    ] {
        let arguments = ["in.jsonl", "-o", output, "--order", order, "-q"];
        sim.run(&folder, &arguments).ends(1);
        for suffix in ["", ".journal", ".errors.jsonl"] {
            let name = format!("{output}{suffix}");
            assert_eq!(folder.mode(&name), 0o600, "{name}");
        }
    }
}

#[test]
fn the_journal_of_a_complete_run_is_small_unless_it_is_kept() {
    let (folder, sim) = many();
    sim.run(&folder, &["in.txt", "-o", "a.jsonl", "-q"]).ends(0);
    assert!(folder.read("a.jsonl.journal").lines().count() < 5);
    assert_eq!(folder.mode("a.jsonl.journal"), 0o600);
    let kept = ["in.txt", "-o", "b.jsonl", "-q", "--keep-journal"];
    sim.run(&folder, &kept).ends(0);
    let journal = folder.rows("b.jsonl.journal");
    let done = journal.iter().filter(|record| record["t"] == "done");
    assert_eq!(done.count(), ITEMS);
}

#[test]
fn a_summary_for_people_and_for_programs() {
    let folder = Folder::with("in.jsonl", "\"good\"\n[]\n\"fine\"\n");
    let sim = Simulator::quick();
    let arguments = ["in.jsonl", "-o", "out.jsonl", "--summary-json", "sum.json"];
    let ended = sim.run(&folder, &arguments).ends(1);
    ended.says(&[
        "2 ok",
        "1 failed",
        "out.jsonl.errors.jsonl",
        "mend the input",
    ]);
    let summary: Value = serde_json::from_str(&folder.read("sum.json")).unwrap();
    assert!(summary.is_object(), "{summary}");
    sim.run(&folder, &[&arguments[..], &["-q"]].concat())
        .ends(1)
        .says(&[]);
}

#[test]
fn status_reads_output_or_journal() {
    let folder = Folder::with("in.jsonl", "\"good\"\n[]\n\"fine\"\n");
    let sim = Simulator::quick();
    sim.run(&folder, &["in.jsonl", "-o", "out.jsonl", "-q"])
        .ends(1);
    let of_output = folder.forebay(&["status", "out.jsonl"]).ends(0).stdout;
    let of_journal = folder.forebay(&["status", "out.jsonl.journal"]).ends(0);
    assert_eq!(of_output, of_journal.stdout);
    let json = folder.forebay(&["status", "out.jsonl", "--json"]).ends(0);
    let status: Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(status.is_object(), "{status}");
    let missing = folder.forebay(&["status", "none.jsonl"]).ends(3);
    missing.says(&["none.jsonl"]);
}

#[test]
fn prices_are_shown_and_can_be_one_s_own() {
    let folder = Folder::with(
        "forebay.toml",
        "[prices.\"my-model\"]\ninput = 0.5\noutput = 1.5\n",
    );
    for (pattern, found) in [("gpt-4o-mini", "gpt-4o-mini"), ("my-*", "my-model")] {
        let text = folder.forebay(&["prices", pattern]).ends(0).stdout;
        assert!(text.contains(found), "{text}");
        let json = folder
            .forebay(&["prices", pattern, "--json"])
            .ends(0)
            .stdout;
        serde_json::from_str::<Value>(&json).unwrap();
        assert!(json.contains(found), "{json}");
    }
}

#[test]
fn a_dry_run_sends_and_writes_nothing() {
    let folder = Folder::with("in.jsonl", "\"good\"\n[]\n\"fine\"\n");
    let mut sim = Simulator::quick();
    for more in [
        &[][..],
        &["-o", "out.jsonl"],
        &["-o", "out.jsonl", "--max-tokens", "9"],
    ] {
        let ended = sim
            .run(&folder, &[&["in.jsonl", "--dry-run"], more].concat())
            .ends(0);
        for text in [
            "items",
            "unusable",
            "line 2 of in.jsonl",
            "input tokens",
            "in flight      as many as the provider serves well, at most 2,000\n",
            "cost",
        ] {
            assert!(ended.stdout.contains(text), "{}", ended.stdout);
        }
    }
    assert!(sim.records().is_empty());
    assert_eq!(folder.names(), ["in.jsonl"]);
}
