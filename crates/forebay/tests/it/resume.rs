//! Journals across sessions: resume, retried failures, edited inputs.

use std::path::Path;
use std::time::Duration;

use forebay::config::EngineSettings;
use forebay::engine::Command;
use forebay_sim::{Action, Latency, Sim};

use crate::harness::{Ended, Scenario, first_tries, fixed, prompts};

#[tokio::test(start_paused = true)]
async fn a_resumed_run_sends_only_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Some(directory.path().join("j"));
    let orders = vec![(Duration::from_millis(1_700), Command::Abort)];
    let scenario = || Scenario {
        prompts: prompts(200),
        journal: journal.clone(),
        settings: EngineSettings {
            concurrency: fixed(20),
            ..EngineSettings::default()
        },
        ..Scenario::default()
    };
    let sim = Sim::new(scenario().sim);
    let first = Scenario {
        orders,
        ..scenario()
    }
    .run_against(sim.clone())
    .await;
    assert_eq!(first.summary.ok, 60);
    assert_eq!(first.summary.maybe_billed, 20);
    let second = scenario().run_against(sim.clone()).await;
    assert_eq!((second.summary.kept, second.summary.ok), ((60, 0), 140));
    assert_eq!(
        sim.stats().received,
        220,
        "the 20 in flight at the interrupt, and nothing else"
    );
    let third = scenario().run_against(sim.clone()).await;
    assert_eq!((third.summary.kept, third.summary.attempts), ((200, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn edited_and_inserted_items_are_the_only_ones_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Some(directory.path().join("j"));
    let scenario = |prompts| Scenario {
        prompts,
        journal: journal.clone(),
        ..Scenario::default()
    };
    scenario(prompts(50)).run().await;
    let mut edited = prompts(50);
    edited[7] = "item seven".into();
    edited.insert(20, "item new".into());
    edited.remove(40);
    let again = scenario(edited).run().await;
    assert_eq!((again.summary.kept.0, again.summary.attempts), (48, 2));
}

#[tokio::test(start_paused = true)]
async fn items_with_the_same_request_have_a_row_each() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Some(directory.path().join("j"));
    let scenario = || Scenario {
        prompts: vec!["item x".into(); 30],
        journal: journal.clone(),
        ..Scenario::default()
    };
    let first = scenario().run().await;
    assert_eq!((first.summary.ok, first.summary.attempts), (30, 30));
    let again = scenario().run().await;
    assert_eq!((again.summary.kept.0, again.summary.attempts), (30, 0));
}

#[tokio::test(start_paused = true)]
async fn failed_rows_stay_failed_until_they_are_to_be_retried() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Some(directory.path().join("j"));
    let scenario = || Scenario {
        prompts: prompts(50),
        journal: journal.clone(),
        ..Scenario::default()
    };
    let mut failing = scenario();
    failing.sim.script = first_tries(99, |call| {
        if call.prompt.ends_with('3') {
            Action::status(400)
        } else {
            Action::Answer
        }
    });
    let first = failing.run().await;
    assert_eq!((first.summary.ok, first.summary.failed), (45, 5));
    let same = scenario().run().await;
    assert_eq!((same.summary.kept, same.summary.attempts), ((45, 5), 0));
    let retried = Scenario {
        retry_failed: true,
        ..scenario()
    }
    .run()
    .await;
    assert_eq!((retried.summary.kept, retried.summary.ok), ((45, 0), 5));
    let last = scenario().run().await;
    assert_eq!((last.summary.kept, last.summary.attempts), ((50, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_goes_on_once_the_quota_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Some(directory.path().join("j"));
    let scenario = || Scenario {
        prompts: prompts(100),
        journal: journal.clone(),
        ..Scenario::default()
    };
    let mut stopping = scenario();
    stopping.sim.script = Some(std::sync::Arc::new(|call| match call.seq {
        ..=30 => Action::Answer,
        _ => Action::status(402),
    }));
    let first = stopping.run().await;
    assert_eq!(first.summary.ok, 30);
    let second = scenario().run().await;
    assert_eq!((second.summary.kept.0, second.summary.ok), (30, 70));
}

/// Items that cannot succeed must not keep a resumed run from ending.
#[tokio::test(start_paused = true)]
async fn a_resumed_run_of_hopeless_items_ends() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Some(directory.path().join("j"));
    let scenario = |n| Scenario {
        prompts: prompts(n),
        journal: journal.clone(),
        ..Scenario::default()
    };
    scenario(10).run().await;
    let mut hopeless = scenario(50);
    hopeless.sim.script = first_tries(99, |_| Action::status(400));
    let ended = hopeless.run().await;
    assert_eq!(ended.summary.stopped, None);
    assert_eq!((ended.summary.kept.0, ended.summary.failed), (10, 40));
}

/// A failure that was replaced serves no later item with the same request.
#[tokio::test(start_paused = true)]
async fn a_replaced_failure_serves_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Some(directory.path().join("j"));
    let scenario = |n| Scenario {
        prompts: vec!["item x".into(); n],
        journal: journal.clone(),
        ..Scenario::default()
    };
    let mut failing = scenario(1);
    failing.sim.script = first_tries(99, |_| Action::status(400));
    assert_eq!(failing.run().await.summary.failed, 1);
    let retried = Scenario {
        retry_failed: true,
        ..scenario(1)
    };
    assert_eq!(retried.run().await.summary.ok, 1);
    let twice = scenario(2).run().await;
    assert_eq!((twice.summary.kept, twice.summary.ok), ((1, 0), 1));
}

/// The journal of a session that read its whole input says how many items that were.
#[tokio::test(start_paused = true)]
async fn a_session_that_read_all_of_its_input_says_how_much() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    for n in [3, 5] {
        let scenario = Scenario {
            prompts: prompts(n),
            journal: Some(path.clone()),
            ..Scenario::default()
        };
        assert_eq!(scenario.run().await.summary.pending, 0);
        let journal = std::fs::read_to_string(&path).unwrap();
        let last = journal
            .lines()
            .rfind(|line| line.contains(r#""t":"items""#));
        let total = format!(r#""total":{n},"#);
        assert!(last.is_some_and(|line| line.contains(&total)), "{last:?}");
    }
}

/// The attempts in flight that the journal says were learnt, newest last.
fn learnt(journal: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(journal).unwrap();
    let records = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    records
        .filter(|record| record["t"] == "learnt")
        .filter_map(|record| record["data"]["in_flight"].as_f64())
        .collect()
}

/// A provider that serves forty requests at once and refuses more.
fn forty_at_once(journal: &Path) -> Scenario {
    let mut scenario = Scenario {
        prompts: prompts(5_000),
        journal: Some(journal.to_owned()),
        ..Scenario::default()
    };
    scenario.sim.limits.max_in_flight = Some(40);
    scenario.sim.latency = Latency::Fixed(Duration::from_secs(1));
    scenario
}

#[tokio::test(start_paused = true)]
async fn a_killed_run_goes_on_at_the_limit_that_it_had_found() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("j");
    // Dropped in the middle, as a kill leaves it.
    let run = forty_at_once(&journal).run();
    let ended = tokio::time::timeout(Duration::from_secs(45), run).await;
    assert!(ended.is_err(), "it was to be killed");
    let found = *learnt(&journal).last().unwrap();
    assert!((30.0..=44.0).contains(&found), "{found}");
    // Before the first answer, so that what is in flight is what the session began with.
    let orders = vec![(Duration::from_millis(900), Command::Abort)];
    let resumed = Scenario {
        orders: orders.clone(),
        ..forty_at_once(&journal)
    };
    let resumed = resumed.run().await;
    let fresh = Scenario {
        orders,
        ..forty_at_once(&directory.path().join("other"))
    };
    let fresh = fresh.run().await;
    let limit = resumed.stats.limit as f64;
    assert!(
        (0.9..=1.1).contains(&(limit / found)),
        "{limit} after {found}"
    );
    let sent = |ended: &Ended| (ended.sim.stats().received, ended.sim.stats().rejected);
    assert_eq!(sent(&resumed), (limit as u64, 0));
    let (_, refused) = sent(&fresh);
    assert!(refused > 0, "a fresh run has to find out");
}

#[tokio::test(start_paused = true)]
async fn what_was_learnt_is_recorded_seldom() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("j");
    let ended = forty_at_once(&journal).run().await;
    assert_eq!(ended.summary.ok, 5_000);
    let most = ended.wall.as_secs() / 10 + 1;
    let records = learnt(&journal).len() as u64;
    assert!(
        (1..=most).contains(&records),
        "{records} in {:?}",
        ended.wall
    );
}
