//! Letting attempts start: which item is next, and whether the limits allow it now.

use std::time::Duration;

use super::dispatcher::Dispatcher;
use super::flight::{Flight, Work};
use super::pack::Filling;
use super::start::Start;
use crate::journal::Attempt;
use crate::limit::{LimitedBy, Refusal};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind};
use crate::provider::{output_bound, text_of};

/// Input tokens that a provider may add to a request's own text: roles and separators.
const OVERHEAD_TOKENS: u64 = 64;

/// Tokens that mark the beginning and the end of a text to be embedded, where a model has some.
const SPECIAL_TOKENS: u64 = 8;

impl Dispatcher<'_> {
    /// Admits as many attempts as the limits allow now.
    pub(super) fn admit(&mut self, now: Duration) {
        self.refusal = None;
        self.queue.bound_for(self.limiter.limit());
        while !self.drain.is_stopping() && !self.output.is_full() {
            let is_ready = self.gather(now);
            let mut retry = self.queue.due_retry(now).is_some();
            let spends = self.queue.due_retry(now).is_some_and(|work| work.spends);
            if spends && let Err(until) = self.budget.take(now) {
                // Fresh items go first until the budget has grown.
                retry = false;
                if !is_ready || self.queue.first_fresh().is_none() {
                    let by = LimitedBy::Backoff;
                    self.refusal = Some(Refusal {
                        by,
                        until: Some(until),
                    });
                    return;
                }
            }
            let next = if retry {
                self.queue.due_retry(now)
            } else if is_ready {
                self.queue.first_fresh()
            } else {
                None
            };
            let Some(work) = next else { return };
            let estimate = self.estimator.estimate(&work.sketch());
            let dialect = work.request.dialect.unwrap_or(self.endpoint.dialect);
            let need = estimate.need(dialect.charges_cap(), work.worst_costs());
            let spends = retry && spends;
            match self.limiter.admit(now, &need) {
                Ok(permit) => {
                    let work = if retry {
                        self.queue.pop_retry()
                    } else {
                        self.filling = Filling::default();
                        self.queue.pop_fresh()
                    };
                    if let Some(work) = work {
                        let flight = Flight {
                            work,
                            permit,
                            estimate,
                        };
                        self.start(now, flight);
                    }
                }
                Err(refusal) => {
                    if spends {
                        self.budget.give_back();
                    }
                    self.refusal = Some(refusal);
                    return;
                }
            }
        }
    }

    pub(super) fn start(&mut self, now: Duration, mut flight: Flight) {
        let work = &mut flight.work;
        work.first_attempt.get_or_insert(now);
        let attempt = work.tries.attempts + 1;
        let journal = &mut self.output.journal;
        journal.sent(&work.attempt(attempt), work.worst_cost);
        for work in &work.pack {
            let along = Attempt {
                along: true,
                ..work.attempt(attempt)
            };
            journal.sent(&along, work.worst_cost);
        }
        self.summary.attempts += 1;
        let request = work.packed();
        let place = self.flights.put(flight);
        self.starts.push(Start { place, request });
    }

    /// The attempts that were admitted in this turn; they are recorded by now.
    pub(super) fn take_starts(&mut self) -> Vec<Start> {
        std::mem::take(&mut self.starts)
    }

    /// Gives the attempts of this turn up: they could not be recorded.
    pub(super) fn unstart(&mut self, now: Duration) {
        for start in std::mem::take(&mut self.starts) {
            if let Some(Flight { work, permit, .. }) = self.flights.take(start.place) {
                let failure = Failure::new(FailureKind::Cancelled, "not sent");
                self.limiter.failed(now, permit, &failure, None);
                self.leave_pending(work, &failure);
                self.summary.attempts -= 1;
            }
        }
    }

    /// The most that a request can cost, for the cap.
    ///
    /// A token has at least one byte, so the body's length bounds the input; the output is
    /// bounded by the cap on tokens, or by what the model can write at all.
    pub(super) fn worst_cost(&self, work: &Work) -> Option<Usd> {
        self.settings.max_cost?;
        let model = self.model?;
        let body = &work.request.body;
        // Vectors are not billed, and of a request for one only the text is.
        if self.settings.embed.is_some() {
            let text = text_of(body).map_or(body.len(), |text| text.len());
            let input = text as u64 + SPECIAL_TOKENS;
            return Some(model.price.worst_case(input, 0));
        }
        let input = body.len() as u64 + OVERHEAD_TOKENS;
        let dialect = work.request.dialect.unwrap_or(self.endpoint.dialect);
        let asked = self.settings.max_tokens.map(u64::from);
        // The body itself says most surely what it asks for.
        let bound = output_bound(dialect, body);
        let output = match bound.cap.or(work.cap).or(asked) {
            Some(tokens) => tokens,
            None => model.max_output_tokens?,
        };
        let output = output.saturating_mul(bound.choices);
        Some(model.price.worst_case(input, output))
    }
}
