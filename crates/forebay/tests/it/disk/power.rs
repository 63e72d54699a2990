//! A power cut after every operation.

use std::collections::HashSet;
use std::sync::Arc;

use forebay::journal::Durability;
use forebay_sim::Sim;

use super::crash::{Files, Model};
use super::faulty::{Fault, FaultyDisk, Kind, Op, sound};
use super::session::{
    Ended, Order, Setup, answered, assert_complete, done_items, files_in, folder_with, new_folder,
    row_items, sent, session,
};

const OUTPUT: &str = "out.jsonl";
const JOURNAL: &str = "out.jsonl.journal";

/// A disk after a session, and everything that was done to it.
struct Noted {
    before: Model,
    ops: Vec<Op>,
    sim: Sim,
    ended: Ended,
}

/// A session that begins with these files on the disk.
async fn noted(setup: Setup, files: &Files, faults: &[Fault], sim: Sim) -> Noted {
    let folder = folder_with(files);
    let disk = FaultyDisk::new(folder.path(), faults);
    let before = Model::new(files, &disk.lock_names());
    let ended = session(folder.path(), Arc::new(disk.clone()), &sim, setup).await;
    Noted {
        before,
        ops: disk.ops(),
        sim,
        ended,
    }
}

/// Goes on from every state that a power cut after any operation may leave; returns how many
/// there were. `promised` tells from what had been let out what must not be sent again.
async fn cut_everywhere(setup: Setup, noted: &Noted) -> usize {
    let mut model = noted.before.clone();
    let (mut seen, mut states) = (HashSet::new(), 0);
    let mut let_out = Vec::new();
    let answered = answered(&[&noted.sim]);
    for (n, op) in noted.ops.iter().enumerate() {
        model.apply(op);
        if let Op::Write { bytes, .. } = op
            && !bytes.starts_with(b"{\"t\":")
        {
            let_out.extend_from_slice(bytes);
        }
        let promised = match setup.durability {
            Durability::Process => done_items(&model.durable(JOURNAL)),
            Durability::Fsync => row_items(&let_out),
        };
        for files in model.states(&mut seen) {
            states += 1;
            let what = format!(
                "{setup:?}: power cut after operation {n}, {op:?}, left {}",
                shown(&files)
            );
            let folder = folder_with(&files);
            let sim = setup.sim();
            let again = session(folder.path(), sound(folder.path()), &sim, setup).await;
            assert!(!matches!(again, Ended::Refused(_)), "{what}: {again:?}");
            let sent = sent(&sim);
            assert!(
                sent.is_disjoint(&promised),
                "{what}: sent {sent:?} again of {promised:?}"
            );
            let answered = &answered | &super::session::answered(&[&sim]);
            assert_complete(folder.path(), &answered, setup, &what);
            let names: Vec<_> = files_in(folder.path()).into_keys().collect();
            let litter = names.iter().filter(|name| !name.starts_with(OUTPUT));
            assert_eq!(litter.count(), 0, "{what}: left behind: {names:?}");
        }
    }
    states
}

fn shown(files: &Files) -> String {
    let shown = files
        .iter()
        .map(|(name, content)| format!("--- {name}\n{}", String::from_utf8_lossy(content)));
    shown.collect::<Vec<_>>().join("\n")
}

async fn cut_a_first_session(durability: Durability, order: Order) {
    for setup in Setup::all(durability).filter(|setup| setup.order == order) {
        let noted = noted(setup, &Files::new(), &[], setup.sim()).await;
        assert!(matches!(&noted.ended, Ended::Ran(summary, None) if summary.stopped.is_none()));
        let states = cut_everywhere(setup, &noted).await;

        assert!(states > 60, "{setup:?}: only {states} states");
    }
}

/// Fault 48: after a power cut at any moment, whatever the disk forgot of what was not synced,
/// goes on and completes the output; with `--durability fsync` no row that was let out is sent
/// again.
#[tokio::test(start_paused = true)]
async fn a_power_cut_with_syncs_in_input_order() {
    cut_a_first_session(Durability::Fsync, Order::Input).await;
}

/// Fault 48: the same in the order of completion.
#[tokio::test(start_paused = true)]
async fn a_power_cut_with_syncs_in_the_order_of_completion() {
    cut_a_first_session(Durability::Fsync, Order::Completed).await;
}

/// Fault 48: without syncs, a power cut costs rows that are sent again, and never a wrong or
/// incomplete output.
#[tokio::test(start_paused = true)]
async fn a_power_cut_without_syncs_in_input_order() {
    cut_a_first_session(Durability::Process, Order::Input).await;
}

/// Fault 48: the same in the order of completion.
#[tokio::test(start_paused = true)]
async fn a_power_cut_without_syncs_in_the_order_of_completion() {
    cut_a_first_session(Durability::Process, Order::Completed).await;
}

/// Faults 44, 48: what a failed sync left in memory is written anew before it counts, so that
/// a power cut during the next session takes nothing that was let out.
#[tokio::test(start_paused = true)]
async fn a_power_cut_in_the_session_after_a_failed_sync() {
    for setup in Setup::all(Durability::Fsync).filter(|setup| !setup.one_fails) {
        let fault = Fault {
            kind: Kind::Sync,
            nth: 3,
            lasting: false,
            half: false,
            errno: libc::EIO,
        };
        let first = noted_in_place(setup, &[fault]).await;
        let states = cut_everywhere(setup, &first).await;
        assert!(states > 20, "{setup:?}: only {states} states");
    }
}

/// A session that meets a fault, and the next one on the same disk, noted together.
async fn noted_in_place(setup: Setup, faults: &[Fault]) -> Noted {
    let folder = new_folder();
    let disk = FaultyDisk::new(folder.path(), faults);
    let sim = setup.sim();
    for session_number in 1..=2 {
        let ended = session(folder.path(), Arc::new(disk.clone()), &sim, setup).await;
        let Ended::Ran(summary, None) = &ended else {
            panic!("{ended:?}")
        };
        assert_eq!(
            summary.stopped.is_some(),
            session_number == 1,
            "{summary:?}"
        );
        if session_number == 2 {
            assert!(summary.kept.0 > 0);
            return Noted {
                before: Model::default(),
                ops: disk.ops(),
                sim,
                ended,
            };
        }
    }
    unreachable!()
}

/// Fault 48: the output is the old one or the new one, each of them whole, and the new one is
/// on the disk before it has its name.
#[tokio::test(start_paused = true)]
async fn an_output_is_replaced_in_one_piece() {
    let setup = Setup {
        order: Order::Input,
        durability: Durability::Process,
        one_fails: true,
    };
    let folder = new_folder();
    session(folder.path(), sound(folder.path()), &setup.sim(), setup).await;
    let mut files = files_in(folder.path());
    let new = files[OUTPUT].clone();
    let old = b"{\"text\":\"an earlier output\"}\n".to_vec();
    files.insert(OUTPUT.into(), old.clone());
    let noted = noted(setup, &files, &[], setup.sim()).await;
    let mut model = noted.before;
    let (mut olds, mut news) = (0, 0);
    let mut seen = HashSet::new();
    for op in &noted.ops {
        model.apply(op);
        for files in model.states(&mut seen) {
            match &files[OUTPUT] {
                output if *output == old => olds += 1,
                output if *output == new => news += 1,
                output => panic!("half an output: {}", String::from_utf8_lossy(output)),
            }
        }
    }
    assert!(olds > 0 && news > 0, "{olds} old, {news} new");
    assert_eq!(model.durable(OUTPUT), new, "the name is durable in the end");
}

/// Fault 48: damage in the middle is counted and costs the rows that it hit, also when it hit
/// the first record.
#[tokio::test(start_paused = true)]
async fn damage_anywhere_costs_that_row_only() {
    let setup = Setup {
        order: Order::Completed,
        durability: Durability::Process,
        one_fails: true,
    };
    let folder = new_folder();
    let sim = setup.sim();
    session(folder.path(), sound(folder.path()), &sim, setup).await;
    let whole = files_in(folder.path());
    let ends: Vec<usize> = memchr_newlines(&whole[JOURNAL]);
    for (n, end) in ends.iter().enumerate() {
        let start = if n == 0 { 0 } else { ends[n - 1] };
        let mut files = whole.clone();
        let journal = files.get_mut(JOURNAL).unwrap();
        let hit = done_items(&journal[start..*end]);
        journal[(start + end) / 2] ^= 1;
        let folder = folder_with(&files);
        let next = setup.sim();
        let again = session(folder.path(), sound(folder.path()), &next, setup).await;
        assert!(
            matches!(again, Ended::Ran(_, None)),
            "record {n}: {again:?}"
        );
        assert_eq!(sent(&next), hit, "record {n}");
        let answered = answered(&[&sim, &next]);
        assert_complete(folder.path(), &answered, setup, &format!("record {n}"));
    }
}

/// Where the lines of a text end.
fn memchr_newlines(text: &[u8]) -> Vec<usize> {
    let ends = text.iter().enumerate();
    ends.filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1)
        .collect()
}
