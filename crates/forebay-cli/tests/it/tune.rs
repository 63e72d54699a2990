//! `forebay tune`: limits of a run that is under way.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::harness::{Ended, Folder, Running, assert_all_ok, items};
use crate::simulator::{Simulator, events};

const ITEMS: usize = 400;
const JOURNAL: &str = "out.jsonl.journal";
const REQUEST: &str = "out.jsonl.journal.tune";
const ANSWER: &str = "out.jsonl.journal.tuned";

/// A run at this setting of `-c`, once it has answers.
fn started(folder: &Folder, sim: &mut Simulator, flags: &[&str]) -> Running {
    let output = ["in.txt", "-o", "out.jsonl", "--progress", "none"];
    let run = sim.run(folder, &[&output[..], flags].concat()).start();
    sim.wait_for_answers(1);
    run
}

fn tune(folder: &Folder, flags: &[&str]) -> Ended {
    folder
        .forebay(&[&["tune", "out.jsonl"], flags].concat())
        .run()
}

/// What the job answers, which must be an answer.
#[track_caller]
fn told(folder: &Folder, flags: &[&str]) -> Value {
    let ended = tune(folder, &[flags, &["--json"]].concat());
    ended.assert_code(0);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The most requests that were under way together, from this record on.
fn most_in_flight(sim: &mut Simulator, from: usize) -> usize {
    let records = sim.records();
    let at = |n| events(&records[..n], "request") - events(&records[..n], "answer");
    (from..=records.len()).map(at).max().unwrap_or(0)
}

#[test]
fn a_higher_limit_holds_at_once_and_a_run_of_minutes_ends_in_seconds() {
    let folder = Folder::with("in.txt", items(ITEMS));
    // One at a time this takes a minute and a half; nobody here has the patience.
    let mut sim = Simulator::slow("250ms");
    let run = started(&folder, &mut sim, &["-c", "1"]);
    let ended = tune(&folder, &["-c", "80", "--rpd", "5000"]);
    ended.assert_code(0);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines[0], JOURNAL);
    assert_eq!(lines[1], "  changed   concurrency 1 → 80, rpd none → 5,000");
    assert!(lines[2].starts_with("  limit     "), "{}", lines[2]);
    assert!(lines[2].ends_with(" of 80 in flight (80)"), "{}", lines[2]);
    assert_eq!(lines[3], "  rates     5,000 rpd");
    assert_eq!(lines.len(), 4);
    run.wait().assert_code(0);
    assert_all_ok(&folder.rows("out.jsonl"), ITEMS);
    assert_eq!(sim.prompts().len(), ITEMS, "nothing is sent twice");
    assert!(most_in_flight(&mut sim, 0) > 40);
    assert_eq!(folder.names(), ["in.txt", "out.jsonl", JOURNAL]);
}

#[test]
fn a_lower_limit_gives_nothing_up() {
    let folder = Folder::with("in.txt", items(ITEMS));
    let mut sim = Simulator::slow("300ms");
    let run = started(&folder, &mut sim, &["-c", "6"]);
    let answer = told(&folder, &["-c", "1"]);
    assert_eq!(answer["was"]["limit"], 6);
    assert_eq!(answer["now"]["limit"], 1);
    // Once those that were under way have ended, there is one at a time.
    let sent = events(&sim.records(), "request");
    sim.wait_for_answers(sent + 3);
    let records = sim.records();
    let ended = |n: &usize| events(&records[..*n], "answer") == sent;
    let from = (0..records.len()).find(ended).unwrap();
    assert!(most_in_flight(&mut sim, from) <= 1);
    assert_eq!(told(&folder, &["-c", "200"])["was"]["limit"], 1);
    run.wait().assert_code(0);
    let rows = folder.rows("out.jsonl");
    assert_all_ok(&rows, ITEMS);
    assert!(rows.iter().all(|row| row["attempts"] == 1));
    assert_eq!(sim.prompts().len(), ITEMS);
}

#[test]
fn without_a_flag_it_tells_what_holds() {
    let folder = Folder::with("in.txt", items(ITEMS));
    let mut sim = Simulator::slow("400ms");
    let flags = [
        "-c",
        "auto:7",
        "--rpm",
        "9000",
        "--target-utilization",
        "50%",
    ];
    let run = started(&folder, &mut sim, &flags);
    let before = fs::read(folder.path(JOURNAL)).unwrap();
    let answer = told(&folder, &[]);
    assert_eq!(answer["was"]["concurrency"], answer["now"]["concurrency"]);
    let now = &answer["now"];
    assert_eq!(now["concurrency"], "auto:7");
    assert_eq!(now["rpm"], 9000.0);
    assert_eq!(now["tpm"], Value::Null);
    assert_eq!(now["target_utilization"], 0.5);
    assert!((1..=7).contains(&now["limit"].as_u64().unwrap()), "{now}");
    let shown = folder.forebay(&["tune", JOURNAL]).ends(0).stdout;
    assert!(!shown.contains("changed"), "{shown}");
    assert!(shown.contains("  rates     9,000 rpm\n"), "{shown}");
    assert!(
        shown.contains("  use       50 % of what the provider allows\n"),
        "{shown}"
    );
    let after = fs::read(folder.path(JOURNAL)).unwrap();
    assert!(after.starts_with(&before), "the journal is only read");
    let lifted = told(&folder, &["--rpm", "none", "--target-utilization", "1"]);
    assert_eq!(lifted["now"]["rpm"], Value::Null);
    assert_eq!(lifted["now"]["target_utilization"], 1.0);
    assert_eq!(lifted["now"]["concurrency"], "auto:7");
    assert!(run.kill());
}

#[test]
fn a_rate_that_is_set_under_way_is_kept() {
    const MANY: usize = 3_000;
    let folder = Folder::with("in.txt", items(MANY));
    let mut sim = Simulator::slow("20ms");
    let run = started(&folder, &mut sim, &["-c", "2"]);
    // One request in an hour and a half, after those that are let through at once.
    told(&folder, &["--rpm", "0.01"]);
    let sent = sim.prompts().len();
    told(&folder, &["-c", "50"]);
    // The job has had time for hundreds, and sends one more at the most.
    assert!(sim.prompts().len() <= sent + 1);
    told(&folder, &["--rpm", "none"]);
    run.wait().assert_code(0);
    assert_all_ok(&folder.rows("out.jsonl"), MANY);
}

#[test]
fn without_a_job_it_says_so_and_leaves_nothing_behind() {
    let folder = Folder::with("in.txt", items(5));
    let sim = Simulator::quick();
    let arguments = ["in.txt", "-o", "out.jsonl", "-q", "--keep-journal"];
    sim.run(&folder, &arguments).ends(0);
    let names = folder.names();
    // What a job and a `forebay tune` left behind that were killed.
    folder.write(REQUEST, r#"{"v":1,"nonce":"00","concurrency":"1"}"#);
    folder.write(ANSWER, "{}");
    for flags in [&["-c", "5"][..], &[]] {
        let ended = tune(&folder, flags);
        ended.assert_code(2);
        ended.says(&["no job is running on out.jsonl.journal", "hint: "]);
        assert_eq!(ended.stdout, "");
        assert_eq!(folder.names(), names);
    }
    let ended = folder.forebay(&["tune", "other.jsonl"]).ends(3);
    ended.says(&["there is no other.jsonl.journal"]);
}

#[test]
fn what_a_dead_job_left_changes_nothing_of_the_next_run() {
    let folder = Folder::with("in.txt", items(ITEMS));
    let mut sim = Simulator::slow("100ms");
    folder.write(REQUEST, r#"{"v":1,"nonce":"00","concurrency":"90"}"#);
    fs::set_permissions(folder.path(REQUEST), fs::Permissions::from_mode(0o600)).unwrap();
    let run = started(&folder, &mut sim, &["-c", "2"]);
    assert_eq!(told(&folder, &[])["now"]["concurrency"], "2");
    told(&folder, &["-c", "100"]);
    run.wait().assert_code(0);
    assert_all_ok(&folder.rows("out.jsonl"), ITEMS);
    assert_eq!(folder.names(), ["in.txt", "out.jsonl", JOURNAL]);
}

#[test]
fn a_file_that_is_no_request_harms_nothing_and_is_told_once() {
    let folder = Folder::with("in.txt", items(ITEMS));
    let mut sim = Simulator::slow("300ms");
    let flags = ["in.txt", "-o", "out.jsonl", "-c", "2", "--progress", "json"];
    let run = sim.run(&folder, &flags).start();
    sim.wait_for_answers(1);
    for (content, mode) in [("{", 0o600), ("[1]", 0o600), ("{}", 0o666)] {
        let new = folder.path("new");
        fs::write(&new, content).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(mode)).unwrap();
        fs::rename(&new, folder.path(REQUEST)).unwrap();
        // The next request is put when that one is out of the way.
        assert_eq!(told(&folder, &[])["now"]["concurrency"], "2");
    }
    // One of another version is answered, so that its sender knows.
    let new = folder.path("new");
    fs::write(&new, r#"{"v":9,"nonce":"0a","tps":"5"}"#).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, folder.path(REQUEST)).unwrap();
    assert_eq!(told(&folder, &["-c", "200"])["now"]["limit"], 200);
    let ended = run.wait();
    ended.assert_code(0);
    let told = ended.stderr.matches("is no request of `forebay tune`");
    assert_eq!(told.count(), 1, "{}", ended.stderr);
    ended.says(&["tuned: concurrency 2 → 200"]);
    assert_all_ok(&folder.rows("out.jsonl"), ITEMS);
}

#[test]
fn two_at_once_are_taken_one_after_the_other() {
    let folder = Folder::with("in.txt", items(ITEMS));
    let mut sim = Simulator::slow("300ms");
    let run = started(&folder, &mut sim, &["-c", "2"]);
    let start = |flags: &[&str]| {
        let all = [&["tune", "out.jsonl", "--json"], flags].concat();
        folder.forebay(&all).start()
    };
    let both = [start(&["--rpd", "5000"]), start(&["--otpm", "1e9"])];
    for tune in both {
        tune.wait().assert_code(0);
    }
    let now = &told(&folder, &["-c", "200"])["now"];
    assert_eq!(now["rpd"], 5_000);
    assert_eq!(now["otpm"], 1e9);
    run.wait().assert_code(0);
    assert_all_ok(&folder.rows("out.jsonl"), ITEMS);
    assert_eq!(folder.names(), ["in.txt", "out.jsonl", JOURNAL]);
}

#[test]
fn a_job_that_is_stopped_is_not_waited_for_for_ever() {
    use rustix::process::Signal;
    let folder = Folder::with("in.txt", items(ITEMS));
    let mut sim = Simulator::slow("300ms");
    let run = started(&folder, &mut sim, &["-c", "2"]);
    run.signal(Signal::STOP);
    let ended = tune(&folder, &["-c", "150"]);
    ended.assert_code(3);
    ended.says(&["took nothing within 10 s; nothing was changed", "hint: "]);
    assert!(!folder.has(REQUEST), "it is taken back");
    run.signal(Signal::CONT);
    let was = &told(&folder, &["-c", "150"])["was"];
    assert_eq!(was["limit"], 2);
    run.wait().assert_code(0);
    assert_all_ok(&folder.rows("out.jsonl"), ITEMS);
}

#[test]
fn open_files_bound_what_is_asked_for() {
    let folder = Folder::with("in.txt", items(ITEMS));
    let mut sim = Simulator::slow("200ms");
    let line = format!(
        "ulimit -n 128; exec \"$FOREBAY\" run in.txt -o out.jsonl -c 2 -m gpt-4o-mini \
         --provider openai --base-url http://127.0.0.1:{}/v1 --progress none",
        sim.port()
    );
    let run = folder.shell(&line).env("OPENAI_API_KEY", "any-key").start();
    sim.wait_for_answers(1);
    let answer = told(&folder, &["-c", "1000"]);
    assert_eq!(answer["now"]["limit"], 64);
    let note = answer["note"].as_str().unwrap();
    assert!(note.contains("may open 128 files"), "{note}");
    run.wait().assert_code(0);
    assert_all_ok(&folder.rows("out.jsonl"), ITEMS);
}
