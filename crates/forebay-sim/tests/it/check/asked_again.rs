//! Runs in which a model was asked again, because its answer would not do: what follows is
//! another request of the same item, and the row tells what both cost.

use super::run::{Run, answer, done, dropped, key, request, retry, row, sent, violated};

/// The item that is asked again, and the number by which its second request goes.
const ITEM: u64 = 6;
const SECOND: u64 = 77;

/// The clean run with a seventh item whose first answer did not fit.
fn asked_again() -> Run {
    let mut run = Run::clean();
    run.log.extend([
        request(8, ITEM, 7.0),
        answer(8, ITEM, 7.5, 200),
        request(9, SECOND, 7.5),
        answer(9, SECOND, 8.0, 200),
    ]);
    run.rows.push(both(row(ITEM, 2)));
    run.journal[1] = run.journal[1].replace("6", "7");
    let end = run.journal.len() - 1;
    run.journal.splice(
        end..end,
        [
            sent(ITEM, 1),
            wanting(),
            other(sent(ITEM, 2)),
            other(both(done(ITEM, 2))),
        ],
    );
    run
}

/// The record of the answer that did not fit.
fn wanting() -> String {
    let n = format!(r#""i":{ITEM},"n":1"#);
    retry(ITEM, 1, "schema_mismatch").replace(r#""n":1"#, &n) + r#","u":[1,16,0,0],"c":16000000"#
}

/// A record of the second request.
fn other(record: String) -> String {
    let own = key(ITEM);
    record.replace(
        &format!(r#""k":"{own}""#),
        &format!(r#""k":"{own}","b":"{}""#, key(SECOND)),
    )
}

/// A row, or its record, with what both attempts cost.
fn both(line: String) -> String {
    line.replace(
        r#""input_tokens":1,"output_tokens":16"#,
        r#""input_tokens":2,"output_tokens":103"#,
    )
    .replace(
        r#""u":[1,16,0,0],"c":16000000"#,
        r#""u":[1,87,0,0],"c":87000000"#,
    )
    .replace("0.000016", "0.000103")
}

#[test]
fn a_run_that_asked_again_is_clean() {
    let report = asked_again().judged();
    assert!(report.is_clean(), "{report}");
    // One that fails all the same has its answer too.
    let mut run = asked_again();
    let at = run.place(&other(sent(ITEM, 2)));
    run.journal[at + 1] = run.journal[at + 1]
        .replace(
            r#""ok":true,"f":7"#,
            r#""ok":false,"f":7,"kind":"schema_mismatch""#,
        )
        .replace(r#""output":"answer 6","error":null"#, FAILED);
    let last = run.rows.len() - 1;
    run.rows[last] = run.rows[last].replace(r#""output":"answer 6","error":null"#, FAILED);
    run.errors.push(run.rows[last].clone());
    let report = run.judged();
    assert!(report.is_clean(), "{report}");
}

const FAILED: &str = r#""output":null,"error":{"kind":"schema_mismatch","status":null,"code":null,"message":"no","attempts":2}"#;

type Doctor = fn(&mut Run);

#[test]
fn what_is_wrong_with_asking_again_is_caught() {
    let cases: [(&str, &str, Doctor, &str); 8] = [
        (
            "the row leaves out what the first answer cost",
            "I1",
            |run| {
                let at = run.place(&other(sent(ITEM, 2)));
                for line in [&mut run.journal[at + 1], &mut run.rows[6]] {
                    *line = line.replace("0.000103", "0.000087");
                }
            },
            "out.journal:20",
        ),
        (
            "the row counts the first answer's tokens twice",
            "I1",
            |run| {
                let at = run.place(&other(sent(ITEM, 2)));
                for line in [&mut run.journal[at + 1], &mut run.rows[6]] {
                    *line = line.replace(r#""output_tokens":103"#, r#""output_tokens":119"#);
                }
            },
            "out.journal:20",
        ),
        (
            "the first answer was never sent",
            "I2",
            |run| {
                let at = run.log.len() - 3;
                run.log[at] = dropped(8, ITEM, 7.5, "cut");
            },
            "out.journal:20",
        ),
        (
            "the second answer was never sent",
            "I2",
            |run| {
                let at = run.log.len() - 1;
                run.log[at] = dropped(9, SECOND, 8.0, "cut");
            },
            "out.journal:20",
        ),
        (
            "the first answer had other tokens",
            "I2",
            |run| {
                let at = run.log.len() - 3;
                run.log[at] = run.log[at].replace(r#""output_tokens":16"#, r#""output_tokens":15"#);
            },
            "out.journal:20",
        ),
        (
            "the second request is recorded as the first once more",
            "I3",
            |run| {
                let at = run.place(&other(sent(ITEM, 2)));
                run.journal[at] = sent(ITEM, 2);
            },
            "log.jsonl:17",
        ),
        (
            "something else is asked though no answer was wanting",
            "I4",
            |run| {
                let at = run.place(&sent(ITEM, 1));
                run.journal[at + 1] =
                    run.journal[at + 1].replace("schema_mismatch", "server_error");
            },
            "out.journal:19",
        ),
        (
            "something else is asked in an item's first attempt",
            "I4",
            |run| {
                let at = run.place(&sent(5, 1));
                run.journal[at] =
                    run.journal[at].replace(r#","i":"#, &format!(r#","b":"{}","i":"#, key(5)));
            },
            "out.journal:8",
        ),
    ];
    for (name, invariant, doctor, place) in cases {
        let mut run = asked_again();
        doctor(&mut run);
        let report = run.judged();
        assert!(violated(&report).contains(&invariant), "{name}:\n{report}");
        let found = report
            .violations
            .iter()
            .any(|violation| violation.invariant.name() == invariant && violation.place == place);
        assert!(found, "{name} is not found at {place}:\n{report}");
    }
}
