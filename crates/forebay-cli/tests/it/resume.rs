//! Running the same command again sends only what is left.

use forebay_sim::check::Bounds;
use serde_json::Value;

use crate::harness::{Folder, THREE, assert_all_ok, column, in_input_order, items};
use crate::judge::{judge, usual};
use crate::simulator::Simulator;

/// Items of which the second is unusable.
const ONE_BAD: &str = "\"good\"\n{\"text\":\"\"}\n\"fine\"\n";

#[test]
fn a_complete_run_sends_nothing_again() {
    for more in [
        &[][..],
        &["--keep-journal"],
        &["--order", "completed"],
        &["--order", "completed", "--keep-journal"],
        &["--retry-failed"],
    ] {
        let folder = Folder::with("in.txt", items(30));
        let mut sim = Simulator::quick();
        let arguments = [&["in.txt", "-o", "out.jsonl"], more].concat();
        sim.run(&folder, &arguments).ends(0);
        let output = folder.read("out.jsonl");
        for _ in 0..2 {
            sim.run(&folder, &arguments).ends(0);
            assert_eq!(in_input_order(folder.rows("out.jsonl")).len(), 30);
            assert_eq!(folder.read("out.jsonl").len(), output.len(), "{more:?}");
        }
        assert_eq!(sim.prompts().len(), 30, "{more:?}");
        if more.contains(&"--keep-journal") {
            judge(&folder, &mut [&mut sim], "out.jsonl", &usual());
        }
    }
}

#[test]
fn a_complete_run_says_so() {
    let folder = Folder::with("in.txt", THREE);
    let sim = Simulator::quick();
    let arguments = ["in.txt", "-o", "out.jsonl"];
    sim.run(&folder, &arguments).ends(0);
    let ended = sim.run(&folder, &arguments).ends(0);
    ended.says(&[
        "out.jsonl is complete: 3 rows, all ok; nothing to send",
        "--fresh",
    ]);
}

#[test]
fn an_output_that_was_removed_is_made_again() {
    let folder = Folder::with("in.txt", items(5));
    let mut sim = Simulator::quick();
    let arguments = ["in.txt", "-o", "out.jsonl", "-q"];
    sim.run(&folder, &arguments).ends(0);
    std::fs::remove_file(folder.path("out.jsonl")).unwrap();
    sim.run(&folder, &arguments).ends(0);
    assert_all_ok(&folder.rows("out.jsonl"), 5);
    assert_eq!(sim.prompts().len(), 10);
    // With the whole journal nothing has to be paid again.
    let arguments = ["in.txt", "-o", "kept.jsonl", "-q", "--keep-journal"];
    sim.run(&folder, &arguments).ends(0);
    std::fs::remove_file(folder.path("kept.jsonl")).unwrap();
    sim.run(&folder, &arguments).ends(0);
    assert_all_ok(&folder.rows("kept.jsonl"), 5);
    assert_eq!(sim.prompts().len(), 15);
}

#[test]
fn fresh_starts_over() {
    let folder = Folder::with("in.txt", items(5));
    let mut sim = Simulator::quick();
    for more in [
        &[][..],
        &["--fresh"],
        &["--fresh", "-p", "Label {{ text }}"],
    ] {
        let arguments = [&["in.txt", "-o", "out.jsonl", "-q"], more].concat();
        sim.run(&folder, &arguments).ends(0);
        assert_all_ok(&folder.rows("out.jsonl"), 5);
    }
    assert_eq!(sim.prompts().len(), 15);
    assert!(
        sim.prompts()[10..]
            .iter()
            .all(|text| text.starts_with("Label "))
    );
}

#[test]
fn failed_rows_stay_until_they_are_retried() {
    for order in ["input", "completed"] {
        let folder = Folder::with("in.txt", items(40));
        let mut bad = Simulator::start(&["--latency", "0", "--error", "400=0.3"]);
        let arguments = [
            "in.txt",
            "-o",
            "out.jsonl",
            "-q",
            "--order",
            order,
            "-c",
            "4",
            "--keep-journal",
        ];
        bad.run(&folder, &arguments).ends(1);
        let is_failed = |row: &&Value| !row["error"].is_null();
        let first = in_input_order(folder.rows("out.jsonl"));
        let failed: Vec<_> = first.iter().filter(is_failed).cloned().collect();
        assert!((1..40).contains(&failed.len()), "{}", failed.len());
        assert_eq!(failed, folder.rows("out.jsonl.errors.jsonl"));
        assert_eq!(folder.mode("out.jsonl.errors.jsonl"), 0o600);

        let mut sim = Simulator::quick();
        sim.run(&folder, &arguments).ends(1);
        assert!(sim.records().is_empty());
        assert_eq!(in_input_order(folder.rows("out.jsonl")), first);

        let retrying = [&arguments[..], &["--retry-failed"]].concat();
        sim.run(&folder, &retrying).ends(0);
        let mut prompts = sim.prompts();
        let mut texts = column(&failed, "text");
        prompts.sort();
        texts.sort();
        assert_eq!(prompts, texts);
        assert_all_ok(&in_input_order(folder.rows("out.jsonl")), 40);
        let bounds = Bounds {
            max_in_flight: Some(4),
            retry_failed: true,
            exit_code: Some(0),
            ..usual()
        };
        judge(&folder, &mut [&mut bad, &mut sim], "out.jsonl", &bounds);
        assert!(!folder.has("out.jsonl.errors.jsonl"));
        assert_eq!(bad.prompts().len(), 40);
    }
}

#[test]
fn rows_that_fail_again_are_there_once() {
    let folder = Folder::with("in.jsonl", ONE_BAD);
    let mut sim = Simulator::quick();
    for order in ["input", "completed"] {
        let output = format!("{order}.jsonl");
        let arguments = ["in.jsonl", "-o", &output, "-q", "--order", order];
        let retrying = [&arguments[..], &["--retry-failed"]].concat();
        for arguments in [&arguments[..], &retrying, &retrying, &arguments] {
            sim.run(&folder, arguments).ends(1);
            let rows = in_input_order(folder.rows(&output));
            assert_eq!(column(&rows, "index"), ["0", "1", "2"]);
            assert_eq!(rows[1]["error"]["kind"], "invalid_item");
            assert_eq!(folder.rows(&format!("{output}.errors.jsonl")).len(), 1);
        }
    }
    assert_eq!(sim.prompts().len(), 2 * 2);
}

#[test]
fn a_mended_row_is_the_only_one_that_costs() {
    for order in ["input", "completed"] {
        let folder = Folder::with("in.jsonl", ONE_BAD);
        let mut sim = Simulator::quick();
        let kept = ["in.jsonl", "-o", "out.jsonl", "-q", "--keep-journal"];
        let arguments = [&kept[..], &["--order", order]].concat();
        sim.run(&folder, &arguments).ends(1);
        judge(&folder, &mut [&mut sim], "out.jsonl", &usual());
        folder.write("in.jsonl", ONE_BAD.replace("\"\"", "\"mended\""));
        sim.run(&folder, &arguments).ends(0);
        assert_eq!(sim.prompts()[2..], ["mended"], "{order}");
        let rows = in_input_order(folder.rows("out.jsonl"));
        assert_eq!(column(&rows, "text"), ["good", "mended", "fine"]);
        crate::harness::assert_rows_ok(&rows);
        assert!(!folder.has("out.jsonl.errors.jsonl"));
        judge(&folder, &mut [&mut sim], "out.jsonl", &usual());
    }
}

/// Fault 42: sends only what was edited or inserted between run and resume.
#[test]
fn edited_rows_are_the_only_ones_that_cost() {
    for order in ["input", "completed"] {
        let folder = Folder::with("in.txt", "a\nb\nc\nd\n");
        let mut sim = Simulator::quick();
        let arguments = [
            "in.txt",
            "-o",
            "out.jsonl",
            "-q",
            "--keep-journal",
            "--order",
            order,
        ];
        sim.run(&folder, &arguments).ends(0);
        let outputs_of = |rows: &[Value], text: &str| {
            let found = rows.iter().find(|row| row["text"] == text);
            found.map(|row| row["output"].clone())
        };
        let before = folder.rows("out.jsonl");
        // One inserted, one changed, one removed, two exchanged.
        folder.write("in.txt", "new\nb\na\nchanged\n");
        sim.run(&folder, &arguments).ends(0);
        let mut sent = sim.prompts().split_off(4);
        sent.sort();
        assert_eq!(sent, ["changed", "new"], "{order}");
        let rows = in_input_order(folder.rows("out.jsonl"));
        assert_eq!(column(&rows, "text"), ["new", "b", "a", "changed"]);
        assert_eq!(column(&rows, "index"), ["0", "1", "2", "3"]);
        assert_eq!(outputs_of(&rows, "a"), outputs_of(&before, "a"));
        crate::harness::assert_rows_ok(&rows);
        judge(&folder, &mut [&mut sim], "out.jsonl", &usual());
    }
}

/// A row that was repeated with other fields serves no second item: that one has to be sent.
#[test]
fn a_repeated_row_serves_one_item() {
    let [one, two] = [1, 2].map(|tag| format!("{{\"text\":\"x\",\"tag\":{tag}}}\n"));
    for order in ["input", "completed"] {
        let folder = Folder::with("in.jsonl", &one);
        let mut sim = Simulator::quick();
        let kept = ["in.jsonl", "-o", "out.jsonl", "-q", "--keep-journal"];
        let arguments = [&kept[..], &["-p", "{{ text }}", "--order", order]].concat();
        for (input, sent) in [(&one, 1), (&two, 1), (&(one.clone() + &two), 2)] {
            folder.write("in.jsonl", input);
            sim.run(&folder, &arguments).ends(0);
            assert_eq!(sim.prompts().len(), sent, "{order} {input}");
            judge(&folder, &mut [&mut sim], "out.jsonl", &usual());
        }
    }
}

/// Fault 42: resumes a pipe by what its items are, not by where they stood.
#[test]
fn a_pipe_can_be_resumed() {
    let folder = Folder::new();
    let mut sim = Simulator::quick();
    let arguments = ["-", "-o", "out.jsonl", "-q", "--keep-journal"];
    sim.run(&folder, &arguments).stdin(items(5)).ends(0);
    sim.run(&folder, &arguments).stdin(items(8)).ends(0);
    assert_all_ok(&folder.rows("out.jsonl"), 8);
    assert_eq!(sim.prompts().len(), 8);
    judge(&folder, &mut [&mut sim], "out.jsonl", &usual());
}

#[test]
fn a_damaged_journal_costs_the_damaged_rows_only() {
    let folder = Folder::with("in.txt", items(10));
    let mut sim = Simulator::quick();
    let arguments = ["in.txt", "-o", "out.jsonl", "--keep-journal"];
    sim.run(&folder, &arguments).ends(0);
    let journal = folder.read("out.jsonl.journal");
    folder.write(
        "out.jsonl.journal",
        journal.replacen("\"item 3\"", "\"item X\"", 1),
    );
    let ended = sim.run(&folder, &arguments).ends(0);
    ended.says(&["1 damaged records"]);
    assert_eq!(sim.prompts()[10..], ["item 3"]);
    assert_all_ok(&folder.rows("out.jsonl"), 10);
}
