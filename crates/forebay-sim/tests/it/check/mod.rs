//! The judge is content with a clean run, and catches every doctored one.

mod asked_again;
mod doctored;
mod packs;
mod run;

use forebay_sim::check::Invariant;

use run::{Run, answer, request, row, sent, session, violated};

#[test]
fn a_clean_run_is_clean_and_everything_was_checked() {
    let report = Run::clean().judged();
    assert!(report.is_clean(), "{report}");
    for invariant in Invariant::ALL {
        assert!(!report.of(invariant).checked.is_empty(), "{report}");
    }
    let counts = report.counts;
    assert_eq!((counts.rows, counts.ok_rows), (6, 5));
    assert_eq!((counts.requests, counts.answers, counts.sent), (7, 5, 7));
}

/// A session that was killed, one that failed an item, and one that finished: the first rows are
/// kept, items in flight are sent again, a failed one when the session was told to.
#[test]
fn resumed_runs_are_clean() {
    let mut run = Run::clean();
    let killed = run.place(&run::done(0, 1)) + 1;
    let first = run.journal[..killed].to_vec();
    let mut second = vec![session()];
    second.extend((1..6).map(|item| sent(item, 1)));
    let rest = run.journal[killed..].iter();
    second.extend(rest.filter(|line| !line.contains(r#""i":0,"#)).cloned());
    run.journal = [first, second].concat();
    // What was in flight at the kill was received and never answered.
    for item in 1..6 {
        run.log.push(request(item + 7, item, 7.0));
    }
    for item in 1..6 {
        run.log
            .push(run::dropped(item + 7, item, 7.1, "client_gone"));
    }
    run.bounds.max_in_flight = Some(5);
    let report = run.judged();
    assert!(report.is_clean(), "{report}");

    run.journal.extend([session(), sent(2, 1)]);
    let replaced = r#""f":7,"was":"bad_request""#;
    run.journal
        .push(run::done(2, 1).replace(r#""f":7"#, replaced));
    run.journal.push(run::end("complete", 1.0));
    run.log
        .extend([request(13, 2, 8.0), answer(13, 2, 8.5, 200)]);
    run.rows[2] = row(2, 1);
    run.errors.clear();
    run.bounds.exit_code = Some(0);
    let report = run.judged();
    assert!(report.is_clean(), "{report}");
}

/// A client that closes after a stream's last frame has its answer.
#[test]
fn a_stream_without_the_end_of_its_body_may_be_an_answer() {
    let mut run = Run::clean();
    run.log[1] = run::dropped(1, 0, 0.5, "unended");
    let report = run.judged();
    assert!(report.is_clean(), "{report}");
    run.log[1] = run.log[1].replace(r#""reason""#, r#""spoiled":true,"reason""#);
    assert!(run::violated(&run.judged()).contains(&"I2"));
}

/// Rows serve the first items with their request, so that the one that is sent again in place of
/// a failed row may be another than the one that failed.
#[test]
fn a_failed_row_is_made_good_at_the_place_of_its_twin() {
    let mut run = Run::clean();
    let place = run.place(&run::done(3, 1));
    run.journal[place] = run::failed(3, "bad_request", 1);
    run.log[7] = answer(4, 3, 3.5, 400);
    let twin = run.journal[place + 1].clone();
    run.journal.extend([
        session(),
        sent(4, 1),
        twin.replace(r#""f":7"#, r#""f":7,"was":"bad_request""#),
        run::end("complete", 1.0),
    ]);
    run.log.extend([request(8, 4, 8.0), answer(8, 3, 8.5, 200)]);
    run.rows[3] = run.rows[4]
        .replace(r#""index":4"#, r#""index":3"#)
        .replace("item-4", "item-3");
    let report = run.judged();
    assert!(report.is_clean(), "{report}");

    // Once is enough for one failed row.
    let again = [sent(4, 1), twin, run::end("complete", 1.0)];
    run.journal.push(session());
    run.journal.extend(again);
    run.log.extend([request(9, 4, 9.0), answer(9, 3, 9.5, 200)]);
    assert!(run::violated(&run.judged()).contains(&"I3"));
}

/// A request that a spoilt answer waited for was refused for its rate like any other.
#[test]
fn a_refusal_in_place_of_a_spoilt_answer_is_no_attempt_that_counts() {
    let mut run = Run::clean();
    run.journal_is_given = false;
    run.bounds.max_attempts = Some(2);
    for seq in 8..11 {
        run.log.push(request(seq, 0, 6.0));
        let refused = answer(seq, 0, 6.0, 429);
        run.log
            .push(refused.replace(r#""status":429"#, r#""status":429,"spoiled":true"#));
    }
    let report = run.judged();
    assert!(report.is_clean(), "{report}");
}

/// Without a journal some things can still be judged, and the report says which cannot.
#[test]
fn another_clients_results_are_judged_by_what_there_is() {
    let mut run = Run::clean();
    run.journal_is_given = false;
    run.bounds.items = Some(6);
    let report = run.judged();
    assert!(report.is_clean(), "{report}");
    let reasons = report.of(Invariant::SentOnce).skipped.join("; ");
    assert!(reasons.contains("no journal"), "{report}");
    assert!(report.of(Invariant::SentOnce).checked.is_empty());
    assert!(report.to_string().contains("skipped"), "{report}");

    let batch = |n: u64, status: u16| {
        format!(
            r#"{{"id":"b{n}","custom_id":"request-{n}","response":{{"status_code":{status},"body":{{}}}},"error":null}}"#
        )
    };
    run.rows = vec![batch(1, 200), batch(2, 200), batch(3, 400)];
    run.errors.clear();
    run.bounds.items = Some(3);
    let report = run.judged();
    assert_eq!((report.counts.rows, report.counts.ok_rows), (3, 2));
}

/// Lines as other tools write them are judged by their number, their names and their outcome, and
/// nobody is accused of what they cannot say.
#[test]
fn rows_in_the_formats_of_other_tools_are_no_violations() {
    let openai = |n: u64, status: u16| {
        format!(
            r#"{{"id":"b{n}","custom_id":"item-{n}","response":{{"status_code":{status},"body":{{}}}},"error":null}}"#
        )
    };
    let mut batch = Run::clean();
    batch.rows = [0, 1, 3, 4, 5].map(|n| openai(n, 200)).into();
    batch.errors = vec![openai(2, 400)];
    let report = batch.judged();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.counts.rows, report.counts.ok_rows), (6, 5));

    batch.errors = vec![openai(1, 400)];
    let report = batch.judged();
    assert!(
        report.to_string().contains("1 of its custom_ids"),
        "{report}"
    );
    batch.errors.clear();
    assert_eq!(violated(&batch.judged()), ["I1", "I6"]);
    batch.errors = vec![openai(2, 400)];
    batch.rows[1] = openai(0, 200);
    assert!(violated(&batch.judged()).contains(&"I1"));

    let mut messages = Run::clean();
    messages.rows = (0..6)
        .map(|n| {
            let kind = if n == 2 { "errored" } else { "succeeded" };
            format!(r#"{{"custom_id":"item-{n}","result":{{"type":"{kind}"}}}}"#)
        })
        .collect();
    messages.errors.clear();
    let report = messages.judged();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.counts.rows, report.counts.ok_rows), (6, 5));

    let mut cookbook = Run::clean();
    cookbook.rows = vec![r#"[{"model":"m"}, {"object":"list"}, {"row":1}]"#.into(); 6];
    cookbook.rows[2] = r#"[{"model":"m"}, ["no"]]"#.into();
    cookbook.errors.clear();
    let report = cookbook.judged();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.counts.rows, report.counts.ok_rows), (6, 5));
    cookbook.rows.pop();
    assert_eq!(violated(&cookbook.judged()), ["I1", "I6"]);
}

/// What is left of a complete run's journal tells its totals, and which checks are lost.
#[test]
fn two_lines_of_a_complete_run_hint_at_the_flag() {
    let mut run = Run::clean();
    run.rows = (0..6).map(|item| row(item, 1)).collect();
    run.errors.clear();
    run.bounds.exit_code = Some(0);
    run.bounds.items = Some(6);
    run.journal = vec![
        session(),
        r#"{"t":"finished","at":1.5,"data":{"inputs":[],"ok":6}"#.into(),
    ];
    run.log.extend([request(8, 2, 7.0), answer(8, 2, 7.5, 200)]);
    let report = run.judged();
    assert!(report.is_clean(), "{report}");
    assert!(report.to_string().contains("--keep-journal"), "{report}");
    run.rows.pop();
    assert!(!run.judged().is_clean());
}

/// Two simulators in a row write one log.
#[test]
fn a_log_of_two_simulators_is_told_apart() {
    let mut run = Run::clean();
    run.log.truncate(6);
    for (seq, item) in [(1, 3), (2, 3), (3, 5), (4, 1)] {
        run.log.push(request(seq, item, seq as f64));
        run.log.push(answer(seq, item, seq as f64 + 0.5, 200));
    }
    let report = run.judged();
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.counts.requests, report.counts.open), (7, 0));
}

#[test]
fn what_is_no_evidence_is_refused() {
    let broken: [fn(&mut Run); 4] = [
        |run| run.log[3] = "hello".into(),
        |run| run.journal[0] = r#"{"t":"run","at":1.5,"v":2,"data":{}"#.into(),
        |run| drop(run.journal.remove(0)),
        |run| run.journal = vec![r#"{},"crc":"00000000"}"#.into()],
    ];
    for (n, breaks) in broken.iter().enumerate() {
        let mut run = Run::clean();
        breaks(&mut run);
        let error = run.try_judge().unwrap_err();
        assert!(error.to_string().contains(':'), "{n}: {error}");
    }
}
