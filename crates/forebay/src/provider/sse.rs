//! Server-sent events, from bytes as they come.
//!
//! Owns the line ends, the fields, the byte order mark and the caps on what is kept. Knows
//! nothing of what events say, never waits, and never decodes text: data are bytes, so that a
//! character may be split anywhere.
//!
//! ```text
//! chunk ─► line (CR, LF or CRLF) ─► field ─► name, data, id, retry ─► blank line ─► Event
//!   └─ the beginning of a line is kept for the next chunk
//! ```
//! Source: WHATWG HTML Standard, "Server-sent events".

use memchr::{memchr, memchr2};

/// The most bytes of one line, and of one event's data: 16 MiB.
///
/// No provider sends frames of more than some kilobytes; a whole answer with tool calls fits
/// many times, and a server that never ends a line cannot fill the memory.
pub const MAX_EVENT: usize = 16 << 20;

/// The most bytes of an event's name and of an id; the names that providers use have up to fifty.
const MAX_NAME: usize = 1024;

/// The UTF-8 byte order mark.
const MARK: [u8; 3] = *b"\xef\xbb\xbf";

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its name (`event:`); empty when it has none.
    pub name: &'a [u8],
    /// Its data, the lines joined by line feeds.
    pub data: &'a [u8],
}

/// A line, an event or a name is larger than is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// Takes a stream apart into events.
///
/// An event whose data are one line within one chunk is not copied.
///
/// ```
/// use forebay::provider::sse::Decoder;
///
/// let mut decoder = Decoder::default();
/// let mut data = Vec::new();
/// for mut chunk in [&b"data: a\r"[..], b"\ndata: b\n\n: comment\n", b"data: c\n\n"] {
///     while let Ok(Some(event)) = decoder.next(&mut chunk) {
///         data.push(event.data.to_vec());
///     }
/// }
/// assert_eq!(data, [&b"a\nb"[..], b"c"]);
/// ```
#[derive(Debug)]
pub struct Decoder {
    max_event: usize,
    /// How much of a byte order mark the stream has begun with; 3 when that is decided.
    mark: usize,
    /// The last line ended with a carriage return, whose line feed may follow.
    after_return: bool,
    /// The beginning of a line whose end is in a later chunk.
    line: Vec<u8>,
    event: Pending,
    /// JSON between events.
    stray: Vec<u8>,
    last_id: Vec<u8>,
    retry_ms: Option<u64>,
    is_too_large: bool,
}

/// An event under way, as far as it is not borrowed.
#[derive(Debug, Default)]
struct Pending {
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// It was given out, so that its room may be used for the next one.
    is_over: bool,
}

/// A line without its end.
enum Line<'c> {
    InChunk(&'c [u8]),
    /// It began in an earlier chunk and is in `Decoder::line`.
    Kept,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::with_max_event(MAX_EVENT)
    }
}

impl Decoder {
    /// A decoder that keeps at most so many bytes of a line, and of an event's data.
    pub fn with_max_event(max_event: usize) -> Decoder {
        Decoder {
            max_event,
            mark: 0,
            after_return: false,
            line: Vec::new(),
            event: Pending::default(),
            stray: Vec::new(),
            last_id: Vec::new(),
            retry_ms: None,
            is_too_large: false,
        }
    }

    /// The next event, taking from `chunk` what it reads; `None` when the chunk is used up.
    ///
    /// # Errors
    /// When something is too large; the stream is of no use from then on.
    pub fn next<'s, 'c: 's>(
        &'s mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<Event<'s>>, TooLarge> {
        if self.is_too_large {
            return Err(TooLarge);
        }
        self.event.begin();
        self.skip_mark(chunk);
        // The only line of data so far, when it is in this chunk.
        let mut single: Option<&'c [u8]> = None;
        loop {
            let Some(line) = self.take_line(chunk)? else {
                let kept = single.map_or(Ok(()), |data| self.event.push(data, self.max_event));
                return self.checked(kept).map(|()| None);
            };
            let is_blank = match line {
                Line::InChunk(line) => {
                    self.read_line(line, &mut single)?;
                    line.is_empty()
                }
                Line::Kept => {
                    self.read_kept_line(&mut single)?;
                    false
                }
            };
            if is_blank && (single.is_some() || self.event.has_data) {
                break;
            } else if is_blank {
                self.event.name.clear();
            }
        }
        Ok(Some(self.event.end(single)))
    }

    /// The event that the stream ends in the middle of, when it has data.
    ///
    /// The standard drops it. Some servers leave out the last blank line, so whoever can tell
    /// whether the data are whole may use it.
    ///
    /// # Errors
    /// When the event is too large.
    pub fn finish(&mut self) -> Result<Option<Event<'_>>, TooLarge> {
        if self.is_too_large {
            return Err(TooLarge);
        }
        self.event.begin();
        if !self.line.is_empty() {
            self.read_kept_line(&mut None)?;
        }
        Ok(self.event.has_data.then(|| self.event.end(None)))
    }

    /// The newest id that the stream named; empty when it named none.
    pub fn last_id(&self) -> &[u8] {
        &self.last_id
    }

    /// The wait before a reconnection that the stream asked for, in milliseconds.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// JSON that stands where an event should be, with the lines that follow it.
    ///
    /// The standard drops it. Some servers report an error so, and some call a plain answer a
    /// stream. The next event's data end it.
    pub fn stray_json(&self) -> &[u8] {
        &self.stray
    }

    /// Whether such JSON is under way.
    pub(super) fn is_in_stray_json(&self) -> bool {
        let has_data = self.event.has_data && !self.event.is_over;
        !self.stray.is_empty() || (!has_data && begins_json(&self.line))
    }

    /// Bytes that are kept of what was read.
    pub fn buffered(&self) -> usize {
        let event = self.event.name.len() + self.event.data.len();
        self.line.len() + event + self.stray.len() + self.last_id.len()
    }

    /// Drops a byte order mark at the start of the stream, however it is split.
    fn skip_mark(&mut self, chunk: &mut &[u8]) {
        while self.mark < MARK.len() {
            match chunk.split_first() {
                None => return,
                Some((first, rest)) if *first == MARK[self.mark] => {
                    self.mark += 1;
                    *chunk = rest;
                }
                Some(_) => {
                    self.line.extend_from_slice(&MARK[..self.mark]);
                    self.mark = MARK.len();
                }
            }
        }
    }

    /// Takes a line and its end from the chunk; without an end the rest is kept.
    fn take_line<'c>(&mut self, chunk: &mut &'c [u8]) -> Result<Option<Line<'c>>, TooLarge> {
        if self.after_return && !chunk.is_empty() {
            *chunk = chunk.strip_prefix(b"\n").unwrap_or(chunk);
            self.after_return = false;
        }
        let end = memchr2(b'\n', b'\r', chunk);
        let (line, after) = chunk.split_at(end.unwrap_or(chunk.len()));
        if self.line.len() + line.len() > self.max_event {
            return self.checked(Err(TooLarge)).map(|()| None);
        }
        match after.split_first() {
            None => {
                self.line.extend_from_slice(line);
                *chunk = after;
                Ok(None)
            }
            Some((end, after)) => {
                self.after_return = *end == b'\r';
                *chunk = after;
                if self.line.is_empty() {
                    return Ok(Some(Line::InChunk(line)));
                }
                self.line.extend_from_slice(line);
                Ok(Some(Line::Kept))
            }
        }
    }

    fn read_kept_line(&mut self, single: &mut Option<&[u8]>) -> Result<(), TooLarge> {
        let mut line = std::mem::take(&mut self.line);
        let kept = single
            .take()
            .map_or(Ok(()), |data| self.event.push(data, self.max_event));
        self.checked(kept)?;
        let mut own = None;
        self.read_line(&line, &mut own)?;
        let kept = own.map_or(Ok(()), |data| self.event.push(data, self.max_event));
        line.clear();
        self.line = line;
        self.checked(kept)
    }

    /// Reads a line's field; a blank line and a comment have none.
    fn read_line<'l>(
        &mut self,
        line: &'l [u8],
        single: &mut Option<&'l [u8]>,
    ) -> Result<(), TooLarge> {
        let colon = memchr(b':', line);
        let (field, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let result = match field {
            b"data" if single.is_none() && !self.event.has_data => {
                self.stray.clear();
                *single = Some(value);
                Ok(())
            }
            b"data" => {
                let first = single.take();
                let first = first.map_or(Ok(()), |data| self.event.push(data, self.max_event));
                first.and_then(|()| self.event.push(value, self.max_event))
            }
            b"event" => replace(&mut self.event.name, value),
            b"id" if memchr(0, value).is_none() => replace(&mut self.last_id, value),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let digits = std::str::from_utf8(value).ok();
                self.retry_ms = digits.and_then(|text| text.parse().ok()).or(self.retry_ms);
                Ok(())
            }
            _ if single.is_none() && !self.event.has_data => self.keep_stray(line),
            _ => Ok(()),
        };
        self.checked(result)
    }

    /// Keeps a line between events that begins a JSON text or goes on with one.
    fn keep_stray(&mut self, line: &[u8]) -> Result<(), TooLarge> {
        if line.starts_with(b":") || (self.stray.is_empty() && !begins_json(line)) {
            return Ok(());
        }
        if self.stray.len() + line.len() >= self.max_event {
            return Err(TooLarge);
        }
        self.stray.extend_from_slice(line);
        self.stray.push(b'\n');
        Ok(())
    }

    /// Notes when something is too large, and lets go of what is kept.
    fn checked(&mut self, result: Result<(), TooLarge>) -> Result<(), TooLarge> {
        if result.is_err() {
            *self = Decoder {
                is_too_large: true,
                ..Decoder::with_max_event(self.max_event)
            };
        }
        result
    }
}

impl Pending {
    /// Makes room for an event after one that was given out.
    fn begin(&mut self) {
        if std::mem::take(&mut self.is_over) {
            self.name.clear();
            self.data.clear();
            self.has_data = false;
        }
    }

    /// Adds a line of data.
    fn push(&mut self, data: &[u8], max: usize) -> Result<(), TooLarge> {
        if self.data.len() + data.len() >= max {
            return Err(TooLarge);
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(data);
        Ok(())
    }

    /// Gives the event out, with its data in the chunk or here.
    fn end<'s, 'c: 's>(&'s mut self, single: Option<&'c [u8]>) -> Event<'s> {
        self.is_over = true;
        Event {
            name: &self.name,
            data: single.unwrap_or(&self.data),
        }
    }
}

/// Whether the first byte that is no space begins a JSON object or a list.
fn begins_json(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), Some(b'{' | b'['))
}

fn replace(name: &mut Vec<u8>, value: &[u8]) -> Result<(), TooLarge> {
    if value.len() > MAX_NAME {
        return Err(TooLarge);
    }
    name.clear();
    name.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests;
