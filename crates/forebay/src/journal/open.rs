//! Opening a journal: a new one, or one to go on with, whatever the last session left of it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::file::{self, io_error};
use super::{
    Durability, Entry, INDEXES, Journal, KeyTable, Offsets, Settings, now_s, read, run_line,
    settings,
};
use crate::disk::{Disk, DiskFile, Lines, RealDisk, parent_of};
use crate::error::Error;

/// Rows whose records tell how many there are in all: enough of them for a fair average.
const SAMPLE: u64 = 4_096;

/// How a journal is opened.
#[derive(Debug, Clone)]
pub struct OpenOptionsForRun {
    /// The journal's path.
    pub path: PathBuf,
    /// What makes the run this one.
    pub settings: Settings,
    /// Throw an earlier run away.
    pub fresh: bool,
    /// Send items again whose rows failed.
    pub retry_failed: bool,
    /// Whether rows must survive a power cut.
    pub durability: Durability,
}

impl Journal {
    /// Opens the journal of a run: a new one, or one to go on with.
    ///
    /// # Errors
    /// When the file cannot be used, belongs to another run, or another process holds it.
    pub fn open(options: OpenOptionsForRun) -> Result<Journal, Error> {
        Journal::open_on(Arc::new(RealDisk), options)
    }

    /// The same on another disk, which the outputs of the run then use too.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_on(disk: Arc<dyn Disk>, options: OpenOptionsForRun) -> Result<Journal, Error> {
        let path = &options.path;
        let file = file::open_locked(&*disk, path)?;
        let directory = parent_of(path);
        let mut journal = Journal {
            disk,
            path: path.clone(),
            past: KeyTable::new(&directory),
            offsets: Offsets::new(&directory),
            durability: options.durability,
            retry_failed: options.retry_failed,
            ..Journal::none()
        };
        let failed = |error: io::Error| io_error(path, "read", &error);
        if options.fresh || file.file().metadata().map_err(failed)?.len() == 0 {
            journal.start(&options.settings)?;
            return Ok(journal);
        }
        if !file::looks_like_journal(file.file()).map_err(failed)? {
            return Err(Error::io(format!(
                "{} exists and is not a journal of forebay",
                path.display()
            ))
            .with_hint("move it away or choose another output"));
        }
        let end = journal.read_past(file.file(), &options.settings)?;
        journal.go_on(file, end)?;
        Ok(journal)
    }

    /// Begins a new file by a rename, so that there is never one without a whole first record.
    fn start(&mut self, settings: &Settings) -> Result<(), Error> {
        let failed = |error: io::Error| io_error(&self.path, "write", &error);
        let mut first = Vec::new();
        run_line(&mut first, &self.now, settings);
        let file = file::replace(&self.disk, &self.path, &mut &*first).map_err(failed)?;
        let lines = Lines::new(file, &self.path, first.len() as u64).map_err(failed)?;
        self.file = Some(lines);
        self.begun = true;
        Ok(())
    }

    /// Goes on with a file whose whole records end at `end`.
    fn go_on(&mut self, mut file: Arc<dyn DiskFile>, end: u64) -> Result<(), Error> {
        let failed = |error: io::Error| io_error(&self.path, "mend", &error);
        if self.durability == Durability::Fsync {
            // What a failed sync left in memory reads well and may never reach the disk; only
            // bytes that are written again are sure to.
            let mut old = file.file();
            old.rewind().map_err(failed)?;
            file = file::replace(&self.disk, &self.path, &mut old.take(end)).map_err(failed)?;
        }
        let mut lines = Lines::new(file, &self.path, end).map_err(failed)?;
        // A torn end is what a kill in the middle of a write leaves behind.
        lines.mend().map_err(failed)?;
        self.file = Some(lines);
        Ok(())
    }

    /// Reads what earlier sessions did; returns where their whole records end.
    fn read_past(&mut self, file: &File, settings: &Settings) -> Result<u64, Error> {
        let path = self.path.clone();
        let failed = |error: io::Error| io_error(&path, "read", &error);
        let bytes = file.metadata().map_err(failed)?.len();
        let (history, past, now) = (&mut self.history, &mut self.past, now_s());
        let extent = read::for_each(file, |offset, record| {
            history.note(record, now);
            if record.t == "done"
                && let (Some(key), Some(ok)) = (record.key(), record.ok)
            {
                let fields = record.f.unwrap_or_default();
                past.take_replaced(key, record)?;
                if past.len() == SAMPLE {
                    past.expect(bytes / (offset / SAMPLE).max(1))?;
                }
                past.insert(Entry {
                    key,
                    offset,
                    fields,
                    ok,
                    index: (record.i.unwrap_or_default() % INDEXES) as u32,
                })?;
            }
            Ok::<_, io::Error>(())
        })
        .map_err(failed)?;
        self.history.close_session();
        if let Some(earlier) = &self.history.settings {
            let differing = settings::differences(earlier, settings);
            if !differing.is_empty() {
                return Err(Error::config(format!(
                    "{} belongs to another run: {}",
                    path.display(),
                    differing.join("; ")
                ))
                .with_hint(
                    "use --fresh to throw the earlier rows away and start over, or another \
                     output for this run",
                ));
            }
        }
        self.damaged = extent.damaged;
        Ok(extent.end)
    }
}
