//! `--stream`: the same rows, answered piece by piece.

use serde_json::Value;

use crate::harness::{Folder, assert_all_ok, in_input_order, items};
use crate::judge::{judge, usual};
use crate::simulator::Simulator;

/// The member that only streamed rows have.
const FIRST: &str = "time_to_first_chunk_s";

fn without_times(rows: Vec<Value>) -> Vec<Value> {
    let mut rows = in_input_order(rows);
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        row.remove("duration_s");
        row.remove(FIRST);
    }
    rows
}

#[test]
fn streamed_rows_are_those_of_plain_answers() {
    for model in ["sim/gpt-4o-mini", "sim/claude-haiku-4-5"] {
        let folder = Folder::with("in.txt", items(40));
        let run = |flags: &[&str]| {
            let arguments = ["run", "in.txt", "-q", "-m", model];
            folder.forebay(&[&arguments[..], flags].concat()).ends(0);
        };
        run(&["-o", "plain.jsonl"]);
        run(&["--stream", "-o", "streamed.jsonl"]);
        run(&["--max-tokens", "30000", "-o", "long.jsonl"]);
        run(&["--max-tokens", "30000", "--stream=off", "-o", "off.jsonl"]);
        let plain = folder.rows("plain.jsonl");
        let streamed = folder.rows("streamed.jsonl");
        assert_all_ok(&streamed, 40);
        for row in &streamed {
            let (first, whole) = (&row[FIRST], &row["duration_s"]);
            assert!(first.as_f64().unwrap() <= whole.as_f64().unwrap(), "{row}");
            assert!(row["usage"]["output_tokens"].as_u64() > Some(0), "{row}");
        }
        assert!(plain.iter().all(|row| row.get(FIRST).is_none()));
        assert_eq!(without_times(plain), without_times(streamed));
        let is_streamed = |name: &str| {
            let rows = folder.rows(name);
            rows.iter().all(|row| row.get(FIRST).is_some())
        };
        assert!(is_streamed("long.jsonl") && !is_streamed("off.jsonl"));
    }
}

#[test]
fn a_run_goes_on_with_or_without_streams() {
    let folder = Folder::with("in.txt", items(60));
    let mut sim = Simulator::slow("5ms");
    let arguments = ["in.txt", "-o", "out.jsonl", "-q", "--keep-journal"];
    let run = |sim: &mut Simulator, more: &[&str]| {
        sim.run(&folder, &[&arguments[..], more].concat()).ends(0);
    };
    run(&mut sim, &["--limit", "20", "--stream"]);
    run(&mut sim, &["--limit", "40"]);
    run(&mut sim, &["--stream"]);
    assert_all_ok(&folder.rows("out.jsonl"), 60);
    assert_eq!(sim.prompts().len(), 60, "nothing is asked twice");
    judge(&folder, &mut [&mut sim], "out.jsonl", &usual());
}

#[test]
fn a_parameter_for_streams_points_to_the_flag() {
    let folder = Folder::with("in.txt", items(1));
    folder
        .forebay(&[
            "run",
            "in.txt",
            "-m",
            "sim/gpt-4o",
            "--param",
            "stream=true",
        ])
        .ends(2)
        .says(&["--param stream", "use --stream"]);
}
