//! `forebay status`: what a journal says about its run.
//!
//! Owns the reading of one journal and its account in text and JSON. Never writes the journal
//! and never holds a lock on it, so a run may be writing it meanwhile.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay::config::Learnt;
use forebay::error::Error;
use forebay::journal::{History, Totals};
use forebay::money::Usd;
use jiff::Timestamp;
use serde::Serialize;

use crate::report::{Block, RunTotals, json_round, one_line, pretty, units};

/// How every journal begins.
const START: &[u8] = br#"{"t":"run","#;

/// Tells what the journal of a run holds; `path` is the run's output or the journal itself.
///
/// # Errors
/// When there is no journal, or it cannot be read.
pub(crate) fn status(path: &Path, json: bool) -> Result<String, Error> {
    let path = journal_of(path)?;
    let failed = |error| Error::io(format!("cannot read {}: {error}", path.display()));
    let file = File::open(&path).map_err(failed)?;
    let writing = is_being_written(&file);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs_f64();
    let (history, extent) = History::read(&file, now).map_err(failed)?;
    if history.sessions.is_empty() && !writing {
        return Err(not_a_journal(&path));
    }
    let status = Status::new(&path, &history, extent.damaged, writing);
    Ok(if json { pretty(&status) } else { text(&status) })
}

/// The journal that a path means: the one beside an output, or the file itself.
///
/// # Errors
/// When there is none.
pub(crate) fn journal_of(path: &Path) -> Result<PathBuf, Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".journal");
    let beside = PathBuf::from(beside);
    if beside.is_file() {
        return Ok(beside);
    }
    let named_so = path
        .extension()
        .is_some_and(|extension| extension == "journal");
    if path.is_file() {
        return match named_so || begins_like_a_journal(path) {
            true => Ok(path.to_owned()),
            false => Err(not_found(
                &beside,
                "it has no journal: was it written by forebay?",
            )),
        };
    }
    Err(match named_so {
        true => not_found(path, "name the output (-o) of a run, or its journal"),
        false => not_found(&beside, "name the output (-o) of a run that was started"),
    })
}

fn begins_like_a_journal(path: &Path) -> bool {
    let mut start = [0; START.len()];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok() && start == START)
}

fn not_found(path: &Path, hint: &str) -> Error {
    Error::io(format!("there is no {}", path.display())).with_hint(hint)
}

fn not_a_journal(path: &Path) -> Error {
    Error::io(format!("{} is not a journal of forebay", path.display()))
        .with_hint("name the output (-o) of a run, or its journal")
}

/// Whether a run holds the journal's lock.
pub(crate) fn is_being_written(file: &File) -> bool {
    match file.try_lock_shared() {
        Ok(()) => {
            // At once: a run that begins now must find the journal free.
            let _ = file.unlock();
            false
        }
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => false,
    }
}

/// A run's status; its members are those of the JSON.
#[derive(Debug, Serialize)]
struct Status {
    /// The journal's path.
    journal: String,
    /// Whether every item has its row.
    complete: bool,
    /// Whether a run is writing the journal now.
    writing: bool,
    /// Items without a row; `null` when the input was not counted.
    pending: Option<u64>,
    /// Damaged records, whose rows are sent again.
    damaged: u64,
    /// The limits that were found so far; `null` when none were.
    learnt: Option<LearntLimits>,
    /// All sessions together.
    total: RunTotals,
    /// Failed items by kind.
    failed_by_kind: BTreeMap<String, i64>,
    /// The sessions in order; empty when the run is complete and only totals are kept.
    sessions: Vec<Session>,
}

/// Limits that a run found out.
#[derive(Debug, Serialize)]
struct LearntLimits {
    /// Attempts in flight that the endpoint serves well.
    in_flight: Option<u64>,
    /// Requests per minute that it takes.
    rpm: Option<f64>,
}

impl LearntLimits {
    fn of(learnt: &Learnt) -> Option<LearntLimits> {
        let limits = LearntLimits {
            in_flight: learnt.in_flight.map(|n| n as u64),
            rpm: learnt.requests_per_s.map(|n| json_round(n * 60.0)),
        };
        (limits.in_flight.is_some() || limits.rpm.is_some()).then_some(limits)
    }

    fn text(&self) -> String {
        let in_flight = self
            .in_flight
            .map(|n| format!("{} in flight", units::count(n)));
        let rpm = self.rpm.map(|n| format!("{} rpm", units::number(n)));
        let parts: Vec<_> = [in_flight, rpm].into_iter().flatten().collect();
        parts.join(", ")
    }
}

/// One session.
#[derive(Debug, Serialize)]
struct Session {
    /// When it began, in UTC to the second.
    started: Option<String>,
    /// How it ended: `complete`, the reason of a stop, `killed` or `running`.
    ended: String,
    ok: u64,
    failed: u64,
    attempts: u64,
    /// Attempts that may have been billed without an answer; while it runs, those in flight.
    maybe_billed: u64,
    input_tokens: u64,
    output_tokens: u64,
    /// Cost as far as it is known; `null` when no answer's cost is.
    cost_usd: Option<f64>,
    /// Answers whose cost is not known.
    cost_unknown: u64,
    wall_s: f64,
}

impl Status {
    fn new(path: &Path, history: &History, damaged: u64, writing: bool) -> Status {
        let total = history.total();
        let finished = history.finished.as_deref();
        let totals = match finished {
            // Not all totals are kept there; those that are missing are not shown.
            Some(data) => finished_totals(data),
            None => totals_of(&total, history.items),
        };
        let last = history.sessions.len().saturating_sub(1);
        let sessions = history.sessions.iter().enumerate();
        let done = totals.ok + totals.failed;
        let pending = totals.items.map(|items| items.saturating_sub(done));
        let ended = total.ended.as_deref() == Some("complete");
        Status {
            journal: path.display().to_string(),
            complete: finished.is_some() || (ended && !writing),
            writing,
            pending: if finished.is_some() { Some(0) } else { pending },
            damaged,
            learnt: history
                .last_learnt()
                .and_then(|learnt| LearntLimits::of(&learnt)),
            total: totals,
            failed_by_kind: total.failed.clone(),
            sessions: match finished {
                Some(_) => Vec::new(),
                None => sessions
                    .map(|(n, s)| session(s, writing && n == last))
                    .collect(),
            },
        }
    }
}

/// The totals that the journal of a complete run still has.
fn finished_totals(data: &str) -> RunTotals {
    let mut totals: RunTotals = serde_json::from_str(data).unwrap_or_default();
    totals.items = totals.items.or(Some(totals.ok + totals.failed));
    totals
}

fn session(totals: &Totals, running: bool) -> Session {
    let ended = match &totals.ended {
        Some(reason) => reason.as_str(),
        None if running => "running",
        None => "killed",
    };
    Session {
        started: totals.started.and_then(utc),
        ended: ended.to_owned(),
        ok: totals.ok,
        failed: totals.failed_count(),
        attempts: totals.attempts,
        maybe_billed: totals.maybe_billed,
        input_tokens: totals.usage.input_tokens,
        output_tokens: totals.usage.output_tokens,
        cost_usd: known_cost(totals).map(Usd::dollars),
        cost_unknown: totals.cost_unknown,
        wall_s: json_round(totals.wall_s),
    }
}

fn totals_of(total: &Totals, items: Option<u64>) -> RunTotals {
    RunTotals {
        items,
        ok: total.ok,
        failed: total.failed_count(),
        attempts: total.attempts,
        maybe_billed: total.maybe_billed,
        input_tokens: total.usage.input_tokens,
        cached_input_tokens: total.usage.cached_input_tokens,
        output_tokens: total.usage.output_tokens,
        reasoning_tokens: total.usage.reasoning_tokens,
        cost_usd: known_cost(total).map(Usd::dollars),
        cost_unknown: total.cost_unknown,
        wall_s: json_round(total.wall_s),
    }
}

/// The cost, unless it is 0 only because no answer's cost is known.
fn known_cost(totals: &Totals) -> Option<Usd> {
    (totals.cost != Usd::ZERO || totals.cost_unknown == 0).then_some(totals.cost)
}

/// Seconds since 1970 as a time in UTC.
fn utc(seconds: f64) -> Option<String> {
    Some(Timestamp::from_second(seconds as i64).ok()?.to_string())
}

fn text(status: &Status) -> String {
    let total = &status.total;
    let state = match (status.writing, status.complete, status.sessions.last()) {
        (true, ..) => "a run is writing it now".to_owned(),
        (false, true, _) => "complete".to_owned(),
        (false, false, Some(last)) => format!("last session: {}", last.ended),
        (false, false, None) => "no session".to_owned(),
    };
    let mut block = Block::titled(&one_line(&format!("{}: {state}", status.journal)));
    let mut done = format!("{} ok", units::count(total.ok));
    if total.failed > 0 {
        done += &format!(", {} failed", units::count(total.failed));
    }
    if let Some(items) = total.items {
        done += &format!(" of {}", units::counted(items, "item"));
    }
    block.line("done", &done);
    match status.pending {
        Some(0) => {}
        Some(pending) => block.line("pending", &units::count(pending)),
        None if status.complete => {}
        None => block.line("pending", "unknown: the input was not counted"),
    }
    let kinds = status.failed_by_kind.iter();
    let kinds: Vec<_> = kinds
        .map(|(kind, n)| format!("{n} {}", one_line(kind)))
        .collect();
    if !kinds.is_empty() {
        block.line("failed", &kinds.join(", "));
    }
    add_totals(status, &mut block);
    add_sessions(status, &mut block);
    block.into_text()
}

fn add_totals(status: &Status, block: &mut Block) {
    let total = &status.total;
    if total.maybe_billed > 0 {
        let n = units::counted(total.maybe_billed, "attempt");
        let running = if status.writing {
            " (those in flight now included)"
        } else {
            ""
        };
        block.line(
            "attempts",
            &format!("{n} may have been billed without an answer{running}"),
        );
    }
    if total.input_tokens > 0 || total.output_tokens > 0 {
        let (input, output) = (
            units::count(total.input_tokens),
            units::count(total.output_tokens),
        );
        let cached = match total.cached_input_tokens {
            0 => String::new(),
            n => format!(" ({} cached)", units::count(n)),
        };
        block.line("tokens", &format!("{input} in{cached}, {output} out"));
        let mut cost = cost_text(total.cost_usd);
        if total.cost_usd.is_some() && total.cost_unknown > 0 {
            let rows = units::counted(total.cost_unknown, "row");
            cost += &format!(", unknown for {rows}");
        }
        block.line("cost", &cost);
    }
    if total.wall_s > 0.0 {
        block.line("wall", &wall_text(total.wall_s));
    }
    if let Some(learnt) = &status.learnt {
        block.line("limits", &format!("{} (found)", learnt.text()));
    }
    if status.damaged > 0 {
        let records = units::counted(status.damaged, "record");
        block.line("damaged", &format!("{records}; the rows are sent again"));
    }
}

fn add_sessions(status: &Status, block: &mut Block) {
    let rows: Vec<[String; 5]> = status.sessions.iter().map(session_cells).collect();
    let width = |n: usize| {
        rows.iter()
            .map(|row| row[n].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (ended, ok, failed, cost) = (width(0), width(1), width(2), width(3));
    for (n, (session, row)) in status.sessions.iter().zip(&rows).enumerate() {
        let started = session.started.as_deref().unwrap_or("unknown time");
        let [end, done, bad, usd, wall] = row;
        let line = format!(
            "{started:<20}  {end:<ended$}  {done:>ok$}  {bad:>failed$}  {usd:>cost$}  {wall}"
        );
        block.whole(if n == 0 { "sessions" } else { "" }, &line);
    }
}

/// How a session ended, ok, failed, cost, wall.
fn session_cells(session: &Session) -> [String; 5] {
    [
        one_line(&session.ended),
        format!("{} ok", units::count(session.ok)),
        format!("{} failed", units::count(session.failed)),
        cost_text(session.cost_usd),
        wall_text(session.wall_s),
    ]
}

fn cost_text(dollars: Option<f64>) -> String {
    match dollars.and_then(Usd::from_dollars) {
        Some(cost) => units::dollars(cost),
        None => "cost unknown".into(),
    }
}

fn wall_text(seconds: f64) -> String {
    units::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests;
