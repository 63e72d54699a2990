//! A table from row keys to places in the journal that need not fit into memory.
//!
//! Entries stand one after another in a list, whose older part is an unnamed temporary file. A
//! hash table of their numbers finds them: open addressing with linear probing, several may have
//! one key. It lives in memory up to some millions of entries and in a file of its own beyond, so
//! that ten million rows resume in the memory of two. Rows come back in about the order in which
//! they were recorded, so that the list is read in stretches.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::entries::Entries;
use super::record::{Key, Record};

/// Slots of a new table; a power of two.
const FIRST_SLOTS: u64 = 1 << 10;
/// Slots kept in memory at the most (32 MiB, for 5.6 million entries).
const MEMORY_SLOTS: u64 = 1 << 23;
/// Bytes of a slot in a file.
const SLOT: usize = 8;
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

/// Where an entry stands in the list, and by what it is told from most others: from the highest
/// bit on the highest bits of its key, whether it is taken, and its number from 1. Zero is free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Slot(u64);

/// Bits of a slot below those of the key, and the flag below these.
const KEY_SHIFT: u32 = 56;
const TAKEN: u64 = 1 << (KEY_SHIFT - 1);
/// Bits of the number in a slot in memory: one less than there are slots at the most.
const SHORT_BITS: u32 = 23;

#[derive(Debug)]
enum Slots {
    Memory(Vec<u32>),
    File(File),
}

impl Slots {
    fn empty(capacity: u64, memory_slots: u64, directory: &Path) -> io::Result<Slots> {
        if capacity <= memory_slots {
            return Ok(Slots::Memory(vec![0; capacity as usize]));
        }
        let file = tempfile::tempfile_in(directory)?;
        file.set_len(capacity * SLOT as u64)?;
        Ok(Slots::File(file))
    }

    /// Shows every used slot from a key's first place on, until one is wanted; gives that one's
    /// place, or the first free one.
    fn probe(
        &self,
        capacity: u64,
        key: Key,
        mut is_wanted: impl FnMut(u64, Slot) -> io::Result<bool>,
    ) -> io::Result<(u64, Slot)> {
        let mask = capacity - 1;
        let mut at = key.0 as u64 & mask;
        match self {
            Slots::Memory(slots) => loop {
                let slot = Slot::long(slots[at as usize]);
                if slot == Slot::default() || is_wanted(at, slot)? {
                    return Ok((at, slot));
                }
                at = (at + 1) & mask;
            },
            Slots::File(file) => {
                let mut group = [0u8; SLOT * GROUP as usize];
                loop {
                    let n = GROUP.min(capacity - at);
                    let bytes = &mut group[..SLOT * n as usize];
                    file.read_exact_at(bytes, at * SLOT as u64)?;
                    let (slots, _) = bytes.as_chunks::<SLOT>();
                    for (i, bytes) in slots.iter().enumerate() {
                        let slot = Slot(u64::from_le_bytes(*bytes));
                        let at = at + i as u64;
                        if slot == Slot::default() || is_wanted(at, slot)? {
                            return Ok((at, slot));
                        }
                    }
                    at = (at + n) & mask;
                }
            }
        }
    }

    fn write(&mut self, at: u64, slot: Slot) -> io::Result<()> {
        match self {
            Slots::Memory(slots) => slots[at as usize] = slot.short(),
            Slots::File(file) => file.write_all_at(&slot.0.to_le_bytes(), at * SLOT as u64)?,
        }
        Ok(())
    }
}

impl Slot {
    fn new(key: Key, number: u64) -> Slot {
        Slot((number + 1) | Slot::mark(key))
    }

    /// The highest bits of a key, where a slot has them; its place in the table is told by the
    /// lowest.
    fn mark(key: Key) -> u64 {
        ((key.0 >> 64) as u64) >> KEY_SHIFT << KEY_SHIFT
    }

    fn number(self) -> u64 {
        (self.0 & (TAKEN - 1)) - 1
    }

    fn is_taken(self) -> bool {
        self.0 & TAKEN != 0
    }

    /// Whether its entry may have this key.
    fn may_be(self, key: Key) -> bool {
        self.0 >> KEY_SHIFT << KEY_SHIFT == Slot::mark(key)
    }

    /// As it is kept in memory, where numbers are small.
    fn short(self) -> u32 {
        let flags = (self.0 >> (KEY_SHIFT - 1)) as u32;
        flags << SHORT_BITS | self.0 as u32
    }

    fn long(short: u32) -> Slot {
        let number = short & ((1 << SHORT_BITS) - 1);
        Slot(u64::from(short >> SHORT_BITS) << (KEY_SHIFT - 1) | u64::from(number))
    }
}

/// A multimap from keys to entries, each of which can be taken once.
#[derive(Debug)]
pub struct KeyTable {
    entries: Entries,
    slots: Slots,
    capacity: u64,
    taken: u64,
    /// Slots kept in memory at the most; only tests choose fewer.
    memory_slots: u64,
    directory: PathBuf,
}

impl KeyTable {
    /// An empty table; a large one keeps its files in `directory`.
    pub fn new(directory: &Path) -> KeyTable {
        KeyTable {
            entries: Entries::new(directory),
            slots: Slots::Memory(vec![0; FIRST_SLOTS as usize]),
            capacity: FIRST_SLOTS,
            taken: 0,
            memory_slots: MEMORY_SLOTS,
            directory: directory.to_owned(),
        }
    }

    /// Entries put in.
    pub fn len(&self) -> u64 {
        self.entries.len()
    }

    /// Whether nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that were not taken.
    pub fn left(&self) -> u64 {
        self.len() - self.taken
    }

    /// Puts an entry in.
    ///
    /// # Errors
    /// When a temporary file cannot be written.
    pub fn insert(&mut self, entry: Entry) -> io::Result<()> {
        // Linear probing stays short up to about two thirds.
        if (self.len() + 1) * 3 > self.capacity * 2 {
            self.grow_to(self.capacity * 2)?;
        }
        let slot = Slot::new(entry.key, self.len());
        self.entries.push(&entry)?;
        self.place(entry.key, slot)
    }

    /// An entry of a key, which stays.
    ///
    /// # Errors
    /// When a temporary file cannot be read.
    pub fn find(&mut self, key: Key) -> io::Result<Option<Entry>> {
        let (mut found, entries) = (None, &mut self.entries);
        self.slots.probe(self.capacity, key, |_, slot| {
            if slot.may_be(key) {
                found = Some(entries.get(slot.number())?).filter(|entry| entry.key == key);
            }
            Ok(found.is_some())
        })?;
        Ok(found)
    }

    /// Whether the entry of this key and place is there and was not taken.
    ///
    /// # Errors
    /// When a temporary file cannot be read.
    pub fn has(&mut self, key: Key, offset: u64) -> io::Result<bool> {
        let (mut has, entries) = (false, &mut self.entries);
        self.slots.probe(self.capacity, key, |_, slot| {
            if slot.may_be(key) && !slot.is_taken() {
                let entry = entries.get(slot.number())?;
                has = entry.key == key && entry.offset == offset;
            }
            Ok(has)
        })?;
        Ok(has)
    }

    /// Takes the entry that serves a key best: one that succeeded with the same fields, else
    /// one that succeeded, else, when `failed` are wanted, one that failed.
    ///
    /// # Errors
    /// When a temporary file cannot be read or written.
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
    /// When a temporary file cannot be read or written.
    pub fn take_best(
        &mut self,
        key: Key,
        rank: impl Fn(&Entry) -> Option<u32>,
    ) -> io::Result<Option<Entry>> {
        let mut best: Option<(u32, Entry, u64, Slot)> = None;
        let entries = &mut self.entries;
        self.slots.probe(self.capacity, key, |at, slot| {
            if slot.is_taken() || !slot.may_be(key) {
                return Ok(false);
            }
            let entry = entries.get(slot.number())?;
            if entry.key == key
                && let Some(rank) = rank(&entry)
                && (best.as_ref()).is_none_or(|best| (rank, entry.offset) > (best.0, best.1.offset))
            {
                best = Some((rank, entry, at, slot));
            }
            Ok(false)
        })?;
        let Some((_, entry, at, slot)) = best else {
            return Ok(None);
        };
        self.slots.write(at, Slot(slot.0 | TAKEN))?;
        self.taken += 1;
        Ok(Some(entry))
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

    /// Makes room for so many entries in all, as far as they fit into memory, so that the table
    /// need not grow often.
    ///
    /// # Errors
    /// When a temporary file cannot be read.
    pub fn expect(&mut self, entries: u64) -> io::Result<()> {
        let capacity = (entries + entries / 2).next_power_of_two();
        match capacity.min(self.memory_slots) {
            capacity if capacity > self.capacity => self.grow_to(capacity),
            _ => Ok(()),
        }
    }

    fn place(&mut self, key: Key, slot: Slot) -> io::Result<()> {
        let (free, _) = self.slots.probe(self.capacity, key, |_, _| Ok(false))?;
        self.slots.write(free, slot)
    }

    fn grow_to(&mut self, capacity: u64) -> io::Result<()> {
        let slots = Slots::empty(capacity, self.memory_slots, &self.directory)?;
        let old = std::mem::replace(&mut self.slots, slots);
        let old_capacity = std::mem::replace(&mut self.capacity, capacity);
        for number in 0..self.len() {
            let key = self.entries.get(number)?.key;
            let slot = match self.taken {
                0 => Slot::new(key, number),
                _ => {
                    let is_this = |_, slot: Slot| Ok(slot.number() == number);
                    old.probe(old_capacity, key, is_this)?.1
                }
            };
            self.place(key, slot)?;
        }
        Ok(())
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
