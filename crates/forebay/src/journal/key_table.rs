//! A table from row keys to places in the journal that need not fit into memory.
//!
//! Open addressing with linear probing; several entries may have one key. Small tables live in
//! memory, large ones in an unnamed temporary file, so that ten million rows resume in the
//! memory of ten thousand.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::record::{Key, Record};

/// Slots of a new table; a power of two.
const FIRST_SLOTS: u64 = 1 << 10;
/// Slots kept in memory at the most (32 MiB).
const MEMORY_SLOTS: u64 = 1 << 20;
/// Bytes of a slot: key, offset, fields hash, flags.
const SLOT: usize = 32;
/// Slots read at once from a file.
const GROUP: u64 = 32;

/// One entry: a finished row in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The row's key.
    pub key: Key,
    /// Where its record begins in the journal.
    pub offset: u64,
    /// Hash of its input fields.
    pub fields: u32,
    /// Whether its item succeeded.
    pub ok: bool,
    /// Its item's index, modulo [`INDEXES`].
    pub index: u32,
}

/// Item indexes that entries tell apart.
pub const INDEXES: u64 = 1 << 29;

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: u128,
    offset: u64,
    fields: u32,
    flags: u32,
}

const USED: u32 = 1;
const OK: u32 = 2;
const TAKEN: u32 = 4;
/// Bits of the flags below the index.
const FLAG_BITS: u32 = 3;

#[derive(Debug)]
enum Slots {
    Memory(Vec<Slot>),
    File(File),
}

impl Slots {
    fn empty(capacity: u64, memory_slots: u64, directory: &Path) -> io::Result<Slots> {
        if capacity <= memory_slots {
            return Ok(Slots::Memory(vec![Slot::default(); capacity as usize]));
        }
        let file = tempfile::tempfile_in(directory)?;
        file.set_len(capacity * SLOT as u64)?;
        Ok(Slots::File(file))
    }
}

/// A multimap from keys to entries, each of which can be taken once.
#[derive(Debug)]
pub struct KeyTable {
    slots: Slots,
    capacity: u64,
    len: u64,
    taken: u64,
    /// Slots kept in memory at the most; only tests choose fewer.
    memory_slots: u64,
    directory: PathBuf,
}

impl KeyTable {
    /// An empty table; a large one keeps its file in `directory`.
    pub fn new(directory: &Path) -> KeyTable {
        KeyTable {
            slots: Slots::Memory(vec![Slot::default(); FIRST_SLOTS as usize]),
            capacity: FIRST_SLOTS,
            len: 0,
            taken: 0,
            memory_slots: MEMORY_SLOTS,
            directory: directory.to_owned(),
        }
    }

    /// An empty table with room for about this many entries, so that it seldom has to grow.
    ///
    /// # Errors
    /// When the temporary file cannot be made.
    pub fn with_room_for(directory: &Path, entries: u64) -> io::Result<KeyTable> {
        let capacity = (entries + entries / 2).next_power_of_two().max(FIRST_SLOTS);
        Ok(KeyTable {
            slots: Slots::empty(capacity, MEMORY_SLOTS, directory)?,
            capacity,
            ..KeyTable::new(directory)
        })
    }

    /// Entries put in.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Entries that were not taken.
    pub fn left(&self) -> u64 {
        self.len - self.taken
    }

    /// Puts an entry in.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn insert(&mut self, entry: Entry) -> io::Result<()> {
        // Linear probing stays short up to about two thirds.
        if (self.len + 1) * 3 > self.capacity * 2 {
            self.grow()?;
        }
        self.len += 1;
        self.place(Slot {
            key: entry.key.0,
            offset: entry.offset,
            fields: entry.fields,
            flags: USED | if entry.ok { OK } else { 0 } | entry.index << FLAG_BITS,
        })
    }

    /// An entry of a key, which stays.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn find(&self, key: Key) -> io::Result<Option<Entry>> {
        let mut found = None;
        self.probe(key, |_, slot| {
            if slot.key == key.0 && found.is_none() {
                found = Some(slot.entry());
            }
        })?;
        Ok(found)
    }

    /// Takes the entry that serves a key best: one that succeeded with the same fields, else
    /// one that succeeded, else, when `failed` are wanted, one that failed.
    ///
    /// # Errors
    /// When the temporary file cannot be read or written.
    pub fn take(&mut self, key: Key, fields: u32, failed: bool) -> io::Result<Option<Entry>> {
        self.take_best(key, |entry| {
            (failed || entry.ok)
                .then(|| 2 * u32::from(entry.ok) + u32::from(entry.fields == fields))
        })
    }

    /// Takes the entry of a key that is ranked highest, and of several the latest; entries
    /// without a rank are passed over.
    ///
    /// # Errors
    /// When the temporary file cannot be read or written.
    pub fn take_best(
        &mut self,
        key: Key,
        rank: impl Fn(&Entry) -> Option<u32>,
    ) -> io::Result<Option<Entry>> {
        let mut best: Option<(u32, u64, Slot)> = None;
        self.probe(key, |at, slot| {
            if slot.key != key.0 || slot.flags & TAKEN != 0 {
                return;
            }
            let Some(rank) = rank(&slot.entry()) else {
                return;
            };
            let better = |b: &(u32, u64, Slot)| (rank, slot.offset) > (b.0, b.2.offset);
            if best.as_ref().is_none_or(better) {
                best = Some((rank, at, slot));
            }
        })?;
        let Some((_, at, mut slot)) = best else {
            return Ok(None);
        };
        slot.flags |= TAKEN;
        self.write(at, slot)?;
        self.taken += 1;
        Ok(Some(slot.entry()))
    }

    /// Takes the entry of the row that a record replaces, when it replaces one: a failed row, or
    /// one that it repeats with other fields.
    ///
    /// # Errors
    /// As [`KeyTable::take_best`].
    pub fn take_replaced(&mut self, key: Key, record: &Record<'_>) -> io::Result<()> {
        let fields = record.f.unwrap_or_default();
        if record.was.is_some() {
            self.take_best(key, |entry| {
                (!entry.ok).then_some(u32::from(entry.fields == fields))
            })?;
        } else if record.copy == Some(true) {
            self.take_best(key, |entry| {
                (Some(entry.ok) == record.ok && entry.fields != fields).then_some(0)
            })?;
        }
        Ok(())
    }

    fn place(&mut self, slot: Slot) -> io::Result<()> {
        let free = self.probe(Key(slot.key), |_, _| ())?;
        self.write(free, slot)
    }

    /// Shows every used slot from a key's first place on; gives the first free place.
    fn probe(&self, key: Key, mut see: impl FnMut(u64, Slot)) -> io::Result<u64> {
        let mask = self.capacity - 1;
        let mut at = key.0 as u64 & mask;
        match &self.slots {
            Slots::Memory(slots) => loop {
                let slot = slots[at as usize];
                if slot.flags == 0 {
                    return Ok(at);
                }
                see(at, slot);
                at = (at + 1) & mask;
            },
            Slots::File(file) => {
                let mut group = [0u8; SLOT * GROUP as usize];
                loop {
                    let n = GROUP.min(self.capacity - at);
                    let bytes = &mut group[..SLOT * n as usize];
                    file.read_exact_at(bytes, at * SLOT as u64)?;
                    for (i, bytes) in bytes.chunks_exact(SLOT).enumerate() {
                        let slot = Slot::from_bytes(bytes);
                        if slot.flags == 0 {
                            return Ok(at + i as u64);
                        }
                        see(at + i as u64, slot);
                    }
                    at = (at + n) & mask;
                }
            }
        }
    }

    fn write(&mut self, at: u64, slot: Slot) -> io::Result<()> {
        match &mut self.slots {
            Slots::Memory(slots) => slots[at as usize] = slot,
            Slots::File(file) => file.write_all_at(&slot.to_bytes(), at * SLOT as u64)?,
        }
        Ok(())
    }

    fn grow(&mut self) -> io::Result<()> {
        let capacity = self.capacity * 2;
        let slots = Slots::empty(capacity, self.memory_slots, &self.directory)?;
        let old = std::mem::replace(&mut self.slots, slots);
        let old_capacity = std::mem::replace(&mut self.capacity, capacity);
        match old {
            Slots::Memory(slots) => {
                for slot in slots.into_iter().filter(|slot| slot.flags != 0) {
                    self.place(slot)?;
                }
            }
            Slots::File(file) => {
                let mut group = vec![0u8; SLOT * 1024];
                for start in (0..old_capacity).step_by(1024) {
                    file.read_exact_at(&mut group, start * SLOT as u64)?;
                    for bytes in group.chunks_exact(SLOT) {
                        let slot = Slot::from_bytes(bytes);
                        if slot.flags != 0 {
                            self.place(slot)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Slot {
    fn entry(&self) -> Entry {
        Entry {
            key: Key(self.key),
            offset: self.offset,
            fields: self.fields,
            ok: self.flags & OK != 0,
            index: self.flags >> FLAG_BITS,
        }
    }

    fn to_bytes(self) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        bytes[..16].copy_from_slice(&self.key.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.offset.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.fields.to_le_bytes());
        bytes[28..].copy_from_slice(&self.flags.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Slot {
        fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
            let mut part = [0; N];
            part.copy_from_slice(&bytes[at..at + N]);
            part
        }
        Slot {
            key: u128::from_le_bytes(part(bytes, 0)),
            offset: u64::from_le_bytes(part(bytes, 16)),
            fields: u32::from_le_bytes(part(bytes, 24)),
            flags: u32::from_le_bytes(part(bytes, 28)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u128, offset: u64, fields: u32, ok: bool) -> Entry {
        Entry {
            key: Key(key),
            offset,
            fields,
            ok,
            index: 7,
        }
    }

    #[test]
    fn entries_of_one_key_are_taken_once_and_best_first() {
        let mut table = KeyTable::new(Path::new("."));
        table.insert(entry(1, 10, 7, false)).unwrap();
        table.insert(entry(1, 20, 7, true)).unwrap();
        table.insert(entry(1, 30, 8, true)).unwrap();
        assert_eq!(
            table.take(Key(1), 7, true).unwrap(),
            Some(entry(1, 20, 7, true))
        );
        assert_eq!(
            table.take(Key(1), 7, false).unwrap(),
            Some(entry(1, 30, 8, true))
        );
        assert_eq!(table.take(Key(1), 7, false).unwrap(), None);
        assert_eq!(
            table.take(Key(1), 7, true).unwrap(),
            Some(entry(1, 10, 7, false))
        );
        assert_eq!(table.take(Key(1), 7, true).unwrap(), None);
        assert_eq!(table.take(Key(2), 7, true).unwrap(), None);
        assert_eq!(table.left(), 0);
    }

    #[test]
    fn a_table_larger_than_memory_works_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let mut table = KeyTable::new(directory.path());
        table.memory_slots = 1 << 12;
        // Keys with equal low bits collide on purpose.
        let key = |n: u64| u128::from(n % 1_000) | u128::from(n) << 64;
        let n: u64 = 1 << 15;
        for i in 0..n {
            let spread = u128::from(xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes()));
            let key = if i < 2_000 { key(i) } else { spread | 1 << 100 };
            table.insert(entry(key, i, 0, true)).unwrap();
        }
        assert!(matches!(table.slots, Slots::File(_)));
        for i in 0..2_000 {
            assert_eq!(
                table.take(Key(key(i)), 0, false).unwrap().unwrap().offset,
                i
            );
            assert_eq!(table.take(Key(key(i)), 0, false).unwrap(), None);
        }
        assert_eq!(table.left(), n - 2_000);
    }
}
