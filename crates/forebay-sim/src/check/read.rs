//! Evidence as it comes: named readers, line by line.
//!
//! Owns the place of what is being read. Every byte that is read is looked through for secrets.

use std::fmt;
use std::io::{self, BufRead};

use super::report::{Invariant, Report};
use super::secrets::Secrets;

/// A piece of evidence and the name by which a violation points at it.
pub struct Source<'a> {
    /// Its name, such as a path.
    pub name: String,
    /// Its bytes.
    pub reader: Box<dyn BufRead + 'a>,
}

impl<'a> Source<'a> {
    /// A piece of evidence that is read from its beginning.
    pub fn new(name: impl Into<String>, reader: impl BufRead + 'a) -> Source<'a> {
        Source {
            name: name.into(),
            reader: Box::new(reader),
        }
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One line without its end.
#[derive(Debug)]
pub(super) struct LineAt<'l> {
    pub(super) bytes: &'l [u8],
    /// From 1.
    pub(super) number: u32,
    /// Whether a line end follows; only a file's last line can lack it.
    pub(super) whole: bool,
}

/// Hands out every line that is not blank, looked through for secrets.
///
/// # Errors
/// When the source cannot be read, or when `take` says so.
pub(super) fn each_line(
    source: &mut Source<'_>,
    secrets: &Secrets,
    report: &mut Report,
    mut take: impl FnMut(&mut Report, LineAt<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let read = source.reader.read_until(b'\n', &mut line);
        if read.map_err(|error| unreadable(&source.name, &error))? == 0 {
            return Ok(());
        }
        number += 1;
        let whole = line.last() == Some(&b'\n');
        let bytes = line.trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        look(secrets, report, &at(&source.name, number), bytes);
        take(
            report,
            LineAt {
                bytes,
                number,
                whole,
            },
        )?;
    }
}

/// Looks through bytes for secrets.
pub(super) fn look(secrets: &Secrets, report: &mut Report, place: &str, bytes: &[u8]) {
    if let Some(found) = secrets.find(bytes) {
        report.violated(Invariant::Secrets, place, found.to_string());
    }
}

/// `FILE:LINE`.
pub(super) fn at(name: &str, line: u32) -> String {
    format!("{name}:{line}")
}

pub(super) fn unreadable(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {name}: {error}"))
}

pub(super) fn not_a(what: &str, place: &str) -> io::Error {
    let message = format!("{place} is not {what}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}
