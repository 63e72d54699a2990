//! Connections that are reset or cut.

use forebay_sim::{Action, DropReason, Event};

use crate::harness::{Scenario, first_tries, fixed, prompts};

/// Fault 5: repeats a request at once and for free when a reused connection turns out closed.
#[tokio::test(start_paused = true)]
async fn a_stale_connection_costs_no_attempt() {
    let mut scenario = Scenario {
        prompts: prompts(20),
        ..Scenario::default()
    };
    scenario.settings.concurrency = fixed(1);
    // No attempt may be charged at all.
    scenario.settings.retry.max_attempts = 1;
    scenario.sim.script = first_tries(1, |call| match call.nth_on_connection {
        1 => Action::Answer,
        _ => Action::Reset,
    });
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (20, 0));
    assert_eq!(ended.summary.maybe_billed, 0);
    let resets: u64 = ended.summary.failed_attempts.iter().map(|(_, n)| n).sum();
    assert!(resets >= 6, "{resets}");
}

/// Fault 5: opens a new connection for the free repetition, as what closed one idle connection has closed the others too.
#[tokio::test(start_paused = true)]
async fn a_restart_that_closes_all_idle_connections_costs_no_attempt() {
    let mut scenario = Scenario {
        prompts: prompts(5),
        ..Scenario::default()
    };
    // The fifth request finds four idle connections.
    scenario.settings.concurrency = fixed(4);
    scenario.settings.retry.max_attempts = 1;
    scenario.sim.script = Some(std::sync::Arc::new(
        |call: &forebay_sim::Call<'_>| match call.nth_on_connection {
            1 => Action::Answer,
            _ => Action::Reset,
        },
    ));
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (5, 0));
    let resets: u64 = ended.summary.failed_attempts.iter().map(|(_, n)| n).sum();
    assert_eq!(resets, 1);
}

/// Fault 6: repeats a request after a wait when a new connection is reset, and counts it as possibly billed.
#[tokio::test(start_paused = true)]
async fn a_reset_of_a_new_connection_is_charged() {
    for (attempts, ok) in [(1, 19), (2, 20)] {
        let mut scenario = Scenario {
            prompts: prompts(20),
            ..Scenario::default()
        };
        scenario.settings.retry.max_attempts = attempts;
        scenario.sim.script = first_tries(1, |call| match call.prompt {
            "item 0" => Action::Reset,
            _ => Action::Answer,
        });
        let ended = scenario.run().await;
        assert_eq!((ended.summary.ok, ended.summary.failed), (ok, 20 - ok));
        assert_eq!(ended.summary.maybe_billed, 1);
    }
}

/// Fault 7: discards a part of an answer, wherever it was cut, and tries again.
#[tokio::test(start_paused = true)]
async fn an_answer_cut_at_any_byte_is_tried_again() {
    // More than the longest answer has bytes, so that the last ones arrive whole.
    const ITEMS: usize = 1_000;
    let mut scenario = Scenario {
        prompts: prompts(ITEMS),
        ..Scenario::default()
    };
    scenario.sim.script = first_tries(1, |call| {
        let n = call.prompt.trim_start_matches("item ").parse().unwrap();
        Action::CutAfter(n)
    });
    let ended = scenario.run().await;
    assert_eq!(ended.summary.ok, ITEMS as u64);
    let cut = |reason| reason == Some(DropReason::Cut);
    let log = ended.sim.log();
    let cuts = log.iter().filter(|record| cut(record.reason)).count();
    assert!((300..ITEMS).contains(&cuts), "{cuts}");
    let whole = log.iter().filter(|r| r.event == Event::Answer).count();
    assert_eq!(whole, ITEMS, "each is answered whole once");
    let again = ended.rows.iter().filter(|row| row["attempts"] == 2).count();
    assert_eq!(
        again, cuts,
        "no cut answer is taken, no whole one asked again"
    );
}
