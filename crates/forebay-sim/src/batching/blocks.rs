//! The paged KV cache: blocks, who holds them, and what the free ones still hold.
//!
//! Owns the count of every block's holders, and the order in which free blocks are taken: the
//! one that has been free the longest first. Never knows a sequence.

use std::collections::HashMap;

/// The end of the list of free blocks.
const NONE: u32 = u32::MAX;

/// One block: its holders, the hash of what it holds, and its neighbours while it is free.
#[derive(Clone, Debug)]
struct Block {
    holders: u32,
    hash: Option<u64>,
    before: u32,
    after: u32,
}

/// All blocks of one engine.
#[derive(Debug)]
pub(super) struct Blocks {
    all: Vec<Block>,
    /// The next free block to be taken, and the one freed last.
    oldest: u32,
    newest: u32,
    free: usize,
    /// Blocks by the hash of what they hold and of all that came before.
    known: HashMap<u64, u32>,
}

impl Blocks {
    /// So many free blocks that hold nothing.
    pub(super) fn new(count: u32) -> Blocks {
        let block = Block {
            holders: 0,
            hash: None,
            before: NONE,
            after: NONE,
        };
        let mut blocks = Blocks {
            all: vec![block; count as usize],
            oldest: NONE,
            newest: NONE,
            free: 0,
            known: HashMap::new(),
        };
        for id in 0..count {
            blocks.link(id);
        }
        blocks
    }

    /// The blocks that nobody holds.
    pub(super) fn free(&self) -> usize {
        self.free
    }

    /// The share of blocks that somebody holds.
    pub(super) fn usage(&self) -> f64 {
        (self.all.len() - self.free) as f64 / self.all.len().max(1) as f64
    }

    /// How many of these hashes, from the first on, are known; and how many of their blocks
    /// nobody holds.
    pub(super) fn lookup(&self, hashes: &[u64]) -> (usize, usize) {
        let mut found = 0;
        let mut idle = 0;
        for hash in hashes {
            let Some(&id) = self.known.get(hash) else {
                break;
            };
            found += 1;
            idle += usize::from(self.all[id as usize].holders == 0);
        }
        (found, idle)
    }

    /// Holds the block of a known hash.
    pub(super) fn share(&mut self, hash: u64) -> Option<u32> {
        let id = *self.known.get(&hash)?;
        if self.all[id as usize].holders == 0 {
            self.unlink(id);
        }
        self.all[id as usize].holders += 1;
        Some(id)
    }

    /// Takes the block that has been free the longest; what it held is forgotten.
    pub(super) fn take(&mut self) -> Option<u32> {
        let id = self.oldest;
        if id == NONE {
            return None;
        }
        self.unlink(id);
        let block = &mut self.all[id as usize];
        block.holders = 1;
        if let Some(hash) = block.hash.take() {
            self.known.remove(&hash);
        }
        Some(id)
    }

    /// Makes a full block known by its hash, unless another one is.
    pub(super) fn remember(&mut self, id: u32, hash: u64) {
        if self.all[id as usize].hash.is_none() && !self.known.contains_key(&hash) {
            self.known.insert(hash, id);
            self.all[id as usize].hash = Some(hash);
        }
    }

    /// Gives up the blocks of a sequence, the last ones first: what others are most likely to
    /// share, the beginning, is taken last.
    pub(super) fn give_back(&mut self, held: &mut Vec<u32>) {
        while let Some(id) = held.pop() {
            let block = &mut self.all[id as usize];
            block.holders -= 1;
            if block.holders == 0 {
                self.link(id);
            }
        }
    }

    fn link(&mut self, id: u32) {
        let last = self.newest;
        let block = &mut self.all[id as usize];
        block.before = last;
        block.after = NONE;
        match self.all.get_mut(last as usize) {
            Some(last) => last.after = id,
            None => self.oldest = id,
        }
        self.newest = id;
        self.free += 1;
    }

    fn unlink(&mut self, id: u32) {
        let (before, after) = (self.all[id as usize].before, self.all[id as usize].after);
        match self.all.get_mut(before as usize) {
            Some(block) => block.after = after,
            None => self.oldest = after,
        }
        match self.all.get_mut(after as usize) {
            Some(block) => block.before = before,
            None => self.newest = before,
        }
        self.free -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(blocks: &mut Blocks, count: usize) -> Vec<u32> {
        (0..count).map(|_| blocks.take().unwrap()).collect()
    }

    #[test]
    fn free_blocks_are_taken_in_the_order_they_became_free() {
        let mut blocks = Blocks::new(3);
        let mut held = taken(&mut blocks, 3);
        assert_eq!(
            (held.clone(), blocks.take(), blocks.free()),
            (vec![0, 1, 2], None, 0)
        );
        assert_eq!(blocks.usage(), 1.0);
        blocks.give_back(&mut held);
        assert_eq!((blocks.free(), blocks.usage()), (3, 0.0));
        assert_eq!(taken(&mut blocks, 3), [2, 1, 0]);
    }

    #[test]
    fn a_freed_block_is_found_again_until_it_is_taken() {
        let mut blocks = Blocks::new(2);
        let mut held = taken(&mut blocks, 2);
        blocks.remember(held[0], 10);
        blocks.remember(held[1], 11);
        assert_eq!(blocks.lookup(&[10, 11, 12]), (2, 0));
        blocks.give_back(&mut held);
        assert_eq!(blocks.lookup(&[10, 11]), (2, 2));
        // The last block of the sequence goes first.
        assert_eq!(blocks.take(), Some(1));
        assert_eq!(blocks.lookup(&[10, 11]), (1, 1));
        assert_eq!(blocks.share(10), Some(0));
        assert_eq!((blocks.share(11), blocks.free()), (None, 0));
    }

    #[test]
    fn a_shared_block_is_free_when_its_last_holder_has_gone() {
        let mut blocks = Blocks::new(1);
        let mut first = taken(&mut blocks, 1);
        blocks.remember(0, 7);
        let mut second = vec![blocks.share(7).unwrap()];
        blocks.give_back(&mut first);
        assert_eq!(blocks.free(), 0);
        blocks.give_back(&mut second);
        assert_eq!(blocks.free(), 1);
    }

    #[test]
    fn one_hash_names_one_block() {
        let mut blocks = Blocks::new(2);
        let mut held = taken(&mut blocks, 2);
        blocks.remember(0, 7);
        blocks.remember(1, 7);
        blocks.give_back(&mut held);
        assert_eq!(blocks.take(), Some(1));
        assert_eq!(blocks.lookup(&[7]), (1, 1));
    }
}
