//! Rows on their way out: first into the journal, then, once durable, into the sink.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinHandle};

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
    /// Rows that are recorded but not yet durable: where their record ends, and the row.
    unsynced: VecDeque<(u64, Vec<u8>)>,
    unsynced_bytes: usize,
    syncing: Option<JoinHandle<io::Result<u64>>>,
    synced: u64,
    fault: Option<String>,
    /// Whether a sync has failed: what is on the disk is then unknown for good.
    lost: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(journal: &'a mut Journal, sink: &'a mut dyn Sink) -> Output<'a> {
        Output {
            synced: journal.written(),
            journal,
            sink,
            row: Vec::new(),
            unsynced: VecDeque::new(),
            unsynced_bytes: 0,
            syncing: None,
            fault: None,
            lost: false,
        }
    }

    /// Lets a recorded row out as soon as it is durable.
    pub(super) fn row(&mut self, custom_id: Option<&str>, index: u64, body: &[u8]) {
        if !self.sink.wants_rows() {
            return;
        }
        self.row.clear();
        write_row(&mut self.row, custom_id, index, body);
        if self.fsyncs() {
            let end = self.journal.written() + self.journal.buffered() as u64;
            self.unsynced_bytes += self.row.len();
            self.unsynced.push_back((end, self.row.clone()));
        } else {
            self.sink.push(&self.row);
        }
    }

    fn fsyncs(&self) -> bool {
        self.journal.is_recording() && self.journal.durability() == Durability::Fsync
    }

    /// Whether a slow reader or disk holds too much back.
    pub(super) fn is_full(&self) -> bool {
        self.sink.backlog() + self.unsynced_bytes > MAX_BACKLOG
    }

    /// Writes everything that waits, journal first.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.journal.flush()?;
        self.sink.flush()?;
        let behind = self.journal.written() > self.synced;
        if self.fsyncs() && !self.lost && self.syncing.is_none() && behind {
            self.start_sync()?;
        }
        Ok(())
    }

    fn start_sync(&mut self) -> io::Result<()> {
        let Some(file) = self.journal.handle()? else {
            return Ok(());
        };
        let end = self.journal.written();
        self.syncing = Some(tokio::task::spawn_blocking(move || {
            file.sync_data().map(|()| end)
        }));
        Ok(())
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
                self.fault = Some(format!("cannot sync the journal: {error}"));
            }
        }
        changed
    }

    fn sync_ended(&mut self, ended: Result<io::Result<u64>, JoinError>) -> io::Result<()> {
        match ended.map_err(io::Error::other).and_then(|synced| synced) {
            Ok(end) => {
                self.release(end);
                Ok(())
            }
            Err(error) => {
                // Asking again after a failed sync may report success for lost data.
                self.lost = true;
                Err(error)
            }
        }
    }

    fn release(&mut self, end: u64) {
        self.synced = end;
        while let Some((row_end, row)) = self.unsynced.pop_front() {
            if row_end > end {
                self.unsynced.push_front((row_end, row));
                break;
            }
            self.unsynced_bytes -= row.len();
            self.sink.push(&row);
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

    /// Makes everything durable and lets it out.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.journal.flush()?;
        while self.fsyncs() {
            if self.lost {
                return Err(io::Error::other(
                    "the journal could not be synced to the disk",
                ));
            }
            if self.syncing.is_none() {
                if self.journal.written() <= self.synced {
                    break;
                }
                self.start_sync()?;
            }
            if let Some(syncing) = self.syncing.take() {
                let ended = syncing.await;
                self.sync_ended(ended)?;
            }
        }
        self.sink.flush()
    }
}
