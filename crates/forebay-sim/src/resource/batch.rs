//! One batch: what was asked for and where it stands.
//!
//! Owns its state. Never works it off; `batch_work` does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::dialect::{
    BatchEndpoint, BatchLines, BatchStatus, BatchUsage, Errors, LineOutcome, OpenAiBatch,
    RequestCounts, openai_id,
};
use crate::sim::Shared;

/// What a batch was asked for.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) endpoint: BatchEndpoint,
    pub(super) input_file_id: String,
    pub(super) metadata: Option<Box<RawValue>>,
    pub(super) output_expires_after: Duration,
}

/// A batch.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: String,
    /// Orders the files' lines.
    pub(super) number: u64,
    /// Since the simulator started.
    created: Duration,
    pub(super) spec: Spec,
    state: Mutex<State>,
    pub(super) cancelled: Notify,
}

/// Times are since the simulator started.
#[derive(Debug, Default)]
struct State {
    status: BatchStatus,
    model: Option<String>,
    counts: RequestCounts,
    usage: BatchUsage,
    errors: Option<Errors>,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    in_progress: Option<Duration>,
    finalizing: Option<Duration>,
    cancelling: Option<Duration>,
    /// When it came to the status at which it stays.
    ended: Option<Duration>,
}

impl Batch {
    pub(super) fn new(number: u64, spec: Spec, created: Duration) -> Batch {
        Batch {
            id: openai_id("batch_", number),
            number,
            created,
            spec,
            state: Mutex::default(),
            cancelled: Notify::new(),
        }
    }

    /// The batch as its page shows it.
    pub(super) fn object(&self, shared: &Shared) -> OpenAiBatch {
        let state = self.lock();
        let time = |since_start| shared.wall(since_start).as_secs();
        let ended = |status| state.ended.filter(|_| state.status == status).map(time);
        OpenAiBatch {
            id: self.id.clone(),
            object: "batch",
            endpoint: self.spec.endpoint.name(),
            model: state.model.clone(),
            errors: state.errors.clone(),
            input_file_id: self.spec.input_file_id.clone(),
            completion_window: "24h",
            status: state.status,
            output_file_id: state.output_file_id.clone(),
            error_file_id: state.error_file_id.clone(),
            created_at: time(self.created),
            in_progress_at: state.in_progress.map(time),
            expires_at: time(self.created + shared.config.batches.expires_after),
            finalizing_at: state.finalizing.map(time),
            completed_at: ended(BatchStatus::Completed),
            failed_at: ended(BatchStatus::Failed),
            expired_at: ended(BatchStatus::Expired),
            cancelling_at: state.cancelling.map(time),
            cancelled_at: ended(BatchStatus::Cancelled),
            request_counts: state.counts,
            usage: state.usage,
            metadata: self.spec.metadata.clone(),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended.is_some()
    }

    /// Cancels the batch; fails with its status if it is too late.
    pub(super) fn cancel(&self, now: Duration) -> Result<(), &'static str> {
        let mut state = self.lock();
        match state.status {
            BatchStatus::Validating | BatchStatus::InProgress => {
                state.status = BatchStatus::Cancelling;
                state.cancelling = Some(now);
                self.cancelled.notify_one();
                Ok(())
            }
            BatchStatus::Cancelling => Ok(()),
            BatchStatus::Failed
            | BatchStatus::Finalizing
            | BatchStatus::Completed
            | BatchStatus::Expired
            | BatchStatus::Cancelled => Err(state.status.name()),
        }
    }

    /// Takes up the requests, unless it was cancelled meanwhile.
    pub(super) fn begin(&self, now: Duration, read: &BatchLines) {
        let mut state = self.lock();
        state.counts.total = read.lines.len();
        state.model.clone_from(&read.model);
        if state.status == BatchStatus::Validating {
            state.status = BatchStatus::InProgress;
            state.in_progress = Some(now);
        }
    }

    pub(super) fn note(&self, outcome: &LineOutcome) {
        let mut state = self.lock();
        if let LineOutcome::Answered(_, body) = outcome {
            state.usage.add(body);
        }
        match outcome.is_output() {
            true => state.counts.completed += 1,
            false => state.counts.failed += 1,
        }
    }

    /// The status at which the batch will stay; no more can be cancelled.
    pub(super) fn finalize(&self, now: Duration, expired: bool) -> BatchStatus {
        let mut state = self.lock();
        match (state.status, expired) {
            (_, true) => BatchStatus::Expired,
            (BatchStatus::Cancelling, false) => BatchStatus::Cancelled,
            (_, false) => {
                state.status = BatchStatus::Finalizing;
                state.finalizing = Some(now);
                BatchStatus::Completed
            }
        }
    }

    /// Ends the batch before its first request.
    pub(super) fn fail(&self, now: Duration, errors: Errors) {
        self.lock().errors = Some(errors);
        self.end(now, BatchStatus::Failed);
    }

    /// Tells the files' ids.
    pub(super) fn tell_files(&self, output: Option<String>, errors: Option<String>) {
        let mut state = self.lock();
        state.output_file_id = output;
        state.error_file_id = errors;
    }

    pub(super) fn end(&self, now: Duration, status: BatchStatus) {
        let mut state = self.lock();
        state.status = status;
        state.ended = Some(now);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
