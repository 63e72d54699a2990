//! Ending items: their rows, those that share an answer, and those that stay pending.

use super::attempt::Trace;
use super::dispatcher::Dispatcher;
use super::flight::Work;
use super::pack::shares;
use crate::event::{Event, Finished, StopReason};
use crate::journal::{Attempt, Bill, Done};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, FinishReason, Outcome, Reply, Usage};
use crate::row::RowBody;

impl Dispatcher<'_> {
    /// Records failures that turned out to be their items' own.
    pub(super) fn release_set_aside(&mut self) {
        for (work, failure, trace) in std::mem::take(&mut self.set_aside) {
            self.finish(work, Err(failure), trace);
        }
    }

    /// Ends an item, those that share its answer, and those that travelled with it when it
    /// failed.
    pub(super) fn finish(&mut self, work: Box<Work>, outcome: Outcome, trace: Trace) {
        if let (Err(failure), false) = (&outcome, work.pack.is_empty()) {
            return self.fail_each(work, failure, &trace);
        }
        for follower in self.take_followers(&work) {
            self.summary.shared += 1;
            let shared = match &outcome {
                // The tokens are on the bill of the one that was sent.
                Ok(reply) => Ok(Reply {
                    usage: None,
                    ..reply.clone()
                }),
                Err(failure) => Err(Failure {
                    usage: None,
                    ..failure.clone()
                }),
            };
            let no_attempt = Trace {
                duration: None,
                first_chunk: None,
                ..trace.clone()
            };
            self.record(follower, shared, no_attempt);
        }
        self.record(*work, outcome, trace);
    }

    pub(super) fn take_followers(&mut self, work: &Work) -> Vec<Work> {
        if !self.settings.dedup {
            return Vec::new();
        }
        let followers = self.shared.remove(&work.key).unwrap_or_default();
        self.sharing -= followers.len();
        followers
    }

    /// Writes an item's row. An item for which no attempt was made costs nothing.
    ///
    /// The row tells what all of its attempts were billed for; the record of its end tells the
    /// last one's bill, as the others have records of their own.
    fn record(&mut self, work: Work, mut outcome: Outcome, trace: Trace) {
        let last = usage_of(&outcome);
        let sent = work.tries.attempts > 0;
        let maybe = sent && matches!(&outcome, Err(failure) if failure.may_have_been_billed());
        let is_free = matches!(&outcome, Err(failure) if !failure.kind.is_answer());
        // An answer without tokens may cost anything: the cap must not trust silence.
        let is_untold = sent && last.is_none() && is_answer(&outcome);
        let last_cost = if !sent || (is_free && last.is_none() && !maybe) {
            Some(Usd::ZERO)
        } else {
            self.cost_of(last.as_ref())
        };
        if let Ok(reply) = &outcome {
            self.keep_answer(&work, (reply, &trace), last_cost);
        }
        let usage = work.spent.usage_with(last);
        let cost = work.spent.cost_with(last_cost);
        match &mut outcome {
            Ok(reply) => reply.usage = usage,
            Err(failure) => failure.usage = usage.map(Box::new),
        }
        let keeps_raw = self.settings.raw || is_only_in_the_body(&outcome);
        let raw = trace.raw_answer().filter(|_| keeps_raw);
        let duration = trace.duration;
        let failure = outcome.as_ref().err();
        let attempts = work.tries.attempts;
        self.body.clear();
        RowBody {
            fields: &work.fields,
            outcome: &outcome,
            cost,
            duration,
            first_chunk: trace.first_chunk,
            attempts,
            recalled: work.is_recalled,
            raw,
        }
        .write(&mut self.body);
        let recorded = self.output.journal.done(&Done {
            key: work.key,
            index: work.index,
            custom_id: work.custom_id.as_deref(),
            asked: work.body_key,
            fields: work.fields_hash,
            failure: failure.map(|failure| failure.kind),
            bill: Bill {
                usage: last,
                cost: last_cost,
                maybe,
                worst: work.worst_cost.filter(|_| maybe || is_untold),
            },
            along: work.along,
            was: work.was.as_deref(),
            recalled: work.is_recalled,
            body: &self.body,
        });
        self.output.row(&work, outcome.is_ok(), &self.body);
        self.count(&outcome, last.as_ref(), last_cost);
        (self.observer)(&Event::RowFinished(&Finished {
            id: &work.id(),
            failure,
            cut: matches!(&outcome, Ok(reply) if reply.finish_reason == FinishReason::Length),
            usage,
            cost,
            duration,
            attempts,
        }));
        if let Err(error) = recorded {
            let message = format!("cannot note where a row is: {error}");
            self.stop(StopReason::Io { message }, None);
        }
    }

    fn count(&mut self, outcome: &Outcome, usage: Option<&Usage>, cost: Option<Usd>) {
        match outcome {
            Ok(_) => self.summary.ok += 1,
            Err(_) => self.summary.failed += 1,
        }
        self.add_bill(usage, cost);
    }

    fn add_bill(&mut self, usage: Option<&Usage>, cost: Option<Usd>) {
        if let Some(usage) = usage {
            self.summary.usage.add(usage);
        }
        match cost {
            Some(cost) => self.summary.cost += cost,
            None => self.summary.cost_unknown += 1,
        }
    }

    pub(super) fn cost_of(&self, usage: Option<&Usage>) -> Option<Usd> {
        Some(self.model?.price.cost(usage?))
    }

    /// Records an attempt that is not the item's last, nor that of those that travelled with it;
    /// what it was billed for counts.
    pub(super) fn record_retry(&mut self, work: &mut Work, failure: &Failure, maybe: bool) {
        self.record_failed(work, (failure, maybe), false);
    }

    /// Records an attempt of a pack that is sent again in parts.
    pub(super) fn record_split(&mut self, work: &mut Work, failure: &Failure, maybe: bool) {
        self.record_failed(work, (failure, maybe), true);
    }

    fn record_failed(&mut self, lead: &mut Work, (failure, maybe): (&Failure, bool), split: bool) {
        let n = lead.tries.attempts;
        let usage = failure.usage.as_deref().copied();
        let mut pack = std::mem::take(&mut lead.pack);
        let attempt = Attempt {
            split,
            ..lead.attempt(n)
        };
        if pack.is_empty() {
            return self.record_part(lead, &attempt, (failure.kind, usage, maybe));
        }
        let guesses = std::iter::once(lead.guess).chain(pack.iter().map(|work| work.guess));
        let mut shares = shares(usage.as_ref(), guesses).into_iter();
        let mut next = || (failure.kind, shares.next().flatten(), maybe);
        self.record_part(lead, &attempt, next());
        for work in &mut pack {
            let attempt = Attempt {
                split,
                along: true,
                ..work.attempt(n)
            };
            self.record_part(work, &attempt, next());
        }
        lead.pack = pack;
    }

    fn record_part(
        &mut self,
        work: &mut Work,
        attempt: &Attempt,
        (kind, usage, maybe): (FailureKind, Option<Usage>, bool),
    ) {
        let cost = self.cost_of(usage.as_ref());
        if usage.is_some() || kind.is_answer() {
            self.add_bill(usage.as_ref(), cost);
            work.spent.add(usage.as_ref(), cost);
        }
        let bill = Bill {
            usage,
            cost,
            maybe,
            worst: work
                .worst_cost
                .filter(|_| maybe || (usage.is_none() && kind.is_answer())),
        };
        self.output.journal.retry(attempt, kind, &bill);
    }

    /// Leaves an item without outcome for a later session.
    pub(super) fn leave_pending(&mut self, mut work: Box<Work>, failure: &Failure) {
        self.summary.pending += work.all().count() as u64;
        if work.tries.attempts > 0 || failure.kind == FailureKind::Cancelled {
            self.record_retry(&mut work, failure, failure.may_have_been_billed());
        }
        for work in work.all() {
            self.forget_followers(work);
        }
    }

    /// Leaves the items that share an answer pending with the one they wait for.
    pub(super) fn forget_followers(&mut self, work: &Work) {
        let followers = self.take_followers(work);
        self.summary.pending += followers.len() as u64;
    }
}

/// Whether an answer is none that a row's members can hold, such as the vectors of a list of texts
/// in one whole request.
fn is_only_in_the_body(outcome: &Outcome) -> bool {
    matches!(outcome, Ok(reply) if reply.text.is_none()
        && reply.tool_calls.is_none()
        && reply.embedding.is_none())
}

fn is_answer(outcome: &Outcome) -> bool {
    match outcome {
        Ok(_) => true,
        Err(failure) => failure.kind.is_answer(),
    }
}

fn usage_of(outcome: &Outcome) -> Option<Usage> {
    match outcome {
        Ok(reply) => reply.usage,
        Err(failure) => failure.usage.as_deref().copied(),
    }
}
