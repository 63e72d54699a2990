//! A stream of bytes is cut into records: lines, or CSV records.
//!
//! Owns the read buffer, line numbers, blank lines, the byte order mark, and the longest record
//! that is kept. Never decodes what it cuts, and reads only when no whole record is left.

use std::io::{self, Read};
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr3};

/// The longest record that is read. No provider takes a request body this large (Anthropic's
/// limit is 32 MB, OpenAI's files end at 512 MB with far smaller lines), so a longer line is a
/// damaged file.
pub(super) const MAX_LINE: usize = 64 << 20;

/// Bytes asked of the input at once: one pipe buffer twice over (a Linux pipe holds 64 KiB), and
/// small enough for the second-level cache.
const CHUNK: usize = 128 << 10;

/// A buffer that grew beyond this for a long record is given back afterwards.
const KEPT_BUFFER: usize = 8 * CHUNK;

/// The UTF-8 byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How records end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// At each line feed.
    Lines,
    /// At each line end that is outside quotes.
    Csv { delimiter: u8 },
}

/// One record as it stands in the input, without its line end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// Its bytes, or why there are none.
    pub(super) bytes: Result<&'a [u8], Unfit>,
}

/// Why a record has no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is longer than the limit.
    TooLong,
    /// The input ends inside quotes.
    OpenQuote,
}

/// Where the scan of a CSV record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Outside,
    Inside,
    /// Right after a quote that ends a quoted field, unless another one follows.
    Closing,
}

/// A found record: its place in the buffer.
struct Cut {
    line: u64,
    range: Range<usize>,
    unfit: Option<Unfit>,
}

/// Cuts an input into records.
pub(super) struct Splitter<R> {
    input: R,
    shape: Shape,
    max_line: usize,
    buffer: Vec<u8>,
    /// Where the record under way begins.
    start: usize,
    /// Up to where it has been searched.
    scan: usize,
    /// Up to where the buffer is filled.
    end: usize,
    quotes: Quotes,
    /// The line that `start` is on.
    line: u64,
    /// The line on which a record began that is being skipped.
    skipped_from: Option<u64>,
    /// The last record ended with a carriage return, whose line feed may follow.
    after_return: bool,
    begun: bool,
    at_end: bool,
}

impl<R: Read> Splitter<R> {
    /// A splitter at the start of an input.
    pub(super) fn new(input: R, shape: Shape) -> Splitter<R> {
        Splitter {
            input,
            shape,
            max_line: MAX_LINE,
            buffer: vec![0; CHUNK],
            start: 0,
            scan: 0,
            end: 0,
            quotes: Quotes::Outside,
            line: 1,
            skipped_from: None,
            after_return: false,
            begun: false,
            at_end: false,
        }
    }

    /// The line up to which records were yielded.
    pub(super) fn line(&self) -> u64 {
        self.line - 1
    }

    /// What it reads from.
    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// Gives back what it reads from; bytes already read are lost.
    pub(super) fn into_input(self) -> R {
        self.input
    }

    /// The next record that is not blank; `None` at the end of the input.
    ///
    /// # Errors
    /// When the input cannot be read; every whole record before the fault was yielded.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        if !self.begun {
            self.begin()?;
        }
        loop {
            let Some(cut) = self.cut()? else {
                return Ok(None);
            };
            if cut.unfit.is_none() && self.is_blank(&self.buffer[cut.range.clone()]) {
                continue;
            }
            return Ok(Some(Piece {
                line: cut.line,
                bytes: match cut.unfit {
                    None => Ok(&self.buffer[cut.range]),
                    Some(unfit) => Err(unfit),
                },
            }));
        }
    }

    /// Drops a byte order mark.
    fn begin(&mut self) -> io::Result<()> {
        while self.end < MARK.len() && MARK.starts_with(&self.buffer[..self.end]) && !self.at_end {
            self.fill()?;
        }
        if self.buffer[..self.end].starts_with(MARK) {
            self.start = MARK.len();
            self.scan = MARK.len();
        }
        self.begun = true;
        Ok(())
    }

    fn is_blank(&self, bytes: &[u8]) -> bool {
        match self.shape {
            Shape::Lines => bytes.iter().all(u8::is_ascii_whitespace),
            Shape::Csv { .. } => bytes.iter().all(|byte| *byte == b' '),
        }
    }

    fn cut(&mut self) -> io::Result<Option<Cut>> {
        loop {
            let found = match self.shape {
                Shape::Lines => self.find_line_end(),
                Shape::Csv { delimiter } => self.find_record_end(delimiter),
            };
            if let Some(at) = found {
                return Ok(Some(self.take(at)));
            }
            self.scan = self.end;
            if self.at_end {
                return Ok(self.take_rest());
            }
            if self.skipped_from.is_some() || self.end - self.start > self.max_line {
                self.discard();
            }
            self.fill()?;
        }
    }

    fn find_line_end(&self) -> Option<usize> {
        memchr(b'\n', &self.buffer[self.scan..self.end]).map(|n| self.scan + n)
    }

    /// Quotes count only where a field begins, as in the `csv` crate.
    fn find_record_end(&mut self, delimiter: u8) -> Option<usize> {
        let bytes = &self.buffer[..self.end];
        let mut at = self.scan;
        while at < bytes.len() {
            match self.quotes {
                Quotes::Inside => {
                    at += memchr(b'"', &bytes[at..])? + 1;
                    self.quotes = Quotes::Closing;
                }
                Quotes::Closing if bytes[at] == b'"' => {
                    at += 1;
                    self.quotes = Quotes::Inside;
                }
                Quotes::Closing => self.quotes = Quotes::Outside,
                Quotes::Outside => {
                    at += memchr3(b'\n', b'\r', b'"', &bytes[at..])?;
                    if bytes[at] != b'"' {
                        return Some(at);
                    }
                    if at == self.start || bytes[at - 1] == delimiter {
                        self.quotes = Quotes::Inside;
                    }
                    at += 1;
                }
            }
        }
        None
    }

    /// Takes the record that ends before the line end at `at`.
    fn take(&mut self, at: usize) -> Cut {
        let begins = self.start;
        let mut cut = self.cut_of(begins..at);
        match self.shape {
            Shape::Lines => self.trim_return(&mut cut),
            Shape::Csv { .. } => self.line += self.line_feeds(begins..at),
        }
        // The line feed after a carriage return belongs to a line that is already counted.
        if !(self.after_return && begins == at && self.buffer[at] == b'\n') {
            self.line += 1;
        }
        self.after_return = self.buffer[at] == b'\r';
        self.quotes = Quotes::Outside;
        self.start = at + 1;
        self.scan = at + 1;
        cut
    }

    /// Takes what is left at the end of the input.
    fn take_rest(&mut self) -> Option<Cut> {
        if self.start == self.end && self.skipped_from.is_none() {
            return None;
        }
        let mut cut = self.cut_of(self.start..self.end);
        if self.quotes == Quotes::Inside && cut.unfit.is_none() {
            cut.unfit = Some(Unfit::OpenQuote);
        }
        if self.shape == Shape::Lines {
            self.trim_return(&mut cut);
        }
        self.line += 1;
        self.start = self.end;
        Some(cut)
    }

    fn trim_return(&self, cut: &mut Cut) {
        if self.buffer[cut.range.clone()].ends_with(b"\r") {
            cut.range.end -= 1;
        }
    }

    fn cut_of(&mut self, range: Range<usize>) -> Cut {
        let skipped_from = self.skipped_from.take();
        let too_long = skipped_from.is_some() || range.len() > self.max_line;
        Cut {
            line: skipped_from.unwrap_or(self.line),
            range,
            unfit: too_long.then_some(Unfit::TooLong),
        }
    }

    /// Forgets the bytes of a record that is too long, but for the last, which tells whether a
    /// quote after it begins a field.
    fn discard(&mut self) {
        self.skipped_from.get_or_insert(self.line);
        let kept = self.end - 1;
        self.line += self.line_feeds(self.start..kept);
        self.start = kept;
    }

    fn line_feeds(&self, range: Range<usize>) -> u64 {
        memchr_iter(b'\n', &self.buffer[range]).count() as u64
    }

    /// Reads once, after making room.
    fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end && self.buffer.len() > KEPT_BUFFER {
            self.buffer = vec![0; CHUNK];
            (self.start, self.scan, self.end) = (0, 0, 0);
        }
        if self.end == self.buffer.len() || self.start == self.end {
            self.buffer.copy_within(self.start..self.end, 0);
            self.scan -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            let larger = (2 * self.buffer.len()).min(self.max_line + CHUNK);
            self.buffer.resize(larger, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(n) => {
                    self.end += n;
                    self.at_end = n == 0;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
