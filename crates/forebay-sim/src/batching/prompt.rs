//! A prompt as the engine sees it: its length, and hashes by which its blocks are found again.
//!
//! Owns the chain of hashes. Never keeps the text.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The characters of a token: the estimate that the whole simulator counts by.
const CHARS_PER_TOKEN: usize = 4;

/// A prompt: its tokens, and the text that says which prompts begin alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prompt<'a> {
    /// The tokens that are counted and paid for; at least one.
    pub(crate) tokens: u64,
    /// The text, from its beginning.
    pub(crate) text: &'a str,
}

impl Prompt<'_> {
    /// One hash for each full block; each stands for its block and all before it.
    pub(super) fn hashes(&self, block_size: u64) -> Vec<u64> {
        let blocks = self.tokens / block_size;
        let step = (block_size as usize).saturating_mul(CHARS_PER_TOKEN);
        let mut rest = self.text;
        let mut parent = 0;
        let mut hashes = Vec::with_capacity(blocks.min(1 << 16) as usize);
        for _ in 0..blocks {
            let (block, after) = split(rest, step);
            parent = chain(parent, block.as_bytes());
            hashes.push(parent);
            rest = after;
        }
        hashes
    }
}

/// The hash of a block that follows another one.
pub(super) fn chain(parent: u64, block: &[u8]) -> u64 {
    xxh3_64_with_seed(block, parent)
}

/// Splits after so many characters.
fn split(text: &str, chars: usize) -> (&str, &str) {
    match text.char_indices().nth(chars) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(text: &str) -> Vec<u64> {
        let tokens = text.chars().count().div_ceil(4) as u64;
        Prompt { tokens, text }.hashes(2)
    }

    #[test]
    fn prompts_share_the_hashes_of_what_they_begin_with() {
        let long = hashes("abcdefgh12345678ABCDEFGH");
        assert_eq!(long.len(), 3);
        assert_eq!(hashes("abcdefgh12345678ABC"), long[..2]);
        assert_eq!(hashes("abcdefgh1234"), long[..1]);
        let other = hashes("abcdefgh1234567XABCDEFGH");
        assert_eq!((other[0], other[1] == long[1]), (long[0], false));
        // The same block after another one is another block.
        assert_ne!(other[2], long[2]);
        assert_eq!(hashes("ääääääää1"), hashes("ääääääää2"));
        assert_ne!(hashes("ääääääää"), hashes("äääääääo"));
    }

    #[test]
    fn tokens_beyond_the_text_are_counted_all_the_same() {
        let prompt = Prompt {
            tokens: 9,
            text: "ab",
        };
        assert_eq!(prompt.hashes(2).len(), 4);
    }
}
