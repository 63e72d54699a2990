//! Answers of a program's calls that have to fit a schema.
//!
//! Owns the check and the bill over several questions. Never sends; the call does.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::engine::Answered;
use crate::money::Usd;
use crate::outcome::{Failure, FailureKind, FinishReason, Reply, Usage};
use crate::schema::{Schema, SchemaCheck};

/// What answers have to fit, and how often one that does not is asked for again.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    schema: Option<Schema>,
    retries: Option<u32>,
}

/// What an answer is worth.
pub(super) enum Verdict {
    /// It will do; as JSON, when it was checked.
    Good(Option<Box<RawValue>>),
    /// It will not do, and this is what the model is told.
    Again(Failure, String),
    /// It fails its call.
    Failed(Failure),
}

impl Shape {
    /// Takes a schema; gives it as it is sent, or what is wrong with it.
    #[cfg(feature = "schema")]
    pub(super) fn set(&mut self, schema: &str) -> Result<Arc<RawValue>, String> {
        let schema = Schema::compile(schema).map_err(|error| error.to_string())?;
        let json = Arc::clone(schema.json());
        self.schema = Some(schema);
        Ok(json)
    }

    /// Takes a schema, which the provider alone keeps to.
    #[cfg(not(feature = "schema"))]
    pub(super) fn set(&mut self, schema: &str) -> Result<Arc<RawValue>, String> {
        let json = RawValue::from_string(schema.to_owned());
        json.map(Arc::from)
            .map_err(|error| format!("not JSON: {error}"))
    }

    pub(super) fn set_retries(&mut self, retries: u32) {
        self.retries = Some(retries);
    }

    /// Judges an answer after so many that did not fit; what was streamed cannot be taken back,
    /// so nothing is asked after it.
    pub(super) fn judge(&self, reply: &Reply, misfits: u32, is_streamed: bool) -> Verdict {
        let Some(schema) = self.schema.as_ref().filter(|_| reply.tool_calls.is_none()) else {
            return Verdict::Good(None);
        };
        let mismatch = match schema.check(reply.text.as_deref().unwrap_or_default()) {
            Ok(parsed) => return Verdict::Good(Some(parsed)),
            Err(mismatch) => mismatch,
        };
        if reply.finish_reason == FinishReason::Length {
            let message = "the cap on output tokens cut the answer";
            return Verdict::Failed(Failure::new(FailureKind::Length, message));
        }
        let failure = Failure::new(FailureKind::SchemaMismatch, mismatch.message.clone());
        let retries = self.retries.unwrap_or(SchemaCheck::DEFAULT_RETRIES);
        match is_streamed || misfits >= retries {
            true => Verdict::Failed(failure),
            false => Verdict::Again(failure, mismatch.request()),
        }
    }
}

/// What the answers of one call were billed for together.
#[derive(Default)]
pub(super) struct Bill {
    usage: Option<Usage>,
    cost: Option<Usd>,
    unknown: bool,
    attempts: u32,
}

impl Bill {
    /// Adds an answer, and makes its numbers those of all so far.
    pub(super) fn add(&mut self, answered: &mut Answered) {
        if let Some(usage) = &answered.reply.usage {
            self.usage.get_or_insert_default().add(usage);
        }
        match answered.cost {
            Some(cost) => *self.cost.get_or_insert_default() += cost,
            None => self.unknown = true,
        }
        self.attempts += answered.attempts;
        answered.reply.usage = self.usage;
        answered.cost = self.cost.filter(|_| !self.unknown);
        answered.attempts = self.attempts;
    }

    /// Puts what was billed so far on a failure that ends the call.
    pub(super) fn put_on(&self, mut failure: Failure) -> Failure {
        let mut usage = self.usage;
        if let Some(last) = &failure.usage {
            usage.get_or_insert_default().add(last);
        }
        failure.usage = usage.map(Box::new);
        failure.attempts += self.attempts;
        failure
    }
}
