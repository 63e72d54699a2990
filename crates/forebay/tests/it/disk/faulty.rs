//! A disk whose operations fail when told to, and that notes them all.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use forebay::disk::{Disk, DiskFile, RealDisk};
use tempfile::TempPath;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Open,
    Temporary,
    Write,
    Sync,
    SetLen,
    Rename,
    Remove,
    SyncFolder,
}

/// The operations that fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// The first one of its kind that fails, from 1.
    pub(crate) nth: usize,
    /// Whether all later ones of its kind fail too.
    pub(crate) lasting: bool,
    /// A write that fails writes half of its bytes first.
    pub(crate) half: bool,
    /// The error's number.
    pub(crate) errno: i32,
}

/// An operation that was done, or a sync that failed.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Create { path: PathBuf, inode: usize },
    Write { inode: usize, bytes: Vec<u8> },
    SetLen { inode: usize, len: u64 },
    Sync { inode: usize, ok: bool },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    SyncFolder,
}

/// A disk whose operations fail when told to, and that notes them all.
#[derive(Debug, Clone)]
pub(crate) struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    counts: HashMap<Kind, usize>,
    /// How often an operation failed.
    hits: usize,
    /// The next write fails: it is the rest of one that was cut in half.
    rest_fails: Option<i32>,
    names: HashMap<PathBuf, usize>,
    inodes: usize,
    ops: Vec<Op>,
}

/// A disk without faults. It syncs nothing: these tests outlive no power cut of their own.
pub(crate) fn sound(folder: &Path) -> Arc<dyn Disk> {
    Arc::new(FaultyDisk::new(folder, &[]))
}

impl FaultyDisk {
    /// A disk on which some operations fail; `folder` holds the files that are there already.
    pub(crate) fn new(folder: &Path, faults: &[Fault]) -> FaultyDisk {
        let mut state = State {
            faults: faults.to_vec(),
            ..State::default()
        };
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let inode = state.new_inode();
            state.names.insert(path, inode);
        }
        FaultyDisk(Arc::new(Mutex::new(state)))
    }

    /// How often an operation failed.
    pub(crate) fn hits(&self) -> usize {
        self.lock().hits
    }

    /// What was done, in order.
    pub(crate) fn ops(&self) -> Vec<Op> {
        self.lock().ops.clone()
    }

    /// The inodes of the files that were there from the start, by path.
    pub(crate) fn lock_names(&self) -> HashMap<PathBuf, usize> {
        self.lock().names.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn wrap(&self, inode: usize, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile {
            disk: self.clone(),
            inode,
            file,
        })
    }
}

impl State {
    fn new_inode(&mut self) -> usize {
        self.inodes += 1;
        self.inodes - 1
    }

    /// Counts an operation; the fault that befalls it, if one does.
    fn count(&mut self, kind: Kind) -> Option<Fault> {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let count = *count;
        let hit = self.faults.iter().copied().find(|fault| {
            fault.kind == kind && (count == fault.nth || (fault.lasting && count > fault.nth))
        });
        self.hits += usize::from(hit.is_some());
        hit
    }

    fn pass(&mut self, kind: Kind) -> io::Result<()> {
        match self.count(kind) {
            Some(fault) => Err(io::Error::from_raw_os_error(fault.errno)),
            None => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.pass(Kind::Open)?;
        let file = RealDisk.open(path)?;
        let inode = match state.names.get(path) {
            Some(inode) => *inode,
            None => {
                let inode = state.new_inode();
                let path = path.to_owned();
                state.names.insert(path.clone(), inode);
                state.ops.push(Op::Create { path, inode });
                inode
            }
        };
        Ok(self.wrap(inode, file))
    }

    fn temporary(&self, path: &Path) -> io::Result<(Arc<dyn DiskFile>, TempPath)> {
        let mut state = self.lock();
        state.pass(Kind::Temporary)?;
        let (file, path) = RealDisk.temporary(path)?;
        let inode = state.new_inode();
        state.names.insert(path.to_path_buf(), inode);
        let created = path.to_path_buf();
        state.ops.push(Op::Create {
            path: created,
            inode,
        });
        Ok((self.wrap(inode, file), path))
    }

    fn rename(&self, from: TempPath, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.pass(Kind::Rename)?;
        let (from_path, to) = (from.to_path_buf(), to.to_owned());
        RealDisk.rename(from, &to)?;
        if let Some(inode) = state.names.remove(&from_path) {
            state.names.insert(to.clone(), inode);
        }
        state.ops.push(Op::Rename {
            from: from_path,
            to,
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.pass(Kind::Remove)?;
        RealDisk.remove(path)?;
        state.names.remove(path);
        let path = path.to_owned();
        state.ops.push(Op::Remove { path });
        Ok(())
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.pass(Kind::SyncFolder)?;
        state.ops.push(Op::SyncFolder);
        Ok(())
    }
}

/// An open file of a faulty disk.
#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    inode: usize,
    file: Arc<dyn DiskFile>,
}

impl FaultyFile {
    fn write_and_note(&self, state: &mut State, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        state.ops.push(Op::Write {
            inode: self.inode,
            bytes: bytes[..n].to_vec(),
        });
        Ok(n)
    }
}

impl DiskFile for FaultyFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.lock();
        if let Some(errno) = state.rest_fails.take() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        match state.count(Kind::Write) {
            None => self.write_and_note(&mut state, bytes),
            Some(fault) if fault.half && bytes.len() > 1 => {
                state.rest_fails = Some(fault.errno);
                self.write_and_note(&mut state, &bytes[..bytes.len() / 2])
            }
            Some(fault) => Err(io::Error::from_raw_os_error(fault.errno)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let passed = state.pass(Kind::Sync);
        state.ops.push(Op::Sync {
            inode: self.inode,
            ok: passed.is_ok(),
        });
        passed
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.pass(Kind::SetLen)?;
        self.file.set_len(len)?;
        state.ops.push(Op::SetLen {
            inode: self.inode,
            len,
        });
        Ok(())
    }

    fn file(&self) -> &File {
        self.file.file()
    }
}
