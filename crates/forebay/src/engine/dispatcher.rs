//! What the engine knows between two polls: queue, limiter, flights, outcomes.
//!
//! Synchronous throughout: every method is told the time and returns at once.

use std::collections::HashMap;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;

use super::attempt::{End, Start};
use super::control::Command;
use super::drain::Drain;
use super::feed::{Chunk, Prepared};
use super::flight::{Flight, Flights, Place, Work};
use super::output::Output;
use super::stats::{Snapshot, Stats};
use crate::config::EngineSettings;
use crate::event::{Event, Finished, InFlight, StopReason, Summary};
use crate::journal::{Done, KeptItem, Key};
use crate::limit::{Estimator, LimitedBy, Limiter, Need, Refusal};
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, FinishReason, Outcome, Reply, Signal, Usage};
use crate::price::ModelInfo;
use crate::queue::Queue;
use crate::retry::{self, Budget, Decision, EarlyStop, Verdict};
use crate::row::RowBody;

/// Input tokens that a provider may add to a request's own text: roles and separators.
const OVERHEAD_TOKENS: u64 = 64;

/// The engine's state.
pub(super) struct Dispatcher<'a> {
    settings: &'a EngineSettings,
    model: Option<&'a ModelInfo>,
    pub(super) output: Output<'a>,
    observer: &'a mut (dyn FnMut(&Event<'_>) + Send),
    stats: &'a Stats,
    pub(super) limiter: Limiter,
    estimator: Estimator,
    pub(super) queue: Queue<Box<Work>>,
    pub(super) flights: Flights,
    budget: Budget,
    pub(super) early_stop: EarlyStop,
    /// Failures that may turn out to be everyone's.
    pub(super) set_aside: Vec<(Box<Work>, Failure)>,
    /// With dedup: requests in flight or waiting, and the items that share their answers.
    shared: HashMap<Key, Vec<Work>>,
    sharing: usize,
    starts: Vec<Start>,
    pub(super) drain: Drain,
    rng: fastrand::Rng,
    body: Vec<u8>,
    pub(super) summary: Summary,
    failed_attempts: HashMap<FailureKind, u64>,
    limited: HashMap<LimitedBy, Duration>,
    limited_by: Option<LimitedBy>,
    last_turn: Duration,
    pub(super) refusal: Option<Refusal>,
    was_down: Option<Duration>,
}

impl<'a> Dispatcher<'a> {
    pub(super) fn new(
        settings: &'a EngineSettings,
        model: Option<&'a ModelInfo>,
        output: Output<'a>,
        observer: &'a mut (dyn FnMut(&Event<'_>) + Send),
        stats: &'a Stats,
    ) -> Dispatcher<'a> {
        let mut limiter = Limiter::new(settings);
        let history = output.journal.history();
        limiter.add_earlier_cost(history.total().cost);
        limiter.add_earlier_requests(history.requests_of_a_day);
        Dispatcher {
            settings,
            model,
            output,
            observer,
            stats,
            queue: Queue::new(limiter.limit()),
            limiter,
            estimator: Estimator::new(settings.max_tokens),
            flights: Flights::default(),
            budget: Budget::default(),
            early_stop: EarlyStop::default(),
            set_aside: Vec::new(),
            shared: HashMap::new(),
            sharing: 0,
            starts: Vec::new(),
            drain: Drain::default(),
            rng: fastrand::Rng::with_seed(settings.seed),
            body: Vec::new(),
            summary: Summary::default(),
            failed_attempts: HashMap::new(),
            limited: HashMap::new(),
            limited_by: None,
            last_turn: Duration::ZERO,
            refusal: None,
            was_down: None,
        }
    }

    /// Whether another chunk of input may be taken.
    pub(super) fn wants_input(&self) -> bool {
        !self.summary.input_ended
            && !self.drain.is_stopping()
            && self.queue.wants_fresh()
            && self.sharing < self.limiter.limit().max(64)
            && !self.output.is_full()
    }

    /// Takes a chunk of input, or its end.
    pub(super) fn on_input(&mut self, now: Duration, chunk: Option<Chunk>) {
        match chunk {
            None => self.summary.input_ended = true,
            Some(Err(error)) => {
                let message = error.to_string();
                self.stop(now, StopReason::Io { message }, None);
            }
            Some(Ok(items)) => {
                for item in items {
                    self.accept(now, item);
                }
            }
        }
    }

    fn accept(&mut self, now: Duration, mut item: Prepared) {
        self.summary.items += 1;
        if let Some(message) = self.find_past(&item) {
            if let Err(message) = message {
                self.summary.pending += 1;
                self.stop(now, StopReason::Io { message }, None);
            }
            return;
        }
        match std::mem::replace(&mut item.body, Ok(Bytes::new())) {
            Err(failure) => {
                let work = Work::new(item, Bytes::new());
                self.finish(now, work, Err(failure), None);
            }
            Ok(body) => {
                let mut work = Work::new(item, body);
                work.was = match self.output.journal.take_failed(work.key, work.fields_hash) {
                    Ok(was) => was,
                    Err(error) => {
                        self.summary.pending += 1;
                        let message = error.to_string();
                        return self.stop(now, StopReason::Io { message }, None);
                    }
                };
                work.worst_cost = self.worst_cost(&work.body);
                if self.settings.dedup {
                    if let Some(others) = self.shared.get_mut(&work.key) {
                        self.sharing += 1;
                        others.push(*work);
                        return;
                    }
                    self.shared.insert(work.key, Vec::new());
                }
                self.queue.push_fresh(work);
            }
        }
    }

    /// Keeps the row of an earlier session, if there is one for this item.
    fn find_past(&mut self, item: &Prepared) -> Option<Result<(), String>> {
        let journal = &mut *self.output.journal;
        let entry = match journal.take(item.key, item.fields_hash) {
            Ok(entry) => entry?,
            Err(error) => return Some(Err(format!("cannot look into the journal: {error}"))),
        };
        let kept = KeptItem {
            index: item.index,
            custom_id: item.custom_id.as_deref(),
            fields: &item.fields,
            fields_hash: item.fields_hash,
        };
        if let Err(error) = journal.keep(entry, &kept) {
            return Some(Err(format!("cannot keep a row of the journal: {error}")));
        }
        if entry.ok {
            self.summary.kept.0 += 1;
        } else {
            self.summary.kept.1 += 1;
        }
        (self.observer)(&Event::RowKept { ok: entry.ok });
        Some(Ok(()))
    }

    /// The most that a request can cost, for the cap.
    ///
    /// A token has at least one byte, so the body's length bounds the input; the output is
    /// bounded by the cap on tokens, or by what the model can write at all.
    fn worst_cost(&self, body: &Bytes) -> Option<Usd> {
        self.settings.max_cost?;
        let model = self.model?;
        let input = body.len() as u64 + OVERHEAD_TOKENS;
        let output = match self.settings.max_tokens {
            Some(tokens) => u64::from(tokens),
            None => model.max_output_tokens?,
        };
        Some(model.price.worst_case(input, output))
    }

    /// Admits as many attempts as the limits allow now.
    pub(super) fn admit(&mut self, now: Duration) {
        self.refusal = None;
        while !self.drain.is_stopping() && !self.output.is_full() {
            let mut retry = self.queue.due_retry(now).is_some();
            let spends = self.queue.due_retry(now).is_some_and(|work| work.spends);
            if spends && let Err(until) = self.budget.take(now) {
                // Fresh items go first until the budget has grown.
                retry = false;
                if self.queue.first_fresh().is_none() {
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
            } else {
                self.queue.first_fresh()
            };
            let Some(work) = next else { return };
            let need = Need {
                input_tokens: self.estimator.input(work.guess),
                output_tokens: self.estimator.output(),
                worst_cost: work.worst_cost,
            };
            let spends = retry && spends;
            match self.limiter.admit(now, &need) {
                Ok(permit) => {
                    let work = if retry {
                        self.queue.pop_retry()
                    } else {
                        self.queue.pop_fresh()
                    };
                    if let Some(work) = work {
                        self.start(now, Flight { work, permit });
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

    fn start(&mut self, now: Duration, mut flight: Flight) {
        let work = &mut flight.work;
        work.first_attempt.get_or_insert(now);
        let attempt = work.tries.attempts + 1;
        self.output.journal.sent(work.key, work.index, attempt);
        self.summary.attempts += 1;
        let body = work.body.clone();
        let place = self.flights.put(flight);
        self.starts.push(Start { place, body });
    }

    /// The attempts that were admitted in this turn; they are recorded by now.
    pub(super) fn take_starts(&mut self) -> Vec<Start> {
        std::mem::take(&mut self.starts)
    }

    /// Gives the attempts of this turn up: they could not be recorded.
    pub(super) fn unstart(&mut self, now: Duration) {
        for start in std::mem::take(&mut self.starts) {
            if let Some(Flight { work, permit }) = self.flights.take(start.place) {
                let failure = Failure::new(FailureKind::Cancelled, "not sent");
                self.limiter.ignore(now, permit, &failure);
                self.leave_pending(work, &failure);
                self.summary.attempts -= 1;
            }
        }
    }

    /// Settles an attempt and decides what becomes of its item.
    pub(super) fn on_end(&mut self, now: Duration, place: Place, end: End) {
        let Some(Flight { work, permit }) = self.flights.take(place) else {
            return;
        };
        match end.outcome {
            Ok(reply) => {
                let cost = self.cost_of(reply.usage.as_ref());
                // An answer without usage still costs: the cap must not trust silence.
                let charge = cost.or(work.worst_cost).unwrap_or_default();
                self.limiter
                    .success(now, permit, reply.usage.as_ref(), charge);
                if let Some(usage) = &reply.usage {
                    self.estimator.learn(work.guess, usage);
                }
                self.budget.success();
                self.early_stop.success();
                self.note_health(now);
                self.release_set_aside(now);
                self.succeed(now, work, reply, (end.duration, end.raw));
            }
            Err(failure) => {
                *self.failed_attempts.entry(failure.kind).or_default() += 1;
                let was_down = self.limiter.down_since().is_some();
                match failure.kind.signal() {
                    Signal::Success => {
                        let cost = self.cost_of(failure.usage.as_deref()).unwrap_or_default();
                        self.limiter
                            .success(now, permit, failure.usage.as_deref(), cost);
                    }
                    Signal::Overload => self.limiter.overload(now, permit, &failure),
                    Signal::Ignore => self.limiter.ignore(now, permit, &failure),
                }
                self.note_health(now);
                self.fail(now, work, failure, (end.duration, end.stale, was_down));
            }
        }
    }

    fn succeed(
        &mut self,
        now: Duration,
        mut work: Box<Work>,
        reply: Reply,
        (duration, raw): (Duration, Bytes),
    ) {
        work.tries.attempts += 1;
        let followers = self.take_followers(&work);
        let raw = self.settings.raw.then_some(raw);
        for follower in followers {
            self.summary.shared += 1;
            let shared = Reply {
                usage: None,
                ..reply.clone()
            };
            self.record(now, follower, Ok(shared), (None, raw.as_deref(), true));
        }
        let last = (Some(duration), raw.as_deref(), false);
        self.record(now, *work, Ok(reply), last);
    }

    /// Decides about a failed attempt.
    fn fail(
        &mut self,
        now: Duration,
        mut work: Box<Work>,
        mut failure: Failure,
        (duration, stale, outage): (Duration, bool, bool),
    ) {
        let first = *work.first_attempt.get_or_insert(now);
        work.tries.age = now.saturating_sub(first);
        let outage = outage && failure.kind.is_outage_sign();
        retry::count(&mut work.tries, &failure, stale, outage);
        failure.attempts = work.tries.attempts;
        // A stale connection was almost surely closed before the request arrived.
        let billed = failure.may_have_been_billed() && !stale;
        if billed {
            self.summary.maybe_billed += 1;
            work.maybe_billed = true;
        }
        if let Some(reason) = self.early_stop.attempt_failed(&failure) {
            self.leave_pending(work, &failure);
            return self.stop(now, reason, Some(failure));
        }
        let retry = &self.settings.retry;
        match retry::decide(retry, &failure, &work.tries, stale, &mut self.rng) {
            Decision::Retry { after, spends } => {
                if self.drain.is_stopping() {
                    return self.leave_pending(work, &failure);
                }
                self.output
                    .journal
                    .retry(work.key, work.tries.attempts, failure.kind, billed);
                (self.observer)(&Event::AttemptFailedWillRetry {
                    id: &work.id(),
                    failure: &failure,
                    after,
                });
                work.spends = spends && !outage;
                self.queue.push_retry(now + after, work);
            }
            Decision::GiveUp => match self.early_stop.item_failed(&failure) {
                Verdict::Record => {
                    self.release_set_aside(now);
                    self.finish(now, work, Err(failure), Some(duration));
                }
                Verdict::SetAside => {
                    let attempts = work.tries.attempts;
                    self.output
                        .journal
                        .retry(work.key, attempts, failure.kind, billed);
                    self.set_aside.push((work, failure));
                }
                Verdict::Stop(reason) => {
                    self.leave_pending(work, &failure);
                    self.stop(now, reason, Some(failure));
                }
            },
        }
    }

    /// Records failures that turned out to be their items' own.
    pub(super) fn release_set_aside(&mut self, now: Duration) {
        for (work, failure) in std::mem::take(&mut self.set_aside) {
            self.finish(now, work, Err(failure), None);
        }
    }

    /// Ends an item, and those that share its answer.
    fn finish(
        &mut self,
        now: Duration,
        work: Box<Work>,
        outcome: Outcome,
        duration: Option<Duration>,
    ) {
        for follower in self.take_followers(&work) {
            self.summary.shared += 1;
            self.record(now, follower, outcome.clone(), (None, None, true));
        }
        self.record(now, *work, outcome, (duration, None, false));
    }

    fn take_followers(&mut self, work: &Work) -> Vec<Work> {
        if !self.settings.dedup {
            return Vec::new();
        }
        let followers = self.shared.remove(&work.key).unwrap_or_default();
        self.sharing -= followers.len();
        followers
    }

    /// Writes an item's row. An item that shares another's answer costs nothing.
    fn record(
        &mut self,
        now: Duration,
        work: Work,
        outcome: Outcome,
        (duration, raw, shares): (Option<Duration>, Option<&[u8]>, bool),
    ) {
        let usage = match &outcome {
            Ok(reply) => reply.usage,
            Err(failure) => failure.usage.as_deref().copied(),
        };
        let sent = work.tries.attempts > 0;
        let cost = match (&usage, sent && !shares) {
            (_, false) => Some(Usd::ZERO),
            (None, true) if outcome.is_err() => Some(Usd::ZERO),
            (usage, true) => self.cost_of(usage.as_ref()),
        };
        let failure = outcome.as_ref().err();
        let attempts = work.tries.attempts;
        self.body.clear();
        RowBody {
            fields: &work.fields,
            outcome: &outcome,
            cost,
            duration,
            attempts,
            raw,
        }
        .write(&mut self.body);
        let recorded = self.output.journal.done(&Done {
            key: work.key,
            index: work.index,
            custom_id: work.custom_id.as_deref(),
            fields: work.fields_hash,
            failure: failure.map(|failure| failure.kind),
            maybe_billed: failure.is_some_and(Failure::may_have_been_billed) && sent,
            usage,
            cost,
            was: work.was.as_deref(),
            body: &self.body,
        });
        self.output
            .row(work.custom_id.as_deref(), work.index, &self.body);
        self.count(&outcome, usage.as_ref(), cost);
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
            self.stop(now, StopReason::Io { message }, None);
        }
    }

    fn count(&mut self, outcome: &Outcome, usage: Option<&Usage>, cost: Option<Usd>) {
        match outcome {
            Ok(_) => self.summary.ok += 1,
            Err(_) => self.summary.failed += 1,
        }
        if let Some(usage) = usage {
            self.summary.usage.add(usage);
        }
        match cost {
            Some(cost) => self.summary.cost += cost,
            None => self.summary.cost_unknown += 1,
        }
    }

    fn cost_of(&self, usage: Option<&Usage>) -> Option<Usd> {
        Some(self.model?.price.cost(usage?))
    }

    /// Leaves an item without outcome for a later session.
    pub(super) fn leave_pending(&mut self, work: Box<Work>, failure: &Failure) {
        self.summary.pending += 1;
        let attempts = work.tries.attempts;
        if attempts > 0 || failure.kind == FailureKind::Cancelled {
            let billed = failure.may_have_been_billed();
            self.output
                .journal
                .retry(work.key, attempts, failure.kind, billed);
        }
        self.forget_followers(&work);
    }

    /// Leaves the items that share an answer pending with the one they wait for.
    pub(super) fn forget_followers(&mut self, work: &Work) {
        let followers = self.take_followers(work);
        self.summary.pending += followers.len() as u64;
    }

    /// The settings of retries.
    pub(super) fn retry_settings(&self) -> &'a crate::config::RetrySettings {
        &self.settings.retry
    }

    /// Stops admitting, for a reason. The first reason counts.
    pub(super) fn stop(&mut self, now: Duration, reason: StopReason, example: Option<Failure>) {
        if self.drain.begin(now) {
            (self.observer)(&Event::StopBegan(&reason));
            self.summary.stopped = Some(reason);
            self.summary.stop_example = example;
        }
    }

    fn note_health(&mut self, now: Duration) {
        let down = self.limiter.down_since();
        match (self.was_down, down) {
            (None, Some(_)) => (self.observer)(&Event::OutageBegan),
            (Some(since), None) => {
                let lasted = now.saturating_sub(since);
                (self.observer)(&Event::OutageEnded { lasted });
            }
            _ => {}
        }
        self.was_down = down;
    }

    /// Obeys an order.
    pub(super) fn on_command(&mut self, now: Duration, command: Command) {
        match command {
            Command::Drain => {
                self.drain.interrupt(now, self.settings.grace);
                self.stop(now, StopReason::Interrupted, None);
            }
            Command::Abort => {
                self.drain.interrupt(now, Duration::ZERO);
                self.stop(now, StopReason::Interrupted, None);
            }
            Command::Items(items) => {
                self.stats.set_items(items);
                self.output.journal.items(items);
            }
            Command::ListInFlight => {
                let mut list: Vec<InFlight> = self
                    .flights
                    .iter()
                    .map(|flight| InFlight {
                        id: flight.work.id(),
                        attempt: flight.work.tries.attempts + 1,
                        age: now.saturating_sub(flight.permit.sent_at()),
                    })
                    .collect();
                list.sort_by_key(|flight| std::cmp::Reverse(flight.age));
                (self.observer)(&Event::InFlightListed(&list));
            }
        }
    }

    /// Looks whether rows became durable, or a reader made room.
    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> bool {
        self.output.poll(cx)
    }

    /// Adds up what limited the run, and publishes the numbers.
    pub(super) fn note_turn(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.last_turn);
        self.last_turn = now;
        if let Some(by) = self.limited_by {
            *self.limited.entry(by).or_default() += passed;
        }
        self.limited_by = match self.refusal {
            Some(refusal) => Some(refusal.by),
            None if !self.summary.input_ended && self.queue.is_empty() => Some(LimitedBy::Input),
            None if self.queue.next_due().is_some() => Some(LimitedBy::Backoff),
            None => None,
        };
        self.stats.publish(&Snapshot {
            ok: self.summary.ok,
            failed: self.summary.failed,
            kept: self.summary.kept.0 + self.summary.kept.1,
            read: self.summary.items,
            items: None,
            in_flight: self.limiter.in_flight() as u64,
            limit: self.limiter.limit() as u64,
            waiting: self.queue.len() as u64,
            retries: self.failed_attempts.values().sum(),
            input_tokens: self.summary.usage.input_tokens,
            output_tokens: self.summary.usage.output_tokens,
            cost: self.summary.cost,
            limited_by: self.limited_by,
        });
    }

    /// The summary at the end.
    pub(super) fn take_summary(&mut self, now: Duration) -> Summary {
        let mut summary = std::mem::take(&mut self.summary);
        summary.wall = now;
        summary.failed_attempts = self.failed_attempts.drain().collect();
        summary
            .failed_attempts
            .sort_by_key(|(kind, n)| (std::cmp::Reverse(*n), kind.label()));
        summary.limited = self.limited.drain().collect();
        summary
            .limited
            .sort_by_key(|(by, time)| (std::cmp::Reverse(*time), *by));
        summary
    }
}
