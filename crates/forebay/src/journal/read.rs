//! Reading a journal from its start: records with their places, and totals over sessions.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use memchr::memchr;

use super::record::{self, Key, Record, RecordedRow};
use crate::config::Learnt;
use crate::money::Usd;
use crate::outcome::Usage;

/// Bytes read at once.
const BUFFER: usize = 1 << 20;

/// Where a journal's whole records end, and what was skipped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extent {
    /// The end of the last whole record.
    pub end: u64,
    /// Lines before that end that were damaged.
    pub damaged: u64,
}

/// Calls `see` with the place of each whole record, in order.
///
/// # Errors
/// When the file cannot be read, or what `see` returns.
pub fn for_each<E: From<io::Error>>(
    file: &File,
    mut see: impl FnMut(u64, &Record<'_>) -> Result<(), E>,
) -> Result<Extent, E> {
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let mut extent = Extent::default();
    // What was read and not looked at yet stands from `start` to `end`; `at` is where it begins.
    let mut buffer = vec![0; BUFFER];
    let (mut at, mut start, mut end, mut bad) = (0u64, 0, 0, 0);
    loop {
        let mut searched = start;
        while let Some(n) = memchr(b'\n', &buffer[searched..end]) {
            let next = searched + n + 1;
            match record::parse(&buffer[start..next - 1]) {
                Some(record) => {
                    see(at, &record)?;
                    extent.end = at + (next - start) as u64;
                    // Only now it is known that the damage is not the torn end.
                    extent.damaged += std::mem::take(&mut bad);
                }
                None => bad += 1,
            }
            at += (next - start) as u64;
            (start, searched) = (next, next);
        }
        // A record that is longer than the buffer needs a larger one.
        buffer.copy_within(start..end, 0);
        (start, end) = (0, end - start);
        if end == buffer.len() {
            buffer.resize(2 * end, 0);
        }
        match read_some(file, &mut buffer[end..])? {
            0 => return Ok(extent),
            n => end += n,
        }
    }
}

/// Reads once; 0 at the end of the file.
fn read_some(mut file: &File, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Reads single records at known places, fast when the places ascend.
#[derive(Debug)]
pub struct Lookup {
    reader: BufReader<File>,
    at: u64,
    /// Bytes of the buffer that the last record took up.
    used: usize,
    line: Vec<u8>,
}

impl Lookup {
    /// Looks into this file; another handle's position is disturbed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(mut file: File) -> io::Result<Lookup> {
        file.seek(SeekFrom::Start(0))?;
        Ok(Lookup {
            reader: BufReader::with_capacity(BUFFER / 4, file),
            at: 0,
            used: 0,
            line: Vec::new(),
        })
    }

    /// The record that begins at `offset`.
    ///
    /// # Errors
    /// When the file cannot be read or holds no record there.
    pub fn record(&mut self, offset: u64) -> io::Result<Record<'_>> {
        record::parse(self.line(offset)?).ok_or_else(|| torn(offset))
    }

    /// The row whose record begins at `offset`.
    ///
    /// # Errors
    /// As [`Lookup::record`].
    pub fn row(&mut self, offset: u64) -> io::Result<RecordedRow<'_>> {
        record::parse_row(self.line(offset)?).ok_or_else(|| torn(offset))
    }

    fn line(&mut self, offset: u64) -> io::Result<&[u8]> {
        self.reader.consume(std::mem::take(&mut self.used));
        self.reader.seek_relative(offset as i64 - self.at as i64)?;
        self.at = offset;
        let end = memchr(b'\n', self.reader.fill_buf()?);
        match end {
            // As a rule all of it is in the buffer.
            Some(end) => {
                self.used = end + 1;
                self.at += self.used as u64;
                Ok(&self.reader.buffer()[..end])
            }
            None => {
                self.line.clear();
                self.at += self.reader.read_until(b'\n', &mut self.line)? as u64;
                self.line.strip_suffix(b"\n").ok_or_else(|| torn(offset))
            }
        }
    }
}

fn torn(offset: u64) -> io::Error {
    io::Error::other(format!("no whole record at byte {offset}"))
}

/// What one session, or all of them together, did.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// When it began, in seconds since 1970.
    pub started: Option<f64>,
    /// When its last record was made.
    pub last: Option<f64>,
    /// Items that succeeded.
    pub ok: u64,
    /// Failed items by kind.
    pub failed: BTreeMap<String, i64>,
    /// HTTP exchanges begun.
    pub attempts: u64,
    /// Attempts that may have been billed without an answer.
    pub maybe_billed: u64,
    /// Tokens.
    pub usage: Usage,
    /// Cost as far as it is known.
    pub cost: Usd,
    /// Answers whose cost is not known.
    pub cost_unknown: u64,
    /// The most that attempts without an answer can have cost, as far as it was recorded: it
    /// counts against the cap on cost and is in no sum that is shown.
    pub at_risk: Usd,
    /// Seconds of work.
    pub wall_s: f64,
    /// Why it ended; `None` when it was killed or is still running.
    pub ended: Option<String>,
}

impl Totals {
    /// Failed items of all kinds.
    pub fn failed_count(&self) -> u64 {
        self.failed.values().sum::<i64>().max(0).unsigned_abs()
    }

    /// Adds another session to this sum.
    pub fn add(&mut self, other: &Totals) {
        self.started = self.started.or(other.started);
        self.last = other.last.or(self.last);
        self.ok += other.ok;
        for (kind, n) in &other.failed {
            *self.failed.entry(kind.clone()).or_default() += n;
        }
        self.attempts += other.attempts;
        self.maybe_billed += other.maybe_billed;
        self.usage.add(&other.usage);
        self.cost += other.cost;
        self.cost_unknown += other.cost_unknown;
        self.at_risk += other.at_risk;
        self.wall_s += other.wall_s;
        self.ended.clone_from(&other.ended);
    }
}

/// What a journal says about its run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The settings of the newest session, as JSON.
    pub settings: Option<String>,
    /// The sessions in order.
    pub sessions: Vec<Totals>,
    /// Items in the input, when they were counted.
    pub items: Option<u64>,
    /// The `finished` record's JSON, when the run is complete.
    pub finished: Option<String>,
    /// Requests sent at known times during the last day before `now`.
    pub requests_of_a_day: u64,
    /// What was learnt last, during the last day before `now`: a hash of the base URL that it
    /// holds for, and the limits.
    learnt: Option<(u32, Learnt)>,
    /// Attempts without an end by key.
    open: HashMap<Key, Open, BuildHasherDefault<KeyHasher>>,
}

/// Takes keys as they are: they are hashes.
#[derive(Debug, Clone, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Attempts of one key that were begun and not ended.
#[derive(Debug, Clone, Default)]
struct Open {
    attempts: u32,
    /// Those of them that are requests by themselves: other items travel along.
    requests: u32,
    /// The most that one can cost.
    worst: Usd,
}

impl History {
    /// Notes a record; `now` is in seconds since 1970.
    pub fn note(&mut self, record: &Record<'_>, now: f64) {
        if record.t == "run" {
            self.close_session();
            self.settings = record.data.map(|data| data.get().to_owned());
            self.sessions.push(Totals {
                started: record.at,
                last: record.at,
                ..Totals::default()
            });
            return;
        }
        if self.sessions.is_empty() {
            // The record that begins the session is damaged.
            self.sessions.push(Totals::default());
        }
        let Some(session) = self.sessions.last_mut() else {
            return;
        };
        session.last = record.at.or(session.last);
        match record.t {
            "sent" => {
                // Several items may travel in one exchange.
                let is_request = record.along != Some(true);
                session.attempts += u64::from(is_request);
                if is_request && is_of_a_day(record, now) {
                    self.requests_of_a_day += 1;
                }
                if let Some(key) = record.key() {
                    let open = self.open.entry(key).or_default();
                    open.attempts += 1;
                    open.requests += u32::from(is_request);
                    // What is asked after an answer that would not do may cost more.
                    open.worst = open.worst.max(worst_of(record));
                }
            }
            "retry" | "done" => {
                if record.billed == Some(true) && record.along != Some(true) {
                    session.maybe_billed += 1;
                }
                // Of an attempt that may have been billed, and of an answer that told no tokens.
                session.at_risk += worst_of(record);
                if record.copy != Some(true) {
                    self.close(record);
                }
            }
            "items" => self.items = record.total.map(|n| n as u64),
            "learnt" => self.learnt = learnt(record).filter(|_| is_of_a_day(record, now)),
            "end" => {
                session.ended = record.kind.map(str::to_owned);
                session.wall_s = record.total.unwrap_or_default();
            }
            "finished" => self.finished = record.data.map(|data| data.get().to_owned()),
            _ => {}
        }
    }

    fn close(&mut self, record: &Record<'_>) {
        // An answer from earlier ends no attempt, though another item's may have the same key.
        if record.cached != Some(true)
            && let Some(key) = record.key()
            && let Some(open) = self.open.get_mut(&key)
        {
            open.attempts -= 1;
            let is_request = record.along != Some(true);
            open.requests = open.requests.saturating_sub(u32::from(is_request));
            if open.attempts == 0 {
                self.open.remove(&key);
            }
        }
        let Some(session) = self.sessions.last_mut() else {
            return;
        };
        if let Some(usage) = record.usage() {
            session.usage.add(&usage);
            match record.c {
                Some(cost) => session.cost += Usd::from_picos(cost.into()),
                None => session.cost_unknown += 1,
            }
        }
        if record.t != "done" {
            return;
        }
        if record.ok == Some(true) {
            session.ok += 1;
        } else {
            let kind = record.kind.unwrap_or("unknown").to_owned();
            *session.failed.entry(kind).or_default() += 1;
        }
        if let Some(was) = record.was {
            *session.failed.entry(was.to_owned()).or_default() -= 1;
        }
    }

    /// Ends the last session: what it sent and never finished may have been billed.
    pub fn close_session(&mut self) {
        let open: Vec<_> = self.open.drain().map(|(_, open)| open).collect();
        if let Some(session) = self.sessions.last_mut() {
            for open in open {
                session.maybe_billed += u64::from(open.requests);
                session.at_risk += open.worst.times(open.attempts.into());
            }
            if session.ended.is_none()
                && let (Some(started), Some(last)) = (session.started, session.last)
            {
                session.wall_s = last - started;
            }
        }
    }

    /// What was learnt last, within the last day, wherever the requests went.
    pub fn last_learnt(&self) -> Option<Learnt> {
        self.learnt.map(|(_, learnt)| learnt)
    }

    /// What was learnt within the last day of the server at the base URL of this hash.
    pub fn learnt(&self, base_url: u32) -> Option<Learnt> {
        let (place, learnt) = self.learnt?;
        (place == base_url).then_some(learnt)
    }

    /// All sessions together.
    pub fn total(&self) -> Totals {
        let mut total = Totals::default();
        for session in &self.sessions {
            total.add(session);
        }
        total.failed.retain(|_, n| *n > 0);
        total
    }

    /// Reads the history of a journal.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(file: &File, now: f64) -> io::Result<(History, Extent)> {
        let mut history = History::default();
        let extent = for_each(file, |_, record| {
            history.note(record, now);
            Ok::<_, io::Error>(())
        })?;
        history.close_session();
        Ok((history, extent))
    }
}

/// Whether a record was made within a day before `now`. Limits of accounts change, and so does what
/// others use of them.
fn is_of_a_day(record: &Record<'_>, now: f64) -> bool {
    record.at.is_some_and(|at| now - at < 86_400.0)
}

fn learnt(record: &Record<'_>) -> Option<(u32, Learnt)> {
    let learnt = serde_json::from_str(record.data?.get()).ok()?;
    Some((record.f?, learnt))
}

fn worst_of(record: &Record<'_>) -> Usd {
    Usd::from_picos(record.w.unwrap_or_default().into())
}
