//! What the engine knows between two polls: queue, limiter, flights, outcomes.
//!
//! Synchronous throughout: every method is told the time and returns at once.

use std::collections::HashMap;
use std::task::Context;
use std::time::Duration;

use super::attempt::{End, Trace};
use super::control::Command;
use super::drain::Drain;
use super::feed::{Chunk, Prepared};
use super::flight::{Flight, Flights, Place, Work};
use super::memory::Memory;
use super::output::Output;
use super::pack::{self, Filling};
use super::start::Start;
use super::stats::{Snapshot, Stats};
use crate::config::EngineSettings;
use crate::endpoint::Endpoint;
use crate::event::{Event, InFlight, StopReason, Summary};
use crate::journal::{KeptItem, Key};
use crate::limit::{Estimator, LimitedBy, Limiter, Refusal};
use crate::outcome::{Failure, FailureKind};
use crate::price::ModelInfo;
use crate::queue::Queue;
use crate::retry::{self, Budget, Decision, EarlyStop, Tries, Verdict};

/// The engine's state.
pub(super) struct Dispatcher<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) settings: &'a EngineSettings,
    pub(super) model: Option<&'a ModelInfo>,
    pub(super) output: Output<'a>,
    pub(super) observer: &'a mut (dyn FnMut(&Event<'_>) + Send),
    pub(super) stats: &'a Stats,
    pub(super) limiter: Limiter,
    pub(super) memory: Memory,
    pub(super) estimator: Estimator,
    pub(super) queue: Queue<Box<Work>>,
    pub(super) filling: Filling,
    pub(super) flights: Flights,
    pub(super) budget: Budget,
    pub(super) early_stop: EarlyStop,
    /// Failures that may turn out to be everyone's.
    pub(super) set_aside: Vec<(Box<Work>, Failure, Trace)>,
    /// With dedup: requests in flight or waiting, and the items that share their answers.
    pub(super) shared: HashMap<Key, Vec<Work>>,
    pub(super) sharing: usize,
    pub(super) starts: Vec<Start>,
    pub(super) drain: Drain,
    pub(super) rng: fastrand::Rng,
    pub(super) body: Vec<u8>,
    pub(super) summary: Summary,
    pub(super) failed_attempts: HashMap<FailureKind, u64>,
    pub(super) limited: HashMap<LimitedBy, Duration>,
    pub(super) limited_by: Option<LimitedBy>,
    pub(super) last_turn: Duration,
    pub(super) refusal: Option<Refusal>,
    pub(super) was_down: Option<Duration>,
}

impl<'a> Dispatcher<'a> {
    pub(super) fn new(
        (endpoint, settings): (&'a Endpoint, &'a EngineSettings),
        model: Option<&'a ModelInfo>,
        output: Output<'a>,
        observer: &'a mut (dyn FnMut(&Event<'_>) + Send),
        stats: &'a Stats,
    ) -> Dispatcher<'a> {
        let history = output.journal.history();
        let memory = Memory::new(&endpoint.base_url, history);
        let mut limiter = Limiter::new(settings);
        let earlier = history.total();
        limiter.add_earlier_cost(earlier.cost + earlier.at_risk);
        limiter.add_earlier_requests(history.requests_of_a_day);
        Dispatcher {
            endpoint,
            settings,
            model,
            output,
            observer,
            stats,
            queue: Queue::new(limiter.limit())
                .with_packs_of(settings.embed.map_or(1, |packing| packing.max_inputs.get())),
            filling: Filling::default(),
            limiter,
            memory,
            estimator: Estimator::default(),
            flights: Flights::default(),
            budget: Budget::default(),
            early_stop: EarlyStop::new(earlier.ok > 0),
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
            && !self.sharing_is_full()
            && !self.output.is_full()
    }

    /// Whether as many items wait for another's answer as may.
    pub(super) fn sharing_is_full(&self) -> bool {
        self.sharing >= self.limiter.limit().max(64)
    }

    /// Takes a chunk of input, or its end.
    pub(super) fn on_input(&mut self, chunk: Option<Chunk>) {
        match chunk {
            None => self.summary.input_ended = true,
            Some(Err(error)) => {
                let message = error.to_string();
                self.stop(StopReason::Io { message }, None);
            }
            Some(Ok(items)) => {
                for item in items {
                    self.accept(item);
                }
            }
        }
    }

    fn accept(&mut self, mut item: Prepared) {
        self.summary.items += 1;
        if let Some(message) = self.find_past(&item) {
            if let Err(message) = message {
                self.summary.pending += 1;
                self.stop(StopReason::Io { message }, None);
            }
            return;
        }
        let recalled = item.recalled.take();
        match Work::new(item) {
            Err((work, failure)) => self.finish(work, Err(failure), Trace::default()),
            Ok(mut work) => {
                work.was = match self.output.journal.take_failed(work.key, work.fields_hash) {
                    Ok(was) => was,
                    Err(error) => {
                        self.summary.pending += 1;
                        let message = error.to_string();
                        return self.stop(StopReason::Io { message }, None);
                    }
                };
                if let Some(recalled) = recalled {
                    work = match self.finish_recalled(work, *recalled) {
                        Ok(()) => return,
                        Err(work) => work,
                    };
                }
                work.worst_cost = self.worst_cost(&work);
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
        let entry = match journal.take(item.key, item.fields_hash, item.request.is_err()) {
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

    /// Settles an attempt and decides what becomes of its item.
    pub(super) fn on_end(&mut self, now: Duration, place: Place, end: End) {
        let Some(flight) = self.flights.take(place) else {
            return;
        };
        let Flight {
            mut work,
            permit,
            estimate,
        } = flight;
        if let Some(told) = &end.told {
            self.limiter.told(now, &permit, told);
        }
        match end.outcome {
            Ok(reply) => {
                let cost = self.cost_of(reply.usage.as_ref());
                // An answer without usage still costs: the cap must not trust silence.
                let charge = cost.or(work.worst_costs()).unwrap_or_default();
                self.limiter
                    .success(now, permit, reply.usage.as_ref(), charge);
                if let Some(usage) = &reply.usage {
                    self.estimator.learn(&estimate, usage);
                }
                self.budget.success();
                self.early_stop.success();
                self.note_health(now);
                self.release_set_aside();
                work.tries.attempts += 1;
                if work.pack.is_empty() {
                    self.answered(now, work, (reply, end.trace));
                } else {
                    self.finish_each(work, reply, end.more, &end.trace);
                }
            }
            Err(failure) => {
                *self.failed_attempts.entry(failure.kind).or_default() += 1;
                let was_down = self.limiter.down_since().is_some();
                let cost = self.cost_of(failure.usage.as_deref());
                self.limiter.failed(now, permit, &failure, cost);
                self.note_health(now);
                self.fail(now, work, failure, (end.trace, end.stale, was_down));
            }
        }
    }

    /// Decides about a failed attempt.
    fn fail(
        &mut self,
        now: Duration,
        mut work: Box<Work>,
        mut failure: Failure,
        (trace, stale, outage): (Trace, bool, bool),
    ) {
        let first = *work.first_attempt.get_or_insert(now);
        work.tries.age = now.saturating_sub(first);
        let outage = outage && failure.kind.is_outage_sign();
        let before = work.tries;
        retry::count(&mut work.tries, &failure, stale, outage);
        failure.attempts = work.tries.attempts;
        // A stale connection was almost surely closed before the request arrived.
        let billed = failure.may_have_been_billed() && !stale;
        if billed {
            self.summary.maybe_billed += 1;
        }
        if let Some(reason) = self.early_stop.attempt_failed(&failure) {
            self.leave_pending(work, &failure);
            return self.stop(reason, Some(failure));
        }
        let retry = &self.settings.retry;
        match retry::decide(retry, &failure, &work.tries, stale, &mut self.rng) {
            Decision::Retry { after, spends } => {
                if self.drain.is_stopping() {
                    return self.leave_pending(work, &failure);
                }
                self.record_retry(&mut work, &failure, billed);
                (self.observer)(&Event::AttemptFailedWillRetry {
                    id: &work.id(),
                    failure: &failure,
                    after,
                });
                work.spends = spends && !outage;
                self.queue.push_retry(now + after, work);
            }
            Decision::GiveUp if !work.pack.is_empty() && pack::may_be_one_items(&failure) => {
                // The request as a whole failed, which counts against none of its items.
                work.tries = Tries {
                    attempts: work.tries.attempts,
                    ..before
                };
                self.split(work, &failure, billed);
            }
            Decision::GiveUp => match self.early_stop.item_failed(&failure) {
                Verdict::Record => {
                    self.release_set_aside();
                    self.finish(work, Err(failure), trace);
                }
                Verdict::SetAside => self.set_aside.push((work, failure, trace)),
                Verdict::Stop(reason) => {
                    self.leave_pending(work, &failure);
                    self.stop(reason, Some(failure));
                }
            },
        }
    }

    /// The settings of retries.
    pub(super) fn retry_settings(&self) -> &'a crate::config::RetrySettings {
        &self.settings.retry
    }

    /// Stops admitting, for a reason. The first reason counts.
    pub(super) fn stop(&mut self, reason: StopReason, example: Option<Failure>) {
        if self.drain.begin() {
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
                self.stop(StopReason::Interrupted, None);
            }
            Command::Abort => {
                self.drain.interrupt(now, Duration::ZERO);
                self.stop(StopReason::Interrupted, None);
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
                        id: flight.work.ids(),
                        attempt: flight.work.tries.attempts + 1,
                        age: now.saturating_sub(flight.permit.sent_at()),
                    })
                    .collect();
                list.sort_by_key(|flight| std::cmp::Reverse(flight.age));
                let in_force = self.limiter.in_force();
                (self.observer)(&Event::InFlightListed(&list, &in_force));
            }
            Command::Tune(tuning) => {
                let was = self.limiter.in_force();
                self.limiter.tune(now, &tuning);
                let now = self.limiter.in_force();
                (self.observer)(&Event::LimitsTuned {
                    was: &was,
                    now: &now,
                });
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
        let in_force = self.limiter.in_force();
        self.stats.publish(&Snapshot {
            ok: self.summary.ok,
            failed: self.summary.failed,
            kept: self.summary.kept.0 + self.summary.kept.1,
            read: self.summary.items,
            items: None,
            in_flight: in_force.in_flight as u64,
            limit: in_force.limit as u64,
            waiting: self.queue.len() as u64,
            retries: self.failed_attempts.values().sum(),
            input_tokens: self.summary.usage.input_tokens,
            output_tokens: self.summary.usage.output_tokens,
            cost: self.summary.cost,
            limited_by: self.limited_by,
            limits: in_force.limits,
            learnt: in_force.learnt,
        });
    }

    /// The summary at the end.
    pub(super) fn take_summary(&mut self, now: Duration) -> Summary {
        let mut summary = std::mem::take(&mut self.summary);
        summary.wall = now;
        summary.in_force = Some(self.limiter.in_force());
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
