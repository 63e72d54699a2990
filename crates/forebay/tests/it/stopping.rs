//! Runs that stop before their input ends, and those that survive an outage.

use std::sync::Arc;
use std::time::Duration;

use forebay::config::{EngineSettings, Limits};
use forebay::engine::Command;
use forebay::event::StopReason;
use forebay::money::Usd;
use forebay_sim::{Action, Event, Oddity};
use serde_json::value::RawValue;

use crate::harness::{Scenario, first_tries, fixed, prompts};

fn quota() -> Action {
    Action::Error {
        status: 429,
        kind: "insufficient_quota".into(),
        code: Some("insufficient_quota".into()),
        message: "You exceeded your current quota.".into(),
        headers: Vec::new(),
    }
}

fn many() -> Scenario {
    Scenario {
        prompts: prompts(500),
        ..Scenario::default()
    }
}

/// The same, twenty at a time, which is a second each.
fn by_twenties() -> Scenario {
    let mut scenario = many();
    scenario.settings.concurrency = fixed(20);
    scenario
}

/// Fault 21: stops at once, with no further request than those in flight; rows stay pending.
#[tokio::test(start_paused = true)]
async fn an_exhausted_quota_stops_at_once() {
    let mut scenario = many();
    scenario.sim.script = Some(Arc::new(|call| match call.seq {
        ..=100 => Action::Answer,
        _ => quota(),
    }));
    let ended = scenario.run().await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Quota));
    assert_eq!((ended.summary.ok, ended.summary.failed), (100, 0));
    assert!(
        ended.sim.stats().received <= 100 + 20,
        "{:?}",
        ended.sim.stats()
    );
}

/// Fault 22: stops after three refusals in a row, at the start or in the middle.
#[tokio::test(start_paused = true)]
async fn a_refused_key_stops_after_three_in_a_row() {
    for good in [0, 100] {
        let mut scenario = many();
        scenario.sim.script = Some(Arc::new(move |call| {
            if call.seq <= good {
                Action::Answer
            } else {
                Action::status(401)
            }
        }));
        let ended = scenario.run().await;
        assert_eq!(ended.summary.stopped, Some(StopReason::Auth));
        assert_eq!((ended.summary.ok, ended.summary.failed), (good, 0));
        assert!(ended.summary.stop_example.is_some());
    }
    let mut alone = Scenario {
        prompts: prompts(1),
        ..Scenario::default()
    };
    alone.sim.script = first_tries(99, |_| Action::status(401));
    let ended = alone.run().await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Auth));
    assert_eq!((ended.summary.pending, ended.summary.failed), (1, 0));
}

/// Fault 22: tries again after a single refusal among successes.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_once_is_tried_again() {
    let mut scenario = many();
    scenario.sim.script = Some(Arc::new(|call| {
        if call.seq == 50 {
            Action::status(401)
        } else {
            Action::Answer
        }
    }));
    let ended = scenario.run().await;
    assert_eq!((ended.summary.stopped, ended.summary.ok), (None, 500));
}

/// Fault 23: stops early with the provider's words, and leaves the rows pending.
#[tokio::test(start_paused = true)]
async fn an_unknown_model_or_a_bad_parameter_stops_early() {
    for (status, reason) in [(404, StopReason::NotFound), (400, StopReason::SameFailure)] {
        let mut scenario = many();
        scenario.sim.script = first_tries(99, move |_| Action::status(status));
        let ended = scenario.run().await;
        assert_eq!(ended.summary.stopped, Some(reason), "{status}");
        assert_eq!(ended.summary.failed, 0);
        assert!(ended.sim.stats().received <= 40);
        let example = ended.summary.stop_example.unwrap();
        assert_eq!(example.status, Some(status));
    }
}

/// Fault 23: records fewer items than it takes to be sure as failed rows.
#[tokio::test(start_paused = true)]
async fn few_items_that_all_fail_are_failed_rows() {
    let mut scenario = Scenario {
        prompts: prompts(5),
        ..Scenario::default()
    };
    scenario.sim.script = first_tries(99, |_| Action::status(400));
    let ended = scenario.run().await;
    assert_eq!((ended.summary.stopped, ended.summary.failed), (None, 5));
}

/// Fault 1: stops with everything pending when the endpoint never was up.
#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_was_up_stops_with_everything_pending() {
    let mut scenario = many();
    scenario.sim.script = first_tries(99, |_| Action::Reset);
    let ended = scenario.run().await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Outage));
    assert_eq!((ended.summary.ok, ended.summary.failed), (0, 0));
    assert!(ended.wall < Duration::from_secs(60), "{:?}", ended.wall);
}

/// Fault 1: waits for a server that comes up a little late.
#[tokio::test(start_paused = true)]
async fn a_server_that_comes_up_three_seconds_late_is_used() {
    let mut scenario = many();
    scenario.sim.script = Some(Arc::new(|call| {
        if call.since_start < Duration::from_secs(3) {
            Action::Reset
        } else {
            Action::Answer
        }
    }));
    let ended = scenario.run().await;
    assert_eq!((ended.summary.stopped, ended.summary.ok), (None, 500));
}

/// Fault 27: pauses and probes, burns no attempts, and goes on by itself.
#[tokio::test(start_paused = true)]
async fn an_outage_of_ten_minutes_pauses_and_probes() {
    let mut scenario = Scenario {
        prompts: prompts(2_000),
        ..Scenario::default()
    };
    scenario.sim.script = Some(Arc::new(|call| {
        let down = Duration::from_secs(2)..Duration::from_secs(602);
        if down.contains(&call.since_start) {
            Action::status(502)
        } else {
            Action::Answer
        }
    }));
    let ended = scenario.run().await;
    assert_eq!(
        (ended.summary.stopped.clone(), ended.summary.failed),
        (None, 0)
    );
    assert!(ended.events.contains(&"OutageBegan".to_owned()));
    assert!(ended.events.contains(&"OutageEnded".to_owned()));
    let log = ended.sim.log();
    let during = log
        .iter()
        .filter(|record| record.event == Event::Request && (12.0..592.0).contains(&record.t_s))
        .count();
    assert!((5..40).contains(&during), "probes only: {during}");
    assert!(
        ended.wall < Duration::from_secs(602 + 61 + 60),
        "{:?}",
        ended.wall
    );
}

/// The cap holds with everything in flight, and the rest stays pending.
#[tokio::test(start_paused = true)]
async fn the_cap_on_cost_holds() {
    let cap = Usd::from_dollars(0.0005).unwrap();
    let mut scenario = many();
    scenario.settings = EngineSettings {
        max_cost: Some(cap),
        max_tokens: Some(16),
        concurrency: fixed(30),
        ..EngineSettings::default()
    };
    let ended = scenario.run().await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Cost));
    assert!(ended.summary.cost <= cap, "{}", ended.summary.cost);
    assert!(
        ended.summary.cost.dollars() > 0.9 * cap.dollars(),
        "{}",
        ended.summary.cost
    );
    assert!(
        ended.summary.ok > 50 && ended.summary.ok < 500,
        "{}",
        ended.summary.ok
    );
}

/// Fault 17: goes on by itself when a provider that named no wait answers again, however short the longest wait is that it may ask for.
#[tokio::test(start_paused = true)]
async fn the_engines_own_backoff_is_no_wait_that_was_asked_for() {
    let mut scenario = many();
    scenario.settings.retry.max_wait = Duration::from_secs(2);
    let recovers = Duration::from_secs(300);
    scenario.sim.script = Some(Arc::new(move |call| {
        if call.since_start < recovers {
            Action::Error {
                status: 429,
                kind: "rate_limit_error".into(),
                code: None,
                message: "slow down".into(),
                headers: Vec::new(),
            }
        } else {
            Action::Answer
        }
    }));
    let n = scenario.prompts.len() as u64;
    let ended = scenario.run().await;
    assert_eq!(ended.summary.stopped, None);
    assert_eq!(ended.summary.ok, n);
}

/// A limit per day that is used up says until when, and leaves the rest pending.
#[tokio::test(start_paused = true)]
async fn a_used_up_day_stops() {
    let mut scenario = many();
    scenario.settings.limits = Limits {
        rpd: Some(120),
        ..Limits::default()
    };
    let ended = scenario.run().await;
    assert!(matches!(
        ended.summary.stopped,
        Some(StopReason::RateLimited { .. })
    ));
    assert_eq!(ended.summary.ok, 120);
}

/// Faults 49, 50: finishes what is in flight at the first, gives it up at the second, and loses
/// nothing that was finished.
#[tokio::test(start_paused = true)]
async fn interrupts_lose_nothing_that_was_finished() {
    let (s, ms) = (Duration::from_secs, Duration::from_millis);
    let gentle = Scenario {
        orders: vec![(ms(2_200), Command::Drain)],
        ..by_twenties()
    }
    .run()
    .await;
    assert_eq!(gentle.summary.stopped, Some(StopReason::Interrupted));
    assert_eq!(gentle.summary.ok, 100);
    assert!(gentle.wall < ms(2_600), "{:?}", gentle.wall);
    assert_eq!(gentle.summary.maybe_billed, 0);

    let orders = vec![(ms(2_200), Command::Drain), (ms(2_300), Command::Abort)];
    let hard = Scenario {
        orders,
        ..by_twenties()
    }
    .run()
    .await;
    assert!(hard.wall < ms(2_400), "{:?}", hard.wall);
    assert_eq!((hard.summary.ok, hard.summary.maybe_billed), (80, 20));

    let mut stuck = Scenario {
        orders: vec![(s(2), Command::Drain)],
        ..by_twenties()
    };
    stuck.sim.script = first_tries(99, |call| {
        if call.seq > 60 {
            Action::Stall
        } else {
            Action::Answer
        }
    });
    let ended = stuck.run().await;
    assert!(
        ended.wall >= s(32) && ended.wall < s(33),
        "grace of 30 s: {:?}",
        ended.wall
    );
}

/// Identical requests in flight are sent once, and each item has its row.
#[tokio::test(start_paused = true)]
async fn identical_requests_in_flight_are_sent_once_with_dedup() {
    let texts = ["item a", "item b", "item c"];
    let prompts: Vec<String> = (0..300).map(|i| texts[i % 3].to_owned()).collect();
    let mut scenario = Scenario {
        prompts,
        ..Scenario::default()
    };
    scenario.settings.dedup = true;
    let ended = scenario.run().await;
    assert_eq!(ended.summary.ok, 300);
    let received = ended.sim.stats().received;
    assert!(received <= 12, "{received}");
    assert_eq!(ended.summary.shared, 300 - received);
    let free = ended.rows.iter().filter(|row| row["attempts"] == 0).count() as u64;
    assert_eq!(free, 300 - received);
}

/// Fault 34: takes the answer, and calls its cost unknown rather than nothing.
#[tokio::test(start_paused = true)]
async fn an_answer_without_usage_costs_an_unknown_amount() {
    let mut scenario = Scenario {
        prompts: prompts(1),
        ..Scenario::default()
    };
    scenario.sim.script = first_tries(1, |_| Action::Reply {
        status: 200,
        headers: Vec::new(),
        body: br#"{"choices":[{"message":{"content":"item 0"},"finish_reason":"stop"}]}"#.to_vec(),
    });
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.cost_unknown), (1, 1));
    assert!(ended.rows[0]["cost_usd"].is_null() && ended.rows[0]["usage"].is_null());
}

/// Fault 45: notices a deleted journal, and sends nothing that cannot be kept.
#[tokio::test(start_paused = true)]
async fn a_deleted_journal_stops_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let doomed = path.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(3_200)).await;
        std::fs::remove_file(doomed).unwrap();
    });
    let ended = Scenario {
        journal: Some(path),
        ..by_twenties()
    }
    .run()
    .await;
    assert!(
        matches!(&ended.summary.stopped, Some(StopReason::Io { message })
            if message.contains("deleted")),
        "{:?}",
        ended.summary.stopped
    );
    assert!(ended.wall < Duration::from_secs(5), "{:?}", ended.wall);
}

/// Answers that arrived are kept, even when the rest is given up in the same turn.
#[tokio::test(start_paused = true)]
async fn what_arrives_in_the_turn_of_an_abort_is_kept() {
    let mut scenario = Scenario {
        prompts: prompts(10),
        ..Scenario::default()
    };
    scenario.orders = vec![(Duration::from_millis(500), Command::Abort)];
    let ended = scenario.run().await;
    assert_eq!(ended.summary.ok, ended.sim.stats().answered_ok);
}

/// Items that wait for an answer which is set aside must not hold the run up for ever.
#[tokio::test(start_paused = true)]
async fn sharing_an_answer_that_is_set_aside_ends() {
    let mut scenario = Scenario {
        prompts: vec!["item a".to_owned(); 200],
        ..Scenario::default()
    };
    scenario.settings.dedup = true;
    scenario.sim.script = first_tries(99, |_| Action::status(400));
    let ended = scenario.run().await;
    assert_eq!((ended.summary.failed, ended.summary.stopped), (200, None));
}

fn useless_but_billed() -> Action {
    Action::Reply {
        status: 200,
        headers: Vec::new(),
        body: br#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":16}}"#.to_vec(),
    }
}

/// What failed attempts cost counts against the cap, in this session and the next.
#[tokio::test(start_paused = true)]
async fn the_cap_on_cost_holds_over_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let cap = Usd::from_dollars(0.0005).unwrap();
    let mut spent = 0.0;
    for session in 0..4 {
        let mut scenario = Scenario {
            journal: Some(directory.path().join("j")),
            ..many()
        };
        scenario.settings.max_cost = Some(cap);
        scenario.settings.max_tokens = Some(16);
        scenario.sim.script = Some(Arc::new(|call| {
            if call.prompt == "item 0" {
                Action::Answer
            } else {
                useless_but_billed()
            }
        }));
        let ended = scenario.run().await;
        assert_eq!(ended.summary.stopped, Some(StopReason::Cost), "{session}");
        spent += ended.summary.cost.dollars();
    }
    assert!(
        spent <= cap.dollars() && spent > 0.5 * cap.dollars(),
        "{spent}"
    );
}

/// An answer that tells no tokens is taken to have cost the most that it can, in this session and
/// the next.
#[tokio::test(start_paused = true)]
async fn the_cap_on_cost_does_not_trust_silence_over_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let session = || {
        let mut scenario = Scenario {
            journal: Some(directory.path().join("j")),
            ..many()
        };
        scenario.settings.max_cost = Some(Usd::from_dollars(0.0005).unwrap());
        scenario.settings.max_tokens = Some(16);
        scenario.sim.script = Some(Arc::new(|_| Action::Odd(Oddity::NoUsage)));
        scenario
    };
    let first = session().run().await;
    assert_eq!(first.summary.stopped, Some(StopReason::Cost));
    assert!(first.summary.ok > 0);
    let second = session().run().await;
    assert_eq!(second.summary.stopped, Some(StopReason::Cost));
    assert_eq!(
        (second.summary.kept.0, second.summary.attempts),
        (first.summary.ok, 0)
    );
}

/// Several choices of an answer cost as much each.
#[tokio::test(start_paused = true)]
async fn the_cap_on_cost_counts_every_choice() {
    let attempts = |choices: Option<&str>| {
        let mut scenario = many();
        scenario.settings.concurrency = fixed(1_000);
        scenario.settings.max_cost = Some(Usd::from_dollars(0.0005).unwrap());
        scenario.settings.max_tokens = Some(100);
        scenario.parameters.extra = choices
            .map(|n| ("n".to_owned(), RawValue::from_string(n.to_owned()).unwrap()))
            .into_iter()
            .collect();
        scenario.sim.script = Some(Arc::new(|_| Action::Odd(Oddity::NoUsage)));
        async { scenario.run().await.summary.attempts }
    };
    let (one, eight) = (attempts(None).await, attempts(Some("8")).await);
    assert!(one > 0 && eight <= one / 4, "{one} {eight}");
}
