//! Killed at any moment, no row is lost, doubled or paid for again.
//!
//! The simulator's log is the judge: what it received, in which session, against what the
//! journal held when the session was killed. A session's requests are told by their
//! connections, so that those that reach the simulator after the kill are counted too.
//!
//! `FOREBAY_KILLS=30 cargo test -p forebay-cli --test it kill` kills thirty times in 2,000 rows.

use std::collections::{HashMap, HashSet};
use std::fs;

use forebay_sim::check::Bounds;
use serde_json::Value;

use crate::harness::{Folder, assert_all_ok, in_input_order, items};
use crate::judge::usual;
use crate::simulator::{Record, Simulator, events};

/// Attempts in flight.
const CONCURRENCY: usize = 8;

/// What was known when a session was killed.
struct Killed {
    /// The connection of the mark that came after it.
    mark: u64,
    /// The items of which the journal had a `done` record.
    done: HashSet<String>,
}

/// The items of which the journal beside `out.jsonl` has a whole `done` record.
pub(crate) fn done_items(folder: &Folder) -> HashSet<String> {
    // A kill may come before there is a journal, and may tear its last line.
    let journal = fs::read_to_string(folder.path("out.jsonl.journal")).unwrap_or_default();
    let whole = journal.rfind('\n').map_or("", |end| &journal[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["t"] == "done")
        .map(|record| format!("item {}", record["i"]))
        .collect()
}

/// Kills a run of `n` items again and again, lets it finish, and judges it.
fn kill_loop(kills: usize, n: usize, order: &str, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let folder = Folder::with("in.txt", items(n));
    let mut sim = Simulator::slow("20ms");
    let in_flight = CONCURRENCY.to_string();
    let arguments = [
        "in.txt",
        "-o",
        "out.jsonl",
        "-q",
        "--keep-journal",
        "--order",
        order,
        "-c",
        &in_flight,
    ];
    let mut sessions: Vec<Killed> = Vec::new();
    let mut while_running = 0;
    while sessions.len() < kills {
        let done = sessions.last().map_or(0, |session| session.done.len());
        let share = (n - done) / (kills - sessions.len() + 1);
        let answers = rng.usize(0..=share);
        let before = sim.records();
        let run = sim.run(&folder, &arguments).start();
        match answers {
            0 => sim.wait_for_requests(events(&before, "request") + 1),
            more => sim.wait_for_answers(events(&before, "answer") + more),
        }
        while_running += usize::from(run.kill());
        sessions.push(Killed {
            mark: sim.mark(),
            done: done_items(&folder),
        });
    }
    sim.run(&folder, &arguments).ends(0);
    assert_eq!(while_running, kills, "all kills must hit a living run");
    assert_all_ok(&in_input_order(folder.rows("out.jsonl")), n);
    if order == "input" {
        assert_all_ok(&folder.rows("out.jsonl"), n);
    }
    judge(&sessions, &sim.records(), n);
    let bounds = Bounds {
        items: Some(n as u64),
        max_in_flight: Some(CONCURRENCY as u64),
        exit_code: Some(0),
        ..usual()
    };
    crate::judge::judge(&folder, &mut [&mut sim], "out.jsonl", &bounds);
}

fn judge(sessions: &[Killed], records: &[Record], n: usize) {
    let mut unfinished = 0;
    let mut after = 0;
    for (number, session) in sessions.iter().enumerate() {
        let its = prompts(records, after, session.mark);
        let open: Vec<_> = its
            .iter()
            .filter(|item| !session.done.contains(**item))
            .collect();
        assert!(
            open.len() <= CONCURRENCY,
            "session {number} had {} requests without a record: {open:?}",
            open.len()
        );
        unfinished += open.len();
        for item in prompts(records, session.mark, u64::MAX) {
            assert!(
                !session.done.contains(item),
                "{item} was done in session {number} and was sent again"
            );
        }
        after = session.mark;
    }
    let all = prompts(records, 0, u64::MAX);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for item in &all {
        *counts.entry(item).or_default() += 1;
    }
    assert_eq!(counts.len(), n, "every item was sent");
    let extra = all.len() - n;
    assert!(
        extra <= unfinished,
        "{extra} extra requests, {unfinished} were in flight at the kills"
    );
}

/// The prompts of the requests that came over the connections between two marks.
fn prompts(records: &[Record], after: u64, before: u64) -> Vec<&str> {
    records
        .iter()
        .filter(|record| record.connection > after && record.connection < before)
        .filter_map(|record| record.prompt.as_deref())
        .collect()
}

/// The number of kills that is asked for, and the rows that go with it.
fn size() -> (usize, usize) {
    const USUAL: usize = 6;
    let kills = std::env::var("FOREBAY_KILLS").map_or(USUAL, |text| text.parse().unwrap());
    (kills, if kills > USUAL { 2_000 } else { 400 })
}

#[test]
fn kill_9_in_input_order() {
    let (kills, n) = size();
    kill_loop(kills, n, "input", 1);
}

#[test]
fn kill_9_in_the_order_of_completion() {
    let (kills, n) = size();
    kill_loop(kills, n, "completed", 2);
}
