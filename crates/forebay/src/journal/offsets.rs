//! A table from item indexes to places in the journal that need not fit into memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Entries kept in memory before they are written out (1 MiB).
const KEPT: usize = 1 << 16;

/// For each index one offset; zero means none.
#[derive(Debug)]
pub struct Offsets {
    kept: Vec<(u64, u64)>,
    file: Option<File>,
    len: u64,
    directory: PathBuf,
}

impl Offsets {
    /// An empty table; a large one keeps its file in `directory`.
    pub fn new(directory: &Path) -> Offsets {
        Offsets {
            kept: Vec::new(),
            file: None,
            len: 0,
            directory: directory.to_owned(),
        }
    }

    /// Sets the offset of an index; the last one set counts.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn set(&mut self, index: u64, offset: u64) -> io::Result<()> {
        self.kept.push((index, offset));
        self.len = self.len.max(index + 1);
        if self.kept.len() >= KEPT {
            self.spill()?;
        }
        Ok(())
    }

    /// One more than the largest index set.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Calls `see` for each index that has an offset, in order.
    ///
    /// # Errors
    /// When the temporary file cannot be read or written, or what `see` returns.
    pub fn for_each<E: From<io::Error>>(
        &mut self,
        mut see: impl FnMut(u64, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.spill()?;
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut bytes = vec![0u8; 8 * 8192];
        let mut index = 0;
        while index < self.len {
            let n = (self.len - index).min(8192) as usize;
            let part = &mut bytes[..8 * n];
            file.read_exact_at(part, index * 8)?;
            for entry in part.chunks_exact(8) {
                let mut offset = [0; 8];
                offset.copy_from_slice(entry);
                match u64::from_le_bytes(offset) {
                    0 => {}
                    offset => see(index, offset)?,
                }
                index += 1;
            }
        }
        Ok(())
    }

    /// Writes kept entries out, neighbours together.
    fn spill(&mut self) -> io::Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.directory)?),
        };
        file.set_len(self.len * 8)?;
        // Stable, so that of two entries for one index the later comes last.
        self.kept.sort_by_key(|(index, _)| *index);
        for run in self.kept.chunk_by(|a, b| b.0 == a.0 + 1) {
            let bytes: Vec<u8> = run.iter().flat_map(|(_, at)| at.to_le_bytes()).collect();
            file.write_all_at(&bytes, run[0].0 * 8)?;
        }
        self.kept.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_come_back_in_order_and_the_last_counts() {
        let directory = tempfile::tempdir().unwrap();
        let mut offsets = Offsets::new(directory.path());
        let n = KEPT as u64 + 100;
        for index in (0..n).rev().filter(|index| index % 7 != 3) {
            offsets.set(index, 1).unwrap();
            offsets.set(index, index + 10).unwrap();
        }
        let mut seen = Vec::new();
        offsets
            .for_each(|index, offset| {
                seen.push((index, offset));
                Ok::<_, io::Error>(())
            })
            .unwrap();
        let wanted: Vec<_> = (0..n).filter(|i| i % 7 != 3).map(|i| (i, i + 10)).collect();
        assert_eq!(seen, wanted);
    }
}
