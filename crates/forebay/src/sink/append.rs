//! A JSON Lines file that grows as rows finish.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tool::{Shape, ToolLines};
use super::{Sink, Tool, rebuild_stream};
use crate::disk::{Disk, Lines, parent_of};
use crate::journal::Journal;

/// Appends rows to a file, one write per flush.
#[derive(Debug)]
pub struct Append {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Lines,
    buffer: Vec<u8>,
    shape: Shape,
}

impl Append {
    /// Opens the file, of Forebay's own rows or of a tool's lines, of a run that begins or goes on, without what no row of the journal stands
    /// for, and with what a kill kept from it; a new one is readable by its owner only.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn to_go_on(
        journal: &mut Journal,
        path: &Path,
        keep_failed: bool,
        tool: Option<Tool>,
    ) -> io::Result<Append> {
        if journal.history().sessions.is_empty() {
            match journal.disk().remove(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        } else {
            rebuild_stream(journal, path, keep_failed, tool)?;
        }
        let disk = Arc::clone(journal.disk());
        let file = disk.open(path)?;
        let len = file.file().metadata()?.len();
        Ok(Append {
            disk,
            path: path.to_owned(),
            file: Lines::new(file, path, len)?,
            buffer: Vec::new(),
            shape: Shape::of(tool.map(ToolLines::main)),
        })
    }

    /// Makes the rows durable, so that the journal need not hold them any more.
    ///
    /// # Errors
    /// When they may not be.
    pub fn sync(&self) -> io::Result<()> {
        self.file.handle().sync()?;
        self.disk.sync_folder(&parent_of(&self.path))
    }
}

impl Sink for Append {
    fn wants_rows(&self) -> bool {
        true
    }

    fn push(&mut self, row: &[u8]) {
        self.shape.push(&mut self.buffer, row);
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file.append(&mut self.buffer)
    }

    fn check(&self) -> io::Result<()> {
        self.file.check()
    }
}
