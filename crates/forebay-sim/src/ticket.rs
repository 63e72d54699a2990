//! One request on its way: counted, charged and logged exactly once at each end.
//!
//! Owns what must be given back when a request is over, however it ends. Never decides how.

use std::time::Duration;

use crate::dialect::{Ask, Operation, input_keys};
use crate::limits::{Charge, Refusal};
use crate::log::{DropReason, Event, LogRecord};
use crate::sim::Shared;

/// A request that was received and is not over.
#[derive(Debug)]
pub(crate) struct Ticket<'s> {
    shared: &'s Shared,
    pub(crate) seq: u64,
    pub(crate) operation: Operation,
    /// Since the simulator started.
    pub(crate) received: Duration,
    /// What the limits took and was not corrected yet.
    charge: Option<Charge>,
    /// Whether it holds a place in flight.
    admitted: bool,
    output_tokens: u64,
    /// What a provider would bill: the tokens of an answer that was begun.
    billed: u64,
    /// The body's key and how often it was received, if anybody asked.
    pub(crate) body: Option<(u128, u32)>,
    /// The keys of its inputs, if it is a call for embeddings.
    keys: Vec<u128>,
    /// The fault that strikes it.
    fault: Option<String>,
    /// Whether no client may take its answer for a good one.
    spoiled: bool,
    /// Whether all frames of its answer were written, if not the end of the body.
    told: bool,
    /// The request's record, if there is a log.
    record: Option<LogRecord>,
    over: bool,
}

impl<'s> Ticket<'s> {
    /// Counts a request that was received in full.
    pub(crate) fn open(shared: &'s Shared, operation: Operation) -> Ticket<'s> {
        Ticket {
            shared,
            seq: shared.counters.received(),
            operation,
            received: shared.since_start(),
            charge: None,
            admitted: false,
            output_tokens: 0,
            billed: 0,
            body: None,
            keys: Vec::new(),
            fault: None,
            spoiled: false,
            told: false,
            record: None,
            over: false,
        }
    }

    /// Notes the fault that strikes it; the first one stays.
    pub(crate) fn struck(&mut self, fault: &str) {
        self.fault.get_or_insert_with(|| fault.to_owned());
    }

    /// Notes that no client may take its answer for a good one.
    pub(crate) fn spoil(&mut self, spoils: bool) {
        self.spoiled |= spoils;
    }

    /// Notes that all frames of a streamed answer were written: clients may take it from now on.
    pub(crate) fn told(&mut self) {
        self.told = true;
    }

    /// Notes what tells its inputs apart, if there is a log.
    pub(crate) fn note_inputs(&mut self, body: &[u8]) {
        if self.operation == Operation::Embeddings && self.shared.log.is_on() {
            self.keys = input_keys(body);
        }
    }

    /// Logs the request, if there is a log, once it is known what strikes it.
    pub(crate) fn log(&mut self, connection: u64, ask: &Ask<'_>) {
        let Some((key, seen)) = self.body.filter(|_| self.shared.log.is_on()) else {
            return;
        };
        let record = LogRecord {
            event: Event::Request,
            seq: self.seq,
            connection,
            t_s: self.received.as_secs_f64(),
            dialect: self.operation.dialect(),
            operation: self.operation,
            model: ask.model.to_string(),
            key: format!("{key:032x}"),
            keys: Vec::new(),
            seen,
            status: None,
            input_tokens: ask.input_tokens,
            output_tokens: 0,
            reason: None,
            fault: self.fault.take(),
            spoiled: self.spoiled,
            prompt: None,
        };
        self.record = Some(record.clone());
        self.shared.log.add(LogRecord {
            prompt: self
                .shared
                .config
                .log_prompts
                .then(|| ask.prompt.to_string()),
            keys: self.keys.iter().map(|key| format!("{key:032x}")).collect(),
            ..record
        });
    }

    /// Asks the limits to admit the request.
    pub(crate) fn admit(&mut self, charge: Charge) -> Result<(), Refusal> {
        self.shared.limiter.admit(charge, self.received)?;
        self.charge = Some(charge);
        self.admitted = true;
        Ok(())
    }

    /// Notes what the answer costs.
    pub(crate) fn generates(&mut self, input_tokens: u64, output_tokens: u64) {
        self.output_tokens = output_tokens;
        self.billed = input_tokens.saturating_add(output_tokens);
    }

    /// Corrects the charge of an admitted request that fails.
    pub(crate) fn fail(&mut self) {
        if let Some(charge) = self.charge.take() {
            self.shared.limiter.settle_failed(charge, self.received);
        }
    }

    /// Corrects the charge of an admitted request at its end.
    pub(crate) fn settle(&mut self, now: Duration) {
        if let Some(charge) = self.charge.take() {
            self.shared.limiter.settle(charge, self.output_tokens, now);
        }
    }

    /// Ends with an answer that was fully written.
    pub(crate) fn answered(mut self, status: u16) {
        self.shared.counters.answered(status);
        self.close(Event::Answer, Some(status), None);
    }

    /// Ends without one.
    pub(crate) fn dropped(mut self, reason: DropReason) {
        self.drop_for(reason);
    }

    fn drop_for(&mut self, reason: DropReason) {
        self.shared.counters.dropped();
        let reason = if self.told {
            DropReason::Unended
        } else {
            reason
        };
        self.close(Event::Dropped, None, Some(reason));
    }

    fn close(&mut self, event: Event, status: Option<u16>, reason: Option<DropReason>) {
        self.over = true;
        self.shared.counters.tokens(self.billed);
        if self.charge.is_some() {
            self.settle(self.shared.since_start());
        }
        if self.admitted {
            self.shared.limiter.leave();
        }
        if let Some(record) = self.record.take() {
            self.shared.log.add(LogRecord {
                event,
                t_s: self.shared.since_start().as_secs_f64(),
                status,
                output_tokens: status.map_or(0, |_| self.output_tokens),
                reason,
                ..record
            });
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.drop_for(DropReason::Stopped);
        }
    }
}
