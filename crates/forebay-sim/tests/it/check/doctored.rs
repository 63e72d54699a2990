//! Evidence that was tampered with, at least three ways for each invariant.

use std::time::Duration;

use forebay_sim::check::Bounds;

use super::run::{
    Run, answer, done, dropped, end, failed, failed_row, request, retry, row, sent, session,
    violated,
};

/// It has the shape of a key.
const KEY: &str = concat!("sk-", "proj-0123456789abcdefABCDEF");

/// What is done to a clean run, and the place at which it must be caught.
type Case = (&'static str, fn(&mut Run), &'static str);

/// Checks that each case is caught as a violation of this invariant, at its place.
#[track_caller]
fn caught(invariant: &str, cases: &[Case]) {
    for (name, doctor, place) in cases {
        let mut run = Run::clean();
        doctor(&mut run);
        let report = run.judged();
        assert!(violated(&report).contains(&invariant), "{name}:\n{report}");
        let found = report
            .violations
            .iter()
            .any(|violation| violation.invariant.name() == invariant && violation.place == *place);
        assert!(found, "{name} is not found at {place}:\n{report}");
    }
}

#[test]
fn rows_that_are_lost_doubled_or_changed() {
    caught(
        "I1",
        &[
            ("a row is missing", |run| drop(run.rows.pop()), "out.jsonl"),
            (
                "a row comes twice",
                |run| run.rows.push(run.rows[0].clone()),
                "out.jsonl:7",
            ),
            (
                "an index comes twice",
                |run| run.rows[5] = run.rows[5].replace(r#""index":5"#, r#""index":3"#),
                "out.jsonl:6",
            ),
            (
                "a custom_id comes twice",
                |run| run.rows[5] = run.rows[5].replace("item-5", "item-3"),
                "out.jsonl:6",
            ),
            (
                "an index is skipped",
                |run| run.rows[5] = run.rows[5].replace(r#""index":5"#, r#""index":6"#),
                "out.jsonl",
            ),
            (
                "two answers are exchanged",
                |run| run.rows[0] = run.rows[0].replace("answer 0", "answer 5"),
                "out.jsonl:1",
            ),
            (
                "two rows exchange their places",
                |run| {
                    run.rows[0] = row(5, 1).replace("item-5\",\"index\":5", "item-0\",\"index\":0");
                    run.rows[5] = row(0, 1).replace("item-0\",\"index\":0", "item-5\",\"index\":5");
                },
                "out.jsonl:1",
            ),
            (
                "an ok row has no answer",
                |run| run.rows[0] = run.rows[0].replace(r#""answer 0""#, "null"),
                "out.jsonl:1",
            ),
            (
                "a row is torn",
                |run| run.rows[5].truncate(60),
                "out.jsonl:6",
            ),
            (
                "a record says ok of a failed row",
                |run| {
                    let at = run.place(&failed(2, "bad_request", 1));
                    run.journal[at] = run.journal[at].replace(r#""ok":false"#, r#""ok":true"#);
                },
                "out.journal:11",
            ),
            (
                "a record tells another cost",
                |run| {
                    let at = run.place(&done(0, 1));
                    run.journal[at] = run.journal[at].replace(r#""c":10000000"#, r#""c":1"#);
                },
                "out.journal:9",
            ),
            (
                "a record in the middle is damaged",
                |run| run.journal[8] = r#"{"t":"done","k":1,"crc":"00000000"}"#.into(),
                "out.journal:9",
            ),
            (
                "an error is missing",
                |run| run.errors.clear(),
                "errors.jsonl",
            ),
            (
                "the errors file has another error",
                |run| run.errors[0] = failed_row(2, "malformed", 1),
                "errors.jsonl",
            ),
            (
                "more rows than items",
                |run| run.bounds.items = Some(5),
                "out.jsonl",
            ),
            (
                "pending items are counted wrongly",
                |run| run.bounds.pending = Some(1),
                "out.jsonl",
            ),
            (
                "an item has two records",
                |run| {
                    let last = run.journal.len() - 1;
                    run.journal.insert(last, done(5, 1));
                },
                "out.journal:17",
            ),
        ],
    );
}

#[test]
fn ok_rows_that_were_never_answered() {
    caught(
        "I2",
        &[
            (
                "the answer was an error",
                |run| run.log[1] = answer(1, 0, 0.5, 500),
                "out.journal:9",
            ),
            (
                "the answer was cut",
                |run| run.log[1] = dropped(1, 0, 0.5, "cut"),
                "out.journal:9",
            ),
            (
                "the answer was spoilt",
                |run| {
                    let status = r#""status":200"#;
                    let spoilt = r#""status":200,"fault":"html","spoiled":true"#;
                    run.log[1] = run.log[1].replace(status, spoilt);
                },
                "out.journal:9",
            ),
            (
                "there was no answer",
                |run| drop(run.log.remove(1)),
                "out.journal:9",
            ),
            (
                "one answer for two items of the same request",
                |run| run.log[7] = dropped(4, 3, 3.5, "reset"),
                "out.journal:13",
            ),
            (
                "the row tells other tokens than were sent",
                |run| {
                    run.log[1] = run.log[1].replace(r#""output_tokens":10"#, r#""output_tokens":9"#)
                },
                "out.journal:9",
            ),
            (
                "a row that was repeated with other fields serves a second item",
                |run| {
                    let copy = done(0, 1)
                        .replace(r#""i":0,"ok":true"#, r#""i":6,"ok":true,"copy":true"#)
                        .replace(r#""u":[1,10,0,0],"c":10000000,"#, "")
                        .replace("item 0", "item zero");
                    run.journal.extend([session(), copy, end("complete", 1.0)]);
                    let copied = row(0, 1).replace("item 0", "item zero");
                    run.rows
                        .push(copied.replace(r#"-0","index":0"#, r#"-6","index":6"#));
                    run.bounds.items = Some(7);
                },
                "out.journal:19",
            ),
            (
                "another client has more ok rows than answers",
                |run| {
                    run.journal_is_given = false;
                    run.log[1] = dropped(1, 0, 0.5, "cut");
                },
                "out.jsonl",
            ),
        ],
    );
}

/// A run of which item 0 was answered from a cache, as its journal says or does not say.
fn from_a_cache(said: bool) -> Run {
    let mut run = Run::clean();
    run.log.drain(..2);
    let free = |text: String| {
        let usage =
            r#"{"input_tokens":1,"output_tokens":10,"cached_input_tokens":0,"reasoning_tokens":0}"#;
        let text = text.replace(usage, "null").replace("0.000010", "0");
        let said = if said {
            r#""f":7,"cached":true,"#
        } else {
            r#""f":7,"#
        };
        text.replace(r#""f":7,"u":[1,10,0,0],"c":10000000,"#, said)
    };
    run.journal = std::mem::take(&mut run.journal)
        .into_iter()
        .filter(|line| *line != sent(0, 1))
        .map(|line| {
            if line == done(0, 1) {
                free(done(0, 0))
            } else {
                line
            }
        })
        .collect();
    run.rows[0] = free(row(0, 0));
    run
}

#[test]
fn answers_from_a_cache_need_no_request_when_the_journal_says_so() {
    let report = from_a_cache(true).judged();
    assert!(report.is_clean(), "{report}");
    let report = from_a_cache(false).judged();
    assert!(violated(&report).contains(&"I2"), "{report}");
}

#[test]
fn requests_that_should_not_have_been_sent() {
    caught(
        "I3",
        &[
            (
                "a request after the row",
                |run| run.log.extend([request(8, 0, 7.0), answer(8, 0, 7.5, 200)]),
                "log.jsonl:15",
            ),
            (
                "a request of no item",
                |run| {
                    run.log
                        .extend([request(8, 77, 7.0), answer(8, 77, 7.5, 400)])
                },
                "log.jsonl:15",
            ),
            (
                "a request before its record",
                |run| {
                    let at = run.place(&sent(1, 2));
                    run.journal.remove(at);
                },
                "log.jsonl:13",
            ),
            (
                "an attempt after the row of the same session",
                |run| {
                    let last = run.journal.len() - 1;
                    run.journal.insert(last, sent(0, 2));
                },
                "out.journal:17",
            ),
            (
                "a later session sends what has its row",
                |run| {
                    run.journal
                        .extend([session(), sent(0, 1), done(0, 1), end("complete", 1.0)]);
                    run.log.extend([request(8, 0, 7.0), answer(8, 0, 7.5, 200)]);
                },
                "out.journal:19",
            ),
            (
                "a later session sends a failed row without being told to",
                |run| {
                    run.journal
                        .extend([session(), sent(2, 1), end("interrupted", 1.0)]);
                    run.log
                        .extend([request(8, 2, 7.0), dropped(8, 2, 7.5, "client_gone")]);
                },
                "out.journal:19",
            ),
            (
                "a later session pays for a request at another place",
                |run| {
                    let moved = done(0, 1).replace(r#""i":0"#, r#""i":6"#);
                    let again = sent(0, 1).replace(r#""i":0"#, r#""i":6"#);
                    run.journal
                        .extend([session(), again, moved, end("complete", 1.0)]);
                    run.log.extend([request(8, 0, 7.0), answer(8, 0, 7.5, 200)]);
                },
                "out.journal:20",
            ),
        ],
    );
}

#[test]
fn attempts_beyond_their_limits() {
    caught(
        "I4",
        &[
            (
                "more attempts than allowed",
                |run| run.bounds.max_attempts = Some(1),
                "out.journal:16",
            ),
            (
                "an attempt is left out",
                |run| {
                    let at = run.place(&sent(1, 2));
                    run.journal[at] = sent(1, 3);
                },
                "out.journal:15",
            ),
            (
                "the row says fewer attempts",
                |run| {
                    let at = run.place(&done(1, 2));
                    run.journal[at] = done(1, 1);
                    run.rows[1] = row(1, 1);
                },
                "out.journal:16",
            ),
            (
                "more retries than the budget pays for",
                |run| {
                    let at = run.place(&sent(1, 2));
                    for n in (3..90).rev() {
                        let more = [sent(1, n), retry(1, n, "malformed")];
                        run.journal.splice(at + 1..at + 1, more);
                    }
                },
                "out.journal",
            ),
            (
                "another client sends too often",
                |run| {
                    run.journal_is_given = false;
                    run.bounds.max_attempts = Some(1);
                },
                "log.jsonl:13",
            ),
        ],
    );
}

#[test]
fn more_in_flight_than_allowed() {
    caught(
        "I5",
        &[
            (
                "answers overlap",
                |run| {
                    run.log[1] = answer(1, 0, 9.0, 200);
                    run.log[3] = answer(2, 1, 9.0, 500);
                },
                "log.jsonl",
            ),
            (
                "a request is never answered",
                |run| {
                    run.bounds.max_in_flight = Some(1);
                    run.log.remove(5);
                },
                "log.jsonl",
            ),
            (
                "all at once",
                |run| {
                    run.log = run
                        .log
                        .iter()
                        .map(|line| {
                            line.replace(r#""t_s":0.5"#, r#""t_s":3.2"#)
                                .replace(r#""t_s":1.5"#, r#""t_s":3.2"#)
                        })
                        .collect()
                },
                "log.jsonl",
            ),
            (
                "by more than the slack",
                |run| {
                    run.bounds.max_in_flight = Some(1);
                    run.bounds.slack = Duration::from_millis(50);
                    run.log[1] = answer(1, 0, 1.1, 200);
                },
                "log.jsonl",
            ),
        ],
    );
}

#[test]
fn within_the_slack_nobody_is_accused() {
    let mut run = Run::clean();
    run.bounds.max_in_flight = Some(1);
    run.log[1] = answer(1, 0, 1.01, 200);
    assert_eq!(violated(&run.judged()), ["I5"]);
    run.bounds.slack = Duration::from_millis(50);
    assert!(run.judged().is_clean());
}

#[test]
fn exit_codes_that_lie() {
    caught(
        "I6",
        &[
            (
                "0 with a failed row",
                |run| run.bounds.exit_code = Some(0),
                "exit code 0",
            ),
            (
                "1 without one",
                |run| run.rows[2] = row(2, 1),
                "exit code 1",
            ),
            (
                "1 with rows missing",
                |run| drop(run.rows.pop()),
                "exit code 1",
            ),
            (
                "2 after requests",
                |run| run.bounds.exit_code = Some(2),
                "exit code 2",
            ),
            (
                "4 with nothing pending",
                |run| run.bounds.exit_code = Some(4),
                "exit code 4",
            ),
            (
                "130 of a session that ended",
                |run| run.bounds.exit_code = Some(130),
                "exit code 130",
            ),
            (
                "a panic",
                |run| run.bounds.exit_code = Some(101),
                "exit code 101",
            ),
            (
                "1 of a session that was interrupted",
                |run| *run.journal.last_mut().unwrap() = end("interrupted", 6.5),
                "exit code 1",
            ),
        ],
    );
}

#[test]
fn secrets_wherever_they_are() {
    caught(
        "I7",
        &[
            (
                "the told one in a row",
                |run| run.rows[0] = run.rows[0].replace("answer 0", "it is hunter2-hunter2"),
                "out.jsonl:1",
            ),
            (
                "the told one in the journal",
                |run| run.journal[0] = session().replace("\"m\"", "\"hunter2-hunter2\""),
                "out.journal:1",
            ),
            (
                "the told one in the log",
                |run| run.log[0] = run.log[0].replace("\"m\"", "\"hunter2-hunter2\""),
                "log.jsonl:1",
            ),
            (
                "what looks like a key in an error",
                |run| run.errors[0] = run.errors[0].replace("no\"", &format!("bad key {KEY}\"")),
                "errors.jsonl:1",
            ),
            (
                "a whole header",
                |run| run.rows[2] = run.rows[2].replace("no\"", "Bearer abcdefghij0123456789\""),
                "out.jsonl:3",
            ),
        ],
    );
}

#[test]
fn no_report_repeats_a_secret() {
    let mut run = Run::clean();
    run.rows[0] = run.rows[0].replace("answer 0", "hunter2-hunter2");
    run.rows[1] = run.rows[1].replace("answer 1", KEY);
    let report = run.judged();
    assert_eq!(
        report.of(forebay_sim::check::Invariant::Secrets).violations,
        2
    );
    let told = report.to_string() + &serde_json::to_string(&report).unwrap();
    assert!(!told.contains("hunter2"), "{told}");
    assert!(!told.contains("0123456789"), "{told}");
}

#[test]
fn runs_that_take_too_long() {
    caught(
        "I8",
        &[
            (
                "by the log",
                |run| run.log[1] = answer(1, 0, 60.0, 200),
                "log.jsonl",
            ),
            (
                "by the journal",
                |run| *run.journal.last_mut().unwrap() = end("complete", 60.0),
                "out.journal",
            ),
            (
                "a session without an end",
                |run| drop(run.journal.pop()),
                "out.journal",
            ),
            (
                "the bound is short",
                |run| {
                    run.bounds = Bounds {
                        within: Some(Duration::from_secs(1)),
                        ..run.bounds.clone()
                    }
                },
                "log.jsonl",
            ),
        ],
    );
}
