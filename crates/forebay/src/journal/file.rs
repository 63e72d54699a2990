//! The file under a journal: private, locked, in its folder.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Opens a file that only its owner may read, without following a link.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    options.open(path)
}

/// The folder of a file; `.` for a bare name.
pub fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

pub(super) fn lock(file: &File, path: &Path) -> Result<(), Error> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::io(format!(
            "{} is in use by another process",
            path.display()
        ))
        .with_hint("wait for that run to end, or choose another output")),
        Err(std::fs::TryLockError::Error(error)) => Err(io_error(path, "lock", &error)),
    }
}

pub(super) fn io_error(path: &Path, verb: &str, error: &io::Error) -> Error {
    Error::io(format!("cannot {verb} {}: {error}", path.display()))
}
