//! Complete runs: what is left of their journal, and what the same command then does.

use std::path::Path;
use std::time::UNIX_EPOCH;

use forebay::error::Error;
use forebay::journal::Journal;
use forebay::source::{InputSpec, Location};
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::report::summary::Closing;
use crate::report::{RunTotals, units};

/// What the journal of a complete run still says.
#[derive(Debug, Serialize, Deserialize)]
struct Finished {
    inputs: Vec<InputFile>,
    #[serde(flatten)]
    totals: RunTotals,
}

/// An input file as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InputFile {
    path: String,
    bytes: u64,
    modified_ns: u64,
}

/// What is left to do.
pub(super) enum State {
    /// Something, or the run is new.
    Unfinished,
    /// Nothing; the line says so.
    Complete(String),
    /// Everything: the output of the complete run is gone.
    OutputGone,
}

/// The input files as they are now; `None` when one of them cannot be told apart later.
pub(super) fn fingerprint(input: &InputSpec) -> Option<Vec<InputFile>> {
    input
        .locations
        .iter()
        .map(|location| {
            let Location::Path(path) = location else {
                return None;
            };
            let file = std::fs::metadata(path)
                .ok()
                .filter(std::fs::Metadata::is_file)?;
            let modified = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some(InputFile {
                path: path.display().to_string(),
                bytes: file.len(),
                modified_ns: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX),
            })
        })
        .collect()
}

/// Looks whether the run is complete.
///
/// # Errors
/// When it is, but of another input.
pub(super) fn check(plan: &Plan, journal: &Journal, output: &Path) -> Result<State, Error> {
    let Some(data) = &journal.history().finished else {
        return Ok(State::Unfinished);
    };
    if !output.exists() {
        return Ok(State::OutputGone);
    }
    let finished: Finished = serde_json::from_str(data)
        .map_err(|error| Error::io(format!("{}: {error}", journal.path().display())))?;
    let shown = output.display();
    let now = fingerprint(&plan.input);
    if now.as_ref() == Some(&finished.inputs) {
        return Ok(State::Complete(format!(
            "forebay: {shown} is complete: {} rows, all ok; nothing to send (--fresh runs it again)",
            units::count(finished.totals.ok)
        )));
    }
    if now.is_none() {
        return Err(Error::config(format!(
            "{shown} is complete, and what comes through a pipe cannot be compared with its input"
        ))
        .with_hint("choose another output, or --fresh to send everything again"));
    }
    Err(Error::config(format!(
        "{shown} is complete, and its input was another or has changed"
    ))
    .with_hint(
        "choose another output, or --fresh to send everything again; with --keep-journal only \
             changed items are sent",
    ))
}

/// Replaces the journal of a run that is complete and all ok by a line about it; leaves every
/// other journal as it is.
pub(super) fn settle(
    plan: &Plan,
    journal: Journal,
    closing: &Closing<'_>,
    fingerprint: Option<Vec<InputFile>>,
) {
    let summary = closing.summary;
    let part = plan.input.limit.is_some() || plan.input.offset > 0;
    let failed = summary.failed + summary.kept.1;
    let through = summary.stopped.is_none() && summary.input_ended && failed == 0;
    if plan.output.path.is_none() || !through || part || plan.output.keep_journal {
        return;
    }
    let finished = Finished {
        inputs: fingerprint.unwrap_or_default(),
        totals: RunTotals::of(closing),
    };
    // The whole journal serves as well as the line would: a failure here harms nobody.
    if let Ok(data) = serde_json::to_string(&finished) {
        let _ = journal.finish(&plan.identity, &data);
    }
}
