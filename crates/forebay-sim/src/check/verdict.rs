//! What the pieces of evidence say about each other.
//!
//! Owns the judgement once everything is read. Never reads anything.

use super::bounds::{Bounds, Sessions};
use super::facts::{Facts, KeyFacts};
use super::read::at;
use super::report::{Invariant, Report};
use super::requests::LogFacts;
use super::rows::RowFacts;
use super::sessions::JournalFacts;

/// Everything that was read.
#[derive(Debug)]
pub(super) struct Case<'c> {
    pub(super) bounds: &'c Bounds,
    pub(super) facts: &'c Facts,
    pub(super) log: Option<LogFacts>,
    pub(super) journal: Option<JournalFacts>,
    pub(super) rows: Option<RowFacts>,
    pub(super) errors: Option<RowFacts>,
}

impl Case<'_> {
    /// The journal, if it still has its records.
    pub(super) fn records(&self) -> Option<&JournalFacts> {
        self.journal
            .as_ref()
            .filter(|journal| journal.finished.is_none())
    }

    /// Why there are no records to compare with.
    pub(super) fn no_records(&self) -> &'static str {
        match self.journal {
            None => "no journal was given",
            Some(_) => "the journal of a complete run keeps no records; run with --keep-journal",
        }
    }

    /// Whether the run says of itself that every item has its row.
    pub(super) fn claims_to_be_complete(&self) -> bool {
        let ended = |journal: &JournalFacts| {
            let last = journal
                .sessions
                .last()
                .and_then(|session| session.end.as_deref());
            journal.finished.is_some() || last == Some("complete")
        };
        matches!(self.bounds.exit_code, Some(0 | 1)) || self.journal.as_ref().is_some_and(ended)
    }

    /// Whether the rows are those of the whole run, not of its last session.
    pub(super) fn rows_are_all(&self) -> bool {
        let one = self
            .journal
            .as_ref()
            .is_none_or(|journal| journal.sessions.len() <= 1);
        one || self.bounds.sessions == Sessions::All
    }

    /// The number of items, if it is known.
    pub(super) fn items(&self) -> Option<u64> {
        let counted = self.journal.as_ref().and_then(|journal| journal.items);
        self.bounds.items.or(counted)
    }

    /// Judges everything that no reader could judge by itself.
    pub(super) fn judge(&mut self, report: &mut Report) {
        self.count(report);
        self.rows(report);
        self.errors(report);
        self.answers(report);
        self.once(report);
        self.attempts(report);
        self.in_flight(report);
        self.exit(report);
        self.ends(report);
    }

    /// Each key with what is known of it, apart from counts of sessions that do not matter.
    fn keys(&self) -> impl Iterator<Item = (u128, KeyFacts)> {
        let last = self.journal.as_ref().map_or(0, JournalFacts::last);
        let only_last = self.bounds.sessions == Sessions::Last;
        self.facts.keys.iter().map(move |(key, facts)| {
            let mut facts = *facts;
            if only_last && facts.counted_in != last {
                (facts.sent, facts.ok_sent, facts.ok_shared) = (0, 0, 0);
                facts.wanting = 0;
            }
            (*key, facts)
        })
    }

    fn count(&self, report: &mut Report) {
        let counts = &mut report.counts;
        if let Some(log) = &self.log {
            counts.requests = log.requests;
            counts.answers = log.answers;
            counts.dropped = log.dropped + log.unknown;
            counts.open = log.open;
        }
        if let Some(rows) = &self.rows {
            (counts.rows, counts.ok_rows) = (rows.rows, rows.ok);
        }
        if let Some(journal) = &self.journal {
            counts.sessions = journal.sessions.len() as u64;
            counts.sent = journal.sent;
        }
        if counts.open > 0 {
            let note = format!("{} requests have no end in the log", counts.open);
            report.notes.push(note);
        }
    }

    /// I2: ok rows against answers that were fully sent.
    fn answers(&self, report: &mut Report) {
        let invariant = Invariant::TrueAnswers;
        let Some(log) = &self.log else {
            return report.skipped(invariant, "no log was given");
        };
        let Some(journal) = self.joined() else {
            report.skipped(invariant, format!("row by row: {}", self.no_join()));
            let Some(rows) = self.rows.as_ref().filter(|_| self.rows_are_all()) else {
                return report.skipped(invariant, "in sum: no results of the whole run were given");
            };
            let answers = log.answered_items;
            report.checked(
                invariant,
                format!("{} ok rows, {answers} answers, in sum", rows.ok),
            );
            if rows.ok_sent > answers {
                let what = format!(
                    "{} ok rows, only {answers} answers fully sent",
                    rows.ok_sent
                );
                report.violated(invariant, &rows.name, what);
            }
            return;
        };
        report.checked(
            invariant,
            "ok rows against answers fully sent, request by request",
        );
        self.rows_served(journal, report);
        for (key, facts) in self.keys() {
            let answers = facts.answers + facts.unknown;
            let place = at(&journal.name, facts.journal_line);
            let claimed = facts.ok_sent + facts.wanting;
            if claimed > answers || (facts.ok_shared > 0 && answers == 0) {
                let rows = facts.ok_sent + facts.ok_shared;
                let wanting = match facts.wanting {
                    0 => String::new(),
                    n => format!(" and {n} answers that would not do"),
                };
                let what = format!(
                    "{rows} ok rows{wanting} of request {key:032x}, {answers} answers fully sent"
                );
                report.violated(invariant, &place, what);
            } else if tokens_differ(&facts) {
                let (rows, told) = (facts.row_tokens, facts.answered_tokens);
                let what = format!(
                    "{rows} output tokens in the rows of request {key:032x}, {told} were sent"
                );
                report.violated(invariant, &place, what);
            }
        }
    }

    /// A recorded row serves one item, and none once a later record replaced or repeated it.
    fn rows_served(&self, journal: &JournalFacts, report: &mut Report) {
        if journal.damaged > 0 || self.bounds.sessions == Sessions::Last {
            return;
        }
        for (key, facts) in self.keys().filter(|(_, facts)| facts.rows > facts.live) {
            let (rows, live) = (facts.rows, facts.live);
            let what = format!("{rows} rows of request {key:032x}, sent for {live} items only");
            let place = at(&journal.name, facts.journal_line);
            report.violated(Invariant::TrueAnswers, &place, what);
        }
    }

    /// The journal, if its keys fit those of the log.
    fn joined(&self) -> Option<&JournalFacts> {
        self.records().filter(|journal| journal.endpoint.is_some())
    }

    fn no_join(&self) -> &'static str {
        match self.records() {
            None => self.no_records(),
            Some(_) => "the journal does not name its endpoint",
        }
    }

    /// I3: requests against recorded attempts, and rows against further attempts.
    fn once(&self, report: &mut Report) {
        let invariant = Invariant::SentOnce;
        let Some(journal) = self.records() else {
            return report.skipped(invariant, self.no_records());
        };
        self.sent_again(journal, report);
        let Some(log) = &self.log else {
            return report.skipped(invariant, "requests against records: no log was given");
        };
        if self.joined().is_none() {
            return report.skipped(
                invariant,
                format!("requests against records: {}", self.no_join()),
            );
        }
        if journal.damaged > 0 {
            let why = "requests against records: the journal has damaged records";
            return report.skipped(invariant, why);
        }
        report.checked(
            invariant,
            "each request against its records, made before it was sent",
        );
        let mut never_arrived = 0;
        let mut strange = 0;
        for (key, facts) in self.keys() {
            never_arrived += u64::from(facts.sent.saturating_sub(facts.requests));
            if facts.requests <= facts.sent {
                continue;
            }
            if facts.sent == 0 && self.bounds.shared_log {
                strange += u64::from(facts.requests);
                continue;
            }
            let (requests, sent) = (facts.requests, facts.sent);
            let what = format!("{requests} requests {key:032x}, {sent} attempts in the journal");
            report.violated(invariant, &at(&log.name, facts.log_line), what);
        }
        report.counts.never_arrived = never_arrived;
        if never_arrived > 0 {
            let note = format!("{never_arrived} recorded attempts never became a request");
            report.notes.push(note);
        }
        if strange > 0 {
            report
                .notes
                .push(format!("{strange} requests are of no item of this run"));
        }
    }

    /// An item may be sent though a row of its request is there, if that row serves another item.
    fn sent_again(&self, journal: &JournalFacts, report: &mut Report) {
        let invariant = Invariant::SentOnce;
        if self.rows.as_ref().is_some_and(|rows| rows.unmatched > 0) {
            let why = "rows sent for again: not all rows can be found in the journal";
            return report.skipped(invariant, why);
        }
        report.checked(
            invariant,
            "no attempt after its row, in the order of the journal",
        );
        let whole = self.bounds.sessions == Sessions::All && self.claims_to_be_complete();
        let rows = self.rows.as_ref().filter(|_| whole && journal.damaged == 0);
        for sent in &journal.sent_again {
            let serves_others = self
                .facts
                .keys
                .get(&sent.key)
                .is_some_and(|facts| rows.is_some() && sent.needed <= facts.rows);
            if !serves_others {
                let what = format!(
                    "item {} is sent again, an earlier session has its row",
                    sent.index
                );
                report.violated(invariant, &at(&journal.name, sent.line), what);
            }
        }
        if rows.is_none() || journal.sessions.len() < 2 {
            return;
        }
        let flagged: std::collections::HashSet<u128> =
            journal.sent_again.iter().map(|sent| sent.key).collect();
        for (key, facts) in self.keys() {
            let in_last = facts.session == journal.last();
            if in_last && facts.needed > facts.rows && !flagged.contains(&key) {
                let (needed, rows) = (facts.needed, facts.rows);
                let what =
                    format!("request {key:032x} was sent for {needed} rows, {rows} are used");
                report.violated(invariant, &at(&journal.name, facts.journal_line), what);
            }
        }
    }
}

/// Whether rows tell other output tokens than were sent; answers that nobody recorded may be
/// among the latter.
fn tokens_differ(facts: &KeyFacts) -> bool {
    let claimed = facts.ok_sent + facts.wanting;
    if facts.tokens_untold || facts.tokens_missing || facts.unknown > 0 || claimed == 0 {
        return false;
    }
    match claimed == facts.answers {
        true => facts.row_tokens != facts.answered_tokens,
        false => facts.row_tokens > facts.answered_tokens,
    }
}
