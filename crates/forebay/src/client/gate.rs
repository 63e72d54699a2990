//! The gate that calls pass: open, closed, or closed and given up.
//!
//! Owns the count of calls under way. Never ends a call itself: whoever makes it watches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::outcome::{Failure, FailureKind};

#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    is_closed: bool,
    is_given_up: bool,
}

/// A call under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
}

impl Gate {
    /// Lets a call begin.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Pass, Failure> {
        let mut state = self.state();
        if state.is_closed {
            let what = "the client is closed";
            return Err(Failure::new(FailureKind::Cancelled, what));
        }
        state.under_way += 1;
        drop(state);
        Ok(Pass {
            gate: Arc::clone(self),
        })
    }

    /// Calls under way.
    pub(super) fn under_way(&self) -> usize {
        self.state().under_way
    }

    /// Lets no call begin any more, waits for those under way, and gives up those that are left
    /// after this time; how many these are.
    pub(super) async fn close(&self, grace: Duration) -> usize {
        self.state().is_closed = true;
        let end = Instant::now().checked_add(grace);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.state().under_way == 0 {
                return 0;
            }
            match end {
                None => changed.await,
                Some(end) if tokio::time::timeout_at(end, changed).await.is_ok() => {}
                Some(_) => break,
            }
        }
        let mut state = self.state();
        state.is_given_up = true;
        let left = state.under_way;
        drop(state);
        self.changed.notify_waiters();
        left
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers that a panic elsewhere leaves usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Waits for a call's end, or until it is given up.
    pub(super) async fn guard<T>(
        self,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let given_up = async {
            loop {
                let mut changed = std::pin::pin!(self.gate.changed.notified());
                changed.as_mut().enable();
                if self.gate.state().is_given_up {
                    return;
                }
                changed.await;
            }
        };
        tokio::select! {
            // First: a call that waited must not take the place of one that was given up.
            biased;
            () = given_up => Err(Failure::new(FailureKind::Cancelled, "the client was closed")),
            outcome = call => outcome,
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.under_way -= 1;
        let last = state.is_closed && state.under_way == 0;
        drop(state);
        if last {
            self.gate.changed.notify_waiters();
        }
    }
}
