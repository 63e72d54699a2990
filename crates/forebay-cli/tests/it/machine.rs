//! What the machine allows, and what is done to a process: open files, stops.

use rustix::process::Signal;

use crate::harness::{Folder, Forebay, assert_all_ok, items};
use crate::simulator::{Simulator, events};

/// `forebay run` with `-c N` under this `ulimit`, against a simulator or the embedded one.
fn under(limit: &str, concurrency: u32, port: Option<u16>) -> String {
    let model = match port {
        Some(port) => {
            format!("-m gpt-4o-mini --provider openai --base-url http://127.0.0.1:{port}/v1")
        }
        None => "-m sim/gpt-4o-mini".to_owned(),
    };
    format!(
        "ulimit {limit}; exec \"$FOREBAY\" run in.txt -o out.jsonl -c {concurrency} {model} \
         --progress none"
    )
}

fn shell(folder: &Folder, line: &str) -> Forebay {
    folder.shell(line).env("OPENAI_API_KEY", "any-key")
}

/// Fault 53: keeps to what the limit on open files allows, and says so in one line.
#[test]
fn a_limit_on_open_files_lowers_the_attempts_in_flight() {
    const ITEMS: usize = 600;
    let mut sim = Simulator::slow("20ms");
    let port = sim.port();
    // 64 files are set aside; both ends of a connection to the embedded simulator are ours.
    for (limit, port, most) in [(256, Some(port), 192), (256, None, 96), (40, Some(port), 1)] {
        let n = if most == 1 { 10 } else { ITEMS };
        let folder = Folder::with("in.txt", items(n));
        let line = under(&format!("-n {limit}"), 1_000, port);
        let ended = shell(&folder, &line).ends(0);
        let warnings = ended.stderr.matches("warning:").count();
        assert_eq!(warnings, 1, "{}", ended.stderr);
        ended.says(&[
            &format!("may open {limit} files"),
            &format!("at most {most} attempts"),
        ]);
        let rows = folder.rows("out.jsonl");
        match port {
            Some(_) => assert_all_ok(&rows, n),
            None => crate::harness::assert_rows_ok(&rows),
        }
        assert!(rows.iter().all(|row| row["attempts"] == 1));
    }
    assert_eq!(sim.prompts().len(), ITEMS + 10, "nothing is sent twice");
}

/// Fault 53: raises the soft limit on open files by itself.
#[test]
fn a_soft_limit_on_open_files_is_raised() {
    let folder = Folder::with("in.txt", items(300));
    let sim = Simulator::slow("50ms");
    let line = under("-S -n 64", 150, Some(sim.port()));
    let ended = shell(&folder, &line).ends(0);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    assert_all_ok(&folder.rows("out.jsonl"), 300);
}

/// Fault 53: gives idle connections back, so that a server which is short of them serves the rest.
#[test]
fn a_server_with_few_open_files_serves_everybody() {
    let folder = Folder::with("in.txt", items(200));
    let mut sim = Simulator::with_open_files(40, &["--latency", "10ms", "--sigma", "0"]);
    let arguments = ["in.txt", "-o", "out.jsonl", "-c", "50", "-q"];
    sim.run(&folder, &arguments).ends(0);
    assert_all_ok(&folder.rows("out.jsonl"), 200);
    assert_eq!(sim.prompts().len(), 200, "nothing is sent twice");
}

/// Fault 51: a run that is stopped and continued finds its answers, and gives nothing up.
#[test]
fn a_stopped_run_goes_on_where_it_was() {
    let folder = Folder::with("in.txt", items(8));
    let mut sim = Simulator::slow("3s");
    let arguments = [
        "in.txt",
        "-o",
        "out.jsonl",
        "-c",
        "8",
        "-q",
        "--first-byte-timeout",
        "2s",
        "--timeout",
        "2s",
    ];
    let run = sim.run(&folder, &arguments).start();
    sim.wait_for_requests(8);
    run.signal(Signal::STOP);
    // Every deadline passes meanwhile.
    sim.wait_for(|seen| events(seen, "answer") + events(seen, "dropped") == 8);
    run.signal(Signal::CONT);
    run.wait().assert_code(0);
    let rows = folder.rows("out.jsonl");
    assert_all_ok(&rows, 8);
    assert!(rows.iter().all(|row| row["attempts"] == 1));
    assert_eq!(sim.prompts().len(), 8);
}

/// Fault 52: holds what is in flight in memory, and not what has passed.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_for_what_is_in_flight() {
    const ITEMS: usize = 250;
    const ANSWER: usize = 1 << 20;
    const MOST_MB: u64 = 160;
    let folder = Folder::with("in.txt", items(ITEMS));
    folder.write(
        "large.toml",
        format!(
            "latency = \"zero\"\nanswers = {{ fixed = \"{}\" }}\n",
            "a".repeat(ANSWER)
        ),
    );
    let profile = folder.path("large.toml");
    let sim = Simulator::start(&["--profile", profile.to_str().unwrap()]);
    let arguments = ["in.txt", "-o", "out.jsonl", "-c", "20", "-q"];
    let mut run = sim.run(&folder, &arguments).start();
    let mut most_kb = 0;
    while !run.has_ended() {
        most_kb = run.peak_memory_kb().unwrap_or(0).max(most_kb);
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    run.wait().assert_code(0);
    let written = std::fs::metadata(folder.path("out.jsonl")).unwrap().len();
    assert!(written > (ITEMS * ANSWER) as u64, "{written} bytes");
    assert!(most_kb > 0 && most_kb < MOST_MB * 1024, "{most_kb} kB");
}

/// Fault 33: reads few of the answers that never end at once, so that they cannot fill the memory together.
#[cfg(target_os = "linux")]
#[test]
fn answers_without_end_do_not_fill_the_memory() {
    // Sixteen that are cut off at 64 MiB each.
    const ITEMS: usize = 16;
    const MOST_MB: u64 = 448;
    let folder = Folder::with("in.txt", items(ITEMS));
    let sim = Simulator::start(&["--latency", "0", "--fault", "huge-body=1"]);
    let arguments = [
        "in.txt",
        "-o",
        "out.jsonl",
        "-c",
        "16",
        "-q",
        "--max-attempts",
        "1",
    ];
    let mut run = sim.run(&folder, &arguments).start();
    let mut most_kb = 0;
    while !run.has_ended() {
        most_kb = run.peak_memory_kb().unwrap_or(0).max(most_kb);
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    run.wait().assert_code(1);
    assert!(most_kb > 0 && most_kb < MOST_MB * 1024, "{most_kb} kB");
}
