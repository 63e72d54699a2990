//! How many sockets one origin may take up.
//!
//! Owns the count of open connections, and the wait for one to close or to become idle. Never
//! knows a connection itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The most connections to one origin: Linux has 28,232 ports for connections from one address
/// to one other (`net.ipv4.ip_local_port_range`), and a few of them are somebody else's.
pub(super) const MOST_SOCKETS: usize = 28_000;

/// The sockets of one origin.
#[derive(Debug)]
pub(super) struct Sockets {
    open: AtomicUsize,
    most: usize,
    waiting: AtomicUsize,
    freed: Notify,
}

/// A place among the open connections, given back when dropped.
#[derive(Debug)]
pub(super) struct Socket(Arc<Sockets>);

/// Somebody who waits; counted, so that those who free something know of it.
struct Waiting<'s>(&'s Sockets);

impl Sockets {
    pub(super) fn new(most: usize) -> Arc<Sockets> {
        Arc::new(Sockets {
            open: AtomicUsize::new(0),
            most: most.max(1),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    /// A place for one more connection, unless all are taken.
    pub(super) fn place(self: &Arc<Self>) -> Option<Socket> {
        let one_more = |open| (open < self.most).then_some(open + 1);
        self.open
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more)
            .is_ok()
            .then(|| Socket(Arc::clone(self)))
    }

    /// Whether one more connection may be opened.
    pub(super) fn has_room(&self) -> bool {
        self.open.load(Ordering::SeqCst) < self.most
    }

    /// Tells one of those who wait that a connection, or a part of one, is free.
    pub(super) fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// Looks for something that is free until there is some, again after each that is freed.
    pub(super) async fn find<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(self);
        loop {
            // What is freed after this look leaves word with `freed`.
            if let Some(found) = look() {
                return found;
            }
            self.freed.notified().await;
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        // Word that came for this one while it gave up is for the next one.
        self.0.tell();
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        self.0.tell();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn nobody_gets_a_socket_beyond_the_cap_until_one_closes() {
        let sockets = Sockets::new(2);
        let (first, second) = (sockets.place(), sockets.place());
        assert!(first.is_some() && second.is_some());
        let mut waiting = Box::pin(sockets.find(|| sockets.place()));
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        let third = waiting.now_or_never();
        assert!(third.is_some() && sockets.place().is_none());
    }

    #[tokio::test]
    async fn one_who_gives_up_waiting_takes_nothing_along() {
        let sockets = Sockets::new(1);
        let held = sockets.place();
        let find = || Box::pin(sockets.find(|| sockets.place()));
        let (mut gone, mut there) = (find(), find());
        assert!((&mut gone).now_or_never().is_none());
        assert!((&mut there).now_or_never().is_none());
        drop(held);
        drop(gone);
        assert!(there.now_or_never().is_some());
    }
}
