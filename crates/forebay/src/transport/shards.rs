//! One of something for each core.
//!
//! Owns which one a thread uses, so that threads do not wait for each other's lock. Never knows
//! what is kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More shards than this only take longer to search.
const MOST: usize = 32;

/// The number of the next thread that asks for a shard.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
}

/// Several of something, each behind a lock in a cache line of its own.
#[derive(Debug)]
pub(super) struct Shards<T>(Box<[Shard<T>]>);

/// Two cache lines, as processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard<T>(Mutex<T>);

impl<T: Default> Shards<T> {
    /// One for each core.
    pub(super) fn new() -> Shards<T> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Shards((0..cores.min(MOST)).map(|_| Shard::default()).collect())
    }

    /// This thread's.
    pub(super) fn own(&self) -> MutexGuard<'_, T> {
        lock(&self.0[self.number()].0)
    }

    /// This thread's first, then the others', each locked while it is looked at.
    pub(super) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        let (before, from) = self.0.split_at(self.number());
        from.iter().chain(before).map(|shard| lock(&shard.0))
    }

    fn number(&self) -> usize {
        NUMBER.with(|number| number % self.0.len())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The guarded operations cannot panic halfway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
