//! What the scheduler knows of one sequence.
//!
//! Owns its counts of tokens and its blocks. Never decides when it runs.

use std::time::Duration;

use super::blocks::Blocks;
use super::metrics::{Finish, Metrics};
use super::prompt;

/// Where a sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the waiting queue, at this place.
    Waiting(i64),
    /// In the running batch.
    Running,
    /// All of its tokens exist; its handle does not know yet, or still looks.
    Ended,
}

/// One sequence: a prompt, and the answer that grows behind it.
#[derive(Debug)]
pub(super) struct Entry {
    /// Makes the blocks of its own answer unlike all others.
    pub(super) serial: u64,
    pub(super) place: Place,
    pub(super) prompt: u64,
    /// The tokens of the answer: those that there will be, and those that there are.
    pub(super) output: u64,
    pub(super) produced: u64,
    /// Why it will end.
    pub(super) finish: Finish,
    /// The tokens whose KV exists, and those that the step under way adds.
    pub(super) computed: u64,
    pub(super) scheduled: u64,
    /// Prompt tokens that the cache spared it; none before it was admitted.
    pub(super) cached: Option<u64>,
    pub(super) blocks: Vec<u32>,
    /// Hashes of the prompt's full blocks, and of those of the answer so far.
    pub(super) hashes: Vec<u64>,
    /// The number of its blocks that are known by their hash.
    known: usize,
    /// Tokens whose coming somebody waits for.
    pub(super) target: Option<u64>,
    pub(super) arrived: Duration,
    pub(super) admitted: Duration,
    /// When its latest token came, and the longest time between two of them.
    pub(super) latest: Duration,
    pub(super) pause: Duration,
}

impl Entry {
    /// A sequence that has just arrived.
    pub(super) fn new(serial: u64, prompt: u64, hashes: Vec<u64>) -> Entry {
        Entry {
            serial,
            place: Place::Waiting(0),
            prompt,
            output: 1,
            produced: 0,
            finish: Finish::Stop,
            computed: 0,
            scheduled: 0,
            cached: None,
            blocks: Vec::new(),
            hashes,
            known: 0,
            target: None,
            arrived: Duration::ZERO,
            admitted: Duration::ZERO,
            latest: Duration::ZERO,
            pause: Duration::ZERO,
        }
    }

    /// The tokens that there are; the last one of an answer has no KV yet.
    pub(super) fn tokens(&self) -> u64 {
        self.prompt + self.produced
    }

    /// Whether its next step is one token behind all that is computed.
    pub(super) fn decodes(&self) -> bool {
        self.produced > 0 && self.computed + 1 == self.tokens()
    }

    /// The hashes that an admission may look for: one token at least is left to compute.
    pub(super) fn findable(&self, block_size: u64) -> &[u64] {
        let most = (self.tokens() - 1) / block_size;
        &self.hashes[..self.hashes.len().min(most as usize)]
    }

    /// The blocks missing to so many tokens more.
    pub(super) fn missing(&self, more: u64, block_size: u64) -> usize {
        let needed = (self.computed + more).div_ceil(block_size) as usize;
        needed.saturating_sub(self.blocks.len())
    }

    /// Takes over the found beginning of a prompt.
    pub(super) fn share(&mut self, found: usize, blocks: &mut Blocks, block_size: u64) {
        for at in 0..found {
            match blocks.share(self.hashes[at]) {
                Some(id) => self.blocks.push(id),
                None => break,
            }
        }
        self.known = self.blocks.len();
        self.computed = self.known as u64 * block_size;
    }

    /// Takes the blocks for so many tokens more, which must be free.
    pub(super) fn grow(&mut self, more: u64, blocks: &mut Blocks, block_size: u64) {
        for _ in 0..self.missing(more, block_size) {
            self.blocks.extend(blocks.take());
        }
        self.scheduled = more;
    }

    /// Makes the blocks that the step under way fills known by their hashes.
    pub(super) fn remember(&mut self, blocks: &mut Blocks, block_size: u64) {
        let full = ((self.computed + self.scheduled) / block_size) as usize;
        while self.known < full {
            if self.known == self.hashes.len() {
                // The words of an answer are not known here: its blocks serve itself alone.
                let parent = self.hashes.last().copied().unwrap_or(0);
                self.hashes
                    .push(prompt::chain(parent, &self.serial.to_le_bytes()));
            }
            blocks.remember(self.blocks[self.known], self.hashes[self.known]);
            self.known += 1;
        }
    }

    /// Gives up all KV; what was computed must be found again or computed anew.
    pub(super) fn give_up(&mut self, blocks: &mut Blocks) {
        blocks.give_back(&mut self.blocks);
        self.computed = 0;
        self.scheduled = 0;
        self.known = 0;
    }

    /// Has its next token, and perhaps its last.
    pub(super) fn produce(&mut self, metrics: &mut Metrics, now: Duration, gaps: &mut Gaps) {
        self.produced += 1;
        metrics.generation_tokens += 1;
        let since_arrival = now.saturating_sub(self.arrived);
        if self.produced == 1 {
            metrics.prompt_tokens += self.prompt;
            metrics.first_token.observe(since_arrival, 1);
        } else {
            let gap = now.saturating_sub(self.latest);
            self.pause = self.pause.max(gap);
            gaps.add(gap, metrics);
        }
        self.latest = now;
        if self.produced == self.output {
            metrics.end(self.finish);
            metrics.whole.observe(since_arrival, 1);
            let queued = self.admitted.saturating_sub(self.arrived);
            metrics.queued.observe(queued, 1);
        }
    }
}

/// Times between tokens, gathered while they are equal, as nearly all of a step are.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    gap: Duration,
    times: u64,
}

impl Gaps {
    fn add(&mut self, gap: Duration, metrics: &mut Metrics) {
        if gap != self.gap {
            self.count(metrics);
            self.gap = gap;
        }
        self.times += 1;
    }

    /// Hands over what was gathered.
    pub(super) fn count(&mut self, metrics: &mut Metrics) {
        let times = std::mem::take(&mut self.times);
        metrics.between_tokens.observe(self.gap, times);
    }
}
