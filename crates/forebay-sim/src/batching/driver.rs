//! Lets time pass between a step's beginning and its end.
//!
//! Owns the lock around the scheduler, and the one task that drives it: the task begins with
//! the first sequence and ends when there is no work or nobody is left. Never decides who runs.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::config::Batching;
use super::metrics::{Finish, Metrics};
use super::prompt::Prompt;
use super::scheduler::{Progress, Refused, Request, Scheduler};

/// A batching engine; clones are the same engine.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    block_size: u64,
    prefix_cache: bool,
    longest: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    scheduler: Scheduler,
    /// By slot: who waits for tokens.
    waiting: Vec<Option<Waker>>,
    /// The engine's time zero: the first arrival.
    epoch: Option<Instant>,
    /// Whether a task drives the engine.
    driven: bool,
}

impl Engine {
    /// An idle engine; it costs nothing until a sequence comes.
    pub(crate) fn new(config: Batching) -> Engine {
        let block_size = u64::from(config.block_size.max(1));
        let prefix_cache = config.prefix_cache;
        let scheduler = Scheduler::new(config);
        let shared = Shared {
            block_size,
            prefix_cache,
            longest: scheduler.longest(),
            state: Mutex::new(State {
                scheduler,
                waiting: Vec::new(),
                epoch: None,
                driven: false,
            }),
        };
        Engine {
            shared: Arc::new(shared),
        }
    }

    /// The most tokens of a prompt and its answer together.
    pub(crate) fn longest(&self) -> u64 {
        self.shared.longest
    }

    /// Queues a sequence whose answer has so many tokens and ends for this reason.
    ///
    /// # Errors
    ///
    /// Refuses a sequence beyond the cap of the queue, and one that can never fit.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with time.
    pub(crate) fn submit(
        &self,
        prompt: Prompt<'_>,
        output_tokens: u64,
        finish: Finish,
    ) -> Result<Sequence, Refused> {
        let shared = &self.shared;
        let request = Request {
            prompt: prompt.tokens,
            hashes: match shared.prefix_cache {
                true => prompt.hashes(shared.block_size),
                false => Vec::new(),
            },
            output: output_tokens,
            finish,
        };
        let mut state = shared.lock();
        let now = Instant::now();
        let epoch = *state.epoch.get_or_insert(now);
        let slot = state.scheduler.submit(request, now - epoch)?;
        if state.waiting.len() <= slot {
            state.waiting.resize_with(slot + 1, || None);
        }
        if !state.driven {
            state.driven = true;
            tokio::spawn(drive(Driver(Arc::downgrade(shared)), now));
        }
        drop(state);
        Ok(Sequence {
            shared: Arc::clone(shared),
            slot,
        })
    }

    /// The figures as they are now.
    pub(crate) fn metrics(&self) -> Metrics {
        self.shared.lock().scheduler.metrics()
    }

    /// How many sequences run, and how many wait.
    pub(crate) fn queue(&self) -> (usize, usize) {
        self.shared.lock().scheduler.queue()
    }

    /// Appends the figures in Prometheus' text format.
    pub(crate) fn write_metrics(&self, out: &mut String, model: &str) {
        self.metrics().write(out, model);
    }
}

/// A sequence in the engine; dropping it aborts it and frees its blocks.
#[derive(Debug)]
pub(crate) struct Sequence {
    shared: Arc<Shared>,
    slot: usize,
}

impl Sequence {
    /// Waits until this many output tokens exist, or the last one does.
    ///
    /// # Cancel safety
    ///
    /// Safe: tokens that came meanwhile are there for the next call.
    pub(crate) async fn reach(&mut self, tokens: u64) {
        poll_fn(|context| self.shared.poll_reach(self.slot, tokens, context)).await;
    }

    /// Prompt tokens that the prefix cache held; known once the first token exists.
    pub(crate) fn cached_tokens(&self) -> u64 {
        let state = self.shared.lock();
        let entry = state.scheduler.entry(self.slot);
        entry.and_then(|entry| entry.cached).unwrap_or(0)
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.scheduler.release(self.slot);
        let waker = state.waiting[self.slot].take();
        drop(state);
        drop(waker);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_reach(&self, slot: usize, tokens: u64, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let poll = state.scheduler.reach(slot, tokens);
        let waker = &mut state.waiting[slot];
        match (poll, waker) {
            (Poll::Ready(()), waker) => *waker = None,
            (Poll::Pending, Some(waker)) => waker.clone_from(context.waker()),
            (Poll::Pending, waker) => *waker = Some(context.waker().clone()),
        }
        poll
    }

    /// Begins a step and says when it ends; without work, the engine is driven no more.
    fn begin(&self, at: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let now = state.since(at);
        let step = state.scheduler.begin(now);
        state.driven = step.is_some();
        Some(at + step?)
    }

    /// Ends a step and wakes whom it brought what they wait for.
    fn end(&self, at: Instant, progress: &mut Progress) {
        let mut wake = Vec::new();
        {
            let mut state = self.lock();
            let now = state.since(at);
            state.scheduler.end(now, progress);
            let waiting = &mut state.waiting;
            wake.extend(
                progress
                    .reached
                    .drain(..)
                    .filter_map(|slot| waiting[slot].take()),
            );
            progress.ended.clear();
        }
        wake.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn since(&self, at: Instant) -> Duration {
        self.epoch.map_or_else(Default::default, |epoch| {
            at.saturating_duration_since(epoch)
        })
    }
}

/// The driving task's side; an engine whose task was cancelled finds another one.
struct Driver(Weak<Shared>);

impl Driver {
    /// Begins a step; without work this task has nothing more to say, and another may follow.
    fn begin(&mut self, at: Instant) -> Option<Instant> {
        let end = self.0.upgrade().and_then(|shared| shared.begin(at));
        if end.is_none() {
            self.0 = Weak::new();
        }
        end
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.lock().driven = false;
        }
    }
}

/// Steps until there is no work. Steps follow each other without a gap, whatever the timer's
/// resolution is: each begins when the one before it should have ended.
async fn drive(mut driver: Driver, mut at: Instant) {
    let mut progress = Progress::default();
    while let Some(end) = driver.begin(at) {
        sleep_until(end).await;
        at = end;
        if let Some(shared) = driver.0.upgrade() {
            shared.end(at, &mut progress);
        }
    }
}

#[cfg(test)]
mod tests;
