//! The attempts under way, of which those are driven that something has happened to.
//!
//! Owns a place in memory for each, which the next attempt takes over, and the list of those that
//! were woken. Never starts or ends one by itself.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Futures of one kind, driven together by one task.
///
/// # Cancel safety
/// Dropping it drops them all.
pub(super) struct Attempts<F> {
    slots: Vec<Slot<F>>,
    free: Vec<usize>,
    /// Those that are to be polled in this turn, the first one last.
    due: Vec<usize>,
    woken: Arc<Woken>,
}

struct Slot<F> {
    future: Pin<Box<Option<F>>>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// Wakes one slot.
struct Bell {
    slot: usize,
    /// Whether the slot is in the list already.
    rung: AtomicBool,
    woken: Arc<Woken>,
}

/// What wakers share.
#[derive(Default)]
struct Woken {
    slots: Mutex<Vec<usize>>,
    driver: AtomicWaker,
}

impl Woken {
    fn slots(&self) -> MutexGuard<'_, Vec<usize>> {
        // Nothing panics while it is held.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.woken.slots().push(self.slot);
            self.woken.driver.wake();
        }
    }
}

impl<F: Future> Attempts<F> {
    pub(super) fn new() -> Attempts<F> {
        Attempts {
            slots: Vec::new(),
            free: Vec::new(),
            due: Vec::new(),
            woken: Arc::default(),
        }
    }

    /// Takes a future; it is polled for the first time by the next [`Attempts::poll_next`].
    pub(super) fn push(&mut self, future: F) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.add_slot(),
        };
        self.slots[slot].future.as_mut().set(Some(future));
        self.slots[slot].bell.wake_by_ref();
    }

    fn add_slot(&mut self) -> usize {
        let slot = self.slots.len();
        let bell = Arc::new(Bell {
            slot,
            rung: AtomicBool::new(false),
            woken: Arc::clone(&self.woken),
        });
        self.slots.push(Slot {
            future: Box::pin(None),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        });
        slot
    }

    /// The output of one that is over; pending also when there is none.
    pub(super) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<F::Output> {
        loop {
            let Some(slot) = self.next_due(cx) else {
                return Poll::Pending;
            };
            let Slot {
                future,
                bell,
                waker,
            } = &mut self.slots[slot];
            // Before it is polled: what happens meanwhile rings anew. One that is over may have
            // been rung for late.
            bell.rung.store(false, Ordering::Release);
            let Some(under_way) = future.as_mut().as_pin_mut() else {
                continue;
            };
            if let Poll::Ready(output) = under_way.poll(&mut Context::from_waker(waker)) {
                future.as_mut().set(None);
                self.free.push(slot);
                return Poll::Ready(output);
            }
        }
    }

    fn next_due(&mut self, cx: &Context<'_>) -> Option<usize> {
        if self.due.is_empty() {
            // Before the list is looked at: whoever rings later wakes the task.
            self.woken.driver.register(cx.waker());
            std::mem::swap(&mut self.due, &mut *self.woken.slots());
            self.due.reverse();
        }
        self.due.pop()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until it is told, and shows how often it was looked at.
    struct Told {
        n: usize,
        state: Rc<RefCell<State>>,
    }

    #[derive(Default)]
    struct State {
        is_over: bool,
        polls: usize,
        waker: Option<Waker>,
    }

    impl Future for Told {
        type Output = usize;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
            let mut state = self.state.borrow_mut();
            state.polls += 1;
            state.waker = Some(cx.waker().clone());
            match state.is_over {
                true => Poll::Ready(self.n),
                false => Poll::Pending,
            }
        }
    }

    fn told(attempts: &mut Attempts<Told>, n: usize) -> Rc<RefCell<State>> {
        let state = Rc::<RefCell<State>>::default();
        attempts.push(Told {
            n,
            state: Rc::clone(&state),
        });
        state
    }

    fn end(state: &RefCell<State>) {
        state.borrow_mut().is_over = true;
        let waker = state.borrow().waker.clone();
        waker.unwrap().wake();
    }

    #[test]
    fn only_those_are_polled_that_were_woken() {
        let driver = Arc::new(Counted::default());
        let waker = Waker::from(Arc::clone(&driver));
        let cx = Context::from_waker(&waker);
        let mut attempts = Attempts::new();
        let states: Vec<_> = (0..3).map(|n| told(&mut attempts, n)).collect();
        assert!(attempts.poll_next(&cx).is_pending());
        driver.0.store(0, Ordering::Relaxed);
        end(&states[2]);
        end(&states[0]);
        assert_eq!(
            driver.0.load(Ordering::Relaxed),
            1,
            "the task is woken once"
        );
        assert_eq!(
            attempts.poll_next(&cx),
            Poll::Ready(2),
            "in the order of waking"
        );
        assert_eq!(attempts.poll_next(&cx), Poll::Ready(0));
        assert!(attempts.poll_next(&cx).is_pending());
        let polls: Vec<_> = states.iter().map(|state| state.borrow().polls).collect();
        assert_eq!(polls, [2, 1, 2]);
    }

    #[test]
    fn a_slot_is_used_again_and_a_late_bell_does_no_harm() {
        let waker = Waker::from(Arc::new(Counted::default()));
        let cx = Context::from_waker(&waker);
        let mut attempts = Attempts::new();
        let first = told(&mut attempts, 0);
        assert!(attempts.poll_next(&cx).is_pending());
        end(&first);
        assert_eq!(attempts.poll_next(&cx), Poll::Ready(0));
        let late = first.borrow().waker.clone().unwrap();
        late.wake_by_ref();
        assert!(attempts.poll_next(&cx).is_pending());
        let second = told(&mut attempts, 1);
        late.wake_by_ref();
        assert!(attempts.poll_next(&cx).is_pending());
        end(&second);
        assert_eq!(attempts.poll_next(&cx), Poll::Ready(1));
        assert_eq!(attempts.slots.len(), 1);
    }

    #[test]
    fn one_that_ends_is_dropped_at_once_and_all_with_their_owner() {
        let waker = Waker::from(Arc::new(Counted::default()));
        let cx = Context::from_waker(&waker);
        let mut attempts = Attempts::new();
        let (over, under_way) = (told(&mut attempts, 0), told(&mut attempts, 1));
        assert!(attempts.poll_next(&cx).is_pending());
        end(&over);
        assert_eq!(attempts.poll_next(&cx), Poll::Ready(0));
        assert_eq!(
            (Rc::strong_count(&over), Rc::strong_count(&under_way)),
            (1, 2)
        );
        drop(attempts);
        assert_eq!(Rc::strong_count(&under_way), 1);
    }
}
