//! Whether rows are complete, limits were kept, and the run told the truth about itself.
//!
//! Owns the judgements that need numbers from outside: bounds, exit code, the count of items.

use std::time::Duration;

use super::report::{Invariant, Report};
use super::requests::LogFacts;
use super::sessions::{JournalFacts, Session};
use super::verdict::Case;

/// Retries that a session may make before anything succeeded, and per second after that, and per
/// success: the budget that `forebay` documents, which is Finagle's.
const FIRST_RETRIES: f64 = 10.0;
const RETRIES_PER_SECOND: f64 = 10.0;
const RETRIES_PER_SUCCESS: f64 = 0.2;

impl Case<'_> {
    /// I1: as many rows as items, at their places.
    pub(super) fn rows(&self, report: &mut Report) {
        let invariant = Invariant::OneRow;
        let complete = self.claims_to_be_complete();
        if let Some(journal) = self.records() {
            report.checked(
                invariant,
                "one record per item and session, each with its row",
            );
            self.every_record_has_a_row(journal, report);
        } else {
            report.skipped(
                invariant,
                format!("rows against records: {}", self.no_records()),
            );
        }
        let Some(rows) = &self.rows else {
            return report.skipped(invariant, "rows: no results were given");
        };
        report.checked(
            invariant,
            format!("{} rows, no index and no custom_id twice", rows.rows),
        );
        if !self.rows_are_all() {
            return report.skipped(invariant, "the count of rows: they are one session's only");
        }
        match (self.items(), complete) {
            (Some(items), _) if rows.rows > items => {
                let what = format!("{} rows of {items} items", rows.rows);
                report.violated(invariant, &rows.name, what);
            }
            (Some(items), true) if rows.rows < items => {
                let what = format!(
                    "{} rows of {items} items, though the run says it is complete",
                    rows.rows
                );
                report.violated(invariant, &rows.name, what);
            }
            (Some(items), _) => report.checked(invariant, format!("the count of {items} items")),
            (None, _) => report.skipped(
                invariant,
                "the count of rows: the number of items is not known",
            ),
        }
        if let (Some(items), Some(pending)) = (self.items(), self.bounds.pending)
            && rows.rows + pending != items
        {
            let what = format!(
                "{} rows and {pending} pending are not {items} items",
                rows.rows
            );
            report.violated(invariant, &rows.name, what);
        }
        let (some, missing) = rows.missing();
        if complete && missing > 0 {
            let what = format!("{missing} indexes have no row, such as {some:?}");
            report.violated(invariant, &rows.name, what);
        }
        self.totals(report);
    }

    fn every_record_has_a_row(&self, journal: &JournalFacts, report: &mut Report) {
        let last_only = self.bounds.sessions == super::Sessions::Last;
        let one = journal.sessions.len() == 1 || last_only;
        let Some(rows) = self.rows.as_ref().filter(|_| one && !journal.replaced) else {
            return;
        };
        if rows.foreign {
            let why = "rows against records: the rows are written as another tool writes them";
            return report.skipped(Invariant::OneRow, why);
        }
        if !self.claims_to_be_complete() && rows.rows == 0 {
            return;
        }
        let missing = self.facts.done.values().filter(|done| done.left > 0);
        let mut missing: Vec<_> = missing.map(|done| (done.line, done.index)).collect();
        missing.sort_unstable();
        for (line, index) in missing {
            let what = format!("the row of item {index} is not in {}", rows.name);
            report.violated(
                Invariant::OneRow,
                &super::read::at(&journal.name, line),
                what,
            );
        }
    }

    /// The two lines of a complete run still tell how many rows were ok.
    fn totals(&self, report: &mut Report) {
        let told = self
            .journal
            .as_ref()
            .and_then(|journal| journal.finished.flatten());
        let (Some(told), Some(rows)) = (told, &self.rows) else {
            return;
        };
        report.checked(
            Invariant::OneRow,
            "ok rows against the totals of the journal",
        );
        if told != rows.ok || rows.failed > 0 {
            let what = format!(
                "{} ok and {} failed rows, the journal says {told} ok",
                rows.ok, rows.failed
            );
            report.violated(Invariant::OneRow, &rows.name, what);
        }
    }

    /// I1: the errors file repeats the failed rows.
    pub(super) fn errors(&self, report: &mut Report) {
        let (Some(errors), Some(rows)) = (&self.errors, &self.rows) else {
            return;
        };
        if !self.claims_to_be_complete() || !self.rows_are_all() {
            return report.skipped(
                Invariant::OneRow,
                "the errors file: it is written when a run is complete",
            );
        }
        if rows.foreign {
            let what = "no custom_id in the results and in the errors file";
            return report.checked(Invariant::OneRow, what);
        }
        report.checked(Invariant::OneRow, "the failed rows against the errors file");
        let same = errors.failed_content == rows.failed_content;
        if errors.rows != rows.failed || !same {
            let what = format!(
                "{} rows, {} rows of the results failed, or they differ",
                errors.rows, rows.failed
            );
            report.violated(Invariant::OneRow, &errors.name, what);
        }
    }

    /// I4: the maximum is judged while the journal is read; the budget is left.
    pub(super) fn attempts(&self, report: &mut Report) {
        let invariant = Invariant::Attempts;
        let Some(journal) = self.records() else {
            report.skipped(
                invariant,
                format!("attempts of each item: {}", self.no_records()),
            );
            return self.attempts_by_the_log(report);
        };
        report.checked(invariant, "attempts of each item, counted one by one");
        match self.bounds.max_attempts {
            Some(most) => report.checked(invariant, format!("at most {most} that count per item")),
            None => report.skipped(invariant, "the maximum of attempts: none was given"),
        }
        if !self.bounds.retry_budget {
            return report.skipped(invariant, "the retry budget: not asked for");
        }
        report.checked(
            invariant,
            "retries within the budget: 10, 10 a second and 1 for 5 successes",
        );
        for (n, session) in journal.sessions.iter().enumerate() {
            let Some(took) = session.took_s else {
                continue;
            };
            let successes = (session.ok + session.wanting) as f64;
            let allowed =
                FIRST_RETRIES + took * RETRIES_PER_SECOND + successes * RETRIES_PER_SUCCESS;
            // Not every failure was tried again, so this is the least that was spent.
            let made = session.retries.saturating_sub(session.free);
            if made as f64 > allowed.ceil() {
                let number = n + 1;
                let what =
                    format!("{made} retries in session {number}, the budget is {allowed:.0}");
                report.violated(invariant, &journal.name, what);
            }
        }
    }

    /// Without a journal, requests that failed and were sent again can still be counted.
    fn attempts_by_the_log(&self, report: &mut Report) {
        let (Some(log), Some(most)) = (&self.log, self.bounds.max_attempts) else {
            return report.skipped(
                Invariant::Attempts,
                "requests of each item: needs a log and a maximum",
            );
        };
        let what = format!("at most {most} requests per answer, those with status 429 left out");
        report.checked(Invariant::Attempts, what);
        for (key, facts) in &self.facts.keys {
            let counted = facts.requests - facts.refused;
            let items = facts.answers.max(1);
            if counted > most.saturating_mul(items) {
                let what = format!(
                    "{counted} requests {key:032x} for {items} answers, {most} attempts are allowed"
                );
                let place = super::read::at(&log.name, facts.log_line);
                report.violated(Invariant::Attempts, &place, what);
            }
        }
    }

    /// I5.
    pub(super) fn in_flight(&mut self, report: &mut Report) {
        let invariant = Invariant::InFlight;
        let Some(log) = &mut self.log else {
            return report.skipped(invariant, "no log was given");
        };
        let slack = self.bounds.slack;
        let (most, at) = log.most_in_flight(slack);
        report.counts.max_in_flight = most;
        let Some(limit) = self.bounds.max_in_flight else {
            return report.skipped(
                invariant,
                format!("no limit was given; {most} were in flight at most"),
            );
        };
        report.checked(
            invariant,
            format!("{most} in flight at most, {limit} allowed, {slack:?} of slack"),
        );
        if most > limit {
            let what = format!("{most} requests in flight at {at:.3} s, {limit} are allowed");
            report.violated(invariant, &log.name, what);
        }
        report.skipped(invariant, "the client's memory: no evidence tells it");
    }

    /// I6: the exit code against rows, and against the journal's own word.
    pub(super) fn exit(&self, report: &mut Report) {
        let invariant = Invariant::ExitCode;
        let Some(code) = self.bounds.exit_code else {
            return report.skipped(invariant, "no exit code was given");
        };
        report.checked(
            invariant,
            format!("exit code {code} against rows, items and journal"),
        );
        let mut lie = |what: String| report.violated(invariant, &format!("exit code {code}"), what);
        let (rows, failed) = self.row_counts();
        let items = self.items().unwrap_or(rows);
        match code {
            0 if failed > 0 => lie(format!("{failed} rows failed")),
            1 if failed == 0 => lie("no row failed".into()),
            2 if self.log.as_ref().is_some_and(|log| log.requests > 0) => {
                lie("requests were sent".into());
            }
            4 if rows >= items && self.items().is_some() => lie("no row is pending".into()),
            101 => lie("the command panicked".into()),
            _ => {}
        }
        if matches!(code, 0 | 1) && rows < items {
            lie(format!("{} of {items} items have no row", items - rows));
        }
        let session = self
            .journal
            .as_ref()
            .and_then(|journal| journal.sessions.last());
        if let Some(Session { end: Some(end), .. }) = session
            && !agrees(code, end)
        {
            lie(format!(
                "the journal says that the session ended with {end:?}"
            ));
        }
    }

    /// Rows, and those that failed, by the results or else by the journal.
    fn row_counts(&self) -> (u64, u64) {
        let live = self.records().map(|journal| journal.live);
        match (&self.rows, live) {
            (Some(rows), _) if self.rows_are_all() => (rows.rows, rows.failed),
            (_, Some((ok, failed))) => (ok + failed, failed),
            (Some(rows), None) => (rows.rows, rows.failed),
            (None, None) => (0, 0),
        }
    }

    /// I8.
    pub(super) fn ends(&self, report: &mut Report) {
        let invariant = Invariant::Ends;
        let Some(within) = self.bounds.within else {
            return report.skipped(invariant, "no time was given");
        };
        let one = self
            .journal
            .as_ref()
            .is_none_or(|journal| journal.sessions.len() <= 1);
        match &self.log {
            Some(LogFacts {
                name, span, parts, ..
            }) if one && *parts <= 1 => {
                report.checked(
                    invariant,
                    format!("{span:.1?} from first to last record of the log"),
                );
                if *span > within {
                    let what = format!("the log spans {span:.3?}, {within:?} are allowed");
                    report.violated(invariant, name, what);
                }
            }
            Some(_) => report.skipped(invariant, "by the log: it covers several sessions"),
            None => report.skipped(invariant, "by the log: none was given"),
        }
        let Some(journal) = self.records() else {
            return report.skipped(invariant, format!("by the journal: {}", self.no_records()));
        };
        report.checked(invariant, "each session by the journal's own word");
        for (n, session) in journal.sessions.iter().enumerate() {
            let took = session
                .took_s
                .and_then(|took| Duration::try_from_secs_f64(took).ok());
            let number = n + 1;
            if let Some(took) = took.filter(|took| *took > within) {
                let what = format!("session {number} took {took:.3?}, {within:?} are allowed");
                report.violated(invariant, &journal.name, what);
            }
            let is_last = number == journal.sessions.len();
            if is_last
                && session.end.is_none()
                && self.bounds.exit_code.is_some_and(|code| code != 3)
            {
                let what =
                    format!("session {number} has no end, though the command ended by itself");
                report.violated(invariant, &journal.name, what);
            }
        }
    }
}

/// Whether an exit code may stand for how a session ended.
fn agrees(code: i32, end: &str) -> bool {
    match code {
        0 | 1 => end == "complete",
        3 => true,
        4 => !matches!(end, "complete" | "interrupted" | "output_closed" | "io"),
        130 | 143 => end == "interrupted",
        141 => end == "output_closed",
        _ => true,
    }
}
