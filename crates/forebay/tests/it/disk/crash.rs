//! What a folder may hold after a power cut.
//!
//! Names change in order and are durable once the folder was synced. Bytes are durable once
//! their file was synced; of those that were not, any may be missing. What a failed sync left
//! behind never becomes durable, however often it is asked for again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::faulty::Op;

/// The files in a folder by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A change of a file that is not durable yet.
#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

/// A change of the folder that is not durable yet.
#[derive(Debug, Clone)]
enum NameChange {
    Set(String, usize),
    Move(String, String),
    Remove(String),
}

#[derive(Debug, Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// Changes that a failed sync covered: in memory only, for good.
    forgotten: usize,
    len: usize,
}

/// What becomes of the changes that were not synced.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// These many changes stay, and this share of the next one's bytes.
    After(usize, Tear),
    /// The file has its length, and this byte instead of what was written.
    SizeOnly(u8),
    /// One change is missing, later ones are there.
    Hole(usize),
}

/// Where the last write is torn.
#[derive(Debug, Clone, Copy)]
enum Tear {
    Before,
    Half,
    LastLine,
    LastByte,
}

const TEARS: [Tear; 4] = [Tear::Before, Tear::Half, Tear::LastLine, Tear::LastByte];

/// A disk as it is and as it may be found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    inodes: HashMap<usize, Inode>,
    names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

impl Model {
    /// A disk on which these files are durable.
    pub(crate) fn new(files: &Files, inodes: &HashMap<PathBuf, usize>) -> Model {
        let mut model = Model::default();
        for (path, inode) in inodes {
            let durable = files[&name_of(path)].clone();
            let len = durable.len();
            model.names.insert(name_of(path), *inode);
            model.inodes.insert(
                *inode,
                Inode {
                    durable,
                    len,
                    ..Inode::default()
                },
            );
        }
        model
    }

    /// Follows an operation.
    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { path, inode } => {
                self.inodes.insert(*inode, Inode::default());
                let name = name_of(path);
                self.unsynced_names.push(NameChange::Set(name, *inode));
            }
            Op::Write { inode, bytes } => {
                let inode = self.inodes.get_mut(inode).unwrap();
                inode.unsynced.push(Change::Write {
                    at: inode.len,
                    bytes: bytes.clone(),
                });
                inode.len += bytes.len();
            }
            Op::SetLen { inode, len } => {
                let inode = self.inodes.get_mut(inode).unwrap();
                inode.len = *len as usize;
                inode.unsynced.push(Change::SetLen(inode.len));
            }
            Op::Sync { inode, ok } => self.inodes.get_mut(inode).unwrap().sync(*ok),
            Op::Rename { from, to } => {
                let change = NameChange::Move(name_of(from), name_of(to));
                self.unsynced_names.push(change);
            }
            Op::Remove { path } => {
                let gone = NameChange::Remove(name_of(path));
                self.unsynced_names.push(gone);
            }
            Op::SyncFolder => {
                self.names = self.names_now();
                self.unsynced_names.clear();
            }
        }
    }

    fn names_now(&self) -> BTreeMap<String, usize> {
        self.names_after(self.unsynced_names.len())
    }

    fn names_after(&self, changes: usize) -> BTreeMap<String, usize> {
        let mut names = self.names.clone();
        for change in &self.unsynced_names[..changes] {
            match change {
                NameChange::Set(name, inode) => {
                    names.insert(name.clone(), *inode);
                }
                NameChange::Move(from, to) => {
                    let inode = names.remove(from).unwrap();
                    names.insert(to.clone(), inode);
                }
                NameChange::Remove(name) => {
                    names.remove(name);
                }
            }
        }
        names
    }

    /// What is sure to be found of a file.
    pub(crate) fn durable(&self, name: &str) -> Vec<u8> {
        let inode = self.names.get(name).map(|inode| &self.inodes[inode]);
        inode.map_or_else(Vec::new, |inode| inode.durable.clone())
    }

    /// Everything that may be found now, each state once.
    pub(crate) fn states(&self, seen: &mut HashSet<Files>) -> Vec<Files> {
        let mut states = Vec::new();
        for changes in 0..=self.unsynced_names.len() {
            let names = self.names_after(changes);
            let most = names
                .values()
                .map(|inode| self.inodes[inode].unsynced.len());
            for loss in losses(most.max().unwrap_or(0)) {
                // Each file loses something while the others keep or lose everything.
                for victim in names.keys() {
                    for others in [Loss::After(usize::MAX, Tear::Before), NOTHING_STAYS] {
                        let files = names.iter().map(|(name, inode)| {
                            let loss = if name == victim { loss } else { others };
                            (name.clone(), self.inodes[inode].after(loss))
                        });
                        let files: Files = files.collect();
                        if seen.insert(files.clone()) {
                            states.push(files);
                        }
                    }
                }
            }
        }
        states
    }
}

const NOTHING_STAYS: Loss = Loss::After(0, Tear::Before);

fn losses(changes: usize) -> Vec<Loss> {
    let mut losses = vec![Loss::SizeOnly(0), Loss::SizeOnly(b'7')];
    for change in 0..=changes {
        losses.extend(TEARS.map(|tear| Loss::After(change, tear)));
        losses.push(Loss::Hole(change));
    }
    losses
}

impl Inode {
    fn sync(&mut self, ok: bool) {
        if ok {
            self.durable = self.content(|n, _| (n >= self.forgotten).then_some(None));
            self.unsynced.clear();
            self.forgotten = 0;
        } else {
            self.forgotten = self.unsynced.len();
        }
    }

    /// The durable content and the changes of which `stays` says so; those of which it gives a
    /// byte leave only their length, filled with it.
    fn content(&self, stays: impl Fn(usize, &Change) -> Option<Option<u8>>) -> Vec<u8> {
        let mut content = self.durable.clone();
        for (n, change) in self.unsynced.iter().enumerate() {
            match (stays(n, change), change) {
                (None, _) => {}
                (Some(_), Change::SetLen(len)) => content.resize(*len, 0),
                (Some(fill), Change::Write { at, bytes }) => {
                    content.resize(content.len().max(at + bytes.len()), 0);
                    let place = &mut content[*at..at + bytes.len()];
                    match fill {
                        None => place.copy_from_slice(bytes),
                        Some(fill) => place.fill(fill),
                    }
                }
            }
        }
        content
    }

    fn after(&self, loss: Loss) -> Vec<u8> {
        match loss {
            Loss::SizeOnly(byte) => self.content(|_, _| Some(Some(byte))),
            Loss::Hole(hole) => self.content(|n, _| (n != hole).then_some(None)),
            Loss::After(changes, tear) => {
                let mut content = self.content(|n, _| (n < changes).then_some(None));
                if let Some(Change::Write { at, bytes }) = self.unsynced.get(changes) {
                    content.resize(content.len().max(*at), 0);
                    content.truncate(*at);
                    content.extend_from_slice(&bytes[..tear.keeps(bytes)]);
                }
                content
            }
        }
    }
}

impl Tear {
    /// How many bytes of a write stay.
    fn keeps(self, bytes: &[u8]) -> usize {
        match self {
            Tear::Before => 0,
            Tear::Half => bytes.len() / 2,
            Tear::LastLine => {
                let before = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                before
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |at| at + 1)
            }
            Tear::LastByte => bytes.len().saturating_sub(1),
        }
    }
}
