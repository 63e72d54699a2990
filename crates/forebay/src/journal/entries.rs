//! The entries of a key table in the order in which they were put in.
//!
//! Owns the list: the last ones are in memory, the others in an unnamed temporary file, of which
//! as many blocks are kept as rows are usually out of order. Knows nothing of keys.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::key_table::Entry;
use super::record::Key;

/// Bytes of an entry: key, offset, fields hash, index and flags.
const ENTRY: usize = 32;
/// Entries of a block (4 KiB, a page): what is read at once.
const BLOCK: u64 = 128;
/// Blocks kept: 32,768 entries in 1 MiB, more than are in flight at once.
const KEPT: u64 = 256;
/// Entries in memory before they are written out together (1 MiB).
const TAIL: usize = (BLOCK * KEPT) as usize;
/// The flag of an entry that succeeded, below its index.
const OK: u32 = 1;

type Written = [u8; ENTRY];

/// A list of entries that only grows.
#[derive(Debug)]
pub(super) struct Entries {
    /// Those that are not in the file yet.
    tail: Vec<Written>,
    /// How many are in the file; a multiple of [`TAIL`].
    filed: u64,
    file: Option<File>,
    /// Blocks of the file by their number modulo [`KEPT`].
    blocks: Vec<Option<Block>>,
    directory: PathBuf,
}

#[derive(Debug, Clone)]
struct Block {
    number: u64,
    entries: Box<[Written]>,
}

impl Entries {
    /// An empty list; a long one keeps its file in `directory`.
    pub(super) fn new(directory: &Path) -> Entries {
        Entries {
            tail: Vec::new(),
            filed: 0,
            file: None,
            blocks: Vec::new(),
            directory: directory.to_owned(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.filed + self.tail.len() as u64
    }

    /// Adds one at the end.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub(super) fn push(&mut self, entry: &Entry) -> io::Result<()> {
        if self.tail.len() == TAIL {
            self.write_out()?;
        }
        self.tail.push(to_bytes(entry));
        Ok(())
    }

    /// The one with this number, counted from 0.
    ///
    /// # Errors
    /// When the temporary file cannot be read, or when there are not so many.
    pub(super) fn get(&mut self, number: u64) -> io::Result<Entry> {
        let written = match number.checked_sub(self.filed) {
            Some(in_tail) => self.tail.get(in_tail as usize),
            None => self.block(number / BLOCK)?.get((number % BLOCK) as usize),
        };
        let none = || io::Error::other(format!("a table has no entry {number}"));
        written.map(from_bytes).ok_or_else(none)
    }

    fn block(&mut self, number: u64) -> io::Result<&[Written]> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        if self.blocks.is_empty() {
            self.blocks.resize(KEPT as usize, None);
        }
        let place = &mut self.blocks[(number % KEPT) as usize];
        let mut block = match place.take() {
            Some(block) if block.number == number => return Ok(&place.insert(block).entries),
            Some(other) => other,
            None => Block {
                number,
                entries: vec![[0; ENTRY]; BLOCK as usize].into_boxed_slice(),
            },
        };
        let at = number * BLOCK * ENTRY as u64;
        file.read_exact_at(block.entries.as_flattened_mut(), at)?;
        block.number = number;
        Ok(&place.insert(block).entries)
    }

    fn write_out(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.directory)?),
        };
        file.write_all_at(self.tail.as_flattened(), self.filed * ENTRY as u64)?;
        self.filed += self.tail.len() as u64;
        self.tail.clear();
        Ok(())
    }
}

fn to_bytes(entry: &Entry) -> Written {
    let flags = entry.index << 1 | if entry.ok { OK } else { 0 };
    let mut bytes = [0; ENTRY];
    bytes[..16].copy_from_slice(&entry.key.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&entry.offset.to_le_bytes());
    bytes[24..28].copy_from_slice(&entry.fields.to_le_bytes());
    bytes[28..].copy_from_slice(&flags.to_le_bytes());
    bytes
}

fn from_bytes(bytes: &Written) -> Entry {
    fn part<const N: usize>(bytes: &Written, at: usize) -> [u8; N] {
        let mut part = [0; N];
        part.copy_from_slice(&bytes[at..at + N]);
        part
    }
    let flags = u32::from_le_bytes(part(bytes, 28));
    Entry {
        key: Key(u128::from_le_bytes(part(bytes, 0))),
        offset: u64::from_le_bytes(part(bytes, 16)),
        fields: u32::from_le_bytes(part(bytes, 24)),
        ok: flags & OK != 0,
        index: flags >> 1,
    }
}
