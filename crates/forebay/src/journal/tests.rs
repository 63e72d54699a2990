//! Journals across sessions, torn ends, and other people's files.

use super::*;
use crate::outcome::Usage;

fn settings(model: &str) -> Settings {
    vec![
        ("model".into(), model.into()),
        ("prompt".into(), format!("hash:{model}")),
    ]
}

fn options(path: &Path) -> OpenOptionsForRun {
    OpenOptionsForRun {
        path: path.to_owned(),
        settings: settings("m"),
        fresh: false,
        retry_failed: false,
        durability: Durability::Process,
    }
}

fn open(path: &Path) -> Journal {
    let mut journal = Journal::open(options(path)).unwrap();
    journal.begin(&settings("m"));
    journal
}

fn done(journal: &mut Journal, n: u64, failure: Option<FailureKind>) {
    journal
        .done(&Done {
            key: Key(n.into()),
            index: n,
            custom_id: None,
            fields: 1,
            failure,
            bill: Bill {
                usage: Some(Usage {
                    input_tokens: 3,
                    output_tokens: 2,
                    ..Usage::default()
                }),
                cost: Some(Usd::from_picos(5)),
                ..Bill::default()
            },
            asked: None,
            was: None,
            recalled: false,
            along: false,
            body: format!(r#"{{"text":"t{n}","output":"o{n}"}}"#).as_bytes(),
        })
        .unwrap();
}

fn kept(index: u64, fields: &str, fields_hash: u32) -> KeptItem<'_> {
    KeptItem {
        index,
        custom_id: None,
        fields,
        fields_hash,
    }
}

/// The first attempt of an item.
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

fn row_of(journal: &mut Journal, index: u64) -> String {
    let mut lookup = journal.lookup().unwrap();
    let mut row = None;
    journal
        .offsets()
        .for_each(|at, offset| {
            if at == index {
                row = Some(lookup.record(offset)?.body().to_owned());
            }
            Ok::<_, io::Error>(())
        })
        .unwrap();
    row.unwrap()
}

#[test]
fn finished_rows_are_found_again_and_totals_add_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let mut journal = open(&path);
    for n in 0..3 {
        journal.sent(&first(n), None);
    }
    done(&mut journal, 0, None);
    done(&mut journal, 1, Some(FailureKind::BadRequest));
    journal.flush().unwrap();
    drop(journal);

    let mut journal = Journal::open(options(&path)).unwrap();
    let total = journal.history().total();
    assert_eq!((total.ok, total.failed_count(), total.attempts), (1, 1, 3));
    assert_eq!(total.maybe_billed, 1, "sent and never finished");
    assert_eq!(
        (total.usage.input_tokens, total.cost),
        (6, Usd::from_picos(10))
    );
    let entry = journal.take(Key(0), 1, false).unwrap().unwrap();
    journal.keep(entry, &kept(9, r#""text":"t0""#, 1)).unwrap();
    assert_eq!(row_of(&mut journal, 9), r#"{"text":"t0","output":"o0"}"#);
    assert!(!journal.take(Key(1), 1, false).unwrap().unwrap().ok);
    assert_eq!(journal.take(Key(2), 1, false).unwrap(), None);
}

#[test]
fn an_answer_from_earlier_ends_no_attempt_of_the_same_request() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let mut journal = open(&path);
    journal.sent(&first(7), Some(Usd::from_picos(9)));
    journal
        .done(&Done {
            key: Key(7),
            index: 8,
            custom_id: None,
            fields: 1,
            failure: None,
            bill: Bill::default(),
            asked: None,
            was: None,
            recalled: true,
            along: false,
            body: b"{}",
        })
        .unwrap();
    journal.flush().unwrap();
    drop(journal);
    let total = Journal::open(options(&path)).unwrap().history().total();
    assert_eq!((total.ok, total.maybe_billed), (1, 1));
    assert_eq!(total.at_risk, Usd::from_picos(9));
}

#[test]
fn a_row_whose_other_fields_changed_is_kept_with_the_new_ones() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let mut journal = open(&path);
    done(&mut journal, 0, None);
    journal.flush().unwrap();
    drop(journal);
    let mut journal = open(&path);
    let entry = journal.take(Key(0), 2, false).unwrap().unwrap();
    journal.keep(entry, &kept(0, r#""text":"new""#, 2)).unwrap();
    journal.flush().unwrap();
    assert_eq!(row_of(&mut journal, 0), r#"{"text":"new","output":"o0"}"#);
    drop(journal);
    let mut journal = Journal::open(options(&path)).unwrap();
    assert_eq!(journal.history().total().ok, 1);
    assert_eq!(journal.take(Key(0), 2, false).unwrap().unwrap().fields, 2);
}

#[test]
fn retried_failures_replace_each_other_in_the_totals() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let mut journal = open(&path);
    done(&mut journal, 0, Some(FailureKind::ServerError));
    journal.flush().unwrap();
    drop(journal);
    let again = OpenOptionsForRun {
        retry_failed: true,
        ..options(&path)
    };
    let mut journal = Journal::open(again).unwrap();
    journal.begin(&settings("m"));
    assert_eq!(journal.take(Key(0), 1, false).unwrap(), None);
    let was = journal.take_failed(Key(0), 1).unwrap();
    assert_eq!(was.as_deref(), Some("server_error"));
    journal
        .done(&Done {
            key: Key(0),
            index: 0,
            custom_id: None,
            fields: 1,
            failure: None,
            bill: Bill::default(),
            asked: None,
            was: was.as_deref(),
            recalled: false,
            along: false,
            body: b"{}",
        })
        .unwrap();
    journal.flush().unwrap();
    drop(journal);
    let journal = Journal::open(options(&path)).unwrap();
    let total = journal.history().total();
    assert_eq!((total.ok, total.failed_count()), (1, 0));
}

#[test]
fn a_growing_output_is_rebuilt_without_the_row_that_was_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let mut journal = open(&path);
    // Two rows of one request, of which the first gets the fields of the second.
    for (index, fields) in [(0, 1), (1, 2)] {
        let body = format!(r#"{{"text":"t{fields}","output":"o{index}"}}"#);
        let row = Done {
            key: Key(7),
            index,
            custom_id: None,
            fields,
            failure: None,
            bill: Bill::default(),
            asked: None,
            was: None,
            recalled: false,
            along: false,
            body: body.as_bytes(),
        };
        journal.done(&row).unwrap();
    }
    journal.flush().unwrap();
    drop(journal);
    let mut journal = open(&path);
    for index in [1, 0] {
        let entry = journal.take(Key(7), 2, true).unwrap().unwrap();
        journal
            .keep(entry, &kept(index, r#""text":"t2""#, 2))
            .unwrap();
    }
    journal.flush().unwrap();
    drop(journal);
    let mut journal = open(&path);
    let output = directory.path().join("out.jsonl");
    crate::sink::rebuild_stream(&mut journal, &output, true, None).unwrap();
    let text = std::fs::read_to_string(&output).unwrap();
    assert_eq!(text.matches(r#""text":"t2""#).count(), 2, "{text}");
    for output in ["o0", "o1"] {
        assert_eq!(text.matches(output).count(), 1, "{text}");
    }
}

#[test]
fn a_journal_cut_at_any_byte_opens_and_loses_only_the_torn_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let mut journal = open(&path);
    for n in 0..3 {
        done(&mut journal, n, None);
    }
    journal.flush().unwrap();
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', &whole)
        .map(|at| at + 1)
        .collect();
    for cut in ends[0]..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let journal = Journal::open(options(&path)).unwrap();
        let records = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(
            journal.history().total().ok,
            records as u64 - 1,
            "cut at {cut}"
        );
        assert_eq!(journal.written() as usize, ends[records - 1]);
        assert_eq!(journal.damaged(), 0);
    }
}

#[test]
fn damage_in_the_middle_costs_that_record_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let mut journal = open(&path);
    for n in 0..3 {
        done(&mut journal, n, None);
    }
    journal.flush().unwrap();
    drop(journal);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(4).position(|w| w == b"\"o1\"").unwrap();
    bytes[at + 1] = b'x';
    std::fs::write(&path, bytes).unwrap();
    let mut journal = Journal::open(options(&path)).unwrap();
    assert_eq!((journal.history().total().ok, journal.damaged()), (2, 1));
    assert!(journal.take(Key(1), 1, false).unwrap().is_none());
    assert!(journal.take(Key(2), 1, false).unwrap().is_some());
}

#[test]
fn another_run_another_file_and_another_process_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let mut journal = open(&path);
    journal.flush().unwrap();
    let error = Journal::open(options(&path)).unwrap_err();
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    drop(journal);

    let other = OpenOptionsForRun {
        settings: settings("n"),
        ..options(&path)
    };
    let error = Journal::open(other.clone()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(r#"model was "m" and is now "n"; prompt differs"#),
        "{text}"
    );
    assert!(error.hint().unwrap().contains("--fresh"));
    assert!(
        Journal::open(OpenOptionsForRun {
            fresh: true,
            ..other
        })
        .is_ok()
    );

    std::fs::write(&path, "{\"text\":\"mine\"}\n").unwrap();
    let error = Journal::open(options(&path)).unwrap_err();
    assert!(error.to_string().contains("not a journal"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"{\"text\":\"mine\"}\n");
}

#[test]
fn a_journal_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    drop(open(&path));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(Journal::open(options(&link)).is_err());
}

#[test]
fn what_was_learnt_last_counts_for_a_day() {
    let now = 1_800_000_000.0;
    let history = |records: &[(f64, u32, &str)]| {
        let mut history = History::default();
        for (age, base_url, data) in records {
            let mut line = Vec::new();
            Line::new(&mut line, "learnt")
                .plain("at", now - age)
                .plain("f", base_url)
                .json("data", data.as_bytes())
                .end();
            let record = record::parse(line.strip_suffix(b"\n").unwrap()).unwrap();
            history.note(&record, now);
        }
        history
    };
    let in_flight = |history: History| history.learnt(7)?.in_flight;
    let old = (86_500.0, 7, r#"{"in_flight":9.0,"refuses":false}"#);
    let first = (7_200.0, 7, r#"{"in_flight":30.5,"refuses":true}"#);
    // Of a later version.
    let second = (3_600.0, 7, r#"{"in_flight":50.0,"mood":"good"}"#);
    assert_eq!(in_flight(history(&[])), None);
    assert_eq!(in_flight(history(&[old])), None);
    assert_eq!(in_flight(history(&[old, first])), Some(30.5));
    assert_eq!(in_flight(history(&[old, first, second])), Some(50.0));
    let elsewhere = (60.0, 8, r#"{"in_flight":2.0}"#);
    assert_eq!(in_flight(history(&[first, elsewhere])), None);
    let unreadable = (60.0, 7, r#"{"in_flight":"many"}"#);
    assert_eq!(in_flight(history(&[first, unreadable])), None);
}
