//! A look at the first records of a place, before anything is sent.
//!
//! Owns how far the look goes: a file's first rows, but only one row of a stream, so that a slow
//! pipe is not held up. Never loses what it read.

use std::io::{self, Read};

use super::columns;
use super::format::{Compression, Format, Requests};
use super::header;
use super::place::{Input, Place, cannot_read};
use super::record::{Decoder, Record};
use super::rules::Rules;
use super::split::{Piece, Splitter};
use super::whole;
use crate::error::Error;

/// Rows of a file that are looked at: enough to meet fields that only some rows have.
const ROWS: usize = 100;

/// Bytes of a place that are looked at, at most.
const BYTES: usize = 1 << 20;

/// What the first records say.
#[derive(Debug, Default)]
pub(super) struct Peeked {
    /// Whether there is any item.
    pub(super) has_items: bool,
    /// The fields, in the order of their first appearance.
    pub(super) columns: Vec<String>,
    /// Whether a record brings its own messages.
    pub(super) has_messages: bool,
    /// The tool whose lines the first record looks like.
    pub(super) shape: Option<Requests>,
    /// Whether the templates were rendered once.
    is_tried: bool,
}

/// Looks at a place.
///
/// # Errors
/// When it cannot be read, is UTF-16, compressed data, or a JSON array, has a bad header row, or
/// a template cannot work for any item.
pub(super) fn peek(place: &Place, rules: &Rules) -> Result<Peeked, Error> {
    let mut splitter = Splitter::new(Recorder::new(place.input()?), place.shape());
    let mut found = Peeked::default();
    let result = rows(place, rules, &mut splitter, &mut found);
    let recorder = splitter.into_input();
    check_encoding(place, &recorder.copy)?;
    result?;
    // Whatever record the limit cut through, it is one.
    found.has_items |= recorder.is_cut;
    place.put_back(recorder.copy, recorder.input);
    Ok(found)
}

fn rows(
    place: &Place,
    rules: &Rules,
    splitter: &mut Splitter<Recorder>,
    found: &mut Peeked,
) -> Result<(), Error> {
    let (mut decoder, header) = header::decoder(place, splitter)?;
    columns::add(&mut found.columns, &header);
    let rows = if place.is_stream() { 1 } else { ROWS };
    for _ in 0..rows {
        let line = splitter.line();
        let error = match splitter.next() {
            Ok(Some(piece)) => {
                row(place, rules, (&mut decoder, &piece), found)?;
                continue;
            }
            Ok(None) => return Ok(()),
            Err(error) => error,
        };
        // The rows of a file before a fault are worth their while; it comes up again after them.
        if splitter.input().is_cut || (found.has_items && !place.is_stream()) {
            return Ok(());
        }
        return Err(cannot_read(place, line, &error));
    }
    Ok(())
}

fn row(
    place: &Place,
    rules: &Rules,
    (decoder, piece): (&mut Decoder, &Piece<'_>),
    found: &mut Peeked,
) -> Result<(), Error> {
    if !found.has_items {
        check_json_lines(place, piece)?;
    }
    found.has_items = true;
    let Ok(record) = decoder.decode(piece) else {
        return Ok(());
    };
    if !found.is_tried {
        check_templates(rules, &record)?;
        found.is_tried = true;
        found.shape = whole::shape_of(&record);
    }
    found.has_messages |= record.messages().is_some();
    columns::add(&mut found.columns, record.names());
    Ok(())
}

/// A template that fails whatever the item would fail for all of them.
fn check_templates(rules: &Rules, record: &Record<'_>) -> Result<(), Error> {
    for template in rules.templates() {
        if let Err(fault) = template.render(record)
            && fault.always
        {
            return Err(Error::config(fault.message));
        }
    }
    Ok(())
}

/// A `.json` file may be JSON Lines; it may as well be one value over many lines.
fn check_json_lines(place: &Place, piece: &Piece<'_>) -> Result<(), Error> {
    let name = place.name.to_lowercase();
    let name = name.trim_end_matches(place.compression.names().1);
    let Ok(bytes) = piece.bytes else {
        return Ok(());
    };
    let bytes = bytes.trim_ascii();
    if place.format != Format::JsonLines || !name.ends_with(".json") {
        return Ok(());
    }
    let what = match bytes {
        [b'[', ..] => "a JSON array",
        b"{" => "a JSON object over several lines",
        _ => return Ok(()),
    };
    let fault = format!("{} holds {what}, not one JSON object per line", place.name);
    Err(Error::io(fault).with_hint("turn it into JSON Lines, for example with jq -c '.[]'"))
}

/// Refuses encodings and compression that were not announced.
fn check_encoding(place: &Place, head: &[u8]) -> Result<(), Error> {
    let name = &place.name;
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(Error::io(format!("{name} is UTF-16 text, not UTF-8"))
            .with_hint("convert it, for example with iconv -f UTF-16 -t UTF-8"));
    }
    match Compression::of(head) {
        Compression::None => Ok(()),
        compression => {
            let (kind, _) = compression.names();
            Err(Error::io(format!("{name} is {kind} data")).with_hint("decompress it first"))
        }
    }
}

/// Reads on up to a limit and keeps a copy of everything.
struct Recorder {
    input: Input,
    copy: Vec<u8>,
    is_cut: bool,
}

impl Recorder {
    fn new(input: Input) -> Recorder {
        Recorder {
            input,
            copy: Vec::new(),
            is_cut: false,
        }
    }
}

impl Read for Recorder {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = BYTES - self.copy.len();
        if left == 0 {
            self.is_cut = true;
            return Err(io::Error::other(format!(
                "no row ends within the first {} MiB",
                BYTES >> 20
            )));
        }
        let n = left.min(out.len());
        let n = self.input.read(&mut out[..n])?;
        self.copy.extend_from_slice(&out[..n]);
        Ok(n)
    }
}
