//! The judge: holds a run's log, results and journal against each other, after the fact.
//!
//! Owns the invariants below and knows nothing of the client but its documented files: rows and
//! journal are read as the reference describes them, by code that is not the client's. Never
//! sends, waits or changes anything, and never says that something holds which it could not
//! check: a report lists what was skipped, and why.
//!
//! ```text
//! journal ─► per request: attempts, rows ──┐
//! results ─► each row once, as recorded ───┼─► verdict ─► report
//! log ─────► per request: received, sent ──┘
//! ```
//! A *request* is a body, known by its hash, which the log has as `key` and the journal as `k`
//! after an exclusive or with the hash of the endpoint's name.
//!
//! - I1: no index and no `custom_id` has two rows. Rows and records of the journal have the
//!   same content; in the first session also the same index and `custom_id`. A run that says
//!   it is complete has as many rows as items, at places without a gap.
//! - I2: of each request, the items with an ok row are at most the answers with a 2xx status
//!   that were sent to the last byte; items that share an answer need one. The rows' output
//!   tokens are those that were sent.
//! - I3: of each request, the log has at most as many as the journal has attempts. No item is
//!   sent after its row was recorded, unless that row serves another item with the same request.
//! - I4: attempts are recorded one by one, and as many as the row says; those that count keep
//!   to the maximum; retries keep to the budget.
//! - I5: the requests in flight, by the times of the log, keep to the limit.
//! - I6: the exit code fits the rows, the number of items, and the end that the journal records.
//! - I7: no told secret and nothing that looks like a key stands in any of the files.
//! - I8: no session takes longer than its bound, by the log's clock and by the journal's word.
//!
//! Memory grows with the number of different requests, not with their size: see
//! `docs/reference/check.md`.

mod agree;
mod bounds;
mod charge;
mod facts;
mod journal;
mod limits;
mod read;
mod report;
mod requests;
mod row;
mod rows;
mod secrets;
mod sessions;
mod verdict;

use std::io;

pub use bounds::{Bounds, Sessions};
pub use read::Source;
pub use report::{Counts, Finding, Invariant, Report, Violation};
pub use requests::Log;
pub use rows::{Format, Rows};

use facts::Facts;
use secrets::Secrets;
use verdict::Case;

/// What a run left behind. What is absent is not judged.
#[derive(Debug, Default)]
pub struct Evidence<'a> {
    /// The simulator's log.
    pub log: Option<Log<'a>>,
    /// The results.
    pub rows: Option<Rows<'a>>,
    /// The errors file.
    pub errors: Option<Source<'a>>,
    /// The journal.
    pub journal: Option<Source<'a>>,
    /// Other outputs, which are looked through for secrets.
    pub others: Vec<Source<'a>>,
}

/// Judges a run.
///
/// # Errors
/// When a piece of evidence cannot be read, or is not what it should be.
pub fn check(evidence: Evidence<'_>, bounds: &Bounds) -> io::Result<Report> {
    let Evidence {
        mut log,
        mut rows,
        errors,
        mut journal,
        others,
    } = evidence;
    let mut report = Report::new();
    let (secrets, too_short) = Secrets::new(&bounds.secrets);
    let mut facts = Facts::default();
    let journal = journal
        .as_mut()
        .map(|source| sessions::read(source, &mut facts, bounds, &secrets, &mut report))
        .transpose()?;
    let mut rows = rows
        .as_mut()
        .map(|rows| rows::read(rows, &mut facts, journal.as_ref(), &secrets, &mut report))
        .transpose()?;
    let journal_facts = journal.as_ref();
    let errors = errors
        .map(|source| rows::read_errors(source, &mut facts, journal_facts, &secrets, &mut report))
        .transpose()?;
    if let (Some(rows), Some(errors)) = (&mut rows, &errors)
        && errors.foreign
    {
        rows.add(errors, &mut report);
    }
    let log = log
        .as_mut()
        .map(|log| requests::read(log, &mut facts, &secrets, &mut report))
        .transpose()?;
    for mut source in others {
        read::each_line(&mut source, &secrets, &mut report, |_, _| Ok(()))?;
    }
    look_for(&secrets, too_short, &mut report);
    let mut case = Case {
        bounds,
        facts: &facts,
        log,
        journal,
        rows,
        errors,
    };
    case.judge(&mut report);
    report
        .violations
        .sort_by_key(|violation| violation.invariant);
    Ok(report)
}

fn look_for(secrets: &Secrets, too_short: usize, report: &mut Report) {
    report.checked(Invariant::Secrets, "nothing looks like a key");
    match secrets.told() {
        0 => report.skipped(Invariant::Secrets, "the key itself: none was told"),
        n => report.checked(Invariant::Secrets, format!("{n} told secrets")),
    }
    if too_short > 0 {
        let why = format!("{too_short} secrets: shorter than six characters");
        report.skipped(Invariant::Secrets, why);
    }
}
