//! The seam between putting an output together and its formats.

use std::io::{self, Write};

/// Writes rows in one format.
pub(super) trait RowWriter {
    /// Whether all rows must be seen once before the first is written.
    fn wants_first_pass(&self) -> bool {
        false
    }

    /// Sees a row.
    fn first_pass(&mut self, _body: &str) -> io::Result<()> {
        Ok(())
    }

    /// Whether a row belongs into this file.
    fn takes(&mut self, _body: &str) -> io::Result<bool> {
        Ok(true)
    }

    /// Writes a row.
    fn row(
        &mut self,
        out: &mut dyn Write,
        custom_id: Option<&str>,
        index: u64,
        body: &str,
    ) -> io::Result<()>;

    /// Writes what comes after the last row.
    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
