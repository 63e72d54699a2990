//! The journal as evidence: sessions, attempts, retries, rows, in the order of their recording.
//!
//! Owns what can be judged by the journal alone, while it is read. Never knows the log.

use std::io;

use xxhash_rust::xxh3::xxh3_128;

use super::agree::agree;
use super::bounds::{Bounds, Sessions};
use super::charge::{Charge, Stretch, is_wanting};
use super::facts::{DoneFacts, Earlier, Facts, ItemFacts, KeyFacts, key_of};
use super::journal::{FinishedData, Record, SessionData, parse};
use super::read::{LineAt, Source, at, each_line, not_a};
use super::report::{Invariant, Report};
use super::row::{Row, hash_of};
use super::secrets::Secrets;

/// The version of the format that is known here.
const VERSION: u32 = 1;

/// How a session ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Session {
    /// Why, if that was recorded.
    pub(super) end: Option<String>,
    /// Seconds that it took by its own word.
    pub(super) took_s: Option<f64>,
    /// Ok rows that were recorded in it.
    pub(super) ok: u64,
    /// Answers that would not do, which are successes of the endpoint.
    pub(super) wanting: u64,
    /// Attempts after an item's first one.
    pub(super) retries: u64,
    /// Failed attempts whose retry is free.
    pub(super) free: u64,
}

/// An item that was sent although the journal had its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentAgain {
    pub(super) key: u128,
    pub(super) index: u64,
    pub(super) line: u32,
    /// Rows that items with this request must have for the attempt to be right.
    pub(super) needed: u32,
    session: u32,
    failed: bool,
}

/// What the journal says as a whole.
#[derive(Debug, Default)]
pub(super) struct JournalFacts {
    pub(super) name: String,
    /// The hash of the endpoint's name; without it keys do not fit the log's.
    pub(super) endpoint: Option<u128>,
    pub(super) sessions: Vec<Session>,
    pub(super) items: Option<u64>,
    pub(super) sent: u64,
    /// Rows that no later one replaced: ok, failed.
    pub(super) live: (u64, u64),
    /// Rows of the last session.
    pub(super) done: u64,
    pub(super) damaged: u64,
    /// Whether only the two lines of a complete run are left; the number of its ok rows.
    pub(super) finished: Option<Option<u64>>,
    /// Earlier rows were replaced or copied, so that not each has a row in the results.
    pub(super) replaced: bool,
    pub(super) sent_again: Vec<SentAgain>,
    /// Sessions that sent failed rows again.
    retrying: Vec<u32>,
    stretch: Stretch,
}

impl JournalFacts {
    /// The number of the last session, from 1.
    pub(super) fn last(&self) -> u32 {
        u32::try_from(self.sessions.len()).unwrap_or(u32::MAX)
    }
}

/// Reads a journal.
///
/// # Errors
/// When it cannot be read or is none.
pub(super) fn read(
    source: &mut Source<'_>,
    facts: &mut Facts,
    bounds: &Bounds,
    secrets: &Secrets,
    report: &mut Report,
) -> io::Result<JournalFacts> {
    let name = source.name.clone();
    let mut reader = Reader {
        facts,
        bounds,
        total: JournalFacts {
            name: name.clone(),
            endpoint: bounds
                .endpoint
                .as_ref()
                .map(|name| xxh3_128(name.as_bytes())),
            ..JournalFacts::default()
        },
        charge: Charge::default(),
    };
    // A damaged line is torn only if nothing follows it.
    let mut damaged = None;
    each_line(source, secrets, report, |report, line| {
        if let Some(number) = damaged.take() {
            reader.total.damaged += 1;
            let what = "a damaged record: its row is lost and was to be sent again";
            report.violated(Invariant::OneRow, &at(&name, number), what.into());
        }
        match parse(line.bytes) {
            Some(record) => reader.note(&record, &line, report),
            None => {
                damaged = Some(line.number);
                Ok(())
            }
        }
    })?;
    if let Some(number) = damaged {
        let place = at(&name, number);
        if reader.total.sessions.is_empty() {
            return Err(not_a("a record of a journal", &place));
        }
        report.notes.push(format!(
            "{place} is torn: the session was killed while it wrote"
        ));
    }
    let mut total = reader.total;
    total.forget_retried(bounds.retry_failed);
    Ok(total)
}

impl JournalFacts {
    /// Failed rows may be sent again in a session that is told to.
    fn forget_retried(&mut self, all: bool) {
        let retrying = std::mem::take(&mut self.retrying);
        self.sent_again
            .retain(|sent| !sent.failed || !(all || retrying.contains(&sent.session)));
    }
}

struct Reader<'f> {
    facts: &'f mut Facts,
    bounds: &'f Bounds,
    total: JournalFacts,
    /// What the last failed request counts for, and so for those that travelled in it.
    charge: Charge,
}

impl Reader<'_> {
    fn note(
        &mut self,
        record: &Record<'_>,
        line: &LineAt<'_>,
        report: &mut Report,
    ) -> io::Result<()> {
        let place = at(&self.total.name, line.number);
        if record.t != "run" && self.total.sessions.is_empty() {
            return Err(not_a("the beginning of a journal", &place));
        }
        match record.t {
            "run" => return self.run(record, &place),
            "items" => self.total.items = record.total.map(|total| total as u64),
            "sent" => self.sent(record, line.number, report),
            "retry" => self.retry(record, line.number),
            "done" => self.done(record, line.number, report),
            "end" => {
                if let Some(session) = self.total.sessions.last_mut() {
                    session.end = record.kind.map(str::to_owned);
                    session.took_s = record.total;
                }
            }
            "finished" => {
                let data: Option<FinishedData> = record
                    .data
                    .and_then(|data| serde_json::from_str(data.get()).ok());
                self.total.finished = Some(data.and_then(|data| data.ok));
            }
            // Limits that the run found; nothing follows for rows and bills.
            "learnt" => {}
            other => {
                let note = format!("{place} is a record of an unknown kind, {other:?}");
                report.notes.push(note);
            }
        }
        Ok(())
    }

    fn run(&mut self, record: &Record<'_>, place: &str) -> io::Result<()> {
        if record.v != Some(VERSION) {
            return Err(not_a(
                "a journal of a version that is known here (1)",
                place,
            ));
        }
        let data = record
            .data
            .and_then(|data| serde_json::from_str(data.get()).ok());
        if let (
            None,
            Some(SessionData {
                endpoint: Some(name),
            }),
        ) = (self.total.endpoint, &data)
        {
            self.total.endpoint = Some(xxh3_128(name.as_bytes()));
        }
        self.total.sessions.push(Session::default());
        // The input may have changed since the last session counted it.
        self.total.items = None;
        self.total.stretch = Stretch::default();
        self.total.done = 0;
        self.facts.earlier.clear();
        if self.bounds.sessions == Sessions::Last {
            self.facts.done.clear();
            self.total.sent = 0;
        }
        Ok(())
    }

    /// The facts of a record's key: that of its item's own request.
    fn key(&mut self, record: &Record<'_>, line: u32) -> Option<(u128, &mut KeyFacts)> {
        self.facts_of(record.k?, line)
    }

    /// The facts of what was really sent, which may be another request.
    fn asked(&mut self, record: &Record<'_>, line: u32) -> Option<&mut KeyFacts> {
        let (_, facts) = self.facts_of(record.b.or(record.k)?, line)?;
        Some(facts)
    }

    /// The facts of a key, with counts of other sessions set back where they must be.
    fn facts_of(&mut self, digits: &str, line: u32) -> Option<(u128, &mut KeyFacts)> {
        let key = key_of(digits)? ^ self.total.endpoint.unwrap_or_default();
        let session = self.total.last();
        let facts = self.facts.keys.entry(key).or_default();
        if self.bounds.sessions == Sessions::Last && facts.counted_in != session {
            *facts = KeyFacts {
                session: facts.session,
                live: facts.live,
                failed: facts.failed,
                ..KeyFacts::default()
            };
        }
        facts.counted_in = session;
        facts.journal_line = line;
        Some((key, facts))
    }

    fn sent(&mut self, record: &Record<'_>, line: u32, report: &mut Report) {
        let session = self.total.last();
        let (Some(index), Some(n)) = (record.i, record.n) else {
            return;
        };
        self.total.sent += 1;
        if let Some(session) = self.total.sessions.last_mut() {
            // Items that travel along are sent by the same request.
            session.retries += u64::from(n > 1 && !record.along);
        }
        let fresh = self
            .facts
            .items
            .get(&index)
            .is_none_or(|item| item.session != session);
        let place = at(&self.total.name, line);
        let wanting = |earlier: &Earlier| earlier.wanting;
        if record.b.is_some() && !self.facts.earlier.get(&index).is_some_and(wanting) {
            let what = format!("item {index} asks something else, no answer of it was wanting");
            report.violated(Invariant::Attempts, &place, what);
        }
        if let Some(asked) = self.asked(record, line) {
            asked.sent += 1;
        }
        let Some((key, facts)) = self.key(record, line) else {
            return;
        };
        if facts.session != session {
            (facts.session, facts.items, facts.charged) = (session, 0, 0);
            (facts.needed, facts.retried) = (facts.live, 0);
        }
        // Of several items with this request, rows serve the first ones: another item may be the
        // one without a good row now.
        let failed = fresh && facts.retried < facts.failed;
        facts.retried += u32::from(failed);
        facts.items += u32::from(fresh);
        facts.needed += u32::from(fresh);
        let needed = facts.needed;
        let item = self.facts.items.entry(index).or_default();
        if fresh {
            (item.session, item.n) = (session, 0);
        }
        if item.done_in == session {
            let what = format!("item {index} is sent again, its row is recorded in this session");
            report.violated(Invariant::SentOnce, &place, what);
        } else if fresh && item.done_in != 0 && item.key == key as u64 {
            self.total.sent_again.push(SentAgain {
                key,
                index,
                line,
                needed,
                session,
                failed: failed || !item.done_ok,
            });
        }
        if n != item.n + 1 {
            let what = format!("item {index} makes attempt {n} after attempt {}", item.n);
            report.violated(Invariant::Attempts, &place, what);
        }
        item.n = n;
        if item.done_in != 0 && item.key != key as u64 {
            item.done_in = 0;
        }
        item.key = key as u64;
    }

    fn retry(&mut self, record: &Record<'_>, line: u32) {
        let kind = record.kind.unwrap_or_default();
        let charge = match record.along {
            true => self.charge,
            false => self.total.stretch.failed(kind, record.billed),
        };
        self.charge = charge;
        // A pack of items is sent again as two halves, which is no retry of either.
        let charge = match record.split {
            true => Charge::default(),
            false => charge,
        };
        if let Some(session) = self.total.sessions.last_mut() {
            let requests = 1 + u64::from(record.split);
            session.free += match record.along {
                true => 0,
                false => u64::from(!charge.spends) * requests,
            };
            session.wanting += u64::from(is_wanting(kind));
        }
        self.found_wanting(record, line, kind);
        if let Some(index) = record.i
            && (record.u.is_some() || is_wanting(kind))
        {
            let earlier = self.facts.earlier.entry(index).or_default();
            earlier.add(record.u, record.c, is_wanting(kind));
        }
        if let Some((_, facts)) = self.key(record, line) {
            facts.charged += u32::from(charge.counts);
        }
    }

    /// Notes an answer that would not do: it was sent whole, like that of an ok row.
    fn found_wanting(&mut self, record: &Record<'_>, line: u32, kind: &str) {
        if !is_wanting(kind) {
            return;
        }
        if let Some(facts) = self.asked(record, line) {
            facts.wanting += 1;
            facts.tokens(record.u);
        }
    }

    fn done(&mut self, record: &Record<'_>, line: u32, report: &mut Report) {
        let place = at(&self.total.name, line);
        let row = record.row.and_then(|row| Row::parse(row.get()));
        let (Some(index), Some(ok), Some(row)) = (record.i, record.ok, row) else {
            let what = "a row's record lacks its item, its outcome or its row";
            return report.violated(Invariant::OneRow, &place, what.into());
        };
        let earlier = match record.copy {
            true => None,
            false => self.facts.earlier.get(&index).copied(),
        };
        agree(record, &row, earlier, &place, report);
        self.total.done += 1;
        let kind = record.kind.unwrap_or_default();
        let sent = row.attempts.unwrap_or_default() > 0;
        let counts = sent && !record.copy && self.total.stretch.ended(ok, kind);
        self.live(record, ok);
        if sent && !ok && !record.copy {
            self.found_wanting(record, line, kind);
        }
        if ok
            && !record.copy
            && let Some(facts) = self.asked(record, line)
        {
            match sent {
                true => {
                    facts.ok_sent += 1;
                    facts.tokens(record.u);
                }
                // An answer from earlier was asked for by another run.
                false if record.cached => {}
                false => facts.ok_shared += 1,
            }
        }
        let Some((key, facts)) = self.key(record, line) else {
            return;
        };
        facts.charged += u32::from(counts);
        if record.was.is_some() {
            facts.needed = facts.needed.saturating_sub(1);
            facts.failed = facts.failed.saturating_sub(1);
        } else if !record.copy {
            facts.live += 1;
        }
        facts.failed += u32::from(!ok && !record.copy);
        let items = u64::from(facts.items);
        let charged = u64::from(facts.charged);
        let most = self.bounds.max_attempts.map(|most| u64::from(most) * items);
        if let Some(most) = most.filter(|most| sent && charged > *most && !record.copy) {
            let what = format!("{charged} attempts count for item {index}, {most} are allowed");
            report.violated(Invariant::Attempts, &place, what);
        }
        self.item(record, &row, (key, index, ok), line, report);
        self.keep(record, &row, key, line);
    }

    fn live(&mut self, record: &Record<'_>, ok: bool) {
        let session = self.total.last();
        if record.was.is_some() {
            self.total.replaced = true;
            self.total.live.1 = self.total.live.1.saturating_sub(1);
            if self.total.retrying.last() != Some(&session) {
                self.total.retrying.push(session);
            }
        }
        self.total.replaced |= record.copy;
        if !record.copy {
            match ok {
                true => self.total.live.0 += 1,
                false => self.total.live.1 += 1,
            }
        }
        if let Some(session) = self.total.sessions.last_mut() {
            session.ok += u64::from(ok && !record.copy);
        }
    }

    /// Notes a row at its item's place, which must not have one from this session already.
    fn item(
        &mut self,
        record: &Record<'_>,
        row: &Row<'_>,
        (key, index, ok): (u128, u64, bool),
        line: u32,
        report: &mut Report,
    ) {
        let session = self.total.last();
        let place = at(&self.total.name, line);
        let item = self.facts.items.entry(index).or_default();
        let attempts = if item.session == session { item.n } else { 0 };
        if item.done_in == session {
            let what = format!("item {index} has a second row in this session");
            report.violated(Invariant::OneRow, &place, what);
        }
        let said = row.attempts.unwrap_or_default();
        if !record.copy && said != u64::from(attempts) {
            let what = format!("row {index} says {said} attempts, {attempts} are recorded");
            report.violated(Invariant::Attempts, &place, what);
        }
        *item = ItemFacts {
            key: key as u64,
            session: item.session,
            n: item.n,
            done_in: session,
            done_ok: ok,
        };
    }

    /// Keeps a row's content for the comparison with the results.
    fn keep(&mut self, record: &Record<'_>, row: &Row<'_>, key: u128, line: u32) {
        let index = record.i.unwrap_or_default();
        let id = match &record.id {
            Some(id) => hash_of(id),
            None => hash_of(&format!("item-{index}")),
        };
        self.facts
            .done
            .entry(row.content)
            .and_modify(|done| {
                done.left += 1;
                done.several = true;
            })
            .or_insert(DoneFacts {
                key,
                left: 1,
                several: false,
                index,
                id,
                line,
            });
    }
}
