//! Killed at any moment, no row is lost, doubled or paid for again.
//!
//! The simulator's log is the judge: what it received, in which session, against what the
//! journal held when the session was killed. A session's requests are told by their
//! connections, so that those that reach the simulator after the kill are counted too.
//!
//! An output has a life: killed a few times, then left to finish. Its seed says which order,
//! durability and size it has and at which moments it is killed, and is printed:
//!
//! ```sh
//! FOREBAY_KILLS=1000 cargo test --release -p forebay-cli --test it kill::
//! FOREBAY_KILL_SEED=17 cargo test --release -p forebay-cli --test it kill:: -- --nocapture
//! ```

use std::collections::{HashMap, HashSet};
use std::fs;

use forebay_sim::check::Bounds;
use serde_json::Value;

use crate::harness::{Folder, Forebay, Running, assert_all_ok, in_input_order, items};
use crate::judge::usual;
use crate::simulator::{Record, Simulator, events};

/// Attempts in flight.
const CONCURRENCY: usize = 8;
/// Two orders with two durabilities each.
const KINDS: u64 = 4;
/// Kills of a usual test run, all kinds together.
const USUAL_KILLS: u64 = 24;

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

/// Whether the journal says that the run is complete: its rows are no longer in it then.
fn is_finished(folder: &Folder) -> bool {
    fs::read_to_string(folder.path("out.jsonl.journal"))
        .is_ok_and(|journal| journal.contains(r#"{"t":"finished","#))
}

/// When a session is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// As soon as it was started.
    AtOnce,
    /// When its first request has arrived.
    FirstRequest,
    /// When its journal has grown by this many bytes.
    Journal(u64),
    /// When a file is about to be put in place, the first or a later one.
    Placing(usize),
}

impl Moment {
    /// A moment in a session that has this many items to do.
    fn any(rng: &mut fastrand::Rng, left: usize) -> Moment {
        // About what an item takes up in the journal: two records.
        const BYTES_PER_ITEM: usize = 450;
        let most = left.max(1) * BYTES_PER_ITEM;
        match rng.u8(..10) {
            0 => Moment::AtOnce,
            1 if left > 0 => Moment::FirstRequest,
            2 => Moment::Placing(rng.usize(0..3)),
            3 => Moment::Journal(rng.u64(1..=most as u64)),
            _ => Moment::Journal(rng.u64(1..=most.div_ceil(6) as u64)),
        }
    }

    /// Starts a session and waits for the moment, or until the session ends by itself.
    fn start(self, run: Forebay, sim: &mut Simulator, folder: &Folder) -> Running {
        let size = || fs::metadata(folder.path("out.jsonl.journal")).map_or(0, |file| file.len());
        let (before, requests) = match self {
            Moment::FirstRequest => (0, events(&sim.records(), "request")),
            Moment::AtOnce | Moment::Journal(_) | Moment::Placing(_) => (size(), 0),
        };
        let mut run = run.start();
        match self {
            Moment::AtOnce => {}
            Moment::FirstRequest => sim.wait_for_requests(requests + 1),
            Moment::Journal(bytes) => {
                while size() < before + bytes && !run.has_ended() {
                    std::thread::yield_now();
                }
            }
            Moment::Placing(nth) => {
                let mut seen = HashSet::new();
                while seen.len() <= nth && !run.has_ended() {
                    let names = folder.names().into_iter();
                    seen.extend(names.filter(|name| name.starts_with(".forebay-")));
                }
            }
        }
        run
    }
}

/// Lives the life of a seed; returns how often it was killed.
fn live(seed: u64, most: usize) -> usize {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (order, durability) = kind_of(seed);
    let n = rng.usize(30..=120);
    let kills = rng.usize(1..=12).min(most);
    eprintln!("seed {seed}: {order}, {durability}, {n} items, {kills} kills");
    // The checker needs the journal; without it, a kill may hit its replacement.
    let keep = rng.bool();
    let folder = Folder::with("in.txt", items(n));
    let mut sim = Simulator::slow("10ms");
    let in_flight = CONCURRENCY.to_string();
    let flags = [
        "--order",
        order,
        "--durability",
        durability,
        "-c",
        &in_flight,
    ];
    let mut arguments = [&["in.txt", "-o", "out.jsonl", "-q"][..], &flags].concat();
    if keep {
        arguments.push("--keep-journal");
    }
    let mut sessions: Vec<Killed> = Vec::new();
    while sessions.len() < kills && !is_finished(&folder) {
        let left = n - sessions.last().map_or(0, |session| session.done.len());
        let moment = Moment::any(&mut rng, left);
        let run = sim.run(&folder, &arguments);
        let run = moment.start(run, &mut sim, &folder);
        if !run.kill() {
            break;
        }
        let done = match is_finished(&folder) {
            true => (0..n).map(|n| format!("item {n}")).collect(),
            false => done_items(&folder),
        };
        eprintln!("seed {seed}: killed at {moment:?} with {} rows", done.len());
        sessions.push(Killed {
            mark: sim.mark(),
            done,
        });
    }
    sim.run(&folder, &arguments).ends(0);
    assert_all_ok(&in_input_order(folder.rows("out.jsonl")), n);
    if order == "input" {
        assert_all_ok(&folder.rows("out.jsonl"), n);
    }
    let left = folder.names();
    assert_eq!(left, ["in.txt", "out.jsonl", "out.jsonl.journal"]);
    judge(&sessions, &sim.records(), n);
    if keep {
        let bounds = Bounds {
            items: Some(n as u64),
            max_in_flight: Some(CONCURRENCY as u64),
            exit_code: Some(0),
            ..usual()
        };
        crate::judge::judge(&folder, &mut [&mut sim], "out.jsonl", &bounds);
    }
    sessions.len()
}

/// The order and the durability of a seed's life.
fn kind_of(seed: u64) -> (&'static str, &'static str) {
    match seed % KINDS {
        0 => ("input", "process"),
        1 => ("completed", "process"),
        2 => ("input", "fsync"),
        _ => ("completed", "fsync"),
    }
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

/// Lives lives of one kind until there were enough kills, or the one that is asked for.
fn kill_again_and_again(kind: u64) {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text: String| text.parse().unwrap())
    };
    if let Some(seed) = number("FOREBAY_KILL_SEED") {
        if seed % KINDS == kind {
            live(seed, usize::MAX);
        }
        return;
    }
    let kills = number("FOREBAY_KILLS")
        .unwrap_or(USUAL_KILLS)
        .div_ceil(KINDS);
    let (mut killed, mut seed) = (0, kind);
    while killed < kills {
        killed += live(seed, (kills - killed) as usize) as u64;
        seed += KINDS;
    }
}

/// Fault 48: killed at any moment, goes on with every row that was recorded, sends no such row
/// again, and ends with one row for each item.
#[test]
fn kill_9_in_input_order() {
    kill_again_and_again(0);
}

/// Fault 48: the same in the order of completion.
#[test]
fn kill_9_in_the_order_of_completion() {
    kill_again_and_again(1);
}

/// Fault 48: the same in input order with syncs.
#[test]
fn kill_9_with_syncs_in_input_order() {
    kill_again_and_again(2);
}

/// Fault 48: the same in the order of completion with syncs.
#[test]
fn kill_9_with_syncs_in_the_order_of_completion() {
    kill_again_and_again(3);
}
