//! Runs of the command, all sessions of them, judged by log, results and journal.

use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

use forebay_sim::check::{Bounds, Evidence, Format, Log, Rows, Source, check};

use crate::harness::Folder;
use crate::simulator::Simulator;

/// An answer may be read before the simulator has logged that it was sent, and a simulator may
/// notice a moment late that a client is gone.
const SLACK: Duration = Duration::from_millis(10);

/// Bounds that hold for every test: forebay's own, and the key that the tests send.
pub(crate) fn usual() -> Bounds {
    Bounds {
        max_attempts: Some(5),
        retry_budget: true,
        slack: SLACK,
        secrets: vec!["any-key".into()],
        ..Bounds::default()
    }
}

/// Fails the test when the runs with this output, against these simulators in a row, violated an
/// invariant. Only what was run with `--keep-journal` can be judged row by row.
#[track_caller]
pub(crate) fn judge(folder: &Folder, sims: &mut [&mut Simulator], output: &str, bounds: &Bounds) {
    let logs: Vec<_> = sims.iter_mut().map(|sim| sim.log().join("\n")).collect();
    let logs = logs.iter().enumerate();
    let sources = logs.map(|(n, log)| Source::new(format!("log {}", n + 1), log.as_bytes()));
    let open = |name: String| {
        let file = File::open(folder.path(&name)).ok()?;
        Some(Source::new(name, BufReader::new(file)))
    };
    let format = Format::Lines;
    let evidence = Evidence {
        log: Some(Log::Files(sources.collect())),
        rows: open(output.into()).map(|source| Rows { source, format }),
        errors: open(format!("{output}.errors.jsonl")),
        journal: open(format!("{output}.journal")),
        others: Vec::new(),
    };
    let report = check(evidence, bounds).unwrap();
    assert!(
        report.is_clean(),
        "the run violates what must hold:\n{report}"
    );
    let whole = report.counts.sent > 0 || report.counts.requests == 0;
    assert!(whole, "there is no journal to judge by:\n{report}");
}
