//! Rows on their way out: first into the journal, then, once durable, into the sink.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinHandle};

use super::flight::Work;
use crate::journal::{Durability, Journal};
use crate::row::write_row;
use crate::sink::Sink;

/// Bytes that may wait for a slow reader of the output before no more items are admitted.
const MAX_BACKLOG: usize = 4 << 20;

/// Journal and sink as one way out.
pub(super) struct Output<'a> {
    pub(super) journal: &'a mut Journal,
    sink: &'a mut dyn Sink,
    row: Vec<u8>,
    /// Rows that do not survive yet what they have to, in the order of their records.
    unsafe_rows: VecDeque<Waiting>,
    waiting_bytes: usize,
    syncing: Option<JoinHandle<io::Result<u64>>>,
    synced: u64,
    fault: Option<String>,
    /// Whether a sync has failed: what is on the disk is then unknown for good.
    lost: bool,
}

/// A row whose record is not written yet or, with syncs, not synced.
struct Waiting {
    /// Where its record ends.
    end: u64,
    ok: bool,
    /// The row, when it is let out only after the sync.
    row: Vec<u8>,
}

impl<'a> Output<'a> {
    pub(super) fn new(journal: &'a mut Journal, sink: &'a mut dyn Sink) -> Output<'a> {
        Output {
            synced: journal.written(),
            journal,
            sink,
            row: Vec::new(),
            unsafe_rows: VecDeque::new(),
            waiting_bytes: 0,
            syncing: None,
            fault: None,
            lost: false,
        }
    }

    /// Takes a row that was just recorded, and lets it out as soon as its record is safe.
    pub(super) fn row(&mut self, work: &Work, ok: bool, body: &[u8]) {
        let end = self.journal.written() + self.journal.buffered() as u64;
        let mut waiting = Waiting {
            end,
            ok,
            row: Vec::new(),
        };
        if self.sink.wants_rows() {
            self.row.clear();
            write_row(&mut self.row, work.custom_id.as_deref(), work.index, body);
            if self.fsyncs() {
                self.waiting_bytes += self.row.len();
                waiting.row.extend_from_slice(&self.row);
            } else {
                self.sink.push(&self.row);
            }
        }
        self.unsafe_rows.push_back(waiting);
    }

    /// The rows that do not survive what they have to: ok and failed ones.
    pub(super) fn unsafe_rows(&self) -> (u64, u64) {
        let ok = self.unsafe_rows.iter().filter(|row| row.ok).count() as u64;
        (ok, self.unsafe_rows.len() as u64 - ok)
    }

    fn fsyncs(&self) -> bool {
        self.journal.is_recording() && self.journal.durability() == Durability::Fsync
    }

    /// Whether a slow reader or disk holds too much back.
    pub(super) fn is_full(&self) -> bool {
        self.sink.backlog() + self.waiting_bytes > MAX_BACKLOG
    }

    /// Writes everything that waits, journal first.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.write()?;
        let behind = self.journal.written() > self.synced;
        if self.fsyncs() && !self.lost && self.syncing.is_none() && behind {
            self.start_sync();
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let written = self.journal.flush();
        if self.journal.is_recording() && !self.fsyncs() {
            self.release(self.journal.written());
        }
        written?;
        self.sink.flush()?;
        if !self.journal.is_recording() {
            self.unsafe_rows.clear();
        }
        Ok(())
    }

    /// Looks whether journal and output are still there, as they were left.
    pub(super) fn check(&self) -> io::Result<()> {
        self.journal.check()?;
        self.sink.check()
    }

    fn start_sync(&mut self) {
        if let Some(file) = self.journal.handle() {
            let end = self.journal.written();
            let sync = move || file.sync().map(|()| end);
            self.syncing = Some(tokio::task::spawn_blocking(sync));
        }
    }

    /// Notices an ended sync; `true` when something changed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut changed = self.sink.poll_room(cx);
        let Some(syncing) = &mut self.syncing else {
            return changed;
        };
        if let Poll::Ready(result) = Pin::new(syncing).poll(cx) {
            self.syncing = None;
            changed = true;
            if let Err(error) = self.sync_ended(result) {
                self.fault = Some(error.to_string());
            }
        }
        changed
    }

    fn sync_ended(&mut self, ended: Result<io::Result<u64>, JoinError>) -> io::Result<()> {
        match ended.map_err(io::Error::other).and_then(|synced| synced) {
            Ok(end) => {
                self.synced = end;
                self.release(end);
                Ok(())
            }
            Err(error) => {
                // Asking again after a failed sync may report success for lost data.
                self.lost = true;
                let message = format!("cannot sync the journal: {error}");
                Err(io::Error::new(error.kind(), message))
            }
        }
    }

    /// Lets the rows out whose records end here or before.
    fn release(&mut self, end: u64) {
        while let Some(waiting) = self.unsafe_rows.pop_front_if(|waiting| waiting.end <= end) {
            self.waiting_bytes -= waiting.row.len();
            if !waiting.row.is_empty() {
                self.sink.push(&waiting.row);
            }
        }
    }

    /// A fault that no later write can mend.
    pub(super) fn take_fault(&mut self) -> Option<String> {
        self.fault.take()
    }

    /// Whether a fault can never be mended by writing again.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Makes everything durable and lets it out; what could not be written holds up nothing
    /// that was.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        let written = self.write();
        while self.fsyncs() {
            if let Some(syncing) = self.syncing.take() {
                let ended = syncing.await;
                self.sync_ended(ended)?;
            } else if self.lost {
                return Err(io::Error::other(
                    "the journal could not be synced to the disk",
                ));
            } else if self.journal.written() <= self.synced {
                break;
            } else {
                self.start_sync();
            }
        }
        written?;
        self.sink.flush()
    }
}
