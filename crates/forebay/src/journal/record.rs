//! The lines of a journal.
//!
//! Each record is one line of JSON that ends with a checksum of everything before it, so that
//! `jq` and `tail -f` read a journal and a torn line is noticed:
//! ```text
//! {"t":"sent","k":"5f0c…","i":12,"n":1,"at":1790000000.123,"crc":"9ab01c2d"}
//! ```

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::usual;
use crate::fields::{as_text, push_hex, push_number};
use crate::outcome::Usage;
use crate::scan::Scan;

/// The name of a row: a hash of its resolved request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u128);

impl Key {
    /// The key of a request body that goes to an endpoint.
    ///
    /// The XXH3-128 hashes of both, combined by exclusive or: whoever has the hash of the body,
    /// such as a provider with a log, can say which row it belongs to. Whether the answer is
    /// streamed is no part of what is asked, so the members that say so are left out first.
    pub fn of(endpoint: &str, body: &[u8]) -> Key {
        let hash = xxhash_rust::xxh3::xxh3_128;
        let body = without_streaming(body);
        Key(hash(&body) ^ hash(endpoint.as_bytes()))
    }
}

/// The members by which a request asks for a stream, as the dialects write them.
///
/// They cannot stand inside of a JSON string, where the quotes would be escaped.
const STREAMING: [&[u8]; 2] = [
    b",\"stream\":true",
    b",\"stream_options\":{\"include_usage\":true}",
];

/// What both have in common: most requests do not have it, so it is looked for once.
static IN_ALL: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b",\"stream"));

/// Where a row begins. It cannot stand inside of a JSON string, where the quotes would be
/// escaped.
static ROW: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b",\"row\":{"));
/// What a record that succeeded says, and where an item's own key begins.
static OK: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b",\"ok\":true,"));
static ID: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b",\"id\":"));
/// Bytes before a row's opening brace.
const BEFORE_ROW: usize = b",\"row\":".len();
/// How the record of a row begins; other kinds hold objects whose members may have any name.
const DONE: &[u8] = b"{\"t\":\"done\",";

fn without_streaming(body: &[u8]) -> Cow<'_, [u8]> {
    if IN_ALL.find(body).is_none() {
        return Cow::Borrowed(body);
    }
    let mut body = Cow::Borrowed(body);
    for member in STREAMING {
        while let Some(at) = memchr::memmem::find(&body, member) {
            body.to_mut().drain(at..at + member.len());
        }
    }
    body
}

/// Opening of the checksum at the end of each line.
const CHECKSUM: &[u8] = b",\"crc\":\"";
/// What follows a record's last member: the checksum member, the brace, the line end.
const TAIL: usize = CHECKSUM.len() + 8 + 3;

/// A record as read. Which members are there depends on the kind.
#[derive(Debug, Default, Deserialize)]
pub struct Record<'a> {
    /// The kind: `run`, `sent`, `retry`, `done`, `items`, `learnt`, `end` or `finished`.
    pub t: &'a str,
    /// The row's key, written in 32 hexadecimal digits.
    #[serde(default, deserialize_with = "as_key")]
    pub k: Option<Key>,
    /// The key that what was really sent would have as an item's own request; absent when it
    /// is the item's.
    pub b: Option<&'a str>,
    /// The item's index in its session.
    pub i: Option<u64>,
    /// Which attempt of the item, from 1.
    pub n: Option<u32>,
    /// Seconds since 1970 when the record was made.
    pub at: Option<f64>,
    /// The item's own key.
    #[serde(borrow)]
    pub id: Option<Cow<'a, str>>,
    /// Whether the item succeeded.
    pub ok: Option<bool>,
    /// The kind of a failure.
    pub kind: Option<&'a str>,
    /// Whether a failed attempt may have been billed.
    pub billed: Option<bool>,
    /// Tokens: input, output, cached input, reasoning.
    pub u: Option<[u64; 4]>,
    /// Cost in pico-dollars.
    pub c: Option<i64>,
    /// The most that an attempt can have cost, in pico-dollars, when the run has a cap.
    pub w: Option<i64>,
    /// Hash of the input fields; of what was learnt: of the base URL.
    pub f: Option<u32>,
    /// The kind of the failure that this row replaces.
    pub was: Option<&'a str>,
    /// Whether this row repeats an earlier one with other input fields.
    pub copy: Option<bool>,
    /// Whether the item travels in the request of the item recorded before it.
    pub along: Option<bool>,
    /// Whether the answer is one from earlier, for which nothing was sent.
    pub cached: Option<bool>,
    /// Items in the input, or seconds that a session took.
    pub total: Option<f64>,
    /// The row's body, a JSON object.
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub row: Option<&'a str>,
    /// Settings of a run, what was learnt, or totals.
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
}

impl<'a> Record<'a> {
    /// The row's body, a JSON object; an empty one when there is none.
    pub fn body(&self) -> &'a str {
        self.row.unwrap_or("{}")
    }

    /// The row's key.
    pub fn key(&self) -> Option<Key> {
        self.k
    }

    /// The tokens.
    pub fn usage(&self) -> Option<Usage> {
        let [
            input_tokens,
            output_tokens,
            cached_input_tokens,
            reasoning_tokens,
        ] = self.u?;
        Some(Usage {
            input_tokens,
            output_tokens,
            cached_input_tokens,
            reasoning_tokens,
            ..Usage::default()
        })
    }
}

/// Reads a line without its line end; `None` when it is torn or was changed.
pub(super) fn parse(line: &[u8]) -> Option<Record<'_>> {
    read(line, checked(line)?)
}

/// Reads a line of which this is what its checksum is of.
fn read<'a>(line: &'a [u8], body: &'a [u8]) -> Option<Record<'a>> {
    usual::read(body)
        .or_else(|| plain(body))
        .or_else(|| serde_json::from_slice(line).ok())
}

/// What of a line its checksum is of; `None` when that is another one.
fn checked(line: &[u8]) -> Option<&[u8]> {
    // The line end is not part of `line`.
    let body_end = line.len().checked_sub(TAIL - 1)?;
    let (body, tail) = line.split_at(body_end);
    let digits = tail.strip_prefix(CHECKSUM)?.strip_suffix(b"\"}")?;
    (usual::hex(digits.try_into().ok()?)? == crc32fast::hash(body)).then_some(body)
}

/// A finished row, as far as an output needs it.
#[derive(Debug)]
pub struct RecordedRow<'a> {
    /// The item's own key.
    pub id: Option<Cow<'a, str>>,
    /// Whether the item succeeded.
    pub ok: bool,
    /// The row's body, a JSON object.
    pub body: &'a str,
}

/// Reads a row's line without its line end; `None` when it is torn or was changed.
pub(super) fn parse_row(line: &[u8]) -> Option<RecordedRow<'_>> {
    let body = checked(line)?;
    if let Some(row) = bare_row(body) {
        return Some(row);
    }
    let record = read(line, body)?;
    Some(RecordedRow {
        ok: record.ok == Some(true),
        body: record.body(),
        id: record.id,
    })
}

/// The row of a record that succeeded and has no key of its own, as most are: none of these marks
/// can stand inside of a string of the record's head.
fn bare_row(body: &[u8]) -> Option<RecordedRow<'_>> {
    let (head, row) = body.split_at(row_in(body)?);
    let is_bare = OK.find(head).is_some() && ID.find(head).is_none() && row.ends_with(b"}");
    let body = as_text(&row[BEFORE_ROW..])?;
    is_bare.then_some(RecordedRow {
        id: None,
        ok: true,
        body,
    })
}

/// Where the row of a finished item's record begins.
fn row_in(body: &[u8]) -> Option<usize> {
    body.starts_with(DONE).then(|| ROW.find(body)).flatten()
}

/// Reads what comes before a checksum that is right, when it is written as rows and attempts
/// are: a row comes last, and nothing else holds an object. The row itself is taken as it was
/// written.
fn plain(body: &[u8]) -> Option<Record<'_>> {
    let text = as_text(body)?;
    let (head, row) = match row_in(body) {
        Some(at) => (&text[..at], Some(&text[at + BEFORE_ROW..])),
        None => (text, None),
    };
    if row.is_some_and(|row| !row.ends_with('}')) {
        return None;
    }
    let mut record = Record {
        row,
        ..Record::default()
    };
    let mut scan = Scan::new(head);
    scan.take(b'{')?;
    scan.members(|scan, name| record.fill(name, scan))?;
    scan.is_over().then_some(record)
}

fn as_written<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<&'de str>, D::Error> {
    Ok(Option::<&RawValue>::deserialize(reader)?.map(RawValue::get))
}

fn as_key<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Key>, D::Error> {
    Ok(Option::<&str>::deserialize(reader)?.and_then(key_of))
}

fn key_of(digits: &str) -> Option<Key> {
    usual::key(digits.as_bytes().try_into().ok()?)
}

impl<'a> Record<'a> {
    /// Takes the value of a member; `None` when it is not plain.
    fn fill(&mut self, name: &str, scan: &mut Scan<'a>) -> Option<()> {
        match name {
            "t" => self.t = scan.plain()?,
            "k" => self.k = key_of(scan.plain()?),
            "b" => self.b = Some(scan.plain()?),
            "kind" => self.kind = Some(scan.plain()?),
            "was" => self.was = Some(scan.plain()?),
            "id" => self.id = Some(scan.string()?),
            "i" => self.i = Some(scan.count()?),
            "n" => self.n = Some(scan.count()?.try_into().ok()?),
            "f" => self.f = Some(scan.count()?.try_into().ok()?),
            "c" => self.c = Some(scan.count()?.try_into().ok()?),
            "w" => self.w = Some(scan.count()?.try_into().ok()?),
            "at" => self.at = Some(scan.number()?.parse().ok()?),
            "total" => self.total = Some(scan.number()?.parse().ok()?),
            "ok" => self.ok = Some(scan.boolean()?),
            "billed" => self.billed = Some(scan.boolean()?),
            "copy" => self.copy = Some(scan.boolean()?),
            "along" => self.along = Some(scan.boolean()?),
            "cached" => self.cached = Some(scan.boolean()?),
            "u" => self.u = Some(four(scan)?),
            "row" | "data" => return None,
            _ => scan.skip()?,
        }
        Some(())
    }
}

fn four(scan: &mut Scan<'_>) -> Option<[u64; 4]> {
    let (mut four, mut n) = ([0; 4], 0);
    scan.list(|scan| {
        *four.get_mut(n)? = scan.count()?;
        n += 1;
        Some(())
    })?;
    (n == four.len()).then_some(four)
}

/// Builds one record at the end of a buffer.
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Line<'a> {
    /// Begins a record of this kind.
    pub fn new(out: &'a mut Vec<u8>, kind: &str) -> Line<'a> {
        let start = out.len();
        out.extend_from_slice(b"{\"t\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        Line { out, start }
    }

    /// Adds a key.
    #[must_use]
    pub fn key(self, key: Key) -> Line<'a> {
        self.hash("k", key)
    }

    fn hash(mut self, name: &str, key: Key) -> Line<'a> {
        self.begin(name);
        self.out.push(b'"');
        push_hex(self.out, key.0, 32);
        self.out.push(b'"');
        self
    }

    fn begin(&mut self, name: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Adds the key of what was really asked, unless it is the item's own request.
    #[must_use]
    pub fn asked(self, body: Option<Key>) -> Line<'a> {
        match body {
            Some(body) => self.hash("b", body),
            None => self,
        }
    }

    /// Adds a member that shows itself as JSON.
    #[must_use]
    pub fn plain(mut self, name: &str, value: impl std::fmt::Display) -> Line<'a> {
        self.begin(name);
        let _ = write!(self.out, "{value}");
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, name: &str, value: u64) -> Line<'a> {
        self.begin(name);
        push_number(self.out, value);
        self
    }

    /// Adds numbers.
    #[must_use]
    pub fn numbers(mut self, name: &str, values: &[u64]) -> Line<'a> {
        self.begin(name);
        for (at, value) in values.iter().enumerate() {
            self.out.push(if at == 0 { b'[' } else { b',' });
            push_number(self.out, *value);
        }
        self.out.push(b']');
        self
    }

    /// Adds a boolean.
    #[must_use]
    pub fn flag(self, name: &str, value: bool) -> Line<'a> {
        self.json(name, if value { b"true" } else { b"false" })
    }

    /// Adds a string.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Line<'a> {
        self.begin(name);
        crate::fields::push_json_str(self.out, value);
        self
    }

    /// Adds JSON as it is; it must be on one line.
    #[must_use]
    pub fn json(mut self, name: &str, value: &[u8]) -> Line<'a> {
        self.begin(name);
        self.out.extend_from_slice(value);
        self
    }

    /// Ends the record.
    pub fn end(self) {
        let checksum = crc32fast::hash(&self.out[self.start..]);
        self.out.extend_from_slice(CHECKSUM);
        push_hex(self.out, checksum.into(), 8);
        self.out.extend_from_slice(b"\"}\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line() -> Vec<u8> {
        let mut out = Vec::new();
        Line::new(&mut out, "done")
            .key(Key(0xabc))
            .plain("i", 7)
            .text("id", "a\"\n\u{1F600}")
            .plain("ok", true)
            .json("u", b"[1,2,3,4]")
            .json("row", br#"{"output":"x"}"#)
            .end();
        out
    }

    #[test]
    fn a_record_comes_back() {
        let line = line();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let record = parse(line.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(
            (record.t, record.key(), record.i),
            ("done", Some(Key(0xabc)), Some(7))
        );
        assert_eq!(record.id.as_deref(), Some("a\"\n\u{1F600}"));
        assert_eq!(record.usage().unwrap().cached_input_tokens, 3);
        assert_eq!(record.body(), r#"{"output":"x"}"#);
        let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(json["i"], 7);
    }

    #[test]
    fn every_torn_or_changed_line_is_noticed() {
        let line = line();
        let whole = line.strip_suffix(b"\n").unwrap();
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_none(), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.to_vec();
            changed[at] ^= 1;
            assert!(parse(&changed).is_none(), "changed at {at}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
