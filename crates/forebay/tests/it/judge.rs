//! Every run of the engine is judged by its simulator's log, its rows and its journal.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use forebay::config::Concurrency;
use forebay::engine::Command;
use forebay_sim::check::{Bounds, Evidence, Format, Log, Rows, Sessions, Source, check};
use forebay_sim::{LogRecord, Sim};

use crate::harness::{Ended, KEY, Scenario};

/// Over sockets an answer may be read before the simulator has logged that it was sent.
const SLACK: Duration = Duration::from_millis(10);

/// What a run left behind, besides what its scenario and its end tell.
pub(crate) struct Left<'a> {
    pub(crate) rows: &'a [u8],
    pub(crate) journal: &'a Path,
    /// The simulator's requests from before the run.
    pub(crate) before: u64,
    pub(crate) over_sockets: bool,
}

/// Waits until the simulator has logged the end of every request.
pub(crate) async fn settle(sim: &Sim) {
    // Each wait lets the simulator's tasks run; in paused time it takes none.
    for _ in 0..1_000 {
        // Each request is a record, and so is its end.
        if sim.log().len() as u64 == 2 * sim.stats().received {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Fails the test when the run violated an invariant.
#[track_caller]
pub(crate) fn judge(scenario: &Scenario, ended: &Ended, left: &Left<'_>) {
    let mut log: Vec<LogRecord> = ended.sim.log();
    log.retain(|record| record.seq > left.before);
    // The highest of those that held.
    let orders = scenario.orders.iter().filter_map(|(_, order)| match order {
        Command::Tune(tuning) => tuning.concurrency,
        _ => None,
    });
    let limits = orders.chain([scenario.settings.concurrency]);
    let limits = limits.map(|concurrency| match concurrency {
        Concurrency::Fixed(n) | Concurrency::Auto { max: n } => n.get() as u64,
        Concurrency::Rule(_) => u64::MAX,
    });
    let limit = limits.max().filter(|limit| *limit < u64::MAX);
    let bounds = Bounds {
        items: Some(scenario.prompts.len() as u64),
        max_attempts: Some(scenario.settings.retry.max_attempts),
        retry_budget: true,
        max_in_flight: limit,
        slack: if left.over_sockets {
            SLACK
        } else {
            Duration::ZERO
        },
        secrets: vec![KEY.to_owned()],
        endpoint: Some("sim".into()),
        retry_failed: scenario.retry_failed,
        sessions: Sessions::Last,
        ..Bounds::default()
    };
    // A test may take the journal away.
    let journal = File::open(left.journal).ok().map(BufReader::new);
    let evidence = Evidence {
        log: scenario.sim.keep_log.then_some(Log::Records(&log)),
        rows: Some(Rows {
            source: Source::new("rows", left.rows),
            format: Format::Lines,
        }),
        journal: journal.map(|reader| Source::new("journal", reader)),
        ..Evidence::default()
    };
    let report = check(evidence, &bounds).unwrap();
    assert!(
        report.is_clean(),
        "the run violates what must hold:\n{report}"
    );
}
