//! The simulator's log as evidence: what was received, what was fully answered, and when.
//!
//! Owns the pairing of requests with their ends, and the count in flight. Never knows a row.
//!
//! A simulator numbers its requests from 1. A number that comes a second time begins the log of
//! another simulator in the same file; requests that were open then have no end.

use std::io;
use std::time::Duration;

use serde::Deserialize;

use super::facts::{Facts, KeyFacts, Table, key_of};
use super::read::{Source, at, each_line, not_a};
use super::report::Report;
use super::secrets::Secrets;
use crate::dialect::Operation;
use crate::log::{DropReason, Event, LogRecord};

/// Where the log is.
#[derive(Debug)]
pub enum Log<'a> {
    /// Files of JSON lines, in the order of their making.
    Files(Vec<Source<'a>>),
    /// Records in memory.
    Records(&'a [LogRecord]),
}

/// Operations that count tokens and make no row.
const COUNTS_TOKENS: [&str; 2] = ["count_tokens", "gemini_count_tokens"];

/// A record as far as the judge needs it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    what: What,
    seq: u64,
    t_s: f64,
    key: u128,
    /// The keys of the inputs of a call for embeddings.
    keys: Vec<u128>,
    output_tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Request,
    Answer(u16),
    /// Fully sent, but no client may take it for a good answer.
    Spoiled,
    /// Not fully sent.
    Dropped,
    /// Not told whether it was an answer.
    Raw,
    /// Something of a later version that is no matter of requests.
    Other,
}

/// A line of the log; members that are not needed are passed over.
#[derive(Debug, Deserialize)]
struct LogLine<'a> {
    event: &'a str,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    t_s: f64,
    #[serde(default)]
    key: &'a str,
    #[serde(borrow, default)]
    keys: Vec<&'a str>,
    status: Option<u16>,
    #[serde(default)]
    output_tokens: u64,
    reason: Option<&'a str>,
    #[serde(default)]
    spoiled: bool,
    #[serde(default)]
    operation: &'a str,
}

/// What the log says as a whole.
#[derive(Debug, Default)]
pub(super) struct LogFacts {
    pub(super) name: String,
    pub(super) requests: u64,
    pub(super) answers: u64,
    /// Items that answers, and what may have been some, can be for: a call for embeddings may
    /// have several.
    pub(super) answered_items: u64,
    pub(super) dropped: u64,
    pub(super) unknown: u64,
    pub(super) open: u64,
    /// From the first to the last record of each simulator, added up.
    pub(super) span: Duration,
    /// Simulators that wrote it.
    pub(super) parts: u32,
    /// When requests came and ended, in nanoseconds; see [`LogFacts::most_in_flight`].
    starts: Vec<u64>,
    ends: Vec<u64>,
}

impl LogFacts {
    /// The most requests in flight at once, and when, in seconds of the log's clock.
    ///
    /// A request ends this much earlier than its record says: a client may have read the whole
    /// answer, and sent the next request, before the record is made.
    pub(super) fn most_in_flight(&mut self, slack: Duration) -> (u64, f64) {
        let slack = u64::try_from(slack.as_nanos()).unwrap_or(u64::MAX);
        let mut ends: Vec<u64> = self
            .ends
            .iter()
            .map(|end| end.saturating_sub(slack))
            .collect();
        self.starts.sort_unstable();
        ends.sort_unstable();
        let (mut most, mut when, mut over) = (0, 0, 0);
        for (n, start) in self.starts.iter().enumerate() {
            while ends.get(over).is_some_and(|end| end <= start) {
                over += 1;
            }
            // An end that the slack puts before its own start takes nobody else's place.
            let in_flight = (n + 1).saturating_sub(over).max(1) as u64;
            if in_flight > most {
                (most, when) = (in_flight, *start);
            }
        }
        (most, when as f64 / 1e9)
    }
}

/// Reads a log and notes each record with its key.
///
/// # Errors
/// When it cannot be read or a line is no record.
pub(super) fn read(
    log: &mut Log<'_>,
    facts: &mut Facts,
    secrets: &Secrets,
    report: &mut Report,
) -> io::Result<LogFacts> {
    let mut reader = Reader::new(facts);
    match log {
        Log::Records(records) => {
            reader.total.name = "log".into();
            for (n, record) in records.iter().enumerate() {
                let line = u32::try_from(n + 1).unwrap_or(u32::MAX);
                reader.note(seen(record), line);
            }
        }
        Log::Files(files) => {
            for file in files {
                reader.total.name = file.name.clone();
                reader.next_part();
                let name = file.name.clone();
                each_line(file, secrets, report, |report, line| {
                    match parse(line.bytes) {
                        Some(seen) => reader.note(seen, line.number),
                        None if line.whole => {
                            return Err(not_a("a record of a log", &at(&name, line.number)));
                        }
                        None => report.notes.push(format!(
                            "{} is torn: the simulator was killed while it wrote",
                            at(&name, line.number)
                        )),
                    }
                    Ok(())
                })?;
            }
        }
    }
    Ok(reader.finish())
}

fn parse(line: &[u8]) -> Option<Seen> {
    let line: LogLine<'_> = serde_json::from_slice(line).ok()?;
    let what = match line.event {
        _ if COUNTS_TOKENS.contains(&line.operation) => What::Other,
        "request" => What::Request,
        "answer" => answered(line.status?, line.spoiled),
        "dropped" if matches!(line.reason, Some("raw" | "unended")) && !line.spoiled => What::Raw,
        "dropped" => What::Dropped,
        _ => What::Other,
    };
    let key = match what {
        What::Other => 0,
        What::Request | What::Answer(_) | What::Spoiled | What::Dropped | What::Raw => {
            key_of(line.key)?
        }
    };
    Some(Seen {
        what,
        seq: line.seq,
        t_s: line.t_s,
        key,
        keys: line.keys.into_iter().map(key_of).collect::<Option<_>>()?,
        output_tokens: line.output_tokens,
    })
}

/// An error is one whether or not the answer in its place would have been spoilt.
fn answered(status: u16, spoiled: bool) -> What {
    match spoiled && (200..300).contains(&status) {
        true => What::Spoiled,
        false => What::Answer(status),
    }
}

fn seen(record: &LogRecord) -> Seen {
    let counts = matches!(
        record.operation,
        Operation::CountTokens | Operation::GeminiCountTokens
    );
    Seen {
        what: match record.event {
            _ if counts => What::Other,
            Event::Request => What::Request,
            Event::Answer => answered(record.status.unwrap_or_default(), record.spoiled),
            Event::Dropped => match record.reason {
                Some(DropReason::Raw | DropReason::Unended) if !record.spoiled => What::Raw,
                _ => What::Dropped,
            },
        },
        seq: record.seq,
        t_s: record.t_s,
        key: key_of(&record.key).unwrap_or_default(),
        keys: record.keys.iter().filter_map(|key| key_of(key)).collect(),
        output_tokens: record.output_tokens,
    }
}

struct Reader<'f> {
    facts: &'f mut Facts,
    total: LogFacts,
    /// The numbers of this part's requests.
    known: Vec<bool>,
    /// What is known of the open ones.
    open: Table<u64, Open>,
    first: f64,
    last: f64,
    /// Added to the times of this part, so that parts never overlap.
    shift: u64,
}

/// A request without an end.
#[derive(Debug)]
struct Open {
    /// The keys that it counts for, when they are others than its own.
    keys: Vec<u128>,
}

impl<'f> Reader<'f> {
    fn new(facts: &'f mut Facts) -> Reader<'f> {
        Reader {
            facts,
            total: LogFacts::default(),
            known: Vec::new(),
            open: Table::default(),
            first: f64::INFINITY,
            last: 0.0,
            shift: 0,
        }
    }

    fn note(&mut self, seen: Seen, line: u32) {
        if seen.what == What::Other {
            return;
        }
        let place = usize::try_from(seen.seq).unwrap_or(usize::MAX);
        if seen.what == What::Request && self.known.get(place) == Some(&true) {
            self.next_part();
        }
        self.first = self.first.min(seen.t_s);
        self.last = self.last.max(seen.t_s);
        let now = self.shift + nanos(seen.t_s);
        if seen.what == What::Request {
            let keys = self.counts_for(&seen);
            self.total.requests += 1;
            self.total.starts.push(now);
            self.each(seen.key, &keys, |facts| {
                facts.requests += 1;
                facts.log_line = line;
            });
            self.open.insert(seen.seq, Open { keys });
            self.know(place);
            return;
        }
        // An end without its beginning belongs to a request from before this log.
        let Some(open) = self.open.remove(&seen.seq) else {
            return;
        };
        self.total.ends.push(now);
        let items = open.keys.len().max(1) as u64;
        match seen.what {
            What::Answer(status) if (200..300).contains(&status) => {
                self.total.answers += 1;
                self.total.answered_items += items;
            }
            What::Raw => {
                self.total.unknown += 1;
                self.total.answered_items += items;
            }
            What::Dropped => self.total.dropped += 1,
            What::Answer(_) | What::Spoiled | What::Request | What::Other => {}
        }
        self.each(seen.key, &open.keys, |facts| ended(facts, &seen));
    }

    /// The keys that a request counts for instead of its own: those of its inputs, when it was
    /// put together from items that the journal knows one by one.
    fn counts_for(&mut self, seen: &Seen) -> Vec<u128> {
        let is_an_item = self
            .facts
            .keys
            .get(&seen.key)
            .is_some_and(|key| key.sent > 0);
        match is_an_item {
            true => Vec::new(),
            false => seen.keys.clone(),
        }
    }

    /// Tells the facts of each key, or of the request's own one when there are none.
    fn each(&mut self, own: u128, keys: &[u128], mut tell: impl FnMut(&mut KeyFacts)) {
        let own = [own];
        let keys = if keys.is_empty() { &own[..] } else { keys };
        for key in keys {
            tell(self.facts.keys.entry(*key).or_default());
        }
    }

    /// Remembers a number; absurd ones are not worth the memory.
    fn know(&mut self, place: usize) {
        const MOST: usize = 1 << 32;
        if place >= self.known.len() && place < MOST {
            self.known.resize((place + 1).next_power_of_two(), false);
        }
        if let Some(known) = self.known.get_mut(place) {
            *known = true;
        }
    }

    /// Closes the log of one simulator.
    fn next_part(&mut self) {
        if self.first > self.last {
            return;
        }
        self.total.parts += 1;
        self.total.open += self.open.len() as u64;
        self.total.span += Duration::from_secs_f64((self.last - self.first).max(0.0));
        let end = self.shift + nanos(self.last) + 1;
        self.total.ends.extend(self.open.drain().map(|_| end));
        self.shift = end;
        self.known.clear();
        (self.first, self.last) = (f64::INFINITY, 0.0);
    }

    fn finish(mut self) -> LogFacts {
        self.next_part();
        self.total
    }
}

/// Notes the end of a request at a key that it counts for.
fn ended(facts: &mut KeyFacts, seen: &Seen) {
    match seen.what {
        What::Answer(status) if (200..300).contains(&status) => {
            facts.answers += 1;
            facts.answered_tokens += seen.output_tokens;
            facts.tokens_untold |= seen.output_tokens == 0;
        }
        What::Answer(status) => facts.refused += u32::from(status == 429),
        What::Raw => facts.unknown += 1,
        What::Dropped | What::Spoiled | What::Request | What::Other => {}
    }
}

/// Seconds as nanoseconds; what is no time counts as 0.
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}
