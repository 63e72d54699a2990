//! Rows as JSON Lines, and as one JSON array.

use std::io::{self, Write};

use super::writer::RowWriter;
use crate::row::write_row;

/// One JSON object a line.
#[derive(Debug, Default)]
pub(super) struct JsonLines {
    row: Vec<u8>,
}

impl RowWriter for JsonLines {
    fn row(
        &mut self,
        out: &mut dyn Write,
        custom_id: Option<&str>,
        index: u64,
        body: &str,
    ) -> io::Result<()> {
        self.row.clear();
        write_row(&mut self.row, custom_id, index, body.as_bytes());
        out.write_all(&self.row)
    }
}

/// One JSON array with a row a line.
#[derive(Debug, Default)]
pub(super) struct JsonArray {
    row: Vec<u8>,
    any: bool,
}

impl RowWriter for JsonArray {
    fn row(
        &mut self,
        out: &mut dyn Write,
        custom_id: Option<&str>,
        index: u64,
        body: &str,
    ) -> io::Result<()> {
        self.row.clear();
        write_row(&mut self.row, custom_id, index, body.as_bytes());
        out.write_all(if self.any { b",\n" } else { b"[\n" })?;
        self.any = true;
        out.write_all(self.row.trim_ascii_end())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(if self.any { b"\n]\n" } else { b"[]\n" })
    }
}
