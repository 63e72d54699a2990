//! Items of an embeddings run that travel in one request.
//!
//! Owns who travels together, and what becomes of each when the request ends. The first item of a
//! pack leads it: the others hang on it, wait with it and are sent with it, and leave it only to
//! end, or to travel in a half of their own. Plain runs have no packs, and nothing here costs
//! them anything.
//!
//! ```text
//! queue ─► gather ─► one request ─┬─► a vector for each: a row for each
//!             ▲                   ├─► a failure of the moment: all wait for the next attempt
//!             └── two halves ◄────┴─► a failure that may be one item's doing
//! ```

use std::time::Duration;

use bytes::Bytes;

use super::attempt::Trace;
use super::dispatcher::Dispatcher;
use super::flight::Work;
use crate::config::Packing;
use crate::event::Event;
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, Reply, Usage};
use crate::provider::{Encoded, InputOf, pack};

/// How long items wait for others to travel with while more are being read: a pack fills within a
/// few milliseconds from a file, and somebody who types waits no longer than they notice.
const FILLING: Duration = Duration::from_millis(50);
/// Due at the beginning of time: before every other retry.
const FIRST: Duration = Duration::ZERO;

/// A pack that waits for more items.
#[derive(Debug, Default)]
pub(super) struct Filling {
    until: Option<Duration>,
}

impl Filling {
    /// When the pack starts as it is.
    pub(super) fn until(&self) -> Option<Duration> {
        self.until
    }
}

impl Work {
    /// The items that travel together: this one and those that hang on it.
    pub(super) fn all(&self) -> impl Iterator<Item = &Work> {
        std::iter::once(self).chain(&self.pack)
    }

    /// Takes the items that hang on this one; what was tried for it was tried for them.
    pub(super) fn unpack(&mut self) -> Vec<Work> {
        let mut pack = std::mem::take(&mut self.pack);
        for work in &mut pack {
            work.tries = self.tries;
            work.first_attempt = self.first_attempt;
        }
        pack
    }

    /// The item's key, and how many travel with it.
    pub(super) fn ids(&self) -> String {
        match self.pack.len() {
            0 => self.id(),
            more => format!("{} and {more} more", self.id()),
        }
    }

    /// Takes the items that hang on this one to end them.
    fn unpack_to_end(&mut self) -> Vec<Work> {
        let mut pack = self.unpack();
        for work in &mut pack {
            work.along = true;
        }
        pack
    }

    /// What is sent: the item's own request, or one that asks for the whole pack.
    pub(super) fn packed(&self) -> Encoded {
        if self.pack.is_empty() {
            return self.request.clone();
        }
        let parts = self
            .all()
            .filter_map(|work| InputOf::find(&work.request.body));
        Encoded {
            body: Bytes::from(pack(parts)),
            ..self.request.clone()
        }
    }

    /// Input tokens of the whole pack by rule of thumb.
    pub(super) fn guesses(&self) -> f64 {
        self.guess + self.pack.iter().map(|work| work.guess).sum::<f64>()
    }

    /// The most that the whole pack can cost.
    pub(super) fn worst_costs(&self) -> Option<Usd> {
        let mut sum = self.worst_cost?;
        for work in &self.pack {
            sum += work.worst_cost?;
        }
        Some(sum)
    }
}

impl Dispatcher<'_> {
    /// Puts the next fresh items together, as many as may travel in one request; `false` when
    /// they wait for more.
    pub(super) fn gather(&mut self, now: Duration) -> bool {
        let Some(packing) = self.settings.embed else {
            return true;
        };
        let Some(mut lead) = self.queue.pop_fresh() else {
            return true;
        };
        let is_full = self.fill(&mut lead, &packing);
        self.queue.put_back(lead);
        if is_full || self.summary.input_ended || !self.wants_input() {
            self.filling.until = None;
            return true;
        }
        now >= *self.filling.until.get_or_insert(now + FILLING)
    }

    /// Hangs fresh items on the first one; `true` when the next one does not fit.
    fn fill(&mut self, lead: &mut Work, packing: &Packing) -> bool {
        let most = packing.max_inputs.get() - 1;
        if lead.pack.len() >= most {
            return true;
        }
        let body = lead.request.body.clone();
        let Some(first) = InputOf::find(&body).filter(InputOf::is_text) else {
            return true;
        };
        let mut guesses = lead.guesses();
        while let Some(next) = self.queue.first_fresh() {
            let fits = next.request.path == lead.request.path
                && self.estimator.input(guesses + next.guess) <= packing.max_tokens
                && InputOf::find(&next.request.body).is_some_and(|next| first.fits(&next));
            if !fits || lead.pack.len() >= most {
                return true;
            }
            guesses += next.guess;
            lead.pack.extend(self.queue.pop_fresh().map(|work| *work));
        }
        lead.pack.len() >= most
    }

    /// Ends each item of a pack with its own vector.
    pub(super) fn finish_each(
        &mut self,
        mut lead: Box<Work>,
        reply: Reply,
        vectors: Vec<Vec<f32>>,
        trace: &Trace,
    ) {
        let shares = shares(reply.usage.as_ref(), lead.all().map(|work| work.guess));
        let rest = lead.unpack_to_end();
        let model = reply.model.clone();
        let finish_reason = reply.finish_reason.clone();
        let embeddings = std::iter::once(reply.embedding).chain(vectors.into_iter().map(Some));
        let works = std::iter::once(lead).chain(rest.into_iter().map(Box::new));
        for ((work, embedding), usage) in works.zip(embeddings).zip(shares) {
            let reply = Reply {
                text: None,
                tool_calls: None,
                parsed: None,
                embedding,
                finish_reason: finish_reason.clone(),
                model: model.clone(),
                usage,
            };
            self.finish(work, Ok(reply), trace.without_raw());
        }
    }

    /// Ends each item of a pack with the failure of their request.
    pub(super) fn fail_each(&mut self, lead: Box<Work>, failure: &Failure, trace: &Trace) {
        for (work, failure) in parts(lead, failure) {
            self.finish(work, Err(failure), trace.clone());
        }
    }

    /// Sends a pack again in two halves, so that an item that no answer can be had for is alone
    /// in the end.
    ///
    /// A half is due at once and spends nothing: it is no retry of what failed, and there are at
    /// most twice as many halves as items. The smallest go first, so that a run of which every
    /// item is rejected knows soon.
    pub(super) fn split(&mut self, mut lead: Box<Work>, failure: &Failure, billed: bool) {
        if self.drain.is_stopping() {
            return self.leave_pending(lead, failure);
        }
        self.record_split(&mut lead, failure, billed);
        (self.observer)(&Event::AttemptFailedWillRetry {
            id: &lead.id(),
            failure,
            after: Duration::ZERO,
        });
        let mut rest = lead.unpack();
        let mut second = rest.split_off(rest.len() / 2);
        lead.pack = rest;
        let mut other = Box::new(second.remove(0));
        other.pack = second;
        for mut half in [lead, other] {
            half.spends = false;
            let due = FIRST + Duration::from_nanos(half.pack.len() as u64);
            self.queue.push_retry(due, half);
        }
    }
}

/// The items of a pack, each with its part of the failure of their request.
pub(super) fn parts(mut lead: Box<Work>, failure: &Failure) -> Vec<(Box<Work>, Failure)> {
    let shares = shares(failure.usage.as_deref(), lead.all().map(|work| work.guess));
    let rest = lead.unpack_to_end();
    let works = std::iter::once(lead).chain(rest.into_iter().map(Box::new));
    let failures = shares.into_iter().map(|usage| Failure {
        usage: usage.map(Box::new),
        ..failure.clone()
    });
    works.zip(failures).collect()
}

/// Each item's part of what all of them were billed for, by their guesses.
pub(super) fn shares(
    usage: Option<&Usage>,
    guesses: impl Iterator<Item = f64>,
) -> Vec<Option<Usage>> {
    let guesses: Vec<f64> = guesses.collect();
    match usage {
        Some(usage) => share(usage, &guesses).into_iter().map(Some).collect(),
        None => vec![None; guesses.len()],
    }
}

/// Whether a request may have failed for one of its items, so that the others succeed without it.
///
/// A server that answers a text with an error of its own, or with silence, counts: some do.
pub(super) fn may_be_one_items(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::BadRequest
        | FailureKind::ContextLength
        | FailureKind::ContentFiltered
        | FailureKind::Malformed
        | FailureKind::ServerError
        | FailureKind::Truncated => true,
        FailureKind::Timeout { phase } => phase.after_send(),
        FailureKind::RateLimited
        | FailureKind::QuotaExhausted
        | FailureKind::Overloaded
        | FailureKind::Connect
        | FailureKind::Length
        | FailureKind::SchemaMismatch
        | FailureKind::Auth
        | FailureKind::NotFound
        | FailureKind::InvalidItem
        | FailureKind::Cancelled => false,
    }
}

/// Divides tokens among items after their guesses, so that the parts add up to the whole.
fn share(whole: &Usage, guesses: &[f64]) -> Vec<Usage> {
    let mut parts = vec![Usage::default(); guesses.len()];
    let columns: [fn(&mut Usage) -> &mut u64; 6] = [
        |usage| &mut usage.input_tokens,
        |usage| &mut usage.output_tokens,
        |usage| &mut usage.cached_input_tokens,
        |usage| &mut usage.cache_write_tokens,
        |usage| &mut usage.cache_write_1h_tokens,
        |usage| &mut usage.reasoning_tokens,
    ];
    let mut whole = *whole;
    let all: f64 = guesses.iter().sum();
    for column in columns {
        let tokens = *column(&mut whole);
        let (mut upto, mut given) = (0.0, 0);
        for (part, guess) in parts.iter_mut().zip(guesses) {
            upto += guess;
            // Each gets what brings the sum so far to its share, so that nothing is lost to
            // rounding.
            let due = if all > 0.0 {
                upto / all * tokens as f64
            } else {
                0.0
            };
            let due = (due.round() as u64).clamp(given, tokens);
            *column(part) = due - given;
            given = due;
        }
        if let Some(last) = parts.last_mut() {
            *column(last) += tokens - given;
        }
    }
    parts
}

/// The most ends handled in one turn: as many rows as otherwise, or one request's.
pub(super) fn ends_per_turn(most: usize, packing: Option<&Packing>) -> usize {
    packing.map_or(most, |packing| (most / packing.max_inputs).max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(input_tokens: u64) -> Usage {
        Usage {
            input_tokens,
            ..Usage::default()
        }
    }

    #[test]
    fn tokens_are_divided_after_the_guesses() {
        let parts = |whole, guesses: &[f64]| -> Vec<u64> {
            let parts = share(&tokens(whole), guesses);
            parts.iter().map(|part| part.input_tokens).collect()
        };
        assert_eq!(parts(10, &[1.0, 4.0]), [2, 8]);
        assert_eq!(parts(10, &[1.0, 1.0, 1.0]), [3, 4, 3]);
        assert_eq!(parts(1, &[1.0, 1.0]), [1, 0]);
        assert_eq!(parts(7, &[0.0, 0.0]), [0, 7]);
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(
            whole in 0u64..1_000_000_000_000,
            guesses in prop::collection::vec(0.0f64..10_000.0, 1..200),
        ) {
            let parts = share(&tokens(whole), &guesses);
            prop_assert_eq!(parts.len(), guesses.len());
            let sum: u64 = parts.iter().map(|part| part.input_tokens).sum();
            prop_assert_eq!(sum, whole);
        }
    }
}
