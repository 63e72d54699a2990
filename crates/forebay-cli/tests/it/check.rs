//! `forebay sim check`: judges real runs, and catches what was done to their files afterwards.

use serde_json::Value;

use crate::harness::{Ended, Folder, items};
use crate::simulator::Simulator;

const KEY: (&str, &str) = ("OPENAI_API_KEY", "any-key-of-mine");

/// A folder with the files of a run of twenty items, some of which were tried again.
fn judged_run(output: &str) -> Folder {
    let folder = Folder::with("in.txt", items(20));
    let mut sim = Simulator::start(&["--latency", "0", "--error", "500=0.2"]);
    let arguments = ["in.txt", "-o", output, "-q", "--keep-journal", "-c", "4"];
    let run = sim.run(&folder, &arguments).env(KEY.0, KEY.1);
    run.ends(0);
    sim.write_log(&folder, "sim.log");
    folder
}

/// Checks the run with everything that is known about it.
fn check(folder: &Folder, output: &str, code: i32) -> Ended {
    let arguments = [
        "sim",
        "check",
        "--log",
        "sim.log",
        "--results",
        output,
        "--exit-code",
        "0",
        "--items",
        "20",
        "--max-attempts",
        "5",
        "--retry-budget",
        "--max-in-flight",
        "4",
        "--within",
        "1m",
        "--secret-env",
        KEY.0,
    ];
    folder.forebay(&arguments).env(KEY.0, KEY.1).ends(code)
}

#[test]
fn a_clean_run_is_clean() {
    for output in ["out.jsonl", "out.json"] {
        let folder = judged_run(output);
        let ended = check(&folder, output, 0);
        for n in 1..=8 {
            let line = ended
                .stdout
                .lines()
                .find(|line| line.starts_with(&format!("I{n}  ")));
            assert!(line.unwrap().ends_with(" ok"), "{}", ended.stdout);
        }
        ended.keeps_quiet_about(KEY.1);
    }
}

#[test]
fn what_was_done_to_the_files_is_found() {
    type Doctor = fn(&Folder);
    let cases: [(&str, Doctor); 4] = [
        ("I1 out.jsonl: 19 rows of 20 items", |folder| {
            let rows = folder.read("out.jsonl");
            folder.write(
                "out.jsonl",
                rows.split_inclusive('\n').skip(1).collect::<String>(),
            );
        }),
        ("I2 out.jsonl.journal:", |folder| {
            let log = folder.read("sim.log");
            folder.write("sim.log", log.replace("\"status\":200", "\"status\":502"));
        }),
        ("I3 sim.log:", |folder| {
            // The journal without its attempts.
            let journal = folder.read("out.jsonl.journal");
            let kept = journal
                .split_inclusive('\n')
                .filter(|line| !line.contains("\"sent\""));
            folder.write("out.jsonl.journal", kept.collect::<String>());
        }),
        ("I7 out.jsonl:1: secret 1 stands at byte", |folder| {
            let rows = folder.read("out.jsonl");
            folder.write("out.jsonl", rows.replacen("item 0", KEY.1, 1));
        }),
    ];
    for (expected, doctor) in cases {
        let folder = judged_run("out.jsonl");
        doctor(&folder);
        let ended = check(&folder, "out.jsonl", 1);
        assert!(
            ended.stdout.lines().any(|line| line.starts_with(expected)),
            "{expected}:\n{}",
            ended.stdout
        );
        ended.keeps_quiet_about(KEY.1);
    }
}

#[test]
fn json_says_the_same() {
    let folder = judged_run("out.jsonl");
    folder.write("sim.log", "");
    let arguments = [
        "sim",
        "check",
        "--log",
        "sim.log",
        "--results",
        "out.jsonl",
        "--json",
    ];
    let ended = folder.forebay(&arguments).ends(1);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["findings"].as_array().unwrap().len(), 8);
    assert_eq!(report["findings"][1]["invariant"], "I2");
    assert_eq!(report["findings"][1]["violations"], 20);
    assert_eq!(report["violations"][0]["invariant"], "I2");
    assert_eq!(report["counts"]["rows"], 20);
}

/// A complete run keeps two lines of its journal, so the check says what it cannot say.
#[test]
fn what_cannot_be_checked_is_told() {
    let folder = Folder::with("in.txt", items(3));
    let mut sim = Simulator::quick();
    sim.run(&folder, &["in.txt", "-o", "out.jsonl", "-q"])
        .ends(0);
    sim.write_log(&folder, "sim.log");
    let arguments = ["sim", "check", "--log", "sim.log", "--results", "out.jsonl"];
    let ended = folder.forebay(&arguments).ends(0);
    assert!(ended.stdout.contains("--keep-journal"), "{}", ended.stdout);
    let line = ended
        .stdout
        .lines()
        .find(|line| line.starts_with("I3  "))
        .unwrap();
    assert!(line.ends_with("skipped"), "{}", ended.stdout);
}

#[test]
fn wrong_usage_and_missing_files() {
    let folder = Folder::with("rows.csv", "custom_id,index\n");
    for (arguments, code, says) in [
        (&[][..], 2, "nothing to check"),
        (&["--results", "rows.csv"], 2, "not .jsonl or .json"),
        (&["--log", "none.log"], 3, "none.log"),
        (
            &["--log", "rows.csv"],
            3,
            "rows.csv:1 is not a record of a log",
        ),
        (
            &["--log", "rows.csv", "--secret-env", "UNSET"],
            2,
            "UNSET is not set",
        ),
    ] {
        let ended = folder
            .forebay(&[&["sim", "check"], arguments].concat())
            .ends(code);
        ended.says(&[says]);
    }
}

/// A judge would miss the records of a simulator's last moment.
#[test]
fn a_simulator_that_is_ended_leaves_its_log_whole() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let folder = Folder::with("in.txt", items(5));
        let line = format!(
            "\"$FOREBAY\" sim --port 0 --latency 0 --log sim.log >port & sim=$!; \
             until grep -q http port; do :; done; \
             \"$FOREBAY\" run in.txt -o out.jsonl -q --keep-journal -m gpt-4o-mini \
               --provider openai --base-url \"$(sed 's/.* //' port)/v1\"; \
             kill -{signal} $sim; wait $sim"
        );
        folder.shell(&line).env(KEY.0, KEY.1).ends(code);
        let arguments = ["sim", "check", "--log", "sim.log", "--results", "out.jsonl"];
        folder.forebay(&arguments).ends(0);
    }
}
