//! What each answer of a misbehaving provider leads to.

use std::time::Duration;

use forebay::config::{EngineSettings, RetrySettings, Timeouts};
use forebay::endpoint::Dialect;
use forebay::event::StopReason;
use forebay_sim::{Action, Oddity};

use crate::harness::{Scenario, first_tries, fixed, prompts};

fn error(status: u16, code: Option<&'static str>, headers: &[(&str, &str)]) -> Action {
    Action::Error {
        status,
        kind: code.unwrap_or("").into(),
        code: code.map(Into::into),
        message: String::new(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn reply(status: u16, body: &str) -> Action {
    Action::Reply {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    }
}

fn one() -> Scenario {
    Scenario {
        prompts: prompts(1),
        ..Scenario::default()
    }
}

/// How long the second try of the only item came after the first was answered.
async fn wait_after(action: impl Fn() -> Action + Send + Sync + 'static) -> f64 {
    let mut scenario = one();
    scenario.sim.script = first_tries(1, move |_| action());
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (1, 0));
    let arrivals = ended.arrivals("item 0");
    assert_eq!(arrivals.len(), 2);
    arrivals[1] - arrivals[0]
}

/// Fault 14: waits as long as asked, with a little jitter on top, and loses no row.
/// Fault 15: prefers the milliseconds to the seconds.
/// Fault 17: waits as long as the message in the body says; else backs off.
#[tokio::test(start_paused = true)]
async fn a_rate_refusal_is_waited_for_as_asked() {
    for (headers, seconds) in [
        (&[("retry-after", "7")][..], 7.0),
        (&[("retry-after", "2.5")], 2.5),
        (&[("retry-after-ms", "1500"), ("retry-after", "9")], 1.5),
        (&[("retry-after", "abc"), ("retry-after", "3")], 3.0),
        (&[("retry-after", "4"), ("retry-after", "2")], 4.0),
        (&[("retry-after", "2"), ("retry-after", "5")], 5.0),
    ] {
        let headers: Vec<_> = headers.to_vec();
        let waited = wait_after(move || error(429, None, &headers)).await;
        // Jitter adds up to a tenth, never subtracts.
        assert!(
            waited >= seconds && waited <= seconds * 1.1 + 0.01,
            "{waited} for {seconds}"
        );
    }
    let message = r#"{"error":{"message":"Rate limit reached. Please try again in 4.2s.",
        "type":"tokens","code":"rate_limit_exceeded"}}"#;
    let waited = wait_after(move || reply(429, message)).await;
    assert!((4.2..4.7).contains(&waited), "{waited}");
}

/// Fault 16: counts the date from the answer's own; a past one is as good as none.
#[tokio::test(start_paused = true)]
async fn a_date_to_wait_for_counts_from_the_answers_own_date() {
    let dated = |date: &'static str, until: &'static str| {
        let head = format!("HTTP/1.1 429 Slow\r\ndate: {date}\r\nretry-after: {until}\r\n");
        let answer = format!("{head}content-length: 2\r\n\r\n{{}}");
        wait_after(move || Action::Raw(answer.clone().into_bytes()))
    };
    let ahead = dated(
        "Tue, 01 Jan 2030 00:00:00 GMT",
        "Tue, 01 Jan 2030 00:00:06 GMT",
    )
    .await;
    assert!((6.0..6.7).contains(&ahead), "{ahead}");
    let past = dated(
        "Tue, 01 Jan 2030 00:00:00 GMT",
        "Mon, 31 Dec 2029 23:59:00 GMT",
    )
    .await;
    assert!(past < 1.2, "{past}");
}

/// Fault 19: takes it for nothing, and backs off; of two, the larger valid one counts.
#[tokio::test(start_paused = true)]
async fn a_nonsensical_wait_is_ignored() {
    for value in ["0", "-5", "NaN", "abc", ""] {
        let waited = wait_after(move || error(429, None, &[("retry-after", value)])).await;
        assert!(waited < 1.3, "{value:?}: {waited}");
    }
}

/// Fault 18: stops with the time and the rows pending, instead of sleeping.
#[tokio::test(start_paused = true)]
async fn an_absurd_wait_stops_the_run_with_the_rows_pending() {
    for value in ["315360000", "1e308", "99999999999999999999"] {
        let mut scenario = Scenario::default();
        scenario.sim.script = first_tries(9, move |_| error(429, None, &[("retry-after", value)]));
        let ended = scenario.run().await;
        assert!(
            matches!(ended.summary.stopped, Some(StopReason::RateLimited { wait })
                if wait > Duration::from_secs(120)),
            "{value}: {:?}",
            ended.summary.stopped
        );
        assert_eq!((ended.summary.pending, ended.summary.failed), (10, 0));
        assert!(ended.wall < Duration::from_secs(2), "{:?}", ended.wall);
    }
}

/// Fault 20: lets single probes through, burns no attempts, and goes on by itself.
#[tokio::test(start_paused = true)]
async fn ten_minutes_of_refusals_are_survived() {
    let mut scenario = Scenario {
        prompts: prompts(200),
        ..Scenario::default()
    };
    scenario.sim.script = Some(std::sync::Arc::new(|call| {
        if call.since_start < Duration::from_secs(600) {
            error(429, None, &[])
        } else {
            Action::Answer
        }
    }));
    let ended = scenario.run().await;
    assert_eq!(ended.summary.ok, 200);
    assert!(ended.wall < Duration::from_secs(700), "{:?}", ended.wall);
    let refused = ended.sim.stats().rejected;
    assert!(
        refused < 20 + 60,
        "probes, not a hammer: {refused} refusals"
    );
}

/// Faults 25, 26, 28, 31: tries again, within the attempts and the budget.
#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again() {
    type Case = (&'static str, fn() -> Action);
    let cases: [Case; 14] = [
        ("408", || error(408, None, &[])),
        ("409", || error(409, None, &[])),
        ("425", || error(425, None, &[])),
        ("498", || error(498, None, &[])),
        ("500", || error(500, None, &[])),
        ("502", || error(502, None, &[])),
        ("503", || error(503, None, &[])),
        ("504", || error(504, None, &[])),
        ("529", || error(529, None, &[])),
        ("520 HTML", || {
            reply(520, "<html><center>cloudflare</center></html>")
        }),
        ("200 HTML", || reply(200, "<html>hello</html>")),
        ("200 nothing", || reply(200, "")),
        ("200 half", || reply(200, r#"{"choices":[{"message":{"#)),
        ("200 empty choices", || {
            reply(200, r#"{"id":"x","choices":[]}"#)
        }),
    ];
    for (name, action) in cases {
        let mut scenario = one();
        scenario.sim.script = first_tries(1, move |_| action());
        let ended = scenario.run().await;
        assert_eq!(ended.summary.ok, 1, "{name}");
        assert_eq!(ended.rows[0]["attempts"], 2, "{name}");
    }
}

/// Fault 26: takes `slow_down` for an overload.
#[tokio::test(start_paused = true)]
async fn slow_down_is_an_overload() {
    let mut scenario = one();
    scenario.sim.script = first_tries(1, |_| error(429, Some("slow_down"), &[]));
    let ended = scenario.run().await;
    assert_eq!(ended.summary.ok, 1);
    assert_eq!(ended.summary.failed_attempts[0].0.label(), "overloaded");
}

/// Fault 30: classifies it by the code inside.
#[tokio::test(start_paused = true)]
async fn an_error_inside_a_200_is_classified_by_its_code() {
    for (body, kind, ok) in [
        (
            r#"{"error":{"code":502,"message":"upstream"}}"#,
            "server_error",
            true,
        ),
        (
            r#"{"error":{"code":429,"message":"slow"}}"#,
            "rate_limited",
            true,
        ),
        (
            r#"{"error":{"code":"context_length_exceeded","message":"long"}}"#,
            "context_length",
            false,
        ),
        (
            r#"{"error":{"code":400,"message":"bad"}}"#,
            "bad_request",
            false,
        ),
    ] {
        let mut scenario = one();
        scenario.sim.script = first_tries(1, move |_| reply(200, body));
        let ended = scenario.run().await;
        let first = ended.summary.failed_attempts[0].0.label();
        assert_eq!((first, ended.summary.ok == 1), (kind, ok), "{body}");
    }
}

/// Fault 24: records a failed row at once, with the provider's words, without a retry.
/// Fault 36: records a failed row of a kind of its own, without a retry.
#[tokio::test(start_paused = true)]
async fn an_items_own_fault_is_recorded_and_not_retried() {
    for (status, kind) in [
        (400, "bad_request"),
        (413, "bad_request"),
        (422, "bad_request"),
    ] {
        let mut scenario = Scenario::default();
        scenario.sim.script = first_tries(9, move |call| {
            if call.prompt == "item 3" {
                error(status, None, &[])
            } else {
                Action::Answer
            }
        });
        let ended = scenario.run().await;
        assert_eq!((ended.summary.ok, ended.summary.failed), (9, 1));
        assert_eq!(ended.error_kinds(), [kind]);
        assert_eq!(ended.arrivals("item 3").len(), 1);
    }
    let mut scenario = Scenario::default();
    let refusal = r#"{"choices":[{"finish_reason":"stop","message":{"role":"assistant",
        "content":null,"refusal":"I can't help with that."}}],
        "usage":{"prompt_tokens":5,"completion_tokens":7}}"#;
    scenario.sim.script = first_tries(9, move |call| {
        if call.prompt == "item 3" {
            reply(200, refusal)
        } else {
            Action::Answer
        }
    });
    let ended = scenario.run().await;
    assert_eq!(ended.error_kinds(), ["content_filtered"]);
    let row = ended.rows.iter().find(|row| row["index"] == 3).unwrap();
    assert_eq!(row["usage"]["output_tokens"], 7, "a refusal is billed");
    assert!(row["cost_usd"].as_f64().unwrap() > 0.0);
}

/// Attempts are bounded, and the row says how many there were.
#[tokio::test(start_paused = true)]
async fn an_item_that_keeps_failing_ends_after_its_attempts() {
    let mut scenario = Scenario {
        prompts: prompts(100),
        ..Scenario::default()
    };
    scenario.sim.script = first_tries(99, |call| {
        if call.prompt == "item 3" {
            error(500, None, &[])
        } else {
            Action::Answer
        }
    });
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (99, 1));
    let row = ended.rows.iter().find(|row| row["index"] == 3).unwrap();
    assert_eq!(
        (&row["error"]["kind"], &row["attempts"]),
        (&"server_error".into(), &5.into())
    );
    assert_eq!(ended.arrivals("item 3").len(), 5);
}

/// Faults 5, 6, 7: tries again; what may have been billed is counted.
#[tokio::test(start_paused = true)]
async fn broken_connections_cost_a_retry_and_no_row() {
    let cuts = [1, 15, 16, 60, 150, 250];
    for action in [Action::Reset]
        .into_iter()
        .chain(cuts.map(Action::CutAfter))
    {
        let mut scenario = Scenario {
            prompts: prompts(60),
            ..Scenario::default()
        };
        let shown = action.clone();
        scenario.sim.script = first_tries(1, move |call| {
            if call.seq % 5 == 0 {
                action.clone()
            } else {
                Action::Answer
            }
        });
        let ended = scenario.run().await;
        assert_eq!(ended.summary.ok, 60, "{shown:?}");
        assert!(ended.summary.failed_attempts[0].1 >= 6, "{shown:?}");
    }
}

/// Fault 5: moves to another connection, and charges nobody an attempt.
#[tokio::test(start_paused = true)]
async fn connections_that_the_server_closed_are_noticed_or_retried_for_free() {
    let mut scenario = Scenario {
        prompts: prompts(100),
        ..Scenario::default()
    };
    scenario.sim.script = first_tries(9, |_| Action::CloseAfterAnswer);
    let ended = scenario.run().await;
    assert_eq!(ended.summary.ok, 100);
    assert!(
        ended.rows.iter().all(|row| row["attempts"] == 1),
        "{:?}",
        ended.summary
    );
    assert_eq!(ended.summary.maybe_billed, 0);
}

/// Fault 10: gives up an answer that does not begin by its deadline, and tries again twice at most.
#[tokio::test(start_paused = true)]
async fn a_stalled_answer_ends_by_its_deadline() {
    let mut scenario = Scenario {
        settings: EngineSettings {
            timeouts: Timeouts {
                first_byte: Duration::from_secs(5),
                ..Timeouts::default()
            },
            ..EngineSettings::default()
        },
        ..Scenario::default()
    };
    scenario.sim.script = first_tries(99, |call| {
        if call.prompt == "item 3" {
            Action::Stall
        } else {
            Action::Answer
        }
    });
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (9, 1));
    assert_eq!(ended.error_kinds(), ["timeout_first_chunk"]);
    assert_eq!(
        ended.arrivals("item 3").len(),
        3,
        "each may be billed, so two retries"
    );
    assert_eq!(ended.summary.maybe_billed, 3);
    assert!(ended.wall < Duration::from_secs(20), "{:?}", ended.wall);
}

/// The same in the other dialect, with its own error bodies.
#[tokio::test(start_paused = true)]
async fn anthropics_errors_are_known_too() {
    let mut scenario = Scenario {
        provider: Dialect::Anthropic,
        model: "claude-sonnet-4-5",
        prompts: prompts(30),
        ..Scenario::default()
    };
    scenario.sim.script = first_tries(1, |call| match call.seq % 4 {
        0 => error(529, None, &[]),
        1 => error(500, None, &[]),
        2 => error(429, None, &[("retry-after", "3")]),
        _ => Action::Answer,
    });
    let ended = scenario.run().await;
    assert_eq!(ended.summary.ok, 30);
    let kinds: Vec<_> = ended
        .summary
        .failed_attempts
        .iter()
        .map(|(kind, _)| kind.label())
        .collect();
    for kind in ["overloaded", "server_error", "rate_limited"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
}

/// A storm of every kind at once: everything comes back, and nothing leaks.
#[tokio::test(start_paused = true)]
async fn a_mixed_storm_loses_nothing() {
    for seed in 0..5 {
        let mut scenario = Scenario {
            prompts: prompts(1_000),
            settings: EngineSettings {
                concurrency: fixed(50),
                seed,
                retry: RetrySettings {
                    max_attempts: 12,
                    ..RetrySettings::default()
                },
                ..EngineSettings::default()
            },
            ..Scenario::default()
        };
        scenario.sim.seed = seed;
        scenario.sim.faults.error_rate = vec![(500, 0.06), (529, 0.04), (429, 0.04)];
        scenario.sim.faults.reset = 0.03;
        scenario.sim.faults.cut = 0.03;
        let ended = scenario.run().await;
        // Cuts and resets may be billed, so three of them fail a row; all else is retried.
        assert_eq!(
            ended.summary.ok + ended.summary.failed,
            1_000,
            "seed {seed}"
        );
        assert!(
            ended.summary.failed <= 5,
            "seed {seed}: {:?}",
            ended.summary.failed
        );
        assert!(
            ended.wall < Duration::from_secs(120),
            "seed {seed}: {:?}",
            ended.wall
        );
    }
}

/// Fault 36: keeps filtered rows, however many come first, and does not stop for them.
#[tokio::test(start_paused = true)]
async fn filtered_first_items_do_not_stop_a_run() {
    let refusal = r#"{"choices":[{"message":{"content":null,"refusal":"no"},
        "finish_reason":"content_filter"}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
    let mut scenario = Scenario {
        prompts: prompts(100),
        ..Scenario::default()
    };
    scenario.sim.script = first_tries(9, move |call| match call.seq {
        ..=40 => reply(200, refusal),
        _ => Action::Answer,
    });
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (60, 40));
    assert_eq!(ended.error_kinds(), ["content_filtered"]);
}

/// A connection that breaks after minutes of work is no stale one: it may be billed.
#[tokio::test(start_paused = true)]
async fn a_late_reset_of_a_reused_connection_may_be_billed() {
    let mut scenario = Scenario {
        prompts: prompts(40),
        ..Scenario::default()
    };
    scenario.sim.script = first_tries(1, |call| match call.seq {
        30 => Action::Reset.after(Duration::from_secs(300)),
        _ => Action::Answer,
    });
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.maybe_billed), (40, 1));
}

/// Fault 35: takes the answer; the row names the model that answered.
#[tokio::test(start_paused = true)]
async fn the_model_that_answered_is_in_the_row() {
    for provider in [Dialect::Chat, Dialect::Anthropic] {
        let mut scenario = Scenario { provider, ..one() };
        let other = Action::Odd(Oddity::OtherModel("another-2030-01-01".into()));
        scenario.sim.script = first_tries(1, move |_| other.clone());
        let ended = scenario.run().await;
        assert_eq!(ended.summary.ok, 1);
        assert_eq!(ended.rows[0]["model"], "another-2030-01-01");
    }
}

/// Fault 37: takes the answer; its finish reason says that it was cut.
#[tokio::test(start_paused = true)]
async fn an_answer_that_the_token_limit_cut_is_taken_and_says_so() {
    for (provider, reason) in [(Dialect::Chat, "length"), (Dialect::Anthropic, "length")] {
        let mut scenario = Scenario { provider, ..one() };
        scenario.sim.script = first_tries(1, |_| Action::Odd(Oddity::Length));
        let ended = scenario.run().await;
        assert_eq!(ended.summary.ok, 1);
        assert_eq!(ended.rows[0]["finish_reason"], reason);
        assert_eq!(ended.sim.stats().received, 1, "no second request");
    }
}
