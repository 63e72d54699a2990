//! Files that must not be lost: how they are made, written, synced and put in place.
//!
//! Owns every operation by which a journal or an output changes a file or a folder, behind a
//! trait, so that a test can make each of them fail or forget what was not synced. Never
//! decides what is written, and never asks for a sync again that failed.
//!
//! ```text
//! Lines:        open ─► write ─► sync                    grows by whole lines
//! Replacement:  temporary ─► write ─► sync ─► rename ─► sync of the folder
//! ```

mod lines;
mod real;
mod replacement;

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use lines::Lines;
pub use real::RealDisk;
pub use replacement::Replacement;
use tempfile::TempPath;

/// A file system, as far as journal and outputs change it.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file to read and to append to; a new one is readable by its owner only. Links
    /// are not followed.
    ///
    /// # Errors
    /// When it cannot be opened or made.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes a private file to append to that is to stand at `path` later, under a name of its
    /// own; it is removed when the path that is returned is dropped. What a kill left of an
    /// earlier one for the same path is removed, so a path has one writer at a time.
    ///
    /// # Errors
    /// When it cannot be made.
    fn temporary(&self, path: &Path) -> io::Result<(Arc<dyn DiskFile>, TempPath)>;

    /// Renames a temporary file, over another one if there is one.
    ///
    /// # Errors
    /// When it cannot be renamed; the temporary file is removed then.
    fn rename(&self, from: TempPath, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When it cannot be removed, or is not there.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// When they may not be.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Debug + Send + Sync {
    /// Appends some of these bytes; returns how many.
    ///
    /// # Errors
    /// When none could be written.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was written durable. After an error nobody knows what is, and asking again
    /// may hide it: Linux forgets what it could not write.
    ///
    /// # Errors
    /// When it may not be.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    /// When it stays as long as it was.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The file itself, to look at, lock and read; what changes it goes through the others.
    fn file(&self) -> &File;
}

/// The folder of a file; `.` for a bare name.
pub fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether an open file is the one at a path.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(own), Ok(there)) => own.ino() == there.ino() && own.dev() == there.dev(),
        _ => false,
    }
}
