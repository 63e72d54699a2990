//! A JSON Lines file that grows as rows finish.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::Sink;

/// Appends rows to a file, one write per flush.
#[derive(Debug)]
pub struct Append {
    file: File,
    buffer: Vec<u8>,
    written: u64,
}

impl Append {
    /// Opens a file to append to; a new one is readable by its owner only.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Append> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)?;
        Ok(Append {
            written: file.metadata()?.len(),
            file,
            buffer: Vec::new(),
        })
    }
}

impl Sink for Append {
    fn wants_rows(&self) -> bool {
        true
    }

    fn push(&mut self, row: &[u8]) {
        self.buffer.extend_from_slice(row);
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(&self.buffer) {
            // No half row may stay: the same bytes are written again by the next flush.
            let _ = self.file.set_len(self.written);
            return Err(error);
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
