//! The file under a journal: locked by one process, and begun by a rename.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use super::record;
use crate::disk::{Disk, DiskFile, Replacement, is_at};
use crate::error::Error;

/// Opens the file and takes the exclusive right to write it.
///
/// # Errors
/// When it cannot be opened, or another process holds it.
pub(super) fn open_locked(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
    let file = disk
        .open(path)
        .map_err(|error| io_error(path, "open", &error))?;
    let in_use = || {
        Error::io(format!("{} is in use by another process", path.display()))
            .with_hint("wait for that run to end, or choose another output")
    };
    match file.file().try_lock() {
        // Another process may have put a new file there before it let go of the old one.
        Ok(()) if !is_at(file.file(), path) => Err(in_use()),
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(in_use()),
        Err(std::fs::TryLockError::Error(error)) => Err(io_error(path, "lock", &error)),
    }
}

/// Puts a locked file with this content at a path, whole and durable whatever happens.
///
/// # Errors
/// When it cannot be written; the file that was there before is then unchanged.
pub(super) fn replace(
    disk: &Arc<dyn Disk>,
    path: &Path,
    content: &mut dyn io::Read,
) -> io::Result<Arc<dyn DiskFile>> {
    let mut new = Replacement::new(disk, path)?;
    new.file().file().try_lock()?;
    io::copy(content, &mut new)?;
    new.flush()?;
    let file = Arc::clone(new.file());
    new.put_in_place()?;
    Ok(file)
}

/// Whether a file is a journal: it begins like one, or has a whole record behind damage.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn looks_like_journal(file: &File) -> io::Result<bool> {
    let mut file = file;
    file.rewind()?;
    let mut start = [0; 12];
    let n = file.take(12).read(&mut start)?;
    if br#"{"t":"run","#.starts_with(&start[..n.min(11)]) {
        return Ok(true);
    }
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.strip_suffix(b"\n").and_then(record::parse).is_some() {
            return Ok(true);
        }
        line.clear();
    }
    Ok(false)
}

pub(super) fn io_error(path: &Path, verb: &str, error: &io::Error) -> Error {
    Error::io(format!("cannot {verb} {}: {error}", path.display()))
}
