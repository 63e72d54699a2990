//! Answers that have to fit a schema, and answers that a cap on tokens cut.

use std::sync::Arc;
use std::time::Duration;

use forebay::config::OnLength;
use forebay::endpoint::Dialect;
use forebay::engine::Command;
use forebay::event::StopReason;
use forebay::journal::History;
use forebay::money::Usd;
use forebay::schema::{Schema, SchemaCheck};
use forebay_sim::{Action, Call, Oddity, Sim};
use serde_json::{Value, json};

use crate::harness::{Ended, Scenario, fixed};

const SCHEMA: &str = r#"{"type":"object","properties":{"label":{"type":"string"}},
    "required":["label"],"additionalProperties":false}"#;
const FITS: &str = r#"{"label":"bug"}"#;
/// The dialects that the engine can ask again in.
const DIALECTS: [(Dialect, &str); 4] = [
    (Dialect::Chat, "gpt-4o-mini"),
    (Dialect::Responses, "gpt-4o-mini"),
    (Dialect::Anthropic, "claude-haiku-4-5"),
    (Dialect::Gemini, "gemini-2.5-flash"),
];

/// Tickets to be labelled by a model whose first answers to each do not fit.
fn tickets(n: usize, misfits: u32) -> Scenario {
    let mut scenario = Scenario {
        prompts: (0..n).map(|at| format!("ticket {at}")).collect(),
        ..Scenario::default()
    };
    scenario.settings.schema = Some(SchemaCheck {
        schema: Schema::compile(SCHEMA).unwrap(),
        retries: SchemaCheck::DEFAULT_RETRIES,
    });
    scenario.sim.script = Some(Arc::new(move |call: &Call<'_>| answer_of(call, misfits)));
    scenario
}

/// Each answer is of another length, so that sums that leave one out show.
fn answer_of(call: &Call<'_>, misfits: u32) -> Action {
    Action::AnswerText(match call.answers {
        n if n < misfits => {
            json!({"label": n, "why": "x".repeat(40 + 20 * n as usize)}).to_string()
        }
        _ => FITS.to_owned(),
    })
}

/// The output tokens that the rows tell and those that were sent.
fn tokens(ended: &Ended) -> (u64, u64) {
    let told = |row: &Value| row["usage"]["output_tokens"].as_u64().unwrap_or(0);
    let answers = ended.sim.log();
    let answers = answers.iter().filter(|record| record.status == Some(200));
    (
        ended.rows.iter().map(told).sum(),
        answers.map(|record| record.output_tokens).sum(),
    )
}

fn cost(ended: &Ended) -> f64 {
    let cost = |row: &Value| row["cost_usd"].as_f64().unwrap();
    ended.rows.iter().map(cost).sum()
}

/// Fault 38: asks again with what is wrong, at once and in any dialect; the row has the answer as JSON and the bill of all attempts.
#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_fit_is_asked_for_again() {
    for (provider, model) in DIALECTS {
        for (stream, misfits) in [(false, 0), (false, 1), (true, 1), (false, 2)] {
            let scenario = Scenario {
                provider,
                model,
                stream,
                ..tickets(5, misfits)
            };
            let ended = scenario.run().await;
            let (ok, failed) = (ended.summary.ok, ended.summary.failed);
            assert_eq!((ok, failed), (5, 0), "{provider:?}: {:?}", ended.rows[0]);
            for row in &ended.rows {
                assert_eq!(row["parsed"], json!({"label": "bug"}));
                assert_eq!(
                    (&row["output"], &row["attempts"]),
                    (&json!(FITS), &json!(misfits + 1))
                );
            }
            let (told, sent) = tokens(&ended);
            assert_eq!(told, sent, "{provider:?} {stream} {misfits}");
            assert_eq!(ended.summary.usage.output_tokens, sent);
            assert!((ended.summary.cost.dollars() - cost(&ended)).abs() < 1e-12);
            // Half a second an answer, and no wait between.
            let most = Duration::from_millis(510 * u64::from(misfits + 1));
            assert!(ended.wall <= most, "{:?}", ended.wall);
        }
    }
}

/// What is asked again holds the conversation so far and the rule that was broken.
#[tokio::test(start_paused = true)]
async fn the_model_is_told_what_is_wrong() {
    let ended = tickets(1, 2).run().await;
    let log = ended.sim.log();
    let prompts: Vec<&str> = log
        .iter()
        .filter(|record| record.status.is_none())
        .filter_map(|record| record.prompt.as_deref())
        .collect();
    assert_eq!(prompts.len(), 3);
    assert_eq!(prompts[0], "ticket 0");
    assert!(
        prompts[1].contains("/label is not of type string"),
        "{}",
        prompts[1]
    );
    assert!(prompts[1].contains("why"), "{}", prompts[1]);
    assert_eq!(
        ended
            .events
            .iter()
            .filter(|event| *event == "AttemptFailedWillRetry")
            .count(),
        2
    );
}

/// Fault 38: gives the item up after two further questions with the kind `schema_mismatch`, the place and the rule; all answers are on its bill.
#[tokio::test(start_paused = true)]
async fn an_answer_that_never_fits_fails_its_item() {
    let ended = tickets(30, 9).run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (0, 30));
    assert_eq!(ended.summary.stopped, None, "the endpoint is well");
    for row in &ended.rows {
        assert_eq!(row["error"]["kind"], "schema_mismatch");
        let message = row["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("/label is not of type string"),
            "{message}"
        );
        assert!(!message.contains("xxx"), "no text of the answer: {message}");
        assert_eq!(
            (&row["attempts"], &row["output"]),
            (&json!(3), &Value::Null)
        );
    }
    let (told, sent) = tokens(&ended);
    assert_eq!(told, sent);
    let mut once = tickets(3, 9);
    if let Some(check) = &mut once.settings.schema {
        check.retries = 0;
    }
    let ended = once.run().await;
    assert_eq!((ended.summary.failed, ended.summary.attempts), (3, 3));
}

/// Failures of the endpoint between the questions count for themselves.
#[tokio::test(start_paused = true)]
async fn failures_between_the_questions_are_tried_again_as_ever() {
    let mut scenario = tickets(20, 2);
    scenario.sim.script = Some(Arc::new(|call: &Call<'_>| match call.seen {
        1 => Action::Error {
            status: 500,
            kind: "".into(),
            code: None,
            message: String::new(),
            headers: Vec::new(),
        },
        _ => answer_of(call, 2),
    }));
    let ended = scenario.run().await;
    assert_eq!(ended.summary.ok, 20);
    assert!(ended.rows.iter().all(|row| row["attempts"] == 6));
    let (told, sent) = tokens(&ended);
    assert_eq!(told, sent);
}

/// A session that ends between two questions leaves the item pending; the next one begins it anew.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_between_two_questions_goes_on() {
    for (order, at_ms) in [
        (Command::Abort, 700),
        (Command::Drain, 700),
        (Command::Abort, 1_200),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("j");
        let scenario = || Scenario {
            journal: Some(path.clone()),
            ..tickets(30, 2)
        };
        let sim = Sim::new(scenario().sim);
        let first = Scenario {
            orders: vec![(Duration::from_millis(at_ms), order)],
            ..scenario()
        }
        .run_against(sim.clone())
        .await;
        assert_eq!(first.summary.stopped, Some(StopReason::Interrupted));
        assert_eq!(first.summary.ok, 0);
        let second = scenario().run_against(sim.clone()).await;
        assert_eq!(second.summary.ok, 30);
        let third = scenario().run_against(sim.clone()).await;
        assert_eq!((third.summary.kept, third.summary.attempts), ((30, 0), 0));
        // What the journal says was paid is what both sessions paid: nothing twice.
        let (history, _) = History::read(&std::fs::File::open(&path).unwrap(), 0.0).unwrap();
        let total = history.total();
        let paid = first.summary.cost + second.summary.cost;
        assert_eq!(total.cost, paid);
        assert_eq!(total.maybe_billed, first.summary.maybe_billed);
    }
}

/// Items that share a request share the answer that fits.
#[tokio::test(start_paused = true)]
async fn items_that_share_an_answer_share_the_one_that_fits() {
    let mut scenario = tickets(6, 1);
    scenario.prompts = vec!["ticket".into(); 6];
    scenario.settings.dedup = true;
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.attempts), (6, 2));
    assert!(
        ended
            .rows
            .iter()
            .all(|row| row["parsed"] == json!({"label": "bug"}))
    );
    let mut apart = tickets(6, 1);
    apart.prompts = vec!["ticket".into(); 6];
    assert_eq!(apart.run().await.summary.attempts, 12);
}

/// An answer whose tokens nobody told leaves the row's cost open.
#[tokio::test(start_paused = true)]
async fn an_unknown_bill_of_one_attempt_leaves_the_cost_open() {
    let mut scenario = tickets(3, 1);
    if let Some(check) = &mut scenario.settings.schema {
        // The simulator writes other words.
        let one_word = r#"{"type":"object","properties":{"label":{"pattern":"^bug$"}}}"#;
        check.schema = Schema::compile(one_word).unwrap();
    }
    scenario.sim.script = Some(Arc::new(|call: &Call<'_>| match call.answers {
        0 => Action::Odd(Oddity::NoUsage),
        _ => Action::AnswerText(FITS.into()),
    }));
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.cost_unknown), (3, 3));
    assert!(ended.rows.iter().all(|row| row["cost_usd"].is_null()));
    assert!(
        ended
            .rows
            .iter()
            .all(|row| row["usage"]["output_tokens"] == 4)
    );
}

/// The cap on cost counts what is asked again, by the length of the longer conversation.
#[tokio::test(start_paused = true)]
async fn the_cap_on_cost_counts_what_is_asked_again() {
    let cap = Usd::from_dollars(0.002).unwrap();
    let mut scenario = tickets(500, 2);
    scenario.settings.max_cost = Some(cap);
    scenario.settings.max_tokens = Some(40);
    scenario.settings.concurrency = fixed(10);
    let ended = scenario.run().await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Cost));
    assert!(ended.summary.cost <= cap, "{}", ended.summary.cost);
    assert!(ended.summary.ok > 5, "{}", ended.summary.ok);
}

/// Long answers under a small cap on output tokens.
fn cut(on_length: OnLength, cap: u32) -> Scenario {
    let mut scenario = Scenario {
        // 64 tokens when it is echoed.
        prompts: (0..4)
            .map(|at| format!("item {at} {}", "y".repeat(249)))
            .collect(),
        ..Scenario::default()
    };
    scenario.settings.on_length = on_length;
    scenario.settings.max_tokens = Some(cap);
    scenario
}

/// Fault 37: with `--on-length retry`, asks again with twice the room until the answer is whole; the row tells what all of it cost.
#[tokio::test(start_paused = true)]
async fn a_cut_answer_is_asked_for_again_with_more_room() {
    for (provider, model) in DIALECTS {
        let ended = Scenario {
            provider,
            model,
            ..cut(OnLength::Retry, 16)
        }
        .run()
        .await;
        // 16 tokens, 32, and then all 64.
        assert_eq!(
            (ended.summary.ok, ended.summary.attempts),
            (4, 12),
            "{provider:?}"
        );
        for row in &ended.rows {
            assert_eq!(row["usage"]["output_tokens"], 16 + 32 + 64);
            assert_eq!(
                (&row["attempts"], &row["finish_reason"]),
                (&json!(3), &json!("stop"))
            );
        }
        let (told, sent) = tokens(&ended);
        assert_eq!(told, sent);
    }
}

/// Fault 37: gives a cut answer up after three times, or at once with `--on-length error`, with the kind `length`.
#[tokio::test(start_paused = true)]
async fn a_cut_answer_fails_its_item_when_it_is_not_wanted() {
    for (on_length, attempts, tokens) in
        [(OnLength::Retry, 4, 1 + 2 + 4 + 8), (OnLength::Error, 1, 1)]
    {
        let ended = cut(on_length, 1).run().await;
        assert_eq!(
            (ended.summary.failed, ended.summary.attempts),
            (4, 4 * attempts)
        );
        for row in &ended.rows {
            assert_eq!(row["error"]["kind"], "length");
            assert_eq!(row["usage"]["output_tokens"], tokens);
            assert!(row["cost_usd"].as_f64().unwrap() > 0.0);
        }
    }
    let mut kept = cut(OnLength::Ok, 1);
    kept.prompts = vec!["a longer text than that".into()];
    let ended = kept.run().await;
    assert_eq!(ended.rows[0]["finish_reason"], "length");
}

/// A cut answer is no answer that fits, and asking again in words would only cut it again.
#[tokio::test(start_paused = true)]
async fn a_cut_answer_that_was_to_fit_a_schema_is_a_failure_of_length() {
    for (on_length, attempts) in [
        (OnLength::Ok, 1),
        (OnLength::Error, 1),
        (OnLength::Retry, 2),
    ] {
        let mut scenario = tickets(2, 0);
        scenario.settings.on_length = on_length;
        scenario.settings.max_tokens = Some(2);
        let ended = scenario.run().await;
        if on_length == OnLength::Retry {
            assert_eq!(ended.summary.ok, 2);
        } else {
            assert_eq!(ended.error_kinds(), ["length"]);
        }
        assert_eq!(ended.summary.attempts, 2 * attempts, "{on_length:?}");
    }
}
