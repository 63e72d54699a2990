//! Calls for embeddings carry several items; the judge counts each of them.

use super::run::{Run, answer, body, done, dropped, end, request, retry, row, sent, violated};

/// The key of the call itself, which no item has.
const CALL: u128 = 0xca11;

/// The clean run, but its first and its last item travel in one request.
fn packed() -> Run {
    let mut run = Run::clean();
    run.log.retain(|line| !line.contains(r#""seq":6,"#));
    run.log[0] = call(1, 0.0, &[0, 5]);
    run.log[1] = answered(answer(1, 0, 0.5, 200));
    let at = run.place(&sent(5, 1));
    run.journal[at].push_str(r#","along":true"#);
    run
}

/// The record of a call for these items.
fn call(seq: u64, t_s: f64, items: &[u64]) -> String {
    let keys: Vec<_> = items
        .iter()
        .map(|item| format!("\"{:032x}\"", body(*item)))
        .collect();
    let keys = format!(r#""keys":[{}],"seen""#, keys.join(","));
    named(request(seq, 0, t_s)).replacen(r#""seen""#, &keys, 1)
}

/// The end of a call; vectors are no output tokens.
fn answered(line: String) -> String {
    named(line).replace(r#""output_tokens":10"#, r#""output_tokens":0"#)
}

fn named(line: String) -> String {
    line.replace(&format!("{:032x}", body(0)), &format!("{CALL:032x}"))
}

#[test]
fn items_that_travel_together_are_clean() {
    let report = packed().judged();
    assert!(report.is_clean(), "{report}");
    let counts = report.counts;
    assert_eq!((counts.requests, counts.answers, counts.sent), (6, 4, 7));
    let mut run = packed();
    run.journal_is_given = false;
    let report = run.judged();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn an_item_is_missed_wherever_it_travels() {
    type Doctor = fn(&mut Run);
    let cases: [(&str, Doctor, &str); 6] = [
        (
            "the answer to the pack was cut",
            |run| run.log[1] = answered(dropped(1, 0, 0.5, "cut")),
            "I2",
        ),
        (
            "the answer to the pack was an error",
            |run| run.log[1] = answered(answer(1, 0, 0.5, 400)),
            "I2",
        ),
        (
            "an item with an ok row was not in the pack",
            |run| run.log[0] = call(1, 0.0, &[0]),
            "I2",
        ),
        (
            "an item was twice in the pack",
            |run| run.log[0] = call(1, 0.0, &[0, 5, 5]),
            "I3",
        ),
        (
            "an item travelled again and was not recorded",
            |run| {
                run.log.push(call(8, 7.0, &[5, 0]));
                run.log.push(answered(answer(8, 0, 7.5, 200)));
            },
            "I3",
        ),
        (
            "an item was sent along after its row was recorded",
            |run| {
                let end = run.journal.len() - 1;
                let again = sent(5, 2) + r#","along":true"#;
                run.journal.insert(end, again);
                run.log.push(call(8, 7.0, &[5]));
                run.log.push(answered(answer(8, 0, 7.5, 200)));
            },
            "I3",
        ),
    ];
    for (name, doctor, invariant) in cases {
        let mut run = packed();
        doctor(&mut run);
        let report = run.judged();
        assert!(violated(&report).contains(&invariant), "{name}:\n{report}");
    }
}

/// The run, but its pack failed so often before, and each time was sent again together or in
/// parts.
fn failing(times: u32, in_parts: bool) -> Run {
    let mut run = packed();
    let along = |line: String| line + r#","along":true"#;
    let failed = |item, attempt| {
        let parts = if in_parts { r#","split":true"# } else { "" };
        retry(item, attempt, "malformed") + parts
    };
    let mut place = run.place(&done(0, 1));
    for n in 1..=times {
        let second = sent(5, n + 1);
        let lines = [
            failed(0, n),
            along(failed(5, n)),
            sent(0, n + 1),
            if in_parts { second } else { along(second) },
        ];
        for line in lines {
            run.journal.insert(place, line);
            place += 1;
        }
        let seq = u64::from(100 + n);
        run.log.push(call(seq, 6.6, &[0, 5]));
        run.log.push(answered(answer(seq, 0, 6.7, 500)));
    }
    for item in [0, 5] {
        let place = run.place(&done(item, 1));
        run.journal[place] = done(item, times + 1);
        run.rows[item as usize] = row(item, times + 1);
    }
    run.bounds.max_attempts = None;
    run.bounds.max_in_flight = None;
    // The session took no time, so that only the first retries are allowed.
    let last = run.journal.len() - 1;
    run.journal[last] = end("complete", 0.0);
    run
}

/// A pack that fails is sent again as a whole and spends one retry, or in halves and spends none.
#[test]
fn packs_spend_one_retry_each_and_their_halves_none() {
    let report = failing(9, false).judged();
    assert!(report.is_clean(), "{report}");
    assert!(violated(&failing(12, false).judged()).contains(&"I4"));
    let report = failing(12, true).judged();
    assert!(report.is_clean(), "{report}");
}
