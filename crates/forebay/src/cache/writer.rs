//! The thread that writes: answers and uses, in batches.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::key::Key;
use super::limits::CacheLimits;
use super::store::Store;
use super::{Fault, now_s, seconds};
use crate::answers::{Asked, Kept};

/// Orders that may wait; what comes when as many wait is dropped, so that a slow disk holds up no
/// run and fills no memory.
const WAITING: usize = 1024;
/// Bytes of requests and answers that may wait, the batch that is being written included: a
/// request with pictures takes some megabytes.
const WAITING_BYTES: usize = 64 << 20;
/// Orders that are carried out as one change.
const BATCH: usize = 256;

/// Something to write.
#[derive(Debug)]
pub(super) enum Order {
    /// Keep an answer.
    Keep {
        scope: String,
        asked: Asked,
        kept: Kept,
    },
    /// An answer was of use.
    Used(Key),
}

impl Order {
    /// Bytes that it holds on to.
    fn size(&self) -> usize {
        match self {
            Order::Keep { asked, kept, .. } => asked.body.len() + kept.body.len(),
            Order::Used(_) => 0,
        }
    }
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    sender: Mutex<Option<SyncSender<Order>>>,
    waiting: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        store: Store,
        limits: CacheLimits,
        fault: Fault,
    ) -> std::io::Result<Writer> {
        let (sender, orders) = sync_channel(WAITING);
        let waiting = Arc::new(AtomicUsize::new(0));
        let room = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name("cache".into())
            .spawn(move || write(store, (&orders, &room), &limits, &fault))?;
        Ok(Writer {
            sender: Mutex::new(Some(sender)),
            waiting,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands over an order, unless too many wait.
    pub(super) fn send(&self, order: Order) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let size = order.size();
        // Only this end adds, under the lock.
        let is_full = self.waiting.load(Ordering::Relaxed) + size > WAITING_BYTES;
        // A cache may forget.
        if let (Some(sender), false) = (&*sender, is_full) {
            self.waiting.fetch_add(size, Ordering::Relaxed);
            if sender.try_send(order).is_err() {
                self.waiting.fetch_sub(size, Ordering::Relaxed);
            }
        }
    }

    /// Waits until everything is written.
    pub(super) fn close(&self) {
        let sender = self.sender.lock();
        drop(sender.unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock();
        let thread = thread.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the thread is told by the panic itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn write(
    mut store: Store,
    (orders, waiting): (&Receiver<Order>, &AtomicUsize),
    limits: &CacheLimits,
    fault: &Fault,
) {
    while let Ok(first) = orders.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(more) = orders.try_recv()
        {
            batch.push(more);
        }
        if let Err(error) = carry_out(&mut store, &batch, limits) {
            fault.note(&error);
        }
        let size = batch.iter().map(Order::size).sum();
        waiting.fetch_sub(size, Ordering::Relaxed);
    }
}

fn carry_out(store: &mut Store, batch: &[Order], limits: &CacheLimits) -> rusqlite::Result<()> {
    let now = now_s();
    let removed = store.change(|change| {
        for order in batch {
            match order {
                Order::Keep { scope, asked, kept } => {
                    change.keep(&Key::of(scope, asked), kept, now)?;
                }
                Order::Used(key) => change.used(key, now)?,
            }
        }
        let aged = change.remove_older(now.saturating_sub(seconds(limits.max_age)))?;
        Ok(change.make_room(limits.max_bytes)? || aged > 0)
    })?;
    if removed {
        store.shrink()?;
    }
    Ok(())
}
