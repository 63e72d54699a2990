//! Event streams that were asked for, in every dialect: whole, cut, stalled, with errors in them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use forebay::endpoint::Dialect;
use forebay_sim::{Action, Latency, Oddity};

use crate::harness::{Ended, Scenario, first_tries, fixed};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DIALECTS: [(Dialect, &str); 4] = [
    (Dialect::Chat, "gpt-4o-mini"),
    (Dialect::Responses, "gpt-4o-mini"),
    (Dialect::Anthropic, "claude-haiku-4-5"),
    (Dialect::Gemini, "gemini-2.5-flash"),
];

/// Items whose answers have many tokens, which come one by one.
fn prompts(n: usize) -> Vec<String> {
    let prompt = |i| {
        format!(
            "item {i}: Grüße an die Welt 世界 🌍, {}end",
            "word ".repeat(12)
        )
    };
    (0..n).map(prompt).collect()
}

/// A run of ten items, one after the other, whose answers are asked for as streams.
fn scenario((provider, model): (Dialect, &'static str)) -> Scenario {
    let mut scenario = Scenario {
        provider,
        model,
        stream: true,
        prompts: prompts(10),
        ..Scenario::default()
    };
    scenario.settings.concurrency = fixed(1);
    scenario.sim.latency = Latency::PerToken {
        first: Duration::from_millis(300),
        per_output_token: Duration::from_millis(20),
    };
    scenario
}

/// Runs with this at the first try of every other item.
async fn run(dialect: (Dialect, &'static str), action: Action) -> Ended {
    let mut scenario = scenario(dialect);
    scenario.sim.script = first_tries(1, move |call| match is_struck(call.prompt) {
        true => action.clone(),
        false => Action::Answer,
    });
    let ended = scenario.run().await;
    assert_eq!(
        ended.summary.failed,
        0,
        "{dialect:?} {:?}",
        ended.error_kinds()
    );
    for row in &ended.rows {
        assert_eq!(row["output"], row["text"], "{dialect:?}");
    }
    ended
}

fn is_struck(prompt: &str) -> bool {
    let digit = prompt
        .strip_prefix("item ")
        .and_then(|rest| rest.chars().next());
    digit.is_some_and(|digit| digit.to_digit(10).unwrap() % 2 == 1)
}

/// Every other item was tried a second time, for this reason.
fn tried_again(ended: &Ended, kind: &str, maybe_billed: u64) {
    for row in &ended.rows {
        let tries = 1 + u64::from(is_struck(row["text"].as_str().unwrap()));
        assert_eq!(row["attempts"], tries, "{row}");
    }
    let failed: Vec<_> = ended.summary.failed_attempts.iter().collect();
    let failed: Vec<_> = failed.iter().map(|(kind, n)| (kind.label(), *n)).collect();
    assert_eq!(failed, [(kind, 5)]);
    assert_eq!(ended.summary.maybe_billed, maybe_billed, "{kind}");
}

/// A streamed answer is a row like any other, with the time to its first piece; and its
/// connection carries the next request.
#[tokio::test(start_paused = true)]
async fn streams_become_rows_over_one_connection() {
    for dialect in DIALECTS {
        let ended = run(dialect, Action::Answer).await;
        assert_eq!(ended.summary.ok, 10);
        for row in &ended.rows {
            let first = row["time_to_first_chunk_s"].as_f64().unwrap();
            let whole = row["duration_s"].as_f64().unwrap();
            assert!((0.29..0.5).contains(&first), "{dialect:?} {first}");
            assert!(whole > first + 0.3, "{dialect:?} {first} {whole}");
            assert_eq!(row["finish_reason"], "stop");
            assert!(row["usage"]["output_tokens"].as_u64().unwrap() > 15);
            assert!(row["cost_usd"].as_f64() > Some(0.0), "{dialect:?}");
        }
        let log = ended.sim.log();
        let connections: BTreeSet<_> = log.iter().map(|record| record.connection).collect();
        assert_eq!(connections.len(), 1, "{dialect:?}");
    }
}

/// Fault 8: a stream that was asked for and is cut in the middle is tried again, and counted as
/// possibly billed.
#[tokio::test(start_paused = true)]
async fn cut_streams_are_tried_again() {
    for dialect in DIALECTS {
        for bytes in [700, 1_500] {
            let ended = run(dialect, Action::CutAfter(bytes)).await;
            tried_again(&ended, "truncated", 5);
        }
    }
}

/// Fault 8: a stream that was asked for and ends well formed, but without a reason, is cut.
/// Fault 9: only Anthropic's needs its last event besides the reason; the others are whole.
#[tokio::test(start_paused = true)]
async fn streams_without_their_end_are_cut() {
    for dialect in DIALECTS {
        let ended = run(dialect, Action::Odd(Oddity::NoFinish)).await;
        tried_again(&ended, "truncated", 5);
        let ended = run(dialect, Action::Odd(Oddity::NoTerminator)).await;
        match dialect.0 {
            Dialect::Anthropic => tried_again(&ended, "truncated", 5),
            _ => assert!(ended.rows.iter().all(|row| row["attempts"] == 1)),
        }
    }
}

/// Fault 12: gives up a stream of comments alone by the deadline of the first byte, and tries
/// again: what only keeps a connection alive is no progress.
#[tokio::test(start_paused = true)]
async fn comments_alone_are_no_progress() {
    for dialect in DIALECTS {
        let mut scenario = scenario(dialect);
        scenario.settings.timeouts.first_byte = s(60);
        scenario.sim.script = first_tries(1, |call| match call.prompt.starts_with("item 3") {
            true => Action::Odd(Oddity::CommentsOnly(s(1))),
            false => Action::Answer,
        });
        let ended = scenario.run().await;
        assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0));
        let [(kind, n)] = ended.summary.failed_attempts[..] else {
            panic!("{:?}", ended.summary.failed_attempts)
        };
        assert_eq!((kind.label(), n), ("timeout_first_chunk", 1), "{dialect:?}");
        assert!(ended.wall > s(60) && ended.wall < s(90), "{:?}", ended.wall);
        assert_eq!(ended.summary.maybe_billed, 1);
    }
}

/// Fault 11: gives up a stream that stalls in the middle by the idle deadline, whether comments
/// keep coming or nothing at all comes.
/// Fault 12: comments between two pieces of an answer are no progress either.
#[tokio::test(start_paused = true)]
async fn a_stall_in_the_middle_is_seen_through_comments() {
    for dialect in DIALECTS {
        for comments in [true, false] {
            let mut scenario = scenario(dialect);
            scenario.prompts = vec!["a prompt of some tokens".to_owned()];
            scenario.settings.timeouts.idle = s(60);
            scenario.sim.latency = Latency::PerToken {
                first: s(1),
                per_output_token: s(100),
            };
            scenario.sim.script = Some(Arc::new(move |_| match comments {
                true => Action::Odd(Oddity::Comments(s(5))),
                false => Action::Answer,
            }));
            let ended = scenario.run().await;
            let row = &ended.rows[0];
            assert_eq!(
                row["error"]["kind"], "timeout_between_chunks",
                "{dialect:?}"
            );
            // After 101 seconds the first token, and a minute later the deadline, three times.
            assert!(
                ended.wall > s(483) && ended.wall < s(495),
                "{:?}",
                ended.wall
            );
            assert_eq!(ended.summary.maybe_billed, 3);
        }
    }
}

/// Fault 30: an error in the middle of a stream that was asked for is classified by its code, and
/// counted as possibly billed when content has come before it.
#[tokio::test(start_paused = true)]
async fn an_error_in_the_middle_is_classified_and_may_have_been_billed() {
    for dialect in DIALECTS {
        for (tokens, maybe_billed) in [(0, 0), (3, 5)] {
            for (status, kind) in [(500, "server_error"), (429, "rate_limited")] {
                let error = Oddity::ErrorAfter { tokens, status };
                let ended = run(dialect, Action::Odd(error)).await;
                tried_again(&ended, kind, maybe_billed);
            }
        }
    }
}
