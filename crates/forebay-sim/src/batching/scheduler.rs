//! Who runs in the next step, and what becomes of it.
//!
//! Owns the waiting queue, the running batch and the KV blocks. Never knows a clock: a step
//! begins at a time that is told, says how long it takes, and is ended at a time that is told.

use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;

use super::blocks::Blocks;
use super::config::Batching;
use super::entry::{Entry, Gaps, Place};
use super::metrics::{Finish, Metrics};
use super::step_time::Work;

/// Why a sequence is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As many sequences as may be are waiting or running.
    QueueFull,
    /// The prompt and one token of an answer are more than the engine can ever hold.
    TooLong {
        /// The most tokens of a prompt and its answer together.
        longest: u64,
    },
}

/// A sequence to be run.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Tokens of the prompt; at least one is counted.
    pub(super) prompt: u64,
    /// Hashes of the prompt's full blocks; none where the cache is off.
    pub(super) hashes: Vec<u64>,
    /// Tokens of the answer; at least one is made.
    pub(super) output: u64,
    /// Why the answer ends after them.
    pub(super) finish: Finish,
}

/// What a step brought.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Sequences that have their last token.
    pub(super) ended: Vec<usize>,
    /// Sequences that have the tokens that were waited for.
    pub(super) reached: Vec<usize>,
}

/// The scheduler of one engine; sequences are named by their slot.
#[derive(Debug)]
pub(super) struct Scheduler {
    config: Batching,
    block_size: u64,
    /// Blocks that admission leaves free.
    watermark: usize,
    blocks: Blocks,
    slots: Vec<Option<Entry>>,
    vacant: Vec<usize>,
    /// Oldest first.
    running: Vec<usize>,
    /// By place: those who were preempted count down from zero, all others up.
    waiting: BTreeMap<i64, usize>,
    front: i64,
    back: i64,
    serial: u64,
    metrics: Metrics,
}

/// What is left of a step's budget, and what it does so far.
struct Step {
    budget: u64,
    work: Work,
}

impl Scheduler {
    /// An engine without work.
    pub(super) fn new(config: Batching) -> Scheduler {
        let watermark = f64::from(config.kv_blocks) * config.watermark.clamp(0.0, 0.5);
        Scheduler {
            block_size: u64::from(config.block_size.max(1)),
            watermark: watermark as usize,
            blocks: Blocks::new(config.kv_blocks),
            slots: Vec::new(),
            vacant: Vec::new(),
            running: Vec::new(),
            waiting: BTreeMap::new(),
            front: 0,
            back: 0,
            serial: 0,
            metrics: Metrics::default(),
            config,
        }
    }

    /// The most tokens of a prompt and its answer together: more would never fit alone.
    pub(super) fn longest(&self) -> u64 {
        let blocks = self.config.kv_blocks as usize - self.watermark;
        let held = blocks as u64 * self.block_size;
        let longest = self.config.max_model_len.min(held);
        if self.config.chunked_prefill {
            longest
        } else {
            longest.min(self.budget())
        }
    }

    fn budget(&self) -> u64 {
        self.config.max_num_batched_tokens.max(1)
    }

    /// Queues a sequence and names its slot, which stays taken until it is released.
    ///
    /// An answer that would not fit ends, for its length, with the last token that does.
    pub(super) fn submit(&mut self, request: Request, now: Duration) -> Result<usize, Refused> {
        let longest = self.longest();
        let prompt = request.prompt.max(1);
        if prompt >= longest {
            return Err(Refused::TooLong { longest });
        }
        let unfinished = self.running.len() + self.waiting.len();
        let most = self.config.max_num_queued_reqs;
        if most.is_some_and(|most| unfinished >= most) {
            return Err(Refused::QueueFull);
        }
        self.serial += 1;
        let mut entry = Entry::new(self.serial, prompt, request.hashes);
        entry.output = request.output.clamp(1, longest - prompt);
        entry.finish = if entry.output < request.output {
            Finish::Length
        } else {
            request.finish
        };
        entry.arrived = now;
        entry.place = Place::Waiting(self.back);
        let slot = self.vacant.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot] = Some(entry);
        self.waiting.insert(self.back, slot);
        self.back += 1;
        Ok(slot)
    }

    /// Frees a slot; a sequence that has not ended is aborted, and its blocks are free at once.
    pub(super) fn release(&mut self, slot: usize) {
        let Some(mut entry) = self.slots.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.vacant.push(slot);
        match entry.place {
            Place::Waiting(place) => drop(self.waiting.remove(&place)),
            Place::Running => self.running.retain(|&other| other != slot),
            Place::Ended => return,
        }
        entry.give_up(&mut self.blocks);
        self.metrics.end(Finish::Abort);
    }

    /// Chooses the next step's work and says how long it takes; none if there is no work.
    pub(super) fn begin(&mut self, now: Duration) -> Option<Duration> {
        let mut step = Step {
            budget: self.budget(),
            work: Work::default(),
        };
        let preempted = self.continue_running(&mut step);
        if !preempted {
            while step.budget > 0 && self.admit(&mut step, now) {}
        }
        if step.work.prefill + step.work.decoding == 0 {
            return None;
        }
        step.work.kv_usage = self.blocks.usage();
        Some(self.config.step_time.of(step.work))
    }

    /// Gives running sequences their tokens, the oldest first; tells whether any was preempted.
    fn continue_running(&mut self, step: &mut Step) -> bool {
        let mut preempted = false;
        let mut at = 0;
        while at < self.running.len() && step.budget > 0 {
            let slot = self.running[at];
            let Some(entry) = self.slots[slot].as_mut() else {
                at += 1;
                continue;
            };
            let more = (entry.tokens() - entry.computed).min(step.budget);
            if entry.missing(more, self.block_size) > self.blocks.free() {
                self.preempt_youngest();
                preempted = true;
                continue;
            }
            entry.grow(more, &mut self.blocks, self.block_size);
            if self.config.prefix_cache {
                entry.remember(&mut self.blocks, self.block_size);
            }
            step.count(entry, more);
            at += 1;
        }
        preempted
    }

    /// Sends the youngest running sequence back to the front of the queue, without its blocks.
    fn preempt_youngest(&mut self) {
        let Some(slot) = self.running.pop() else {
            return;
        };
        self.front -= 1;
        self.waiting.insert(self.front, slot);
        self.metrics.preemptions += 1;
        if let Some(entry) = self.slots[slot].as_mut() {
            entry.give_up(&mut self.blocks);
            entry.place = Place::Waiting(self.front);
        }
    }

    /// Lets the first of the queue run, if it may and can; tells whether it does.
    fn admit(&mut self, step: &mut Step, now: Duration) -> bool {
        if self.running.len() >= self.config.max_num_seqs.max(1) {
            return false;
        }
        let Some((&place, &slot)) = self.waiting.first_key_value() else {
            return false;
        };
        let Some(entry) = self.slots[slot].as_mut() else {
            return self.waiting.remove(&place).is_some();
        };
        let findable = entry.findable(self.block_size);
        let (found, idle) = self.blocks.lookup(findable);
        let missing = entry.tokens() - found as u64 * self.block_size;
        if !self.config.chunked_prefill && missing > step.budget {
            return false;
        }
        let more = missing.min(step.budget);
        let whole = found as u64 * self.block_size + more;
        let needed = whole.div_ceil(self.block_size) as usize - found;
        if needed + idle + self.watermark > self.blocks.free() {
            return false;
        }
        self.waiting.remove(&place);
        self.running.push(slot);
        entry.place = Place::Running;
        entry.share(found, &mut self.blocks, self.block_size);
        if entry.cached.is_none() {
            entry.cached = Some(entry.computed);
            entry.admitted = now;
            if self.config.prefix_cache {
                self.metrics.prefix_queries += entry.prompt;
                self.metrics.prefix_hits += entry.computed;
            }
        }
        entry.grow(more, &mut self.blocks, self.block_size);
        if self.config.prefix_cache {
            entry.remember(&mut self.blocks, self.block_size);
        }
        step.count(entry, more);
        true
    }

    /// Ends the step under way: whoever was computed to the end has one token more.
    pub(super) fn end(&mut self, now: Duration, progress: &mut Progress) {
        let mut gaps = Gaps::default();
        let ended = progress.ended.len();
        for &slot in &self.running {
            let Some(entry) = self.slots[slot].as_mut() else {
                continue;
            };
            entry.computed += std::mem::take(&mut entry.scheduled);
            if entry.computed < entry.tokens() {
                continue;
            }
            entry.produce(&mut self.metrics, now, &mut gaps);
            if entry.produced == entry.output {
                entry.give_up(&mut self.blocks);
                entry.place = Place::Ended;
                progress.ended.push(slot);
            }
            if entry.target.is_some_and(|target| entry.produced >= target) {
                entry.target = None;
                progress.reached.push(slot);
            }
        }
        gaps.count(&mut self.metrics);
        if progress.ended.len() > ended {
            let slots = &self.slots;
            let runs = |entry: &Entry| entry.place == Place::Running;
            self.running
                .retain(|&slot| slots[slot].as_ref().is_some_and(runs));
        }
    }

    /// Whether a sequence has so many tokens, or its last one; if not, a later step tells.
    pub(super) fn reach(&mut self, slot: usize, tokens: u64) -> Poll<()> {
        let Some(entry) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return Poll::Ready(());
        };
        let tokens = tokens.min(entry.output);
        if entry.produced >= tokens {
            entry.target = None;
            return Poll::Ready(());
        }
        entry.target = Some(tokens);
        Poll::Pending
    }

    /// What is known of a sequence.
    pub(super) fn entry(&self, slot: usize) -> Option<&Entry> {
        self.slots.get(slot).and_then(Option::as_ref)
    }

    /// How many sequences run, and how many wait.
    pub(super) fn queue(&self) -> (usize, usize) {
        (self.running.len(), self.waiting.len())
    }

    /// The share of KV blocks in use.
    pub(super) fn kv_usage(&self) -> f64 {
        self.blocks.usage()
    }

    /// The figures as they are now.
    pub(super) fn metrics(&self) -> Metrics {
        Metrics {
            running: self.running.len(),
            waiting: self.waiting.len(),
            kv_usage: self.kv_usage(),
            ..self.metrics.clone()
        }
    }
}

impl Step {
    /// Counts what a sequence gets.
    fn count(&mut self, entry: &Entry, more: u64) {
        self.budget -= more;
        if entry.decodes() {
            self.work.decoding += 1;
        } else {
            self.work.prefill += more;
        }
    }
}

#[cfg(test)]
mod tests;
