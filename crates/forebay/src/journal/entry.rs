//! What is told to a journal: finished rows, bills, items whose rows are kept.

use super::record::{Key, Line};
use crate::money::Usd;
use crate::outcome::{FailureKind, Usage};

/// An attempt of an item.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// The key of the item's row.
    pub key: Key,
    /// The item's index.
    pub index: u64,
    /// Which attempt of the item, from 1.
    pub n: u32,
    /// The key of what is really sent, when it is not the item's own request.
    pub body: Option<Key>,
    /// Whether the item travels in the request of the one recorded before it.
    pub along: bool,
    /// Whether the items that travelled together are sent again in parts: the attempt counts
    /// against none of them.
    pub split: bool,
}

impl Attempt {
    pub(super) fn write<'a>(&self, line: Line<'a>) -> Line<'a> {
        let mut line = line
            .key(self.key)
            .asked(self.body)
            .number("i", self.index)
            .number("n", self.n.into());
        for (name, is_so) in [("along", self.along), ("split", self.split)] {
            if is_so {
                line = line.flag(name, true);
            }
        }
        line
    }
}

/// A finished row, to be recorded.
#[derive(Debug)]
pub struct Done<'a> {
    /// The row's key.
    pub key: Key,
    /// The item's index.
    pub index: u64,
    /// The item's own key.
    pub custom_id: Option<&'a str>,
    /// The key of what was asked last, when it is not the item's own request.
    pub asked: Option<Key>,
    /// Hash of the input fields.
    pub fields: u32,
    /// The failure's kind, if the item failed.
    pub failure: Option<FailureKind>,
    /// What the last attempt is on the bill for.
    pub bill: Bill,
    /// The kind of the failure that this row replaces.
    pub was: Option<&'a str>,
    /// Whether the answer is one from earlier, for which nothing was sent.
    pub recalled: bool,
    /// Whether the item travelled in another one's request.
    pub along: bool,
    /// The row's body.
    pub body: &'a [u8],
}

/// What an attempt is on the bill for, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bill {
    /// Tokens that were billed.
    pub usage: Option<Usage>,
    /// What they cost.
    pub cost: Option<Usd>,
    /// Whether the attempt may have been billed without an answer.
    pub maybe: bool,
    /// The most that the attempt can have cost, when the run has a cap and what it did cost was
    /// not told.
    pub worst: Option<Usd>,
}

impl Bill {
    pub(super) fn write<'a>(&self, mut line: Line<'a>) -> Line<'a> {
        if let Some(usage) = &self.usage {
            let Usage {
                input_tokens,
                output_tokens,
                cached_input_tokens,
                reasoning_tokens,
                ..
            } = usage;
            let tokens = [
                *input_tokens,
                *output_tokens,
                *cached_input_tokens,
                *reasoning_tokens,
            ];
            line = line.numbers("u", &tokens);
            if let Some(cost) = self.cost {
                line = picos(line, "c", cost);
            }
        }
        if self.maybe {
            line = line.flag("billed", true);
        }
        if let (None, Some(worst)) = (&self.usage, self.worst) {
            line = picos(line, "w", worst);
        }
        line
    }
}

/// Adds an amount of money.
pub(super) fn picos<'a>(line: Line<'a>, name: &str, cost: Usd) -> Line<'a> {
    match u64::try_from(cost.picos()) {
        Ok(picos) => line.number(name, picos),
        Err(_) => line.plain(name, cost.picos()),
    }
}

/// The item that an earlier row is kept for.
#[derive(Debug, Clone, Copy)]
pub struct KeptItem<'a> {
    /// The item's index now.
    pub index: u64,
    /// The item's own key.
    pub custom_id: Option<&'a str>,
    /// Its input fields as JSON members.
    pub fields: &'a str,
    /// Hash of its input fields.
    pub fields_hash: u32,
}
