//! Accounts of journals that were written on purpose.

use super::*;
use std::io::Write as _;

use forebay::journal::{Attempt, Bill, Done, Durability, Journal, Key, OpenOptionsForRun};
use forebay::outcome::{FailureKind, Usage};

fn journal(path: PathBuf) -> Journal {
    let options = OpenOptionsForRun {
        path,
        settings: Vec::new(),
        fresh: false,
        retry_failed: false,
        durability: Durability::Process,
    };
    Journal::open(options).unwrap()
}

fn done(index: u64, failure: Option<FailureKind>) -> Done<'static> {
    Done {
        key: Key(u128::from(index)),
        index,
        custom_id: None,
        fields: 0,
        failure,
        bill: Bill {
            usage: Some(Usage {
                input_tokens: 1000,
                output_tokens: 10,
                ..Usage::default()
            }),
            cost: Usd::from_dollars(0.02),
            ..Bill::default()
        },
        asked: None,
        was: None,
        recalled: false,
        along: false,
        body: b"{}",
    }
}

fn first(index: u64) -> Attempt {
    Attempt {
        key: Key(index.into()),
        index,
        n: 1,
        body: None,
        along: false,
        split: false,
    }
}

fn write_session(journal: &mut Journal) {
    journal.begin(&Vec::new());
    journal.items(5);
    for (index, failure) in [(0, None), (1, Some(FailureKind::BadRequest))] {
        journal.sent(&first(index as u64), None);
        journal.done(&done(index as u64, failure)).unwrap();
    }
    journal.sent(&first(2), None);
    journal.flush().unwrap();
}

/// The text without the folder and the time, which are those of the test.
fn shown(path: &Path, folder: &Path) -> String {
    let text = status(path, false).unwrap();
    let text = text.replace(&format!("{}/", folder.display()), "");
    let Some((head, tail)) = text.split_once("  sessions  ") else {
        return text;
    };
    let (time, tail) = tail.split_once("  ").unwrap();
    assert_eq!((time.len(), &time[10..11], &time[19..]), (20, "T", "Z"));
    format!("{head}  sessions  TIME  {tail}")
}

#[test]
fn a_run_is_told_while_it_writes_and_after_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.jsonl");
    let path = folder.path().join("out.jsonl.journal");
    let mut journal = journal(path.clone());
    write_session(&mut journal);
    let text = shown(&output, folder.path());
    assert!(
        text.starts_with("out.jsonl.journal: a run is writing it now\n"),
        "{text}"
    );
    assert!(text.contains("  sessions  TIME  running  1 ok"), "{text}");
    journal.end("interrupted", 75.0);
    journal.flush().unwrap();
    drop(journal);
    for path in [&output, &path] {
        assert_eq!(
            shown(path, folder.path()),
            "\
out.jsonl.journal: last session: interrupted
  done      1 ok, 1 failed of 5 items
  pending   3
  failed    1 bad_request
  attempts  1 attempt may have been billed without an answer
  tokens    2,000 in, 20 out
  cost      $0.04
  wall      1 min 15 s
  sessions  TIME  interrupted  1 ok  1 failed  $0.04  1 min 15 s
"
        );
    }
    let json: serde_json::Value = serde_json::from_str(&status(&output, true).unwrap()).unwrap();
    assert_eq!(json["pending"], 3);
    assert_eq!(json["writing"], false);
    assert_eq!(json["sessions"][0]["ended"], "interrupted");
}

#[test]
fn a_finished_run_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl.journal");
    let totals = RunTotals {
        items: Some(5),
        ok: 5,
        input_tokens: 7,
        cost_usd: None,
        ..RunTotals::default()
    };
    let data = serde_json::to_string(&totals).unwrap();
    journal(path.clone()).finish(&Vec::new(), &data).unwrap();
    assert_eq!(
        shown(&path, folder.path()),
        "\
out.jsonl.journal: complete
  done      5 ok of 5 items
  tokens    7 in, 0 out
  cost      cost unknown
"
    );
}

#[test]
fn limits_that_were_found_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl.journal");
    let mut journal = journal(path.clone());
    write_session(&mut journal);
    assert!(!shown(&path, folder.path()).contains("  limits  "));
    let learnt = Learnt {
        in_flight: Some(64.7),
        requests_per_s: Some(20.0),
        refuses: true,
    };
    journal.learnt(&learnt, 7);
    journal.flush().unwrap();
    let text = shown(&path, folder.path());
    let line = "  limits    64 in flight, 1,200 rpm (found)\n";
    assert!(text.contains(line), "{text}");
    let json: serde_json::Value = serde_json::from_str(&status(&path, true).unwrap()).unwrap();
    assert_eq!(json["learnt"]["in_flight"], 64);
    assert_eq!(json["learnt"]["rpm"], 1_200.0);
}

#[test]
fn what_is_no_journal_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let error = status(&folder.path().join("x.jsonl"), false).unwrap_err();
    assert!(error.to_string().ends_with("x.jsonl.journal"), "{error}");
    assert!(error.hint().is_some());
    let other = folder.path().join("y.journal");
    File::create(&other).unwrap().write_all(b"hello\n").unwrap();
    let error = status(&other, false).unwrap_err();
    assert!(error.to_string().contains("not a journal"), "{error}");
}
