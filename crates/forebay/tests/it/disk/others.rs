//! What other processes do to the files of a run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay::event::StopReason;
use forebay::journal::{Durability, Journal, OpenOptionsForRun};

use super::faulty::sound;
use super::session::{Ended, LATENCY, Order, Setup, new_folder, session};
use crate::harness::journal_settings;

type Deed = fn(&Path);

fn delete(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

fn rename(path: &Path) {
    std::fs::rename(path, path.with_extension("elsewhere")).unwrap();
}

fn replace(path: &Path) {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).unwrap();
    std::fs::rename(&copy, path).unwrap();
}

fn shorten(path: &Path) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(40).unwrap();
}

fn empty(path: &Path) {
    std::fs::write(path, "").unwrap();
}

fn append(path: &Path) {
    let mut text = std::fs::read(path).unwrap();
    text.extend_from_slice(b"mine\n");
    std::fs::write(path, text).unwrap();
}

const DEEDS: [(Deed, &str); 6] = [
    (delete, "deleted"),
    (rename, "moved"),
    (replace, "replaced"),
    (shorten, "changed by someone else"),
    (empty, "changed by someone else"),
    (append, "changed by someone else"),
];

/// Fault 45: notices within a second, and at the end at the latest, that journal or output was
/// deleted, renamed, replaced, shortened or written by somebody else; stops, and says which.
#[tokio::test(start_paused = true)]
async fn files_that_somebody_meddles_with_stop_the_run() {
    for durability in [Durability::Process, Durability::Fsync] {
        for name in ["out.jsonl.journal", "out.jsonl"] {
            for (deed, word) in DEEDS {
                // In the middle of the run, and after the last look before its end.
                for at in [LATENCY + LATENCY / 2, 4 * LATENCY - LATENCY / 4] {
                    meddle(durability, name, (deed, word), at).await;
                }
            }
        }
    }
}

async fn meddle(durability: Durability, name: &str, (deed, word): (Deed, &str), at: Duration) {
    let setup = Setup {
        order: Order::Completed,
        durability,
        one_fails: false,
    };
    let folder = new_folder();
    let path: PathBuf = folder.path().join(name);
    let meddler = tokio::spawn(async move {
        tokio::time::sleep(at).await;
        deed(&path);
    });
    let ended = session(folder.path(), sound(folder.path()), &setup.sim(), setup).await;
    assert!(meddler.is_finished(), "the run was over before");
    let Ended::Ran(summary, None) = &ended else {
        panic!("{name} {word}: {ended:?}")
    };
    assert!(
        matches!(&summary.stopped, Some(StopReason::Io { message })
            if message.contains(word) && message.contains(name)),
        "{name} {word} after {at:?}: {:?}",
        summary.stopped
    );
}

/// Fault 46: a second process that writes the same output is refused at once, also in the
/// moment in which the first one begins or ends.
#[test]
fn one_process_writes_a_journal() {
    let folder = new_folder();
    let path = folder.path().join("out.jsonl.journal");
    let open = |durability| {
        Journal::open(OpenOptionsForRun {
            path: path.clone(),
            settings: journal_settings(),
            fresh: false,
            retry_failed: false,
            durability,
        })
    };
    for durability in [Durability::Process, Durability::Fsync] {
        let first = open(durability).unwrap();
        for second in [Durability::Process, Durability::Fsync] {
            let error = open(second).unwrap_err();
            assert!(error.to_string().contains("in use"), "{error}");
        }
        first.check().unwrap();
        drop(first);
    }
    // The file that is locked is no longer the one at the path.
    let journal = open(Durability::Process).unwrap();
    journal.finish(&journal_settings(), "{}").unwrap();
    let next = open(Durability::Process).unwrap();
    assert!(next.history().finished.is_some());
    assert!(open(Durability::Process).is_err());
}
