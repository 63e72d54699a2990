//! The journal: what was sent and what came back, so that nothing is lost or paid twice.
//!
//! Owns the file beside the output: append-only, one checked record per line, one writer.
//! Never decides what to send.
//!
//! ```text
//! run ─ sent ─ sent ─ done ─ retry ─ sent ─ learnt ─ done ─ … ─ end       one session
//! run ─ sent ─ …                                                          the next one (a resume)
//! ```
//! Records are buffered until [`Journal::flush`], which is one write; with
//! [`Durability::Process`] they survive a kill of the process from then on. With
//! [`Durability::Fsync`] the engine also syncs the file and lets rows out only after that.

mod entries;
mod entry;
mod file;
mod key_table;
mod offsets;
mod open;
mod read;
mod record;
mod settings;
mod usual;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub use entry::{Attempt, Bill, Done, KeptItem};
pub use key_table::{Entry, INDEXES, KeyTable};
pub use offsets::Offsets;
pub use open::OpenOptionsForRun;
pub use read::{Extent, History, Lookup, Totals, for_each};
pub use record::{Key, Line, Record, RecordedRow};
pub use settings::Settings;

use crate::config::Learnt;
pub use crate::disk::parent_of;
use crate::disk::{Disk, DiskFile, Lines, RealDisk};
use crate::money::Usd;
use crate::outcome::FailureKind;

/// What a finished row has to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A kill of the process at any moment.
    Process,
    /// A power cut too.
    Fsync,
}

/// An open journal with the exclusive right to write it.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    file: Option<Lines>,
    path: PathBuf,
    /// Whether this session has begun.
    begun: bool,
    buffer: Vec<u8>,
    /// Seconds since 1970, as text: asked for once per turn, not per record.
    now: String,
    durability: Durability,
    past: KeyTable,
    /// Reads rows of earlier sessions.
    past_rows: Option<Lookup>,
    offsets: Offsets,
    retry_failed: bool,
    restamped: u64,
    moved: u64,
    any_failed: bool,
    history: History,
    damaged: u64,
}

impl Journal {
    /// A journal that records nothing, for output that cannot be resumed.
    pub fn none() -> Journal {
        let nowhere = Path::new(".");
        Journal {
            disk: Arc::new(RealDisk),
            file: None,
            path: PathBuf::new(),
            begun: false,
            buffer: Vec::new(),
            now: now_text(),
            durability: Durability::Process,
            past: KeyTable::new(nowhere),
            past_rows: None,
            offsets: Offsets::new(nowhere),
            retry_failed: false,
            restamped: 0,
            moved: 0,
            any_failed: false,
            history: History::default(),
            damaged: 0,
        }
    }

    /// What earlier sessions did.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Damaged records in the middle of the file, whose rows are sent again.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Whether rows are recorded at all.
    pub fn is_recording(&self) -> bool {
        self.file.is_some()
    }

    /// What rows have to survive.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Begins a session, unless that was done when a new journal was opened.
    pub fn begin(&mut self, settings: &Settings) {
        if self.file.is_some() && !std::mem::replace(&mut self.begun, true) {
            run_line(&mut self.buffer, &self.now, settings);
        }
    }

    /// Takes the earlier row that serves an item, if there is one.
    ///
    /// Rows of failed items serve unless they are to be sent again; `even_failed` lets them
    /// serve in any case.
    ///
    /// # Errors
    /// When the table of earlier rows cannot be read.
    pub fn take(&mut self, key: Key, fields: u32, even_failed: bool) -> io::Result<Option<Entry>> {
        if self.past.is_empty() {
            return Ok(None);
        }
        let failed = even_failed || !self.retry_failed;
        self.past.take(key, fields, failed)
    }

    /// Whether the row of an earlier session whose record begins here still counts: no later one
    /// has replaced it, and no item has taken it.
    ///
    /// # Errors
    /// When the table of earlier rows cannot be read.
    pub fn has_past(&mut self, key: Key, offset: u64) -> io::Result<bool> {
        self.past.has(key, offset)
    }

    /// Takes the failed row that an item's new row will replace; gives the failure's kind.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn take_failed(&mut self, key: Key, fields: u32) -> io::Result<Option<String>> {
        if !self.retry_failed || self.past.is_empty() {
            return Ok(None);
        }
        let Some(entry) = self.past.take(key, fields, true)? else {
            return Ok(None);
        };
        let record = self.past_rows()?.record(entry.offset)?;
        Ok(record.kind.map(str::to_owned))
    }

    /// The reader of earlier rows, opened once.
    fn past_rows(&mut self) -> io::Result<&mut Lookup> {
        if self.past_rows.is_none() {
            self.past_rows = Some(self.lookup()?);
        }
        self.past_rows
            .as_mut()
            .ok_or_else(|| io::Error::other("the journal is not open"))
    }

    /// Whether rows that were let out as they finished no longer stand for the input: some
    /// have other fields or another place now, or nobody asked for them.
    pub fn is_outdated(&self) -> bool {
        self.restamped > 0 || self.moved > 0 || self.past.left() > 0
    }

    /// Whether there is a failed row among those that stand for the input.
    pub fn has_failed_rows(&self) -> bool {
        self.any_failed
    }

    /// Keeps an earlier row for an item, which may have another index or other fields now.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn keep(&mut self, entry: Entry, item: &KeptItem<'_>) -> io::Result<()> {
        self.any_failed |= !entry.ok;
        self.moved += u64::from(u64::from(entry.index) != item.index % INDEXES);
        if entry.fields == item.fields_hash {
            return self.offsets.set(item.index, entry.offset);
        }
        let record = self.past_rows()?.record(entry.offset)?;
        let body = record.body();
        let body = with_fields(body, item.fields)?;
        let kind = record.kind.map(str::to_owned);
        self.restamped += 1;
        let offset = self.end_of_buffer();
        let mut line = self
            .line("done")
            .key(entry.key)
            .plain("i", item.index)
            .plain("ok", entry.ok)
            .plain("copy", true)
            .plain("f", item.fields_hash);
        if let Some(kind) = kind {
            line = line.text("kind", &kind);
        }
        if let Some(id) = item.custom_id {
            line = line.text("id", id);
        }
        line.json("row", &body).end();
        self.offsets.set(item.index, offset)
    }

    /// Looks at the clock: records from now on bear this time.
    pub fn stamp(&mut self) {
        self.now = now_text();
    }

    /// Records that an attempt is about to be made, and the most that it can cost when the run
    /// has a cap.
    pub fn sent(&mut self, attempt: &Attempt, worst: Option<Usd>) {
        let mut line = attempt.write(self.line("sent"));
        if let Some(worst) = worst {
            line = entry::picos(line, "w", worst);
        }
        line.end();
    }

    /// Records that an attempt failed and another one follows or the item stays pending.
    pub fn retry(&mut self, attempt: &Attempt, kind: FailureKind, bill: &Bill) {
        let line = attempt.write(self.line("retry")).text("kind", kind.label());
        bill.write(line).end();
    }

    /// Records a finished row.
    ///
    /// # Errors
    /// When the table of places cannot be written.
    pub fn done(&mut self, done: &Done<'_>) -> io::Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        self.any_failed |= done.failure.is_some();
        let offset = self.end_of_buffer();
        let mut line = self
            .line("done")
            .key(done.key)
            .asked(done.asked)
            .number("i", done.index)
            .flag("ok", done.failure.is_none())
            .number("f", done.fields.into());
        if let Some(id) = done.custom_id {
            line = line.text("id", id);
        }
        if let Some(kind) = done.failure {
            line = line.text("kind", kind.label());
        }
        if let Some(was) = done.was {
            line = line.text("was", was);
        }
        if done.recalled {
            line = line.flag("cached", true);
        }
        if done.along {
            line = line.flag("along", true);
        }
        line = done.bill.write(line);
        line.json("row", done.body).end();
        self.offsets.set(done.index, offset)
    }

    /// Records how many items the input has.
    pub fn items(&mut self, items: u64) {
        self.line("items").plain("total", items).end();
    }

    /// Records what was learnt of the limits of the server at the base URL of this hash.
    pub fn learnt(&mut self, learnt: &Learnt, base_url: u32) {
        // Numbers and booleans are always written.
        let Ok(json) = serde_json::to_vec(learnt) else {
            return;
        };
        self.line("learnt")
            .plain("f", base_url)
            .json("data", &json)
            .end();
    }

    /// Records the end of a session.
    pub fn end(&mut self, reason: &str, wall_s: f64) {
        self.line("end")
            .text("kind", reason)
            .plain("total", format_args!("{wall_s:.3}"))
            .end();
    }

    fn line(&mut self, kind: &str) -> Line<'_> {
        if self.file.is_none() {
            self.buffer.clear();
        }
        Line::new(&mut self.buffer, kind).json("at", self.now.as_bytes())
    }

    fn end_of_buffer(&self) -> u64 {
        self.written() + self.buffer.len() as u64
    }

    /// Bytes that wait for the next flush.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Writes what is buffered, in one go.
    ///
    /// # Errors
    /// When the file cannot be written. What is not written stays buffered, and the file ends
    /// with a whole record.
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            self.buffer.clear();
            return Ok(());
        };
        if self.buffer.is_empty() {
            return Ok(());
        }
        file.append(&mut self.buffer)?;
        // A rare large batch must not keep its memory for the rest of the run.
        self.buffer.shrink_to(1 << 20);
        Ok(())
    }

    /// Bytes in the file: what a sync that starts now makes durable.
    pub fn written(&self) -> u64 {
        self.file.as_ref().map_or(0, Lines::len)
    }

    /// The file, for syncing it elsewhere.
    pub fn handle(&self) -> Option<Arc<dyn DiskFile>> {
        self.file.as_ref().map(Lines::handle)
    }

    /// The disk that the journal is on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Looks whether the file at the journal's path is still this one, as it was left.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), Lines::check)
    }

    /// A reader of single records.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub fn lookup(&self) -> io::Result<Lookup> {
        Lookup::new(File::open(&self.path)?)
    }

    /// The places of all rows by index.
    pub fn offsets(&mut self) -> &mut Offsets {
        &mut self.offsets
    }

    /// The journal's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces a completed run's journal by its settings and totals, so that the same command
    /// knows that nothing is left to do.
    ///
    /// # Errors
    /// When the small file cannot be written; the journal is then left as it is.
    pub fn finish(mut self, settings: &Settings, data: &str) -> io::Result<()> {
        self.flush()?;
        let mut bytes = Vec::new();
        run_line(&mut bytes, &self.now, settings);
        Line::new(&mut bytes, "finished")
            .plain("at", &self.now)
            .json("data", data.as_bytes())
            .end();
        file::replace(&self.disk, &self.path, &mut &*bytes).map(drop)
    }
}

/// The record with which a session begins.
fn run_line(out: &mut Vec<u8>, now: &str, settings: &Settings) {
    let json = settings::to_json(settings);
    Line::new(out, "run")
        .plain("at", now)
        .plain("v", 1)
        .json("data", json.as_bytes())
        .end();
}

/// The body of a row with other input fields in front of its own members.
fn with_fields(body: &str, fields: &str) -> io::Result<Vec<u8>> {
    let members = crate::fields::members(body).map_err(io::Error::other)?;
    let first_own = members
        .iter()
        .position(|(name, _)| name == "output")
        .unwrap_or(0);
    let mut out = vec![b'{'];
    out.extend_from_slice(fields.as_bytes());
    for (name, value) in &members[first_own..] {
        if out.len() > 1 {
            out.push(b',');
        }
        crate::fields::push_json_str(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    Ok(out)
}

fn now_s() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

fn now_text() -> String {
    format!("{:.3}", now_s())
}

#[cfg(test)]
mod tests;
