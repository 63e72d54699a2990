//! Faults by name, script and probability, and the proxy, through the command.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{Folder, assert_all_ok, assert_rows_ok, column};
use crate::judge::{judge, usual};
use crate::simulator::Simulator;

/// Faults after which the same row is answered well: no more than the retry budget's minimum,
/// then those that spoil nothing.
const SPOILT: [&str; 10] = [
    "invalid-json",
    "html",
    "empty-body",
    "truncated-json",
    "bad-chunk",
    "wrong-content-length-long",
    "truncated-gzip",
    "error-in-200-int",
    "cut-mid-body",
    "reset-after-headers",
];
const STRANGE: [&str; 5] = [
    "1xx",
    "http-1.0",
    "no-reason-phrase",
    "close-delimited",
    "wrong-content-type",
];

/// Faults 7, 28, 29, 30, 32, 58: tries again what no answer can be made of, and takes every
/// answer that is good however strangely it comes.
#[test]
fn a_script_strikes_rows_and_the_judge_is_content() {
    let names = [&SPOILT[..], &STRANGE[..]].concat();
    let folder = Folder::with("in.txt", names.join("\n"));
    let rule = |name: &&str| format!("[[rule]]\nprompt-is = {name:?}\nfault = \"{name}:1\"\n");
    folder.write("script.toml", names.iter().map(rule).collect::<String>());
    let script = folder.path("script.toml");
    let mut sim = Simulator::start(&["--latency", "0", "--script", script.to_str().unwrap()]);
    let arguments = [
        "in.txt",
        "-o",
        "out.jsonl",
        "-q",
        "--keep-journal",
        "-c",
        "4",
    ];
    sim.run(&folder, &arguments).ends(0);
    let rows = folder.rows("out.jsonl");
    assert_rows_ok(&rows);
    assert_eq!(column(&rows, "text"), names);
    let attempts = column(&rows, "attempts");
    let twice = SPOILT.map(|_| "2".to_owned());
    let once = STRANGE.map(|_| "1".to_owned());
    assert_eq!(attempts, [&twice[..], &once[..]].concat());
    judge(&folder, &mut [&mut sim], "out.jsonl", &usual());
}

#[test]
fn a_models_name_strikes_the_embedded_simulator() {
    let folder = Folder::with("in.txt", "a\nb\n");
    let run = |model: &str| {
        let arguments = ["run", "in.txt", "-o", "-", "-q", "-m", model];
        folder.forebay(&arguments)
    };
    let rows = run("sim/fault-503:1").ends(0).rows();
    assert_eq!(column(&rows, "attempts"), ["2", "2"]);
    let ended = run("sim/fault-5O3").run();
    assert!(!ended.status.success());
    ended.says(&["\"5O3\" is no fault; the nearest are 503"]);
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let folder = Folder::with("in.txt", "a\n");
    for (arguments, what) in [
        (&["--max-in-flight", "0"][..], "at least 1"),
        (&["--output-tokens", "99999999999"], "from 1 to 1000000"),
        (&["--output-tokens", "nan"], "from 1 to 1000000"),
        (&["--key", ""], "at least one character"),
        (
            &["--fault", "503=0.6", "--fault", "500=0.6"],
            "--fault add up to 1.200, more than 1",
        ),
        (
            &["--reset", "0.9", "--error", "500=0.2"],
            "add up to 1.100, more than 1",
        ),
    ] {
        let arguments = [&["sim", "--port", "0"], arguments].concat();
        folder.forebay(&arguments).ends(2).says(&[what]);
    }
}

#[test]
fn chance_strikes_by_name() {
    let folder = Folder::with("in.txt", "a\n");
    let mut sim = Simulator::start(&["--latency", "0", "--fault", "400-same=1"]);
    let ended = sim.run(&folder, &["in.txt", "-o", "out.jsonl", "-q"]).run();
    assert!(!ended.status.success());
    let log: Vec<Value> = sim
        .log()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(log[0]["fault"], "400-same");
}

#[test]
fn the_catalogue_is_listed() {
    let folder = Folder::new();
    let listed = folder.forebay(&["sim", "--list-faults"]).ends(0).stdout;
    assert!(
        listed
            .lines()
            .any(|line| line.starts_with("cut-after-N-bytes "))
    );
    let json = folder.forebay(&["sim", "--list-faults", "--json"]).ends(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let lines = json.as_array().unwrap();
    // The list has an introduction and an empty line before its entries.
    let entries = listed.lines().skip_while(|line| !line.is_empty()).count() - 1;
    assert_eq!(lines.len(), entries);
    let bomb = lines.iter().find(|line| line["name"] == "gzip-bomb");
    assert_eq!(bomb.unwrap()["rows"], serde_json::json!([29]));
}

#[test]
fn scripts_and_proxies_that_cannot_be_are_refused() {
    let folder = Folder::with("script.toml", "[[rule]]\nfault = \"5O3\"\n");
    let refused = |arguments: &[&str], texts: &[&str]| {
        let arguments = [&["sim"], arguments].concat();
        folder.forebay(&arguments).ends(2).says(texts);
    };
    refused(
        &["--script", "script.toml"],
        &[
            "script.toml:2:9: fault: \"5O3\" is no fault",
            "503",
            "hint:",
        ],
    );
    refused(&["--script", "none.toml"], &["none.toml: cannot be read"]);
    refused(&["--fault", "5O3=1"], &["\"5O3\" is no fault"]);
    refused(&["--fault", "503=2"], &["a probability from 0 to 1"]);
    refused(&["--fault", "503"], &["NAME=PROBABILITY"]);
    refused(
        &["proxy", "--to", "nowhere"],
        &["neither HOST:PORT nor a URL"],
    );
    refused(
        &["proxy", "--to", "a:1", "--slice", "0,1s"],
        &["at least 1"],
    );
}

/// A proxy in a process of its own; killed when dropped.
struct ProxyProcess(Child, u16);

impl ProxyProcess {
    fn to(port: u16, flags: &[&str]) -> ProxyProcess {
        let mut child = Command::new(env!("CARGO_BIN_EXE_forebay"))
            .args(["sim", "proxy", "--port", "0", "--to"])
            .arg(format!("http://127.0.0.1:{port}/v1"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line
            .split(' ')
            .find_map(|word| word.strip_prefix("http://127.0.0.1:"));
        let port = address.and_then(|port| port.parse().ok());
        ProxyProcess(child, port.unwrap_or_else(|| panic!("no port in {line:?}")))
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Faults 6, 7: tries again over another connection when the network resets one.
#[test]
fn a_run_survives_a_proxy_that_resets_connections() {
    let folder = Folder::with("in.txt", crate::harness::items(12));
    let mut sim = Simulator::quick();
    let proxy = ProxyProcess::to(
        sim.port(),
        &["--reset-after", "2000", "--direction", "down"],
    );
    let url = format!("http://127.0.0.1:{}/v1", proxy.1);
    let arguments = [
        "run",
        "in.txt",
        "-o",
        "out.jsonl",
        "-q",
        "--keep-journal",
        "-c",
        "1",
        "-m",
        "gpt-4o-mini",
        "--provider",
        "openai",
        "--base-url",
        &url,
    ];
    let run = folder.forebay(&arguments).env("OPENAI_API_KEY", "any-key");
    run.ends(0);
    assert_all_ok(&folder.rows("out.jsonl"), 12);
    let answered = sim.records().len();
    assert!(
        answered > 2 * 12,
        "no connection was ever reset: {answered} records"
    );
    judge(&folder, &mut [&mut sim], "out.jsonl", &usual());
}
