//! Signals, readers that go away, and the codes by which a run ends.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use forebay_sim::check::Bounds;
use rustix::process::Signal;

use crate::harness::{Folder, THREE, assert_all_ok, in_input_order, items};
use crate::judge::{judge, usual};
use crate::kill::done_items;
use crate::simulator::{Simulator, events};

const ITEMS: usize = 60;

/// Flags of runs that are judged: rows for a file, five attempts in flight.
const JUDGED: [&str; 6] = ["in.txt", "-o", "out.jsonl", "--keep-journal", "-c", "5"];

/// What runs with these flags keep to; the last one ended with this code.
fn bounds(exit_code: i32) -> Bounds {
    Bounds {
        max_in_flight: Some(5),
        exit_code: Some(exit_code),
        ..usual()
    }
}

/// Fault 49: a first signal finishes what is in flight, keeps it, and ends with the signal's code.
/// Fault 51: takes a hang-up for a request to end in order.
#[test]
fn a_first_signal_finishes_what_is_in_flight() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143)] {
        for order in ["input", "completed"] {
            let folder = Folder::with("in.txt", items(ITEMS));
            let mut sim = Simulator::slow("200ms");
            let arguments = [&JUDGED[..], &["--order", order]].concat();
            let run = sim.run(&folder, &arguments).start();
            sim.wait_for_answers(10);
            run.signal(signal);
            let ended = run.wait();
            ended.assert_code(code);
            judge(&folder, &mut [&mut sim], "out.jsonl", &bounds(code));
            let records = sim.records();
            let sent = events(&records, "request");
            assert!((10..ITEMS).contains(&sent), "{sent}");
            assert_eq!(events(&records, "answer"), sent, "all were waited for");
            assert_eq!(done_items(&folder).len(), sent, "all were kept");
            match order {
                "completed" => assert_eq!(folder.rows("out.jsonl").len(), sent),
                _ => assert!(!folder.has("out.jsonl")),
            }
            sim.run(&folder, &arguments).ends(0);
            assert_all_ok(&in_input_order(folder.rows("out.jsonl")), ITEMS);
            assert_eq!(sim.prompts().len(), ITEMS, "nothing is sent twice");
            judge(&folder, &mut [&mut sim], "out.jsonl", &bounds(0));
        }
    }
}

/// Fault 50: a second signal gives up what is in flight; what was finished is kept.
#[test]
fn a_second_signal_ends_at_once() {
    for order in ["input", "completed"] {
        let folder = Folder::with("in.txt", items(ITEMS));
        let mut sim = Simulator::start(&["--latency", "0", "--stall", "0.2"]);
        let arguments = [&JUDGED[..], &["--order", order]].concat();
        let run = sim.run(&folder, &arguments).start();
        // Sooner or later five attempts hang, and nothing more is sent.
        sim.wait_for(|seen| events(seen, "request") == events(seen, "answer") + 5);
        run.insist(Signal::INT).assert_code(130);
        let done = done_items(&folder);
        let before = sim.prompts().len();
        assert_eq!(before, done.len() + 5);
        let mut healthy = Simulator::quick();
        healthy.run(&folder, &arguments).ends(0);
        assert_all_ok(&in_input_order(folder.rows("out.jsonl")), ITEMS);
        let later = healthy.prompts();
        assert_eq!(later.len(), ITEMS - done.len());
        assert!(done.iter().all(|text| !later.contains(text)));
        judge(
            &folder,
            &mut [&mut sim, &mut healthy],
            "out.jsonl",
            &bounds(0),
        );
    }
}

#[test]
fn a_list_of_what_is_in_flight_does_not_end_the_run() {
    let folder = Folder::with("in.txt", items(20));
    let mut sim = Simulator::slow("60ms");
    let run = sim
        .run(&folder, &["in.txt", "-o", "out.jsonl", "-c", "4"])
        .start();
    for n in [4, 8, 12] {
        sim.wait_for_answers(n);
        run.signal(Signal::USR1);
    }
    let ended = run.wait();
    ended.assert_code(0);
    ended.says(&["in flight, limit 4 (4)\n"]);
    assert_all_ok(&folder.rows("out.jsonl"), 20);
    assert_eq!(sim.prompts().len(), 20);
}

/// Fault 47: stops sending and ends with code 141 when nobody reads standard output any more.
#[test]
fn a_reader_who_has_seen_enough_ends_the_run() {
    let folder = Folder::with("in.txt", items(500));
    let mut sim = Simulator::slow("5ms");
    let url = format!("http://127.0.0.1:{}/v1", sim.port());
    let mut run = Command::new(env!("CARGO_BIN_EXE_forebay"))
        .args([
            "run",
            "in.txt",
            "-c",
            "4",
            "-m",
            "gpt-4o",
            "--base-url",
            &url,
        ])
        .env("OPENAI_API_KEY", "any-key")
        .current_dir(folder.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(run.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    serde_json::from_str::<serde_json::Value>(&first).unwrap();
    drop(stdout);
    let mut stderr = String::new();
    let mut pipe = run.stderr.take().unwrap();
    pipe.read_to_string(&mut stderr).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(141), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(sim.prompts().len() < 500);
}

#[test]
fn a_reader_who_has_seen_enough_of_anything_else_is_no_fault() {
    let folder = Folder::with("in.txt", THREE);
    for line in [
        "\"$FOREBAY\" run in.txt -m sim/gpt-4o -q --order input | head -1 >/dev/null",
        "\"$FOREBAY\" run in.txt -m sim/gpt-4o --dry-run | true",
        "\"$FOREBAY\" run --help | head -1 >/dev/null",
    ] {
        let ended = folder.shell(line).ends(0);
        assert_eq!(ended.stderr, "", "{line}");
    }
}

#[test]
fn a_refused_key_stops_the_run_and_shows_nowhere() {
    const KEY: &str = "sk-recognise-me-71c0ffee";
    for order in ["input", "completed"] {
        let folder = Folder::with("in.txt", items(ITEMS));
        let mut sim = Simulator::start(&["--latency", "0", "--key", "other"]);
        let arguments = [&JUDGED[..], &["--order", order]].concat();
        let ended = sim
            .run(&folder, &arguments)
            .env("OPENAI_API_KEY", KEY)
            .ends(4);
        ended.keeps_quiet_about("71c0ffee");
        for name in folder.names() {
            let text = folder.read(&name);
            assert!(!text.contains("71c0ffee"), "{name}: {text}");
        }
        // A few refusals in a row are proof enough: no item is burnt, and none has failed.
        let records = sim.records();
        assert!(events(&records, "request") <= 10);
        assert!(
            records
                .iter()
                .all(|r| r.status.is_none_or(|status| status == 401))
        );
        assert!(done_items(&folder).is_empty());
        let again = sim.run(&folder, &arguments).env("OPENAI_API_KEY", "other");
        again.ends(0);
        assert_all_ok(&in_input_order(folder.rows("out.jsonl")), ITEMS);
        let secrets = vec![KEY.to_owned()];
        let bounds = Bounds {
            secrets,
            ..bounds(0)
        };
        judge(&folder, &mut [&mut sim], "out.jsonl", &bounds);
    }
}

#[test]
fn a_cap_on_cost_stops_the_run() {
    let folder = Folder::with("in.txt", items(ITEMS));
    let mut sim = Simulator::quick();
    // One answer of at most 100 tokens costs at most 0.00006 dollars and some input.
    let arguments = [&JUDGED[..], &["--max-tokens", "100", "-q"]].concat();
    let capped = [&arguments[..], &["--max-cost", "0.001"]].concat();
    sim.run(&folder, &capped).ends(4);
    judge(&folder, &mut [&mut sim], "out.jsonl", &bounds(4));
    let sent = sim.prompts().len();
    assert!((1..ITEMS).contains(&sent), "{sent}");
    assert_eq!(done_items(&folder).len(), sent);
    sim.run(&folder, &arguments).ends(0);
    assert_all_ok(&folder.rows("out.jsonl"), ITEMS);
    assert_eq!(sim.prompts().len(), ITEMS);
    judge(&folder, &mut [&mut sim], "out.jsonl", &bounds(0));
}

#[test]
fn a_misbehaving_server_costs_retries_and_no_rows() {
    let folder = Folder::with("in.txt", items(40));
    let mut sim = Simulator::start(&[
        "--latency",
        "0",
        "--error",
        "503=0.1",
        "--error",
        "500=0.1",
        // Rare, as the third such end of one item is its last: each may be billed.
        "--reset",
        "0.01",
        "--cut",
        "0.01",
    ]);
    let arguments = [&JUDGED[..], &["--max-attempts", "1000"]].concat();
    sim.run(&folder, &arguments).ends(0);
    assert_all_ok(&folder.rows("out.jsonl"), 40);
    let bounds = Bounds {
        max_attempts: Some(1000),
        ..bounds(0)
    };
    judge(&folder, &mut [&mut sim], "out.jsonl", &bounds);
    let mut counts = HashMap::new();
    for prompt in sim.prompts() {
        *counts.entry(prompt).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 40);
    assert!(counts.values().any(|n| *n > 1));
}

/// Fault 1: ends soon, and says so by its exit code, when nobody listens at the base URL.
#[test]
fn a_server_that_is_not_there_stops_the_run_early() {
    // A port that was free a moment ago.
    let port = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let folder = Folder::with("in.txt", THREE);
    let url = format!("http://127.0.0.1:{port}/v1");
    let run = folder
        .forebay(&[
            "run",
            "in.txt",
            "-o",
            "out.jsonl",
            "-m",
            "gpt-4o",
            "--base-url",
            &url,
        ])
        .env("OPENAI_API_KEY", "any-key");
    let ended = run.ends(4);
    ended.keeps_quiet_about("any-key");
    assert!(done_items(&folder).is_empty());
}

/// Rows for standard output are in no file, so a stop must not swallow them.
#[test]
fn a_stopped_run_prints_the_rows_that_it_has_in_input_order() {
    let folder = Folder::with("in.txt", items(ITEMS));
    let mut sim = Simulator::quick();
    let arguments = ["in.txt", "--order", "input", "--max-tokens", "100", "-q"];
    let capped = [&arguments[..], &["--max-cost", "0.001"]].concat();
    let ended = sim.run(&folder, &capped).ends(4);
    let rows = ended.rows();
    assert_eq!(rows.len(), sim.prompts().len());
    assert_eq!(rows, in_input_order(rows.clone()));
}

/// A parameter that lets answers be longer than the flag says must not break the cap.
#[test]
fn a_cap_on_cost_counts_with_the_parameters() {
    let folder = Folder::with("in.txt", items(ITEMS));
    let mut sim = Simulator::quick();
    // One answer of 4,000 tokens of gpt-4o-mini costs up to 0.0024 dollars.
    let arguments = [
        "in.txt",
        "-o",
        "out.jsonl",
        "-q",
        "--max-tokens",
        "1",
        "--param",
        "max_tokens=4000",
        "--max-cost",
        "0.002",
    ];
    sim.run(&folder, &arguments).ends(4);
    assert!(sim.prompts().is_empty());
    let several = ["in.txt", "-o", "out.jsonl", "-q", "--param", "n=2"];
    sim.run(&folder, &several)
        .ends(2)
        .says(&["--param n", "one answer"]);
}

/// Fault 43: a limit on the size of files ends the run like a full disk, not the process, and no
/// row is lost.
#[test]
fn a_file_size_limit_is_told_and_nothing_is_lost() {
    let folder = Folder::with("in.txt", items(ITEMS));
    let sim = Simulator::quick();
    let arguments = ["in.txt", "-o", "out.jsonl", "-q"];
    let port = sim.port();
    let line = format!(
        "ulimit -f 4; exec \"$FOREBAY\" run in.txt -o out.jsonl -q -m gpt-4o-mini --provider openai \
         --base-url http://127.0.0.1:{port}/v1"
    );
    // Without a key, a slow machine hears of the refusal before its files are full.
    let run = folder.shell(&line).env("OPENAI_API_KEY", "any-key");
    run.ends(3).says(&["cannot write"]);
    sim.run(&folder, &arguments).ends(0);
    assert_all_ok(&folder.rows("out.jsonl"), ITEMS);
}
