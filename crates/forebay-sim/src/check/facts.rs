//! What is remembered of the evidence, per request and per item.
//!
//! Owns the tables that grow with the run, and keeps them to small numbers. Never keeps a line.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Keys are hashes already; their order must be the same each time, so nothing is random.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        // The multiplier of FxHash; the table looks at the upper bits, indexes differ in the lower.
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_u128(&mut self, n: u128) {
        self.write_u64(n as u64);
    }
}

/// A table whose order depends on nothing but its content.
pub(super) type Table<K, V> = HashMap<K, V, BuildHasherDefault<AsIs>>;

/// Everything about one request body, which several items may share.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyFacts {
    /// Requests in the log.
    pub(super) requests: u32,
    /// Answers with a 2xx status that were fully sent.
    pub(super) answers: u32,
    /// Raw bytes that may have been an answer.
    pub(super) unknown: u32,
    /// Answers with status 429.
    pub(super) refused: u32,
    /// The line of the log's last request.
    pub(super) log_line: u32,
    /// Output tokens of the answers.
    pub(super) answered_tokens: u64,
    /// Whether the log leaves the tokens of an answer open.
    pub(super) tokens_untold: bool,

    /// Attempts in the journal, of the sessions that the log covers.
    pub(super) sent: u32,
    /// Items with an ok row of their own, of those sessions.
    pub(super) ok_sent: u32,
    /// Items with an ok row that shares another's answer, of those sessions.
    pub(super) ok_shared: u32,
    /// Answers that would not do, of those sessions: they were asked for again or failed their
    /// items.
    pub(super) wanting: u32,
    /// Output tokens of the ok rows and of the answers that would not do.
    pub(super) row_tokens: u64,
    /// Whether one of them does not tell its tokens.
    pub(super) tokens_missing: bool,
    /// The session that the numbers above were last counted in.
    pub(super) counted_in: u32,
    /// The line of the journal's last record of it.
    pub(super) journal_line: u32,

    /// Items that were sent in `session`.
    pub(super) items: u32,
    /// Attempts that count against the maximum, in `session`.
    pub(super) charged: u32,
    /// The last session in which it was sent.
    pub(super) session: u32,

    /// Rows that items with this request need for `session` to be right: those that were there
    /// before it, and one for each item that it sent.
    pub(super) needed: u32,

    /// Rows in the journal that no later one replaced.
    pub(super) live: u32,
    /// Those of them that are failed ones.
    pub(super) failed: u32,
    /// Items sent again in `session` in place of these.
    pub(super) retried: u32,
    /// Rows in the results.
    pub(super) rows: u32,
}

impl KeyFacts {
    /// Adds the output tokens of an answer.
    pub(super) fn tokens(&mut self, usage: Option<[u64; 4]>) {
        match usage {
            Some([_, output, _, _]) => self.row_tokens += output,
            None => self.tokens_missing = true,
        }
    }
}

/// What the attempts of an item before its last were billed for, in one session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Earlier {
    /// Tokens: input, output, cached input, reasoning.
    pub(super) usage: Option<[u64; 4]>,
    /// Pico-dollars.
    pub(super) cost: i64,
    /// Whether the cost of one of them is not known.
    pub(super) unknown: bool,
    /// Whether one of them was an answer that would not do.
    pub(super) wanting: bool,
}

impl Earlier {
    /// Adds an attempt.
    pub(super) fn add(&mut self, usage: Option<[u64; 4]>, cost: Option<i64>, wanting: bool) {
        self.usage = self.usage_with(usage);
        self.cost = self.cost.saturating_add(cost.unwrap_or_default());
        self.unknown |= cost.is_none();
        self.wanting |= wanting;
    }

    /// These tokens and those of the last attempt.
    pub(super) fn usage_with(&self, last: Option<[u64; 4]>) -> Option<[u64; 4]> {
        let (Some(sum), Some(last)) = (self.usage, last) else {
            return self.usage.or(last);
        };
        let mut sum = sum;
        for (sum, last) in sum.iter_mut().zip(last) {
            *sum = sum.saturating_add(last);
        }
        Some(sum)
    }
}

/// What the journal said last about an item's place in the input.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ItemFacts {
    /// The lower half of its key.
    pub(super) key: u64,
    /// The session that last sent it.
    pub(super) session: u32,
    /// Its last attempt in that session.
    pub(super) n: u32,
    /// The session that recorded its row; 0 if none did.
    pub(super) done_in: u32,
    /// Whether that row is ok.
    pub(super) done_ok: bool,
}

/// A row that the journal has.
#[derive(Clone, Copy, Debug)]
pub(super) struct DoneFacts {
    pub(super) key: u128,
    /// How many such rows the results may hold.
    pub(super) left: u32,
    /// Whether more than one record has this content.
    pub(super) several: bool,
    pub(super) index: u64,
    /// The hash of its `custom_id`.
    pub(super) id: u64,
    pub(super) line: u32,
}

/// The tables that all evidence is put into.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// By the hash of the request's body, as the log has it.
    pub(super) keys: Table<u128, KeyFacts>,
    /// By index.
    pub(super) items: Table<u64, ItemFacts>,
    /// By index: items of this session that were tried again after an attempt that was billed.
    pub(super) earlier: Table<u64, Earlier>,
    /// By the hash of the row's content.
    pub(super) done: Table<u64, DoneFacts>,
}

/// A key from its hexadecimal digits.
pub(super) fn key_of(digits: &str) -> Option<u128> {
    (digits.len() == 32)
        .then(|| u128::from_str_radix(digits, 16).ok())
        .flatten()
}
