//! `run --cache` and `forebay cache`: what was asked before is not asked again.

use serde_json::Value;

use crate::harness::{Folder, THREE, assert_rows_ok, column, items};
use crate::judge::{judge, usual};
use crate::simulator::{Simulator, events};

const CACHE: &str = "--cache=kept";

fn requests(sim: &mut Simulator) -> usize {
    events(&sim.records(), "request")
}

fn stats(folder: &Folder) -> Value {
    let told = folder.forebay(&["cache", "stats", "--dir", "kept", "--json"]);
    serde_json::from_str(&told.ends(0).stdout).unwrap()
}

#[test]
fn the_second_run_sends_nothing_and_says_so() {
    let folder = Folder::with("in.txt", THREE);
    let mut sim = Simulator::quick();
    let first = ["in.txt", "-o", "a.jsonl", CACHE, "--keep-journal"];
    sim.run(&folder, &first).ends(0);
    let dry = sim.run(&folder, &["in.txt", CACHE, "--dry-run"]).ends(0);
    assert!(dry.stdout.contains("from the cache 3"), "{}", dry.stdout);
    let second = ["in.txt", "-o", "b.jsonl", CACHE, "--keep-journal", "--raw"];
    let ended = sim.run(&folder, &second).ends(0);
    ended.says(&["3 from the cache, saved about $"]);
    assert_eq!(requests(&mut sim), 3);
    let (a, b) = (folder.rows("a.jsonl"), folder.rows("b.jsonl"));
    assert_rows_ok(&b);
    assert_eq!(column(&a, "output"), column(&b, "output"));
    for row in &b {
        assert_eq!(row["cached"], true);
        assert_eq!(row["attempts"], 0);
        assert_eq!(row["cost_usd"].as_f64(), Some(0.0));
        assert!(row["usage"].is_null() && row["duration_s"].is_null());
        assert_eq!(row["raw"]["object"], "chat.completion");
    }
    assert!(a[0].get("cached").is_none());
    judge(&folder, &mut [&mut sim], "a.jsonl", &usual());
    let status = folder.forebay(&["status", "b.jsonl", "--json"]).ends(0);
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["total"]["input_tokens"], 0);
    assert_eq!(status["total"]["ok"], 3);
    let stats = stats(&folder);
    assert_eq!((&stats["entries"], &stats["hits"]), (&3.into(), &3.into()));
    assert!(stats["saved_usd"].as_f64() > Some(0.0));
    assert_eq!(folder.mode("kept"), 0o700);
    assert_eq!(folder.mode("kept/answers.db"), 0o600);
}

#[test]
fn a_run_of_answers_from_earlier_is_judged_clean() {
    let folder = Folder::with("in.txt", THREE);
    let mut sim = Simulator::quick();
    sim.run(&folder, &["in.txt", "-o", "a.jsonl", CACHE, "-q"])
        .ends(0);
    folder.write("more.txt", format!("{THREE}fourth\n"));
    let again = ["more.txt", "-o", "b.jsonl", CACHE, "-q", "--keep-journal"];
    sim.run(&folder, &again).ends(0);
    assert_eq!(requests(&mut sim), 4);
    let cached = column(&folder.rows("b.jsonl"), "cached");
    assert_eq!(cached, ["true", "true", "true", "null"]);
    judge(&folder, &mut [&mut sim], "b.jsonl", &{
        let mut bounds = usual();
        bounds.shared_log = true;
        bounds
    });
}

#[test]
fn whatever_is_asked_differently_is_asked() {
    let folder = Folder::with("in.txt", "one\n");
    let mut sim = Simulator::quick();
    let mut run = |n: usize, more: &[&str]| {
        let output = format!("{n}-{}.jsonl", more.len());
        let arguments = [&["in.txt", "-o", &output, CACHE, "-q", "--fresh"], more].concat();
        sim.run(&folder, &arguments).ends(0);
        assert_eq!(requests(&mut sim), n, "{more:?}");
    };
    run(1, &[]);
    run(2, &["--temperature", "0.5"]);
    run(3, &["--param", "top_p=0.9"]);
    run(4, &["-s", "Be brief."]);
    run(4, &["--stream=on"]);
    run(4, &["-c", "3", "--timeout", "60"]);
    run(5, &["--stream=on", "--max-tokens", "7"]);
    run(5, &["--max-tokens", "7"]);
}

#[test]
fn an_answer_that_will_not_do_here_is_asked_for_again() {
    let folder = Folder::with("in.txt", "one\n");
    let mut sim = Simulator::start(&["--latency", "0", "--output-tokens", "200"]);
    let cut = ["in.txt", CACHE, "-q", "--max-tokens", "3"];
    let rows = sim.run(&folder, &cut).ends(0).rows();
    assert_eq!(rows[0]["finish_reason"], "length");
    assert_eq!(sim.run(&folder, &cut).ends(0).rows()[0]["cached"], true);
    let strict = [&cut[..], &["--on-length", "error"]].concat();
    sim.run(&folder, &strict).ends(1);
    assert_eq!(requests(&mut sim), 2);
}

#[test]
fn failures_are_not_kept() {
    let folder = Folder::with("in.txt", "one\n");
    let mut sim = Simulator::start(&["--latency", "0", "--fault", "400=1"]);
    for n in 1..3 {
        sim.run(&folder, &["in.txt", CACHE, "-q"]).run();
        assert_eq!(requests(&mut sim), n);
    }
    assert_eq!(stats(&folder)["entries"], 0);
}

#[test]
fn a_cache_that_is_broken_fails_no_run() {
    let folder = Folder::with("in.txt", THREE);
    folder.write("file", "");
    let sim = Simulator::quick();
    let ended = sim.run(&folder, &["in.txt", "-o", "a.jsonl", "--cache=file"]);
    ended.ends(0).says(&[
        "warning: cannot use the cache in file",
        "going on without it",
    ]);
    std::fs::create_dir(folder.path("kept")).unwrap();
    folder.write("kept/answers.db", "no database at all, ".repeat(99));
    let refused = folder.forebay(&["cache", "stats", "--dir", "kept"]).ends(3);
    refused.says(&["cannot use the cache", "forebay cache clear"]);
    let ended = sim
        .run(&folder, &["in.txt", "-o", "b.jsonl", CACHE])
        .ends(0);
    ended.says(&["warning: the cache: it was damaged and begins anew"]);
    assert_eq!(ended.stderr.matches("warning").count(), 1);
    assert_eq!(stats(&folder)["entries"], 3);
}

#[test]
fn processes_share_it_at_the_same_time() {
    let folder = Folder::with("in.txt", items(200));
    folder.write("other.txt", items(300));
    let sim = Simulator::quick();
    let run = |input, output| {
        sim.run(&folder, &[input, "-o", output, CACHE, "-q"])
            .start()
    };
    let runs = [run("in.txt", "a.jsonl"), run("other.txt", "b.jsonl")];
    for ended in runs.map(crate::harness::Running::wait) {
        ended.assert_code(0);
        assert_eq!(ended.stderr, "");
    }
    assert_eq!(stats(&folder)["entries"], 300);
}

#[test]
fn a_kill_leaves_it_usable() {
    let folder = Folder::with("in.txt", items(300));
    let mut sim = Simulator::slow("5ms");
    let killed = sim
        .run(&folder, &["in.txt", "-o", "a.jsonl", CACHE, "-q"])
        .start();
    sim.wait_for_requests(100);
    assert!(killed.kill());
    sim.run(&folder, &["in.txt", "-o", "b.jsonl", CACHE, "-q"])
        .ends(0);
    assert_rows_ok(&folder.rows("b.jsonl"));
    let hits = stats(&folder)["hits"].as_u64().unwrap();
    let cached = column(&folder.rows("b.jsonl"), "cached");
    let cached = cached.iter().filter(|cached| *cached == "true").count() as u64;
    assert_eq!(hits, cached);
    assert!(hits > 0, "what was answered before the kill is there");
    assert_eq!(stats(&folder)["entries"], 300);
}

#[test]
fn limits_are_kept_and_clearing_says_what_it_did() {
    let folder = Folder::with("in.txt", items(100));
    let sim = Simulator::quick();
    let small = [
        "in.txt",
        "-o",
        "a.jsonl",
        CACHE,
        "--cache-max-size",
        "10kB",
        "-q",
    ];
    sim.run(&folder, &small).ends(0);
    assert!(stats(&folder)["bytes"].as_u64() <= Some(10_000));
    let clear = |more: &[&str]| {
        let arguments = [&["cache", "clear", "--dir", "kept"], more].concat();
        folder.forebay(&arguments).ends(0).stdout
    };
    assert!(clear(&["--older-than", "7d"]).starts_with("0 answers removed"));
    assert!(!clear(&[]).starts_with("0 answers"));
    assert_eq!(stats(&folder)["entries"], 0);
    let none = folder.forebay(&["cache", "stats", "--dir", "none"]).ends(0);
    assert_eq!(none.stdout, "none is empty\n");
    folder.forebay(&["cache", "clear", "--dir", "none"]).ends(0);
    assert!(!folder.has("none"));
}

#[test]
fn the_usual_folder_is_that_of_caches() {
    let folder = Folder::with("in.txt", "one\n");
    let sim = Simulator::quick();
    let home = folder.path("home").display().to_string();
    let run = || sim.run(&folder, &["in.txt", "--cache", "-q"]);
    run().env("HOME", &home).ends(0);
    assert!(folder.has("home/.cache/forebay/answers.db"));
    run()
        .env("HOME", &home)
        .env("XDG_CACHE_HOME", &format!("{home}/x"))
        .ends(0);
    assert!(folder.has("home/x/forebay/answers.db"));
    run().ends(2).says(&["neither HOME nor XDG_CACHE_HOME"]);
    let embed = sim.run(&folder, &["in.txt", "--embed", CACHE]);
    embed.ends(2).says(&["--cache does not keep vectors"]);
}

#[test]
fn a_header_that_may_change_the_answer_is_part_of_the_question() {
    let folder = Folder::with("in.txt", THREE);
    let mut sim = Simulator::quick();
    let runs = [
        (&["-o", "a.jsonl"][..], 3),
        (&["-o", "b.jsonl", "--header", "x-variant: b"], 6),
        (&["-o", "c.jsonl", "--header", "X-Variant: b"], 6),
        (&["-o", "d.jsonl", "--header", "OpenAI-Organization: d"], 6),
        (&["-o", "e.jsonl", "--header", "x-variant: e"], 9),
    ];
    for (more, asked) in runs {
        let args = [&["in.txt", CACHE, "-q"], more].concat();
        sim.run(&folder, &args).ends(0);
        assert_eq!(requests(&mut sim), asked, "{more:?}");
    }
}
