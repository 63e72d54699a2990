//! Where rows go.
//!
//! Owns the output's formats and files. Never decides what a row says.
//!
//! Rows either stream as they finish ([`Append`], [`Pipe`]), or are put together from the
//! journal at the end ([`assemble`]), in input order and by one atomic rename.

mod answered;
mod anthropic_batch;
mod append;
mod assemble;
mod cookbook;
mod csv;
mod json;
mod openai_batch;
#[cfg(feature = "parquet")]
mod parquet;
mod pipe;
mod tool;
mod writer;

use std::io;
use std::path::Path;
use std::task::Context;

pub use append::Append;
pub use assemble::{Assembly, Targets, assemble, print, rebuild_stream};
pub use pipe::Pipe;
pub use tool::Tool;

use crate::error::Error;

/// The form of an output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// One JSON object a line.
    JsonLines,
    /// One JSON array.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// Parquet, with typed columns.
    #[cfg(feature = "parquet")]
    Parquet,
    /// As another tool writes its results, one a line.
    Tool(Tool),
}

impl OutputFormat {
    /// The format that a file name's extension asks for.
    ///
    /// # Errors
    /// When there is no extension, or none of a known format.
    pub fn of(path: &Path) -> Result<OutputFormat, Error> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("jsonl" | "ndjson") => Ok(OutputFormat::JsonLines),
            Some("json") => Ok(OutputFormat::Json),
            Some("csv") => Ok(OutputFormat::Csv),
            #[cfg(feature = "parquet")]
            Some("parquet") => Ok(OutputFormat::Parquet),
            _ => Err(Error::config(format!(
                "cannot tell the output format of {} from its extension",
                path.display()
            ))
            .with_hint("end its name in .jsonl, .json, .csv or .parquet")),
        }
    }
}

/// Takes rows as they finish.
pub trait Sink: Send {
    /// Whether rows are wanted at all before the end.
    fn wants_rows(&self) -> bool;

    /// Takes a row, line end included; it is kept until the next flush.
    fn push(&mut self, row: &[u8]);

    /// Writes what was taken.
    ///
    /// # Errors
    /// When it cannot be written.
    fn flush(&mut self) -> io::Result<()>;

    /// Looks whether what was written is still there.
    ///
    /// # Errors
    /// When somebody else moved, deleted or changed it.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }

    /// Bytes that were taken and wait for a slow reader.
    fn backlog(&self) -> usize {
        0
    }

    /// Notices that a slow reader made room; `true` when it did.
    fn poll_room(&mut self, _cx: &mut Context<'_>) -> bool {
        false
    }
}

/// Takes no rows: the output is put together at the end.
#[derive(Debug, Clone, Copy, Default)]
pub struct AtEnd;

impl Sink for AtEnd {
    fn wants_rows(&self) -> bool {
        false
    }

    fn push(&mut self, _row: &[u8]) {}

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps rows in memory, for small runs and tests.
#[derive(Debug, Clone, Default)]
pub struct Collect {
    /// The rows so far, as JSON Lines.
    pub rows: Vec<u8>,
}

impl Sink for Collect {
    fn wants_rows(&self) -> bool {
        true
    }

    fn push(&mut self, row: &[u8]) {
        self.rows.extend_from_slice(row);
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
