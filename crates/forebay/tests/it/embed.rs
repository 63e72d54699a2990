//! Embeddings: items travel together, and each has its own row, records and error.

use std::time::Duration;

use forebay::config::{EngineSettings, Packing};
use forebay::endpoint::Dialect;
use forebay::engine::Command;
use forebay::event::StopReason;
use forebay::money::Usd;
use forebay_sim::{Action, Call, Config, Event, Latency, Limits, LogRecord, Oddity, Shape, Sim};
use proptest::prelude::*;

use crate::harness::{Ended, Scenario, first_tries, fixed, prompts};

/// A text of more tokens than a model takes.
fn too_long() -> String {
    format!("item too long {}", "x".repeat(40_000))
}

fn packs_of(most: usize) -> Packing {
    Packing {
        max_inputs: most.try_into().unwrap(),
        ..Packing::default()
    }
}

fn scenario(items: usize, most: usize) -> Scenario {
    Scenario {
        provider: Dialect::Embeddings,
        model: "text-embedding-3-small",
        prompts: prompts(items),
        settings: EngineSettings {
            embed: Some(packs_of(most)),
            ..EngineSettings::default()
        },
        ..Scenario::default()
    }
}

fn with_script(mut scenario: Scenario, script: Option<forebay_sim::Script>) -> Scenario {
    scenario.sim.script = script;
    scenario
}

/// The requests of a run, as the simulator logged them.
fn requests(sim: &Sim) -> Vec<LogRecord> {
    let mut log = sim.log();
    log.retain(|record| record.event == Event::Request);
    log
}

/// The vectors by index; none for failed rows.
fn vectors(ended: &Ended) -> Vec<serde_json::Value> {
    let mut rows = ended.rows.clone();
    rows.sort_by_key(|row| row["index"].as_u64());
    rows.iter().map(|row| row["embedding"].clone()).collect()
}

fn sum(ended: &Ended, member: impl Fn(&serde_json::Value) -> Option<u64>) -> u64 {
    ended.rows.iter().filter_map(member).sum()
}

#[tokio::test(start_paused = true)]
async fn each_item_gets_its_own_vector_whatever_it_travels_with() {
    let alone = scenario(230, 1).run().await;
    assert_eq!(alone.summary.attempts, 230);
    let packed = scenario(230, 100).run().await;
    assert_eq!((packed.summary.ok, packed.summary.attempts), (230, 3));
    let sizes: Vec<_> = requests(&packed.sim).iter().map(|r| r.keys.len()).collect();
    assert_eq!(sizes, [100, 100, 30]);
    assert_eq!(vectors(&alone), vectors(&packed));
    assert_eq!(vectors(&packed)[7].as_array().unwrap().len(), 8);
    // Tokens and cost are divided without a rest.
    let told: u64 = requests(&packed.sim).iter().map(|r| r.input_tokens).sum();
    let tokens = sum(&packed, |row| row["usage"]["input_tokens"].as_u64());
    assert_eq!((tokens, packed.summary.usage.input_tokens), (told, told));
    let cost: f64 = packed
        .rows
        .iter()
        .filter_map(|row| row["cost_usd"].as_f64())
        .sum();
    let whole: f64 = packed.summary.cost.to_string().parse().unwrap();
    assert!(
        whole > 0.0 && (cost - whole).abs() < 1e-12,
        "{cost} {whole}"
    );
    let row = &packed.rows[0];
    assert_eq!(
        (&row["output"], &row["finish_reason"]),
        (&serde_json::Value::Null, &"stop".into())
    );
}

#[tokio::test(start_paused = true)]
async fn one_bad_text_among_many_is_one_error_row() {
    let mut scenario = scenario(500, 500);
    scenario.prompts[123] = too_long();
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (499, 1));
    let failed: Vec<_> = ended
        .rows
        .iter()
        .filter(|row| !row["error"].is_null())
        .collect();
    assert_eq!(failed[0]["index"], 123);
    assert_eq!(failed[0]["error"]["kind"], "context_length");
    // The whole, then two halves for each halving: nine of them bring 500 down to one.
    assert_eq!(ended.summary.attempts, 1 + 2 * 9);
    let attempts = |row: &&serde_json::Value| row["attempts"].as_u64();
    assert_eq!(failed.iter().find_map(attempts), Some(10));
}

#[tokio::test(start_paused = true)]
async fn a_run_of_bad_texts_only_stops_soon_and_leaves_them_pending() {
    let bad = first_tries(u32::MAX, |_| Action::status(400));
    let ended = with_script(scenario(5_000, 100), bad).run().await;
    assert_eq!(ended.summary.stopped, Some(StopReason::SameFailure));
    assert_eq!((ended.summary.ok, ended.summary.failed), (0, 0));
    assert!(ended.summary.attempts < 300, "{}", ended.summary.attempts);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_rate_counts_for_no_item() {
    let busy = first_tries(3, |_| Action::status(429));
    let ended = with_script(scenario(300, 100), busy).run().await;
    assert_eq!((ended.summary.ok, ended.summary.attempts), (300, 12));
    assert!(ended.rows.iter().all(|row| row["attempts"] == 4));
}

#[tokio::test(start_paused = true)]
async fn cut_answers_are_asked_for_again_and_may_have_been_billed_once() {
    let cut = first_tries(1, |_| Action::CutAfter(2_000));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let mut scenario = with_script(scenario(300, 100), cut);
    scenario.journal = Some(path.clone());
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.attempts), (300, 6));
    assert_eq!(ended.summary.maybe_billed, 3, "one for each request");
    let file = std::fs::File::open(&path).unwrap();
    let (history, _) = forebay::journal::History::read(&file, 0.0).unwrap();
    assert_eq!(history.total().maybe_billed, 3, "the journal says the same");
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_all_vectors_fails_nobody_for_good() {
    let odd = first_tries(1, |_| Action::Odd(Oddity::NullContent));
    let ended = with_script(scenario(100, 100), odd).run().await;
    assert_eq!((ended.summary.ok, ended.summary.attempts), (100, 2));
    // Every pack of more than ten is answered badly: the parts are not.
    let large = |call: &Call<'_>| match call.prompt {
        "item 0" if call.row == 1 => Action::Odd(Oddity::NoChoices),
        _ => Action::Answer,
    };
    let ended = with_script(scenario(100, 100), Some(std::sync::Arc::new(large)))
        .run()
        .await;
    assert_eq!((ended.summary.ok, ended.summary.attempts), (100, 5));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_at_many_texts_answers_fewer() {
    let overtaxed = |call: &Call<'_>| match call.row {
        1 => Action::status(500),
        _ => Action::Answer,
    };
    let script: forebay_sim::Script = std::sync::Arc::new(overtaxed);
    let ended = with_script(scenario(64, 64), Some(script)).run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (64, 0));
    assert_eq!(ended.summary.attempts, 5 + 2);
}

#[tokio::test(start_paused = true)]
async fn items_that_are_sent_are_never_sent_again_whatever_the_packs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("j");
    let journal = Some(path.clone());
    let session = |most| {
        let mut scenario = scenario(400, most);
        scenario.journal = journal.clone();
        scenario.settings.concurrency = fixed(2);
        scenario
    };
    let sim = Sim::new(session(1).sim);
    let mut first = session(40);
    first.orders = vec![(Duration::from_millis(1_200), Command::Abort)];
    let first = first.run_against(sim.clone()).await;
    assert_eq!((first.summary.ok, first.summary.maybe_billed), (160, 2));
    let told = || {
        let file = std::fs::File::open(&path).unwrap();
        let (history, _) = forebay::journal::History::read(&file, 0.0).unwrap();
        history.total().maybe_billed
    };
    assert_eq!(told(), 2, "one for each request, as the summary says");
    let mut second = session(7);
    second.orders = vec![(Duration::from_millis(1_700), Command::Abort)];
    let second = second.run_against(sim.clone()).await;
    assert_eq!((second.summary.kept.0, second.summary.ok), (160, 42));
    let third = session(100).run_against(sim.clone()).await;
    assert_eq!((third.summary.kept.0, third.summary.ok), (202, 198));
    assert_eq!(third.summary.attempts, 2);
    // Of each item, one answer was sent to its end.
    let log = sim.log();
    let answered = |seq| {
        log.iter()
            .any(|r| r.event == Event::Answer && r.seq == seq && r.status == Some(200))
    };
    let mut done: Vec<_> = requests(&sim)
        .into_iter()
        .filter(|request| answered(request.seq))
        .flat_map(|request| request.keys)
        .collect();
    assert_eq!(done.len(), 400);
    done.sort();
    done.dedup();
    assert_eq!(done.len(), 400);
}

#[tokio::test(start_paused = true)]
async fn rates_count_requests_and_all_their_tokens() {
    let mut rated = scenario(600, 100);
    rated.settings.limits.rpm = Some(60.0);
    let ended = rated.run().await;
    assert_eq!(ended.summary.attempts, 6);
    assert!(ended.wall >= Duration::from_secs(5), "{:?}", ended.wall);
    let mut rated = scenario(600, 100);
    // An item has 2 tokens.
    rated.settings.limits.tpm = Some(1_200.0);
    rated.sim.limits = Limits {
        tpm: Some(1_300),
        ..Limits::default()
    };
    let ended = rated.run().await;
    assert!(ended.wall > Duration::from_secs(40), "{:?}", ended.wall);
    assert!(ended.wall < Duration::from_secs(80), "{:?}", ended.wall);
    assert_eq!(ended.error_kinds(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_cap_on_cost_knows_that_vectors_are_free() {
    let mut capped = scenario(600, 100);
    capped.settings.concurrency = fixed(1);
    let whole = scenario(600, 100).run().await.summary.cost;
    // In the worst case an item has a token for each of its bytes, where it has a fourth of that.
    capped.settings.max_cost = Some(whole);
    let ended = capped.run().await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Cost));
    assert!(ended.summary.cost <= whole);
    let mut capped = scenario(600, 100);
    capped.settings.max_cost = Some(Usd::from_dollars(0.01).unwrap());
    assert_eq!(capped.run().await.summary.ok, 600);
}

#[tokio::test(start_paused = true)]
async fn the_same_text_is_sent_once_when_asked_to() {
    let mut same = scenario(200, 100);
    same.prompts = (0..200).map(|n| format!("item {}", n % 50)).collect();
    same.settings.dedup = true;
    let ended = same.run().await;
    assert_eq!(ended.summary.ok, 200);
    let sent: usize = requests(&ended.sim).iter().map(|r| r.keys.len()).sum();
    assert_eq!(sent as u64 + ended.summary.shared, 200);
    assert!(
        sent <= 100,
        "{sent}: only so many wait for another's answer"
    );
}

/// What the provider does to a pack, drawn by its key.
fn weather(call: &Call<'_>) -> Action {
    match call.key % 16 {
        0 if call.seen < 3 => Action::status(429),
        1 if call.seen < 3 => Action::status(500),
        2 if call.seen < 2 => Action::CutAfter(700),
        3 if call.seen < 2 => Action::Odd(Oddity::NullContent),
        4 if call.seen < 2 => Action::Shaped(Shape::default()),
        _ => Action::Answer,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn packs_keep_to_their_limits_and_every_item_ends_once(
        lengths in prop::collection::vec(1usize..3_000, 1..150),
        bad in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        most in 1usize..60,
        max_tokens in 300u64..5_000,
        in_flight in 1usize..8,
    ) {
        let mut texts: Vec<String> = lengths
            .iter()
            .enumerate()
            .map(|(n, length)| format!("item {n} {}", "word ".repeat(length / 5)))
            .collect();
        let mut bad: Vec<usize> = bad.iter().map(|index| index.index(texts.len())).collect();
        bad.sort_unstable();
        bad.dedup();
        for at in &bad {
            texts[*at] = format!("{at} {}", too_long());
        }
        let items = texts.len();
        let scenario = Scenario {
            provider: Dialect::Embeddings,
            model: "text-embedding-3-small",
            prompts: texts,
            settings: EngineSettings {
                concurrency: fixed(in_flight),
                embed: Some(Packing { max_inputs: most.try_into().unwrap(), max_tokens }),
                ..EngineSettings::default()
            },
            sim: Config {
                latency: Latency::Fixed(Duration::from_millis(100)),
                script: Some(std::sync::Arc::new(weather)),
                keep_log: true,
                ..Config::default()
            },
            ..Scenario::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let ended = runtime.block_on(scenario.run());
        // The judge has looked at every item; this is what it cannot know.
        if ended.summary.stopped.is_none() {
            prop_assert_eq!(ended.summary.ok, (items - bad.len()) as u64);
            prop_assert_eq!(ended.rows.len(), items);
        }
        for request in requests(&ended.sim) {
            prop_assert!(request.keys.len() <= most);
            // Estimates are within a few percent here, and a long text travels alone.
            let fits = request.input_tokens <= max_tokens + max_tokens / 5;
            prop_assert!(fits || request.keys.is_empty(), "{request:?}");
        }
    }
}
