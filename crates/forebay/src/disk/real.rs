//! The file system of the machine.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempPath;

use super::{Disk, DiskFile, parent_of};

/// Random letters and digits in a temporary file's name; the default of `tempfile`.
const RANDOM: usize = 6;

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
        Ok(Arc::new(options.open(path)?))
    }

    fn temporary(&self, path: &Path) -> io::Result<(Arc<dyn DiskFile>, TempPath)> {
        let folder = parent_of(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!(".forebay-{name}-");
        remove_left_behind(&folder, &prefix)?;
        let made = tempfile::Builder::new()
            .prefix(&prefix)
            .rand_bytes(RANDOM)
            .append(true)
            .tempfile_in(folder)?;
        let (file, path) = made.into_parts();
        Ok((Arc::new(file), path))
    }

    fn rename(&self, from: TempPath, to: &Path) -> io::Result<()> {
        from.persist(to).map_err(|error| error.error)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

/// Removes temporary files that a kill left behind.
fn remove_left_behind(folder: &Path, prefix: &str) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(prefix));
        // Another output may have a name that begins alike.
        if rest.is_some_and(|rest| rest.len() == RANDOM && !rest.contains('.')) {
            // It costs space and harms nobody.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

impl DiskFile for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        <&File as io::Write>::write(&mut { self }, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn file(&self) -> &File {
        self
    }
}
