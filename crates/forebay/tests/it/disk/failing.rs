//! Every operation failing once, and for good.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use forebay::event::{StopReason, Summary};
use forebay::journal::Durability;

use super::crash::Model;
use super::faulty::{Fault, FaultyDisk, Kind, Op, sound};
use super::session::{
    Ended, ITEMS, LATENCY, Setup, answered, assert_complete, done_items, files_in, new_folder,
    sent, session,
};

const JOURNAL: &str = "out.jsonl.journal";

/// What a session that met a fault left behind.
struct Met {
    ended: Ended,
    wall: Duration,
}

/// Runs with these faults and checks what holds whatever they are; `None` when none was met.
async fn meet(setup: Setup, faults: &[Fault]) -> Option<Met> {
    let what = format!("{setup:?} {faults:?}");
    let folder = new_folder();
    let path = folder.path();
    let disk = FaultyDisk::new(path, faults);
    let sim = setup.sim();
    let began = tokio::time::Instant::now();
    let ended = session(path, Arc::new(disk.clone()), &sim, setup).await;
    let wall = began.elapsed();
    if disk.hits() == 0 {
        assert_complete(path, &answered(&[&sim]), setup, &what);
        return None;
    }
    let ops = disk.ops();
    assert_no_sync_after_a_failed_one(&ops, &what);
    let mut model = Model::default();
    let mut synced = vec![0];
    for op in &ops {
        model.apply(op);
        if matches!(op, Op::Sync { ok: true, .. }) {
            synced.push(done_items(&model.durable(JOURNAL)).len() as u64);
        }
    }
    let left = files_in(path);
    let journal = left.get(JOURNAL).cloned().unwrap_or_default();
    let cut_fails = faults.iter().any(|fault| fault.kind == Kind::SetLen);
    assert!(
        journal.is_empty() || journal.ends_with(b"\n") || cut_fails,
        "{what}: half a record at the end"
    );
    let safe = match setup.durability {
        Durability::Process => done_items(&journal),
        Durability::Fsync => done_items(&model.durable(JOURNAL)),
    };
    // What was written while a sync was under way may be on the disk without anybody's knowing.
    let known = match setup.durability {
        Durability::Process => safe.len() as u64,
        Durability::Fsync => synced[synced.len().saturating_sub(2)],
    };
    // A complete run has thrown its rows' records away.
    let finished = String::from_utf8_lossy(&journal).contains(r#"{"t":"finished""#);
    if let Ended::Ran(summary, _) = &ended
        && !finished
    {
        assert_adds_up(summary, known..=safe.len() as u64, &what);
    }
    let next = setup.sim();
    let again = session(path, sound(path), &next, setup).await;
    assert!(!matches!(again, Ended::Refused(_)), "{what}: {again:?}");
    let sent = sent(&next);
    assert!(sent.is_disjoint(&safe), "{what}: sent again: {sent:?}");
    assert_complete(path, &answered(&[&sim, &next]), setup, &what);
    Some(Met { ended, wall })
}

/// I6: the numbers say what is so.
#[track_caller]
fn assert_adds_up(summary: &Summary, safe: RangeInclusive<u64>, what: &str) {
    let Summary {
        ok,
        failed,
        pending,
        items,
        ..
    } = summary;
    assert_eq!(ok + failed + pending, *items, "{what}: {summary:?}");
    assert!(
        safe.contains(&(ok + failed)),
        "{what}: {safe:?} {summary:?}"
    );
}

fn assert_no_sync_after_a_failed_one(ops: &[Op], what: &str) {
    let mut failed = HashSet::new();
    for op in ops {
        if let Op::Sync { inode, ok } = op {
            assert!(
                !failed.contains(inode),
                "{what}: synced again after a failure"
            );
            if !ok {
                failed.insert(*inode);
            }
        }
    }
}

/// Makes the nth operation of a kind fail for every n, until there is no nth.
async fn each_nth(setup: Setup, fault: Fault, mut check: impl FnMut(&Met, usize)) -> usize {
    for nth in 1.. {
        let fault = Fault { nth, ..fault };
        match meet(setup, &[fault]).await {
            Some(met) => check(&met, nth),
            None => return nth - 1,
        }
    }
    0
}

fn fault(kind: Kind, errno: i32) -> Fault {
    Fault {
        kind,
        nth: 0,
        lasting: false,
        half: false,
        errno,
    }
}

/// Whether the run says that a file failed; not being stopped is fine when the fault came
/// after the engine.
fn said_so(met: &Met) -> bool {
    match &met.ended {
        Ended::Refused(message) => message.contains("os error"),
        Ended::Complete => false,
        Ended::Ran(summary, None) => {
            matches!(&summary.stopped, Some(StopReason::Io { message }) if message.contains("os error"))
        }
        Ended::Ran(summary, Some(message)) => {
            summary.stopped.is_none() && summary.pending == 0 && message.contains("os error")
        }
    }
}

/// Whether the run went through all the same: space came back while it waited, or only its
/// journal could not be thrown away.
fn is_whole(met: &Met) -> bool {
    matches!(&met.ended, Ended::Ran(summary, None)
        if summary.stopped.is_none() && summary.ok + summary.failed == ITEMS as u64)
}

async fn writes_that_fail(durability: Durability) {
    for setup in Setup::all(durability) {
        for errno in [libc::ENOSPC, libc::EDQUOT, libc::EIO, libc::EFBIG] {
            for (lasting, half) in [(false, false), (true, false), (false, true), (true, true)] {
                if (half || !lasting) && [libc::EDQUOT, libc::EFBIG].contains(&errno) {
                    // These differ from the other two by their name only.
                    continue;
                }
                let fault = Fault {
                    lasting,
                    half,
                    ..fault(Kind::Write, errno)
                };
                let passes = [libc::ENOSPC, libc::EDQUOT].contains(&errno);
                let n = each_nth(setup, fault, |met, nth| {
                    let what = format!("{setup:?} {fault:?} {nth}");
                    assert!(said_so(met) || is_whole(met), "{what}: {:?}", met.ended);
                    let Ended::Ran(summary, None) = &met.ended else {
                        return;
                    };
                    let waited = met.wall >= Duration::from_secs(9);
                    let all_fail = lasting && summary.stopped.is_some();
                    assert_eq!(waited, all_fail && passes, "{what}: {:?}", met.wall);
                    assert!(met.wall < Duration::from_secs(9) + 12 * LATENCY, "{what}");
                })
                .await;
                assert!(n >= 6, "{setup:?}: only {n} writes");
            }
        }
    }
}

/// Faults 43, 44: stops sending, finishes what is in flight, waits about ten seconds for space,
/// and leaves files that end with a whole record; no other fault is waited for.
#[tokio::test(start_paused = true)]
async fn each_write_fails() {
    writes_that_fail(Durability::Process).await;
}

/// Faults 43, 44: the same when rows are let out only after a sync.
#[tokio::test(start_paused = true)]
async fn each_write_fails_with_syncs() {
    writes_that_fail(Durability::Fsync).await;
}

/// Fault 44: stops at a failed sync, never asks again, counts what may be lost as pending, and
/// writes it anew when it goes on.
#[tokio::test(start_paused = true)]
async fn each_sync_fails() {
    for durability in [Durability::Process, Durability::Fsync] {
        for setup in Setup::all(durability) {
            for (lasting, errno) in [(false, libc::EIO), (true, libc::EIO), (false, libc::ENOSPC)] {
                let fault = Fault {
                    lasting,
                    ..fault(Kind::Sync, errno)
                };
                let n = each_nth(setup, fault, |met, nth| {
                    assert!(
                        said_so(met) || is_whole(met),
                        "{setup:?} {nth}: {:?}",
                        met.ended
                    );
                    assert!(met.wall < 12 * LATENCY, "{setup:?}: {:?}", met.wall);
                })
                .await;
                let fewest = match durability {
                    Durability::Process => 2,
                    Durability::Fsync => 6,
                };
                assert!(n >= fewest, "{setup:?}: only {n} syncs");
            }
        }
    }
}

/// Faults 43, 44: says so when a file cannot be made, opened, renamed or removed, or a folder
/// not synced; what was there before stays whole.
#[tokio::test(start_paused = true)]
async fn everything_else_fails() {
    let kinds = [
        Kind::Open,
        Kind::Temporary,
        Kind::Rename,
        Kind::Remove,
        Kind::SyncFolder,
    ];
    for durability in [Durability::Process, Durability::Fsync] {
        for setup in Setup::all(durability) {
            for kind in kinds {
                for lasting in [false, true] {
                    let fault = Fault {
                        lasting,
                        ..fault(kind, libc::EIO)
                    };
                    each_nth(setup, fault, |met, nth| {
                        assert!(
                            said_so(met) || is_whole(met),
                            "{setup:?} {fault:?} {nth}: {:?}",
                            met.ended
                        );
                    })
                    .await;
                }
            }
        }
    }
}

/// Fault 44: half a record that could not be cut off is cut off before the next one.
#[tokio::test(start_paused = true)]
async fn each_write_is_torn_and_cannot_be_cut_at_first() {
    for durability in [Durability::Process, Durability::Fsync] {
        for setup in Setup::all(durability) {
            for lasting in [false, true] {
                for nth in 1..100 {
                    let write = Fault {
                        nth,
                        half: true,
                        ..fault(Kind::Write, libc::ENOSPC)
                    };
                    let cut = Fault {
                        nth: 1,
                        lasting,
                        ..fault(Kind::SetLen, libc::EIO)
                    };
                    if meet(setup, &[write, cut]).await.is_none() {
                        assert!(nth > 6, "only {nth} writes");
                        break;
                    }
                }
            }
        }
    }
}
