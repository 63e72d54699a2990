//! A file that takes another's place when it is whole: the old one or the new one is there,
//! never half of either.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;

use super::{Disk, DiskFile, lines, parent_of};

/// Bytes written at once.
const BUFFER: usize = 256 << 10;

/// A file that takes another's place when it is whole; dropped before, it is gone.
#[derive(Debug)]
pub struct Replacement {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    temporary: TempPath,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl Replacement {
    /// Begins a file that will stand at `path`.
    ///
    /// # Errors
    /// When no file can be made in that folder.
    pub fn new(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<Replacement> {
        let (file, temporary) = disk.temporary(path)?;
        Ok(Replacement {
            disk: Arc::clone(disk),
            file,
            temporary,
            path: path.to_owned(),
            buffer: Vec::new(),
        })
    }

    /// The file that is being written.
    pub fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    /// Puts the file in place: its content is durable before it has its name, and the name is
    /// durable when this returns.
    ///
    /// # Errors
    /// When any of that fails. The file that was there before is then unchanged, unless only
    /// the name may not be durable yet.
    pub fn put_in_place(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync()?;
        self.disk.rename(self.temporary, &self.path)?;
        self.disk.sync_folder(&parent_of(&self.path))
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let (n, written) = lines::write_all(&*self.file, &self.buffer);
        self.buffer.drain(..n);
        written
    }
}
