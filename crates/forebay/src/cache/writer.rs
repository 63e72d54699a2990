//! The thread that writes: answers and uses, in batches.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use super::key::Key;
use super::limits::CacheLimits;
use super::store::Store;
use super::{Fault, now_s, seconds};
use crate::answers::{Asked, Kept};

/// Orders that may wait; what comes when as many wait is dropped, so that a slow disk holds up no
/// run and fills no memory.
const WAITING: usize = 1024;
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

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    sender: Mutex<Option<SyncSender<Order>>>,
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
        let thread = std::thread::Builder::new()
            .name("cache".into())
            .spawn(move || write(store, &orders, &limits, &fault))?;
        Ok(Writer {
            sender: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands over an order, unless too many wait.
    pub(super) fn send(&self, order: Order) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*sender {
            // A cache may forget.
            let _ = sender.try_send(order);
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

fn write(mut store: Store, orders: &Receiver<Order>, limits: &CacheLimits, fault: &Fault) {
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
