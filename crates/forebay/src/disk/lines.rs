//! A file that grows by whole lines, and is noticed when somebody else changes it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DiskFile, is_at};

/// A file that grows by whole lines.
#[derive(Debug)]
pub struct Lines {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    /// Bytes of whole lines.
    len: u64,
    /// Whether half a line may stand behind them.
    torn: bool,
}

impl Lines {
    /// Grows an open file whose whole lines end at `len`; what stands behind them is cut off
    /// before the next line is written.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub fn new(file: Arc<dyn DiskFile>, path: &Path, len: u64) -> io::Result<Lines> {
        Ok(Lines {
            torn: file.file().metadata()?.len() != len,
            file,
            path: path.to_owned(),
            len,
        })
    }

    /// Appends lines and takes them out of the buffer.
    ///
    /// # Errors
    /// When they could not all be written: whole lines that could are taken out, and half a
    /// line is cut off, now or before the next one.
    pub fn append(&mut self, lines: &mut Vec<u8>) -> io::Result<()> {
        self.mend()?;
        let (n, written) = write_all(&*self.file, lines);
        let whole = match written {
            Ok(()) => n,
            Err(_) => memchr::memrchr(b'\n', &lines[..n]).map_or(0, |at| at + 1),
        };
        self.len += whole as u64;
        if whole == lines.len() {
            lines.clear();
        } else {
            lines.drain(..whole);
        }
        if written.is_err() {
            // Shortening a file needs no space.
            self.torn = true;
            let _ = self.mend();
        }
        written
    }

    /// Cuts off half a line, if there may be one.
    ///
    /// # Errors
    /// When it stays.
    pub fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Bytes of whole lines.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file, for syncing it elsewhere.
    pub fn handle(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }

    /// The file, for looking at it.
    pub fn file(&self) -> &File {
        self.file.file()
    }

    /// Looks whether the file is still the one at its path, and as long as it was left.
    ///
    /// # Errors
    /// When it is not: somebody else moves, replaces, deletes or changes it.
    pub fn check(&self) -> io::Result<()> {
        let path = self.path.display();
        if !is_at(self.file(), &self.path) {
            let what = format!("{path} was moved, replaced or deleted during the run");
            return Err(io::Error::other(what));
        }
        let there = self.file().metadata()?.len();
        if there != self.len && !self.torn {
            let len = self.len;
            return Err(io::Error::other(format!(
                "{path} was changed by someone else during the run: it has {there} bytes \
                 instead of {len}"
            )));
        }
        Ok(())
    }
}

/// Writes until everything is written or something fails; returns how much was written.
pub(super) fn write_all(file: &dyn DiskFile, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut n = 0;
    while n < bytes.len() {
        match file.write(&bytes[n..]) {
            Ok(0) => return (n, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => n += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (n, Err(error)),
        }
    }
    (n, Ok(()))
}
