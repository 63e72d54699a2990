//! Answers kept on disk for the next time the same is asked.
//!
//! Owns a folder with one SQLite file that runs and processes share. Never fails a run: what
//! cannot be read is a miss, what cannot be written is dropped, and the first fault is kept for
//! whoever asks for it. Never holds a key or a header.
//!
//! ```text
//! engine's feed ─► find ─► file            (reads, in the caller's thread)
//! engine ─► keep ─► channel ─► writer ─► file, in batches   (a thread of its own)
//! ```

mod key;
mod limits;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::answers::{Answers, Asked, Kept};
use crate::error::Error;
use key::Key;
pub use limits::CacheLimits;
use store::Store;
pub use store::{CacheStats, Cleared};
use writer::{Order, Writer};

/// The file in the folder.
const FILE: &str = "answers.db";

/// An open cache. Dropping it writes what is still to be written.
#[derive(Debug)]
pub struct Cache {
    reader: Mutex<Option<Store>>,
    writer: Writer,
    fault: Fault,
    scope: String,
    max_age: Duration,
    counts: bool,
}

/// The first fault of a cache.
#[derive(Debug, Clone, Default)]
struct Fault(Arc<Mutex<Option<String>>>);

impl Fault {
    fn note(&self, what: &dyn std::fmt::Display) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| what.to_string());
    }

    fn get(&self) -> Option<String> {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.clone()
    }
}

impl Cache {
    /// Opens the cache in a folder, which is made when it is missing, for its owner only.
    ///
    /// `scope` is the base URL that is asked, or another name for who answers, with whatever else
    /// changes answers and is in no body. A file that is
    /// damaged is put aside as `answers.db.damaged`, and [`Cache::fault`] tells so.
    ///
    /// # Errors
    /// When the folder or the file cannot be opened for writing.
    pub fn open(folder: &Path, scope: &str, limits: &CacheLimits) -> Result<Cache, Error> {
        let shown = folder.display();
        let failed = |why: &dyn std::fmt::Display| {
            Error::io(format!("cannot use the cache in {shown}: {why}"))
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| failed(&error))?;
        let path = folder.join(FILE);
        let fault = Fault::default();
        let store = match Store::open(&path) {
            Err(error) if store::is_damage(&error) => {
                put_aside(&path).map_err(|error| failed(&error))?;
                fault.note(&format!("it was damaged and begins anew ({error})"));
                Store::open(&path)
            }
            opened => opened,
        };
        let writing = store.map_err(|error| failed(&error))?;
        let reader = Store::open(&path).map_err(|error| failed(&error))?;
        let writer = Writer::start(writing, limits.clone(), fault.clone())
            .map_err(|error| failed(&error))?;
        Ok(Cache {
            reader: Mutex::new(Some(reader)),
            writer,
            fault,
            scope: scope.to_owned(),
            max_age: limits.max_age,
            counts: true,
        })
    }

    /// The same cache for one who only looks: what is found does not count as used.
    #[must_use]
    pub fn without_counting(self) -> Cache {
        Cache {
            counts: false,
            ..self
        }
    }

    /// The first thing that went wrong, if anything did.
    pub fn fault(&self) -> Option<String> {
        self.fault.get()
    }

    /// Writes what is still to be written, and waits for it.
    pub fn close(&self) {
        self.writer.close();
    }

    fn key(&self, asked: &Asked) -> Key {
        Key::of(&self.scope, asked)
    }
}

impl Answers for Cache {
    fn find(&self, asked: &Asked) -> Option<Kept> {
        let key = self.key(asked);
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = now_s().saturating_sub(seconds(self.max_age));
        match reader.as_ref()?.find(&key, oldest) {
            Ok(found) => {
                if found.is_some() && self.counts {
                    self.writer.send(Order::Used(key));
                }
                found
            }
            Err(error) => {
                // A damaged file would fail again for each item.
                self.fault.note(&error);
                if store::is_damage(&error) {
                    *reader = None;
                }
                None
            }
        }
    }

    fn keep(&self, asked: Asked, kept: Kept) {
        let scope = self.scope.clone();
        self.writer.send(Order::Keep { scope, asked, kept });
    }
}

/// Whether there is a cache in a folder.
pub fn exists(folder: &Path) -> bool {
    folder.join(FILE).exists()
}

/// What a cache's folder holds; all zeros when there is none.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub fn stats(folder: &Path) -> Result<CacheStats, Error> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(CacheStats::default());
    }
    let store = Store::open(&path).and_then(|store| store.stats());
    store.map_err(|error| unusable(&path, &error))
}

/// Removes the answers of a cache that were made longer ago than `older_than`; all without it.
///
/// All of a damaged file is removed with its file.
///
/// # Errors
/// When the file cannot be changed.
pub fn clear(folder: &Path, older_than: Option<Duration>) -> Result<Cleared, Error> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(Cleared::default());
    }
    let before = older_than.map(|age| now_s().saturating_sub(seconds(age)));
    match Store::open(&path).and_then(|mut store| store.clear(before)) {
        Err(error) if store::is_damage(&error) && before.is_none() => {
            let bytes = fs::metadata(&path).map_or(0, |file| file.len());
            let removed = files_of(&path)
                .into_iter()
                .try_for_each(|file| remove(&file));
            removed.map_err(|error| Error::io(format!("cannot remove the cache: {error}")))?;
            Ok(Cleared { entries: 0, bytes })
        }
        cleared => cleared.map_err(|error| unusable(&path, &error)),
    }
}

fn unusable(path: &Path, error: &rusqlite::Error) -> Error {
    Error::io(format!("cannot use the cache {}: {error}", path.display()))
        .with_hint("`forebay cache clear` makes a new one")
}

/// The file and those that SQLite keeps beside it.
fn files_of(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

fn put_aside(path: &Path) -> std::io::Result<()> {
    let [file, wal, shm] = files_of(path);
    fs::rename(file, path.with_extension("db.damaged"))?;
    remove(&wal)?;
    remove(&shm)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    seconds(since)
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
